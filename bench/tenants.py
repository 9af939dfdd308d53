"""One command: a thousand tenants on one server. What it costs to create one and to keep it, and how long one waits while
another is over its limits.

Memory is resident memory of the server process, CPU its own user and system time. Run the release build on an idle machine.
"""

import argparse
import datetime
import http.client
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from peers import ROOT

BINARY = ROOT / "target/release/bellwether"
PORT = 14390


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Client:
    """One connection that stays open, with a key."""

    def __init__(self, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method, path, body=None):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        self.connection.request(method, path, data, self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def first_key(log):
    """The key that a first start prints."""
    for _ in range(200):
        time.sleep(0.1)
        if found := re.search(r"\b(bw_[A-Za-z0-9_-]{20,})", log.read_text()):
            return found.group(1)
    raise AssertionError(log.read_text())


def rss_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def settled_rss(pid):
    """Resident memory once it no longer moves."""
    last = rss_kb(pid)
    for _ in range(30):
        time.sleep(2)
        now = rss_kb(pid)
        if abs(now - last) < 256:
            return now
        last = now
    return last


def logs(lines):
    now = time.time_ns()
    records = [{"timeUnixNano": str(now + at), "body": {"stringValue": f"request {at} done in {at % 97} ms"}, "severityText": "INFO"}
               for at in range(lines)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).encode()


def wait_times(key, seconds):
    """How long one caller waits for writes and for queries, in milliseconds, one after the other."""
    client, body, writes, queries, until = Client(key), logs(100), [], [], time.monotonic() + seconds
    while time.monotonic() < until:
        for kind, call in ((writes, ("POST", "/v1/logs", body)),
                           (queries, ("GET", "/api/v1/monitoring/logs?query=request&limit=50", None))):
            began = time.perf_counter()
            status, answer = client.ask(*call)
            kind.append((time.perf_counter() - began) * 1e3)
            assert status == 200, (status, answer[:300])
        time.sleep(0.01)
    return writes, queries


def flood(key, stop, counts):
    """Writes and asks as fast as it is answered."""
    client, body = Client(key), logs(100)
    while not stop.is_set():
        for call in (("POST", "/v1/logs", body), ("GET", "/api/v1/monitoring/logs?query=request&limit=50", None)):
            try:
                status, _ = client.ask(*call)
            except (http.client.HTTPException, OSError):
                # A refused body is not read to its end, so the connection may be closed behind the answer.
                status, client = "closed", Client(key)
            counts[str(status)] = counts.get(str(status), 0) + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--database", help="URL of a PostgreSQL; SQLite without it")
    parser.add_argument("--binary", default=BINARY)
    args = parser.parse_args()
    data = tempfile.mkdtemp(prefix="bellwether-tenants-")
    log = open(Path(data) / "log", "w+")
    more = ["--set", f"database.url={args.database}"] if args.database else []
    process = subprocess.Popen([args.binary, "serve", "--data", data, "--listen", f"127.0.0.1:{PORT}", "--otlp-grpc", "off", "--otlp-http", "off",
                                "--set", "host.enabled=false", "--set", "telemetry.enabled=false", *more], stdout=log, stderr=subprocess.STDOUT)
    try:
        key = first_key(Path(data) / "log")
        told = subprocess.run([args.binary, "user", "link", "--data", data, *more], capture_output=True, text=True, check=True).stdout
        token = re.search(r"token=(\S+)", told).group(1)
        root = Client(key)
        # Tenants are made by who manages the platform: a person, not a key.
        root.headers.pop("Authorization")
        root.connection.request("POST", "/api/v1/auth/link", json.dumps({"token": token}), root.headers)
        answer = root.connection.getresponse()
        session = json.loads(answer.read())
        root.headers |= {"Cookie": answer.getheader("Set-Cookie").split(";")[0], "X-CSRF-Token": session["csrf"]}
        idle = settled_rss(process.pid)
        cpu, took, keys = cpu_s(process.pid), [], []
        for at in range(args.tenants):
            began = time.perf_counter()
            status, body = root.ask("POST", "/api/v1/tenants", {"id": f"t{at:05}", "name": f"Tenant {at}",
                                    "admin": {"email": f"admin@t{at:05}.test", "name": "Admin"}})
            took.append((time.perf_counter() - began) * 1e3)
            assert status == 201, (status, body[:300])
            keys.append(re.search(rb"bw_[A-Za-z0-9_-]{20,}", body).group(0).decode())
        made, provision_cpu = settled_rss(process.pid), cpu_s(process.pid) - cpu
        for key in keys:
            status, body = Client(key).ask("POST", "/v1/logs", logs(10))
            assert status == 200, body[:300]
        wrote = settled_rss(process.pid)
        status, body = root.ask("PUT", f"/api/v1/tenants/t00001/limits", {"requests": 600})
        assert status == 200, body[:300]
        time.sleep(2)
        wait_times(keys[0], 3)
        alone = wait_times(keys[0], args.seconds)
        stop, counts = threading.Event(), {}
        floods = [threading.Thread(target=flood, args=(keys[1], stop, counts)) for _ in range(8)]
        for one in floods:
            one.start()
        time.sleep(2)
        beside = wait_times(keys[0], args.seconds)
        stop.set()
        for one in floods:
            one.join()
    finally:
        process.terminate()
        process.wait(60)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    print(f"## {args.tenants} tenants, {'PostgreSQL' if args.database else 'SQLite'}, {datetime.date.today()}, {commit}\n")
    print("| figure | value |\n|---|---:|")
    print(f"| created in, ms: p50 / p99 / max | {quantile(took, .5):.1f} / {quantile(took, .99):.1f} / {max(took):.1f} |")
    print(f"| CPU per tenant created, ms | {provision_cpu / args.tenants * 1e3:.1f} |")
    print(f"| resident before / after, MiB | {idle / 1024:.0f} / {made / 1024:.0f} |")
    print(f"| resident per tenant, idle, KiB | {(made - idle) / args.tenants:.0f} |")
    print(f"| resident per tenant that wrote once, KiB | {(wrote - idle) / args.tenants:.0f} |")
    for name, one, two in (("write of 100 log records", alone[0], beside[0]), ("search", alone[1], beside[1])):
        print(f"| {name}, ms: p50 / p99 alone | {quantile(one, .5):.1f} / {quantile(one, .99):.1f} |")
        print(f"| {name}, ms: p50 / p99 beside a tenant over its limits | {quantile(two, .5):.1f} / {quantile(two, .99):.1f} |")
    print(f"| answers to the tenant over its limits, by status | {', '.join(f'{status}: {n}' for status, n in sorted(counts.items()))} |")


if __name__ == "__main__":
    main()
