"""A server under measurement: its process, its memory, its bytes."""

import atexit
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
LOADGEN = ROOT / "target/release/loadgen"


class Peer:
    def __init__(self, name, command, port, write, prefix=""):
        self.name, self.command, self.port, self.write, self.prefix = name, command, port, write, prefix
        self.data = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))

    def start(self):
        self.log = open(self.data.parent / (self.data.name + ".log"), "wb")
        began = time.monotonic()
        self.process = subprocess.Popen([str(c) for c in self.command(self)], stdout=self.log, stderr=self.log)
        atexit.register(self.process.kill)
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.ready}", timeout=1)
                return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{self.name} ended: see {self.log.name}")
                time.sleep(0.01)

    @property
    def ready(self):
        return "/health" if self.name == "victoriametrics" else "/-/ready"

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(120)

    def bytes(self):
        """Data and index, and beside them the write-ahead log, whose files may be reserved ahead of their use."""
        log = total = 0
        for file in self.data.rglob("*"):
            if file.is_file():
                size = file.stat().st_blocks * 512
                total += size
                log += size if "wal" in file.parts else 0
        return total - log, log

    def query(self, expr, hours, step, end, runs):
        if step:
            path = "/api/v1/query_range?" + urllib.parse.urlencode(
                {"query": expr, "start": end - hours * 3600, "end": end, "step": step, **self.extra})
        else:
            path = "/api/v1/query?" + urllib.parse.urlencode({"query": expr, "time": end, **self.extra})
        return self.timed(path, runs)

    def timed(self, path, runs):
        out = subprocess.run([LOADGEN, "query", "--addr", f"127.0.0.1:{self.port}", "--path", path, "--runs", str(runs)],
                             capture_output=True, text=True)
        if out.returncode:
            return {"median_ms": float("nan"), "cold_ms": float("nan"), "bytes": 0, "error": out.stderr[:200]}
        return json.loads(out.stdout)

    @property
    def extra(self):
        return {"nocache": "1"} if self.name == "victoriametrics" else {}


class Peak(threading.Thread):
    """The largest resident size seen, ten times a second."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.most, self.over = peer, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.most = max(self.most, self.peer.resident())

    def end(self):
        self.over.set()
        self.join()
        return self.most
