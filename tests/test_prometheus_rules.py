"""Rule files of Prometheus on the real binary: evaluated, shown as Prometheus shows them, tested as promtool tests."""

import subprocess

import requests

from harness import BINARY, wait_for
from test_alerts import Api, hooks, without_defaults  # noqa: F401

RULES = """
groups:
- name: first
  interval: 1s
  rules:
  - record: job:load:sum
    expr: sum by (job) (load)
    labels: {level: "1"}
  - alert: Loaded
    expr: job:load:sum > 5
    labels: {severity: critical, region: '{{ $externalLabels.region }}'}
    annotations: {summary: '{{ $labels.job }} is at {{ $value }} of {{ with query "vector(10)" }}{{ . | first | value }}{{ end }}'}
  - alert: Slow
    expr: load > 100
    for: 1h
- name: broken
  interval: 1s
  rules:
  - record: r
    expr: sum by (a) ({__name__=~"load.*"})
    labels: {a: b}
"""


def send(server, **values):
    metrics = [{"name": name, "value": value, "type": "gauge", "tags": {"job": "j"}} for name, value in values.items()]
    answer = requests.post(f"{server.url}/api/metrics", json={"metrics": metrics}, headers=server.auth, timeout=20)
    assert answer.status_code == 200, answer.text


def ask(server, path, code=200, **params):
    answer = requests.get(f"{server.url}{path}", params=params, headers=server.auth, timeout=20)
    assert answer.status_code == code, answer.text
    return answer.json().get("data", answer.json())


def value(server, expression):
    result = ask(server, "/api/v1/query", query=expression)["result"]
    return [(series["metric"], series["value"][1]) for series in result]


def given(fresh, tmp_path, **more):
    (tmp_path / "rules").mkdir(exist_ok=True)
    (tmp_path / "rules" / "a.yml").write_text(RULES)
    settings = {
        "host.enabled": "false", "alerting.rule_files": str(tmp_path / "rules" / "*.yml"),
        "alerting.external_labels": '{"region": "eu"}', **more,
    }
    return fresh(args=[part for key, value in settings.items() for part in ("--set", f"{key}={value}")])


def test_rules_of_a_file_record_and_fire_and_are_shown(fresh, hooks, tmp_path):  # noqa: F811
    server = given(fresh, tmp_path).start()
    api = Api(server)
    without_defaults(api)
    api.channel("hook", "webhook", {"url": hooks.url("hook")})
    api("PUT", "objects/route/all", {"channels": ["hook"], "group_wait": "1s", "group_interval": "2s"}, 200)
    send(server, load=3)
    wait_for("what is recorded", lambda: value(server, "job:load:sum"))
    assert value(server, "job:load:sum") == [({"__name__": "job:load:sum", "job": "j", "level": "1"}, "3")]
    assert value(server, 'ALERTS{alertname="Loaded"}') == []
    send(server, load=7)
    wait_for("the alert", lambda: value(server, 'ALERTS{alertname="Loaded",alertstate="firing"}'))
    [(labels, one)] = value(server, 'ALERTS{alertname="Loaded"}')
    assert (labels["alertname"], labels["region"], labels["job"], one) == ("Loaded", "eu", "j", "1")
    assert len(value(server, 'ALERTS_FOR_STATE{alertname="Loaded"}')) == 1
    body = wait_for("a message", lambda: (hooks.of("hook") or [None])[0])[1].decode()
    assert "j is at 7 of 10" in body

    [alert] = ask(server, "/api/v1/alerts")["alerts"]
    assert (alert["state"], alert["value"], alert["labels"]["severity"]) == ("firing", "7e+00", "critical")
    groups = ask(server, "/prometheus/api/v1/rules")["groups"]
    assert [group["name"] for group in groups] == ["broken", "first"]
    first = groups[1]
    assert first["interval"] == 1 and first["file"].endswith("a.yml") and first["lastEvaluation"] > "2000"
    assert [(rule["type"], rule["name"], rule["health"]) for rule in first["rules"]] == [
        ("recording", "job:load:sum", "ok"), ("alerting", "Loaded", "ok"), ("alerting", "Slow", "ok"),
    ]
    assert first["rules"][1]["state"] == "firing" and first["rules"][2]["duration"] == 3600
    rules = lambda **params: [r["name"] for g in ask(server, "/api/v1/rules", **params)["groups"] for r in g["rules"]]  # noqa: E731
    assert rules(type="record") == ["r", "job:load:sum"]
    assert rules(**{"rule_name[]": ["Slow"]}) == ["Slow"] and rules(**{"rule_group[]": "broken"}) == ["r"]
    assert rules(**{"match[]": '{severity="critical"}'}) == ["Loaded"]
    assert ask(server, "/api/v1/rules", code=400, type="x")["errorType"] == "bad_data"
    page = ask(server, "/api/v1/rules", group_limit=1)
    rest = ask(server, "/api/v1/rules", group_limit=1, group_next_token=page["groupNextToken"])
    assert [page["groups"][0]["name"], rest["groups"][0]["name"]] == ["broken", "first"]

    send(server, load=1)
    wait_for("its end", lambda: value(server, "ALERTS") == [])
    wait_for("its end told", lambda: any(b'"status":"resolved"' in body for _, body in hooks.of("hook")))


