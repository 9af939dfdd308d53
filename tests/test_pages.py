"""The pages in a real Chromium, driven by ui/e2e/run.mjs: sign in by link, moving numbers, a query, its errors."""

import os
import subprocess

from harness import ROOT, wait_for


def test_the_pages_work_in_a_browser(fresh, tmp_path):
    server = fresh(args=["--set", "host.interval=1s"]).start()
    # The explorer aligns its grid to steps of 15 s; the last one must already see a rate.
    wait_for("a rate of CPU", lambda: server.query("rate(node_cpu_seconds_total[3s] offset 17s)"), 60)
    shots = os.environ.get("SHOTS", str(tmp_path))
    env = {**os.environ, "BASE_URL": server.url, "SIGNIN_URL": server.link, "SHOTS": shots}
    done = subprocess.run(["node", "e2e/run.mjs"], cwd=ROOT / "ui", env=env, capture_output=True, text=True, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
