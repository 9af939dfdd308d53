"""Tenants, keys, tokens and the audit log of the whole binary, across a kill."""

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
