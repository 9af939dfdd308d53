"""The pages in a real Chromium, driven by the scripts in ui/e2e: sign in by link, moving numbers, queries, their errors,
logs, the SQL console, traces, alerts, health checks, accounts and the administration."""

import os
import subprocess

import pytest

from harness import ROOT, wait_for


def drive(server, script, tmp_path, **more):
    shots = os.environ.get("SHOTS", str(tmp_path))
    env = {**os.environ, "BASE_URL": server.url, "SIGNIN_URL": server.link, "SHOTS": shots, **more}
    done = subprocess.run(["node", f"e2e/{script}.mjs"], cwd=ROOT / "ui", env=env, capture_output=True, text=True, timeout=400)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_work_in_a_browser(fresh, tmp_path):
    server = fresh(args=["--set", "host.interval=1s"]).start()
    # The explorer aligns its grid to steps of 15 s; the last one must already see a rate.
    wait_for("a rate of CPU", lambda: server.query("rate(node_cpu_seconds_total[3s] offset 17s)"), 60)
    drive(server, "run", tmp_path)


@pytest.mark.parametrize("script", ["logs", "traces"])
def test_records_and_traces_are_explored_in_a_browser(fresh, tmp_path, script):
    drive(fresh().start(), script, tmp_path, RECORDS="3000", SPANS="5000")


def test_rules_fire_and_are_taken_care_of_in_a_browser(fresh, tmp_path):
    server = fresh(args=["--set", "host.enabled=false"]).start()
    drive(server, "alerts", tmp_path, API_KEY=server.key)


def test_health_checks_are_tried_made_and_seen_in_a_browser(fresh, tmp_path):
    drive(fresh(args=["--set", "host.enabled=false"]).start(), "checks", tmp_path)


def test_accounts_and_the_administration_work_in_a_browser(fresh, tmp_path):
    drive(fresh().start(), "admin", tmp_path)
