"""Real clients that write traces; Jaeger's and Tempo's read APIs as Grafana's stock data sources call them."""

import json
import time

import pytest
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from harness import wait_for
from rows import node, one, sql, wait_for_rows


def shop(exporters):
    """One trace over two services: a server span, a client span, a server span that fails."""
    def tracer(service):
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.add_span_processor(BatchSpanProcessor(exporters(service)))
        return provider, provider.get_tracer("shop", "1.0")

    (front_provider, front), (back_provider, back) = tracer("front"), tracer("back")
    with front.start_as_current_span("GET /cart", kind=SpanKind.SERVER, attributes={"http.route": "/cart", "http.status_code": 200}) as root:
        with front.start_as_current_span("charge", kind=SpanKind.CLIENT, attributes={"peer.service": "back"}) as client:
            context = trace.set_span_in_context(client)
            with back.start_as_current_span("POST /charge", context=context, kind=SpanKind.SERVER) as server_span:
                server_span.add_event("retrying", {"attempt": 2})
                server_span.set_status(StatusCode.ERROR, "card declined")
                time.sleep(0.02)
    front_provider.shutdown()
    back_provider.shutdown()
    return root.get_span_context(), client.get_span_context(), server_span.get_span_context()


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_the_python_sdk_exports_spans(server, transport):
    def exporter(_):
        if transport == "grpc":
            return GrpcSpans(endpoint=f"127.0.0.1:{server.grpc_port}", insecure=True)
        return HttpSpans(endpoint=server.url + "/v1/traces")

    root, client, failed = shop(exporter)
    trace_id = f"{root.trace_id:032x}"
    rows = sql(server, f"""SELECT name, kind, span_id, parent_span_id, status_code, status_message, duration, "service.name" AS service,
        "http.route" AS route, "http.status_code" AS status, events FROM spans WHERE trace_id = '{trace_id}' ORDER BY start""")
    assert [row["name"] for row in rows] == ["GET /cart", "charge", "POST /charge"]
    assert [row["kind"] for row in rows] == ["server", "client", "server"]
    assert [row["service"] for row in rows] == ["front", "front", "back"]
    assert rows[0]["parent_span_id"] is None and rows[2]["parent_span_id"] == f"{client.span_id:016x}"
    assert (rows[0]["route"], rows[0]["status"]) == ("/cart", 200)
    assert (rows[2]["status_code"], rows[2]["status_message"]) == ("error", "card declined")
    assert rows[2]["duration"] >= 20_000_000
    events = json.loads(rows[2]["events"])
    assert events[0]["name"] == "retrying" and events[0]["attributes"] == {"attempt": 2}


def test_zipkin_and_javascript(server):
    root, *_ = shop(lambda _: ZipkinExporter(endpoint=server.url + "/api/v2/spans"))
    rows = sql(server, f"SELECT name, kind, \"service.name\" AS service, status_code FROM spans WHERE trace_id = '{root.trace_id:032x}' ORDER BY start")
    assert [(row["name"], row["kind"], row["service"]) for row in rows] == [
        ("GET /cart", "server", "front"), ("charge", "client", "front"), ("POST /charge", "server", "back")]
    assert rows[2]["status_code"] == "error"
    ids = node("send.mjs", server.url, "js-traces")
    rows = sql(server, f"SELECT name, span_id, status_message, \"cart.items\" AS items, \"cart.total\" AS total, gift FROM spans WHERE trace_id = '{ids['trace_id']}' ORDER BY start, parent_span_id NULLS FIRST")
    assert (rows[0]["name"], rows[0]["items"], rows[0]["total"], rows[0]["gift"]) == ("checkout", 3, 12.5, True)
    assert rows[1]["span_id"] == ids["child"] and rows[1]["status_message"] == "declined"


def test_a_span_without_ids_costs_itself_alone(server):
    def span(**ids):
        return {"name": "s", "kind": 1, "startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns()), **ids}

    body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "half"}}]},
            "scopeSpans": [{"spans": [span(traceId="ab" * 16, spanId="cd" * 8), span(traceId="", spanId="cd" * 8)]}]}]}
    answer = server.post("/v1/traces", json=body)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1" and "trace" in partial["errorMessage"].lower()
    assert one(server, "SELECT count(*) FROM spans WHERE \"service.name\" = 'half'") == 1


