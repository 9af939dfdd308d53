//! Tenants keep apart, and go for good.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use control::{KeyGrant, KeyScope, KeyScopes, NewKey, ObjectKind, Principal};
use model::{METRIC_NAME, MetricBatch, Point, Signal, TenantId};
use serde_json::{Value, json};

use super::people::{PASSWORD, Person, tenant};
use crate::testing::Server;

async fn server() -> Server {
    Server::new(false, &["server.external_url=https://bw.example"]).await
}

async fn operator(server: &Server) -> Person {
    Person::new(server, &TenantId::default_tenant(), "op@x.example", "platform_admin").await
}

async fn key_of(server: &Server, tenant: &TenantId, scopes: &[KeyScope]) -> String {
    let grant = KeyGrant::Scopes(KeyScopes::of(scopes).unwrap());
    let new = NewKey { name: "k", grant, expires_at: None };
    let control = server.app.control().unwrap();
    format!("Bearer {}", control.create_key(tenant, &Principal::system(), new).await.unwrap().1.expose())
}

fn metrics(server: &Server) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let point = Point { t_ms: server.app.now_ms(), value: 1.0 };
    batch.push_float([(METRIC_NAME, "secret_total"), ("job", "a")], point);
    batch
}

fn spans(server: &Server) -> model::Records {
    let now_ms = server.app.now_ms();
    let context = ingest::records::Context { received_at_ns: now_ms * 1_000_000 };
    let span = format!(
        r#"[{{"traceId":"{}","id":"0000000000000001","name":"n","timestamp":{now_ms}000,"duration":5,"localEndpoint":{{"serviceName":"shop"}}}}]"#,
        "1".repeat(32),
    );
    ingest::zipkin::decode(span.as_bytes(), &context).expect("a span").records
}

/// What stores the audit log, while it lives.
struct Writer {
    _end: kit::ShutdownTrigger,
}

impl Writer {
    async fn begin(server: &Server) -> Self {
        let (end, stop) = kit::ShutdownTrigger::new();
        kit::spawn::spawn("audit", crate::audit::run(server.app.clone(), stop));
        tokio::time::sleep(Duration::from_millis(50)).await;
        Self { _end: end }
    }
}

