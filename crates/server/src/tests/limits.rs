//! Limits of a tenant on what it keeps: series, bytes on disk.

use std::time::Duration;

use control::{KeyGrant, KeyScopes, NewKey, Principal};
use model::TenantId;
use serde_json::{Value, json};

use super::people::{Person, tenant};
use crate::testing::{Answer, Server};

/// A tenant with limits, asked with a key of every scope, beside `globex` without any.
struct Limited {
    server: Server,
    operator: Person,
    key: String,
    other: String,
}

impl Limited {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings of the server.
    async fn with(settings: &[&str]) -> Self {
        let server = Server::new(false, settings).await;
        let operator =
            Person::new(&server, &TenantId::default_tenant(), "op@x.example", "platform_admin").await;
        let mut keys = Vec::new();
        for id in ["acme", "globex"] {
            let made = tenant(&server, id).await;
            let new = NewKey { name: "k", grant: KeyGrant::Scopes(KeyScopes::ALL), expires_at: None };
            let control = server.app.control().unwrap();
            let (_, key) = control.create_key(&made, &Principal::system(), new).await.unwrap();
            keys.push(format!("Bearer {}", key.expose()));
        }
        let other = keys.pop().unwrap();
        Self { server, operator, key: keys.pop().unwrap(), other }
    }

    async fn limit(&self, limits: Value) {
        let line = "PUT /api/v1/tenants/acme/limits";
        let done = self.operator.ask(&self.server, line, limits.to_string()).await;
        assert_eq!(done.status, 200, "{}", done.text());
    }

    async fn ask(&self, line: &str, body: impl Into<axum::body::Body>) -> Answer {
        let headers = [("authorization", self.key.as_str()), ("content-type", "application/json")];
        self.server.ask(line, &headers, body).await
    }

