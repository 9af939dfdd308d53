"""From a broken thing to a resolved incident on the real binary: people are called level by level, also over a kill, a
runbook's step is carried out by an agent, the public is told, and what was learnt is written down."""

import json
import re
import subprocess
import time
import urllib.parse

import pytest
import requests

from harness import BINARY, wait_for
from test_alerts import hooks, mail, rule, start  # noqa: F401

FIRST, SECOND = "ann@example.com", "bob@example.com"


def policy(**more):
    levels = [{"targets": [{"schedule": "primary"}]}, {"after": "10s", "targets": [{"person": SECOND}, {"channel": "pager"}]}]
    return {"levels": levels, **more}


def schedule():
    return {"time_zone": "Europe/Berlin", "layers": [{"people": [FIRST], "start": "2020-01-06", "rotation": "weekly",
                                                       "handover": {"time": "09:00", "weekday": "monday"}}]}


def runbook(*steps):
    return {"description": "# When the disk is full", "steps": list(steps)}


def letters(mail, to):
    return [letter for receivers, letter in mail.handler.letters if receivers == [to]]


def incidents(api, **params):
    return api("GET", "incidents?" + urllib.parse.urlencode(params), want=200)["items"]


def one(api, incident):
    return api("GET", f"incidents/{incident}", want=200)


def kinds(api, incident):
    return [entry["kind"] for entry in one(api, incident)["timeline"]]


@pytest.fixture
def manned(fresh, mail, hooks):  # noqa: F811
    server, api = start(fresh, mail)
    api.channel("pager", "webhook", {"url": hooks.url("pager")})
    api.channel("ops", "webhook", {"url": hooks.url("ops")})
    api("PUT", "objects/schedule/primary", schedule(), 200)
    api("PUT", "objects/escalation/night", policy(), 200)
    return server, api


def test_people_are_called_level_by_level_over_a_kill_until_somebody_answers(manned, mail, hooks):  # noqa: F811
    server, api = manned
    steps = [{"title": "look at the disk"}]
    api("PUT", "objects/runbook/disk", runbook(*steps), 200)
    api("POST", "alerts", rule("Disk full", "disk", channels=["ops"], escalation="night", runbook="disk"), 201)
    api.metric("disk", 99)
    opened = wait_for("an incident", lambda: (incidents(api) or [None])[0])
    assert (opened["number"], opened["status"], opened["severity"]) == (1, "open", "critical")
    assert opened["title"].startswith("Disk full") and opened["route"] == "rule Disk full" and opened["openedBy"] is None
    wait_for("the first level", lambda: letters(mail, FIRST))
    assert "Incident 1 (critical)" in letters(mail, FIRST)[0]
    wait_for("the channel", lambda: hooks.of("ops"))
    assert any(link["url"].endswith(opened["id"]) for link in json.loads(hooks.of("ops")[0][1])["links"])
    server.kill()
    server.start()
    wait_for("the second level", lambda: letters(mail, SECOND) and hooks.of("pager"), seconds=60)
    assert len(letters(mail, FIRST)) == 1, "nobody is called twice"
    detail = one(api, opened["id"])
    assert [run["name"] for run in detail["runbooks"]] == ["disk"]
    called = [entry["text"] for entry in detail["timeline"] if entry["kind"] == "called"]
    assert len(called) == 2 and FIRST in called[0] and SECOND in called[1], called

    # Whoever acknowledges the alert takes the incident.
    event = api.events()[0]
    api("POST", f"alerts/events/{event['id']}/acknowledge", {"note": "on it"}, 200)
    assert one(api, opened["id"])["status"] == "acknowledged"
    api.metric("disk", 10)
    wait_for("its end", lambda: one(api, opened["id"])["status"] == "resolved", seconds=60)
    over = one(api, opened["id"])
    assert over["resolvedBy"] is None and kinds(api, opened["id"])[-1] == "resolved"
    wait_for("its end told", lambda: len(letters(mail, FIRST)) == 2 and len(letters(mail, SECOND)) == 2 and len(hooks.of("pager")) == 2, seconds=60)
    assert "RESOLVED" in letters(mail, SECOND)[1]
    assert [json.loads(body)["status"] for _, body in hooks.of("pager")] == ["firing", "resolved"]


