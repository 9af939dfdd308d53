"""Alertmanager's API on the real binary, with Debian's amtool and prometheus: alerts come in, are silenced, and arrive."""

import json
import subprocess

import requests

from harness import free_port, wait_for
from test_alerts import Api, hooks, start  # noqa: F401

FILE = """
route:
  receiver: everybody
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  routes:
  - receiver: pager
    matchers: [severity="page"]
    continue: true
receivers:
- name: everybody
  webhook_configs:
  - url: {hook}
    http_config: {{basic_auth: {{username: u, password: topsecret}}}}
- name: pager
  slack_configs:
  - api_url: {slack}
    channel: '#{{{{ .CommonLabels.alertname }}}}'
    title: '{{{{ .Status | toUpper }}}} {{{{ .CommonLabels.alertname }}}}'
    text: '{{{{ range .Alerts }}}}{{{{ .Annotations.summary }}}}{{{{ end }}}}'
inhibit_rules:
- source_matchers: [alertname="Datacenter"]
  target_matchers: [alertname="Host"]
  equal: [dc]
"""


def given(fresh, tmp_path, hooks, **more):  # noqa: F811
    file = tmp_path / "alertmanager.yml"
    file.write_text(FILE.format(hook=hooks.url("hook"), slack=hooks.url("slack")))
    settings = {"host.enabled": "false", "alerting.alertmanager_file": str(file), **more}
    return fresh(args=[part for key, value in settings.items() for part in ("--set", f"{key}={value}")]).start()


