//! Our own API: shapes, and what is found.

use serde_json::{Value, json};

use super::routes;
use crate::spans::testing::{Asked, BROKEN, WHOLE};

const API: &str = "/api/v1/monitoring";

fn names(list: &Value, key: &str) -> String {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_take_both_languages() {
    let asked = Asked::new(routes).await;
    let all = format!("{BROKEN} {WHOLE}");
    for (query, want) in [
        ("", all.as_str()),
        ("query=service:web", WHOLE),
        ("query=status:error", WHOLE),
        ("query=kind:consumer", BROKEN),
        ("query=%7B%20status%20%3D%20error%20%7D", WHOLE),
        ("order=slowest", &format!("{WHOLE} {BROKEN}")),
        ("order=slowest&limit=1", WHOLE),
        ("min_duration=50ms", WHOLE),
        ("query=%7B%7D&max_duration=50ms", BROKEN),
        ("limit=0", ""),
    ] {
        let answer = asked.json(&format!("{API}/traces?{query}")).await;
        assert_eq!(names(&answer["traces"], "trace_id"), want, "{query}");
    }
    let broken = &asked.json(&format!("{API}/traces?query=kind:consumer")).await["traces"][0];
    assert_eq!(broken["complete"], false);
    assert_eq!(broken["services"], json!([{ "name": "api", "spans": 1, "errors": 0 }]));
    for query in
        ["query=%7B", "query=(a", "order=x", "limit=5000", "start=x", "start=5&end=4", "min_duration=x"]
    {
        assert_eq!(asked.get(&format!("{API}/traces?{query}"), &[]).await.status, 400, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_says_where_its_time_went() {
    let asked = Asked::new(routes).await;
    let trace = asked.json(&format!("{API}/traces/{WHOLE}")).await;
    assert_eq!(trace["duration_ns"], 100_000_000);
    assert_eq!(trace["complete"], true);
    let column = |key: &str| {
        let spans = trace["spans"].as_array().unwrap().iter();
        spans.map(|span| span[key].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(column("depth"), [0, 1, 2, 3]);
    assert_eq!(column("children"), [1, 1, 1, 0]);
    assert_eq!(column("self_ns"), [20_000_000, 20_000_000, 20_000_000, 40_000_000]);
    assert_eq!(column("critical_ns"), column("self_ns"));
    assert_eq!(trace["critical_path"].as_array().unwrap().len(), 4);
    assert_eq!(trace["spans"][2]["events"][0]["attributes"]["exception.message"], "no rows");
    assert_eq!(trace["operations"][0]["name"], "query", "the bottleneck comes first");
    assert_eq!(trace["logs"], 0);
    let broken = asked.json(&format!("{API}/traces/ff")).await;
    assert_eq!(broken["missing_parents"], json!(["0000000000000099"]));
    for (id, status) in [("abc", 404), ("x", 400)] {
        assert_eq!(asked.get(&format!("{API}/traces/{id}"), &[]).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_knows_who_is_affected() {
    let asked = Asked::new(routes).await;
    let map = asked.json(&format!("{API}/topology")).await;
    assert_eq!(names(&map["nodes"], "name"), "api postgresql web");
    assert_eq!(names(&map["edges"], "kind"), "database call");
    assert_eq!(map["nodes"][0]["health"], "error");
    let impact = asked.json(&format!("{API}/topology/impact?service=postgresql")).await;
    assert_eq!(
        impact["upstream"],
        json!([{ "name": "api", "distance": 1 }, { "name": "web", "distance": 2 }])
    );
    let dot = asked.get(&format!("{API}/topology.dot"), &[]).await;
    assert!(dot.text().contains("\"web\" -> \"api\""), "{}", dot.text());
    for (path, status) in [("topology/impact", 400), ("topology/impact?service=x", 404)] {
        assert_eq!(asked.get(&format!("{API}/{path}"), &[]).await.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_have_rates_errors_and_durations() {
    let asked = Asked::new(routes).await;
    let list = asked.json(&format!("{API}/services")).await;
    assert_eq!(names(&list["services"], "name"), "api web");
    assert_eq!(list["services"][0]["error_rate"], 0.5);
    let api = asked.json(&format!("{API}/services/api")).await;
    assert_eq!(names(&api["operations"], "name"), "handle late query");
    assert_eq!(
        (names(&api["upstream"], "name"), names(&api["downstream"], "name")),
        ("web".into(), "postgresql".into())
    );
    let calls: u64 = api["red"]["calls"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(calls, 2);
    assert_eq!(asked.get(&format!("{API}/services/none"), &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heatmap_counts_every_span_once() {
    let asked = Asked::new(routes).await;
    for (query, want) in [("", 5), ("query=status:error", 1), ("query=%7Bkind=server%7D", 2)] {
        let grid = asked.json(&format!("{API}/spans/heatmap?buckets=10&rows=4&{query}")).await;
        assert_eq!(grid["edges_ns"].as_array().unwrap().len(), 5);
        let columns = grid["counts"].as_array().unwrap();
        assert_eq!(columns.len(), 10);
        let cells = columns.iter().flat_map(|column| column.as_array().unwrap());
        assert_eq!(cells.map(|n| n.as_u64().unwrap()).sum::<u64>(), want, "{query}");
    }
}
