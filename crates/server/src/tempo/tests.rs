//! Requests as Grafana's Tempo data source sends them.

use serde_json::Value;

use super::routes;
use crate::spans::testing::{Asked, BROKEN, WHOLE};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Rows: the search builder, the service graph and the drilldown of the data source.
#[tokio::test(flavor = "multi_thread")]
async fn queries_find_traces() {
    let asked = Asked::new(routes).await;
    let seconds = asked.now_ns / 1_000_000_000;
    let times = format!("limit=20&spss=3&start={}&end={}", seconds - 3600, seconds + 1);
    let all = format!("{BROKEN} {WHOLE}");
    for (query, want) in [
        ("{}", all.as_str()),
        (r#"{resource.service.name="web"}"#, WHOLE),
        (r#"{resource.service.name="api" && name="handle" && duration>50ms}"#, WHOLE),
        (r#"{span.http.status_code>=500}"#, WHOLE),
        (r#"{.http.status_code="500"}"#, ""),
        (r#"{status=error} | select(status, resource.service.name)"#, WHOLE),
        (r#"{nestedSetParent<0 && true}"#, WHOLE),
        (r#"{resource.service.name="web"} >> {span."a/b"="c"}"#, WHOLE),
        (r#"{event:name="exception" && event.exception.message=~"no .*"}"#, WHOLE),
        (r#"{kind=consumer}"#, BROKEN),
        (r#"{} | count() > 3"#, WHOLE),
        (r#"{rootName="GET /"}"#, WHOLE),
    ] {
        let answer = asked.json(&format!("/tempo/api/search?q={}&{times}", encoded(query))).await;
        let found = answer["traces"].as_array().unwrap().iter();
        let ids: Vec<&str> = found.map(|trace| trace["traceID"].as_str().unwrap()).collect();
        assert_eq!(ids.join(" "), want, "{query}");
    }
    let answer = asked.json(&format!("/tempo/api/search?tags=error%3Dtrue+service.name%3Dapi&{times}")).await;
    let trace = &answer["traces"][0];
    assert_eq!(trace["rootServiceName"], "web");
    assert_eq!(trace["durationMs"], 100);
    assert_eq!(trace["spanSets"][0]["matched"], 1);
    assert_eq!(trace["spanSets"][0]["spans"][0]["durationNanos"], "60000000");
    assert_eq!(trace["serviceStats"]["api"]["errorCount"], 1);
    for (query, want) in [("{", "position"), ("{} | rate()", "time series")] {
        let refused = asked.get(&format!("/tempo/api/search?q={}", encoded(query)), &[]).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.text().contains(want), "{query}: {}", refused.text());
    }
}

/// Grafana asks as `pkg/tsdb/tempo/trace.go` does; others take JSON.
#[tokio::test(flavor = "multi_thread")]
async fn traces_come_as_protobuf_and_json() {
    let asked = Asked::new(routes).await;
    let protobuf = [("accept", "application/protobuf")];
    let first = asked.get(&format!("/tempo/api/traces/{WHOLE}?start=1&end=4000000000"), &protobuf).await;
    assert_eq!(first.header("content-type"), "application/protobuf");
    let context = ingest::records::Context { received_at_ns: 0 };
    let encoding = ingest::otlp::Encoding::Protobuf;
    let decode = |body: &[u8]| ingest::otlp::traces::decode(body.to_vec(), encoding, &context).unwrap();
    assert_eq!(decode(&first.body).records.len(), 4);
    // The second version wraps the same message as field 1.
    let second = asked.get(&format!("/tempo/api/v2/traces/{WHOLE}"), &protobuf).await;
    assert_eq!(second.body[0], 10);
    assert!(second.body.ends_with(&first.body));
    let json = asked.json(&format!("/tempo/api/traces/{WHOLE}")).await;
    assert_eq!(json["batches"][0]["scopeSpans"][0]["spans"][0]["spanId"], "AAAAAAAAAAE=");
    let json = asked.json("/tempo/api/v2/traces/ff").await;
    assert_eq!(json["trace"]["resourceSpans"][0]["scopeSpans"][0]["scope"]["name"], "lib");
    for (path, status) in [("/tempo/api/traces/abc", 404), ("/tempo/api/traces/x", 400)] {
        assert_eq!(asked.get(path, &protobuf).await.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_complete_queries() {
    let asked = Asked::new(routes).await;
    let scopes = asked.json("/tempo/api/v2/search/tags").await;
    assert_eq!(scopes["scopes"][0].to_string(), r#"{"name":"resource","tags":["host.name","service.name"]}"#);
    assert_eq!(scopes["scopes"][1]["name"], "span");
    let one = asked.json("/tempo/api/v2/search/tags?scope=intrinsic").await;
    assert_eq!(one["scopes"].as_array().unwrap().len(), 1);
    let names = asked.json("/tempo/api/search/tags").await;
    assert!(names["tagNames"].as_array().unwrap().contains(&"http.status_code".into()));
    for (tag, want) in [
        ("resource.service.name", r#"[{"type":"string","value":"api"},{"type":"string","value":"web"}]"#),
        (".service.name?q=%7Bstatus%3Derror%7D", r#"[{"type":"string","value":"api"}]"#),
        ("span.http.status_code", r#"[{"type":"int","value":"500"}]"#),
        // Encoded twice.
        ("span.a%252Fb", r#"[{"type":"string","value":"c"}]"#),
        (
            "name?q=%7Bresource.service.name%3D%22web%22+%26%26+name%3D%7D&limit=1",
            r#"[{"type":"string","value":"GET /"}]"#,
        ),
        ("rootServiceName", r#"[{"type":"string","value":"web"}]"#),
        ("span.none", "[]"),
    ] {
        let (tag, query) = tag.split_once('?').unwrap_or((tag, ""));
        let answer = asked.json(&format!("/tempo/api/v2/search/tag/{tag}/values?{query}")).await;
        assert_eq!(answer["tagValues"].to_string(), want, "{tag}");
    }
    let plain = asked.json("/tempo/api/search/tag/service.name/values").await;
    assert_eq!(plain["tagValues"].to_string(), r#"["api","web"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_over_time_are_series() {
    let asked = Asked::new(routes).await;
    let query = encoded("{} | count_over_time() by (resource.service.name)");
    let seconds = asked.now_ns / 1_000_000_000;
    let times = format!("start={}&end={}", seconds - 120, seconds + 1);
    let answer = asked.json(&format!("/tempo/api/metrics/query_range?q={query}&{times}&step=60s")).await;
    let series = answer["series"].as_array().unwrap();
    let labels: Vec<&Value> = series.iter().map(|series| &series["promLabels"]).collect();
    assert_eq!(labels, [r#"{"resource.service.name"="api"}"#, r#"{"resource.service.name"="web"}"#]);
    let total = |series: &Value| {
        let samples = series["samples"].as_array().unwrap().iter();
        samples.map(|sample| sample["value"].as_f64().unwrap()).sum::<f64>()
    };
    assert_eq!(series.iter().map(total).collect::<Vec<_>>(), [3.0, 2.0]);
    assert_eq!(series[0]["exemplars"][0]["labels"][0]["key"], "trace:id");
    let query = encoded("{nestedSetParent<0} | quantile_over_time(duration, .5)");
    let answer = asked.json(&format!("/tempo/api/metrics/query?q={query}&{times}")).await;
    assert!((answer["series"][0]["value"].as_f64().unwrap() - 0.1).abs() < 0.004, "{answer}");
    for (path, status) in [
        ("/tempo/api/metrics/query_range?q=%7B%7D", 400),
        ("/tempo/api/metrics/query_range", 400),
        ("/tempo/api/metrics/query_range?q=%7B%7D%7Crate()&step=0", 400),
        ("/tempo/api/metrics/query_range?q=%7B%7D%7Crate()&start=1&end=2000000000&step=1s", 400),
        ("/tempo/api/echo", 200),
        ("/tempo/ready", 200),
        ("/tempo/api/status/buildinfo", 200),
    ] {
        assert_eq!(asked.get(path, &[]).await.status, status, "{path}");
    }
}
