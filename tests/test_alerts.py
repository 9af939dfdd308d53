"""Rules, events and notifications on the real binary: what fires is told over HTTP and mail, once, also across a kill."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest
import requests
from aiosmtpd.controller import Controller

from harness import free_port, wait_for

SECRET = "whsec_" + base64.b64encode(b"a secret of the test").decode()
EMAIL = "ops@example.com"


class Hooks(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it, by path. Answers 500 to paths in `broken`."""

    def __init__(self):
        self.got, self.refused, self.broken = {}, {}, set()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def of(self, name):
        return self.got.get(name, [])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.strip("/")
        kept = self.server.refused if name in self.server.broken else self.server.got
        kept.setdefault(name, []).append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(500 if name in self.server.broken else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Box:
    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):
        self.letters.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 taken"


@pytest.fixture
def hooks():
    made = Hooks()
    yield made
    made.shutdown()


@pytest.fixture
def mail():
    made = Controller(Box(), hostname="127.0.0.1", port=free_port())
    made.start()
    yield made
    made.stop()


class Api:
    def __init__(self, server):
        self.server = server

    def __call__(self, method, path, body=None, want=None):
        url = f"{self.server.url}/api/v1/monitoring/{path}"
        answer = requests.request(method, url, json=body, headers=self.server.auth, timeout=20)
        assert want is None or answer.status_code == want, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def metric(self, name, value):
        body = {"metrics": [{"name": name, "value": value, "type": "gauge"}]}
        answer = requests.post(f"{self.server.url}/api/metrics", json=body, headers=self.server.auth, timeout=20)
        assert answer.status_code == 200, answer.text

    def channel(self, name, kind, config):
        self("PUT", f"objects/channel/{name}", {"type": kind, "config": config}, 200)

    def events(self, **params):
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return self("GET", f"alerts/events?{query}", want=200)["items"]


def rule(name, metric, **more):
    return {
        "name": name, "type": "threshold", "severity": "critical", "interval": 1, "cooldown": 0,
        "condition": {"metric": metric, "operator": ">", "threshold": 80},
        "annotations": {"summary": "it is at {{ $value }}"}, "runbook": "https://wiki.example/cpu", **more,
    }


def without_defaults(api):
    """Removes the rules that a tenant begins with, for tests that look at all there is."""
    for one in api("GET", "alerts", want=200)["items"]:
        api("DELETE", f"alerts/{one['id']}", want=204)


def start(fresh, mail=None):
    more = {"host.enabled": "false", "server.external_url": "https://bw.example"}
    if mail:
        more |= {"smtp.host": "127.0.0.1", "smtp.port": mail.port, "smtp.tls": "off", "smtp.from": "Bellwether <bw@bw.example>"}
    server = fresh(args=[part for key, value in more.items() for part in ("--set", f"{key}={value}")]).start()
    return server, Api(server)


def test_a_breach_is_told_over_webhook_slack_and_mail_acknowledged_and_resolved(fresh, hooks, mail):
    server, api = start(fresh, mail)
    api.channel("hook", "webhook", {"url": hooks.url("hook"), "secret": SECRET})
    api.channel("slack", "slack", {"url": hooks.url("slack")})
    api.channel("mail", "email", {"to": [EMAIL]})
    made = api("POST", "alerts", rule("High cpu", "cpu", channels=["hook", "slack", "mail"]), 201)
    assert made["id"].startswith("alr_") and made["state"] == "ok" and made["lastTriggered"] is None
    api.metric("cpu", 79)
    time.sleep(3)
    assert api.events() == [] and hooks.got == {}
    api.metric("cpu", 81)
    event = wait_for("an event", lambda: (api.events() or [None])[0])
    assert (event["name"], event["severity"], event["state"], event["value"]) == ("High cpu", "critical", "firing", 81)
    wait_for("three messages", lambda: hooks.of("hook") and hooks.of("slack") and mail.handler.letters)

    headers, body = hooks.of("hook")[0]
    told = json.loads(body)
    assert (told["version"], told["status"], told["severity"]) == ("4", "firing", "critical")
    assert told["alerts"][0]["annotations"]["summary"] == "it is at 81"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(b"a secret of the test", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}" and headers["idempotency-key"] == told["id"]
    slack = json.loads(hooks.of("slack")[0][1])
    assert "High cpu" in slack["text"] and slack["attachments"][0]["color"] == "#c62828"
    receivers, letter = mail.handler.letters[0]
    assert receivers == [EMAIL] and "Subject: [CRITICAL] High cpu" in letter and "it is at 81" in letter

    first = api("POST", f"alerts/events/{event['id']}/acknowledge", {"note": "on it"}, 200)
    second = api("POST", f"alerts/events/{event['id']}/acknowledge", None, 200)
    assert first["state"] == "acknowledged" and first["acknowledgedBy"] and first == second
    assert [e["id"] for e in api.events(state="acknowledged")] == [event["id"]] and api.events(state="firing") == []
    assert api("GET", f"alerts/{made['id']}", want=200)["state"] == "firing"
    triggered = api("GET", f"alerts/{made['id']}")["lastTriggered"]
    assert triggered == event["firedAt"]

    api.metric("cpu", 10)
    wait_for("its end", lambda: api.events(state="resolved"))
    wait_for("its end told", lambda: len(hooks.of("hook")) == 2 and len(hooks.of("slack")) == 2, seconds=60)
    assert json.loads(hooks.of("hook")[1][1])["status"] == "resolved"
    wait_for("its end told by mail", lambda: all(n["status"] == "sent" for n in api("GET", f"alerts/events/{event['id']}")["notifications"]))
    detail = api("GET", f"alerts/events/{event['id']}", want=200)
    assert [entry["what"] for entry in detail["log"]] == ["fired", "acknowledged", "resolved"]
    assert {(n["channel"], n["status"]) for n in detail["notifications"]} == {("hook", "sent"), ("slack", "sent"), ("mail", "sent")}
    assert all(n["deliveries"][-1]["delivered"] for n in detail["notifications"])
    api("POST", f"alerts/events/{event['id']}/acknowledge", None, 409)