def test_an_acknowledgement_stops_the_calls_and_closing_the_incident_closes_its_alerts(manned, mail, hooks):  # noqa: F811
    server, api = manned
    api("POST", "alerts", rule("cpu", "cpu", escalation="night", cooldown=3600), 201)
    api.metric("cpu", 99)
    opened = wait_for("an incident", lambda: (incidents(api) or [None])[0])
    taken = api("POST", f"incidents/{opened['id']}/acknowledge", {"note": "on it"}, 200)
    assert taken["status"] == "acknowledged" and taken["acknowledgedBy"] and taken["assignee"]
    assert [event["state"] for event in api.events()] == ["acknowledged"]
    time.sleep(14)
    assert letters(mail, SECOND) == [] and hooks.of("pager") == []
    api("POST", f"incidents/{opened['id']}/notes", {"text": "restarted it"}, 200)
    over = api("POST", f"incidents/{opened['id']}/resolve", {"note": "was the cache"}, 200)
    assert over["status"] == "resolved" and over["resolvedBy"]
    assert [event["state"] for event in api.events()] == ["resolved"]
    api("POST", f"incidents/{opened['id']}/acknowledge", None, 409)
    again = api("POST", f"incidents/{opened['id']}/reopen", {"note": "it is back"}, 200)
    assert (again["status"], again["reopened"]) == ("open", 1)
    api("POST", f"incidents/{opened['id']}/resolve", None, 200)
    assert [i["id"] for i in incidents(api, status="resolved")] == [opened["id"]] and incidents(api, status="open") == []


def test_one_alert_that_two_routes_take_is_one_incident_and_people_work_on_it(manned, mail):  # noqa: F811
    server, api = manned
    route = {"matchers": ['alertname="cpu"'], "channels": ["ops"], "incident": True, "group_wait": "1s", "group_interval": "1s"}
    api("PUT", "objects/route/all", route, 200)
    api("POST", "alerts", rule("cpu", "cpu", escalation="night"), 201)
    api.metric("cpu", 99)
    opened = wait_for("an incident", lambda: (incidents(api) or [None])[0])
    time.sleep(4)
    assert len(incidents(api)) == 1
    event = api.events()[0]
    assert [e["id"] for e in api("GET", f"incidents/{opened['id']}/events", want=200)["items"]] == [event["id"]]
    assert [i["id"] for i in incidents(api, event=event["id"])] == [opened["id"]]

    made = api("POST", "incidents", {"title": "the shop is slow", "severity": "error", "labels": {"service": "shop"}}, 201)
    assert (made["number"], made["route"]) == (2, None) and made["openedBy"]
    path = f"incidents/{made['id']}"
    api("POST", f"{path}/assign", {"person": SECOND}, 200)
    api("POST", f"{path}/assign", {"role": "commander", "person": FIRST}, 200)
    joined = api("POST", f"{path}/events", {"events": [event["id"]]}, 200)
    assert (joined["assignee"], joined["roles"], joined["events"]) == (SECOND, {"commander": FIRST}, 1)
    assert api("PATCH", path, {"title": "the shop is down", "severity": "critical"}, 200)["severity"] == "critical"
    assert kinds(api, made["id"]) == ["opened", "assigned", "role", "event_joined", "note", "severity"]
    page = api("GET", "incidents?limit=1", want=200)
    assert [i["number"] for i in page["items"]] == [2] and page["next"]
    assert [i["number"] for i in api("GET", f"incidents?limit=1&after={page['next']}")["items"]] == [1]
    for method, rest, body, status in [
        ("POST", "", {"title": " "}, 400), ("POST", "", {"title": "x", "escalation": "nobody"}, 400),
        ("POST", "", {"title": "x", "runbooks": ["none"]}, 400), ("POST", "", {"title": "x", "events": ["evt_0"]}, 400),
        ("GET", "?status=vague", None, 400), ("GET", "/inc_0", None, 404), ("POST", "/inc_0/resolve", None, 404),
        ("POST", f"/{made['id']}/assign", {"person": "bob"}, 400), ("POST", f"/{made['id']}/notes", {"text": " "}, 400),
        ("PATCH", f"/{made['id']}", {"publication": {"page": "none", "title": "x", "impact": "none"}}, 400),
    ]:
        api(method, f"incidents{rest}", body, status)

    draft = api("GET", f"{path}/postmortem", want=200)
    assert draft["version"] == 0 and "# Post-mortem of incident 2: the shop is down" in draft["text"]
    assert "**alert**" in draft["text"] and "| commander |" in draft["text"]
    kept = api("PUT", f"{path}/postmortem", {"version": 0, "text": draft["text"] + "\nWe learnt."}, 200)
    assert kept["version"] == 1 and api("GET", f"{path}/postmortem")["text"].endswith("We learnt.")
    api("PUT", f"{path}/postmortem", {"version": 0, "text": "another"}, 409)


