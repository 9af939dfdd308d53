"""Every route of the OpenAPI document, asked by those who may not: without a credential, as another organisation, with
forged names, and by every role."""

import json
import os
import subprocess
import sys
import threading

import grpc
import pytest
import requests
import websocket
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as otlp_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from harness import ROOT, Server, wait_for
from organisations import MARK, Organisation, bearer
from walk import Walk

DOCUMENT = "/api/v1/monitoring/openapi.json"

# What would end the walk itself, and where the path holds the key; each has a test of its own.
NOT_WALKED = {("POST", "/zipkin/{key}/api/v2/spans"), ("DELETE", "/api/v1/tenants/{tenant}"), ("POST", "/api/v1/tenants/{tenant}/suspend"), ("POST", "/api/v1/auth/logout"),
              ("DELETE", "/api/v1/auth/sessions"), ("POST", "/-/reload"), ("PUT", "/-/reload"), ("POST", "/api/v1/services/{name}/restart")}


@pytest.fixture(scope="module")
def world():
    server = Server(args=["--set", "host.enabled=false", "--set", "auth.local=required",
                          "--set", "server.external_url=http://obs.example.test"]).start()
    alpha, bravo = Organisation(server, "alpha"), Organisation(server, "bravo")
    ids = bravo.settle(MARK)
    document = alpha.admin.call("GET", DOCUMENT)
    seen = lambda: requests.get(server.url + "/api/v1/monitoring/logs", params={"query": MARK}, headers=bearer(bravo.key), timeout=10).json()["rows"]
    wait_for("bravo's rows", seen)
    yield server, alpha, bravo, Walk(document, ids, MARK)
    server.stop()
    server.remove()


def ask(server, walk, method, path, operation, tenant="current", headers=None, session=None, params=None):
    """One operation with everything that it asks for filled in."""
    url = server.url + walk.path(path, tenant)
    media, body = walk.body(operation)
    query = walk.query(path, operation)
    if media == "application/x-www-form-urlencoded":
        content = operation["requestBody"]["content"][media]["schema"]
        names = content.get("properties", {})
        query = {name: value for name, schema in names.items()
                 if (value := walk.value(path, name, schema, name in content.get("required", []))) is not None}
    headers = {**(headers or {}), **({"Content-Type": media} if media and body is not None else {})}
    if session:
        # A body that is refused is not read to its end, so the connection may be closed behind the answer.
        headers["Connection"] = "close"
    call = (session or requests).request
    as_form = {"data": query} if media == "application/x-www-form-urlencoded" else {"params": query, "data": body}
    return call(method, url, headers=headers, timeout=30, allow_redirects=False, **as_form)


def walked(walk):
    return [(method, path, operation) for method, path, operation in walk.operations() if (method, path) not in NOT_WALKED]


def test_the_document_names_every_route_that_the_walk_needs(world):
    _, _, _, walk = world
    paths = walk.document["paths"]
    assert len(paths) > 150, len(paths)
    for known in ("/api/v1/query", "/prometheus/api/v1/query", "/jaeger/api/traces/{id}", "/tempo/api/search", "/loki/api/v1/push",
                  "/api/v1/sql", "/api/v1/ws", "/v1/logs", "/api/v1/tenants/{tenant}/keys", "/api/v1/monitoring/audit", DOCUMENT):
        assert known in paths, known


def test_only_public_routes_answer_without_a_credential(world):
    server, _, _, walk = world
    wrong = []
    for method, path, operation in walked(walk):
        is_public = operation["security"] == []
        status = ask(server, walk, method, path, operation).status_code
        if (status == 401) == is_public and not (is_public and path.startswith("/api/v1/auth/")):
            wrong.append((method, path, status))
    assert not wrong, wrong
    public = {path for _, path, operation in walk.operations() if operation["security"] == []}
    allowed = ("/healthz", "/-/", "/version", "/api/v1/monitoring/health", "/api/v1/auth/", "/.well-known/",
               "/api/v1/monitoring/status-pages/", "/api/v1/monitoring/schedules/{name}/calendar.ics", "/api/v1/monitoring/heartbeat/",
               "/alertmanager/-/")
    # What a shipper asks first, to see which Elasticsearch it talks to: the version.
    versions = {"/elasticsearch", "/elasticsearch/"}
    assert all(path.startswith(allowed) for path in public - versions), public


