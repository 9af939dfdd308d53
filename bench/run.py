"""One command: the same data to Bellwether, VictoriaMetrics and Prometheus, one server at a time, and a table.

CPU is the server process's own user and system time; bytes are what lies in its data folder after it settled.
Prometheus takes remote write in batches of its own order only, so its hosts are written by one connection.
"""

import argparse
import datetime
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from peers import LOADGEN, ROOT, Peak, Peer

QUERIES = [
    ("one series", 'node_load1{instance="host-007.example.com:9100"}', 0, 0),
    ("one series, 6 h at 60 s", 'node_load1{instance="host-007.example.com:9100"}', 6, 60),
    ("sum by (mode) (rate(cpu[5m])), 6 h at 60 s", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 6, 60),
    ("topk(5, rate(receive_bytes[5m])), 6 h at 60 s", "topk(5, rate(node_network_receive_bytes_total[5m]))", 6, 60),
    ("histogram_quantile(0.99) by host, 6 h at 60 s",
     "histogram_quantile(0.99, sum by (le, instance) (rate(http_request_duration_seconds_bucket[5m])))", 6, 60),
    ("avg_over_time(load1[1h]) of 100 hosts, 6 h at 60 s", "avg_over_time(node_load1[1h])", 6, 60),
]


def peers():
    def bellwether(p):
        return [ROOT / "target/release/bellwether", "serve", "--data", p.data, "--listen", f"127.0.0.1:{p.port}", "--otlp-grpc", "off",
                "--otlp-http", "off", "--set", "host.enabled=false", "--set", "telemetry.enabled=false", "--set", "retention.metrics=off"]

    def victoria(p):
        return ["victoria-metrics", f"-storageDataPath={p.data}", f"-httpListenAddr=127.0.0.1:{p.port}", "-retentionPeriod=10y",
                "-search.latencyOffset=0s", "-search.disableCache"]

    def prometheus(p):
        (p.data / "c.yml").write_text("{}\n")
        return ["prometheus", f"--config.file={p.data}/c.yml", f"--storage.tsdb.path={p.data}/data",
                f"--web.listen-address=127.0.0.1:{p.port}", "--web.enable-remote-write-receiver"]

    return [Peer("bellwether", bellwether, 14300, "/api/v1/write"), Peer("victoriametrics", victoria, 14301, "/api/v1/write"),
            Peer("prometheus", prometheus, 14302, "/api/v1/write")]


def measure(peer, args, from_ms, end):
    row = {"start_s": peer.start()}
    row["idle_mb"] = peer.resident()
    before = peer.cpu()
    connections = 1 if peer.name == "prometheus" else 2
    peak = Peak(peer)
    out = subprocess.run(
        [LOADGEN, "write", "--addr", f"127.0.0.1:{peer.port}", "--path", peer.write, "--hosts", str(args.hosts), "--from-ms",
         str(from_ms), "--steps", str(args.steps), "--jitter-ms", str(args.jitter), "--connections", str(connections),
         "--per-request", str(args.per_request)],
        capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(f"{peer.name}: {out.stderr}")
    written = json.loads(out.stdout)
    row["cpu_after_write"] = (peer.cpu() - before) / written["samples"] * 1e6
    row["samples_per_s"] = written["samples_per_second"]
    row["peak_mb"] = peak.end()
    # Settling: until the process has been idle for a while.
    quiet, deadline = 0, time.monotonic() + args.settle
    while quiet < 5 and time.monotonic() < deadline:
        cpu = peer.cpu()
        time.sleep(1)
        quiet = quiet + 1 if peer.cpu() - cpu < 0.05 else 0
    row["cpu_settled"] = (peer.cpu() - before) / written["samples"] * 1e6
    row["resident_mb"] = peer.resident()
    row["queries"] = {name: peer.query(expr, hours, step, end, args.runs) for name, expr, hours, step in QUERIES}
    row["queries"]["label values of instance"] = peer.timed(
        f"/api/v1/label/instance/values?start={end - 6 * 3600}&end={end}", args.runs)
    peer.stop(signal.SIGKILL)
    row["recovery_s"] = peer.start()
    row["kept"] = rows_at(peer, end)
    peer.stop()
    data, log = peer.bytes()
    row["bytes_per_sample"], row["log_mb"] = data / written["samples"], log / (1 << 20)
    row["start_again_s"] = peer.start()
    peer.stop(signal.SIGKILL)
    shutil.rmtree(peer.data, ignore_errors=True)
    return row


def rows_at(peer, end):
    """Series with a sample at the last step, which was acknowledged before the SIGKILL."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": "count(node_load1)", "time": end, **peer.extra})
    for _ in range(50):
        body = json.load(urllib.request.urlopen(f"http://127.0.0.1:{peer.port}{path}", timeout=60))
        if body["data"]["result"]:
            return int(body["data"]["result"][0]["value"][1])
        time.sleep(0.1)
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1440, help="15 s each; 1440 are 6 h")
    parser.add_argument("--jitter", type=int, default=0)
    parser.add_argument("--per-request", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--settle", type=int, default=120)
    parser.add_argument("--only", default="")
    parser.add_argument("--save", action="store_true", help="append the table to bench/RESULTS.md")
    args = parser.parse_args()
    now = int(time.time()) // 3600 * 3600
    from_ms = (now - args.steps * 15) * 1000
    end = from_ms // 1000 + (args.steps - 1) * 15
    rows = {}
    for peer in peers():
        if args.only and peer.name not in args.only.split(","):
            continue
        print(f"measuring {peer.name} ...", file=sys.stderr)
        rows[peer.name] = measure(peer, args, from_ms, end)
    text = table(rows, args)
    print(text)
    if args.save:
        with open(ROOT / "bench/RESULTS.md", "a") as file:
            file.write(text)


def table(rows, args):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    today = datetime.date.today().isoformat()
    names = list(rows)
    out = [f"\n## {today}, commit {commit}", "",
           f"`make bench`: {args.hosts} hosts x 100 series x {args.steps} steps of 15 s, jitter {args.jitter} ms, "
           f"{args.per_request} samples a request, 2 cores", "",
           "| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]

    def line(label, get, form="{:.2f}"):
        out.append(f"| {label} | " + " | ".join(form.format(get(rows[n])) for n in names) + " |")

    line("CPU-s per million samples, until the last answer", lambda r: r["cpu_after_write"])
    line("CPU-s per million samples, settled", lambda r: r["cpu_settled"])
    line("samples per second", lambda r: r["samples_per_s"], "{:.0f}")
    line("bytes per sample on disk, data and index, settled and stopped", lambda r: r["bytes_per_sample"])
    line("MB of write-ahead log beside it", lambda r: r["log_mb"], "{:.0f}")
    line("resident MB: idle at start", lambda r: r["idle_mb"], "{:.0f}")
    line("resident MB: peak while writing", lambda r: r["peak_mb"], "{:.0f}")
    line("resident MB: settled", lambda r: r["resident_mb"], "{:.0f}")
    line("seconds until ready: empty", lambda r: r["start_s"])
    line("seconds until ready: after SIGKILL", lambda r: r["recovery_s"])
    line("seconds until ready: after a clean stop", lambda r: r["start_again_s"])
    line(f"series of {args.hosts} with their last sample after SIGKILL", lambda r: r["kept"], "{:d}")
    for name in next(iter(rows.values()))["queries"]:
        line(f"{name}: ms (median of {args.runs})", lambda r, name=name: r["queries"][name]["median_ms"], "{:.1f}")
    return "\n".join(out) + "\n"


main()
