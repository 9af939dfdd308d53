"""One command: many health checks, many rules, and the rules that tenants begin with on an idle host.

`checks` makes so many checks of a local page and a local port every 30 seconds, `rules` so many thresholds over as many series every 30 seconds,
`idle` counts what the default rules tell of a host that does nothing else. CPU is the server's own, user and system; memory is resident.
Run the release build on an idle machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import tenants
from tenants import Client, cpu_s, quantile, rss_kb

PORT = tenants.PORT
BASE = "/api/v1/monitoring"


class Page(threading.Thread):
    """A page and a port that answer at once, in a process of its own so that they cost the server nothing."""

    CODE = """
import asyncio, sys
async def answer(reader, writer):
    try:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

    def __init__(self):
        super().__init__(daemon=True)
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def end(self):
        self.process.kill()


def metrics(client):
    status, body = client.ask("GET", "/metrics")
    assert status == 200, body
    found = {}
    for line in body.decode().splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def made(client, path, bodies):
    began = time.monotonic()
    for body in bodies:
        status, answer = client.ask("POST", path, body)
        assert status == 201, answer
    return time.monotonic() - began


def watched(server, seconds):
    """CPU-seconds per second and memory over a stretch of time."""
    before, began = cpu_s(server.pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(server.pid) - before) / (time.monotonic() - began), rss_kb(server.pid) / 1024


def checks(client, server, count, seconds):
    page = Page()
    half = count // 2
    bodies = [{"name": f"page {n}", "type": "http", "target": f"http://127.0.0.1:{page.port}/{n}", "interval": 30, "timeout": 5} for n in range(half)]
    bodies += [{"name": f"port {n}", "type": "tcp", "target": f"127.0.0.1:{page.port}", "interval": 30, "timeout": 5} for n in range(count - half)]
    took = made(client, f"{BASE}/health-checks", bodies)
    time.sleep(35)
    first = metrics(client)
    cpu, memory = watched(server, seconds)
    last = metrics(client)
    runs = last["bellwether_check_runs_total"] - first["bellwether_check_runs_total"]
    missed = last["bellwether_check_runs_missed_total"] - first["bellwether_check_runs_missed_total"]
    began = time.perf_counter()
    status, answer = client.ask("GET", f"{BASE}/health-checks?limit=100")
    listed = (time.perf_counter() - began) * 1e3
    summary = json.loads(answer)["summary"]
    page.end()
    print(f"{count} checks: made in {took:.0f} s; {runs / seconds:.0f} runs/s, {missed:.0f} missed, {cpu * 100:.1f} % of a core, "
          f"{memory:.0f} MiB; first page of the list {listed:.0f} ms; {summary}")


def rules(client, server, count, seconds):
    samples = [{"name": "load", "value": n % 100, "tags": {"host": f"h{n}"}} for n in range(count)]

    def send():
        for at in range(0, count, 5000):
            status, answer = client.ask("POST", "/api/metrics", {"metrics": samples[at:at + 5000]})
            assert status == 200, answer

    send()
    bodies = [{"name": f"load {n}", "type": "threshold", "severity": "warning", "interval": 30,
               "condition": {"metric": "load", "filter": f'host="h{n}"', "operator": ">", "threshold": 98}} for n in range(count)]
    took = made(client, f"{BASE}/alerts", bodies)
    send()
    time.sleep(35)
    cpu, memory = watched(server, seconds)
    late, now = [], time.time()
    after = ""
    while True:
        status, answer = client.ask("GET", f"{BASE}/alerts?limit=1000{after}")
        page = json.loads(answer)
        for rule in page["items"]:
            if rule["evaluatedAt"]:
                at = time.mktime(time.strptime(rule["evaluatedAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                late.append(now - at)
        if not page["next"]:
            break
        after = f"&after={page['next'].replace(' ', '%20')}"
        now = time.time()
    status, answer = client.ask("GET", f"{BASE}/alerts/events?limit=1000")
    fired = len(json.loads(answer)["items"])
    print(f"{count} rules: made in {took:.0f} s; {cpu * 100:.1f} % of a core, {memory:.0f} MiB; the last evaluation was "
          f"{quantile(late, 0.5):.0f} s (median), {quantile(late, 0.99):.0f} s (99 %), {max(late):.0f} s (most) ago; {fired} fire of {count // 100} in breach")


def idle(client, server, seconds):
    time.sleep(seconds)
    status, answer = client.ask("GET", f"{BASE}/alerts/events?limit=1000")
    fired = [event["name"] for event in json.loads(answer)["items"]]
    cpu, memory = watched(server, 30)
    print(f"default rules on an idle host for {seconds} s: {len(fired)} fired {fired}; {cpu * 100:.1f} % of a core, {memory:.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["checks", "rules", "idle"])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--binary", type=Path, default=tenants.BINARY)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bellwether-response-") as folder:
        command = [str(given.binary), "serve", "--data", folder, "--listen", f"127.0.0.1:{PORT}", "--otlp-grpc", "off", "--otlp-http", "off"]
        if given.what != "idle":
            command += ["--set", "host.enabled=false"]
        command += ["--set", "limits.requests_per_caller=1000000"]
        log = Path(folder) / "log"
        server = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
        try:
            client = Client(tenants.first_key(log))
            {"checks": lambda: checks(client, server, given.count, given.seconds),
             "rules": lambda: rules(client, server, given.count, given.seconds),
             "idle": lambda: idle(client, server, given.seconds)}[given.what]()
        finally:
            server.terminate()
            server.wait(30)


main()
