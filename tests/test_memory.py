"""Inside a cgroup of 512 MB: more series than fit are refused with a reason, queries too; nothing dies."""

import os
import time
from pathlib import Path

import pytest
import requests

import remote_write as rw

LIMIT = 512 << 20


@pytest.fixture
def cgroup():
    """A memory cgroup of either version; needs the right to make one, as in CI."""
    root = Path("/sys/fs/cgroup")
    folder = (root / "memory" if (root / "memory").is_dir() else root) / f"bellwether-test-{os.getpid()}"
    folder.mkdir()
    limit = folder / ("memory.limit_in_bytes" if (folder / "memory.limit_in_bytes").exists() else "memory.max")
    limit.write_text(str(LIMIT))
    yield folder
    for _ in range(50):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.1)


def test_a_flood_of_series_is_refused_and_the_server_lives(fresh, cgroup):
    join = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs; exec "$@"', "sh"]
    server = fresh(args=["--set", "telemetry.enabled=false", "--set", "host.enabled=false"], wrap=join).start()
    now = int(time.time() * 1000)
    assert rw.send_v1(server, [({"__name__": "known"}, [(now, 1.0)])]).ok
    statuses, session = {}, requests.Session()
    for n in range(120):
        series = [
            ({"__name__": "flood", "n": f"{n}-{i}", "instance": f"host-{i % 100:03d}.example.com:9100", "job": "node",
              "path": f"/a/rather/long/path/number/{n}/{i}"}, [(now + n, float(i))])
            for i in range(4000)
        ]
        answer = session.post(server.url + "/api/v1/write", data=rw.snappy(rw.v1(series)), headers=rw.V1, timeout=60)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code in (200, 204, 400, 503), answer.text
    assert statuses.get(400, 0) + statuses.get(503, 0) > 0, f"480,000 series fitted 512 MB: {statuses}"
    for expr in ("count(flood)", "sum by (instance) (flood)", "sum(rate(flood[5m]))", "flood"):
        answer = server.post("/api/v1/query", data={"query": expr, "time": now / 1000 + 1})
        assert answer.status_code in (200, 422, 503), answer.text[:500]
    assert rw.send_v1(server, [({"__name__": "known"}, [(now + 1000, 2.0)])]).ok, "known series go on"
    assert server.value("known", at=now / 1000 + 2) == 2
    assert server.process.poll() is None
