"""Debian's Prometheus writes to us and is scraped by us; Debian's node_exporter is scraped by us."""

import subprocess
import time

import pytest

from harness import Server, free_port, wait_for


class Process:
    def __init__(self, *command, log):
        self.log = open(log, "wb")
        self.process = subprocess.Popen([str(c) for c in command], stdout=self.log, stderr=subprocess.STDOUT)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """node_exporter <- Prometheus -> us, and we scrape both."""
    home = tmp_path_factory.mktemp("prometheus")
    node_port, prometheus_port = free_port(), free_port()
    scrape = home / "scrape.yml"
    scrape.write_text(f"""
global:
  scrape_interval: 1s
  external_labels: {{ ours: "yes" }}
rule_files: [ "nothing.yml" ]
remote_write:
  - url: http://ignored.invalid/
scrape_configs:
  - job_name: node
    static_configs:
      - targets: [ "127.0.0.1:{node_port}" ]
        labels: {{ rack: "7" }}
    metric_relabel_configs:
      - source_labels: [ __name__ ]
        regex: go_.*
        action: drop
  - job_name: prometheus
    static_configs: [ {{ targets: [ "127.0.0.1:{prometheus_port}" ] }} ]
  - job_name: nobody
    static_configs: [ {{ targets: [ "127.0.0.1:1" ] }} ]
  - job_name: cloud
    consul_sd_configs: [ {{ server: "localhost:8500" }} ]
""")
    server = Server(args=["--set", "host.enabled=false", "--set", f"scrape.config_file={scrape}"]).start()
    config = home / "prometheus.yml"
    config.write_text(f"""
global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: node-by-prometheus
    static_configs: [ {{ targets: [ "127.0.0.1:{node_port}" ] }} ]
  - job_name: bellwether-by-prometheus
    static_configs: [ {{ targets: [ "127.0.0.1:{server.port}" ] }} ]
remote_write:
  - url: {server.url}/api/v1/write
    queue_config: {{ batch_send_deadline: 1s }}
""")
    node = Process("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{node_port}", log=home / "node.log")
    prometheus = Process(
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{prometheus_port}", log=home / "prometheus.log",
    )
    server.prometheus = f"http://127.0.0.1:{prometheus_port}"
    yield server
    prometheus.end()
    node.end()
    server.stop()
    server.remove()


def test_prometheus_remote_writes_and_results_equal_its_own(setting):
    import requests

    wait_for("written series", lambda: setting.query('up{job="node-by-prometheus"} == 1'), 40)
    time.sleep(6)
    at = time.time() - 3
    for expr in ['up{job="node-by-prometheus"}', 'node_memory_MemTotal_bytes{job="node-by-prometheus"}',
                 'count(node_cpu_seconds_total{job="node-by-prometheus"})',
                 'sum(node_cpu_seconds_total{job="node-by-prometheus"})']:
        theirs = requests.get(setting.prometheus + "/api/v1/query", params={"query": expr, "time": at}, timeout=10).json()
        ours = [float(r["value"][1]) for r in setting.query(expr, at=at)]
        # The order of a sum is free, so its last bits may differ.
        assert ours == pytest.approx([float(r["value"][1]) for r in theirs["data"]["result"]], rel=1e-12), expr
    metadata = wait_for("metadata", lambda: setting.get("/api/v1/metadata", metric="node_cpu_seconds_total").json()["data"], 70, every=1)
    assert metadata["node_cpu_seconds_total"][0]["type"] == "counter"


def test_our_own_metrics_are_scraped_by_prometheus(setting):
    import requests

    def scraped():
        body = requests.get(setting.prometheus + "/api/v1/query", timeout=5,
                            params={"query": 'bellwether_items_accepted_total{job="bellwether-by-prometheus",protocol="remote_write"}'})
        return body.json()["data"]["result"]

    assert float(wait_for("our counter in Prometheus", scraped, 30)[0]["value"][1]) > 0


def test_node_exporter_is_scraped(setting):
    up = wait_for("up", lambda: setting.query('up{job="node"} == 1'), 20)
    assert up[0]["metric"]["rack"] == "7"
    assert setting.query('node_uname_info{job="node",rack="7"}')
    assert not setting.query('{__name__=~"go_.*",job="node"}')
    assert setting.value('scrape_samples_scraped{job="node"}') > 500


def test_prometheus_itself_is_scraped(setting):
    wait_for("its own metrics", lambda: setting.query('prometheus_build_info{job="prometheus"}'), 20)
    wait_for("a rate", lambda: (setting.value('rate(prometheus_http_requests_total{job="prometheus",handler="/metrics"}[10s])') or 0) > 0, 30)


def test_a_target_that_is_down_is_shown_and_up_is_zero(setting):
    wait_for("up is 0", lambda: setting.value('up{job="nobody"}') == 0, 20)
    targets = setting.get("/api/v1/targets").json()["data"]
    down = [t for t in targets["activeTargets"] if t["scrapePool"] == "nobody"][0]
    assert down["health"] == "down" and down["lastError"]


def test_a_job_with_a_discovery_we_lack_is_named_and_stops_no_other(setting):
    jobs = setting.get("/api/v1/targets").json()["data"]["unsupportedJobs"]
    assert [j["job"] for j in jobs] == ["cloud"] and "consul" in jobs[0]["reason"]


def test_prometheus_reads_back_through_remote_read(setting, tmp_path):
    import requests

    at = time.time() - 5
    want = wait_for("a value", lambda: setting.query("node_memory_MemTotal_bytes{job=\"node\"}", at=at), 20)
    port = free_port()
    config = tmp_path / "read.yml"
    config.write_text(f"remote_read:\n  - url: {setting.url}/api/v1/read\n    read_recent: true\n")
    reader = Process("prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
                     f"--web.listen-address=127.0.0.1:{port}", log=tmp_path / "log")
    try:
        def read():
            body = requests.get(f"http://127.0.0.1:{port}/api/v1/query",
                                params={"query": 'node_memory_MemTotal_bytes{job="node"}', "time": at}, timeout=5).json()
            return body["data"]["result"]

        got = wait_for("an answer through remote read", read, 20)
        assert [r["value"][1] for r in got] == [r["value"][1] for r in want]
    finally:
        reader.end()
