"""What SIGKILL cannot show: the log is synced before the answer, folders after each create or rename; a full
disk and a read-only folder refuse with a reason and recover."""

import os
import re
import shutil
import subprocess
import time

import pytest
import requests

import remote_write as rw
from harness import BINARY, Server, wait_for


def now_ms():
    return int(time.time() * 1000)


def calls(trace):
    """(pid, call, rest of the line) in order; resumed calls count where they end."""
    pending = {}
    for line in trace.read_text(errors="replace").splitlines():
        if not (found := re.match(r"(\d+)\s+[\d:.]+ (.*)", line)):
            continue
        pid, text = found.groups()
        if text.endswith("<unfinished ...>"):
            pending[pid] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
            text = pending.pop(pid, "") + resumed.group(1)
        yield pid, text.split("(")[0], text


def test_the_log_is_synced_between_request_and_answer(fresh, tmp_path):
    trace = tmp_path / "trace"
    what = "trace=read,recvfrom,recvmsg,readv,write,sendto,sendmsg,writev,pwrite64,pwritev,fdatasync,fsync"
    server = fresh(wrap=["strace", "-f", "-tt", "-y", "-s", "64", "-e", what, "-o", str(trace)]).start()
    t = now_ms()
    for n in range(20):
        assert rw.send_v1(server, [({"__name__": "synced"}, [(t + n, float(n))])]).ok
    server.stop()
    state, answered = None, 0
    for line in trace.read_text(errors="replace").splitlines():
        if "POST /api/v1/write" in line:
            state = "asked"
        elif state == "asked" and re.search(r"f(data)?sync\(\d+<[^>]*/wal/", line):
            state = "syncing" if "unfinished" in line else "synced"
        elif state == "syncing" and re.search(r"f(data)?sync resumed", line):
            state = "synced"
        elif "HTTP/1.1 20" in line and state is not None:
            assert state == "synced", f"answered before the sync: {line}"
            answered, state = answered + 1, None
    assert answered == 20


def test_a_folder_is_synced_after_each_create_or_rename(fresh, tmp_path):
    trace = tmp_path / "trace"
    what = "trace=openat,creat,rename,renameat,renameat2,mkdir,mkdirat,fsync,fdatasync"
    server = fresh(
        args=["--set", "host.enabled=false", "--set", "storage.head_bytes=64KiB"],
        wrap=["strace", "-f", "-tt", "-y", "-s", "256", "-e", what, "-o", str(trace)],
    ).start()
    t = now_ms()
    for n in range(60):
        assert rw.send_v1(server, [({"__name__": "made", "s": str(s)}, [(t + n, float(n))]) for s in range(100)]).ok
    time.sleep(2)
    server.stop()
    unsynced, made = {}, 0
    for _, call, text in calls(trace):
        inside = [p for p in re.findall(r'"([^"]+)"', text) if p.startswith(str(server.data))]
        if call in ("openat", "creat") and "O_CREAT" in text and "= -1" not in text and inside:
            path = inside[-1]
        elif call.startswith("rename") and "= 0" in text and inside:
            path = inside[-1]
        elif call in ("fsync", "fdatasync") and (found := re.search(r"\(\d+<([^>]+)>", text)):
            for name in [p for p in unsynced if os.path.dirname(p) == found.group(1)]:
                del unsynced[name]
            continue
        else:
            continue
        # What SQLite makes is its own; it syncs its folder when a journal commits. The lock holds no data.
        if re.search(r"\.db(-wal|-shm|-journal)?$|/lock$", path):
            continue
        unsynced[path], made = text, made + 1
    assert made > 3
    assert not unsynced, f"created or renamed without a sync of the folder: {list(unsynced)}"


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 48 MB, in a mount namespace of the test's own where possible."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(mounted)], capture_output=True, text=True)
    assert done.returncode == 0, f"a tmpfs is needed for this test: {done.stderr}"
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=False)