async fn trail(server: &Server, person: &Person) -> Vec<Value> {
    server.app.audit().settled().await;
    let answer = person.ask(server, "GET /api/v1/monitoring/audit?limit=1000", "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().unwrap().clone()
}

fn find<'a>(rows: &'a [Value], action: &str, key: &str, value: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["action"] == action && row[key] == value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_leaves_nothing_for_the_next_of_its_id() {
    let server = server().await;
    let _writer = Writer::begin(&server).await;
    let (app, operator) = (&server.app, operator(&server).await);
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let rename = r#"{"name":"Acme"}"#;
    assert_eq!(admin.ask(&server, "PATCH /api/v1/tenants/current", rename).await.status, 200);
    let control = app.control().unwrap();
    let spec = json!({"exporters": [{"type": "file", "path": "out.jsonl"}]});
    control.put_object(&acme, ObjectKind::Pipeline, "traces", &spec, None).await.unwrap();
    assert!(app.processing(&acme, Signal::Traces).await.unwrap().is_some());
    app.store_metrics(&acme, &metrics(&server)).await.unwrap();
    app.store_records(&acme, &spans(&server)).await.unwrap();
    app.observe_spans(&acme, &spans(&server));
    let (_, _queue, mut room) = app.hub().connect(&acme).unwrap();
    app.exports().keep_in(&server.path("data"));
    let exported = server.path("data/exports/acme");
    std::fs::create_dir_all(&exported).unwrap();
    let is_stored = || app.store().unwrap().engine().tenants().contains(&acme);
    app.audit().settled().await;
    assert_ne!(control.audit_heads(&acme).await.unwrap(), []);

    assert_eq!(operator.ask(&server, "DELETE /api/v1/tenants/acme", "").await.status, 202);
    assert!(room.next().await.is_none(), "its connections end");
    // A body that was let in before, and figures that wait.
    assert!(app.store_metrics(&acme, &metrics(&server)).await.is_err());
    assert!(app.store_records(&acme, &spans(&server)).await.is_err());
    app.record_span_metrics().await;
    let mut forgotten = HashSet::new();
    crate::tenants_api::tend_now(app, &mut forgotten).await.unwrap();
    assert!(is_stored(), "another node may still take it for active");
    server.advance(Duration::from_secs(16));
    crate::tenants_api::tend_now(app, &mut forgotten).await.unwrap();
    assert!(!is_stored() && !exported.exists());
    app.record_span_metrics().await;
    app.audit().settled().await;
    assert!(!is_stored(), "nothing comes back");
    assert_eq!(control.audit_heads(&acme).await.unwrap(), []);

    // Rows that came in at the very last moment, or on a node that was away.
    let store = app.store().unwrap();
    store.append_metrics(&acme, &metrics(&server), &app.metric_limits()).await.unwrap();
    server.advance(Duration::from_secs(61));
    let new = json!({
        "id": "acme", "name": "Acme", "admin": { "email": "ada@acme.example", "name": "Ada" },
    });
    let create = async || operator.ask(&server, "POST /api/v1/tenants", new.to_string()).await;
    assert_eq!(create().await.status, 409, "they are nobody's to read");
    crate::tenants_api::tend_now(app, &mut forgotten).await.unwrap();
    assert!(!is_stored());
    let made = create().await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(
        app.processing(&acme, Signal::Traces).await.unwrap().is_none(),
        "the exporter is not the new one's"
    );
    let key = format!("Bearer {}", made.json()["key"].as_str().unwrap());
    let found = server.ask("GET /api/v1/query?query=secret_total", &[("authorization", &key)], "").await;
    assert_eq!(found.json()["data"]["result"], json!([]), "{}", found.text());
    app.audit().settled().await;
    let heads = control.audit_heads(&acme).await.unwrap();
    assert_eq!(heads.iter().map(|head| head.seq).collect::<Vec<_>>(), [1], "a chain of its own");
    crate::tenants_api::tend_now(app, &mut forgotten).await.unwrap();
    assert!(is_stored(), "what is its own stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenants_rows_are_refused_and_its_connections_end() {
    let server = server().await;
    let (acme, globex) = (tenant(&server, "acme").await, tenant(&server, "globex").await);
    let operator = operator(&server).await;
    let (_, _queue, mut room) = server.app.hub().connect(&acme).unwrap();
    assert_eq!(operator.ask(&server, "POST /api/v1/tenants/acme/suspend", "").await.status, 200);
    assert!(room.next().await.is_none());
    assert!(server.app.store_records(&acme, &spans(&server)).await.is_err());
    assert!(server.app.store_records(&globex, &spans(&server)).await.is_ok());
}

/// What the server says of itself, to a key of another tenant and to one of tenant `default`.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_shown_to_those_who_run_it() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let theirs = key_of(&server, &acme, &[KeyScope::Ingest, KeyScope::Query, KeyScope::Admin]).await;
    let ours = key_of(&server, &TenantId::default_tenant(), &[KeyScope::Ingest, KeyScope::Query]).await;
    for (line, status, tells) in [
        ("GET /metrics", 403, "bellwether_"),
        ("GET /api/v1/status/config", 200, "memory.limit"),
        ("GET /prometheus/api/v1/status/flags", 200, "memory.limit"),
        ("GET /api/v1/status/runtimeinfo", 200, "startTime"),
        ("POST /api/v1/monitoring/metrics/collect", 403, "success"),
    ] {
        let to_them = server.ask(line, &[("authorization", &theirs)], "").await;
        assert_eq!(to_them.status, status, "{line}: {}", to_them.text());
        assert!(!to_them.text().contains(tells), "{line}: {}", to_them.text());
        let to_us = server.ask(line, &[("authorization", &ours)], "").await;
        assert!(to_us.status.is_success() && to_us.text().contains(tells), "{line}: {}", to_us.text());
    }
    // What clients look at before they go on.
    for line in ["buildinfo", "walreplay", "tsdb"].map(|page| format!("GET /api/v1/status/{page}")) {
        let answer = server.ask(&line, &[("authorization", &theirs)], "").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("success")), "{line}");
    }
    let targets = server.ask("GET /api/v1/targets", &[("authorization", &theirs)], "").await.json();
    assert_eq!(targets["data"]["activeTargets"], json!([]));
    assert!(
        !server.app.store().unwrap().engine().tenants().contains(&acme),
        "no reading of the host is theirs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_says_who_did_what_to_what_as_soon_as_it_is_answered() {
    let server = server().await;
    let _writer = Writer::begin(&server).await;
    let (acme, globex) = (tenant(&server, "acme").await, tenant(&server, "globex").await);
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let operator = operator(&server).await;
    let key = key_of(&server, &globex, &[KeyScope::Query]).await;
    let control = server.app.control().unwrap();
    control.put_object(&globex, ObjectKind::Dashboard, "theirs", &json!({}), None).await.unwrap();
    for (line, more, body) in [
        ("PUT /api/v1/monitoring/objects/dashboard/hosts", &[][..], r#"{"title":"Hosts"}"#),
        ("GET /api/v1/monitoring/objects/dashboard/theirs", &[], ""),
        ("GET /api/v1/tenants/globex/members", &[], ""),
        ("GET /api/v1/tenants/current/roles", &[("x-tenant-id", "globex")], ""),
        (
            "POST /api/v1/monitoring/logs/delete",
            &[],
            r#"{"query":"level:debug","start":"2024-01-01T00:00:00Z","end":"2024-01-02T00:00:00Z"}"#,
        ),
        ("POST /api/v1/admin/tsdb/delete_series?match[]=up", &[], ""),
        ("PATCH /api/v1/tenants/current", &[], r#"{"name":"Acme Ltd"}"#),
    ] {
        let answer = admin.ask_with(&server, line, more, body).await;
        assert!(!answer.status.is_server_error() && answer.status != 400, "{line}: {}", answer.text());
    }
    // No wait: what was acknowledged is stored.
    let answer = admin.ask(&server, "GET /api/v1/monitoring/audit?action=tenants:update", "").await;
    assert_eq!(answer.json()["items"][0]["detail"]["name"], "Acme Ltd", "{}", answer.text());
    let rows = trail(&server, &admin).await;
    for (action, key, value) in [
        ("objects:write", "target", "dashboard/hosts"),
        ("objects:read", "target", "dashboard/theirs"),
        ("members:read", "target", "globex"),
        ("data:delete", "target", "logs"),
        ("data:delete", "target", "metrics"),
    ] {
        assert!(find(&rows, action, key, value).is_some(), "{action} {value} in {rows:#?}");
    }
    let theirs = rows.iter().find(|row| row["target"] == "dashboard/theirs").unwrap();
    assert_eq!(theirs["status"], 404, "an object of another tenant is not there");
    let foreign = rows.iter().find(|row| row["detail"]["named"] == "globex").expect("the foreign tenant");
    assert_eq!((&foreign["status"], &foreign["actor"]["id"]), (&json!(403), &json!(admin.id)));
    let deletes: Vec<_> = rows.iter().filter(|row| row["action"] == "data:delete").collect();
    assert_eq!(deletes.len(), 2, "each once");

    assert_eq!(operator.ask(&server, "POST /api/v1/tenants/globex/suspend", "").await.status, 200);
    let refused = server.ask("GET /api/v1/query?query=1", &[("authorization", &key)], "").await;
    assert_eq!(refused.status, 403);
    assert_eq!(operator.ask(&server, "POST /api/v1/tenants/globex/activate", "").await.status, 200);
    let theirs = Person::new(&server, &globex, "admin@globex.example", "admin").await;
    let rows = trail(&server, &theirs).await;
    let of_key = rows.iter().find(|row| row["actor"]["kind"] == "key").expect("the key");
    assert_eq!((&of_key["status"], &of_key["result"]), (&json!(403), &json!("refused")));
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_client_invents_are_one_word_in_the_trail() {
    let server = server().await;
    let operator = operator(&server).await;
    for n in 0..50 {
        let line = format!("A{}{n} /api/v1/services", "B".repeat(1000));
        assert!(server.ask(&line, &[], "").await.status.is_client_error());
    }
    write_once(&server).await;
    let rows = trail(&server, &operator).await;
    let anonymous: Vec<_> = rows.iter().filter(|row| row["actor"]["id"] == "anonymous").collect();
    assert!(anonymous.len() <= 2, "two minutes at most: {anonymous:#?}");
    assert_eq!(anonymous.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>(), 50);
    assert!(anonymous.iter().all(|row| row["method"] == "other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_did_is_in_the_trail() {
    let server = server().await;
    let _writer = Writer::begin(&server).await;
    let operator = operator(&server).await;
    let control = server.app.control().unwrap();
    let detail = json!({ "scopes": ["query"] });
    control.leave_audit(&TenantId::default_tenant(), "keys:create", "key_1", &detail).await.unwrap();
    server.advance(Duration::from_secs(11));
    let mut found = None;
    for _ in 0..100 {
        found = find(&trail(&server, &operator).await, "keys:create", "target", "key_1").cloned();
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let row = found.expect("the command's row");
    assert_eq!((&row["actor"]["id"], &row["detail"]), (&json!("command"), &detail));
    server.advance(Duration::from_secs(61));
    server.app.audit().settled().await;
    assert_eq!(control.take_audit_left().await.unwrap(), [], "and not again");
}

/// The writer's work once, as at its end.
async fn write_once(server: &Server) {
    let (end, stop) = kit::ShutdownTrigger::new();
    end.request();
    crate::audit::run(server.app.clone(), stop).await.unwrap();
}

/// The server stops, or is killed, while the store takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_did_waits_in_the_database_until_it_is_stored() {
    let server = server().await;
    let operator = operator(&server).await;
    let (control, default) = (server.app.control().unwrap(), TenantId::default_tenant());
    control.leave_audit(&default, "keys:revoke", "key_1", &Value::Null).await.unwrap();
    let store = server.app.plug_store(None);
    write_once(&server).await;
    // What was in memory goes with the process.
    server.app.audit().forget(&default);
    server.app.plug_store(store);
    for times in [1, 1] {
        server.advance(Duration::from_secs(61));
        write_once(&server).await;
        let rows = trail(&server, &operator).await;
        let found = rows.iter().filter(|row| row["action"] == "keys:revoke").count();
        assert_eq!(found, times, "{rows:#?}");
    }
    server.advance(Duration::from_secs(61));
    assert_eq!(control.take_audit_left().await.unwrap(), [], "and is cleared then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_names_the_tenant_however_it_is_spelled_and_a_header_before_sign_in() {
    let server = server().await;
    let (acme, _) = (tenant(&server, "acme").await, tenant(&server, "globex").await);
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    for (uri, host, want) in [
        ("", "ACME.bw.example.", 200),
        ("", "acme.bw.example.:443", 200),
        ("", "globex.bw.example.", 403),
        ("https://globex.bw.example", "", 403),
        ("https://acme.bw.example", "", 200),
        ("https://acme.bw.example", "globex.bw.example", 400),
    ] {
        let line = format!("GET {uri}/api/v1/tenants/current/members");
        let host = if host.is_empty() { vec![] } else { vec![("host", host)] };
        assert_eq!(admin.ask_with(&server, &line, &host, "").await.status, want, "{uri} {host:?}");
    }
    let sign_in = |tenant: Option<&str>| {
        json!({ "email": "admin@acme.example", "password": PASSWORD, "tenant": tenant }).to_string()
    };
    for (header, named, want) in [
        (Some("acme"), None, 200),
        (Some("globex"), None, 401),
        (Some("globex"), Some("acme"), 403),
        (None, Some("acme"), 200),
    ] {
        let headers: Vec<_> = header.map(|header| ("x-tenant-id", header)).into_iter().collect();
        let answer = server.ask("POST /api/v1/auth/sign-in", &headers, sign_in(named)).await;
        assert_eq!(answer.status, want, "{header:?} {named:?}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_takes_neither_all_query_slots_nor_all_bytes_under_way() {
    let server = Server::new(false, &["query.concurrency=4", "query.timeout=1s"]).await;
    let acme = tenant(&server, "acme").await;
    let key = key_of(&server, &acme, &[KeyScope::Query]).await;
    assert_eq!(server.ask("GET /api/v1/query?query=1", &[("authorization", &key)], "").await.status, 200);
    let slots = server.app.tenant_limits().get(&acme).unwrap().query_slots(4);
    assert_eq!(slots.available_permits(), 2);
    let held = Arc::clone(&slots).acquire_many_owned(2).await.unwrap();
    let over = server.ask("GET /api/v1/query?query=1", &[("authorization", &key)], "").await;
    assert_eq!(over.status, 429, "{}", over.text());
    let ours = key_of(&server, &TenantId::default_tenant(), &[KeyScope::Query]).await;
    assert_eq!(server.ask("GET /api/v1/query?query=1", &[("authorization", &ours)], "").await.status, 200);
    drop(held);
}