def test_jaeger_as_grafana_calls_it(server):
    """Requests of Grafana's Jaeger data source (public/app/plugins/datasource/jaeger)."""
    root, client, failed = shop(lambda _: HttpSpans(endpoint=server.url + "/v1/traces"))
    trace_id = f"{root.trace_id:032x}"
    services = server.get("/jaeger/api/services").json()
    assert {"front", "back"} <= set(services["data"])
    operations = server.get("/jaeger/api/services/front/operations").json()["data"]
    assert {"GET /cart", "charge"} <= set(operations)
    now_us = time.time_ns() // 1000
    found = server.get("/jaeger/api/traces", service="front", operation="GET /cart", limit=20,
                       start=now_us - 3_600_000_000, end=now_us + 1_000_000, lookback="custom").json()
    assert trace_id in {t["traceID"] for t in found["data"]}
    one_trace = server.get(f"/jaeger/api/traces/{trace_id}").json()["data"][0]
    assert len(one_trace["spans"]) == 3 and {p["serviceName"] for p in one_trace["processes"].values()} == {"front", "back"}
    child = next(s for s in one_trace["spans"] if s["spanID"] == f"{failed.span_id:016x}")
    assert child["references"] == [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": f"{client.span_id:016x}"}]
    assert {"key": "error", "type": "bool", "value": True} in child["tags"]
    tagged = server.get("/jaeger/api/traces", service="back", tags=json.dumps({"error": "true"}), limit=20, lookback="1h",
                        start=now_us - 3_600_000_000, end=now_us + 1_000_000).json()
    assert trace_id in {t["traceID"] for t in tagged["data"]}
    assert server.get("/jaeger/api/traces/" + "0" * 31 + "1").status_code == 404
    edges = server.get("/jaeger/api/dependencies", endTs=int(time.time() * 1000), lookback=3_600_000).json()["data"]
    assert any((e["parent"], e["child"]) == ("front", "back") and e["callCount"] >= 1 for e in edges)


def test_tempo_as_grafana_calls_it(server):
    """Requests of Grafana's Tempo data source (pkg/tsdb/tempo, public/app/plugins/datasource/tempo)."""
    root, client, failed = shop(lambda _: HttpSpans(endpoint=server.url + "/v1/traces"))
    trace_id = f"{root.trace_id:032x}"
    assert server.get("/tempo/api/echo").text == "echo"
    assert server.get("/tempo/api/status/buildinfo").status_code == 200
    got = requests.get(f"{server.url}/tempo/api/traces/{trace_id}", headers={"accept": "application/protobuf"}, timeout=10)
    assert got.status_code == 200 and got.headers["content-type"].startswith("application/protobuf")
    data = TracesData.FromString(got.content)
    spans = [s for r in data.resource_spans for scope in r.scope_spans for s in scope.spans]
    assert {s.name for s in spans} == {"GET /cart", "charge", "POST /charge"}
    assert all(s.trace_id == root.trace_id.to_bytes(16, "big") for s in spans)
    now = int(time.time())
    for query, hit in [
        ('{resource.service.name="front" && name="GET /cart"}', True),
        ('{status=error}', True),
        ('{.http.status_code>=200}', True),
        ('{duration>10ms} | count() > 1', True),
        ('{name="GET /cart"} >> {status=error}', True),
        ('{name="POST /charge"} > {name="charge"}', False),
        ('{resource.service.name="nobody"}', False),
    ]:
        answer = server.get("/tempo/api/search", q=query, start=now - 3600, end=now + 1, limit=200, spss=3)
        assert answer.status_code == 200, (query, answer.text)
        assert (trace_id in {t["traceID"].rjust(32, "0") for t in answer.json()["traces"]}) == hit, query
    scopes = server.get("/tempo/api/v2/search/tags", start=now - 3600, end=now + 1).json()["scopes"]
    assert any("service.name" in scope["tags"] for scope in scopes if scope["name"] == "resource")
    values = server.get("/tempo/api/v2/search/tag/resource.service.name/values", start=now - 3600, end=now + 1).json()["tagValues"]
    assert {"front", "back"} <= {v["value"] for v in values}
    bad = server.get("/tempo/api/search", q="{name=}", start=now - 3600, end=now + 1)
    assert bad.status_code == 400 and bad.text


def test_metrics_of_spans(server):
    shop(lambda _: HttpSpans(endpoint=server.url + "/v1/traces"))
    calls = lambda: server.value('sum(traces_spanmetrics_calls_total{service="back",span_name="POST /charge",status_code="STATUS_CODE_ERROR"})')
    wait_for("span metrics", calls, 30)
    assert server.value('sum(traces_service_graph_request_total{client="front",server="back"})') >= 1
    assert server.value('histogram_quantile(0.5, sum by (le) (traces_spanmetrics_latency_bucket{service="back"}))') > 0


def test_incomplete_traces_are_shown(server):
    trace_id = "77" * 16
    body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "orphan"}}]},
            "scopeSpans": [{"spans": [{"traceId": trace_id, "spanId": "01" * 8, "parentSpanId": "99" * 8, "name": "lost child", "kind": 2,
                                       "startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns() + 5_000_000)}]}]}]}
    assert server.post("/v1/traces", json=body).status_code == 200
    answer = requests.get(f"{server.url}/api/v1/monitoring/traces/{trace_id}", headers=server.auth, timeout=10)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["complete"] is False and shown["missing_parents"] == ["99" * 8]
    assert [s["name"] for s in shown["spans"]] == ["lost child"]