def test_a_kill_loses_no_notification_and_one_failing_channel_keeps_no_other(fresh, hooks):
    server, api = start(fresh)
    hooks.broken.add("hook")
    api.channel("hook", "webhook", {"url": hooks.url("hook"), "secret": SECRET})
    api.channel("other", "webhook", {"url": hooks.url("other")})
    api("POST", "alerts", rule("High cpu", "cpu", channels=["hook", "other"]), 201)
    api.metric("cpu", 99)
    wait_for("a refused attempt", lambda: hooks.refused.get("hook"))
    wait_for("the other channel", lambda: hooks.of("other"))
    event = api.events()[0]
    server.kill()
    hooks.broken.clear()
    server.start()
    wait_for("the message", lambda: hooks.of("hook"), seconds=60)
    ids = {json.loads(body)["id"] for _, body in hooks.refused["hook"] + hooks.of("hook")}
    assert len(ids) == 1, "every attempt carries the same id"
    time.sleep(5)
    assert len(hooks.of("hook")) == 1 and len(hooks.of("other")) == 1, "nothing is repeated"
    assert [e["id"] for e in api.events(state="firing")] == [event["id"]], "it is the same event"
    told = {n["channel"]: n for n in api("GET", f"alerts/events/{event['id']}")["notifications"]}
    assert told["hook"]["status"] == "sent" and not told["hook"]["deliveries"][0]["delivered"]
    assert told["hook"]["deliveries"][0]["statusCode"] == 500


def test_rules_are_made_changed_listed_and_removed(fresh):
    server, api = start(fresh)
    defaults = api("GET", "alerts", want=200)["items"]
    assert {"Check: down", "Host: file system almost full", "Bellwether: part not well"} <= {r["name"] for r in defaults}
    without_defaults(api)
    for body, field in [
        ({"type": "threshold", "condition": {"metric": "a", "threshold": 1}}, "name"),
        (rule("a", "cpu", severity="fatal"), "severity"),
        (rule("a", "cpu", condition={"metric": "cpu"}), "condition.threshold"),
        (rule("a", "cpu", condition={"query": "sum(", "threshold": 1}), "condition.query"),
        (rule("a", "cpu", condition={"metric": "cpu", "operator": "=~", "threshold": 1}), "condition.operator"),
        (rule("a", "cpu", type="vibes"), "type"),
        (rule("a", "cpu", annotations={"summary": "{{ nope }}"}), "annotations.summary"),
        (rule("a", "cpu", channels=[{"type": "pigeon"}]), "type"),
    ]:
        answer = api("POST", "alerts", body, 400)
        assert field in json.dumps(answer), f"{field}: {answer}"
    made = api("POST", "alerts", rule("b", "cpu", priority="high"), 201)
    api("POST", "alerts", rule("b", "cpu"), 409)
    api("POST", "alerts", rule("a", "cpu", severity="Warning", type="threshold"), 201)
    assert [r["name"] for r in api("GET", "alerts", want=200)["items"]] == ["a", "b"]
    assert [r["name"] for r in api("GET", "alerts?severity=warning")["items"]] == ["a"]
    page = api("GET", "alerts?limit=1")
    assert [r["name"] for r in page["items"]] == ["a"] and page["next"] == "a"
    assert [r["name"] for r in api("GET", "alerts?limit=1&after=a")["items"]] == ["b"]
    time.sleep(0.01)
    changed = api("PUT", f"alerts/{made['id']}", rule("renamed", "cpu", isActive=False), 200)
    assert (changed["id"], changed["name"], changed["state"]) == (made["id"], "renamed", "inactive")
    assert changed["updatedAt"] > made["updatedAt"] and changed["createdAt"] == made["createdAt"]
    api("DELETE", f"alerts/{made['id']}", want=204)
    for method, body in [("GET", None), ("PUT", rule("x", "cpu")), ("DELETE", None)]:
        api(method, f"alerts/{made['id']}", body, 404)


