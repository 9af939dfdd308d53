//! Incidents and what belongs to them: who may, whose they are, and what strangers see.

use control::KeyScope;
use model::TenantId;
use serde_json::{Value, json};

use super::people::{Person, tenant};
use crate::testing::Server;

const BASE: &str = "/api/v1/monitoring";

async fn ask(server: &Server, who: &Person, line: &str, body: Value, want: u16) -> Value {
    let (method, path) = line.split_once(' ').expect("method and path");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = who.ask(server, &format!("{method} {BASE}/{path}"), body).await;
    assert_eq!(answer.status, want, "{line}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

fn titles(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_look_responders_work_and_editors_define() {
    let server = Server::new(false, &[]).await;
    let acme = tenant(&server, "acme").await;
    let viewer = Person::new(&server, &acme, "viewer@acme.example", "viewer").await;
    let responder = Person::new(&server, &acme, "responder@acme.example", "responder").await;
    let editor = Person::new(&server, &acme, "editor@acme.example", "editor").await;
    let policy = json!({ "levels": [{ "targets": [{ "person": "responder@acme.example" }] }] });
    ask(&server, &responder, "PUT objects/escalation/night", policy.clone(), 403).await;
    ask(&server, &editor, "PUT objects/escalation/night", policy, 200).await;
    let new = json!({ "title": "slow", "escalation": "night" });
    ask(&server, &viewer, "POST incidents", new.clone(), 403).await;
    let made = ask(&server, &responder, "POST incidents", new, 201).await;
    let one = format!("incidents/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["openedBy"], &made["escalation"]), (&json!("responder@acme.example"), &json!("night")));
    ask(&server, &viewer, &format!("POST {one}/acknowledge"), Value::Null, 403).await;
    let seen = ask(&server, &viewer, &format!("GET {one}"), Value::Null, 200).await;
    assert_eq!((&seen["status"], seen["timeline"].as_array().unwrap().len()), (&json!("open"), 1));
    let taken = ask(&server, &responder, &format!("POST {one}/acknowledge"), Value::Null, 200).await;
    assert_eq!(taken["assignee"], "responder@acme.example");

    // Another organisation finds nothing of it.
    let globex = tenant(&server, "globex").await;
    let other = Person::new(&server, &globex, "admin@globex.example", "admin").await;
    assert!(titles(&ask(&server, &other, "GET incidents", Value::Null, 200).await).is_empty());
    for line in [format!("GET {one}"), format!("GET {one}/postmortem"), format!("POST {one}/resolve")] {
        ask(&server, &other, &line, Value::Null, 404).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_a_selector_sees_the_incidents_of_its_labels_alone() {
    let server = Server::new(false, &[]).await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let role = json!({ "name": "alpha", "selector": "{squad=\"alpha\"}",
        "permissions": ["telemetry:read", "alerts:respond", "objects:read"] });
    let made = admin.ask(&server, "POST /api/v1/tenants/current/roles", role.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let lead = Person::new(&server, &acme, "lead@acme.example", "alpha").await;
    let mut ids = Vec::new();
    for squad in ["alpha", "bravo"] {
        let new = json!({ "title": squad, "labels": { "squad": squad } });
        let made = ask(&server, &admin, "POST incidents", new, 201).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(titles(&ask(&server, &lead, "GET incidents", Value::Null, 200).await), ["alpha"]);
    assert_eq!(titles(&ask(&server, &admin, "GET incidents", Value::Null, 200).await).len(), 2);
    ask(&server, &lead, &format!("POST incidents/{}/resolve", ids[0]), Value::Null, 200).await;
    for line in [
        format!("GET incidents/{}", ids[1]),
        format!("GET incidents/{}/events", ids[1]),
        format!("POST incidents/{}/resolve", ids[1]),
    ] {
        ask(&server, &lead, &line, Value::Null, 404).await;
    }
    ask(&server, &lead, "GET remediations", Value::Null, 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_is_found_by_its_address_alone_and_shows_one_schedule() {
    let server = Server::new(false, &["server.external_url=https://bw.example"]).await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let layer = json!({ "people": ["ann@acme.example"], "start": "2020-01-06", "rotation": "weekly" });
    for name in ["primary", "spare one"] {
        let line = format!("PUT objects/schedule/{}", name.replace(' ', "%20"));
        ask(&server, &admin, &line, json!({ "layers": [layer] }), 200).await;
    }
    let found = ask(&server, &admin, "GET schedules/spare%20one/calendar", Value::Null, 200).await;
    let path = found["url"].as_str().unwrap().strip_prefix("https://bw.example").unwrap().to_owned();
    let answer = server.ask(&format!("GET {path}"), &[], "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "text/calendar; charset=utf-8")
    );
    assert!(answer.text().contains("SUMMARY:spare one: ann@acme.example"), "{}", answer.text());
    let person = server.ask(&format!("GET {path}&person=bob@acme.example"), &[], "").await;
    assert!(!person.text().contains("BEGIN:VEVENT"));
    for wrong in [path.replace("spare%20one", "primary"), path[..path.len() - 2].to_owned()] {
        assert_eq!(server.ask(&format!("GET {wrong}"), &[], "").await.status, 404, "{wrong}");
    }
    ask(&server, &admin, "DELETE objects/schedule/spare%20one", Value::Null, 204).await;
    assert_eq!(server.ask(&format!("GET {path}"), &[], "").await.status, 404);
    let now = ask(&server, &admin, "GET on-call", Value::Null, 200).await;
    assert_eq!(now["items"][0]["person"], "ann@acme.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_key_claims_what_is_approved_and_nothing_that_it_did_not_offer() {
    let server = Server::new(false, &[]).await;
    let admin = Person::new(&server, &TenantId::default_tenant(), "admin@here.example", "admin").await;
    let step = json!({ "title": "restart", "action": { "command": "restart", "approval": "other" } });
    ask(&server, &admin, "PUT objects/runbook/web", json!({ "steps": [step] }), 200).await;
    let run = ask(&server, &admin, "POST runbooks/web/runs", json!({ "step": 0 }), 201).await;
    let one = format!("remediations/{}", run["id"].as_str().unwrap());
    let ingest = format!("Bearer {}", server.key(&[KeyScope::Ingest]).await);
    let query = format!("Bearer {}", server.key(&[KeyScope::Query]).await);
    let claim = async |key: &str, command: &str| {
        let body = json!({ "agent": "web-1", "commands": [command] }).to_string();
        let line = format!("POST {BASE}/remediations/claim");
        let answer = server.ask(&line, &[("authorization", key)], body).await;
        (answer.status.as_u16(), serde_json::from_slice::<Value>(&answer.body).unwrap_or(Value::Null))
    };
    assert_eq!(claim(&query, "restart").await.0, 403);
    assert_eq!(claim(&ingest, "restart").await.0, 204, "nobody let it yet");
    ask(&server, &admin, &format!("POST {one}/approve"), Value::Null, 403).await;
    let other = Person::new(&server, &TenantId::default_tenant(), "other@here.example", "responder").await;
    ask(&server, &other, &format!("POST {one}/approve"), Value::Null, 200).await;
    assert_eq!(claim(&ingest, "another").await.0, 204);
    let (status, claimed) = claim(&ingest, "restart").await;
    assert_eq!((status, &claimed["id"], &claimed["status"]), (200, &run["id"], &json!("sent")));
    assert_eq!(claim(&ingest, "restart").await.0, 204, "each once");
    for (body, want) in [
        (json!({ "agent": "web-2", "state": "ended", "exitCode": 0 }), 409),
        (json!({ "agent": "web-1", "state": "ended" }), 400),
        (json!({ "agent": "web-1", "state": "ended", "exitCode": 0, "output": "done" }), 200),
    ] {
        let line = format!("POST {BASE}/{one}/report");
        let answer = server.ask(&line, &[("authorization", &ingest)], body.to_string()).await;
        assert_eq!(answer.status, want, "{body}: {}", answer.text());
    }
    let kept = ask(&server, &admin, &format!("GET {one}"), Value::Null, 200).await;
    assert_eq!((&kept["status"], &kept["output"]), (&json!("succeeded"), &json!("done")));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_a_public_page_and_nothing_else() {
    let server = Server::new(false, &["server.external_url=https://bw.example"]).await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let page = |public: bool| json!({ "title": "Ours", "public": public, "components": [{ "name": "api" }, { "name": "web", "state": "degraded" }] });
    ask(&server, &admin, "PUT objects/status_page/main", page(true), 200).await;
    ask(&server, &admin, "PUT objects/status_page/inner", page(false), 200).await;
    let made = ask(&server, &admin, "POST incidents", json!({ "title": "inner words" }), 201).await;
    let one = format!("incidents/{}", made["id"].as_str().unwrap());
    let shown = async |path: &str| server.ask(&format!("GET {BASE}/status-pages/{path}"), &[], "").await;
    let before = shown("acme/main").await;
    assert_eq!((before.status.as_u16(), &before.json()["state"]), (200, &json!("degraded")));
    for hidden in ["acme/inner", "acme/none", "globex/main", "..%2f/main"] {
        assert_eq!(shown(hidden).await.status, 404, "{hidden}");
    }
    let publication = json!({ "page": "main", "title": "Slow", "components": ["api"], "impact": "outage" });
    let update =
        json!({ "publication": publication, "update": { "phase": "identified", "text": "the disk" } });
    ask(&server, &admin, &format!("PATCH {one}"), update, 200).await;
    let after = shown("acme/main").await.json();
    assert_eq!(
        (&after["state"], &after["incidents"][0]["updates"][0]["text"]),
        (&json!("outage"), &json!("the disk"))
    );
    let text = after.to_string();
    assert!(!text.contains("inner words") && !text.contains("admin@acme.example"), "{text}");
    let mut wrong = json!({ "page": "main", "title": "Slow", "components": ["none"], "impact": "outage" });
    ask(&server, &admin, &format!("PATCH {one}"), json!({ "publication": wrong }), 400).await;
    wrong["page"] = "none".into();
    ask(&server, &admin, &format!("PATCH {one}"), json!({ "publication": wrong }), 400).await;
    let inside = json!({ "kind": "webhook", "address": "http://10.0.0.1/x" }).to_string();
    let line = format!("POST {BASE}/status-pages/acme/main/subscriptions");
    assert_eq!(server.ask(&line, &[], inside).await.status, 400);
}
