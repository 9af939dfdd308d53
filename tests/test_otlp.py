"""Real OpenTelemetry clients: the Python SDK over gRPC and HTTP, rotel (metrics, logs, spans), and PyPI's remote-write exporter."""

import base64
import gzip
import json
import subprocess
import time
from pathlib import Path

import pytest
import requests
import rotel
import zstandard
from google.protobuf.json_format import ParseDict
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from harness import free_port, wait_for
from rows import sql


def record(exporter, service, views=(), preferred=None):
    """One counter, one up-down counter, one gauge, one histogram; returns after everything was exported."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource.create({"service.name": service, "service.namespace": "shop", "service.instance.id": "i-1", "region": "eu"})
    provider = MeterProvider(metric_readers=[reader], resource=resource, views=list(views))
    meter = provider.get_meter("tests", "1.0")
    requests_counter = meter.create_counter("http.server.requests", unit="1", description="Requests")
    active = meter.create_up_down_counter("http.server.active_requests", unit="{request}")
    latency = meter.create_histogram("http.server.request.duration", unit="s", description="Latency")
    temperature = meter.create_gauge("room.temperature", unit="Cel")
    for n in range(3):
        requests_counter.add(5, {"http.route": "/pay"})
        active.add(1)
        latency.record(0.1 * (n + 1), {"http.route": "/pay"})
        temperature.set(20.5 + n)
        assert provider.force_flush()
        time.sleep(0.05)
    provider.shutdown()


@pytest.mark.parametrize("transport", ["grpc", "grpc-gzip", "http-4318", "http-main-port"])
def test_the_python_sdk_exports(server, transport):
    service = f"sdk-{transport}"
    if transport.startswith("grpc"):
        import grpc

        compression = grpc.Compression.Gzip if transport.endswith("gzip") else None
        exporter = GrpcExporter(endpoint=f"127.0.0.1:{server.grpc_port}", insecure=True, compression=compression)
    else:
        port = server.otlp_port if transport == "http-4318" else server.port
        exporter = HttpExporter(endpoint=f"http://127.0.0.1:{port}/v1/metrics")
    record(exporter, service)
    job = f'job="shop/{service}"'
    assert server.value(f'http_server_requests_total{{{job},http_route="/pay",instance="i-1"}}') == 15
    assert server.value(f"http_server_active_requests{{{job}}}") == 3
    assert server.value(f"room_temperature_celsius{{{job}}}") == 22.5
    assert server.value(f"http_server_request_duration_seconds_count{{{job}}}") == 3
    assert server.value(f"http_server_request_duration_seconds_sum{{{job}}}") == pytest.approx(0.6)
    assert server.value(f'http_server_request_duration_seconds_bucket{{{job},le="+Inf"}}') == 3
    assert server.query(f"target_info{{{job}}}")[0]["metric"]["region"] == "eu"


def test_delta_temporality_becomes_cumulative_and_survives_sigkill(fresh):
    server = fresh().start()
    delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}

    def export():
        record(HttpExporter(endpoint=server.url + "/v1/metrics", preferred_temporality=delta), "delta")

    export()
    assert server.value("http_server_requests_total") == 15
    server.kill()
    server.start()
    export()
    assert server.value("http_server_requests_total") == 30
    assert server.value("http_server_request_duration_seconds_count") == 6


def test_exponential_histograms_become_native(server):
    view = View(instrument_name="http.server.request.duration", aggregation=ExponentialBucketHistogramAggregation())
    record(HttpExporter(endpoint=server.url + "/v1/metrics"), "native", views=[view])
    job = '{job="shop/native"}'
    assert server.value(f"histogram_count(http_server_request_duration_seconds{job})") == 3
    assert server.value(f"histogram_sum(http_server_request_duration_seconds{job})") == pytest.approx(0.6)
    assert server.value(f"histogram_quantile(0.5, http_server_request_duration_seconds{job})") == pytest.approx(0.2, rel=0.05)


def body(name="json_gauge", value=1.5, **point):
    t = str(time.time_ns())
    return {"resourceMetrics": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "j"}}]},
            "scopeMetrics": [{"metrics": [{"name": name, "gauge": {"dataPoints": [{"timeUnixNano": t, "asDouble": value, **point}]}}]}]}]}


@pytest.mark.parametrize(("encoding", "pack"), [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_json_is_read_in_every_encoding(server, encoding, pack):
    name = f"json_{encoding}"
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = server.post("/v1/metrics", data=pack(json.dumps(body(name)).encode()), headers=headers)
    assert (answer.status_code, answer.json()) == (200, {}), answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert server.value(name) == 1.5


def test_a_bad_point_is_a_partial_success_and_its_neighbours_stay(server):
    request = body("partial_good")
    far = str(time.time_ns() + 5 * 86_400 * 10**9)
    request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].append(
        {"name": "partial_bad", "gauge": {"dataPoints": [{"timeUnixNano": far, "asDouble": 1}]}})
    answer = server.post("/v1/metrics", json=request)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert int(partial["rejectedDataPoints"]) == 1 and "ahead of the server's clock" in partial["errorMessage"]
    assert server.value("partial_good") == 1.5


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"\xff\xff", {"Content-Type": "application/x-protobuf"}, 400),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"x", {"Content-Type": "application/x-protobuf", "Content-Encoding": "br"}, 415),
        (gzip.compress(b"\0" * (300 << 20)), {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}, 413),
    ],
)
def test_unreadable_requests_are_refused_in_the_senders_format(server, data, headers, status):
    answer = server.post("/v1/metrics", data=data, headers=headers)
    assert answer.status_code == status, answer.text
    if headers["Content-Type"] == "application/json":
        assert answer.json()["message"]


def test_an_empty_request_is_a_success(server):
    answer = server.post("/v1/metrics", data=ExportMetricsServiceRequest().SerializeToString(),
                         headers={"Content-Type": "application/x-protobuf"})
    assert answer.status_code == 200
    assert not ExportMetricsServiceResponse.FromString(answer.content).HasField("partial_success")


def test_the_remote_write_exporter_of_pypi(server):
    record(PrometheusRemoteWriteMetricsExporter(endpoint=server.url + "/api/v1/write"), "pypi-rw")
    found = wait_for("its counter", lambda: server.query('{__name__=~"http_server_requests.*",http_route="/pay",job!~"shop/.*"}'), 10)
    assert float(found[0]["value"][1]) == 15


@pytest.fixture
def agent(server):
    """rotel before the server: takes OTLP over HTTP, sends it on over gRPC. Gives its address."""
    grpc_port, http_port = free_port(), free_port()
    process = subprocess.Popen(
        [str(Path(rotel.__file__).parent / "rotel-agent"), "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}",
         "--otlp-http-endpoint", f"127.0.0.1:{http_port}", "--exporter", "otlp",
         "--otlp-exporter-endpoint", f"http://127.0.0.1:{server.grpc_port}", "--otlp-exporter-protocol", "grpc"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{http_port}"
    process.kill()


def taken(agent, path, data):
    try:
        return requests.post(agent + path, timeout=2, data=data, headers={"Content-Type": "application/x-protobuf"}).ok
    except requests.RequestException:
        return False


def test_rotel_forwards(server, agent):
    wait_for("rotel takes a request", lambda: taken(agent, "/v1/metrics", proto("rotel_gauge")), 20)
    assert wait_for("the forwarded point", lambda: server.value("rotel_gauge") == 4, 20)


def test_rotel_forwards_logs_and_spans(server, agent):
    t_ns = time.time_ns()
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "behind-rotel"}}]}
    attributes = [{"key": "n", "value": {"intValue": "7"}}]
    log = {"timeUnixNano": str(t_ns), "severityNumber": 17, "severityText": "ERROR", "body": {"stringValue": "forwarded"},
           "traceId": base64.b64encode(b"r" * 16).decode(), "spanId": base64.b64encode(b"s" * 8).decode(), "attributes": attributes}
    span = {"traceId": log["traceId"], "spanId": log["spanId"], "name": "forward", "kind": 2, "startTimeUnixNano": str(t_ns),
            "endTimeUnixNano": str(t_ns + 5), "attributes": attributes, "status": {"code": 2, "message": "broken"}}
    logs = ParseDict({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [log]}]}]}, ExportLogsServiceRequest())
    spans = ParseDict({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}, ExportTraceServiceRequest())
    wait_for("rotel takes logs", lambda: taken(agent, "/v1/logs", logs.SerializeToString()), 20)
    assert taken(agent, "/v1/traces", spans.SerializeToString())
    row = wait_for("the forwarded record", lambda: sql(server, "SELECT body, severity_text, trace_id, span_id, n FROM logs WHERE \"service.name\" = 'behind-rotel'"), 20)[0]
    assert row == {"body": "forwarded", "severity_text": "ERROR", "trace_id": "72" * 16, "span_id": "73" * 8, "n": 7}
    row = wait_for("the forwarded span", lambda: sql(server, "SELECT name, kind, status_code, status_message, trace_id, duration, n FROM spans WHERE \"service.name\" = 'behind-rotel'"), 20)[0]
    assert row == {"name": "forward", "kind": "server", "status_code": "error", "status_message": "broken", "trace_id": "72" * 16, "duration": 5, "n": 7}


def proto(name):
    return ParseDict(body(name, 4.0), ExportMetricsServiceRequest()).SerializeToString()