def test_files_are_read_anew_and_a_bad_one_changes_nothing(fresh, tmp_path):
    server = given(fresh, tmp_path).start()
    send(server, load=3)
    wait_for("what is recorded", lambda: value(server, "job:load:sum"))
    bad = tmp_path / "rules" / "b.yml"
    bad.write_text("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n")
    reload = lambda: requests.post(f"{server.url}/-/reload", headers=server.auth, timeout=20)  # noqa: E731
    answer = reload()
    assert answer.status_code == 400 and "b.yml:5:" in answer.text, answer.text
    files = {group["file"].rsplit("/", 1)[-1] for group in ask(server, "/api/v1/rules")["groups"]}
    assert "a.yml" in files and "b.yml" not in files
    bad.write_text("groups:\n- name: more\n  rules:\n  - record: two\n    expr: vector(2)\n")
    assert reload().status_code == 200
    wait_for("the new file", lambda: value(server, "two"))
    bad.unlink()
    (tmp_path / "rules" / "a.yml").unlink()
    assert reload().status_code == 200
    wait_for("the ends of the series", lambda: value(server, '{__name__=~"two|job:load:sum"}') == [])


def test_state_survives_a_kill(fresh, tmp_path):
    server = given(fresh, tmp_path).start()
    send(server, load=200)
    wait_for("a pending alert", lambda: value(server, 'ALERTS{alertname="Slow",alertstate="pending"}'))
    [(_, since)] = value(server, 'ALERTS_FOR_STATE{alertname="Slow"}')
    server.kill()
    server.start()
    send(server, load=200)
    later = wait_for("it goes on", lambda: value(server, 'ALERTS_FOR_STATE{alertname="Slow"}'))
    assert float(since) <= float(later[0][1]) <= float(since) + 60


def test_rule_files_are_saved_over_the_api(fresh):
    server = fresh(args=["--set", "host.enabled=false"]).start()
    url = f"{server.url}/api/v1/monitoring/prometheus/rules"
    text = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - record: saved\n    expr: vector(4)\n"
    wrong = requests.post(f"{url}?name=a", data=text.replace("vector(4)", "vector("), headers=server.auth, timeout=20)
    assert wrong.status_code == 400 and "a:6:" in wrong.text, wrong.text
    made = requests.post(f"{url}?name=a", data=text, headers=server.auth, timeout=20)
    assert (made.status_code, made.json()) == (201, {"name": "a", "groups": {"g": 1}})
    wait_for("what is recorded", lambda: value(server, "saved"))
    assert requests.get(f"{url}/a", headers=server.auth, timeout=20).text == text
    assert requests.delete(f"{url}/a", headers=server.auth, timeout=20).status_code == 204
    wait_for("the end of the series", lambda: value(server, "saved") == [])


def test_unit_tests_of_rules_have_promtools_words_and_exit_codes(tmp_path):
    (tmp_path / "rules.yml").write_text("groups:\n- name: g\n  rules:\n  - {record: two, expr: x * 2}\n")
    test = (
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series: [{series: x, values: '1 2'}]\n"
        "  promql_expr_test: [{expr: two, eval_time: 1m, exp_samples: [{labels: two, value: %s}]}]\n"
    )
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(test % 4)
    bad.write_text(test % 5)
    for files in [[good], [bad], [good, bad, good]]:
        theirs, ours = (
            subprocess.run([*program, "test", "rules", *map(str, files)], capture_output=True, text=True, timeout=60)
            for program in (["promtool"], [str(BINARY)])
        )
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