def test_who_is_on_call_is_listed_and_their_calendar_is_subscribed_to(manned):
    server, api = manned
    now = api("GET", "on-call", want=200)["items"]
    assert [(one["schedule"], one["person"]) for one in now] == [("primary", FIRST)]
    window = "from=2030-03-25T00:00:00Z&until=2030-04-09T00:00:00Z"
    shifts = api("GET", f"schedules/primary/shifts?{window}", want=200)["items"]
    begins = [shift["from"] for shift in shifts]
    assert begins == ["2030-03-18T08:00:00.000Z", "2030-03-25T08:00:00.000Z", "2030-04-01T07:00:00.000Z", "2030-04-08T07:00:00.000Z"]
    api("GET", "schedules/none/shifts", want=404)
    api("GET", "schedules/primary/shifts?from=2030-01-02T00:00:00Z&until=2030-01-01T00:00:00Z", want=400)
    url = api("GET", "schedules/primary/calendar", want=200)["url"].replace("https://bw.example", server.url)
    calendar = requests.get(url, timeout=10)
    assert calendar.status_code == 200 and calendar.headers["content-type"].startswith("text/calendar")
    assert calendar.text.startswith("BEGIN:VCALENDAR\r\n") and f"SUMMARY:primary: {FIRST}" in calendar.text
    for broken in (url[:-4], url.replace("schedules/primary", "schedules/other"), url.split("?")[0] + "?token=x"):
        assert requests.get(broken, timeout=10).status_code == 404, broken
    api("DELETE", "objects/schedule/primary", want=204)
    api("PUT", "objects/schedule/primary", schedule(), 200)
    assert requests.get(url, timeout=10).status_code == 404, "a schedule that is made anew has another address"
    for kind, spec, field in [
        ("schedule", {"layers": []}, "layers"), ("escalation", {"levels": []}, "levels"),
        ("runbook", {"steps": [{"title": "x", "action": {"command": "rm -rf /"}}]}, "steps[0].action.command"),
        ("status_page", {"title": ""}, "title"), ("escalation", {"levels": [{"targets": [{"pigeon": "x"}]}]}, "levels"),
    ]:
        assert field in json.dumps(api("PUT", f"objects/{kind}/bad", spec, 400)), kind


@pytest.fixture
def agent(manned, tmp_path):
    server, _ = manned
    done = tmp_path / "done"
    commands = tmp_path / "commands.json"
    commands.write_text(json.dumps({"restart": ["sh", "-c", f'echo "$RUNBOOK_HOST" >> {done}; echo restarted']}))
    command = [BINARY, "agent", "--join", server.url, server.key, "--folder", tmp_path / "agent", "--intake-grpc", "off",
               "--intake-http", "off", "--no-host", "--commands", commands]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield done
    process.terminate()
    process.wait(timeout=20)


def test_a_runbooks_steps_are_ticked_approved_and_carried_out_by_an_agent_as_often_as_they_may(manned, agent, hooks):  # noqa: F811
    server, api = manned
    restart = {"title": "restart it", "action": {"command": "restart", "approval": "anyone", "arguments": {"host": {"label": "host"}},
                                                  "limit": {"times": 2, "per": "1h"}}}
    tell = {"title": "tell the others", "action": {"webhook": "ops", "approval": "none", "arguments": {"what": "it restarts"}}}
    unknown = {"title": "not here", "action": {"command": "not-on-the-list", "approval": "none", "expires": "3s"}}
    api("PUT", "objects/runbook/web", runbook({"title": "look"}, restart, tell, unknown), 200)
    made = api("POST", "incidents", {"title": "web is down", "labels": {"host": "web-1"}, "runbooks": ["web"]}, 201)
    path = f"incidents/{made['id']}"
    ticked = api("PUT", f"{path}/runbooks/web/steps/0", {"done": True}, 200)
    assert ticked["runbooks"][0]["steps"][0]["doneBy"] and not ticked["runbooks"][0]["steps"][1]["doneAt"]
    api("PUT", f"{path}/runbooks/web/steps/9", {"done": True}, 400)

    ask = lambda step, status=201: api("POST", "runbooks/web/runs", {"step": step, "incident": made["id"]}, status)  # noqa: E731
    run = ask(1)
    assert (run["status"], run["arguments"]) == ("waiting_approval", {"host": "web-1"})
    time.sleep(5)
    assert not agent.exists(), "nothing happens before somebody lets it"
    api("POST", f"remediations/{run['id']}/approve", want=200)
    state = lambda run: api("GET", f"remediations/{run['id']}", want=200)  # noqa: E731
    wait_for("the agent", lambda: state(run)["status"] == "succeeded", seconds=60)
    assert (state(run)["exitCode"], state(run)["output"], agent.read_text()) == (0, "restarted\n", "web-1\n")
    refused = ask(1)
    assert api("POST", f"remediations/{refused['id']}/refuse", want=200)["status"] == "refused"
    ask(1)
    assert "limit" in json.dumps(ask(1, 429))

    told = ask(2)
    wait_for("the webhook", lambda: state(told)["status"] == "succeeded")
    body = json.loads(hooks.of("ops")[0][1])
    assert (body["event"], body["commonAnnotations"], body["id"]) == ("action", {"what": "it restarts"}, told["id"])
    nobody = ask(3)
    wait_for("nobody", lambda: state(nobody)["status"] == "timed_out", seconds=90)
    ask(0, 400)
    actions = [entry["text"] for entry in one(api, made["id"])["timeline"] if entry["kind"] == "action"]
    assert "restart: asked for" in actions and "restart: approved" in actions and "restart: succeeded" in actions, actions
    assert [r["id"] for r in api("GET", "remediations?status=timed_out")["items"]] == [nobody["id"]]


