"""Single sign-on through providers that run beside: the certified OpenID provider for Node, and pysaml2 with xmlsec1.
A browser goes the whole way (ui/e2e/sso.mjs); answers that no provider should give are posted here."""

import base64
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

import saml_idp
from harness import ROOT, Server, free_port, wait_for
from test_pages import drive
from test_tenants import command, signed_in


@pytest.fixture
def sites(tmp_path):
    """Our server at `localhost`, the providers at 127.0.0.1: another site for a browser."""
    server = Server(args=["--set", "host.enabled=false", "--set", "server.outbound_ranges=127.0.0.0/8"])
    server.args += ["--set", f"server.external_url=http://localhost:{server.port}"]
    server.start()
    idps = []

    def saml(shape):
        folder = tmp_path / f"idp{len(idps)}"
        folder.mkdir()
        idps.append(saml_idp.Idp(folder, shape))
        return idps[-1]

    yield server, saml
    for idp in idps:
        idp.stop()
    server.remove()


@pytest.fixture
def openid(tmp_path):
    """The address of an OpenID provider."""
    port = free_port()
    with open(tmp_path / "openid.log", "w") as log:
        process = subprocess.Popen(["node", "oidc_provider.mjs", str(port)], cwd=ROOT / "tests/js", stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    wait_for("the OpenID provider", lambda: requests.get(url + "/.well-known/openid-configuration", timeout=2).ok)
    yield url
    process.kill()
    process.wait(10)


def test_people_sign_in_through_openid_and_saml_in_a_browser(sites, openid, tmp_path):
    server, saml = sites
    entra, okta = saml(saml_idp.entra), saml(saml_idp.okta)
    command(server, "tenant", "create", "acme", "--admin", "boss@acme.test")
    link = command(server, "user", "link", "boss@acme.test", "--tenant", "acme")
    here = f"http://localhost:{server.port}"
    token = lambda text: text.split("token=")[1].split()[0]
    drive(
        server, "sso", tmp_path, BASE_URL=here, SIGNIN_URL=f"{here}/signin?token={token(server.link)}",
        TENANT_LINK=f"{here}/signin?token={token(link)}", OIDC_URL=openid, SAML_URLS=f"{entra.url},{okta.url}",
        HOSTS=",".join(urlsplit(url).netloc for url in (openid, entra.url, okta.url)),
    )


def ask(server, provider):
    """Begins a sign-in as a browser: what the identity provider is asked, and the cookie."""
    begun = requests.get(server.url + provider["sign_in_url"], allow_redirects=False, timeout=10)
    assert begun.status_code == 302, begun.text
    fields = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    return fields, {"Cookie": begun.headers["set-cookie"].split(";")[0]}


def answer(provider, asked, xml):
    """Posts a response to our address; returns where the browser is sent, and whether it is signed in."""
    fields, cookie = asked
    form = {"SAMLResponse": base64.b64encode(xml.encode()).decode(), "RelayState": fields["RelayState"]}
    got = requests.post(provider["acs_url"], data=form, headers=cookie, allow_redirects=False, timeout=10)
    assert got.status_code == 302, got.text
    return got.headers["location"], "bellwether_session" in got.headers.get("set-cookie", "")


def test_saml_responses_that_are_not_exactly_ours_are_refused_and_the_reason_is_kept(sites, tmp_path):
    server, saml = sites
    idp = saml(saml_idp.okta)
    idp.people = {"ada": {"email": "ada@example.com", "name": "Ada", "groups": []}, "eve": {"email": "eve@evil.test", "name": "Eve", "groups": []}}
    root = signed_in(server, server.link)

    def provider(name):
        body = {"name": name, "kind": "saml", "config": {"metadata_url": idp.entity_id}, "domains": ["example.com"], "default_role": "viewer"}
        made = root.post(server.url + "/api/v1/tenants/current/sso", json=body, timeout=10)
        assert made.status_code == 201, made.text
        idp.trust(requests.get(made.json()["metadata_url"], timeout=10).text)
        return made.json()

    ours, other = provider("ours"), provider("other")
    stranger = saml_idp.key_pair(tmp_path, "stranger")
    plain = lambda xml: xml
    for why, login, args, change in [
        ("does not cover what the element says now", "ada", {}, lambda xml: xml.replace("ada@example.com", "boss@example.com")),
        ("does not cover what the element says now", "ada", {"sign": "assertion"}, lambda xml: xml.replace(">Ada<", ">Boss<")),
        ("is not signed", "ada", {"sign": "none"}, plain),
        ("was made by a key that is not in the identity provider's metadata", "ada", {"key": stranger}, plain),
        ("has expired", "ada", {"minutes": -10}, plain),
        ("is not for the audience", "ada", {"audience": other["metadata_url"]}, plain),
        ("is not meant for", "ada", {"destination": other["acs_url"]}, plain),
        ("does not answer the request", "ada", {"in_response_to": "request_of_someone_else"}, plain),
        ("addresses of this domain are not allowed", "eve", {}, plain),
        ("is no XML we read", "ada", {}, lambda xml: '<!DOCTYPE x [<!ENTITY a "b">]>' + xml.partition("?>")[2]),
    ]:
        asked = ask(server, ours)
        xml = change(idp.respond(idp.read(asked[0]["SAMLRequest"]), login, **args))
        to, is_in = answer(ours, asked, xml)
        assert to.startswith("/sign-in?error=") and not is_in, (why, to)
        kept = lambda: why in root.get(server.url + "/api/v1/monitoring/audit", params={"action": "session:begin", "limit": 5}, timeout=10).text
        wait_for(f"{why!r} in the audit log", kept, 10)

    # Signed either way it is good, once, and in the browser that asked.
    for sign in ("assertion", "response", "both"):
        asked = ask(server, ours)
        xml = idp.respond(idp.read(asked[0]["SAMLRequest"]), "ada", sign=sign)
        assert answer(ours, ask(server, ours), xml) == ("/sign-in?error=refused", False)
        assert answer(ours, (asked[0], {}), xml) == ("/sign-in?error=state", False)
        asked = ask(server, ours)
        xml = idp.respond(idp.read(asked[0]["SAMLRequest"]), "ada", sign=sign)
        assert answer(ours, asked, xml) == ("/", True)
        assert answer(ours, asked, xml) == ("/sign-in?error=state", False)
        assert answer(ours, ask(server, ours), xml) == ("/sign-in?error=refused", False)
    members = root.get(server.url + "/api/v1/tenants/current/members", timeout=10).json()["items"]
    assert [one["email"] for one in members].count("ada@example.com") == 1 and "eve@evil.test" not in str(members)


def test_a_provider_at_a_private_address_is_reached_where_an_operator_allows_it(fresh, openid):
    server = fresh().start()
    told = command(server, "tenant", "create", "acme", "--admin", "boss@acme.test")
    boss = signed_in(server, told[told.index("http"):].split()[0])
    body = {"name": "Inside", "kind": "oidc", "config": {"issuer": openid, "client_id": "x", "client_secret": "y"}, "default_role": "viewer"}
    test = lambda who: who.post(server.url + "/api/v1/tenants/current/sso/Inside/test", timeout=15).json()
    for who, want in [(boss, False), (signed_in(server, server.link), True)]:
        made = who.post(server.url + "/api/v1/tenants/current/sso", json=body, timeout=10)
        assert made.status_code == 201, made.text
        result = test(who)
        assert result["ok"] is want, result
        assert want or "server.outbound_ranges" in result["checks"][0]["detail"], result
