"""Letters by a real mail server: forgotten passwords, invitations."""

import email
import email.policy
import html
import re
import ssl
import time

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from authority import Authority
from harness import free_port, wait_for
from organisations import Person

BASE = "https://bw.example"
USER, PASSWORD = "mailer", "planted-smtp-password"


class Box:
    """Keeps what comes; refuses for the moment while `is_busy`."""

    def __init__(self):
        self.letters, self.ciphers, self.refused, self.is_busy = [], [], 0, False

    async def handle_DATA(self, server, session, envelope):
        if self.is_busy:
            self.refused += 1
            return "451 try again later"
        # Of the connection as it is now: None without encryption.
        self.ciphers.append(server.transport.get_extra_info("cipher"))
        self.letters.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken"

    def of(self, address):
        return [letter for to, letter in self.letters if to == [address]]


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good)


@pytest.fixture
def mail_server():
    box = Box()
    made = Controller(box, hostname="127.0.0.1", port=free_port(), authenticator=authenticate, auth_required=True, auth_require_tls=False)
    made.start()
    yield box, made
    made.stop()


def settings(port, tmp_path, **more):
    (tmp_path / "smtp.password").write_text(PASSWORD + "\n")
    values = {
        "host.enabled": "false", "server.external_url": BASE, "smtp.host": "127.0.0.1", "smtp.port": port, "smtp.tls": "off",
        "smtp.username": USER, "smtp.password_file": tmp_path / "smtp.password", "smtp.from": "Bellwether <bw@bw.example>", **more,
    }
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


def api(server, path, body):
    return requests.post(server.url + path, json=body, timeout=10)


def link_in(letter, kind):
    text = letter.get_body(("plain",)).get_content()
    page = html.unescape(letter.get_body(("html",)).get_content())
    link = re.search(rf"{BASE}/{kind}/(\S+)", text).group(0)
    assert f'href="{link}"' in page
    return link.rsplit("/", 1)[1]


def test_an_invitation_and_a_forgotten_password_by_mail(fresh, mail_server, tmp_path):
    box, made = mail_server
    server = fresh(args=settings(made.port, tmp_path)).start()
    root = Person(server, server.link)

    invited = root.ask("POST", "/api/v1/tenants/current/invitations", json={"email": "ada@a.example", "role": "viewer"})
    assert invited.status_code == 201 and invited.json()["mailed"] is True, invited.text
    letter = wait_for("the invitation", lambda: box.of("ada@a.example"), 15)[0]
    assert letter["From"] == "Bellwether <bw@bw.example>" and "Invitation" in letter["Subject"]
    token = link_in(letter, "invite")
    accepted = api(server, f"/api/v1/auth/invitations/{token}", {"name": "Ada", "password": "the first sentence"})
    ada = Person(server, answer=accepted)
    assert ada.call("GET", "/api/v1/auth/session")["user"]["email"] == "ada@a.example"

    # Known or not, an address is answered alike and as fast, whatever the mail server does.
    box.is_busy = True
    took = {}
    for address in ("ada@a.example", "nobody@a.example"):
        started = time.monotonic()
        answer = api(server, "/api/v1/auth/password/forgot", {"email": address})
        took[address] = time.monotonic() - started
        assert (answer.status_code, answer.text) == (202, "")
    assert max(took.values()) < 1, took
    wait_for("a try that is refused", lambda: box.refused, 15)
    assert len(box.of("ada@a.example")) == 1
    box.is_busy = False
    letter = wait_for("the letter after all", lambda: box.of("ada@a.example")[1:], 30)[0]
    assert not box.of("nobody@a.example")

    token = link_in(letter, "reset")
    assert api(server, "/api/v1/auth/password/reset", {"token": token, "password": "short"}).status_code == 400
    assert api(server, "/api/v1/auth/password/reset", {"token": token, "password": "the second sentence"}).status_code == 204
    assert api(server, "/api/v1/auth/password/reset", {"token": token, "password": "the third sentence"}).status_code == 404
    assert ada.ask("GET", "/api/v1/auth/session").status_code == 401, "sessions of before end"
    sign_in = lambda password: api(server, "/api/v1/auth/sign-in", {"email": "ada@a.example", "password": password}).status_code
    assert (sign_in("the first sentence"), sign_in("the second sentence")) == (401, 200)
    metrics = requests.get(server.url + "/metrics", headers=server.auth, timeout=10).text
    assert 'bellwether_letters_total{outcome="sent"} 2' in metrics and 'outcome="retried"' in metrics
    for secret in (PASSWORD, token):
        assert secret not in server.text()


