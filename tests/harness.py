"""Starts the built binary on ports of its own and talks to it as a client would."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("BELLWETHER_BINARY", ROOT / "target/debug/bellwether"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds=30.0, every=0.1):
    """Calls `check` until it returns something true; fails with its last answer or error."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            last = check()
            if last:
                return last
        except (requests.RequestException, OSError, KeyError, IndexError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s; last seen: {last!r}")


class Server:
    """One process and its data folder. `kill` and `start` again keep the folder."""

    def __init__(self, data=None, args=(), env=None, wrap=(), binary=BINARY, scheme="http"):
        self.scheme = scheme
        self.data = Path(data or tempfile.mkdtemp(prefix="bellwether-test-"))
        self.owns_data = data is None
        self.port, self.grpc_port, self.otlp_port = free_port(), free_port(), free_port()
        self.args, self.env, self.wrap, self.binary = list(args), dict(env or {}), list(wrap), binary
        self.process = None
        self.key = self.link = None
        self.starts = 0
        self.log = self.data.parent / (self.data.name + ".log")

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def command(self):
        return [
            *self.wrap, str(self.binary), "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}",
            "--otlp-grpc", f"127.0.0.1:{self.grpc_port}", "--otlp-http", f"127.0.0.1:{self.otlp_port}", *self.args,
        ]

    def start(self, wait=True):
        self.output = open(self.log, "ab")
        self.process = subprocess.Popen(
            self.command(), stdout=self.output, stderr=subprocess.STDOUT, env={**os.environ, **self.env}
        )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.text()}")
            # Whether the certificate is the right one is for tests of it to find out.
            return requests.get(self.url + "/-/ready", timeout=2, verify=False).status_code == 200

        wait_for("the server is ready", ready, seconds, every=0.02)
        # The greeting follows; a later start of the same folder appends another.
        self.starts += 1
        wait_for("the greeting", lambda: self.text().count("is ready at http") >= self.starts, 10, every=0.01)
        text = self.text()
        if found := re.search(r"(http\S+/signin\?token=\S+)", text):
            self.link = found.group(1)
        if found := re.search(r"\b(bw_[A-Za-z0-9_-]{20,})", text):
            self.key = found.group(1)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            # A tracer around the server keeps signals to itself, so its child is told.
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split() if self.wrap else []
            for pid in children or [self.process.pid]:
                os.kill(int(pid), how)
            self.process.wait(30)
        if self.process:
            self.output.close()
        return self.process.returncode if self.process else None

    def stop(self):
        return self.kill(signal.SIGTERM)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.owns_data:
            shutil.rmtree(self.data, ignore_errors=True)
            self.log.unlink(missing_ok=True)

    @property
    def auth(self):
        return {"Authorization": f"Bearer {self.key}"}

    def get(self, path, **params):
        return requests.get(self.url + path, params=params, timeout=30)

    def post(self, path, **kwargs):
        kwargs.setdefault("timeout", 30)
        return requests.post(self.url + path, **kwargs)

    def query(self, expr, at=None):
        """The result of an instant query, by POST as Grafana sends it."""
        form = {"query": expr}
        if at is not None:
            form["time"] = at
        answer = self.post("/api/v1/query", data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    def range(self, expr, start, end, step):
        answer = self.post("/api/v1/query_range", data={"query": expr, "start": start, "end": end, "step": step})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["result"]

    def value(self, expr, at=None):
        """The value of the only element of an instant query, or None where there is none."""
        result = self.query(expr, at)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None
