//! The chain that every request passes, step by step; and tenants that ask at the same time never mix.

use std::sync::Arc;

use db::testing::each_backend;
use model::TenantId;
use parking_lot::Mutex;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::people::{Person, tenant};
use crate::testing::Server;

/// Notes the steps that requests take.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Step(&self.0));
    }
}

struct Step<'a>(&'a Mutex<Vec<String>>);

impl Visit for Step<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "step" {
            self.0.lock().push(format!("{value:?}"));
        }
    }
}

const STEPS: [&str; 5] = [
    "ExtractTenantContext",
    "ValidateTenantAccess",
    "SwitchDatabaseContext",
    "EnforceResourceLimits",
    "AuditTenantAccess",
];

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
const GRPC: [(&str, &str); 1] = [("content-type", "application/grpc")];
const LOGS_OVER_GRPC: &str = "POST /opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Over HTTP, gRPC and WebSocket alike; a request that is refused goes no step further.
#[tokio::test(flavor = "multi_thread")]
async fn the_steps_are_taken_in_their_order_and_none_after_a_refusal() {
    let server = Server::new(false, &[]).await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let viewer = Person::new(&server, &acme, "viewer@acme.example", "viewer").await;
    let steps = async |person: &Person, line: &str, headers: &[(&str, &str)]| {
        let recorder = Recorder::default();
        let subscriber = tracing_subscriber::registry().with(recorder.clone());
        person.ask_with(&server, line, headers, "").with_subscriber(subscriber).await;
        let steps = recorder.0.lock();
        steps.clone()
    };
    for (line, headers) in [
        ("GET /api/v1/query?query=1", &[][..]),
        ("POST /api/metrics", &[]),
        ("POST /v1/logs", &[("content-type", "application/json")]),
        ("POST /api/v1/sql", &[]),
        ("GET /api/v1/tenants/current/members", &[]),
        ("GET /jaeger/api/services", &[]),
        (LOGS_OVER_GRPC, &GRPC),
        ("GET /api/v1/ws", &UPGRADE),
    ] {
        assert_eq!(steps(&admin, line, headers).await, STEPS, "{line}");
    }
    let foreign = ("x-tenant-id", "globex");
    assert_eq!(steps(&admin, "GET /api/v1/query?query=1", &[foreign]).await, STEPS[..1]);
    assert_eq!(steps(&admin, LOGS_OVER_GRPC, &[GRPC[0], foreign]).await, STEPS[..1]);
    assert_eq!(steps(&viewer, "GET /api/v1/tenants/current/keys", &[]).await, STEPS[..2]);
    let limited = json!({ "requests_per_caller": 1 });
    server.app.control().unwrap().put_tenant_limits(&acme, &limited).await.unwrap();
    let mut last = Vec::new();
    for _ in 0..5 {
        last = steps(&admin, "GET /api/v1/query?query=1", &[]).await;
    }
    assert_eq!(last, STEPS[..4], "over a limit");
}

/// Neither the database nor the store is needed to say no to whoever names no tenant by a credential.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_the_answer_is_401_before_any_data_is_touched() {
    let server = Server::new(false, &[]).await;
    let (_store, _control) = (server.app.plug_store(None), server.app.plug_control(None));
    for line in [
        "GET /api/v1/query?query=up",
        "POST /api/v1/write",
        "POST /api/metrics",
        "POST /v1/traces",
        "POST /loki/api/v1/push",
        "POST /_bulk",
        "POST /api/v2/spans",
        "GET /tempo/api/search",
        "GET /jaeger/api/services",
        "POST /api/v1/sql",
        "GET /api/v1/monitoring/logs",
        "GET /api/v1/tenants/current/members",
        "GET /api/v1/monitoring/audit",
        "PUT /api/v1/monitoring/objects/dashboard/d",
        "GET /api/v1/ws",
        "GET /metrics",
    ] {
        let headers = if line.contains("/traces") || line.contains("/push") {
            &[("content-type", "application/json")][..]
        } else {
            &[]
        };
        for named in [None, Some(("x-scope-orgid", "default")), Some(("x-tenant-id", "acme"))] {
            let headers: Vec<(&str, &str)> = headers.iter().copied().chain(named).collect();
            let answer = server.ask(line, &headers, "{}").await;
            assert_eq!(answer.status, 401, "{line} {named:?}: {}", answer.text());
        }
    }
    let answer = server.ask(LOGS_OVER_GRPC, &GRPC, "").await;
    assert_eq!(answer.header("grpc-status"), "16", "unauthenticated");
}

/// Rounds in which each tenant writes and reads everything that has the same name in the other.
const ROUNDS: usize = 12;

async fn one_round(server: &Server, person: &Person, tenant: &str, round: usize) {
    let check = async |line: &str, body: String, want: u16| {
        let answer = person.ask(server, line, body).await;
        assert_eq!(answer.status, want, "{tenant}: {line}: {}", answer.text());
        answer.text()
    };
    let other = if tenant == "acme" { "globex" } else { "acme" };
    let own = |line: &str, text: &str| {
        assert!(text.contains(tenant) && !text.contains(other), "{tenant}: {line}: {text}");
    };
    let spec = json!({ "title": format!("of {tenant} {round}") }).to_string();
    check("PUT /api/v1/monitoring/objects/dashboard/same", spec, 200).await;
    let metric = json!([{ "name": "same", "value": 1, "type": "gauge", "tags": { "of": tenant } }]);
    check("POST /api/metrics", metric.to_string(), 200).await;
    let log = json!({ "message": "same", "of": tenant }).to_string();
    check("POST /api/v1/monitoring/logs", log, 200).await;
    for line in [
        "GET /api/v1/monitoring/objects/dashboard/same",
        "GET /api/v1/monitoring/objects/dashboard",
        "GET /api/v1/label/of/values",
        "GET /api/v1/query?query=same",
        "GET /api/v1/monitoring/logs?limit=1000",
        "GET /api/v1/tenants/current/members",
        "GET /api/v1/auth/session",
    ] {
        own(line, &check(line, String::new(), 200).await);
    }
    let statement = json!({ "query": "SELECT DISTINCT \"of\" FROM logs" }).to_string();
    own("SQL", &check("POST /api/v1/sql", statement, 200).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_of_two_tenants_at_once_never_mix() {
    each_backend(async |f| {
        let url = format!("database.url={}", f.settings.url);
        let server = Arc::new(Server::new(false, &[&url]).await);
        let mut people = Vec::new();
        for id in ["acme", "globex"] {
            let made = tenant(&server, id).await;
            let email = format!("admin@{id}.example");
            people.push((id, Arc::new(Person::new(&server, &made, &email, "admin").await)));
        }
        let mut tasks = tokio::task::JoinSet::new();
        for round in 0..ROUNDS {
            for (id, person) in &people {
                let (server, person, id) = (Arc::clone(&server), Arc::clone(person), *id);
                tasks.spawn(async move { one_round(&server, &person, id, round).await });
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("a round");
        }
        // Nothing of a request outlives it.
        for (id, _) in people {
            let state = server.app.tenant_limits().get(&TenantId::new(id).unwrap()).unwrap();
            let count = |of: &std::sync::atomic::AtomicU64| of.load(std::sync::atomic::Ordering::Relaxed);
            let left = [&state.used.under_way, &*state.used.in_flight_bytes, &state.used.queries].map(count);
            assert_eq!(left, [0; 3], "{id}");
        }
        server.app.plug_control(None);
    })
    .await;
}