def test_a_full_disk_refuses_loses_nothing_and_recovers_by_itself(small_disk):
    server = Server(
        data=small_disk / "data",
        args=["--set", "host.enabled=false", "--set", "telemetry.enabled=false", "--set", "storage.wal_file_bytes=4MiB",
              "--set", "storage.head_bytes=4MiB"],
    )
    server.start()
    ballast = small_disk / "ballast"
    t0, acknowledged, refused = now_ms() - 3_600_000, set(), None

    def send(n):
        series = [({"__name__": "full", "s": str(s)}, [(t0 + n * 10, float(n) + s / 1000)]) for s in range(200)]
        return rw.send_v1(server, series)

    try:
        with open(ballast, "wb") as file:
            try:
                while True:
                    file.write(b"\0" * (256 << 10))
                    file.flush()
            except OSError:
                pass
        for n in range(20_000):
            answer = send(n)
            if answer.ok:
                acknowledged.add(n)
            else:
                refused = answer
                break
        assert refused is not None, "20,000 requests fitted a full disk"
        assert refused.status_code == 503 and "disk" in refused.text.lower() and "Retry-After" in refused.headers
        assert requests.get(server.url + "/healthz", timeout=5).status_code == 200
        ballast.unlink()
        wait_for("writes are taken again", lambda: send(30_000).ok, 30, every=0.5)
        server.kill()
        server.start()
        got = {int(float(v)) for _, v in server.query('full{s="0"}[2h]', at=t0 / 1000 + 3700)[0]["values"]}
        assert acknowledged <= got
    finally:
        server.kill()
        server.log.unlink(missing_ok=True)


def test_a_read_only_folder_is_a_clear_start_up_failure(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    os.chmod(tmp_path, 0o755)
    os.chmod(data, 0o555)
    binary = tmp_path / "bellwether"
    shutil.copy(BINARY, binary)
    # Root writes anywhere, so somebody else must try.
    for parent in list(tmp_path.parents)[:3]:
        if parent != parent.parent and parent.stat().st_uid == os.getuid() and str(parent).count("/") > 1:
            os.chmod(parent, parent.stat().st_mode | 0o055)
    command = [str(binary), "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    if os.getuid() == 0:
        command = ["runuser", "-u", "nobody", "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert str(data) in said and "permission" in said.lower() and "panicked" not in said, said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "nonsense"], "server.listen"),
        (["--set", "retention.metrics=soon"], "retention.metrics"),
        (["--set", "retenton.metrics=1d"], "retention"),
    ],
)
def test_a_bad_setting_names_itself(tmp_path, arguments, says):
    done = subprocess.run(
        [str(BINARY), "serve", "--data", str(tmp_path / "data"), *arguments], capture_output=True, text=True, timeout=20
    )
    assert done.returncode != 0 and says in done.stdout + done.stderr


def test_a_bad_config_file_names_line_and_key(tmp_path):
    config = tmp_path / "bellwether.toml"
    config.write_text('[server]\nlisten = "127.0.0.1:0"\n\n[retention]\nmetrics = "soon"\n')
    done = subprocess.run(
        [str(BINARY), "serve", "--config", str(config), "--data", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=20,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "retention.metrics" in said and ":5" in said, said


def test_a_taken_port_and_a_locked_folder_are_named(server, tmp_path):
    taken = subprocess.run(
        [str(BINARY), "serve", "--data", str(tmp_path / "other"), "--listen", f"127.0.0.1:{server.port}"],
        capture_output=True, text=True, timeout=20,
    )
    assert taken.returncode != 0 and str(server.port) in taken.stdout + taken.stderr
    command = [str(BINARY), "serve", "--data", str(server.data), "--listen", "127.0.0.1:0",
               "--otlp-grpc", "off", "--otlp-http", "off"]
    locked = subprocess.run(command, capture_output=True, text=True, timeout=20)
    said = (locked.stdout + locked.stderr).lower()
    assert locked.returncode != 0 and "another process" in said, said
