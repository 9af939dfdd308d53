"""What was sent is what is read: remote write 1 and 2, any age, any order, last write wins."""

import math
import time

import pytest

import remote_write as rw


def now_ms():
    return int(time.time() * 1000)


def test_every_sample_comes_back_as_sent(server):
    t0 = now_ms() - 600_000
    series = [({"__name__": "sent", "i": str(i)}, [(t0 + 15_000 * k, i + k / 7) for k in range(20)]) for i in range(50)]
    assert rw.send_v1(server, series).status_code in (200, 204)
    result = server.query("sent[20m]", at=t0 / 1000 + 600)
    got = {r["metric"]["i"]: [(round(t * 1000), float(v)) for t, v in r["values"]] for r in result}
    assert got == {labels["i"]: samples for labels, samples in series}


def test_out_of_order_and_old_samples_are_ordinary_writes(server):
    t0 = now_ms() - 20 * 86_400_000
    for k in (3, 1, 2, 0):
        assert rw.send_v1(server, [({"__name__": "backfill"}, [(t0 + k * 60_000, float(k))])]).ok
    values = server.query("backfill[10m]", at=t0 / 1000 + 300)[0]["values"]
    assert [float(v) for _, v in values] == [0, 1, 2, 3]


def test_on_equal_timestamps_the_last_write_wins(server):
    t = now_ms()
    for value in (1.0, 5.0, 2.0):
        assert rw.send_v1(server, [({"__name__": "rewritten"}, [(t, value)])]).ok
    assert rw.send_v1(server, [({"__name__": "rewritten", "in": "one"}, [(t, 1.0), (t, 9.0)])]).ok
    assert server.value('rewritten{in=""}', at=t / 1000) == 2
    assert server.value('rewritten{in="one"}', at=t / 1000) == 9


def test_samples_of_1970_are_kept_when_retention_is_off(fresh):
    server = fresh(args=["--set", "host.enabled=false", "--set", "retention.metrics=off"]).start()
    assert rw.send_v1(server, [({"__name__": "early"}, [(0, 1.0), (60_000, 2.0), (-60_000, 0.5)])]).ok
    assert [float(v) for _, v in server.query("early[3m]", at=60)[0]["values"]] == [0.5, 1, 2]


def test_samples_outside_retention_are_refused_with_a_reason(server):
    answer = rw.send_v1(server, [({"__name__": "ancient"}, [(1000, 1.0), (now_ms(), 2.0)])])
    assert answer.status_code == 400 and "retention" in answer.text
    assert server.value("ancient") == 2


def test_special_values_survive(server):
    t = now_ms()
    sent = {"nan": math.nan, "inf": math.inf, "ninf": -math.inf, "nzero": -0.0, "tiny": 5e-324, "huge": 1.7976931348623157e308}
    assert rw.send_v1(server, [({"__name__": "special", "v": k}, [(t, v)]) for k, v in sent.items()]).ok
    got = {r["metric"]["v"]: float(r["value"][1]) for r in server.query("special", at=t / 1000)}
    assert set(got) == set(sent)
    assert math.isnan(got["nan"])
    assert all(got[k] == sent[k] for k in sent if k != "nan")
    assert math.copysign(1, got["nzero"]) == -1


def test_version_2_counts_what_it_wrote(server):
    t = now_ms()
    answer = rw.send_v2(server, [
        {"labels": {"__name__": "v2_requests_total", "job": "x"}, "samples": [(t - 1000, 1.0), (t, 2.0)],
         "exemplars": [({"trace_id": "abc"}, 1.5, t)], "metadata": (1, "Requests", "")},
        {"labels": {"__name__": "v2_latency"}, "histograms": [rw.histogram(t, 3, 6.0, 0, 0.001, 1, [(0, 2)], [1, 0])],
         "metadata": (3, "Latency", "seconds")},
    ])
    assert answer.status_code in (200, 204), answer.text
    written = {k: answer.headers[f"X-Prometheus-Remote-Write-{k}-Written"] for k in ("Samples", "Histograms", "Exemplars")}
    assert written == {"Samples": "2", "Histograms": "1", "Exemplars": "1"}
    assert server.value("v2_requests_total", at=t / 1000) == 2
    assert server.value("histogram_count(v2_latency)", at=t / 1000) == 3
    found = server.get("/api/v1/query_exemplars", query="v2_requests_total", start=t / 1000 - 60, end=t / 1000 + 60).json()
    assert found["data"][0]["exemplars"][0]["labels"] == {"trace_id": "abc"}
    assert server.get("/api/v1/metadata", metric="v2_latency").json()["data"]["v2_latency"][0]["type"] == "histogram"


def test_a_bad_series_costs_only_itself(server):
    t = now_ms()
    answer = rw.send_v1(server, [
        ({"__name__": "good_neighbour"}, [(t, 1.0)]),
        ({"no_name": "x"}, [(t, 1.0)]),
        ({"__name__": "future"}, [(t + 3 * 86_400_000, 1.0)]),
    ])
    assert answer.status_code == 400
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"
    assert server.value("good_neighbour", at=t / 1000) == 1
    assert not server.query("future")


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"not snappy", rw.V1, 400, "snappy"),
        (rw.snappy(b"\x0a\xff\xff\xff\xff\x0f"), rw.V1, 400, "protobuf"),
        (rw.snappy(rw.v1([({"__name__": "x"}, [(1, 1.0)])]))[:-3], rw.V1, 400, ""),
        (b"{}", {**rw.V1, "Content-Type": "application/json"}, 415, "application/x-protobuf"),
        (b"x", {**rw.V1, "Content-Encoding": "br"}, 415, "snappy"),
        (b"\xff\xff\xff\xff\x07" + b"\0" * 20, rw.V1, 413, "too large"),
    ],
)
def test_bad_input_is_answered_with_the_reason(server, body, headers, status, says):
    answer = server.post("/api/v1/write", data=body, headers=headers)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text


def test_a_ten_megabyte_label_is_refused_and_its_neighbour_kept(server):
    t = now_ms()
    answer = rw.send_v1(server, [({"__name__": "long", "l": "x" * 10_000_000}, [(t, 1.0)]), ({"__name__": "short"}, [(t, 1.0)])])
    assert answer.status_code == 400 and "label" in answer.text and len(answer.text) < 4000
    assert server.value("short", at=t / 1000) == 1
