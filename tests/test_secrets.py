"""Secrets are planted, a whole flow runs, and nothing that the server writes or says may hold them in plain text."""

import base64
import subprocess
import time

import requests

from harness import BINARY, wait_for
from test_mail import PASSWORD as SMTP_PASSWORD
from test_mail import Person, api, mail_server, settings  # noqa: F401 - the fixture

WORDS = "planted sentence of hers 7"
NEW_WORDS = "another planted sentence 8"
CLIENT_SECRET = "planted-client-secret-9"
SCRAPE_PASSWORD = "planted-scrape-password-10"


def spellings(secret):
    plain = secret.encode()
    return [plain, base64.b64encode(plain).rstrip(b"=")]


def test_planted_secrets_are_found_nowhere(fresh, mail_server, tmp_path):  # noqa: F811
    box, made = mail_server
    server = fresh(args=settings(made.port, tmp_path, **{"telemetry.interval": "1s", "logging.level": "debug"})).start()
    link = server.link.split("token=")[1]
    greeting_ends = len(server.text())
    root = Person(server, answer=api(server, "/api/v1/auth/link", {"token": link}))
    secrets = {"the key of the first start": server.key, "the link of the first start": link, "the SMTP password": SMTP_PASSWORD}

    # People: invitation, password, second factor, tokens, a forgotten password.
    invited = root.ask("POST", "/api/v1/tenants/current/invitations", json={"email": "ada@a.example", "role": "admin"}).json()
    invitation = invited["url"].rsplit("/", 1)[1]
    ada = Person(server, answer=api(server, f"/api/v1/auth/invitations/{invitation}", {"name": "Ada", "password": WORDS}))
    factor = ada.ask("POST", "/api/v1/auth/second-factor", json={}).json()
    pair = ada.ask("POST", "/api/v1/auth/token", json={"grant_type": "session"}).json()
    assert api(server, "/api/v1/auth/password/forgot", {"email": "ada@a.example"}).status_code == 202
    letter = wait_for("the letter", lambda: [one for _, one in box.letters if "password" in one["Subject"].lower()], 20)[0]
    reset = letter.get_body(("plain",)).get_content().split("/reset/")[1].split()[0]
    assert api(server, "/api/v1/auth/password/reset", {"token": reset, "password": NEW_WORDS}).status_code == 204
    secrets |= {
        "an invitation": invitation, "a password": WORDS, "the next password": NEW_WORDS, "a session": ada.session.headers["Cookie"].split("=", 1)[1],
        "a CSRF token": ada.session.headers["X-CSRF-Token"], "a second factor": factor["secret"], "an access token": pair["access_token"],
        "a refresh token": pair["refresh_token"], "a reset": reset,
    }
    # Keys, a provider, a saved object.
    key = root.ask("POST", "/api/v1/tenants/current/keys", json={"name": "planted", "scopes": ["query"]}).json()
    secrets["an API key"] = max((value for value in key.values() if isinstance(value, str) and value.startswith("bw_")), key=len)
    provider = {"name": "Directory", "kind": "oidc", "default_role": "viewer", "domains": ["a.example"],
                "config": {"issuer": "http://127.0.0.1:1", "client_id": "c", "client_secret": CLIENT_SECRET}}
    assert root.ask("POST", "/api/v1/tenants/current/sso", json=provider).status_code == 201
    scrape = f"scrape_configs: [{{job_name: a, basic_auth: {{username: u, password: {SCRAPE_PASSWORD}}}}}]"
    put = root.ask("PUT", "/api/v1/monitoring/objects/agent/default", json={"scrape": scrape})
    assert put.status_code == 200, put.text
    secrets |= {"a client secret": CLIENT_SECRET}

    # Answers of every kind of error, each asked with a secret where one may be quoted back.
    answers = []
    for secret in (secrets["an API key"], pair["access_token"], server.key):
        for headers in ({"Authorization": f"Bearer {secret}x"}, {"Authorization": f"Basic {secret}"}, {"X-Scope-OrgID": "other", "Authorization": f"Bearer {secret}"}):
            answers.append(requests.get(server.url + "/api/v1/query", params={"query": "("}, headers=headers, timeout=10).text)
    for body in ({"email": "ada@a.example", "password": WORDS}, {"email": "ada@a.example", "password": [NEW_WORDS]}):
        answers.append(api(server, "/api/v1/auth/sign-in", body).text)
    answers.append(requests.post(server.url + "/api/v1/auth/token", data={"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}, timeout=10).text)
    for path in ("/sso", "/members", "/keys", "/invitations", ""):
        answers.append(root.ask("GET", "/api/v1/tenants/current" + path).text)
    answers.append(root.ask("GET", "/api/v1/status/config").text)
    answers.append(root.ask("GET", "/api/v1/status/flags").text)
    answers.append(root.ask("GET", "/metrics").text)
    query_key = {"Authorization": f"Bearer {secrets['an API key']}"}
    seen = requests.get(server.url + "/api/v1/monitoring/objects/agent/default", headers=query_key, timeout=10).text
    assert SCRAPE_PASSWORD not in seen

    # Its own telemetry and the audit log, through their own interfaces.
    time.sleep(3)
    for search in ("*", "service.name:bellwether"):
        answers.append(root.ask("POST", "/api/v1/sql", json={"search": search, "limit": 1000}).text)
    answers.append(root.ask("GET", "/api/v1/monitoring/audit", params={"limit": 1000}).text)
    exported = root.ask("POST", "/api/v1/tenants/current/export")
    answers.append(exported.text)

    server.stop()
    config = subprocess.run([str(BINARY), "config", "print", *server.command()[2:4], *server.args], capture_output=True, text=True, timeout=30)
    answers.append(config.stdout + config.stderr)
    files = {str(path): path.read_bytes() for path in server.data.rglob("*") if path.is_file() and path.name != "secret.key"}
    assert any(name.endswith(".db") for name in files), files.keys()

    # The first start prints a key and a link, once, to whoever started it: the log after that holds neither.
    log = server.log.read_bytes()[greeting_ends:]
    for what, secret in secrets.items():
        for spelling in spellings(secret):
            assert spelling not in log, f"{what} in the log"
            for answer in answers:
                assert spelling not in answer.encode(), f"{what} in an answer: {answer[:300]}"
            for name, content in files.items():
                assert spelling not in content, f"{what} in {name}"
    assert server.data.joinpath("secret.key").stat().st_mode & 0o777 == 0o600
