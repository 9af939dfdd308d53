//! A server with a few traces, asked without a credential.

use axum::Router;
use axum::extract::Extension;
use ingest::otlp::Encoding;
use ingest::records::Context;
use model::{RecordLimits, TenantId};
use serde_json::{Value, json};

use crate::chain::Identity;
use crate::openapi::Routes;
use crate::testing::{Answer, Server, request, send};

/// Ids of the traces: a whole one, and one whose root is missing.
pub(crate) const WHOLE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const BROKEN: &str = "000000000000000000000000000000ff";

/// A server and its routes.
pub(crate) struct Asked {
    server: Server,
    router: Router,
    /// Now, nanoseconds.
    pub(crate) now_ns: i64,
}

impl Asked {
    /// With the routes of one API.
    pub(crate) async fn new(routes: fn() -> Routes) -> Self {
        let server = Server::new(true, &[]).await;
        let now_ns = server.app.now_ms() * 1_000_000;
        store(&server, now_ns).await;
        let identity = Identity::anyone();
        let router = routes().undescribed().layer(Extension(identity)).with_state(server.app.clone());
        Self { server, router, now_ns }
    }

    /// A request `/path?query` with header lines.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        debug_assert!(self.server.app.is_open());
        send(self.router.clone(), request(&format!("GET {path}"), headers, "")).await
    }

    /// The JSON of an answer of status 200.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path, &[]).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }
}

async fn store(server: &Server, now_ns: i64) {
    let span =
        |trace: &str, id: &str, parent: &str, name: &str, kind: u32, (start, ms): (i64, i64), more: Value| {
            let start_ns = now_ns - 60_000_000_000 + start * 1_000_000;
            let mut span = json!({
                "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
                "startTimeUnixNano": start_ns.to_string(),
                "endTimeUnixNano": (start_ns + ms * 1_000_000).to_string(),
            });
            for (key, value) in more.as_object().unwrap() {
                span[key] = value.clone();
            }
            span
        };
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let of = |service: &str, spans: Value| {
        let attributes = [text("service.name", service), text("host.name", "h1")];
        json!({ "resource": { "attributes": attributes }, "scopeSpans": [{ "scope": { "name": "lib" }, "spans": spans }] })
    };
    let event = json!([{ "timeUnixNano": (now_ns - 59_000_000_000).to_string(), "name": "exception",
        "attributes": [text("exception.message", "no rows")] }]);
    let link = json!([{ "traceId": BROKEN, "spanId": "00000000000000ee" }]);
    let number = json!([{ "key": "http.status_code", "value": { "intValue": "500" } }]);
    let body = json!({ "resourceSpans": [
        of("web", json!([
            span(WHOLE, "0000000000000001", "", "GET /", 2, (0, 100), json!({ "attributes": number, "links": link })),
            span(WHOLE, "0000000000000002", "0000000000000001", "call", 3, (10, 80), json!({})),
        ])),
        of("api", json!([
            span(WHOLE, "0000000000000003", "0000000000000002", "handle", 2, (20, 60),
                json!({ "status": { "code": 2, "message": "broken" }, "events": event })),
            span(WHOLE, "0000000000000004", "0000000000000003", "query", 3, (30, 40),
                json!({ "attributes": [text("db.system", "postgresql"), text("a/b", "c")] })),
            span(BROKEN, "0000000000000005", "0000000000000099", "late", 5, (500, 5), json!({})),
        ])),
    ]});
    let context = Context { received_at_ns: now_ns };
    let decoded = ingest::otlp::traces::decode(body.to_string().into_bytes(), Encoding::Json, &context);
    let records = decoded.expect("spans").records;
    assert_eq!(records.len(), 5);
    let store = server.app.store().expect("store");
    store
        .append_records(&TenantId::default_tenant(), &records, &RecordLimits::default())
        .await
        .expect("stored");
}
