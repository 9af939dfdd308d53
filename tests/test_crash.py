"""SIGKILL at random moments under load: every acknowledged sample is there exactly once.

KILLS sets how many (10 by default, 1,000 in `make soak`); SEED repeats a run's moments.
"""

import os
import random
import threading
import time

import requests

import remote_write as rw
from harness import wait_for

KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", str(random.randrange(1 << 32))))
WRITERS = 4
SERIES = 25
# Small heads and frequent compaction, so that kills fall into flushes and merges too.
BUSY = ["--set", "host.enabled=false", "--set", "storage.head_bytes=256KiB", "--set", "storage.wal_file_bytes=1MiB"]


class Writer(threading.Thread):
    """Sends request n with one sample of value n in each of its series; remembers what was acknowledged."""

    def __init__(self, server, number, t0_ms):
        super().__init__(daemon=True)
        self.server, self.number, self.t0_ms = server, number, t0_ms
        self.sent, self.acknowledged, self.stopping = 0, set(), threading.Event()

    def run(self):
        session = requests.Session()
        while not self.stopping.is_set():
            n = self.sent
            self.sent += 1
            series = [
                ({"__name__": "crash", "w": str(self.number), "s": str(s)}, [(self.t0_ms + n * 10, float(n))])
                for s in range(SERIES)
            ]
            try:
                answer = session.post(
                    self.server.url + "/api/v1/write", data=rw.snappy(rw.v1(series)), headers=rw.V1, timeout=10
                )
                if answer.ok:
                    self.acknowledged.add(n)
                elif answer.status_code != 503:
                    raise AssertionError(f"{answer.status_code}: {answer.text}")
            except requests.RequestException:
                time.sleep(0.02)


def samples(server, writer, series, t0_ms, sent):
    end = (t0_ms + sent * 10) / 1000
    result = server.query(f'crash{{w="{writer}",s="{series}"}}[{sent * 10 + 1000}ms]', at=end)
    return [(round(t * 1000), float(v)) for t, v in result[0]["values"]] if result else []


def test_no_acknowledged_sample_is_lost_or_doubled(fresh):
    print(f"SEED={SEED} KILLS={KILLS}")
    chance = random.Random(SEED)
    server = fresh(args=BUSY).start()
    t0_ms = int(time.time() * 1000) - 3_600_000
    writers = [Writer(server, n, t0_ms) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 1.2))
        server.kill()
        server.start()
    time.sleep(0.3)
    for writer in writers:
        writer.stopping.set()
    for writer in writers:
        writer.join(30)
    server.kill()
    server.start()
    assert all(w.acknowledged for w in writers)
    for writer in writers:
        for series in range(SERIES):
            found = samples(server, writer.number, series, t0_ms, writer.sent)
            times = [t for t, _ in found]
            assert len(times) == len(set(times)), f"seed {SEED}: a sample is there twice"
            assert all(t == t0_ms + v * 10 for t, v in found), f"seed {SEED}: a sample changed"
            missing = writer.acknowledged - {int(v) for _, v in found}
            assert not missing, f"seed {SEED}: writer {writer.number} series {series} lost {sorted(missing)[:5]}"


def test_a_torn_tail_of_the_log_costs_only_what_was_not_acknowledged(fresh):
    server = fresh().start()
    t = int(time.time() * 1000)
    for n in range(50):
        assert rw.send_v1(server, [({"__name__": "torn"}, [(t + n, float(n))])]).ok
    server.kill()
    last = max((server.data / "wal").glob("*.wal"))
    with open(last, "r+b") as file:
        raw = file.read().rstrip(b"\0")
        file.seek(len(raw) - 7)  # within the last record
        file.write(b"\xa5" * 7)
    server.start()
    values = [float(v) for _, v in server.query("torn[1m]", at=t / 1000 + 1)[0]["values"]]
    assert values == [float(n) for n in range(49)]
    assert rw.send_v1(server, [({"__name__": "torn"}, [(t + 100, 100.0)])]).ok
    server.kill()
    server.start()
    assert wait_for("the write after the torn tail", lambda: server.value("torn", at=t / 1000 + 1) == 100)
