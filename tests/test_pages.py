"""The pages in a real Chromium, driven by ui/e2e/run.mjs: sign in by link, moving numbers, a query, its errors."""

import os
import subprocess

from harness import ROOT


def test_the_pages_work_in_a_browser(fresh, tmp_path):
    server = fresh(args=["--set", "host.interval=1s"]).start()
    shots = os.environ.get("SHOTS", str(tmp_path))
    env = {**os.environ, "BASE_URL": server.url, "SIGNIN_URL": server.link, "SHOTS": shots}
    done = subprocess.run(["node", "e2e/run.mjs"], cwd=ROOT / "ui", env=env, capture_output=True, text=True, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
