"""Rules of each type over telemetry as it is sent: what is in breach fires, what is not stays silent."""

import random
import threading
import time

import pytest
import requests

from harness import wait_for
from test_alerts import Api, start, without_defaults

RANDOM = random.Random(7)


def spans(server, service, calls):
    """Sends calls of a service: each with its length in seconds and whether it failed."""
    now = time.time_ns()
    made = [
        {"traceId": f"{RANDOM.getrandbits(128):032x}", "spanId": f"{RANDOM.getrandbits(64):016x}", "name": "GET /", "kind": 2,
         "startTimeUnixNano": str(now - int(seconds * 1e9)), "endTimeUnixNano": str(now), "status": {"code": 2 if failed else 0}}
        for seconds, failed in calls
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": made}]}]}
    answer = requests.post(f"{server.url}/v1/traces", json=body, headers=server.auth, timeout=20)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def traffic(fresh):
    """Four services for as long as a test takes: one of five calls fails, one of a hundred, all slow, none."""
    server, api = start(fresh)
    without_defaults(api)
    over = threading.Event()

    def send():
        while not over.is_set():
            spans(server, "broken", [(0.01, n % 5 == 0) for n in range(100)])
            spans(server, "fine", [(0.01, n == 0) for n in range(100)])
            spans(server, "slow", [(2.0 if n % 10 == 0 else 0.01, False) for n in range(100)])
            over.wait(1)

    sender = threading.Thread(target=send)
    sender.start()
    yield server, api
    over.set()
    sender.join()


def test_failed_and_slow_calls_fire_above_their_limit_and_not_below(traffic):
    server, api = traffic
    base = {"severity": "error", "interval": 1, "cooldown": 0}
    for service in ("broken", "fine"):
        api("POST", "alerts", {"name": f"errors of {service}", "type": "error_rate", **base,
                               "condition": {"service": service, "window": "2m", "threshold": 5}}, 201)
    for service in ("slow", "fine"):
        api("POST", "alerts", {"name": f"time of {service}", "type": "performance", **base,
                               "condition": {"service": service, "window": "2m", "operator": ">", "threshold": 1}}, 201)
    fired = lambda: {event["name"]: event["value"] for event in api.events()}  # noqa: E731
    wait_for("both in breach", lambda: {"errors of broken", "time of slow"} <= set(fired()), seconds=90)
    found = fired()
    assert abs(found["errors of broken"] - 20) < 3, found
    assert found["time of slow"] > 1, found
    time.sleep(5)
    assert set(fired()) == {"errors of broken", "time of slow"}, "what is below its limit is silent"


def test_an_expression_over_tags_fires_as_it_is_written(fresh):
    server, api = start(fresh)
    without_defaults(api)
    queue = lambda tier, value: {"name": "queue", "value": value, "type": "gauge", "tags": {"tier": tier, "zone": "a"}}  # noqa: E731
    api("POST", "alerts", {"name": "queues", "type": "custom", "interval": 1, "cooldown": 0,
                           "condition": {"query": 'sum by (tier) (queue{zone="a"}) / on () group_left () max(queue_limit)', "operator": ">=", "threshold": 0.5},
                           "annotations": {"summary": "{{ $labels.tier }} is {{ $value | humanizePercentage }} full"}}, 201)
    body = {"metrics": [queue("gold", 50), queue("silver", 49), {"name": "queue_limit", "value": 100, "type": "gauge"}]}
    answer = requests.post(f"{server.url}/api/metrics", json=body, headers=server.auth, timeout=20)
    assert answer.json()["accepted"] == 3, answer.text
    [event] = wait_for("an event", lambda: api.events())
    assert (event["labels"]["tier"], event["annotations"]["summary"]) == ("gold", "gold is 50% full")
    time.sleep(3)
    assert len(api.events()) == 1


def test_a_spike_on_a_steady_series_is_an_anomaly_and_noise_is_none(fresh):
    server, api = start(fresh)
    without_defaults(api)
    now = int(time.time() * 1000)
    past = [{"name": name, "value": 100 + RANDOM.uniform(-3, 3), "type": "gauge", "timestamp": now - minutes * 60_000}
            for minutes in range(240, 0, -1) for name in ("steady", "noisy")]
    answer = requests.post(f"{server.url}/api/metrics", json={"metrics": past}, headers=server.auth, timeout=30)
    assert answer.json()["accepted"] == len(past), answer.text
    for name in ("steady", "noisy"):
        api("POST", "alerts", {"name": name, "type": "anomaly", "interval": 1, "cooldown": 0,
                               "condition": {"metric": name, "window": "1m", "baseline": "4h", "season": "none"}}, 201)
    api.metric("noisy", 102.5)
    api.metric("steady", 101)
    time.sleep(4)
    assert api.events() == []
    api.metric("steady", 180)
    api.metric("noisy", 98)
    event = wait_for("an event", lambda: (api.events() or [None])[0])
    assert event["name"] == "steady"
    time.sleep(3)
    assert {event["name"] for event in api.events()} == {"steady"}
