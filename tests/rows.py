"""What the tests of logs and traces share: SQL, and sending with real clients."""

import json
import subprocess
import time
from pathlib import Path

from harness import ROOT, wait_for


def sql(server, query, **body):
    """Rows of a statement as dictionaries."""
    answer = server.post("/api/v1/sql", json={"query": query, **body})
    assert answer.status_code == 200, answer.text
    table = answer.json()
    return [dict(zip(table["columns"], row)) for row in table["rows"]]


def one(server, query, **body):
    """The only value of a statement."""
    rows = sql(server, query, **body)
    assert len(rows) == 1 and len(rows[0]) == 1, rows
    return next(iter(rows[0].values()))


def wait_for_rows(server, query, count, seconds=15):
    return wait_for(query, lambda: len(found := sql(server, query)) >= count and found, seconds)


def node(*arguments):
    """Runs a script of tests/js and returns what it printed last, as JSON."""
    modules = ROOT / "tests/js/node_modules"
    assert modules.exists(), "npm ci in tests/js has not run"
    done = subprocess.run(["node", *map(str, arguments)], cwd=ROOT / "tests/js", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def now_ns():
    return time.time_ns()
