"""Tenants, keys, tokens and the audit log of the whole binary, across a kill."""

import base64
import json
import re
import time

import requests

from harness import wait_for
from organisations import bearer, command


def signed_in(server, link):
    session = requests.Session()
    answer = session.post(server.url + "/api/v1/auth/link", json={"token": link.split("token=")[1]}, timeout=10)
    assert answer.status_code == 200, answer.text
    session.headers["X-CSRF-Token"] = answer.json()["csrf"]
    return session


def test_a_tenant_lives_apart_is_limited_audited_and_deleted(fresh):
    server = fresh().start()
    told = command(server, "tenant", "create", "acme", "--admin", "boss@acme.test", "--limits", '{"requests": 40}')
    key, link = re.search(r"bw_\S+", told).group(0), re.search(r"http\S+token=\S+", told).group(0)
    wait_for("the tenant", lambda: server.get("/api/v1/query", query="1").ok and requests.get(
        server.url + "/api/v1/query", params={"query": "1"}, headers=bearer(key), timeout=10).status_code == 200, 15)

    # What one tenant writes no other reads, and names of tenants may only agree.
    sent = requests.post(server.url + "/api/metrics", json=[{"name": "secret_sauce", "value": 7}], headers=bearer(key), timeout=10)
    assert sent.json()["accepted"] == 1, sent.text
    names = lambda headers: requests.get(server.url + "/api/v1/label/__name__/values", headers=headers, timeout=10).json()["data"]
    assert "secret_sauce" in names(bearer(key)) and "secret_sauce" not in names({})
    forged = {**bearer(key), "X-Tenant-ID": "default"}
    assert requests.get(server.url + "/api/v1/query", params={"query": "1"}, headers=forged, timeout=10).status_code == 403

    # The administrator of a tenant sees that tenant and no other.
    boss = signed_in(server, link)
    session = boss.get(server.url + "/api/v1/auth/session", timeout=10).json()
    assert session["tenant"]["id"] == "acme" and "platform:manage" not in session["permissions"]
    assert boss.get(server.url + "/api/v1/tenants/default", timeout=10).status_code == 404
    assert boss.get(server.url + "/api/v1/tenants", timeout=10).status_code == 403

    # Above its limit a tenant is refused while others go on.
    codes = [requests.get(server.url + "/api/v1/query", params={"query": "1"}, headers=bearer(key), timeout=10) for _ in range(45)]
    assert codes[-1].status_code == 429 and int(codes[-1].headers["Retry-After"]) > 0
    assert server.get("/api/v1/query", query="1").status_code == 200

    # What happened is in the trail, also after a kill, and the chain holds.
    root = signed_in(server, server.link)
    audit = lambda path="", **params: root.get(server.url + "/api/v1/monitoring/audit" + path, params=params, timeout=10).json()
    wait_for("rows of the audit log", lambda: audit()["items"], 15)
    server.kill()
    server.start()
    assert root.get(server.url + "/api/v1/tenants", timeout=10).status_code == 200
    wait_for("rows of after the kill", lambda: any(row["route"] == "/api/v1/tenants" for row in audit()["items"]), 15)
    verdict = audit("/verify")
    assert verdict["ok"] and verdict["rows"] > 0, verdict

    # Deleted, it is gone from the database and from disk.
    folder = server.data / "tenants" / "acme"
    command(server, "tenant", "delete", "acme", "--confirm", "acme")
    wait_for("the key to be refused", lambda: requests.get(
        server.url + "/api/v1/query", params={"query": "1"}, headers=bearer(key), timeout=10).status_code in (401, 403), 30)
    wait_for("the tenant to be gone", lambda: "acme" not in command(server, "tenant", "list"), 90, 1.0)
    assert not list(folder.rglob("*.parquet")) if folder.exists() else True


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_one_call_makes_a_tenant_that_ingests_and_whose_admin_signs_in(fresh):
    server = fresh().start()
    root = signed_in(server, server.link)
    people, columns = {}, {}
    for tenant in ("acme", "globex"):
        new = {"id": tenant, "name": tenant, "admin": {"email": f"boss@{tenant}.test", "name": "Boss"}}
        made = root.post(server.url + "/api/v1/tenants", json=new, timeout=30)
        assert made.status_code == 201, made.text
        made = made.json()
        # Nothing else was done: the key sends at once, the administrator signs in with the link.
        key = bearer(made["key"])
        event = {"name": f"{tenant} command", "kind": "command", "user_id": "u1"}
        for path, body in (("/api/metrics", [{"name": f"of_{tenant}", "value": 7}]), ("/api/v1/monitoring/events", [event])):
            sent = requests.post(server.url + path, json=body, headers=key, timeout=10)
            assert sent.ok and sent.json()["accepted"] == 1, sent.text
        boss = signed_in(server, made["sign_in_link"])
        pair = boss.post(server.url + "/api/v1/auth/token", json={"grant_type": "session"}, timeout=10).json()
        said = claims(pair["access_token"])
        assert (said["org"], said["role"]) == (tenant, "admin"), said
        assert "members:manage" in said["permissions"] and "platform:manage" not in said["permissions"]
        people[tenant] = bearer(pair["access_token"])

    # The claim of the token is all that selects a tenant here.
    for tenant, token in people.items():
        current = requests.get(server.url + "/api/v1/tenants/current", headers=token, timeout=10).json()
        names = requests.get(server.url + "/api/v1/label/__name__/values", headers=token, timeout=10).json()["data"]
        assert current["id"] == tenant and [name for name in names if name.startswith("of_")] == [f"of_{tenant}"]
        answer = requests.post(server.url + "/api/v1/sql", json={"query": "SELECT * FROM command_executions"}, headers=token, timeout=10)
        table = answer.json()
        columns[tenant] = table["columns"]
        row = dict(zip(table["columns"], table["rows"][0]))
        assert len(table["rows"]) == 1 and (row["command"], row["organization_id"]) == (f"{tenant} command", tenant), table
    template = server.post("/api/v1/sql", json={"query": "SELECT * FROM command_executions LIMIT 1"}).json()["columns"]
    assert columns == {"acme": template, "globex": template} and len(template) == 12

    # One that is changed to name the other tenant proves nothing any more.
    head, body, signature = people["acme"]["Authorization"].split()[1].split(".")
    forged = {**claims(f"{head}.{body}.{signature}"), "org": "globex"}
    body = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    answer = requests.get(server.url + "/api/v1/tenants/current", headers=bearer(f"{head}.{body}.{signature}"), timeout=10)
    assert answer.status_code == 401, answer.text


def test_tokens_are_exchanged_once_and_verify_with_the_published_keys(fresh):
    server = fresh().start()
    root = signed_in(server, server.link)
    pair = root.post(server.url + "/api/v1/auth/token", json={"grant_type": "session"}, timeout=10).json()
    assert pair["token_type"] == "Bearer" and pair["expires_in"] == 900
    assert requests.get(server.url + "/api/v1/tenants", headers=bearer(pair["access_token"]), timeout=10).status_code == 200
    keys = requests.get(server.url + "/.well-known/jwks.json", timeout=10).json()["keys"]
    assert keys[0]["alg"] == "RS256" and keys[0]["kty"] == "RSA"
    refresh = lambda token: requests.post(server.url + "/api/v1/auth/token", json={"grant_type": "refresh_token", "refresh_token": token}, timeout=10)
    second = refresh(pair["refresh_token"])
    assert second.status_code == 200, second.text
    # Shown twice, it was copied: the whole family ends.
    assert refresh(pair["refresh_token"]).status_code == 401
    assert refresh(second.json()["refresh_token"]).status_code == 401
    time.sleep(1)
    assert requests.get(server.url + "/api/v1/tenants", headers=bearer(second.json()["access_token"]), timeout=10).status_code == 401