class Encrypted(Controller):
    """A mail server over TLS, from the first byte or from STARTTLS on."""

    def __init__(self, box, mode, pem, key):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem, key)
        # Names and passwords are taken over TLS alone.
        options = dict(authenticator=authenticate, auth_required=True, auth_require_tls=mode == "starttls")
        if mode == "starttls":
            options |= dict(tls_context=context, require_starttls=True)
        else:
            options |= dict(ssl_context=context)
        super().__init__(box, hostname="127.0.0.1", port=free_port(), **options)
        self.box = box

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_letters_go_over_tls_to_a_server_whose_authority_is_named_and_to_no_other(fresh, tmp_path, mode):
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    with Encrypted(Box(), mode, *ours.issue("mail")) as made:
        more = {"smtp.tls": mode, "smtp.ca_file": ours.pem}
        server = fresh(args=settings(made.port, tmp_path, **more)).start()
        root = Person(server, server.link)
        body = {"email": "ada@a.example", "role": "viewer"}
        root.call("POST", "/api/v1/tenants/current/invitations", json=body)
        letter = wait_for("the invitation", lambda: made.box.of("ada@a.example"), 15)[0]
        token = link_in(letter, "invite")
        assert api(server, f"/api/v1/auth/invitations/{token}", {"name": "Ada", "password": "the first sentence"}).status_code == 200
        assert all(made.box.ciphers), "encrypted"
        server.stop()

        # One that another authority vouches for is told nothing: no letter, no name, no password.
        server = fresh(args=settings(made.port, tmp_path, **{**more, "smtp.ca_file": theirs.pem})).start()
        root = Person(server, server.link)
        root.call("POST", "/api/v1/tenants/current/invitations", json={"email": "eve@a.example", "role": "viewer"})
        outcome = lambda: 'bellwether_letters_total{outcome="retried"}' in requests.get(
            server.url + "/metrics", headers=server.auth, timeout=10).text
        wait_for("the letter to wait", outcome, 30)
        assert not made.box.of("eve@a.example")
        assert PASSWORD not in server.text()


def test_without_starttls_no_letter_goes_out(fresh, mail_server, tmp_path):
    box, made = mail_server
    server = fresh(args=settings(made.port, tmp_path, **{"smtp.tls": "starttls"})).start()
    root = Person(server, server.link)
    root.call("POST", "/api/v1/tenants/current/invitations", json={"email": "ada@a.example", "role": "viewer"})
    figures = lambda: requests.get(server.url + "/metrics", headers=server.auth, timeout=10).text
    tried = lambda: re.search(r'bellwether_letters_total\{outcome="(retried|refused)"\} [1-9]', figures())
    wait_for("a try", tried, 30)
    assert not box.letters


def test_a_link_never_follows_the_host_that_a_stranger_names(fresh, mail_server, tmp_path):
    box, made = mail_server
    server = fresh(args=settings(made.port, tmp_path)).start()
    body = {"email": "admin@localhost"}
    answer = requests.post(server.url + "/api/v1/auth/password/forgot", json=body, headers={"Host": "evil.example"}, timeout=10)
    assert answer.status_code in (202, 403)
    time.sleep(1)
    assert not any("evil.example" in letter.as_string() for _, letter in box.letters)


@pytest.mark.parametrize("change,want", [
    ({"server.external_url": ""}, "server.external_url"),
    ({"smtp.tls": "off", "smtp.host": "mail.example"}, "smtp.tls"),
    ({"smtp.from": "nobody"}, "smtp.from"),
])
def test_a_wrong_setting_ends_the_start_with_its_name(fresh, tmp_path, change, want):
    server = fresh(args=settings(25, tmp_path, **change))
    server.start(wait=False)
    assert server.process.wait(20) != 0
    assert want in server.text() and PASSWORD not in server.text(), server.text()
