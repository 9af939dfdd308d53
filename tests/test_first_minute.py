"""The first minute: start, sign in, see this host; and what the server says about itself."""

import json
import re
import signal
import time

import pytest
import requests
import websocket

from harness import BINARY, wait_for

import subprocess


@pytest.fixture(scope="module")
def host():
    from harness import Server

    one = Server(args=["--set", "host.interval=1s"]).start()
    yield one
    one.stop()
    one.remove()


@pytest.fixture(scope="module")
def session(host):
    """Signed in through the printed link."""
    assert host.link and host.key
    session = requests.Session()
    answer = session.post(host.url + "/api/v1/auth/link", json={"token": host.link.split("token=")[1]}, timeout=10)
    assert answer.status_code == 200, answer.text
    session.headers["X-CSRF-Token"] = answer.json()["csrf"]
    return session


def test_the_first_start_prints_link_key_and_a_block_to_paste(host):
    text = host.text()
    assert re.search(r"OTEL_EXPORTER_OTLP_ENDPOINT=http://127\.0\.0\.1:\d+", text)
    assert f"Authorization=Bearer%20{host.key}" in text or f"Authorization=Bearer {host.key}" in text


def test_the_link_works_once(host, session):
    again = requests.post(host.url + "/api/v1/auth/link", json={"token": host.link.split("token=")[1]}, timeout=10)
    assert again.status_code == 401
    assert session.get(host.url + "/api/v1/auth/session", timeout=10).json()["tenant"]["id"] == "default"


def test_a_new_link_is_printed_on_request(host):
    done = subprocess.run([str(BINARY), "user", "link", "--data", str(host.data)], capture_output=True, text=True, timeout=20)
    token = re.search(r"token=(\S+)", done.stdout).group(1)
    assert requests.post(host.url + "/api/v1/auth/link", json={"token": token}, timeout=10).status_code == 200


def test_what_needs_a_token_and_what_does_not(host, session):
    for path in ("/healthz", "/-/healthy", "/-/ready", "/version", "/api/v1/monitoring/health"):
        assert requests.get(host.url + path, timeout=10).status_code == 200, path
    for path in ("/api/v1/services", "/api/v1/monitoring/metrics", "/api/v1/monitoring/objects/saved_query"):
        assert requests.get(host.url + path, timeout=10).status_code == 401, path
        assert session.get(host.url + path, timeout=10).status_code == 200, path
        assert requests.get(host.url + path, headers=host.auth, timeout=10).status_code == 200, path
        wrong = requests.get(host.url + path, headers={"Authorization": "Bearer bw_wrong"}, timeout=10)
        assert wrong.status_code == 401, path


def test_a_cross_site_page_and_a_foreign_host_name_are_refused(host):
    assert requests.get(host.url + "/api/v1/query", params={"query": "1"}, headers={"Origin": "https://evil.example"}, timeout=10).status_code == 403
    assert requests.get(host.url + "/api/v1/query", params={"query": "1"}, headers={"Host": "evil.example"}, timeout=10).status_code == 403


def test_changes_with_a_cookie_need_the_csrf_token(host, session):
    url = host.url + "/api/v1/monitoring/objects/saved_query/one"
    assert session.put(url, json={"query": "up"}, timeout=10).status_code == 200
    without = requests.put(url, json={"query": "x"}, cookies=session.cookies, timeout=10)
    assert without.status_code == 403
    assert session.get(host.url + "/api/v1/monitoring/objects/saved_query", timeout=10).json()["items"][0]["spec"] == {"query": "up"}
    assert session.delete(url, timeout=10).status_code in (200, 204)


def test_this_host_is_there_within_seconds(host):
    wait_for("load", lambda: host.query('node_load1{job="node"}'), 10)
    assert host.value("node_memory_MemTotal_bytes") > 1e8
    assert host.query("node_cpu_seconds_total") and host.query("node_filesystem_size_bytes") and host.query("host_process_count")
    wait_for("a rate of CPU", lambda: (host.value("sum(rate(node_cpu_seconds_total[5s]))") or 0) > 0.5, 20)


