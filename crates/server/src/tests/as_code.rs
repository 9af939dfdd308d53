//! Objects as code: sets of documents, shown and made so.

use serde_json::{Value, json};

use super::people::{Person, code, tenant};
use crate::testing::{Answer, Server};

const PATH: &str = "/api/v1/tenants/current/objects";

/// A document of a file.
fn doc(file: &str, at: u64, kind: &str, name: &str, spec: Value) -> Value {
    json!({ "file": file, "document": at, "content": { "kind": kind, "name": name, "spec": spec } })
}

struct World {
    server: Server,
    admin: Person,
}

impl World {
    async fn new() -> Self {
        let server = Server::new(false, &[]).await;
        let acme = tenant(&server, "acme").await;
        let admin = Person::new(&server, &acme, "root@acme.example", "platform_admin").await;
        Self { server, admin }
    }

    async fn apply(&self, documents: &[Value], more: Value) -> Answer {
        let mut body = json!({ "documents": documents });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.admin.ask(&self.server, &format!("POST {PATH}"), body.to_string()).await
    }

    /// The actions of a set that is accepted, as `action kind/name`.
    async fn changes(&self, documents: &[Value], more: Value) -> Vec<String> {
        let answer = self.apply(documents, more).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = |change: &Value, name: &str| change[name].as_str().expect("a text").to_owned();
        let line = |change: &Value| {
            format!("{} {}/{}", text(change, "action"), text(change, "kind"), text(change, "name"))
        };
        answer.json()["changes"].as_array().expect("a list").iter().map(line).collect()
    }