def test_an_alert_triggers_what_its_runbook_does_by_itself(manned, agent):
    server, api = manned
    step = {"title": "restart it", "action": {"command": "restart", "approval": "none", "automatic": True, "arguments": {"host": "web-2"}}}
    api("PUT", "objects/runbook/web", runbook(step), 200)
    api("POST", "alerts", rule("web", "web", escalation="night", runbook="web"), 201)
    api.metric("web", 99)
    wait_for("the agent", lambda: agent.exists() and agent.read_text() == "web-2\n", seconds=60)
    opened = incidents(api)[0]
    wait_for("its outcome", lambda: "restart: succeeded" in [entry["text"] for entry in one(api, opened["id"])["timeline"]])


def test_the_public_sees_its_page_and_whoever_confirmed_is_told(manned, mail):  # noqa: F811
    server, api = manned
    spec = {"title": "Ours", "public": True, "components": [{"name": "api", "checks": ["api"]}, {"name": "web", "state": "degraded"}]}
    api("PUT", "objects/status_page/main", spec, 200)
    api("PUT", "objects/status_page/inner", {**spec, "public": False}, 200)
    page = f"{server.url}/api/v1/monitoring/status-pages/default/main"
    public = lambda url=page: requests.get(url, timeout=20)  # noqa: E731
    shown = public().json()
    assert shown["state"] == "degraded" and [c["state"] for c in shown["components"]] == ["operational", "degraded"]
    assert len(shown["components"][0]["days"]) == 90 and shown["incidents"] == []
    for hidden in (page.replace("main", "inner"), page.replace("default", "other"), page.replace("main", "none")):
        assert public(hidden).status_code == 404, hidden
    assert api("GET", "status-page/inner", want=200)["title"] == "Ours"

    post = lambda rest, body: requests.post(f"{page}/subscriptions{rest}", json=body, timeout=20)  # noqa: E731
    for body, status in [({"kind": "email", "address": "nobody"}, 400), ({"kind": "webhook", "address": "http://127.0.0.1:1/x"}, 400),
                         ({"kind": "pigeon", "address": "x"}, 400), ({"kind": "email", "address": "Eve@example.com"}, 202)]:
        assert post("", body).status_code == status, body
    letter = wait_for("a letter", lambda: (letters(mail, "eve@example.com") or [None])[0]).replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
    token = re.search(r"confirm=([0-9a-f]+)", letter).group(1)
    assert post("/confirm", {"token": "0" * 32}).status_code == 404
    assert post("/confirm", {"token": token}).status_code == 204

    made = api("POST", "incidents", {"title": "inner words"}, 201)
    path = f"incidents/{made['id']}"
    api("PATCH", path, {"update": {"phase": "identified", "text": "early"}}, 409)
    publication = {"page": "main", "title": "Slow answers", "components": ["api"], "impact": "outage"}
    api("PATCH", path, {"publication": publication, "update": {"phase": "identified", "text": "It is the disk."}}, 200)
    shown = public().json()
    assert (shown["state"], shown["components"][0]["state"]) == ("outage", "outage")
    incident = shown["incidents"][0]
    assert (incident["title"], incident["phase"], [u["text"] for u in incident["updates"]]) == ("Slow answers", "identified", ["It is the disk."])
    assert "inner words" not in json.dumps(shown)
    told = wait_for("what was told", lambda: (letters(mail, "eve@example.com")[1:] or [None])[0])
    assert "It is the disk." in told and "inner words" not in told
    told = told.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
    leave = urllib.parse.unquote(re.search(r"leave=([^\s\"<>&]+)", told).group(1))
    assert post("/leave", {"token": leave}).status_code == 204 and post("/leave", {"token": leave}).status_code == 404
    api("POST", f"{path}/resolve", None, 200)
    shown = public().json()
    assert (shown["state"], shown["incidents"][0]["phase"]) == ("degraded", "resolved")
    assert shown["components"][0]["days"][-1]["outageMs"] > 0
