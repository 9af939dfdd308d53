"""TLS of the listeners with real clients: curl, requests, OpenTelemetry's exporters, openssl."""

import re
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from authority import Authority, openssl
from harness import free_port, wait_for

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def flags(**settings):
    out = ["--set", "host.enabled=false"]
    for name, value in settings.items():
        out += ["--set", f"{name.replace('__', '.')}={value}"]
    return out


def spans():
    made = []
    provider = TracerProvider()
    with provider.get_tracer("t").start_as_current_span("over-tls") as span:
        made.append(span)
    return made


def curl(*args):
    return subprocess.run(["curl", "-sS", "--max-time", "10", *args], capture_output=True, text=True, timeout=30)


def test_a_certificate_of_our_own_serves_every_listener_and_plain_requests_are_refused(fresh, tmp_path, monkeypatch):
    # A bundle that the environment names would win over the one that the exporter is given.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    server = fresh(args=flags(tls__mode="required"), scheme="https").start()
    certificate, key = server.data / "tls/certificate.pem", server.data / "tls/key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    told = re.search(r"\b((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\b", server.text()).group(1)
    assert told in openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"), "the printed fingerprint"

    url = f"https://localhost:{server.port}"
    for version, want in [("--http1.1", "1.1"), ("--http2", "2")]:
        done = curl("--cacert", str(certificate), version, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", url + "/healthz")
        assert done.stdout == f"200 {want}", done
    assert curl(url + "/healthz").returncode == 60, "an authority that is not known"
    other = Authority(tmp_path / "other")
    assert curl("--cacert", str(other.pem), url + "/healthz").returncode == 60

    for port in (server.port, server.otlp_port, server.grpc_port):
        done = curl("-o", "-", "-w", "%{http_code}", f"http://localhost:{port}/healthz")
        assert "use https://" in done.stdout and done.stdout.endswith("400"), done
    assert curl("--http2-prior-knowledge", f"http://localhost:{server.grpc_port}/").returncode != 0

    trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
    export = lambda exporter: (exporter.export(spans()), exporter.shutdown())[0]
    assert export(GrpcExporter(f"https://localhost:{server.grpc_port}", credentials=trusted)) is SpanExportResult.SUCCESS
    wrong = grpc.ssl_channel_credentials(other.pem.read_bytes())
    assert export(GrpcExporter(f"https://localhost:{server.grpc_port}", credentials=wrong, timeout=2)) is SpanExportResult.FAILURE
    http = f"https://localhost:{server.otlp_port}/v1/traces"
    assert export(HttpExporter(http, certificate_file=str(certificate))) is SpanExportResult.SUCCESS

    # Another start shows the same one.
    shown = server.text().count(told)
    server.stop()
    server.start()
    assert server.text().count(told) == 2 * shown
    metrics = requests.get(url + "/metrics", verify=str(certificate), timeout=10).text
    expiry = re.search(r'bellwether_tls_certificate_expiry_seconds\{listener="web"\} (\d+)', metrics).group(1)
    assert 800 * 86_400 < int(expiry) - time.time() < 830 * 86_400
    assert 'bellwether_tls_handshakes_total{outcome="ok"}' in metrics


def test_a_port_answers_both_while_tls_is_optional(fresh):
    server = fresh(args=flags(tls__mode="optional"), scheme="https").start()
    assert requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=10).ok
    assert requests.get(server.url + "/healthz", verify=str(server.data / "tls/certificate.pem"), timeout=10).ok


def test_certificates_are_changed_under_traffic_and_a_broken_pair_changes_nothing(fresh, tmp_path):
    authority = Authority(tmp_path / "ca")
    live_pem, live_key = tmp_path / "live.pem", tmp_path / "live.key"

    def install(name):
        pem, key = authority.issue(name)
        live_pem.write_bytes(pem.read_bytes())
        live_key.write_bytes(key.read_bytes())

    install("first")
    server = fresh(args=flags(tls__mode="required", tls__certificate_file=live_pem, tls__key_file=live_key), scheme="https").start()
    assert "certificate made here" not in server.text()

    def shown():
        done = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", authority.pem, "-verify_return_error", input="")
        return re.search(r"subject=CN ?= ?(\w+)", done).group(1)

    done, failures, asked = threading.Event(), [], 0

    def traffic():
        nonlocal asked
        while not done.is_set():
            try:
                # A connection each, so that each shakes hands.
                assert requests.get(server.url + "/healthz", verify=str(authority.pem), timeout=10).ok
            except Exception as error:  # noqa: BLE001 - every failure is one too many
                failures.append(error)
            asked += 1

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        assert shown() == "first"
        install("second")
        wait_for("the second certificate", lambda: shown() == "second", 15)
        live_key.write_text("nothing that is a key")
        wait_for("a word about the broken pair", lambda: "the certificate was not changed" in server.text(), 15)
        assert shown() == "second"
        metrics = requests.get(server.url + "/metrics", verify=str(authority.pem), timeout=10).text
        assert 'bellwether_tls_certificate_problem{listener="web"} 1' in metrics
        health = lambda: requests.get(server.url + "/api/v1/services/tls", headers=server.auth, verify=str(authority.pem), timeout=10).json()["health"]
        wait_for("the service to say so", lambda: health() == "degraded", 40)
        install("third")
        wait_for("the third certificate", lambda: shown() == "third", 15)
        metrics = requests.get(server.url + "/metrics", verify=str(authority.pem), timeout=10).text
        assert 'bellwether_tls_certificate_problem{listener="web"} 0' in metrics
    finally:
        done.set()
        thread.join()
    assert asked > 20 and not failures, failures[:3]
    assert "PRIVATE KEY" not in server.text()


def test_a_broken_pair_at_the_start_is_an_error_that_names_the_setting(fresh, tmp_path):
    (tmp_path / "no.pem").write_text("nothing")
    server = fresh(args=flags(tls__mode="required", tls__certificate_file=tmp_path / "no.pem", tls__key_file=tmp_path / "no.key"), scheme="https")
    server.start(wait=False)
    assert server.process.wait(20) != 0
    assert "tls.certificate_file" in server.text() or "tls.key_file" in server.text(), server.text()


def test_clients_must_show_a_certificate_where_an_authority_is_named(fresh, tmp_path):
    authority = Authority(tmp_path / "ca")
    pem, key = authority.issue("client")
    server = fresh(args=flags(tls__mode="required", tls__client_ca_file=authority.pem, tls__min_version="tls1.3"), scheme="https")
    server.start(wait=False)
    own = server.data / "tls/certificate.pem"
    ask = lambda **more: requests.get(server.url + "/healthz", verify=str(own), timeout=5, **more)
    wait_for("an answer to a client that is known", lambda: own.exists() and ask(cert=(str(pem), str(key))).ok, 30)
    with pytest.raises(requests.RequestException):
        ask()
    assert curl("--cacert", str(own), "--cert", str(pem), "--key", str(key), "--tls-max", "1.2", server.url + "/healthz").returncode != 0


def test_silent_clients_are_hung_up_on_and_keep_nobody_out(fresh):
    server = fresh(args=flags(tls__mode="required"), scheme="https").start()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    silent[0].sendall(b"\x16\x03\x01")
    started = time.monotonic()
    assert requests.get(server.url + "/healthz", verify=False, timeout=5).ok
    for one in silent:
        one.settimeout(20)
        assert one.recv(1) == b"", "closed by the server"
    assert 5 < time.monotonic() - started < 20


def test_syslog_shows_the_certificate_of_the_server(fresh):
    port = free_port()
    server = fresh(args=flags(tls__mode="optional", syslog__tls=f"127.0.0.1:{port}"), scheme="https").start()
    own = server.data / "tls/certificate.pem"
    trusting = ssl.create_default_context(cafile=own)
    with trusting.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as stream:
        stream.sendall(b"<14>1 - host app - - - hello over tls\n")

    def found():
        body = {"search": "hello", "count": True}
        return requests.post(server.url + "/api/v1/sql", json=body, verify=str(own), timeout=10).json()["rows"][0][0] == 1

    wait_for("the message", found, 15)
