"""The whole binary with its control data on PostgreSQL: from the first start to a tenant that is gone."""

import os
import subprocess
import uuid

import pytest
import requests

from harness import BINARY, wait_for
from organisations import Person, bearer

SERVER = os.environ.get("BELLWETHER_TEST_POSTGRES")
pytestmark = pytest.mark.skipif(SERVER is None, reason="needs scripts/with-postgres.sh, which names a server in BELLWETHER_TEST_POSTGRES")


def psql(url, statement):
    done = subprocess.run(["psql", url, "-v", "ON_ERROR_STOP=1", "-Atc", statement], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.fixture
def database():
    """A database of its own, by its address."""
    name = f"bw_binary_{uuid.uuid4().hex[:12]}"
    psql(SERVER, f"CREATE DATABASE {name}")
    address, _, parameters = SERVER.partition("?")
    yield f"{address.rsplit('/', 1)[0]}/{name}?{parameters}"
    psql(SERVER, f"DROP DATABASE {name} WITH (FORCE)")


def test_the_essentials_on_postgresql(fresh, database):
    options = ["--set", f"database.url={database}"]
    server = fresh(args=["--set", "host.enabled=false", *options]).start()
    get = lambda path, key, **params: requests.get(server.url + path, params=params, headers=bearer(key), timeout=10)
    schemas = lambda: psql(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant_%' OR nspname = 'bellwether_control' ORDER BY 1")

    # The first start hands out a link and a key; nothing of control is in a file.
    root = Person(server, server.link)
    assert root.call("GET", "/api/v1/auth/session")["user"]["role"] == "platform_admin"
    assert get("/api/v1/query", server.key, query="1").status_code == 200
    assert not list(server.data.rglob("*.db")), "control data is on the server alone"

    # A tenant in one call: a schema, a key that sends, an administrator who signs in.
    new = {"id": "acme", "name": "Acme", "admin": {"email": "boss@acme.test", "name": "Boss"}}
    made = root.call("POST", "/api/v1/tenants", json=new)
    key = made["key"]
    assert "tenant_acme" in schemas() and "bellwether_control" in schemas()
    boss = Person(server, made["sign_in_link"])
    session = boss.call("GET", "/api/v1/auth/session")
    assert (session["tenant"]["id"], session["user"]["role"]) == ("acme", "admin")
    sent = requests.post(server.url + "/api/metrics", json=[{"name": "kept", "value": 7}], headers=bearer(key), timeout=10)
    assert sent.json()["accepted"] == 1, sent.text
    names = lambda: get("/api/v1/label/__name__/values", key).json()["data"]
    assert "kept" in names()

    # Objects lie in the tenant's schema; a change of an older version is refused.
    path = "/api/v1/monitoring/objects/dashboard/ours"
    first = boss.ask("PUT", path, json={"title": "Ours"})
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"'), first.text
    assert boss.ask("PUT", path, json={"title": "Second"}, headers={"If-Match": '"1"'}).status_code == 200
    assert boss.ask("PUT", path, json={"title": "Third"}, headers={"If-Match": '"1"'}).status_code == 412
    assert psql(database, "SELECT version FROM tenant_acme.objects WHERE kind = 'dashboard' AND name = 'ours'") == ["2"]
    names_of = lambda person: {one["name"] for one in person.call("GET", "/api/v1/monitoring/objects/dashboard")["items"]}
    assert {"ours", "hosts", "services", "logs"} <= names_of(boss)
    assert "ours" not in names_of(root)

    # Everything is there after a stop and after a kill, and the links of the first start are not handed out again.
    for how in (server.stop, server.kill):
        how()
        server.start()
        assert boss.call("GET", "/api/v1/auth/session")["tenant"]["id"] == "acme"
        assert boss.call("GET", path)["spec"] == {"title": "Second"}
        assert "kept" in names()
    assert server.text().count("/signin?token=") == 1

    # Commands work on the same database, while the server runs.
    listed = subprocess.run([str(BINARY), "tenant", "list", "--data", str(server.data), *options], capture_output=True, text=True, timeout=60)
    assert listed.returncode == 0 and "acme" in listed.stdout, listed.stdout + listed.stderr
    status = subprocess.run([str(BINARY), "tenant", "migrate", "--status", "--data", str(server.data), *options], capture_output=True, text=True, timeout=60)
    assert status.returncode == 0 and "acme" in status.stdout, status.stdout + status.stderr

    asked = lambda: get("/api/v1/query", key, query="1").status_code
    root.call("POST", "/api/v1/tenants/acme/suspend")
    assert asked() == 403 and boss.ask("GET", "/api/v1/auth/session").status_code == 403
    root.call("POST", "/api/v1/tenants/acme/activate")
    assert asked() == 200

    # The log of what was done holds, and the tenant goes with its schema.
    verdict = root.call("GET", "/api/v1/monitoring/audit/verify")
    assert verdict["ok"] and verdict["rows"] > 0, verdict
    assert root.ask("DELETE", "/api/v1/tenants/acme").status_code == 202
    assert asked() in (401, 403)
    wait_for("the schema to be dropped", lambda: "tenant_acme" not in schemas(), 90, 0.5)
    wait_for("the tenant to be gone", lambda: root.ask("GET", "/api/v1/tenants/acme").status_code == 404, 90, 0.5)
    for table in ("users", "api_keys", "sessions"):
        left = psql(database, f"SELECT count(*) FROM bellwether_control.{table} t WHERE t::text LIKE '%acme%'")
        assert left == ["0"], table
