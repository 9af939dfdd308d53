//! Requests as Jaeger's UI and Grafana's data source send them.

use serde_json::Value;

use super::{routes, v3_routes};
use crate::spans::testing::{Asked, BROKEN, WHOLE};

/// Ids of the traces of an answer.
fn ids(answer: &Value) -> String {
    let all = answer["data"].as_array().unwrap().iter();
    all.map(|trace| trace["traceID"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// Rows: `pkg/tsdb/jaeger/client.go` of Grafana, and what the search form of Jaeger's UI sends.
#[tokio::test(flavor = "multi_thread")]
async fn searches_find_whole_traces() {
    let asked = Asked::new(routes).await;
    let (start, end) = (asked.now_ns / 1000 - 3_600_000_000, asked.now_ns / 1000);
    let all = format!("{BROKEN} {WHOLE}");
    for (query, want) in [
        ("service=web", WHOLE),
        ("service=api", all.as_str()),
        ("service=api&limit=1", BROKEN),
        ("service=none", ""),
        ("service=api&operation=handle", WHOLE),
        ("service=api&operation=all&limit=20&lookback=1h&maxDuration&minDuration", &all),
        ("limit=20&service=web&tags=%7B%22http.status_code%22%3A%22500%22%7D", WHOLE),
        ("service=web&tags=%7B%22http.status_code%22%3A%22404%22%7D", ""),
        ("service=api&tags=%7B%22error%22%3A%22true%22%7D", WHOLE),
        ("service=api&tags=%7B%22span.kind%22%3A%22consumer%22%7D", BROKEN),
        ("service=api&tag=db.system:postgresql", WHOLE),
        ("service=api&minDuration=50ms", WHOLE),
        ("service=api&maxDuration=6ms", BROKEN),
        ("service=api&minDuration=1.2s", ""),
        (&format!("service=api&start={start}&end={end}"), &all),
        (&format!("service=api&start={start}&end={}", start + 1), ""),
        (&format!("traceID={WHOLE}&traceID=ff"), &format!("{WHOLE} {BROKEN}")),
    ] {
        let answer = asked.json(&format!("/jaeger/api/traces?{query}")).await;
        assert_eq!(ids(&answer), want, "{query}");
        assert_eq!(answer["errors"], Value::Null);
        assert_eq!(answer["total"], answer["data"].as_array().unwrap().len());
    }
    for (path, status) in [
        ("/jaeger/api/traces", 400),
        ("/jaeger/api/traces?service=api&tags=x", 400),
        ("/jaeger/api/traces?service=api&limit=100000", 400),
        ("/jaeger/api/traces?service=api&minDuration=soon", 400),
        ("/jaeger/api/traces?service=api&start=soon", 400),
        ("/jaeger/api/traces/xyz", 400),
        ("/jaeger/api/traces/abc", 404),
    ] {
        let answer = asked.get(path, &[]).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.json()["errors"][0]["code"], status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_has_jaegers_shape() {
    let asked = Asked::new(routes).await;
    let answer = asked.json(&format!("/jaeger/api/traces/{WHOLE}?start=1&end=0")).await;
    let trace = &answer["data"][0];
    let spans = trace["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 4);
    let (root, handle) = (&spans[0], &spans[2]);
    assert_eq!(root["operationName"], "GET /");
    assert_eq!(root["duration"], 100_000);
    assert_eq!(root["startTime"], (asked.now_ns - 60_000_000_000) / 1000);
    assert_eq!(root["references"][0]["refType"], "FOLLOWS_FROM");
    assert_eq!(handle["references"][0]["spanID"], "0000000000000002");
    assert_eq!(handle["logs"][0]["fields"][0]["value"], "exception");
    let tag = |span: &Value, key: &str| {
        let tags = span["tags"].as_array().unwrap();
        tags.iter().find(|tag| tag["key"] == key).map(|tag| (tag["type"].clone(), tag["value"].clone()))
    };
    assert_eq!(tag(root, "http.status_code"), Some(("int64".into(), 500.into())));
    assert_eq!(tag(root, "span.kind"), Some(("string".into(), "server".into())));
    assert_eq!(tag(handle, "error"), Some(("bool".into(), true.into())));
    assert_eq!(tag(handle, "otel.status_description"), Some(("string".into(), "broken".into())));
    let process = &trace["processes"][root["processID"].as_str().unwrap()];
    assert_eq!(process["serviceName"], "web");
    assert_eq!(process["tags"][0]["key"], "host.name");
    assert_eq!(trace["processes"].as_object().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_complete_the_search_form() {
    let asked = Asked::new(routes).await;
    for (path, want) in [
        ("/jaeger/api/services", r#"["api","web"]"#),
        ("/jaeger/api/services/api/operations", r#"["handle","late","query"]"#),
        ("/jaeger/api/services/none/operations", "[]"),
        ("/jaeger/api/operations?service=web&spanKind=client", r#"[{"name":"call","spanKind":"client"}]"#),
        (
            "/jaeger/api/dependencies?endTs=9999999999999&lookback=9999999999999",
            r#"[{"callCount":1,"child":"postgresql","parent":"api"},{"callCount":1,"child":"api","parent":"web"}]"#,
        ),
    ] {
        assert_eq!(asked.json(path).await["data"].to_string(), want, "{path}");
    }
}

/// Rows: `packages/jaeger-ui/src/api/v3/client.ts`.
#[tokio::test(flavor = "multi_thread")]
async fn the_third_version_speaks_otlp() {
    let asked = Asked::new(v3_routes).await;
    assert_eq!(asked.json("/jaeger/api/v3/services").await["services"].to_string(), r#"["api","web"]"#);
    let operations = asked.json("/jaeger/api/v3/operations?service=web").await;
    assert_eq!(operations["operations"][0]["spanKind"], "server");
    let trace = asked.json(&format!("/jaeger/api/v3/traces/{WHOLE}")).await;
    let span = &trace["result"]["resourceSpans"][1]["scopeSpans"][0]["spans"][0];
    assert_eq!((span["spanId"].as_str(), span["kind"].as_u64()), (Some("0000000000000003"), Some(2)));
    let times = "query.start_time_min=2020-01-01T00:00:00.000Z&query.start_time_max=2100-01-01T00:00:00.000Z";
    let search = format!("query.service_name=api&{times}&query.num_traces=20&query.duration_min=50ms");
    let found = asked.json(&format!("/jaeger/api/v3/traces?{search}")).await;
    assert_eq!(found["result"]["resourceSpans"].as_array().unwrap().len(), 2);
    let lines = asked.json(&format!("/jaeger/api/v3/trace-summaries?query.service_name=api&{times}")).await;
    let (broken, whole) = (&lines["summaries"][0], &lines["summaries"][1]);
    assert_eq!((broken["traceId"].as_str(), broken["orphanSpanCount"].as_u64()), (Some(BROKEN), Some(1)));
    assert_eq!(whole["rootOperationName"], "GET /");
    assert_eq!((whole["spanCount"].as_u64(), whole["errorSpanCount"].as_u64()), (Some(4), Some(1)));
    let missing = asked.get("/jaeger/api/v3/traces/abc", &[]).await;
    assert_eq!((missing.status.as_u16(), missing.json()["error"]["httpCode"].as_u64()), (404, Some(404)));
}