def credentials(organisation):
    """Every way to show who one is."""
    import base64
    key = organisation.key
    pair = lambda name: base64.b64encode(f"{name}:{key}".encode()).decode()
    return {"bearer key": bearer(key), "basic": {"Authorization": "Basic " + pair("any")}, "api key": {"Authorization": "ApiKey " + pair("id")},
            "plain api key": {"Authorization": "ApiKey " + key}, "access token": bearer(organisation.admin.token), "session": None}


def test_nothing_of_another_organisation_is_readable_or_writable(world):
    server, alpha, bravo, walk = world
    # The walk finds bravo's things when bravo itself walks: else it would prove nothing.
    mark = MARK.encode()
    own = [path for method, path, operation in walked(walk) if method == "GET"
           and mark in ask(server, walk, method, path, operation, headers=bearer(bravo.admin.token)).content]
    assert len(own) > 40, own
    before = bravo.kept()
    for way, headers in credentials(alpha).items():
        session = alpha.admin.session if way == "session" else None
        for method, path, operation in walked(walk):
            tenants = ("bravo", "current") if "{tenant}" in path else ("current",)
            for tenant in tenants:
                answer = ask(server, walk, method, path, operation, tenant, headers, session)
                where = f"{way}: {method} {walk.path(path, tenant)}: {answer.status_code} {answer.text[:300]}"
                assert mark not in answer.content.replace(walk.path(path, tenant).encode(), b"") or echoed(answer), where
                assert answer.status_code < 500, where
                if tenant == "bravo" and operation["security"]:
                    assert answer.status_code in (400, 403, 404), where
    assert bravo.kept() == before


def echoed(answer):
    """A refusal may repeat the identifier that it was asked for."""
    return answer.status_code in (400, 403, 404, 422) and answer.text.count(MARK) <= 2


def test_a_forged_tenant_header_or_host_is_refused_everywhere(world):
    server, alpha, _, walk = world
    forged = [{"X-Scope-OrgID": "bravo"}, {"X-Tenant-ID": "bravo"}, {"Host": "bravo.obs.example.test"}]
    for method, path, operation in walked(walk):
        if operation["security"] == []:
            continue
        for extra in forged:
            answer = ask(server, walk, method, path, operation, headers={**bearer(alpha.key), **extra})
            assert answer.status_code == 403, f"{extra} {method} {path}: {answer.status_code} {answer.text[:200]}"
    agreeing = {"X-Scope-OrgID": "alpha", "X-Tenant-ID": "alpha", "Host": "alpha.obs.example.test"}
    answer = requests.get(server.url + "/api/v1/query", params={"query": "1"}, headers={**bearer(alpha.key), **agreeing}, timeout=10)
    assert answer.status_code == 200, answer.text


def test_grpc_takes_the_tenant_from_the_key_alone(world):
    server, alpha, bravo, _ = world
    request = otlp_logs.ExportLogsServiceRequest()
    line = request.resource_logs.add().scope_logs.add().log_records.add()
    line.body.string_value = "alphagrpc"
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = LogsServiceStub(channel)
        for metadata, want in [
            ([("authorization", f"Bearer {alpha.key}"), ("x-scope-orgid", "bravo")], grpc.StatusCode.PERMISSION_DENIED),
            ([("authorization", f"Bearer {alpha.key}"), ("x-tenant-id", "bravo")], grpc.StatusCode.PERMISSION_DENIED),
            ([("x-scope-orgid", "bravo")], grpc.StatusCode.UNAUTHENTICATED),
            ([("authorization", "Bearer bw_wrong")], grpc.StatusCode.UNAUTHENTICATED),
        ]:
            with pytest.raises(grpc.RpcError) as refused:
                stub.Export(request, metadata=metadata, timeout=10)
            assert refused.value.code() == want, metadata
        stub.Export(request, metadata=[("authorization", f"Bearer {alpha.key}")], timeout=10)
    rows = lambda who: requests.get(server.url + "/api/v1/monitoring/logs", params={"query": "alphagrpc"}, headers=bearer(who.key), timeout=10).json()["rows"]
    wait_for("alpha's line", lambda: rows(alpha))
    assert rows(bravo) == []


