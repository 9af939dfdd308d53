//! Every sensitive action leaves a row in the audit log, and no route takes one away.

mod more; // checks, files of Prometheus and Alertmanager

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use control::audit::AuditRow;
use model::TenantId;
use serde_json::{Value, json};

use super::people::{PASSWORD, Person, tenant};
use crate::audit::{SENSITIVE, Sensitive};
use crate::testing::{Answer, Server};

/// A server without anyone who stores rows, so that those of each request can be looked at.
struct Walk {
    server: Server,
    root: Person,
    /// Operations that were carried out.
    done: BTreeSet<&'static str>,
    /// Actions of the rows that they left.
    seen: BTreeSet<String>,
}

impl Walk {
    async fn new() -> Self {
        let server = Server::new(false, &["server.external_url=https://bw.example"]).await;
        let acme = tenant(&server, "acme").await;
        let root = Person::new(&server, &acme, "root@acme.example", "platform_admin").await;
        Self { server, root, done: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// Looks for the row that an operation must have left, in whoever's trail.
    fn found(&mut self, operation: &'static str, line: &str, answer: &Answer) -> AuditRow {
        assert!(answer.status.as_u16() < 400, "{operation} {line}: {}", answer.text());
        let rows = self.server.app.audit().drain();
        let of = SENSITIVE.iter().filter(|one| one.operations.contains(&operation));
        let actions: Vec<&str> = of.map(|one| one.action).collect();
        let row = rows.iter().find(|row| actions.contains(&row.action.as_str()));
        let row = row.unwrap_or_else(|| panic!("{operation} left none of {actions:?} in {rows:#?}")).clone();
        self.seen.extend(rows.into_iter().map(|row| row.action));
        self.done.insert(operation);
        row
    }

    /// Somebody asks; their name must be in the row.
    async fn by(&mut self, who: &Person, operation: &'static str, line: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = who.ask(&self.server, line, body).await;
        let row = self.found(operation, line, &answer);
        assert_eq!(row.actor.map(|actor| actor.id).as_ref(), Some(&who.id), "{operation}");
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// The platform's administrator asks.
    async fn root(&mut self, operation: &'static str, line: &str, body: Value) -> Value {
        let root = Person {
            id: self.root.id.clone(),
            cookie: self.root.cookie.clone(),
            csrf: self.root.csrf.clone(),
        };
        self.by(&root, operation, line, body).await
    }

    /// The same below the path of their own tenant.
    async fn own(&mut self, operation: &'static str, line: &str, body: Value) -> Value {
        let (method, rest) = line.split_once(' ').unwrap();
        self.root(operation, &format!("{method} /api/v1/tenants/current/{rest}"), body).await
    }

    /// Anyone asks.
    async fn anyone(&mut self, operation: &'static str, line: &str, body: Value) -> Value {
        let answer = self.server.ask(line, &[], body.to_string()).await;
        self.found(operation, line, &answer);
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap_or_else(|| panic!("no identifier in {of}")).to_owned()
}

/// The code of an authenticator (RFC 6238), from the secret that people type.
fn authenticator(secret: &str, now_ms: i64) -> String {
    let (mut bits, mut held, mut bytes) = (0, 0_u64, Vec::new());
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
        (held, bits) = (held << 5 | value as u64, bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &(now_ms / 30_000).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0x0f);
    let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

async fn people(walk: &mut Walk) {
    let member = json!({ "email": "ada@acme.example", "name": "Ada", "role": "viewer" });
    let ada = id(&walk.own("createMember", "POST members", member).await);
    for change in [json!({ "role": "editor" }), json!({ "name": "A" }), json!({ "state": "disabled" })] {
        walk.own("updateMember", &format!("PATCH members/{ada}"), change).await;
    }
    walk.own("updateMember", &format!("PATCH members/{ada}"), json!({ "state": "active" })).await;
    let link = walk.own("createSignInLink", &format!("POST members/{ada}/sign-in-link"), Value::Null).await;
    let token = link["url"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    walk.anyone("redeemSignInLink", "POST /api/v1/auth/link", json!({ "token": token })).await;
    walk.own("resetSecondFactor", &format!("POST members/{ada}/reset-second-factor"), Value::Null).await;
    walk.own("endMemberSessions", &format!("DELETE members/{ada}/sessions"), Value::Null).await;
    let team = id(&walk.own("createTeam", "POST teams", json!({ "name": "Web" })).await);
    walk.own("renameTeam", &format!("PATCH teams/{team}"), json!({ "name": "Shop" })).await;
    walk.own("addTeamMember", &format!("PUT teams/{team}/members/{ada}"), Value::Null).await;
    walk.own("removeTeamMember", &format!("DELETE teams/{team}/members/{ada}"), Value::Null).await;
    walk.own("deleteTeam", &format!("DELETE teams/{team}"), Value::Null).await;
    walk.own("deleteMember", &format!("DELETE members/{ada}"), Value::Null).await;

    let invite = |name: &str| json!({ "email": format!("{name}@acme.example"), "role": "viewer" });
    let invited = walk.own("createInvitation", "POST invitations", invite("bob")).await;
    let token = invited["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let accept = json!({ "name": "Bob", "password": PASSWORD });
    walk.anyone("acceptInvitation", &format!("POST /api/v1/auth/invitations/{token}"), accept).await;
    let invited = id(&walk.own("createInvitation", "POST invitations", invite("eve")).await);
    walk.own("revokeInvitation", &format!("DELETE invitations/{invited}"), Value::Null).await;
    let role = json!({ "name": "ops", "permissions": ["telemetry:read"] });
    walk.own("createRole", "POST roles", role).await;
    walk.own("replaceRole", "PUT roles/ops", json!({ "permissions": ["objects:read"] })).await;
    walk.own("deleteRole", "DELETE roles/ops", Value::Null).await;
}

async fn accounts(walk: &mut Walk) {
    let acme = TenantId::new("acme").unwrap();
    let eve = Person::new(&walk.server, &acme, "eve@acme.example", "viewer").await;
    let credentials = json!({ "email": "eve@acme.example", "password": PASSWORD, "tenant": "acme" });
    walk.anyone("signIn", "POST /api/v1/auth/sign-in", credentials).await;
    let auth = |line: &str| line.replacen(' ', " /api/v1/auth/", 1);
    walk.by(&eve, "updateProfile", &auth("PUT profile"), json!({ "name": "Eve" })).await;
    let change = json!({ "current": PASSWORD, "new": "another good sentence" });
    walk.by(&eve, "changePassword", &auth("POST password"), change).await;
    let enrolled = walk.by(&eve, "enrolSecondFactor", &auth("POST second-factor"), Value::Null).await;
    let secret = enrolled["secret"].as_str().unwrap().to_owned();
    for (operation, rest) in [
        ("confirmSecondFactor", "POST second-factor/confirm"),
        ("renewRecoveryCodes", "POST second-factor/recovery-codes"),
        ("disableSecondFactor", "POST second-factor/disable"),
    ] {
        let code = json!({ "code": authenticator(&secret, walk.server.app.now_ms()) });
        walk.by(&eve, operation, &auth(rest), code).await;
        // A code is good once.
        walk.server.advance(std::time::Duration::from_secs(30));
    }
    let grant = json!({ "grant_type": "session" });
    let pair = walk.by(&eve, "issueToken", &auth("POST token"), grant.clone()).await;
    let refresh = json!({ "token": pair["refresh_token"] });
    walk.anyone("revokeToken", &auth("POST token/revoke"), refresh).await;
    walk.by(&eve, "issueToken", &auth("POST token"), grant).await;
    let tokens = eve.ask(&walk.server, &auth("GET tokens"), "").await.json();
    let family = id(&tokens["items"][0]);
    walk.by(&eve, "endOwnTokens", &auth(&format!("DELETE tokens/{family}")), Value::Null).await;
    walk.by(&eve, "endOtherSessions", &auth("DELETE sessions"), Value::Null).await;
    let sessions = eve.ask(&walk.server, &auth("GET sessions"), "").await.json();
    walk.server.app.audit().drain();
    let session = id(&sessions["items"][0]);
    walk.by(&eve, "endOwnSession", &auth(&format!("DELETE sessions/{session}")), Value::Null).await;
    let out = Person::new(&walk.server, &acme, "out@acme.example", "viewer").await;
    walk.by(&out, "signOut", &auth("POST logout"), Value::Null).await;
    let address = json!({ "email": "eve@acme.example" });
    walk.anyone("forgotPassword", &auth("POST password/forgot"), address).await;
    let control = walk.server.app.control().unwrap();
    let reset = control.request_password_reset(None, "eve@acme.example").await.unwrap().remove(0);
    let reset = json!({ "token": reset.token.expose(), "password": "a third good sentence" });
    walk.anyone("resetPassword", &auth("POST password/reset"), reset).await;
}

async fn programs(walk: &mut Walk) {
    let key = id(&walk.own("createKey", "POST keys", json!({ "name": "k", "scopes": ["query"] })).await);
    walk.own("updateKey", &format!("PATCH keys/{key}"), json!({ "name": "l" })).await;
    walk.own("rotateKey", &format!("POST keys/{key}/rotate"), json!({})).await;
    walk.own("revokeKey", &format!("DELETE keys/{key}"), Value::Null).await;
    let new = json!({ "name": "ci", "role": "viewer" });
    let account = id(&walk.own("createServiceAccount", "POST service-accounts", new).await);
    let change = json!({ "role": "editor" });
    walk.own("updateServiceAccount", &format!("PATCH service-accounts/{account}"), change).await;
    walk.own("deleteServiceAccount", &format!("DELETE service-accounts/{account}"), Value::Null).await;
    let provider = |name: &str| {
        // Nothing listens there.
        let config =
            json!({ "issuer": "https://127.0.0.1:1", "client_id": "c", "client_secret": "x".repeat(40) });
        json!({ "name": name, "kind": "oidc", "config": config })
    };
    let made = id(&walk.own("createSignInProvider", "POST sso", provider("One")).await);
    walk.own("replaceSignInProvider", &format!("PUT sso/{made}"), provider("Two")).await;
    walk.own("testSignInProvider", &format!("POST sso/{made}/test"), Value::Null).await;
    let acs = format!("POST /api/v1/auth/sso/{made}/acs");
    let answer = walk.server.ask(&acs, &[], "SAMLResponse=x&RelayState=y").await;
    let refused = walk.found("finishSamlSignIn", &acs, &answer);
    assert_eq!(refused.result, control::audit::AuditResult::Refused);
    walk.own("deleteSignInProvider", &format!("DELETE sso/{made}"), Value::Null).await;
    let project = id(&walk.own("createProject", "POST projects", json!({ "name": "Shop" })).await);
    walk.own("updateProject", &format!("PATCH projects/{project}"), json!({ "name": "Web" })).await;
    walk.own("deleteProject", &format!("DELETE projects/{project}"), Value::Null).await;
}

async fn tenants(walk: &mut Walk) {
    let admin = json!({ "email": "first@globex.example", "name": "First" });
    let new = json!({ "id": "globex", "name": "Globex", "admin": admin });
    walk.root("createTenant", "POST /api/v1/tenants", new).await;
    let at = |method: &str, rest: &str| format!("{method} /api/v1/tenants/globex{rest}");
    walk.root("updateTenant", &at("PATCH", ""), json!({ "name": "G" })).await;
    walk.root("setTenantLimits", &at("PUT", "/limits"), json!({ "series": 5 })).await;
    walk.root("exportTenant", &at("POST", "/export"), Value::Null).await;
    walk.root("suspendTenant", &at("POST", "/suspend"), Value::Null).await;
    walk.root("activateTenant", &at("POST", "/activate"), Value::Null).await;
    walk.root("deleteTenant", &at("DELETE", ""), Value::Null).await;
}

async fn data(walk: &mut Walk) {
    let object = "/api/v1/monitoring/objects/dashboard/d";
    walk.root("putObject", &format!("PUT {object}"), json!({ "x": 1 })).await;
    walk.root("deleteObject", &format!("DELETE {object}"), Value::Null).await;
    let preview = json!({ "signal": "logs", "pipeline": { "processors": [] } });
    walk.root("previewPipeline", "POST /api/v1/monitoring/pipelines/preview", preview).await;
    alerts(walk).await;
    incidents(walk).await;
    let set = |title: &str| {
        let content = json!({ "kind": "dashboard", "name": "f", "spec": { "title": title } });
        json!({ "documents": [{ "file": "a.yaml", "document": 1, "content": content }] })
    };
    walk.own("applyObjects", "POST objects", set("One")).await;
    walk.own("applyObjects", "POST objects", set("Two")).await;
    walk.own("applyObjects", "POST objects", json!({ "documents": [], "release": ["dashboard/f"] })).await;
    walk.own("applyObjects", "POST objects", set("Two")).await;
    walk.own("applyObjects", "POST objects", json!({ "documents": [], "prune": true })).await;
    let span =
        json!({ "query": "level:debug", "start": "2024-01-01T00:00:00Z", "end": "2024-01-02T00:00:00Z" });
    for (operation, signal) in [("deleteLogs", "logs"), ("deleteSpans", "spans"), ("deleteEvents", "events")]
    {
        let query = if signal == "logs" {
            span.clone()
        } else {
            json!({ "query": "name:x", "start": span["start"], "end": span["end"] })
        };
        walk.root(operation, &format!("POST /api/v1/monitoring/{signal}/delete"), query).await;
    }
    for (operation, line) in [
        ("deleteSeries", "POST /api/v1/admin/tsdb/delete_series?match[]=up"),
        ("deleteSeriesByPut", "PUT /api/v1/admin/tsdb/delete_series?match[]=up"),
        ("deleteSeriesBelowPrometheus", "POST /prometheus/api/v1/admin/tsdb/delete_series?match[]=up"),
        ("deleteSeriesByPutBelowPrometheus", "PUT /prometheus/api/v1/admin/tsdb/delete_series?match[]=up"),
        ("cleanTombstones", "POST /api/v1/admin/tsdb/clean_tombstones"),
        ("cleanTombstonesByPut", "PUT /api/v1/admin/tsdb/clean_tombstones"),
        ("cleanTombstonesBelowPrometheus", "POST /prometheus/api/v1/admin/tsdb/clean_tombstones"),
        ("cleanTombstonesByPutBelowPrometheus", "PUT /prometheus/api/v1/admin/tsdb/clean_tombstones"),
        ("reload", "POST /-/reload"),
        ("reloadByPut", "PUT /-/reload"),
        ("exportAuditEntries", "GET /api/v1/monitoring/audit/export"),
    ] {
        walk.root(operation, line, Value::Null).await;
    }
}

async fn alerts(walk: &mut Walk) {
    let base = "/api/v1/monitoring/alerts";
    let condition = json!({ "metric": "cpu", "threshold": 80 });
    let rule = json!({ "name": "cpu", "type": "threshold", "condition": condition });
    let made = walk.root("createAlertRule", &format!("POST {base}"), rule.clone()).await;
    let one = format!("{base}/{}", id(&made));
    walk.root("replaceAlertRule", &format!("PUT {one}"), rule.clone()).await;
    walk.root("backtestAlertRule", &format!("POST {base}/backtest"), json!({ "rule": rule, "hours": 1 }))
        .await;
    walk.root("deleteAlertRule", &format!("DELETE {one}"), Value::Null).await;
    let channel = json!({ "channel": { "type": "email", "config": { "to": "a@b.example" } } });
    walk.root("testChannel", "POST /api/v1/monitoring/channels/test", channel).await;
    let labels = json!({ "labels": { "alertname": "x" } });
    walk.root("previewRoutes", "POST /api/v1/monitoring/routes/preview", labels).await;

    let acme = TenantId::new("acme").unwrap();
    let engine = walk.server.app.engine_of(&acme).await.expect("an engine");
    let labels = alert::Labels::from([("alertname".to_owned(), "x".to_owned())]);
    let fired = engine.receive(vec![alert::routing::Alert::firing(labels, 1)], "api").await.expect("taken");
    let event = format!("{base}/events/{}", fired[0].id);
    for (operation, what) in [
        ("acknowledgeAlertEvent", "acknowledge"),
        ("unacknowledgeAlertEvent", "unacknowledge"),
        ("resolveAlertEvent", "resolve"),
    ] {
        walk.root(operation, &format!("POST {event}/{what}"), Value::Null).await;
    }
    let silences = "/api/v1/monitoring/silences";
    let matchers = json!(["alertname=\"x\""]);
    let asked = json!({ "matchers": matchers, "endsAt": "2100-01-01T00:00:00Z", "comment": "c" });
    let silence = walk.root("createSilence", &format!("POST {silences}"), asked.clone()).await;
    walk.root("changeSilence", &format!("PUT {silences}/{}", id(&silence)), asked).await;
    walk.root("endSilence", &format!("DELETE {silences}/{}", id(&silence)), Value::Null).await;
    walk.root("previewSilence", &format!("POST {silences}/preview"), json!({ "matchers": matchers })).await;
}

async fn incidents(walk: &mut Walk) {
    let base = "/api/v1/monitoring";
    let object = async |walk: &mut Walk, kind: &str, name: &str, spec: Value| {
        let line = format!("PUT {base}/objects/{kind}/{name}");
        let answer = walk.root.ask(&walk.server, &line, spec.to_string()).await;
        assert_eq!(answer.status, 200, "{line}");
        walk.server.app.audit().drain();
    };
    let step = json!({ "title": "do", "action": { "command": "c" } });
    object(walk, "runbook", "do", json!({ "steps": [step] })).await;
    let page = json!({ "title": "Ours", "public": true, "components": [{ "name": "api" }] });
    object(walk, "status_page", "main", page).await;

    let made =
        walk.root("createIncident", &format!("POST {base}/incidents"), json!({ "title": "slow" })).await;
    let one = format!("{base}/incidents/{}", id(&made));
    let acme = TenantId::new("acme").unwrap();
    let engine = walk.server.app.engine_of(&acme).await.expect("an engine");
    let labels = alert::Labels::from([("alertname".to_owned(), "y".to_owned())]);
    let fired = engine.receive(vec![alert::routing::Alert::firing(labels, 1)], "api").await.expect("taken");
    for (operation, line, body) in [
        ("updateIncident", format!("PATCH {one}"), json!({ "title": "very slow" })),
        ("acknowledgeIncident", format!("POST {one}/acknowledge"), Value::Null),
        ("addIncidentNote", format!("POST {one}/notes"), json!({ "text": "it is the disk" })),
        ("assignIncident", format!("POST {one}/assign"), json!({ "person": "root@acme.example" })),
        ("joinIncidentEvents", format!("POST {one}/events"), json!({ "events": [fired[0].id] })),
        ("linkIncidentRunbook", format!("POST {one}/runbooks"), json!({ "name": "do" })),
        ("tickRunbookStep", format!("PUT {one}/runbooks/do/steps/0"), json!({ "done": true })),
        (
            "putPostmortem",
            format!("PUT {one}/postmortem"),
            json!({ "version": 0, "text": "# What we learnt" }),
        ),
        ("resolveIncident", format!("POST {one}/resolve"), Value::Null),
        ("reopenIncident", format!("POST {one}/reopen"), json!({ "note": "not over" })),
    ] {
        walk.root(operation, &line, body).await;
    }
    for (operation, word) in [("approveRemediation", "approve"), ("refuseRemediation", "refuse")] {
        let run =
            walk.root("runRunbookStep", &format!("POST {base}/runbooks/do/runs"), json!({ "step": 0 })).await;
        walk.root(operation, &format!("POST {base}/remediations/{}/{word}", id(&run)), Value::Null).await;
    }

    let page = format!("{base}/status-pages/acme/main/subscriptions");
    let asked = json!({ "kind": "webhook", "address": "https://hooks.example/x" });
    walk.anyone("subscribeToStatusPage", &format!("POST {page}"), asked).await;
    let told = engine.tables().notifications(1).await.expect("a list").remove(0);
    let token = |url: &str| url::Url::parse(url).unwrap().query_pairs().next().unwrap().1.into_owned();
    let confirm = token(&told.message.links[0].url);
    walk.anyone(
        "confirmStatusPageSubscription",
        &format!("POST {page}/confirm"),
        json!({ "token": confirm }),
    )
    .await;
    walk.server.advance(std::time::Duration::from_secs(1));
    let publication = json!({ "page": "main", "title": "Slow", "components": ["api"], "impact": "degraded" });
    let update =
        json!({ "publication": publication, "update": { "phase": "identified", "text": "the disk" } });
    walk.root("updateIncident", &format!("PATCH {one}"), update).await;
    let told = engine.tables().notifications(1).await.expect("a list").remove(0);
    let leave = token(&told.message.links[0].url);
    walk.anyone("leaveStatusPage", &format!("POST {page}/leave"), json!({ "token": leave })).await;
}

/// Actions that come with no request of their own, or need more than this server has.
const ELSEWHERE: [&str; 4] = ["token:refresh", "audit:overflow", "security:burst", "settings:manage"];

#[tokio::test(flavor = "multi_thread")]
async fn every_sensitive_action_leaves_a_row_that_says_who_did_it() {
    let mut walk = Walk::new().await;
    people(&mut walk).await;
    accounts(&mut walk).await;
    programs(&mut walk).await;
    tenants(&mut walk).await;
    data(&mut walk).await;
    more::checks(&mut walk).await;
    more::upstream(&mut walk).await;
    // Nothing is there to be restarted: the try is written down as well.
    let restart = "POST /api/v1/services/none/restart";
    assert_eq!(walk.root.ask(&walk.server, restart, "").await.status, 404);
    assert!(walk.server.app.audit().drain().iter().any(|row| row.action == "settings:manage"));
    walk.done.insert("restartService");

    for one in SENSITIVE {
        for operation in one.operations {
            assert!(walk.done.contains(operation), "{operation} of {} was not carried out", one.action);
        }
        let is_seen = walk.seen.contains(one.action) || ELSEWHERE.contains(&one.action);
        assert!(is_seen, "nothing left a row {}", one.action);
    }
}

/// What changes something other than telemetry.
fn changes(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods
            .filter(|(method, _)| *method != "get")
            .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_names_every_operation_that_changes_more_than_telemetry() {
    let walk = Walk::new().await;
    let document = walk.root.ask(&walk.server, "GET /api/v1/monitoring/openapi.json", "").await.json();
    let named: BTreeSet<&str> = SENSITIVE.iter().flat_map(|one| one.operations).copied().collect();
    let telemetry = [json!("telemetry:read"), json!("telemetry:write")];
    for (path, method, operation) in changes(&document) {
        let id = operation["operationId"].as_str().unwrap();
        // A heartbeat is a program's report about itself.
        let is_telemetry = telemetry.contains(&operation["x-permission"]) || path.contains("/heartbeat/");
        assert_eq!(named.contains(id), !is_telemetry, "{id}, {method} {path}");
    }
    let listed = walk.root.ask(&walk.server, "GET /api/v1/monitoring/audit/sensitive", "").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), SENSITIVE.len());
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for Sensitive { action, about, .. } in SENSITIVE {
        assert!(docs.contains(&format!("| `{action}` | {about} |")), "docs/security.md lacks {action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_takes_a_row_of_the_audit_log_away() {
    let walk = Walk::new().await;
    let (server, root) = (&walk.server, &walk.root);
    let document = root.ask(server, "GET /api/v1/monitoring/openapi.json", "").await.json();
    let of_audit = changes(&document).find(|(path, ..)| path.contains("/audit"));
    assert_eq!(of_audit, None, "the log is only read");

    let (end, stop) = kit::ShutdownTrigger::new();
    kit::spawn::spawn("audit", crate::audit::run(server.app.clone(), stop));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let rename = r#"{"name":"Acme"}"#;
    assert_eq!(root.ask(server, "PATCH /api/v1/tenants/current", rename).await.status, 200);
    let rows = async |query: &str| {
        server.app.audit().settled().await;
        let answer = root.ask(server, &format!("GET /api/v1/monitoring/audit?{query}"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"].as_array().unwrap().clone()
    };
    assert_eq!(rows("action=tenants:update").await.len(), 1);
    // What deletes, told to delete everything.
    let everything = json!({ "query": "*", "start": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z" });
    for line in [
        "POST /api/v1/monitoring/logs/delete",
        "POST /api/v1/monitoring/spans/delete",
        "POST /api/v1/monitoring/events/delete",
        "POST /api/v1/monitoring/audit/delete",
        "DELETE /api/v1/monitoring/audit",
        "POST /api/v1/admin/tsdb/delete_series?match[]=%7B__name__=~%22.%2B%22%7D",
        "POST /api/v1/admin/tsdb/clean_tombstones",
    ] {
        let answer = root.ask(server, line, everything.to_string()).await;
        assert!(answer.status.is_success() || [404, 405].contains(&answer.status.as_u16()), "{line}");
        assert_eq!(rows("action=tenants:update").await.len(), 1, "{line}");
    }
    for statement in ["DELETE FROM audit", "DROP TABLE audit", "TRUNCATE audit"] {
        let body = json!({ "query": statement }).to_string();
        assert!(root.ask(server, "POST /api/v1/sql", body).await.status.is_client_error(), "{statement}");
    }
    let verdict = root.ask(server, "GET /api/v1/monitoring/audit/verify", "").await.json();
    assert_eq!(verdict["ok"], true, "{verdict}");

    // The list of what is sensitive narrows the log: another tenant's name is in it, a look at a list is not.
    let foreign =
        root.ask_with(server, "GET /api/v1/tenants/current/roles", &[("x-tenant-id", "globex")], "").await;
    assert_eq!(foreign.status, 403);
    assert_eq!(root.ask(server, "GET /api/v1/tenants/current/roles", "").await.status, 200);
    let (all, sensitive) = (rows("limit=1000").await, rows("limit=1000&sensitive=true").await);
    assert!(sensitive.iter().any(|row| row["detail"]["named"] == "globex"), "{sensitive:#?}");
    assert!(sensitive.iter().any(|row| row["action"] == "tenants:update"));
    let is_look = |row: &Value| row["action"] == "members:read" && row["result"] == "ok";
    assert!(all.iter().any(is_look) && !sensitive.iter().any(is_look), "{all:#?}");
    end.request();
}
