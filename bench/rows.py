"""One command: log records and spans into Bellwether, then the questions of the issue's table; a table of figures.

VictoriaLogs and VictoriaTraces are measured beside it where `victoria-logs` and `victoria-traces` are on the PATH.
CPU is the server process's own user and system time; bytes are what lies in its data folder after it settled.
"""

import argparse
import datetime
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

from peers import LOADGEN, ROOT, Peak, Peer


def sql(query, **more):
    return ("POST", "/api/v1/sql", {"query": query, **more})


def log_questions(start, end):
    span = {"start": start, "end": end}
    search = lambda text, limit: ("POST", "/api/v1/sql", {"search": text, "table": "logs", "limit": limit, **span})
    count = lambda where: sql(f"SELECT count(*) FROM logs WHERE {where}", **span)
    return [
        ("rare phrase, 50 hits, rows", search('"quorum lost"', 50)),
        ("rare phrase, count", ("POST", "/api/v1/sql", {"search": '"quorum lost"', "table": "logs", "count": True, **span})),
        ("frequent phrase (2 M hits), count", ("POST", "/api/v1/sql", {"search": '"request completed"', "table": "logs", "count": True, **span})),
        ("frequent phrase, last 100", search('"request completed"', 100)),
        ("absent phrase", search('"no such thing at all"', 100)),
        ("count by service per 10 min", sql("""SELECT date_bin(INTERVAL '10 minutes', timestamp) AS t, "service.name", count(*) FROM logs GROUP BY 1, 2""", **span)),
        ("field filter, last 100", search("http.status_code:500", 100)),
        ("status 500 by route", sql("""SELECT "http.route", count(*) FROM logs WHERE "http.status_code" = 500 GROUP BY 1""", **span)),
        ("top 10 client IPs", sql("""SELECT "client.ip", count(*) AS n FROM logs GROUP BY 1 ORDER BY n DESC LIMIT 10""", **span)),
        ("p99 duration by service", sql("""SELECT "service.name", approx_percentile_cont(duration_ms, 0.99) FROM logs GROUP BY 1""", **span)),
        ("regular expression, count", ("POST", "/api/v1/sql", {"search": r'body:~"user 4[0-9]{2} in"', "table": "logs", "count": True, **span})),
    ]


def span_questions(start, end):
    span = {"start": start, "end": end}
    search = lambda text: ("POST", "/api/v1/sql", {"search": text, "table": "spans", "limit": 20, **span})
    return [
        ("absent trace id", ("GET", "/jaeger/api/traces/" + "0" * 31 + "1", None)),
        ("service and duration > 300 ms, last 20", search("service:service-07 duration:>300ms")),
        ("service and operation, last 20", search('service:service-07 name:"GET /api/pay"')),
        ("service and tag, last 20", search("service:service-07 db.system:redis")),
        ("p99 duration by service", sql("""SELECT "service.name", approx_percentile_cont(duration, 0.99) FROM spans GROUP BY 1""", **span)),
        ("services", ("GET", "/jaeger/api/services", None)),
        ("operations", ("GET", "/jaeger/api/services/service-07/operations", None)),
    ]


def bellwether(p):
    return [ROOT / "target/release/bellwether", "serve", "--data", p.data, "--listen", f"127.0.0.1:{p.port}", "--otlp-grpc", "off",
            "--otlp-http", "off", "--set", "host.enabled=false", "--set", "telemetry.enabled=false", "--set", "retention.logs=off",
            "--set", "retention.traces=off"]


def ask(peer, question, runs):
    """Milliseconds: the first, and the median of the following."""
    method, path, body = question
    times = []
    for _ in range(runs + 1):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{peer.port}{path}", data, {"content-type": "application/json"}, method=method)
        began = time.perf_counter()
        try:
            urllib.request.urlopen(request, timeout=120).read()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                return f"{error.code} {error.read()[:80]!r}"
        times.append((time.perf_counter() - began) * 1000)
    return times[0], sorted(times[1:])[runs // 2]


def settle(peer, seconds):
    quiet, deadline = 0, time.monotonic() + seconds
    while quiet < 5 and time.monotonic() < deadline:
        cpu = peer.cpu()
        time.sleep(1)
        quiet = quiet + 1 if peer.cpu() - cpu < 0.05 else 0


def measure(kind, count, args):
    peer = Peer("bellwether", bellwether, 14310, None)
    began = time.time() - 3600
    peer.start()
    before, peak = peer.cpu(), Peak(peer)
    out = subprocess.run([LOADGEN, kind, "--addr", f"127.0.0.1:{peer.port}", "--count", str(count), "--from-ms", str(int(began * 1000)),
                          "--span-ms", "3500000"], capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(out.stderr)
    written = json.loads(out.stdout)
    rows = written["rows"]
    figures = {"rows": rows, "wire bytes per row": written["wire_bytes_per_row"], "rows per second": written["rows_per_second"],
               "CPU-s per million, until the last answer": (peer.cpu() - before) / rows * 1e6}
    settle(peer, args.settle)
    figures["CPU-s per million, settled"] = (peer.cpu() - before) / rows * 1e6
    figures["resident MB: settled"] = peer.resident()
    start, end = began - 10, began + 3700
    table = "logs" if kind == "logs" else "spans"
    stored = json.load(urllib.request.urlopen(urllib.request.Request(
        f"http://127.0.0.1:{peer.port}/api/v1/sql", json.dumps({"query": f"SELECT count(*) FROM {table}", "start": start, "end": end}).encode(),
        {"content-type": "application/json"})))["rows"][0][0]
    assert stored == rows, (stored, rows)
    trace = json.load(urllib.request.urlopen(urllib.request.Request(
        f"http://127.0.0.1:{peer.port}/api/v1/sql", json.dumps({"query": f"SELECT trace_id FROM {table} LIMIT 1", "start": start, "end": end}).encode(),
        {"content-type": "application/json"})))["rows"][0][0]
    if kind == "logs":
        questions = log_questions(start, end) + [
            ("trace id lookup", ("POST", "/api/v1/sql", {"search": f"trace_id:{trace}", "table": "logs", "limit": 100, "start": start, "end": end}))]
    else:
        questions = [("trace by id", ("GET", f"/jaeger/api/traces/{trace}", None))] + span_questions(start, end)
    answers = {name: ask(peer, question, args.runs) for name, question in questions}
    figures["resident MB: peak"] = peak.end()
    peer.stop(signal.SIGKILL)
    peer.start()
    peer.stop()
    data, _ = peer.bytes()
    figures["bytes per row on disk"] = data / rows
    shutil.rmtree(peer.data, ignore_errors=True)
    return figures, answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=int, default=5_000_000)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--settle", type=int, default=180)
    parser.add_argument("--save", action="store_true", help="append the tables to bench/RESULTS.md")
    args = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    text = f"\n## {datetime.date.today().isoformat()}, commit {commit}: logs and spans\n\n`bench/rows.py`, 2 cores, median of {args.runs} warm runs\n"
    for kind, count in [("logs", args.logs), ("spans", args.spans)]:
        if not count:
            continue
        print(f"measuring {count} {kind} ...", file=sys.stderr)
        figures, answers = measure(kind, count, args)
        text += f"\n| {kind} | |\n|---|---:|\n"
        text += "".join(f"| {name} | {value:.2f} |\n" for name, value in figures.items())
        for name, answer in answers.items():
            text += f"| {name}: ms | {answer if isinstance(answer, str) else f'{answer[1]:.1f} (first {answer[0]:.1f})'} |\n"
    print(text)
    if args.save:
        with open(ROOT / "bench/RESULTS.md", "a") as file:
            file.write(text)


main()