def test_a_key_in_the_path_says_the_tenant(world):
    server, alpha, bravo, _ = world
    span = [{"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312", "name": "alphazipkin", "timestamp": 1_700_000_000_000_000,
             "duration": 10, "localEndpoint": {"serviceName": "alphazipkin"}}]
    path = f"{server.url}/zipkin/{alpha.key}/api/v2/spans"
    assert requests.post(path, json=span, headers={"X-Scope-OrgID": "bravo"}, timeout=10).status_code == 403
    assert requests.post(path, json=span, headers=bearer(bravo.key), timeout=10).status_code in (400, 401, 403)
    assert requests.post(f"{server.url}/zipkin/bw_wrong/api/v2/spans", json=span, timeout=10).status_code == 401


def test_a_socket_hears_its_own_tenant_only(world):
    server, alpha, bravo, _ = world
    url = f"ws://127.0.0.1:{server.port}/api/v1/ws"
    for headers in ([f"Authorization: Bearer {alpha.key}", "X-Tenant-ID: bravo"], []):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(url, header=headers, timeout=5)
        assert refused.value.status_code in (401, 403)
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(url, host="bravo.obs.example.test", header=[f"Authorization: Bearer {alpha.key}"], timeout=5)
    heard = []
    socket = websocket.create_connection(url, header=[f"Authorization: Bearer {alpha.key}"], timeout=2)
    for wanted in ({"id": "rows", "channel": "tail", "signal": "logs", "query": ""}, {"id": "series", "channel": "metrics", "match": ['{__name__=~".+"}']}):
        socket.send(json.dumps({"type": "subscribe", "data": wanted}))

    def listen():
        try:
            while True:
                heard.append(socket.recv())
        except (websocket.WebSocketException, OSError):
            pass

    listener = threading.Thread(target=listen)
    listener.start()
    bravo.send(MARK)
    alpha.send("alphamark")
    listener.join(8)
    socket.close()
    text = "\n".join(map(str, heard))
    assert "alphamark" in text and MARK not in text, text[:2000]


def test_roles_may_do_what_their_permissions_say(world):
    server, alpha, _, walk = world
    roles = {one["name"]: set(one["permissions"]) for one in alpha.admin.call("GET", alpha.base("roles"))["items"]}
    wrong = []
    for role in ("viewer", "responder", "editor"):
        person = alpha.person(role)
        for method, path, operation in walked(walk):
            if operation["security"] == []:
                continue
            needed = operation.get("x-permission")
            answer = ask(server, walk, method, path, operation, headers=bearer(person.token))
            if needed is not None and needed not in roles[role] and answer.status_code != 403:
                wrong.append((role, method, path, needed, answer.status_code))
            # Reading the server's host is for those who operate it, too.
            is_operators = path == "/api/v1/monitoring/metrics/collect"
            if (needed is None or needed in roles[role]) and answer.status_code == 403 and "permission" in answer.text and not is_operators:
                wrong.append((role, method, path, needed, answer.text[:100]))
    assert not wrong, wrong


# What ends or narrows the key that asks: it is asked by a key that nobody needs any more.
ENDS_THE_KEY = {path for _, path in NOT_WALKED} | {
    "/api/v1/tenants/{tenant}", "/api/v1/tenants/{tenant}/limits", "/api/v1/tenants/{tenant}/keys/{id}", "/api/v1/tenants/{tenant}/keys/{id}/rotate"}


def schemathesis(server, key, filters, folder):
    """Makes requests up by the document, and judges every answer by it."""
    checks = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
              "response_schema_conformance")
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", server.url + DOCUMENT, "--header", f"Authorization: Bearer {key}",
         "--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", "6", "--seed", "1",
         "--generation-database", "none", "--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "20", *filters],
        capture_output=True, text=True, timeout=1200, cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(ROOT / "tests")})
    told = run.stdout[max(run.stdout.find("= FAILURES ="), 0):]
    assert run.returncode == 0, told[:12_000] + told[-1_000:] + run.stderr[-2_000:]


def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(world, tmp_path):
    server, alpha, _, _ = world
    of = lambda option: [one for path in sorted(ENDS_THE_KEY - {"/-/reload"}) for one in (option, path)]
    # The first tenant's key may operate the server.
    schemathesis(server, server.key, [*of("--exclude-path"), "--exclude-path", "/-/reload"], tmp_path)
    # The run was one of somebody who is answered.
    assert requests.get(server.url + "/api/v1/query", params={"query": "1"}, headers=bearer(server.key), timeout=10).status_code == 200
    schemathesis(server, alpha.key, of("--include-path"), tmp_path)
