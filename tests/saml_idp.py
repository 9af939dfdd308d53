"""A SAML 2.0 identity provider of a made-up company: pysaml2 and xmlsec1 behind a page to sign in."""

import base64
import datetime
import html
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

ENTRA = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT = "http://schemas.microsoft.com/"


def entra(email, name, groups, subject):
    """What Entra ID says of someone by default, groups being identifiers."""
    return NameID(format=NAMEID_FORMAT_PERSISTENT, text=subject), {
        MICROSOFT + "identity/claims/tenantid": ["11111111-2222-3333-4444-555555555555"],
        MICROSOFT + "identity/claims/objectidentifier": [subject],
        MICROSOFT + "identity/claims/displayname": [name],
        MICROSOFT + "ws/2008/06/identity/claims/groups": groups,
        ENTRA + "givenname": [name.split()[0]],
        ENTRA + "emailaddress": [email],
        ENTRA + "name": [email],
    }


def okta(email, name, groups, **_):
    """What an application at Okta says with the attributes of docs/identity.md."""
    return NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=email), {"email": [email], "name": [name], "groups": groups}


class Idp:
    """`people` maps a login, which is the password, too, to what `shape` takes."""

    def __init__(self, folder, shape):
        self.folder, self.shape, self.people, self.services = Path(folder), shape, {}, {}
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.entity_id = self.url + "/metadata"
        self.key, self.certificate = key_pair(self.folder)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def trust(self, metadata):
        """Reads the metadata of a service that may ask."""
        self.services[len(self.services)] = metadata

    def server(self, key=None, minutes=5):
        """pysaml2's identity provider, knowing the services of now; `key` is another to sign with, `minutes` how long
        what it says is good."""
        config = IdPConfig().load({
            "entityid": self.entity_id,
            "service": {"idp": {
                "endpoints": {"single_sign_on_service": [(self.url + "/sso", BINDING_HTTP_REDIRECT)]},
                "policy": {"default": {"lifetime": {"minutes": minutes}}},
            }},
            "key_file": str(key[0] if key else self.key),
            "cert_file": str(key[1] if key else self.certificate),
            "metadata": {"inline": list(self.services.values())},
            "xmlsec_binary": "/usr/bin/xmlsec1",
        })
        return Server(config=config)

    def metadata(self):
        return str(entity_descriptor(self.server().config))

    def read(self, saml_request):
        """Checks a request against the metadata of who asks, as the binding HTTP-Redirect brings it."""
        server = self.server()
        request = server.parse_authn_request(saml_request, BINDING_HTTP_REDIRECT).message
        server.response_args(request)  # Raises unless their metadata is here, with an address to answer to.
        return request

    def respond(self, request, login, key=None, minutes=5, sign="both", audience=None, destination=None, in_response_to=None):
        """The response to a request: XML. `sign` is `assertion`, `response`, `both` or `none`; the rest says otherwise
        than the request."""
        server = self.server(key, minutes)
        answer = server.response_args(request)
        name_id, attributes = self.shape(**self.people[login])
        return str(server.create_authn_response(
            attributes, in_response_to=in_response_to or answer["in_response_to"], destination=destination or answer["destination"],
            sp_entity_id=audience or answer["sp_entity_id"], name_id=name_id,
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": self.url},
            sign_assertion=sign in ("assertion", "both"), sign_response=sign in ("response", "both"),
            sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256,
        ))

    def handler(idp):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, body, kind="text/html; charset=utf-8"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body.encode())

            def fields(self, text):
                return {name: values[0] for name, values in parse_qs(text).items()}

            def do_GET(self):
                at = urlsplit(self.path)
                if at.path == "/metadata":
                    return self.answer(200, idp.metadata(), "application/samlmetadata+xml")
                if at.path != "/sso":
                    return self.answer(404, "")
                fields = self.fields(at.query)
                try:
                    idp.read(fields["SAMLRequest"])
                except Exception as error:  # Whatever pysaml2 finds wrong with it.
                    return self.answer(403, html.escape(f"request refused: {error!r}"))
                hidden = "".join(
                    f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items())
                self.answer(200, f"""<!doctype html><title>Sign in</title><h1>Sign in at the company</h1>
                    <form method="post" action="/sso">{hidden}<input name="login" aria-label="Login">
                    <input name="password" type="password" aria-label="Password"><button>Continue</button></form>""")

            def do_PUT(self):
                """What a test says of a person, and which service the company's administrator takes on."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/services":
                    idp.trust(requests.get(body["metadata_url"], timeout=10).text)
                else:
                    idp.people[self.path.rpartition("/")[2]] = body
                self.send_response(204)
                self.end_headers()

            def do_POST(self):
                fields = self.fields(self.rfile.read(int(self.headers["Content-Length"])).decode())
                login = fields.get("login")
                if login not in idp.people or fields.get("password") != login:
                    return self.answer(403, "not right")
                request = idp.read(fields["SAMLRequest"])
                xml = idp.respond(request, login)
                to, state = html.escape(request.assertion_consumer_service_url), html.escape(fields["RelayState"])
                self.answer(200, f"""<!doctype html><title>Signing in</title><form method="post" action="{to}">
                    <input type="hidden" name="SAMLResponse" value="{base64.b64encode(xml.encode()).decode()}">
                    <input type="hidden" name="RelayState" value="{state}"></form><script>document.forms[0].submit()</script>""")

        return Handler


def key_pair(folder, name="idp"):
    """Files of a new key and of its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    )
    files = Path(folder) / f"{name}.key", Path(folder) / f"{name}.pem"
    files[0].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files
