"""Two organisations on one server, with people of every role and something of everything, for tests that ask as one
what belongs to the other."""

import re
import subprocess
import time

import requests

from harness import BINARY, wait_for

# In every text of bravo's that alpha must never see.
MARK = "bravomark"


def command(server, *args):
    done = subprocess.run([str(BINARY), *args, "--data", str(server.data)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


class Person:
    """Somebody signed in, with a session and with a token. By a link, or as an answer says that signed them in."""

    def __init__(self, server, link=None, answer=None):
        self.server, self.session = server, requests.Session()
        if answer is None:
            answer = requests.post(server.url + "/api/v1/auth/link", json={"token": link.split("token=")[1]}, timeout=30)
        assert answer.status_code == 200, answer.text
        # By hand: where the address that people use is encrypted the cookie is for TLS alone, which tests do not speak.
        self.session.headers["Cookie"] = answer.headers["Set-Cookie"].split(";")[0]
        self.session.headers["X-CSRF-Token"] = answer.json()["csrf"]
        pair = self.call("POST", "/api/v1/auth/token", json={"grant_type": "session"})
        self.token = pair["access_token"]

    def ask(self, method, path, **kwargs):
        kwargs.setdefault("timeout", 30)
        return self.session.request(method, self.server.url + path, **kwargs)

    def call(self, method, path, **kwargs):
        answer = self.ask(method, path, **kwargs)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


class Organisation:
    """A tenant with its administrator and a key of every scope."""

    def __init__(self, server, tenant):
        self.server, self.tenant = server, tenant
        told = command(server, "tenant", "create", tenant, "--name", tenant, "--admin", f"admin@{tenant}.test")
        self.key = re.search(r"bw_\S+", told).group(0)
        link = re.search(r"http\S+token=\S+", told).group(0)
        wait_for("the tenant", lambda: requests.get(
            server.url + "/api/v1/query", params={"query": "1"}, headers=bearer(self.key), timeout=10).status_code == 200, 30)
        self.admin = Person(server, link)

    def base(self, path):
        return f"/api/v1/tenants/current/{path}"

    def person(self, role):
        made = self.admin.call("POST", self.base("members"), json={
            "email": f"{role}@{self.tenant}.test", "name": f"{role} of {self.tenant}", "role": role})
        return Person(self.server, self.admin.call("POST", self.base(f"members/{made['id']}/sign-in-link"))["url"])

    def settle(self, mark):
        """Something of everything, with a mark in every text. Returns identifiers by the list they are of."""
        post = lambda path, **body: self.admin.call("POST", self.base(path), json=body)
        ids = {
            "teams": post("teams", name=f"{mark} team")["id"],
            "projects": post("projects", name=f"{mark} project", description=mark)["id"],
            "roles": post("roles", name=f"{mark}-role", description=mark, permissions=["telemetry:read"])["name"],
            "members": post("members", email=f"{mark}@{self.tenant}.test", name=f"{mark} person", role="viewer")["id"],
            "invitations": post("invitations", email=f"invited-{mark}@{self.tenant}.test", role="viewer")["id"],
            "service-accounts": post("service-accounts", name=f"{mark} program", role="viewer")["id"],
            "keys": post("keys", name=f"{mark} key", scopes=["query"])["id"],
            "sso": post("sso", name=f"{mark}-sso", kind="oidc", config={
                "issuer": "https://id.example.test", "client_id": f"{mark}-client", "client_secret": "x" * 40})["name"],
        }
        for kind in ("dashboard", "saved_query", "slo"):
            self.admin.call("PUT", f"/api/v1/monitoring/objects/{kind}/{mark}", json={"title": f"{mark} title"})
        self.admin.call("PUT", f"/api/v1/monitoring/objects/agent/{mark}", json={"sources": []})
        ids["objects"] = mark
        self.send(mark)
        return ids

    def send(self, mark):
        """Telemetry of every signal."""
        server, auth, now = self.server, bearer(self.key), time.time_ns()
        post = lambda path, **kwargs: requests.post(server.url + path, headers=auth, timeout=30, **kwargs)
        sent = post("/api/metrics", json=[{"name": f"{mark}_total", "value": 7, "labels": {"secret": mark}}])
        assert sent.status_code < 300, sent.text
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": f"{mark}-service"}}]}
        span = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": f"{mark} work",
                "kind": 2, "startTimeUnixNano": str(now - 5_000_000), "endTimeUnixNano": str(now), "status": {"code": 2}}
        sent = post("/v1/traces", json={"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})
        assert sent.status_code == 200, sent.text
        line = {"timeUnixNano": str(now), "body": {"stringValue": f"{mark} said"}, "severityText": "ERROR",
                "traceId": span["traceId"], "attributes": [{"key": "secret", "value": {"stringValue": mark}}]}
        sent = post("/v1/logs", json={"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [line]}]}]})
        assert sent.status_code == 200, sent.text
        sent = post("/api/v1/monitoring/events", json=[{"name": f"{mark} happened", "attributes": {"secret": mark}}])
        assert sent.status_code < 300, sent.text

    def kept(self):
        """What others could have changed, as its administrator sees it."""
        lists = ("teams", "projects", "roles", "members", "invitations", "service-accounts", "keys", "sso")
        state = {}
        for name in lists:
            items = self.admin.call("GET", self.base(name), params={"limit": 1000})["items"]
            volatile = ("last_used_at", "last_sign_in_at", "uses")
            state[name] = [{key: value for key, value in item.items() if key not in volatile} for item in items]
        for kind in ("dashboard", "saved_query", "slo", "agent", "pipeline"):
            state[kind] = self.admin.call("GET", f"/api/v1/monitoring/objects/{kind}")["items"]
        state["tenant"] = self.admin.call("GET", "/api/v1/tenants/current")
        count = lambda table: self.admin.call("POST", "/api/v1/sql", json={"query": f"SELECT count(*) FROM {table}"})["rows"]
        state["rows"] = {table: count(table) for table in ("logs", "spans", "events")}
        # Figures of its own spans are written every ten seconds, before or after any look.
        series = self.admin.call("GET", "/api/v1/query", params={"query": 'sum({__name__=~".+", __name__!~"traces_.+"})'})
        state["sum"] = [one["value"][1] for one in series["data"]["result"]]
        return state