    async fn export(&self) -> Vec<Value> {
        let answer = self.admin.ask(&self.server, &format!("GET {PATH}"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"].as_array().expect("a list").clone()
    }
}

fn first() -> Vec<Value> {
    vec![
        doc("a.yaml", 1, "dashboard", "hosts", json!({"title": "Hosts", "rows": [1, 2]})),
        doc("a.yaml", 2, "saved_query", "up", json!({"query": "up"})),
        doc("b.yaml", 1, "role", "ops", json!({"permissions": ["telemetry:read", "objects:read"]})),
        doc("b.yaml", 2, "limits", "tenant", json!({"series": 1000})),
        doc("b.yaml", 3, "settings", "tenant", json!({"theme": "dark"})),
        doc(
            "c.yaml",
            1,
            "pipeline",
            "logs",
            json!({"processors": [{"type": "set", "field": "team", "value": "a"}]}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_applied_shown_pruned_and_owned() {
    let world = World::new().await;
    let (server, admin) = (&world.server, &world.admin);
    let put = "PUT /api/v1/monitoring/objects/dashboard/mine";
    assert_eq!(admin.ask(server, put, r#"{"x":1}"#).await.status, 200);
    let before = world.export().await;

    let created = |docs: &[Value]| -> Vec<String> {
        let name = |doc: &Value| {
            let text = |name: &str| doc["content"][name].as_str().expect("a text").to_owned();
            format!("create {}/{}", text("kind"), text("name"))
        };
        docs.iter().map(name).collect()
    };
    let mut want = created(&first());
    let mut dry = world.changes(&first(), json!({"dry_run": true})).await;
    want.sort();
    dry.sort();
    assert_eq!(dry, want);
    assert_eq!(world.export().await, before, "a dry run changes nothing");
    assert_eq!(world.changes(&first(), json!({})).await.len(), 6);
    assert_eq!(world.changes(&first(), json!({"prune": true})).await, [""; 0], "twice changes nothing");

    // An export applied is no change of any content, and gives files what people made.
    let export: Vec<Value> = world.export().await;
    let docs: Vec<Value> = export
        .iter()
        .zip(1..)
        .map(|(item, at)| {
            let file = item["file"].as_str().unwrap_or("new.yaml");
            doc(
                file,
                at,
                item["kind"].as_str().expect("kind"),
                item["name"].as_str().expect("name"),
                item["spec"].clone(),
            )
        })
        .collect();
    assert_eq!(docs.len(), 7);
    assert_eq!(world.changes(&docs, json!({"prune": true})).await, ["adopt dashboard/mine"]);
    assert_eq!(world.changes(&docs, json!({"prune": true})).await, [""; 0]);
    let released = world.changes(&docs[..0], json!({"release": ["dashboard/mine"]})).await;
    assert_eq!(released, ["release dashboard/mine"]);

    // What a file owns is changed by files only.
    for (line, body) in [
        ("PUT /api/v1/monitoring/objects/dashboard/hosts", "{}"),
        ("DELETE /api/v1/monitoring/objects/dashboard/hosts", ""),
        ("PUT /api/v1/tenants/current/roles/ops", r#"{"permissions":[]}"#),
        ("DELETE /api/v1/tenants/current/roles/ops", ""),
        ("PUT /api/v1/tenants/current/limits", "{}"),
        ("PATCH /api/v1/tenants/current", r#"{"settings":{}}"#),
    ] {
        let answer = admin.ask(server, line, body).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (409, "CONFLICT"), "{line}");
        assert!(answer.text().contains(".yaml"), "{}", answer.text());
    }
    let shown = admin.ask(server, "GET /api/v1/monitoring/objects/dashboard/hosts", "").await.json();
    assert_eq!(shown["file"], "a.yaml");

    // A change names fields; what no file names goes with prune only, and what people made stays.
    let mut second = first();
    second[0]["content"]["spec"] = json!({"title": "All hosts", "rows": [1]});
    second.remove(1);
    assert_eq!(world.changes(&second, json!({"dry_run": true})).await, ["change dashboard/hosts"]);
    let answer = world.apply(&second, json!({"prune": true})).await.json();
    assert_eq!(
        answer["changes"][0]["fields"],
        json!([{"field": "spec.rows[1]", "old": 2}, {"field": "spec.title", "old": "Hosts", "new": "All hosts"}])
    );
    assert_eq!(answer["changes"][1]["action"], "delete");
    assert_eq!(answer["counts"]["delete"], 1);
    let names: Vec<String> = world.export().await.iter().map(|item| item["name"].to_string()).collect();
    assert!(names.contains(&"\"mine\"".to_owned()) && !names.contains(&"\"up\"".to_owned()), "{names:?}");
    assert_eq!(world.changes(&[], json!({"prune": true})).await.len(), 5);
    assert_eq!(world.export().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once_and_nothing_is_changed() {
    let world = World::new().await;
    let good = doc("good.yaml", 1, "dashboard", "good", json!({}));
    let raw = |at: u64, content: Value| json!({ "file": "bad.yaml", "document": at, "content": content });
    let documents = [
        good.clone(),
        raw(1, json!([1])),
        raw(2, json!({"kind": "dashbord", "name": 7, "spec": "x", "colour": 1})),
        doc("bad.yaml", 3, "dashboard", "good", json!({})),
        doc("bad.yaml", 4, "pipeline", "moon", json!({})),
        doc("bad.yaml", 5, "role", "Ops", json!({"permissions": ["objects:read"]})),
        doc("bad.yaml", 6, "role", "ops", json!({"permissions": ["objects:eat"]})),
        doc("bad.yaml", 7, "role", "ops2", json!({"permission": []})),
        doc("bad.yaml", 8, "limits", "acme", json!({})),
        doc("bad.yaml", 9, "limits", "tenant", json!({"series": -1})),
        doc("bad.yaml", 10, "settings", "tenant", json!({"sso_only": "yes"})),
        doc("bad.yaml", 11, "channel", "c", json!({"token": "<masked secret>"})),
        doc("bad.yaml", 12, "dashboard", "", json!({})),
        doc("bad.yaml", 13, "dashboard", "d", json!({"schema": 2})),
        doc("bad.yaml", 15, "preference", "p", json!({})),
    ];
    let answer = world.apply(&documents, json!({"release": ["dashboard/none", "moon"]})).await;
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "VALIDATION_ERROR"));
    let faults = answer.json()["error"]["faults"].clone();
    let found: Vec<String> = faults
        .as_array()
        .expect("a list")
        .iter()
        .map(|fault| format!("{} {}", fault["document"], fault["field"].as_str().expect("a text")))
        .collect();
    let want = [
        "1 document",
        "2 colour",
        "2 kind",
        "2 name",
        "2 spec",
        "3 name",
        "4 ",
        "5 name",
        "6 ",
        "7 ",
        "8 name",
        "9 spec.series",
        "10 spec.sso_only",
        "11 spec",
        "12 name",
        "13 spec",
        "15 kind",
        "0 release",
        "0 release",
    ];
    assert_eq!(found.len(), want.len(), "{faults}");
    for (found, want) in found.iter().zip(want) {
        assert!(found.starts_with(want), "{found} is not {want}: {faults}");
    }
    assert!(answer.text().contains("good.yaml, document 1"), "duplicates name each other: {}", answer.text());
    assert_eq!(world.export().await, [Value::Null; 0]);

    for (body, status) in [
        ("[]".to_owned(), 400),
        (r#"{"documents":[],"colour":1}"#.to_owned(), 400),
        (r#"{"documents":[{"file":"","document":1,"content":{}}]}"#.to_owned(), 400),
        (r#"{"documents":[{"file":"a\nb","document":1,"content":{}}]}"#.to_owned(), 400),
        (format!("{{\"documents\":[{}]}}", " ".repeat(17 << 20)), 413),
        (format!("{{\"documents\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)), 400),
    ] {
        let answer = world.admin.ask(&world.server, &format!("POST {PATH}"), body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_name_fields_as_the_document_has_them() {
    let world = World::new().await;
    for (kind, name, spec, want) in [
        ("limits", "tenant", json!({"series": 0}), "spec.series"),
        ("limits", "tenant", json!({"series": "many"}), "spec.series"),
        ("limits", "tenant", json!({"query_seconds": -1}), "spec.query_seconds"),
        ("limits", "tenant", json!({"serieses": 1}), "spec.serieses"),
        ("limits", "tenant", json!([]), "spec"),
        ("limits", "other", json!({}), "name"),
        ("settings", "tenant", json!({"sso_only": 1}), "spec.sso_only"),
        ("role", "ops", json!({"permissions": "x"}), "spec.permissions"),
        ("dashboard", "d", json!({"schema": "one"}), "spec.schema"),
        ("dashboard", "d", json!({"schema": 1}), "spec"),
        ("pipeline", "logs", json!({"processors": 1}), "spec"),
    ] {
        let answer = world.apply(&[doc("a.yaml", 1, kind, name, spec.clone())], json!({})).await;
        assert_eq!(answer.status, 400, "{kind} {spec}");
        let faults = answer.json()["error"]["faults"].clone();
        assert_eq!(faults[0]["field"], want, "{kind} {spec}: {faults}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_in_an_export_and_kept_by_it() {
    let world = World::new().await;
    let scrape = "# ours\nscrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hunter2}\n";
    let spec = json!({"host": true, "scrape": scrape});
    let channel = json!({"type": "telegram", "config": {"chat": "1", "token": "1:s3cret"}});
    let docs = [
        doc("a.yaml", 1, "agent", "default", spec.clone()),
        doc("a.yaml", 2, "channel", "c", channel.clone()),
    ];
    world.changes(&docs, json!({})).await;
    let export = world.export().await;
    let text = Value::from(export.clone()).to_string();
    assert!(!text.contains("hunter2") && !text.contains("s3cret") && text.contains("masked"), "{text}");
    let mut docs = docs.to_vec();
    for (doc, kind) in docs.iter_mut().zip(["agent", "channel"]) {
        let item = export.iter().find(|item| item["kind"] == kind).expect("exported");
        doc["content"]["spec"] = item["spec"].clone();
    }
    assert_eq!(world.changes(&docs, json!({"prune": true})).await, [""; 0], "nothing is lost");
    // A change of a secret is a change that does not show it.
    docs[1]["content"]["spec"] = json!({"type": "telegram", "config": {"chat": "1", "token": "1:other"}});
    let answer = world.apply(&docs, json!({})).await.text();
    assert!(
        answer.contains("spec.config.token") && !answer.contains("other") && !answer.contains("s3cret"),
        "{answer}"
    );
    let control = world.server.app.control().expect("control");
    let acme = model::TenantId::new("acme").expect("valid");
    let stored = control.object(&acme, control::ObjectKind::Agent, "default").await.expect("there");
    assert_eq!(stored.spec, spec, "comments included");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_limits_and_settings_take_their_own_permissions() {
    let world = World::new().await;
    let acme = model::TenantId::new("acme").expect("valid");
    let globex = tenant(&world.server, "globex").await;
    let mut people = Vec::new();
    for role in ["viewer", "editor", "admin", "platform_admin"] {
        people.push(Person::new(&world.server, &acme, &format!("{role}@acme.example"), role).await);
    }
    let all = first();
    for (doc, want) in [
        (&all[0], [403, 200, 200, 200]),
        (&all[2], [403, 403, 200, 200]),
        (&all[3], [403, 403, 403, 200]),
        (&all[4], [403, 403, 200, 200]),
    ] {
        for (person, want) in people.iter().zip(want) {
            let body = json!({"documents": [doc], "dry_run": true}).to_string();
            let answer = person.ask(&world.server, &format!("POST {PATH}"), body).await;
            assert_eq!(answer.status, want, "{doc} {}", answer.text());
        }
    }
    let stranger = Person::new(&world.server, &globex, "a@globex.example", "admin").await;
    let path = "/api/v1/tenants/acme/objects";
    let body = json!({"documents": [all[0]]}).to_string();
    for line in [format!("GET {path}"), format!("POST {path}")] {
        assert_eq!(stranger.ask(&world.server, &line, body.clone()).await.status, 404);
    }
    let root = Person::new(&world.server, &globex, "root@globex.example", "platform_admin").await;
    assert_eq!(root.ask(&world.server, &format!("POST {path}"), body).await.status, 200);
    assert_eq!(world.export().await.len(), 1);
}
