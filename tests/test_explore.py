"""What the pages ask: filters, paging, facets, histograms, patterns, context, views, live tail."""

import itertools
import json
import time

import pytest
import requests
import websocket

from rows import one, sql

LEVELS = {"info": (9, 12), "warn": (13, 16), "error": (17, 20)}


@pytest.fixture(scope="module")
def logs(server):
    """Three services, three levels, four messages; what was sent, newest first."""
    t0 = time.time_ns() - 600_000_000_000
    sent = []
    for n, (service, level, kind) in enumerate(itertools.product(["a", "b", "c"], ["info", "warn", "error"], range(20))):
        body = [f"user {n} signed in", f"payment {n} timed out after {n * 3} ms", "cache miss", f"Zahlung über {n} € fehlgeschlagen"][kind % 4]
        sent.append({"t": t0 + n * 1_000_000_000, "service": f"ex-{service}", "level": level, "body": body, "n": n, "zone": f"z{n % 4}"})
    lines = "\n".join(json.dumps({"timestamp": row["t"], "level": row["level"], "message": row["body"], "service": row["service"],
                                  "n": row["n"], "zone": row["zone"]}) for row in sent)
    answer = server.post("/api/v1/monitoring/logs", data=lines.encode(), headers=server.auth)
    assert answer.json()["accepted"] == len(sent), answer.text
    return sorted(sent, key=lambda row: -row["t"])


