"""Real clients that write logs, and what was sent read back field by field."""

import json
import logging
import shutil
import socket
import subprocess
import time

import logging_loki
import pytest
import requests
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from harness import free_port, wait_for
from rows import node, now_ns, one, sql, wait_for_rows


@pytest.mark.parametrize("transport", ["grpc", "http-4318", "http-main-port"])
def test_the_python_sdk_exports_logs(server, transport):
    service = f"py-logs-{transport}"
    if transport == "grpc":
        exporter = GrpcLogs(endpoint=f"127.0.0.1:{server.grpc_port}", insecure=True)
    else:
        port = server.otlp_port if transport == "http-4318" else server.port
        exporter = HttpLogs(endpoint=f"http://127.0.0.1:{port}/v1/logs")
    provider = LoggerProvider(resource=Resource.create({"service.name": service, "region": "eu"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger(service)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.setLevel(logging.DEBUG)
    tracer = TracerProvider().get_tracer("t")
    with tracer.start_as_current_span("work") as span:
        logger.error("payment of %s failed: žluťoučký kůň", 12.5, extra={"order": 42, "ok": False, "ratio": 0.5})
        ids = span.get_span_context()
    logger.debug("outside")
    provider.shutdown()
    rows = sql(server, f"""SELECT body, severity_number, severity_text, trace_id, span_id, "order", ok, ratio, region
        FROM logs WHERE "service.name" = '{service}' ORDER BY severity_number DESC""")
    assert len(rows) == 2
    first = rows[0]
    assert first["body"] == "payment of 12.5 failed: žluťoučký kůň"
    assert (first["severity_number"], first["severity_text"]) == (17, "ERROR")
    assert first["trace_id"] == f"{ids.trace_id:032x}" and first["span_id"] == f"{ids.span_id:016x}"
    assert (first["order"], first["ok"], first["ratio"], first["region"]) == (42, False, 0.5, "eu")
    assert rows[1]["body"] == "outside" and rows[1]["order"] is None and rows[1]["trace_id"] is None


def test_javascript_sdk_and_pino_loki(server):
    ids = node("send.mjs", server.url, "js-shop")
    rows = sql(server, """SELECT body, severity_text, severity_number, trace_id, "order" FROM logs
        WHERE "service.name" = 'js-shop' ORDER BY severity_number DESC""")
    assert rows[0] == {"body": "charge failed: «declined»", "severity_text": "ERROR", "severity_number": 17,
                       "trace_id": ids["trace_id"], "order": 42}
    assert json.loads(rows[1]["body"]) == {"nested": {"deep": [1, "two"]}}
    loki = wait_for_rows(server, "SELECT body FROM logs WHERE \"service.name\" = 'js-shop-loki'", 3)
    assert any("signed in" in row["body"] for row in loki)


def test_python_logging_loki(server):
    handler = logging_loki.LokiHandler(url=server.url + "/loki/api/v1/push", tags={"application": "py-loki", "service": "py-loki"}, version="1")
    logger = logging.getLogger("loki-test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.warning("disk almost full", extra={"tags": {"disk": "sda"}})
    rows = wait_for_rows(server, "SELECT body, disk FROM logs WHERE \"service.name\" = 'py-loki'", 1)
    assert rows == [{"body": "disk almost full", "disk": "sda"}]


def test_loki_structured_metadata_and_bad_streams(server):
    t = now_ns()
    push = {"streams": [
        {"stream": {"service_name": "loki-json", "level": "error"}, "values": [[str(t), "one", {"trace_id": "ab" * 16}], [str(t + 1), "two"]]},
    ]}
    assert server.post("/loki/api/v1/push", json=push).status_code == 204
    rows = sql(server, "SELECT body, trace_id, severity_number FROM logs WHERE \"service.name\" = 'loki-json' ORDER BY timestamp")
    assert rows == [{"body": "one", "trace_id": "ab" * 16, "severity_number": 17}, {"body": "two", "trace_id": None, "severity_number": 17}]


def test_elasticsearch_bulk(server):
    client = Elasticsearch(server.url + "/elasticsearch")
    actions = [{"_op_type": "create", "_index": "shop", "@timestamp": "2026-11-20T10:00:00Z" if n < 0 else None, "message": f"order {n}",
                "service": {"name": "es-client"}, "log": {"level": "warn"}, "n": n, "deep": {"er": {"still": True}}} for n in range(25)]
    for action in actions:
        del action["@timestamp"]
    done, errors = bulk(client, actions, raise_on_error=False)
    assert (done, errors) == (25, [])
    rows = sql(server, """SELECT body, n, "deep.er.still" AS still, severity_number FROM logs WHERE "service.name" = 'es-client' ORDER BY n""")
    assert len(rows) == 25
    assert rows[7] == {"body": "order 7", "n": 7, "still": True, "severity_number": 13}


def test_bulk_answers_item_by_item(server):
    lines = [
        {"create": {"_index": "a"}}, {"message": "good", "service.name": "bulk"},
        {"delete": {"_index": "a", "_id": "1"}},
        {"index": {"_index": "a"}}, {"message": "good too", "service.name": "bulk"},
    ]
    body = "\n".join(map(json.dumps, lines)) + "\n"
    answer = server.post("/_bulk", data=body, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 200 and answer.headers["x-elastic-product"] == "Elasticsearch"
    result = answer.json()
    assert result["errors"] is True
    assert [next(iter(item.values()))["status"] for item in result["items"]] == [201, 400, 201]
    assert len(sql(server, "SELECT body FROM logs WHERE \"service.name\" = 'bulk'")) == 2


def test_shippers_find_an_elasticsearch(server):
    info = requests.get(server.url + "/", headers={"accept": "application/json"}, timeout=10)
    assert info.headers["x-elastic-product"] == "Elasticsearch"
    assert info.json()["version"]["number"].startswith("8.")
    for path in ["/_license", "/_cluster/health", "/elasticsearch/", "/elasticsearch/_license", "/_ilm/policy/filebeat"]:
        assert server.get(path).status_code == 200, path


def test_rsyslog_ships_by_bulk(server, tmp_path):
    port = free_port()
    config = tmp_path / "rsyslog.conf"
    config.write_text(f"""
global(workDirectory="{tmp_path}")
module(load="imudp")
module(load="omelasticsearch")
input(type="imudp" address="127.0.0.1" port="{port}")
template(name="doc" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  property(outname="service.name" name="programname" format="jsonf")
  property(outname="log.level" name="syslogseverity-text" format="jsonf")
}}
action(type="omelasticsearch" server="127.0.0.1" serverport="{server.port}" template="doc" searchIndex="rsyslog" searchType="" bulkmode="on" action.resumeRetryCount="-1")
""")
    process = subprocess.Popen(["rsyslogd", "-n", "-f", str(config), "-i", str(tmp_path / "pid")], stderr=subprocess.PIPE)
    try:
        time.sleep(1)
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for n in range(10):
            out.sendto(f"<131>Nov 21 10:00:00 host rsyslogtest: line {n}".encode(), ("127.0.0.1", port))
        wait_for_rows(server, "SELECT body FROM logs WHERE \"service.name\" = 'rsyslogtest'", 10, 30)
    finally:
        process.terminate()
        process.wait(10)
    rows = sql(server, "SELECT body, severity_number FROM logs WHERE \"service.name\" = 'rsyslogtest'")
    assert {row["body"].strip() for row in rows} == {f"line {n}" for n in range(10)}
    assert {row["severity_number"] for row in rows} == {17}


def test_logger_writes_syslog_over_udp_and_tcp(fresh):
    udp, tcp = free_port(), free_port()
    server = fresh(args=["--set", "host.enabled=false", "--set", f"syslog.udp=127.0.0.1:{udp}", "--set", f"syslog.tcp=127.0.0.1:{tcp}"]).start()
    for n, options in enumerate([
        ["--udp", "--port", udp, "--rfc5424"], ["--udp", "--port", udp, "--rfc3164"],
        ["--tcp", "--port", tcp, "--rfc5424", "--octet-count"], ["--tcp", "--port", tcp, "--rfc3164"],
    ]):
        command = ["logger", "--server", "127.0.0.1", "--tag", "unit", "--priority", "local0.err", *map(str, options), f"message {n}"]
        subprocess.run(command, check=True, timeout=10)
    rows = wait_for_rows(server, "SELECT body, severity_number, \"syslog.facility\" AS facility FROM logs WHERE \"service.name\" = 'unit' ORDER BY body", 4)
    assert [row["body"] for row in rows] == [f"message {n}" for n in range(4)]
    assert {(row["severity_number"], row["facility"]) for row in rows} == {(17, "local0")}


def test_json_lines_and_bad_items(server):
    body = "\n".join([
        json.dumps({"timestamp": "2026-11-21T00:00:00Z", "level": "info", "message": "fine", "service": "lines", "n": 1}),
        "{not json",
        json.dumps({"message": "fine too", "service": "lines"}),
    ])
    answer = server.post("/api/v1/monitoring/logs", data=body, headers={**server.auth, "content-type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["accepted"] == 2 and report["refused"][0]["index"] == 1, report
    assert len(sql(server, "SELECT body FROM logs WHERE \"service.name\" = 'lines'", start=0)) == 2


def test_the_own_log_and_its_trace(server):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = requests.get(server.url + "/api/v1/query", params={"query": "up"}, timeout=10,
                          headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert answer.headers["traceparent"].split("-")[1] == trace_id
    spans = wait_for_rows(server, f"SELECT name, kind, parent_span_id, \"service.name\" AS service FROM spans WHERE trace_id = '{trace_id}' ORDER BY start", 2)
    assert spans[0]["name"] == "GET /api/v1/query" and spans[0]["service"] == "bellwether"
    assert spans[0]["parent_span_id"] == "00f067aa0ba902b7" and spans[0]["kind"] == "server"
    assert one(server, "SELECT count(*) FROM logs WHERE \"service.name\" = 'bellwether'") >= 0