def amtool(server, *arguments, code=0):
    key = server.auth["Authorization"].split()[1]
    url = f"http://amtool:{key}@{server.url.split('//')[1]}/alertmanager"
    done = subprocess.run(["amtool", f"--alertmanager.url={url}", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def test_amtool_adds_queries_and_silences(fresh, hooks, tmp_path):  # noqa: F811
    server = given(fresh, tmp_path, hooks)
    amtool(server, "alert", "add", "alertname=Disk", "severity=page", "host=a", "--annotation=summary=it is full")
    [shown] = json.loads(amtool(server, "-o", "json", "alert", "query", "alertname=Disk"))
    assert (shown["labels"]["host"], shown["status"]["state"]) == ("a", "active")
    assert sorted(receiver["name"] for receiver in shown["receivers"]) == ["everybody", "pager"] or \
        [receiver["name"] for receiver in shown["receivers"]] == ["pager"]
    slack = json.loads(wait_for("a message", lambda: (hooks.of("slack") or [None])[0])[1])
    assert (slack["channel"], slack["attachments"][0]["title"]) == ("#Disk", "FIRING Disk")
    assert slack["attachments"][0]["text"] == "it is full"

    silence = amtool(server, "silence", "add", "host=a", "--comment=disk change", "--duration=1h", "--author=ann").strip()
    assert len(silence) == 36
    [held] = json.loads(amtool(server, "-o", "json", "alert", "query", "--silenced"))
    assert held["status"] == {"state": "suppressed", "silencedBy": [silence], "inhibitedBy": []} or \
        held["status"]["silencedBy"] == [silence]
    assert "disk change" in amtool(server, "silence", "query", "host=a")
    saved = amtool(server, "-o", "json", "silence", "query")
    amtool(server, "silence", "expire", silence)
    assert not json.loads(amtool(server, "-o", "json", "silence", "query"))
    fresh_ones = json.loads(saved)
    for one in fresh_ones:
        del one["id"]
    path = tmp_path / "silences.json"
    path.write_text(json.dumps(fresh_ones))
    amtool(server, "silence", "import", str(path))
    assert "disk change" in amtool(server, "silence", "query")
    shown = amtool(server, "config", "show")
    assert "receiver: everybody" in shown and "topsecret" not in shown


def test_alerts_that_others_send_are_grouped_inhibited_and_end(fresh, hooks, tmp_path):  # noqa: F811
    server = given(fresh, tmp_path, hooks)
    base = f"{server.url}/api/v2"

    def send(*alerts, code=200):
        answer = requests.post(f"{base}/alerts", json=list(alerts), headers=server.auth, timeout=20)
        assert answer.status_code == code, answer.text
        return answer

    host = {"labels": {"alertname": "Host", "dc": "x", "host": "a"}, "generatorURL": "http://prom/graph"}
    send({"labels": {"alertname": "Datacenter", "dc": "x"}}, host)
    found = requests.get(f"{base}/alerts?inhibited=true&filter=alertname=Host", headers=server.auth, timeout=20).json()
    assert found[0]["status"]["state"] == "suppressed" and len(found[0]["status"]["inhibitedBy"]) == 1
    assert found[0]["generatorURL"] == "http://prom/graph"
    told = wait_for("the datacenter", lambda: [json.loads(body) for _, body in hooks.of("hook")])
    assert [alert["labels"]["alertname"] for one in told for alert in one["alerts"]] == ["Datacenter"]
    assert hooks.of("hook")[0][0]["authorization"].startswith("Basic ")
    send({"labels": {"alertname": "Datacenter", "dc": "x"}, "endsAt": "2020-01-01T00:00:00Z", "startsAt": "2019-01-01T00:00:00Z"})
    wait_for("its end", lambda: any(json.loads(b)["status"] == "resolved" for _, b in hooks.of("hook")))
    wait_for("the host", lambda: any("Host" in json.loads(b)["groupKey"] for _, b in hooks.of("hook")))

    assert send({"labels": {}}, {"labels": {"alertname": "Good"}}, code=400).json() == "at least one label pair required"
    groups = requests.get(f"{base}/alerts/groups", headers=server.auth, timeout=20).json()
    assert {group["labels"]["alertname"] for group in groups} == {"Host", "Good"}
    refused = requests.get(f"{base}/alerts?filter=x%7B", headers=server.auth, timeout=20)
    assert (refused.status_code, refused.json()) == (400, "bad matcher format: x{")
    assert requests.post(f"{base}/silences", json={}, headers=server.auth, timeout=20).json()["code"] == 602
    assert requests.get(f"{server.url}/alertmanager/-/healthy", timeout=20).text == "OK"
    names = requests.get(f"{base}/receivers", headers=server.auth, timeout=20).json()
    assert {"name": "pager"} in names


def test_a_prometheus_sends_its_alerts_here(fresh, hooks, tmp_path):  # noqa: F811
    server = given(fresh, tmp_path, hooks)
    key = server.auth["Authorization"].split()[1]
    (tmp_path / "rules.yml").write_text(
        "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: Always\n    expr: vector(1) > 0\n"
        "    labels: {severity: page}\n    annotations: {summary: 'it is {{ $value }}'}\n"
    )
    (tmp_path / "prometheus.yml").write_text(
        "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\nalerting:\n  alertmanagers:\n"
        f"  - path_prefix: /alertmanager\n    authorization: {{credentials: {key}}}\n"
        f"    static_configs: [{{targets: ['{server.url.split('//')[1]}']}}]\n"
    )
    port = free_port()
    command = [
        "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
        # The first evaluation is before it knows where to send.
        f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=1s",
    ]
    prometheus = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        body = wait_for("its alert", lambda: (hooks.of("slack") or [None])[0], seconds=60)[1]
        assert json.loads(body)["attachments"][0]["text"] == "it is 1"
    finally:
        prometheus.terminate()
        prometheus.wait(20)


def test_a_file_that_asks_what_we_lack_is_refused_with_its_line(fresh, hooks, tmp_path):  # noqa: F811
    server, api = start(fresh)
    url = f"{server.url}/api/v1/monitoring/prometheus/alertmanager"
    rows = [
        ("receivers:\n- name: a\n  opsgenie_configs:\n  - api_key: x\nroute: {receiver: a}\n", "alertmanager:3:"),
        ("receivers:\n- name: a\n  slack_configs:\n  - api_url: http://127.0.0.1/x\n    title: '{{ nope }}'\nroute: {receiver: a}\n", ":5:"),
        ("receivers:\n- name: a\n  webhook_configs:\n  - url_file: /etc/passwd\nroute: {receiver: a}\n", ":4:"),
    ]
    for text, place in rows:
        answer = requests.post(url, data=text, headers=server.auth, timeout=20)
        assert answer.status_code == 400 and place in answer.text, answer.text
    good = f"receivers:\n- name: a\n  webhook_configs:\n  - url: {hooks.url('saved')}\nroute: {{receiver: a, group_wait: 1s}}\n"
    assert requests.post(url, data=good, headers=server.auth, timeout=20).status_code == 204
    requests.post(f"{server.url}/api/v2/alerts", json=[{"labels": {"alertname": "X"}}], headers=server.auth, timeout=20)
    wait_for("a message", lambda: hooks.of("saved"))