    async fn usage(&self) -> Value {
        let answer = self.ask("GET /api/v1/tenants/current/usage", "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn gauge(n: u32) -> String {
    json!([{ "name": "m", "value": 1, "type": "gauge", "tags": { "n": n.to_string() } }]).to_string()
}

fn otlp_gauge(n: u32) -> String {
    let attribute = json!({ "key": "n", "value": { "stringValue": n.to_string() } });
    let point = json!({ "asDouble": 1.0, "attributes": [attribute] });
    let metric = json!({ "name": "m", "gauge": { "dataPoints": [point] } });
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_its_series_a_tenant_adds_none_and_those_it_has_go_on() {
    let limited = Limited::new().await;
    limited.limit(json!({ "series": 2 })).await;
    for (n, accepted) in [(1, 1), (2, 1), (3, 0), (1, 1), (2, 1)] {
        let answer = limited.ask("POST /api/metrics", gauge(n)).await;
        assert_eq!(answer.json()["accepted"], accepted, "{n}: {}", answer.text());
        if accepted == 0 {
            let reason = answer.text();
            assert!(reason.contains("2 series are active already"), "{reason}");
            assert!(reason.contains("raise limits.series of the tenant"), "{reason}");
        }
    }
    let otlp = limited.ask("POST /v1/metrics", otlp_gauge(4)).await;
    assert_eq!(otlp.status, 200, "a permanent refusal is a partial success");
    assert!(otlp.text().contains("limits.series of the tenant"), "{}", otlp.text());
    let line = "POST /api/v1/import/prometheus";
    let both = format!("m{{n=\"1\"}} 1 {now}\nm{{n=\"5\"}} 1 {now}\n", now = limited.server.app.now_ms());
    assert_eq!(limited.ask(line, both.clone()).await.json()["accepted"], 1);

    let usage = limited.usage().await;
    assert_eq!((&usage["limits"]["series"], &usage["use"]["series"]), (&json!(2), &json!(2)));
    assert_eq!(usage["refused"]["series"], 3);
    let figures = limited.server.app.own_metrics();
    assert!(
        figures.contains("bellwether_limit_refused_total{tenant=\"acme\",limit=\"series\"} 3"),
        "{figures}"
    );
    let headers = [("authorization", limited.other.as_str())];
    assert_eq!(limited.server.ask(line, &headers, both).await.json()["accepted"], 2, "others go on");

    limited.limit(json!({ "series": 3 })).await;
    assert_eq!(limited.ask("POST /api/metrics", gauge(3)).await.json()["accepted"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_its_stored_bytes_a_tenant_writes_nothing_until_there_is_room() {
    let limited = Limited::new().await;
    limited.limit(json!({ "stored_bytes": 1000 })).await;
    let log = json!({ "message": "x".repeat(4000) }).to_string();
    let logs = "POST /api/v1/monitoring/logs";
    assert_eq!(limited.ask(logs, log.clone()).await.status, 200, "nothing was stored before");
    let otlp_logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [
        { "body": { "stringValue": "x" } } ] }] }] });
    for (line, body, want) in [
        (logs, log.clone(), 429),
        ("POST /api/metrics", gauge(1), 429),
        ("POST /v1/metrics", otlp_gauge(1), 429),
        ("POST /v1/logs", otlp_logs.to_string(), 429),
        ("POST /loki/api/v1/push", "{\"streams\":[]}".into(), 429),
        ("POST /api/v1/monitoring/events", r#"{"name":"e"}"#.into(), 429),
    ] {
        let answer = limited.ask(line, body).await;
        assert_eq!(answer.status, want, "{line}: {}", answer.text());
        assert!(!answer.header("retry-after").is_empty(), "{line}");
        let says = answer.text().contains("limits.stored_bytes of the tenant");
        assert!(says, "{line}: {}", answer.text());
    }
    // Senders of remote write drop what is answered 429.
    let remote = [
        ("authorization", limited.key.as_str()),
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
    ];
    assert_eq!(limited.server.ask("POST /api/v1/write", &remote, "").await.status, 503);
    let grpc = [("authorization", limited.key.as_str()), ("content-type", "application/grpc")];
    let line = "POST /opentelemetry.proto.collector.logs.v1.LogsService/Export";
    let grpc = limited.server.ask(line, &grpc, vec![0; 5]).await;
    assert_eq!(grpc.header("grpc-status"), "8", "resource exhausted");
    assert!(!grpc.header("grpc-status-details-bin").is_empty(), "and when to try again");

    assert_eq!(limited.ask("GET /api/v1/query?query=1", "").await.status, 200, "what is stored is read");
    let headers = [("authorization", limited.other.as_str())];
    assert_eq!(limited.server.ask(logs, &headers, log.clone()).await.status, 200, "others go on");
    let usage = limited.usage().await;
    assert_eq!(
        (&usage["limits"]["stored_bytes"], &usage["refused"]["stored_bytes"]),
        (&json!(1000), &json!(8))
    );
    assert!(usage["use"]["stored_bytes_total"].as_u64() >= Some(1000), "{usage}");
    let figures = limited.server.app.own_metrics();
    assert!(figures.contains("bellwether_limit_refused_total{tenant=\"acme\",limit=\"stored_bytes\"} 8"));

    // What comes without a request is judged, too: a scrape, StatsD, syslog.
    let batch = ingest::Decoded::default();
    let acme = TenantId::new("acme").unwrap();
    let refused = crate::write::append(&limited.server.app, &acme, "scrape", batch).await.unwrap_err();
    assert!(matches!(refused, crate::error::Fault::TooMany(_)), "{refused:?}");

    limited.limit(json!({ "stored_bytes": 100_000_000 })).await;
    assert_eq!(limited.ask(logs, log).await.status, 200);
}

/// An hour, so that no test meets the end of one.
const WINDOW: [&str; 1] = ["performance.rate_limit_window_ms=3600000"];

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_person_is_refused_while_everybody_else_goes_on() {
    let limited = Limited::with(&WINDOW).await;
    let server = &limited.server;
    let acme = TenantId::new("acme").unwrap();
    let ada = Person::new(server, &acme, "ada@acme.example", "viewer").await;
    let bob = Person::new(server, &acme, "bob@acme.example", "viewer").await;
    // Nothing of hers is spent before the limit counts.
    server.advance(Duration::from_secs(3_600));
    let pair = ada.ask(server, "POST /api/v1/auth/token", r#"{"grant_type":"session"}"#).await.json();
    let token = format!("Bearer {}", pair["access_token"].as_str().unwrap());
    limited.limit(json!({ "requests_per_caller": 4 })).await;
    let line = "GET /api/v1/query?query=1";
    // Whatever she shows, she is one person.
    for _ in 0..2 {
        assert_eq!(ada.ask(server, line, "").await.status, 200);
        assert_eq!(server.ask(line, &[("authorization", &token)], "").await.status, 200);
    }
    for answer in [ada.ask(server, line, "").await, server.ask(line, &[("authorization", &token)], "").await]
    {
        assert_eq!(answer.status, 429, "{}", answer.text());
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=3_600).contains(&wait), "{wait}");
        assert!(answer.text().contains("limits.requests_per_caller"), "{}", answer.text());
    }
    assert_eq!(bob.ask(server, line, "").await.status, 200);
    assert_eq!(limited.ask(line, "").await.status, 200, "a key of the tenant");
    server.advance(Duration::from_secs(3_600));
    assert_eq!(ada.ask(server, line, "").await.status, 200, "the next window");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_a_tenant_is_refused_whoever_sends_it_and_counts_anew_in_the_next_window() {
    let limited = Limited::with(&WINDOW).await;
    let server = &limited.server;
    let acme = TenantId::new("acme").unwrap();
    let ada = Person::new(server, &acme, "ada@acme.example", "viewer").await;
    limited.limit(json!({ "requests": 3 })).await;
    let line = "GET /api/v1/query?query=1";
    for window in 0..2 {
        server.advance(Duration::from_secs(3_600));
        assert_eq!(limited.ask(line, "").await.status, 200, "window {window}");
        assert_eq!(ada.ask(server, line, "").await.status, 200);
        assert_eq!(limited.ask(line, "").await.status, 200);
        for answer in [limited.ask(line, "").await, ada.ask(server, line, "").await] {
            assert_eq!(answer.status, 429, "{}", answer.text());
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
        let headers = [("authorization", limited.other.as_str())];
        assert_eq!(server.ask(line, &headers, "").await.status, 200, "others go on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_limits_callers_of_every_tenant_that_says_nothing_of_its_own() {
    let limited = Limited::with(&[WINDOW[0], "limits.requests_per_caller=6"]).await;
    limited.limit(json!({ "requests_per_caller": 2 })).await;
    limited.server.advance(Duration::from_secs(3_600));
    for (key, most) in [(&limited.key, 2), (&limited.other, 6)] {
        let headers = [("authorization", key.as_str())];
        for n in 1..=most + 1 {
            let answer = limited.server.ask("GET /api/v1/query?query=1", &headers, "").await;
            assert_eq!(answer.status, if n <= most { 200 } else { 429 }, "{n} of {most}");
        }
    }
}
