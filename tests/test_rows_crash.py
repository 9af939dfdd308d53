"""Logs and spans: SIGKILL under load, segments that DuckDB reads, deletes, retention of what was acknowledged.

KILLS and SEED as in test_crash.py.
"""

import json
import os
import random
import threading
import time

import duckdb
import requests

from harness import wait_for
from rows import one, sql
from test_crash import BUSY, KILLS, SEED

WRITERS = 2
ROWS = 40


def logs_request(writer, n, t_ns):
    records = [{
        "timeUnixNano": str(t_ns + i), "severityNumber": 9 + 4 * (i % 3), "body": {"stringValue": f"writer {writer} request {n} row {i}"},
        "attributes": [{"key": "n", "value": {"intValue": str(n)}}, {"key": "i", "value": {"intValue": str(i)}},
                       {"key": "path", "value": {"stringValue": f"/p/{i % 7}"}}],
    } for i in range(ROWS)]
    return {"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": f"crash-{writer}"}}]},
                              "scopeLogs": [{"logRecords": records}]}]}


def spans_request(writer, n, t_ns):
    spans = [{
        "traceId": f"{writer + 1:08x}{n:024x}", "spanId": f"{n:08x}{i + 1:08x}", "parentSpanId": f"{n:08x}{1:08x}" if i else "",
        "name": f"op {i % 5}", "kind": 2, "startTimeUnixNano": str(t_ns + i), "endTimeUnixNano": str(t_ns + i + 1000 * (n + 1)),
        "attributes": [{"key": "n", "value": {"intValue": str(n)}}],
    } for i in range(ROWS)]
    return {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": f"crash-{writer}"}}]},
                               "scopeSpans": [{"spans": spans}]}]}


class Writer(threading.Thread):
    def __init__(self, server, number, t0_ns):
        super().__init__(daemon=True)
        self.server, self.number, self.t0_ns = server, number, t0_ns
        self.sent, self.acknowledged, self.stopping = {"logs": 0, "traces": 0}, {"logs": set(), "traces": set()}, threading.Event()

    def run(self):
        session = requests.Session()
        while not self.stopping.is_set():
            for signal, make in [("logs", logs_request), ("traces", spans_request)]:
                n = self.sent[signal]
                self.sent[signal] += 1
                try:
                    answer = session.post(f"{self.server.url}/v1/{signal}", json=make(self.number, n, self.t0_ns + n * 1_000_000), timeout=10)
                    if answer.ok:
                        assert answer.json() == {}, answer.text
                        self.acknowledged[signal].add(n)
                    elif answer.status_code != 503:
                        raise AssertionError(f"{answer.status_code}: {answer.text}")
                except requests.RequestException:
                    time.sleep(0.02)


def test_no_acknowledged_row_is_lost_or_doubled(fresh):
    print(f"SEED={SEED} KILLS={KILLS}")
    chance = random.Random(SEED)
    server = fresh(args=BUSY).start()
    writers = [Writer(server, n, time.time_ns() - 3_600_000_000_000) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 1.2))
        server.kill()
        server.start()
    time.sleep(0.5)
    for writer in writers:
        writer.stopping.set()
    for writer in writers:
        writer.join(30)
    server.kill()
    server.start()
    for writer in writers:
        for signal, table, each in [("logs", "logs", "body"), ("traces", "spans", "span_id")]:
            assert writer.acknowledged[signal]
            found = {row["n"]: (row["rows"], row["different"]) for row in sql(server, f"""SELECT n, count(*) AS rows, count(DISTINCT {each}) AS different
                FROM {table} WHERE "service.name" = 'crash-{writer.number}' GROUP BY n""")}
            # Requests are all or nothing, and nothing comes twice.
            assert set(found.values()) == {(ROWS, ROWS)}, f"seed {SEED} {table}: {sorted(set(found.values()))[:5]}"
            missing = writer.acknowledged[signal] - set(found)
            assert not missing, f"seed {SEED}: writer {writer.number} lost {sorted(missing)[:5]} of {table}"


def test_duckdb_reads_the_segments_and_agrees(fresh):
    server = fresh().start()
    t0 = time.time_ns() - 60_000_000_000
    for n in range(30):
        assert server.post("/v1/logs", json=logs_request(0, n, t0 + n * 1_000_000)).ok
        assert server.post("/v1/traces", json=spans_request(0, n, t0 + n * 1_000_000)).ok
    ours = {table: sql(server, query) for table, query in QUERIES.items()}
    server.stop()  # a clean stop flushes every head
    with duckdb.connect() as db:
        for table, signal in [("logs", "logs"), ("spans", "traces")]:
            files = f"{server.data}/tenants/default/{signal}/*/*.parquet"
            db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}', union_by_name = true)")
            theirs = db.execute(QUERIES[table])
            names = [column[0] for column in theirs.description]
            assert [dict(zip(names, row)) for row in theirs.fetchall()] == ours[table]


QUERIES = {
    "logs": """SELECT path, severity_number, count(*) AS n, sum(n) AS total, min(body) AS first FROM logs
        WHERE "service.name" = 'crash-0' GROUP BY path, severity_number ORDER BY path, severity_number""",
    "spans": """SELECT name, kind, count(*) AS n, max(duration) AS longest, count(parent_span_id) AS children FROM spans
        WHERE "service.name" = 'crash-0' GROUP BY name, kind ORDER BY name, kind""",
}


def test_a_delete_hides_rows_at_once_and_for_good(fresh):
    server = fresh().start()
    t0 = time.time_ns() - 60_000_000_000
    for n in range(3):
        assert server.post("/v1/logs", json=logs_request(0, n, t0 + n * 1_000_000)).ok
    body = {"query": 'path:"/p/3"', "start": t0 // 1_000_000_000 - 10, "end": time.time() + 10}
    answer = requests.post(server.url + "/api/v1/monitoring/logs/delete", json=body, headers=server.auth, timeout=10)
    assert answer.status_code == 202, answer.text
    left = lambda: one(server, "SELECT count(*) FROM logs WHERE \"service.name\" = 'crash-0'")
    gone = 3 * sum(1 for i in range(ROWS) if i % 7 == 3)
    assert left() == 3 * ROWS - gone
    assert server.post("/v1/logs", json=logs_request(0, 9, t0)).ok  # later rows are not meant
    assert left() == 4 * ROWS - gone
    server.kill()
    server.start()
    assert left() == 4 * ROWS - gone
    assert wait_for("the deletion is listed", lambda: requests.get(
        server.url + "/api/v1/monitoring/deletions", headers=server.auth, timeout=10).json()["deletions"])


def test_nothing_unredacted_reaches_the_disk(fresh):
    server = fresh().start()
    pipeline = {"processors": [{"type": "redact", "presets": ["email", "credit_card"]}]}
    answer = requests.put(server.url + "/api/v1/monitoring/objects/pipeline/logs", json=pipeline, headers=server.auth, timeout=10)
    assert answer.ok, answer.text
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "mail to eve@example.com card 4111 1111 1111 1111"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert server.post("/v1/logs", json=body).ok
    shown = one(server, "SELECT body FROM logs WHERE body LIKE 'mail to%'")
    assert "eve@" not in shown and "4111" not in shown
    server.kill()
    everything = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert b"eve@example.com" not in everything and b"4111 1111" not in everything
