"""Every call that Grafana's stock Prometheus data source makes, as it makes it.

Source of each request: grafana/grafana, pkg/promlib (client/client.go, resource/resource.go, healthcheck.go,
heuristics.go) and packages/grafana-prometheus (language_provider.ts, datasource.ts). Grafana itself cannot be
installed here, so the requests are recorded and the answers checked by shape and content.
"""

import time

import pytest

import remote_write as rw

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def filled(server):
    now = int(time.time())
    samples = [((now - 3600 + 15 * k) * 1000, float(k)) for k in range(240)]
    series = [({"__name__": "graf_requests_total", "job": job, "instance": i}, samples) for job in ("api", "web") for i in "ab"]
    assert rw.send_v1(server, series, metadata=[(1, "graf_requests_total", "Requests served", "")]).ok
    exemplar = {"labels": {"__name__": "graf_requests_total", "job": "api", "instance": "a"},
                "samples": [(now * 1000, 240.0)], "exemplars": [({"trace_id": "t1"}, 1.0, (now - 60) * 1000)]}
    assert rw.send_v2(server, [exemplar]).ok
    server.now = now
    return server


def post(server, path, **form):
    answer = server.post(path, data=form, headers=FORM)
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.status_code, answer.json()


def test_the_health_check_is_an_instant_query(filled):
    # healthcheck.go: query "1+1" at one instant.
    status, body = post(filled, "/api/v1/query", query="1+1", time=str(filled.now))
    assert (status, body["status"], body["data"]["resultType"]) == (200, "success", "scalar")
    assert body["data"]["result"] == [filled.now, "2"]


def test_buildinfo_does_not_look_like_mimir(filled):
    # heuristics.go: a non-empty data.features means Mimir and turns its ruler API on.
    body = filled.get("/api/v1/status/buildinfo").json()
    assert body["status"] == "success" and not body["data"].get("features")
    assert tuple(int(n) for n in body["data"]["version"].split(".")[:2]) >= (2, 24)


def test_a_panel_is_a_range_query_by_post(filled):
    # client.go QueryRange: form with query, start, end, step; fractions of seconds are allowed.
    status, body = post(filled, "/api/v1/query_range", query='sum by (job) (rate(graf_requests_total{job=~"api|web"}[5m]))',
                        start=f"{filled.now - 1800}.123", end=f"{filled.now}.123", step="15")
    assert status == 200 and body["data"]["resultType"] == "matrix"
    assert {r["metric"]["job"] for r in body["data"]["result"]} == {"api", "web"}
    assert len(body["data"]["result"][0]["values"]) == 121
    assert float(body["data"]["result"][0]["values"][60][1]) == pytest.approx(2 / 15)


def test_a_table_panel_is_an_instant_query_by_get_too(filled):
    body = filled.get("/api/v1/query", query="graf_requests_total", time=filled.now - 10).json()
    assert body["data"]["resultType"] == "vector" and len(body["data"]["result"]) == 4


@pytest.mark.parametrize("method", ["get", "post"])
def test_label_names_and_values(filled, method):
    # language_provider.ts: labels and label values with match[], start, end and limit.
    args = {"match[]": "graf_requests_total", "start": filled.now - 3600, "end": filled.now, "limit": 40000}
    if method == "get":
        labels = filled.get("/api/v1/labels", **args).json()
        values = filled.get("/api/v1/label/instance/values", **args).json()
        assert values["data"] == ["a", "b"]
    else:
        labels = post(filled, "/api/v1/labels", **args)[1]
    assert labels["data"] == ["__name__", "instance", "job"]


def test_label_values_of_names_and_of_utf8_names(filled):
    names = filled.get("/api/v1/label/__name__/values", start=filled.now - 60, end=filled.now).json()["data"]
    assert "graf_requests_total" in names
    # UTF-8 label names travel escaped as U__.
    assert filled.get("/api/v1/label/U__job/values", **{"match[]": "graf_requests_total"}).json()["data"] == ["api", "web"]


def test_a_limit_cuts_and_warns(filled):
    body = filled.get("/api/v1/label/instance/values", limit=1, **{"match[]": "graf_requests_total"}).json()
    assert len(body["data"]) == 1 and "limit" in body["warnings"][0]


def test_series_of_a_selector(filled):
    # datasource.ts: series by POST with match[].
    body = post(filled, "/api/v1/series", **{"match[]": 'graf_requests_total{job="api"}', "start": filled.now - 3600, "end": filled.now})[1]
    assert [s["instance"] for s in body["data"]] == ["a", "b"]


def test_metadata_of_all_and_of_one_metric(filled):
    body = filled.get("/api/v1/metadata").json()["data"]
    assert body["graf_requests_total"] == [{"type": "counter", "help": "Requests served", "unit": ""}]
    assert list(filled.get("/api/v1/metadata", metric="graf_requests_total", limit=10).json()["data"]) == ["graf_requests_total"]