def test_live_samples_arrive_over_the_socket(host, session):
    cookie = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
    socket = websocket.create_connection(host.url.replace("http", "ws") + "/api/v1/ws", cookie=cookie, timeout=10)
    socket.send(json.dumps({"type": "subscribe", "data": {"id": "h", "channel": "metrics", "match": ["node_load1"]}}))
    message = json.loads(socket.recv())
    while message["type"] != "metrics_update":
        message = json.loads(socket.recv())
    assert set(message) == {"type", "data", "timestamp", "tenant_id"} and message["tenant_id"] == "default"
    assert message["data"]["series"][0]["labels"]["__name__"] == "node_load1"
    # What is posted reaches those who asked for it, once it is stored; a refused item reaches nobody.
    socket.send(json.dumps({"type": "subscribe", "data": {"id": "p", "channel": "metrics", "match": ["posted_gauge"]}}))
    time.sleep(0.5)
    requests.post(host.url + "/api/metrics", json=[{"name": "posted_gauge"}, {"name": "posted_gauge", "value": 7}], timeout=10)
    while message["data"].get("subscription") != "p" or message["type"] != "metrics_update":
        message = json.loads(socket.recv())
    assert [s["points"][0][1] for s in message["data"]["series"]] == [7]
    socket.close()
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(host.url.replace("http", "ws") + "/api/v1/ws", timeout=10)


def test_services_are_listed_with_their_state(host):
    services = requests.get(host.url + "/api/v1/services", headers=host.auth, timeout=10).json()["services"]
    assert {"store", "control", "host collector"} <= {s["name"].replace("_", " ") for s in services}
    assert all(s["status"] == "ready" for s in services), services


def test_own_metrics_are_served_and_stored(host):
    assert "bellwether_items_accepted_total" in requests.get(host.url + "/metrics", timeout=10).text
    wait_for("own metrics in the store", lambda: host.query("bellwether_items_accepted_total"), 30)


def test_a_custom_metric_is_answered_and_stored(host):
    url = host.url + "/api/v1/monitoring/metrics/custom"
    answer = requests.post(url, json={"name": "orders", "value": 3, "type": "counter", "tags": {"shop": "a"}}, headers=host.auth, timeout=10)
    assert answer.status_code == 201 and answer.json()["success"] is True and answer.json()["insights"] == []
    requests.post(url, json={"name": "orders", "value": 2, "type": "counter", "tags": {"shop": "a"}}, headers=host.auth, timeout=10)
    assert host.value('orders{shop="a"}') == 5
    bad = requests.post(url, json={"name": "orders", "value": -1, "type": "counter"}, headers=host.auth, timeout=10)
    assert bad.status_code == 400 and bad.json()["error"]["code"] == "VALIDATION_ERROR" and bad.json()["error"]["field"] == "value"


def test_a_batch_names_what_it_refused(host):
    body = {"metrics": [{"name": "a_gauge", "value": 1}, {"name": "a_gauge"}, {"name": "", "value": 1}]}
    answer = requests.post(host.url + "/api/metrics", json=body, timeout=10)
    assert answer.status_code == 200
    got = answer.json()
    assert got["accepted"] == 1 and [(r["index"], r["field"]) for r in got["refused"]] == [(1, "value"), (2, "name")]
    assert all(r["reason"] for r in got["refused"])
    whole = requests.post(host.url + "/api/metrics", json={**body, "transaction": True}, timeout=10)
    assert whole.json()["accepted"] == 0


def test_system_metrics_rows_and_collection_on_request(host):
    collected = requests.post(host.url + "/api/v1/monitoring/metrics/collect", headers=host.auth, timeout=10)
    assert collected.status_code in (200, 201), collected.text
    rows = requests.get(host.url + "/api/v1/monitoring/metrics", headers=host.auth, timeout=10).json()["data"]
    assert set(rows[0]) >= {"id", "timestamp", "cpu", "memory", "disk", "network", "process"}
    assert rows[0]["memory"]["total"] == rows[0]["memory"]["used"] + rows[0]["memory"]["free"]


def test_sigterm_ends_cleanly_and_nothing_is_lost(fresh):
    server = fresh(args=["--set", "host.interval=1s"]).start()
    wait_for("load", lambda: server.query("node_load1"), 10)
    before = server.query("node_boot_time_seconds")
    started = time.monotonic()
    assert server.kill(signal.SIGTERM) == 0
    assert time.monotonic() - started < 10
    server.start()
    assert server.query("node_boot_time_seconds")[0]["value"][1] == before[0]["value"][1]


def test_the_page_is_served_with_a_strict_policy(host):
    answer = requests.get(host.url + "/", headers={"Accept": "text/html"}, timeout=10)
    assert answer.status_code == 200 and "<div id=" in answer.text
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"] and "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert requests.get(host.url + "/explore", headers={"Accept": "text/html"}, timeout=10).text == answer.text