def test_a_deleted_rule_fires_no_more_and_its_event_is_over(fresh):
    server, api = start(fresh)
    made = api("POST", "alerts", rule("cpu", "cpu"), 201)
    api.metric("cpu", 99)
    event = wait_for("an event", lambda: (api.events() or [None])[0])
    api("DELETE", f"alerts/{made['id']}", want=204)
    assert api("GET", f"alerts/events/{event['id']}")["state"] == "resolved"
    api.metric("cpu", 99)
    time.sleep(3)
    assert len(api.events()) == 1


def test_a_silence_keeps_people_calm_and_the_event_is_there(fresh, hooks):
    server, api = start(fresh)
    api.channel("hook", "webhook", {"url": hooks.url("hook")})
    api("POST", "alerts", rule("cpu", "cpu", channels=["hook"]), 201)
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    asked = {"matchers": ['alertname="cpu"'], "endsAt": end, "comment": "maintenance"}
    silence = api("POST", "silences", asked, 201)
    api("POST", "silences", {**asked, "matchers": ['alertname=~".*"']}, 400)
    api.metric("cpu", 99)
    wait_for("an event", lambda: api.events())
    preview = api("POST", "silences/preview", {"matchers": ['alertname="cpu"']}, 200)
    assert preview["total"] == 1
    reach = api("POST", "routes/preview", {"labels": {"alertname": "cpu"}}, 200)
    assert reach["channels"] == ["hook"] and silence["id"] in reach["suppressed"]
    time.sleep(5)
    assert hooks.of("hook") == []
    api("DELETE", f"silences/{silence['id']}", want=204)
    wait_for("the message", lambda: hooks.of("hook"), seconds=60)


def test_a_channel_is_tried_out_and_its_secret_is_not_shown_to_viewers(fresh, hooks):
    server, api = start(fresh)
    api.channel("hook", "webhook", {"url": hooks.url("planted-path"), "secret": SECRET})
    outcome = api("POST", "channels/test", {"channel": "hook"}, 200)
    assert outcome["delivered"] and outcome["statusCode"] == 200
    told = json.loads(hooks.of("planted-path")[0][1])
    assert told["test"] is True and told["title"].startswith("[TEST]")
    hooks.broken.add("broken")
    written = {"channel": {"type": "slack", "config": {"url": hooks.url("broken")}}}
    outcome = api("POST", "channels/test", written, 200)
    assert (outcome["delivered"], outcome["statusCode"]) == (False, 500)
    api("POST", "channels/test", {"channel": "nobody"}, 404)
    api("PUT", "objects/channel/bad", {"type": "slack", "config": {"url": "http://169.254.169.254/latest"}}, 400)
    assert b"planted-path" not in b"".join(path.read_bytes() for path in server.data.glob("**/*.db*"))


def test_a_rule_is_run_over_the_past_before_it_is_saved(fresh):
    server, api = start(fresh)
    now = time.time()
    for minute, value in [(50, 99), (49, 99), (40, 10), (20, 95), (10, 10)]:
        body = [{"name": "cpu", "value": value, "type": "gauge", "timestamp": int((now - minute * 60) * 1000)}]
        requests.post(f"{server.url}/api/metrics", json=body, headers=server.auth, timeout=20).raise_for_status()
    asked = {"rule": rule("cpu", "cpu", interval="30s"), "hours": 1}
    outcome = api("POST", "alerts/backtest", asked, 200)
    assert outcome["total"] == 2 and all(f["resolvedAt"] for f in outcome["firings"]), outcome
    api("POST", "alerts/backtest", {**asked, "hours": 0}, 400)
