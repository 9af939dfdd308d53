"""Health checks on the real binary: what they look at goes down and comes back, and what is known of it outlives the server."""

import http.server
import shutil
import socket
import subprocess
import threading
import time

import pytest
import requests

from harness import free_port, wait_for
from organisations import Person, bearer
from test_alerts import Api, start

BASE = "health-checks"


class Site(http.server.ThreadingHTTPServer):
    """Answers with `status`; of `failures` requests first with 503."""

    def __init__(self):
        self.status, self.failures, self.asked = 200, 0, []
        super().__init__(("127.0.0.1", 0), Page)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        site.asked.append((time.time(), {name.lower(): value for name, value in self.headers.items()}))
        status = 503 if site.failures > 0 else site.status
        site.failures -= 1
        body = b'{"version": "1.2", "state": "ready"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    made = Site()
    yield made
    made.shutdown()


def post(server, path, body):
    answer = requests.post(server.url + path, json=body, headers=server.auth, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def value(server, expression):
    answer = requests.get(server.url + "/api/v1/query", params={"query": expression}, headers=server.auth, timeout=20)
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def http_check(site, name="site", **more):
    return {"name": name, "type": "http", "target": site.url, "interval": 1, "timeout": 1, "retries": 1, **more}


def make(api, body):
    return api("POST", BASE, body, 201)["id"]


def state(api, check):
    return api("GET", f"{BASE}/{check}", want=200)["state"]


def becomes(api, check, status, seconds=20.0):
    return wait_for(f"{status}", lambda: (s := state(api, check))["status"] == status and s, seconds=seconds)


def test_a_check_is_made_listed_changed_and_removed(fresh, site):
    server, api = start(fresh)
    made = api("POST", BASE, http_check(site, interval=60), 201)
    assert made["id"].startswith("chk_") and made["state"]["status"] == "unknown" and made["isActive"] and made["warnings"] == []
    assert [c["id"] for c in api("GET", BASE, want=200)["items"]] == [made["id"]]
    api("POST", BASE, http_check(site), 409)
    for wrong, field in [
        ({"type": "telepathy"}, "type"), ({"target": "no url"}, "target"), ({"interval": 0}, "interval"),
        ({"timeout": 99}, "timeout"), ({"retries": 11}, "retries"), ({"colour": "red"}, ""), ({"dependsOn": ["gone"]}, "dependsOn"),
        ({"config": {"expectedStatus": [99]}}, "config.expectedStatus"), ({"type": "command"}, "type"), ({"locations": ["x"]}, "locations"),
        ({"target": "http://169.254.169.254/latest"}, "target"),
    ]:
        refused = api("POST", BASE, http_check(site, name="wrong", interval=60) | wrong, 400)["error"]
        assert field in str(refused), (wrong, refused)
    for interval, warned in [(5, True), (10, False), (300, False), (600, True)]:
        tried = api("PUT", f"{BASE}/{made['id']}", http_check(site, interval=interval), 200)
        assert [w["field"] for w in tried["warnings"]] == (["interval"] if warned else []), interval
    renamed = api("PUT", f"{BASE}/{made['id']}", http_check(site, name="shop", interval=60), 200)
    assert renamed["name"] == "shop" and renamed["id"] == made["id"] and renamed["version"] > made["version"]
    stale = requests.put(f"{server.url}/api/v1/monitoring/{BASE}/{made['id']}", json=http_check(site, interval=60),
                         headers=server.auth | {"If-Match": '"1"'}, timeout=20)
    assert stale.status_code == 412, stale.text
    assert api("GET", f"{BASE}?search=sho&type=http&status=unknown&isActive=true", want=200)["items"]
    assert not api("GET", f"{BASE}?type=tcp", want=200)["items"]
    api("DELETE", f"{BASE}/{made['id']}", want=204)
    api("DELETE", f"{BASE}/{made['id']}", want=404)
    assert api("GET", BASE, want=200)["items"] == []


def test_a_site_goes_down_somebody_is_told_and_it_comes_back_over_a_kill(fresh, site):
    server, api = start(fresh)
    rule = {"name": "Down", "type": "downtime", "severity": "critical", "interval": 1, "cooldown": 0, "condition": {"check": "site"}}
    api("POST", "alerts", rule, 201)
    fired = lambda **of: [event for event in api.events(**of) if event["name"] == "Down"]
    check = make(api, http_check(site, labels={"team": "shop"}))
    becomes(api, check, "healthy")
    labels = f'{{check="site",place="server",team="shop",type="http"}}'
    wait_for("its series", lambda: value(server, f"probe_success{labels}") == 1)
    assert value(server, f"probe_http_status_code{labels}") == 200 and 0 < value(server, f"probe_duration_seconds{labels}") < 1
    assert fired() == []

    site.status = 500
    down = becomes(api, check, "unhealthy")
    assert "500" in down["message"] and down["downSince"]
    failed = lambda: api("GET", f"{BASE}/{check}/results?status=unhealthy")["items"]
    wait_for("failed runs", lambda: len(failed()) >= 2)
    event = wait_for("an alert", lambda: (fired() or [None])[0])
    assert (event["name"], event["labels"]["check"], event["labels"]["team"]) == ("Down", "site", "shop")
    server.kill()
    server.start()
    again = state(api, check)
    assert (again["status"], again["downSince"]) == ("unhealthy", down["downSince"]), "what was known outlives a kill"
    site.status = 200
    becomes(api, check, "healthy")
    wait_for("its end", lambda: fired(state="resolved"))

    runs = wait_for("runs", lambda: (r := api("GET", f"{BASE}/{check}/results?limit=1000")["items"]) and r[0]["status"] == "healthy" and r)
    assert [r["at"] for r in runs] == sorted((r["at"] for r in runs), reverse=True)
    assert {r["status"] for r in runs} == {"healthy", "unhealthy"} and all(r["latencyMs"] > 0 and r["place"] == "server" for r in runs)
    assert runs[0]["details"]["httpStatus"] == 200
    only = api("GET", f"{BASE}/{check}/results?status=unhealthy&limit=1")
    assert len(only["items"]) == 1 and only["next"] and "500" in only["items"][0]["message"]
    behind = api("GET", f"{BASE}/{check}/results?status=unhealthy&limit=1&after={only['next']}")["items"]
    assert behind[0]["at"] < only["items"][0]["at"]
    uptime = api("GET", f"{BASE}/{check}/uptime", want=200)
    assert [w["window"] for w in uptime["windows"]] == ["24h", "7d", "30d"] and 0 < uptime["windows"][0]["uptime"] < 1
    assert len(uptime["outages"]) == 1 and "500" in uptime["outages"][0]["message"] and uptime["outages"][0]["until"]
    assert len(uptime["days"]) == 30 and uptime["days"][0]["uptime"] is None
    sql = post(server, "/api/v1/sql", {"query": "SELECT status, count(*) AS n FROM checks WHERE name = 'site' GROUP BY status ORDER BY status"})
    assert [row[0] for row in sql["rows"]] == ["healthy", "unhealthy"]

    api("PUT", f"{BASE}/{check}", http_check(site, isActive=False), 200)
    wait_for("the end of its series", lambda: value(server, 'probe_success{check="site"}') is None)
    asked = len(site.asked)
    time.sleep(2.5)
    assert len(site.asked) == asked, "what is paused is not asked"


def test_each_type_tells_well_from_not(fresh, site):
    server, api = start(fresh)
    api.metric("queue_depth", 7)
    port = free_port()
    listener = socket.create_server(("127.0.0.1", port))
    redis_port = free_port()
    redis = subprocess.Popen([shutil.which("redis-server"), "--port", str(redis_port), "--save", "", "--bind", "127.0.0.1"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("redis", lambda: socket.create_connection(("127.0.0.1", redis_port), 1))
    try:
        def tried(**spec):
            return api("POST", f"{BASE}/test", {"timeout": 5, "retries": 1, **spec}, 200)

        closed = free_port()
        wait_for("the metric", lambda: value(server, "queue_depth") == 7)
        for spec, status in [
            ({"type": "http", "target": site.url}, "healthy"),
            ({"type": "http", "target": site.url, "config": {"bodyContains": ["ready"]}}, "healthy"),
            ({"type": "http", "target": site.url, "config": {"bodyContains": ["steady"]}}, "unhealthy"),
            ({"type": "external_api", "target": site.url, "config": {"json": [{"path": "$.state", "operator": "==", "value": "ready"}]}}, "healthy"),
            ({"type": "external_api", "target": site.url, "config": {"json": [{"path": "$.state", "operator": "==", "value": "busy"}]}}, "unhealthy"),
            ({"type": "tcp", "target": f"127.0.0.1:{port}"}, "healthy"),
            ({"type": "tcp", "target": f"127.0.0.1:{closed}"}, "unhealthy"),
            ({"type": "redis", "target": f"127.0.0.1:{redis_port}"}, "healthy"),
            ({"type": "redis", "target": f"127.0.0.1:{closed}"}, "unhealthy"),
            ({"type": "disk", "target": "/", "config": {"maxUsedPercent": 100}}, "healthy"),
            ({"type": "disk", "target": "/", "config": {"minFreeBytes": 1 << 60}}, "unhealthy"),
            ({"type": "memory", "config": {"maxUsedPercent": 100}}, "healthy"),
            ({"type": "memory", "config": {"maxUsedPercent": 0.001}}, "unhealthy"),
            ({"type": "query", "target": "queue_depth", "config": {"operator": "<", "threshold": 10}}, "healthy"),
            ({"type": "query", "target": "queue_depth", "config": {"operator": "<", "threshold": 5}}, "unhealthy"),
            ({"type": "query", "target": "nothing_like_it", "config": {"operator": "<", "threshold": 5}}, "unknown"),
            ({"type": "query", "target": "SELECT count(*) AS value FROM logs", "config": {"language": "sql", "operator": ">=", "threshold": 0}}, "healthy"),
            ({"type": "query", "target": "level:fatal", "config": {"language": "search", "operator": "==", "threshold": 0}}, "healthy"),
            ({"type": "custom", "target": "service/store"}, "healthy"),
            ({"type": "custom", "target": "service/none"}, "unknown"),
        ]:
            outcome = tried(**spec)
            assert outcome["status"] == status, (spec, outcome)
        site.failures = 2
        outcome = tried(type="http", target=site.url, retries=3)
        assert (outcome["status"], outcome["attempts"]) == ("healthy", 3), outcome
        assert api("GET", BASE)["items"] == [], "trying stores nothing"

        check = make(api, {"name": "cache", "type": "redis", "target": f"127.0.0.1:{redis_port}", "interval": 1, "timeout": 1, "retries": 1})
        becomes(api, check, "healthy")
        redis.kill()
        redis.wait()
        becomes(api, check, "unhealthy")
    finally:
        redis.kill()
        listener.close()


def test_checks_run_at_their_interval_and_add_up_by_how_critical_they_are(fresh, site):
    server, api = start(fresh)
    slow = Site()
    make(api, http_check(slow, name="every ten", interval=10))
    critical = make(api, http_check(site, name="critical"))
    broken = Site()
    broken.status = 500
    lesser = make(api, http_check(broken, name="lesser", critical=False))
    child = make(api, http_check(broken, name="child", critical=False, dependsOn=["lesser"]))
    becomes(api, critical, "healthy")
    becomes(api, lesser, "unhealthy")
    summary = wait_for("the whole", lambda: (s := api("GET", BASE)["summary"])["status"] == "degraded" and s)
    assert summary["unhealthy"] >= 1 and summary["paused"] == 0
    told = wait_for("the cause", lambda: (s := state(api, child))["message"] and "lesser" in s["message"] and s, seconds=30)
    assert told["status"] == "unknown" or told["downSince"], "what follows from another failure is no failure of its own"
    site.status = 500
    becomes(api, critical, "unhealthy")
    assert api("GET", BASE)["summary"]["status"] == "unhealthy"
    circle = http_check(broken, name="lesser", dependsOn=["child"])
    assert "circle" in str(api("PUT", f"{BASE}/{lesser}", circle, 400))
    wait_for("three runs", lambda: len(slow.asked) >= 3, seconds=45)
    times = [at for at, _ in slow.asked]
    assert all(9 < after - before < 11 for before, after in zip(times[-2:], times[-1:])), times
    for one in (slow, broken):
        one.shutdown()


def test_a_program_reports_by_itself_and_its_silence_is_noticed(fresh):
    server, api = start(fresh)
    body = {"name": "backup", "type": "heartbeat", "interval": 4, "timeout": 1, "config": {"grace": 0}}
    made = api("POST", BASE, body, 201)
    check, address = made["id"], made["pushUrl"].replace("https://bw.example", server.url)
    assert requests.get(address, timeout=20).json() == {"ok": True}
    assert becomes(api, check, "healthy")["message"] is None
    server.kill()
    server.start()
    assert requests.post(address + "/start", timeout=20).status_code == 200
    time.sleep(1)
    assert requests.post(address, timeout=20).status_code == 200
    run = wait_for("a run", lambda: next((r for r in api("GET", f"{BASE}/{check}/results")["items"] if r["latencyMs"] >= 1000), None))
    assert run["status"] == "healthy" and run["latencyMs"] < 10_000, "how long the run took"
    assert requests.post(address + "/3", params={"msg": "disk full"}, timeout=20).status_code == 200
    assert "disk full" in becomes(api, check, "unhealthy")["message"]
    requests.get(address, params={"status": "up"}, timeout=20)
    becomes(api, check, "healthy")
    assert "the last report is" in becomes(api, check, "unhealthy", seconds=40)["message"]
    forged = address[:-1] + ("A" if address[-1] != "A" else "B")
    for wrong, status in [(forged, 404), (address + "/maybe", 400), (address.rsplit("/", 1)[0] + "/x", 404)]:
        assert requests.get(wrong, timeout=20).status_code == status, wrong
    api("DELETE", f"{BASE}/{check}", want=204)
    assert requests.get(address, timeout=20).status_code == 404, "a check that is gone takes its address along"


def test_a_tenant_reaches_what_the_operator_allows_and_sees_no_secret(fresh, site):
    server, api = start(fresh)
    root = Person(server, server.link)
    acme = bearer(root.call("POST", "/api/v1/tenants", json={"id": "acme", "name": "Acme", "admin": {"email": "a@acme.test", "name": "A"}})["key"])
    ask = lambda body: requests.post(f"{server.url}/api/v1/monitoring/{BASE}/test", json=body, headers=acme, timeout=20)
    refused = ask({"type": "http", "target": site.url})
    assert refused.status_code == 400 and "private" in refused.text
    for target in ["http://localhost:%d/" % site.server_address[1]]:
        outcome = ask({"type": "http", "target": target, "retries": 1, "timeout": 5}).json()
        assert outcome["status"] != "healthy" and "private" in outcome["message"], outcome
    assert ask({"type": "tcp", "target": f"127.0.0.1:{site.server_address[1]}", "retries": 1}).json()["status"] != "healthy"
    for own in ["disk", "memory", "custom"]:
        assert ask({"type": own, "target": "/"}).status_code == 400
    assert site.asked == []
    secret = "a-very-secret-word"
    check = make(api, http_check(site, interval=60, config={"headers": {"X-Key": secret}}))
    api("POST", f"{BASE}/{check}/run", None, 200)
    assert site.asked[-1][1]["x-key"] == secret
    viewer = bearer(root.call("POST", "/api/v1/tenants/default/keys", json={"name": "v", "scopes": ["query"]})["key"])
    seen = requests.get(f"{server.url}/api/v1/monitoring/{BASE}/{check}", headers=viewer, timeout=20)
    assert seen.status_code == 200 and secret not in seen.text and "masked" in seen.text
