"""Single sign-on through providers that run beside: the certified OpenID provider for Node, and pysaml2 with xmlsec1.
A browser goes the whole way (ui/e2e/sso.mjs); answers that no provider should give are posted here."""

import base64
import os
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
    link = command(server, "user", "link", "--tenant", "acme", "--email", "boss@acme.test")
    here = f"http://localhost:{server.port}"
    token = lambda text: text.split("token=")[1].split()[0]
    drive(
        server, "sso", tmp_path, BASE_URL=here, SIGNIN_URL=f"{here}/signin?token={token(server.link)}",
        TENANT_LINK=f"{here}/signin?token={token(link)}", OIDC_URL=openid, SAML_URLS=f"{entra.url},{okta.url}",
        HOSTS=",".join(urlsplit(url).netloc for url in (openid, entra.url, okta.url)),
    )