def get(server, path, **params):
    answer = requests.get(server.url + "/api/v1/monitoring" + path, params=params, headers=server.auth, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("params, keep", [
    ({"level": "error"}, lambda r: r["level"] == "error"),
    ({"service": "ex-b"}, lambda r: r["service"] == "ex-b"),
    ({"text": "timed out"}, lambda r: "timed out" in r["body"]),
    ({"query": "n:>=100"}, lambda r: r["n"] >= 100),
    ({"query": "zone:z1 -level:info"}, lambda r: r["zone"] == "z1" and r["level"] != "info"),
    ({"query": "(zone:z0 OR zone:z2) signed", "level": "warn"}, lambda r: r["zone"] in ("z0", "z2") and "signed" in r["body"] and r["level"] == "warn"),
    ({"query": "ZAHLUNG"}, lambda r: "Zahlung" in r["body"]),
    ({"query": 'body:~"after 1[0-9]+ ms"'}, lambda r: "after 1" in r["body"] and len(r["body"].split("after ")[1].split()[0]) > 1),
])
def test_filters_equal_brute_force(server, logs, params, keep):
    found = get(server, "/logs", limit=1000, **{"query": "service:ex-*", **params} if "query" not in params else
                {**params, "query": f"service:ex-* ({params['query']})"})
    assert [row["attributes"]["n"] for row in found["rows"]] == [row["n"] for row in logs if keep(row)]


def test_time_limits_what_is_found(server, logs):
    start, end = logs[50]["t"], logs[20]["t"]
    found = get(server, "/logs", query="service:ex-*", start=start, end=end, limit=1000)
    assert [row["attributes"]["n"] for row in found["rows"]] == [row["n"] for row in logs if start <= row["t"] < end]


def test_pages_lead_through_everything_once(server, logs):
    seen, cursor = [], None
    while True:
        page = get(server, "/logs", query="service:ex-*", limit=7, **({"cursor": cursor} if cursor else {}))
        assert len(page["rows"]) <= 7
        seen += [row["attributes"]["n"] for row in page["rows"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == [row["n"] for row in logs]
    oldest = get(server, "/logs", query="service:ex-*", limit=3, order="asc")["rows"]
    assert [row["attributes"]["n"] for row in oldest] == [0, 1, 2]
    assert len(get(server, "/logs", query="service:ex-*", limit=1_000_000)["rows"]) == len(logs), "a limit above the most is clamped"


def test_a_row_says_everything(server, logs):
    row = get(server, "/logs", query="n:7 service:ex-a")["rows"][0]
    want = next(r for r in logs if r["n"] == 7)
    assert (row["body"], row["service"], row["level"], row["severity_number"]) == (want["body"], "ex-a", "info", 9)
    assert row["attributes"]["zone"] == want["zone"] and row["timestamp"].startswith("20") and row["trace_id"] is None


def test_histogram_facets_fields_and_values(server, logs):
    shape = get(server, "/logs/histogram", query="service:ex-*", by="level", buckets=30)
    counts = {series["name"]: sum(series["counts"]) for series in shape["series"]}
    assert counts == {level: 60 for level in LEVELS} and shape["total"] == len(logs)
    facets = {facet["name"]: facet for facet in get(server, "/logs/facets", query="service:ex-*", fields="service,zone,level")["facets"]}
    assert {v["value"]: v["count"] for v in facets["zone"]["values"]} == {f"z{i}": 45 for i in range(4)}
    assert {v["value"]: v["count"] for v in facets["service"]["values"]} == {f"ex-{s}": 60 for s in "abc"}
    fields = {field["name"]: field["type"] for field in get(server, "/logs/fields")["fields"]}
    assert fields["n"] == "int" and fields["zone"] == "text"
    values = get(server, "/logs/values", field="zone", prefix="z")["values"]
    assert {value["value"] for value in values} >= {f"z{i}" for i in range(4)}


def test_patterns_and_context(server, logs):
    patterns = get(server, "/logs/patterns", query="service:ex-*")["patterns"]
    templates = {pattern["template"]: pattern["count"] for pattern in patterns}
    assert templates["cache miss"] == 45 and any("timed out after" in t and "<*>" in t and c == 45 for t, c in templates.items()), templates
    row = get(server, "/logs", query="service:ex-b n:70")["rows"][0]
    around = get(server, "/logs/context", id=row["id"], before=3, after=2)
    assert around["record"]["attributes"]["n"] == 70
    assert [r["attributes"]["n"] for r in around["before"]] in ([67, 68, 69], [69, 68, 67])
    assert [r["attributes"]["n"] for r in around["after"]] == [71, 72]


@pytest.mark.parametrize("query, part", [("level:", "level"), ("(a", ")"), ("n:[1 TO", "]"), ('"open', '"'), ("body:/(/", "regular expression")])
def test_a_bad_search_names_its_place(server, query, part):
    answer = requests.get(server.url + "/api/v1/monitoring/logs", params={"query": query}, headers=server.auth, timeout=10)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["field"] == "query" and len(error["message"]) > 20, error


def test_views_have_exactly_their_columns(server, logs):
    columns = lambda view: server.post("/api/v1/sql", json={"query": f"SELECT * FROM {view} LIMIT 1"}).json()["columns"]
    assert columns("LogEntry") == ["id", "level", "message", "timestamp", "service", "metadata", "trace"]
    assert columns("SystemMetric") == ["id", "timestamp", "cpu", "memory", "disk", "network", "process"]
    assert columns("ApplicationMetric") == ["id", "timestamp", "requests", "response", "errors", "activeUsers", "activeSessions"]
    assert columns("command_executions") == ["id", "organization_id", "user_id", "team_id", "project_id", "session_id", "command", "started_at",
                                              "duration_ms", "success", "error", "metadata"]


def test_events_and_command_executions(server):
    event = {"name": "deploy api", "kind": "deploy", "user_id": "u1", "attributes": {"version": "1.2"}}
    command = {"name": "git push", "kind": "command", "user_id": "u2", "session_id": "s9", "value": 120, "attributes": {"success": True}}
    answer = server.post("/api/v1/monitoring/events", json=[event, command, {"kind": "nonsense"}], headers=server.auth)
    assert answer.status_code == 201 and answer.json()["accepted"] == 2 and answer.json()["refused"][0]["index"] == 2, answer.text
    assert one(server, "SELECT version FROM events WHERE name = 'deploy api'") == "1.2"
    rows = sql(server, "SELECT command, user_id, session_id, success FROM command_executions")
    assert rows == [{"command": "git push", "user_id": "u2", "session_id": "s9", "success": True}]


@pytest.mark.parametrize("statement", [
    "SELECT * FROM '/etc/passwd'", "COPY logs TO '/tmp/x.csv'", "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc'", "DROP TABLE logs",
    "SET datafusion.execution.batch_size = 1", "SELECT 1; SELECT 2", "INSERT INTO logs VALUES (1)",
])
def test_sql_only_reads(server, statement):
    answer = server.post("/api/v1/sql", json={"query": statement})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["error"]["message"]


def test_sql_in_other_formats(server, logs):
    statement = {"query": "SELECT '=1+1' AS formula, n FROM logs WHERE \"service.name\" = 'ex-a' ORDER BY n LIMIT 2"}
    text = server.post("/api/v1/sql", json=statement, headers={"accept": "text/csv"}).text
    assert text.splitlines() == ["formula,n", "'=1+1,0", "'=1+1,1"]
    assert one(server, "SELECT count(*) FROM metrics WHERE name = 'bellwether_uptime_seconds'") >= 0


def test_live_tail_over_the_socket(server):
    socket = websocket.create_connection(server.url.replace("http", "ws") + "/api/v1/ws", header=server.auth, timeout=10)
    socket.send(json.dumps({"type": "subscribe", "data": {"id": "t", "channel": "tail", "signal": "logs", "query": "level:error service:tail"}}))
    assert json.loads(socket.recv())["type"] == "subscribed"
    lines = "\n".join(json.dumps({"level": "error" if n % 2 else "info", "message": f"m {n}", "service": "tail"}) for n in range(1000))
    assert server.post("/api/v1/monitoring/logs", data=lines, headers=server.auth).ok
    shown, missed = 0, 0
    while shown + missed < 500:
        message = json.loads(socket.recv())
        assert message["type"] == "tail" and set(message) == {"type", "data", "timestamp", "tenant_id"}
        assert all(row["level"] == "error" for row in message["data"]["rows"]) and len(message["data"]["rows"]) <= 200
        shown, missed = shown + len(message["data"]["rows"]), missed + message["data"]["missed"]
    assert shown + missed == 500 and shown > 0
    socket.close()