def test_exemplars(filled):
    body = post(filled, "/api/v1/query_exemplars", query="rate(graf_requests_total[5m])", start=filled.now - 3600, end=filled.now)[1]
    assert body["data"][0]["seriesLabels"]["job"] == "api"
    assert body["data"][0]["exemplars"] == [{"labels": {"trace_id": "t1"}, "value": "1", "timestamp": filled.now - 60}]


def test_rules_that_tenants_begin_with_are_a_group_and_none_fires(filled):
    [group] = filled.get("/api/v1/rules").json()["data"]["groups"]
    assert group["name"] == "bellwether" and {rule["type"] for rule in group["rules"]} == {"alerting"}
    answer = filled.get("/api/v1/alerts").json()
    assert answer["status"] == "success" and [alert for alert in answer["data"]["alerts"] if alert["state"] == "firing"] == []


def test_format_and_parse_query(filled):
    assert post(filled, "/api/v1/format_query", query="sum(rate( x[5m] ))by(job)")[1]["data"] == "sum by (job) (rate(x[5m]))"
    tree = post(filled, "/api/v1/parse_query", query="rate(x[5m])")[1]["data"]
    assert (tree["type"], tree["func"]["name"], tree["args"][0]["type"]) == ("call", "rate", "matrixSelector")


@pytest.mark.parametrize("page", ["config", "flags", "runtimeinfo", "tsdb", "buildinfo", "walreplay"])
def test_status_pages(filled, page):
    assert filled.get(f"/api/v1/status/{page}").json()["status"] == "success"


def test_tsdb_status_counts_series(filled):
    data = filled.get("/api/v1/status/tsdb").json()["data"]
    assert data["headStats"]["numSeries"] >= 4
    assert any(row["name"] == "graf_requests_total" and row["value"] == 4 for row in data["seriesCountByMetricName"])


def test_targets_answer_before_anything_is_scraped(filled):
    assert filled.get("/api/v1/targets").json()["data"]["activeTargets"] == []
    assert filled.get("/api/v1/scrape_pools").json()["data"]["scrapePools"] == []


@pytest.mark.parametrize(
    ("path", "form", "status", "kind", "says"),
    [
        ("/api/v1/query", {"query": "sum(", "time": "1"}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error'),
        ("/api/v1/query", {}, 400, "bad_data", "query"),
        ("/api/v1/query", {"query": "1", "time": "soon"}, 400, "bad_data", 'invalid parameter "time"'),
        ("/api/v1/query_range", {"query": "1", "start": "2", "end": "1", "step": "1"}, 400, "bad_data", "end timestamp"),
        ("/api/v1/query_range", {"query": "1", "start": "0", "end": "1", "step": "0"}, 400, "bad_data", "zero or negative"),
        ("/api/v1/query_range", {"query": "1", "start": "0", "end": "100000", "step": "1"}, 400, "bad_data", "11,000"),
        ("/api/v1/series", {}, 400, "bad_data", "match[]"),
    ],
)
def test_errors_carry_type_and_reason(filled, path, form, status, kind, says):
    got, body = post(filled, path, **form)
    assert (got, body["status"], body["errorType"]) == (status, "error", kind)
    assert says in body["error"], body["error"]


def test_everything_is_served_under_a_prefix_too(filled):
    assert filled.get("/prometheus/api/v1/query", query="1").json()["status"] == "success"


def test_federate_exports_text(filled):
    answer = filled.get("/federate", **{"match[]": 'graf_requests_total{job="api",instance="a"}'})
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE graf_requests_total" in answer.text and 'graf_requests_total{instance="a",job="api"}' in answer.text


@pytest.mark.parametrize(("form", "kind"), [("json", "application/json"), ("csv", "text/csv"), ("prometheus", "text/plain")])
def test_results_export_as_json_csv_and_text(filled, form, kind):
    answer = filled.get("/api/v1/query", query="graf_requests_total", time=filled.now - 10, format=form)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith(kind)
    assert answer.text.count("graf_requests_total") == 4


def test_series_are_deleted_by_matcher(filled):
    assert rw.send_v1(filled, [({"__name__": "doomed", "k": k}, [(filled.now * 1000, 1.0)]) for k in "xy"]).ok
    answer = filled.post("/api/v1/admin/tsdb/delete_series", params={"match[]": 'doomed{k="x"}'}, headers=filled.auth)
    assert answer.status_code == 204, answer.text
    assert [r["metric"]["k"] for r in filled.query("doomed", at=filled.now)] == ["y"]
    assert rw.send_v1(filled, [({"__name__": "doomed", "k": "x"}, [(filled.now * 1000 + 1, 2.0)])]).ok
    assert filled.value('doomed{k="x"}', at=filled.now + 1) == 2
