//! Tenants and who may do what in them.

use control::{KeyGrant, KeyScopes, NewKey, Principal};
use model::TenantId;
use serde_json::{Value, json};

use super::people::{PASSWORD, Person, code, tenant};
use crate::testing::Server;

async fn server() -> Server {
    Server::new(false, &["server.external_url=https://bw.example"]).await
}

/// Statuses for viewer, responder, editor, admin and platform administrator, each in a tenant of their own.
#[tokio::test(flavor = "multi_thread")]
async fn roles_may_do_what_the_table_says() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let mut people = Vec::new();
    for role in ["viewer", "responder", "editor", "admin", "platform_admin"] {
        people.push(Person::new(&server, &acme, &format!("{role}@acme.example"), role).await);
    }
    let everyone = [200; 5];
    let admins = |status: u16| [403, 403, 403, status, status];
    let platform = |status: u16| [403, 403, 403, 403, status];
    let rows: [(&str, &str, [u16; 5]); 33] = [
        ("GET /api/v1/auth/session", "", everyone),
        ("GET /api/v1/tenants/current", "", everyone),
        ("GET /api/v1/tenants/acme", "", everyone),
        ("GET /api/v1/tenants/current/usage", "", everyone),
        ("GET /api/v1/tenants/current/members", "", everyone),
        ("GET /api/v1/tenants/current/invitations", "", everyone),
        ("GET /api/v1/tenants/current/roles", "", everyone),
        ("GET /api/v1/tenants/current/permissions", "", everyone),
        ("GET /api/v1/tenants/current/teams", "", everyone),
        ("GET /api/v1/tenants/current/projects", "", everyone),
        ("GET /api/v1/tenants/current/keys", "", admins(200)),
        ("GET /api/v1/tenants/current/service-accounts", "", admins(200)),
        ("GET /api/v1/tenants/current/sso", "", admins(200)),
        ("GET /api/v1/tenants", "", platform(200)),
        ("PATCH /api/v1/tenants/current", r#"{"name":"Acme"}"#, admins(200)),
        ("PATCH /api/v1/tenants/current", r#"{"settings":{"sso_only":"yes"}}"#, admins(400)),
        ("PUT /api/v1/tenants/acme/limits", r#"{"series":1000}"#, platform(200)),
        ("PUT /api/v1/tenants/acme/limits", r#"{"series":0}"#, platform(400)),
        ("POST /api/v1/tenants", r#"{"id":"x"}"#, platform(400)),
        ("POST /api/v1/tenants/nobody/suspend", "", platform(404)),
        ("POST /api/v1/tenants/current/members", r#"{"email":"x","name":"X","role":"viewer"}"#, admins(400)),
        ("POST /api/v1/tenants/current/invitations", r#"{"email":"x@y","role":"nothing"}"#, admins(400)),
        ("DELETE /api/v1/tenants/current/invitations/none", "", admins(404)),
        ("POST /api/v1/tenants/current/roles", r#"{"name":"R","permissions":[]}"#, admins(400)),
        ("PUT /api/v1/tenants/current/roles/viewer", r#"{"permissions":[]}"#, admins(400)),
        ("POST /api/v1/tenants/current/teams", r#"{"name":""}"#, admins(400)),
        ("POST /api/v1/tenants/current/projects", r#"{"name":""}"#, admins(400)),
        ("POST /api/v1/tenants/current/keys", r#"{"name":"k","scopes":[]}"#, admins(400)),
        ("DELETE /api/v1/tenants/current/keys/none", "", admins(404)),
        ("POST /api/v1/tenants/current/service-accounts", r#"{"name":"s","role":"nothing"}"#, admins(400)),
        ("DELETE /api/v1/tenants/current/sso/none", "", admins(404)),
        ("POST /api/v1/tenants/current/export", "", admins(200)),
        ("GET /api/v1/tenants/default", "", [404, 404, 404, 404, 200]),
    ];
    for (line, body, want) in rows {
        for (person, want) in people.iter().zip(want) {
            let answer = person.ask(&server, line, body).await;
            assert_eq!(answer.status, want, "{line} by {}: {}", person.id, answer.text());
        }
    }
}

/// Every route with the id of another tenant in its path, by that other's neighbour.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_tenant_does_not_exist() {
    let server = server().await;
    let (acme, globex) = (tenant(&server, "acme").await, tenant(&server, "globex").await);
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let theirs = Person::new(&server, &globex, "admin@globex.example", "admin").await;
    let user = &theirs.id;
    let body = json!({ "name": "x", "email": "x@y.example", "role": "viewer", "permissions": [],
        "scopes": ["query"], "kind": "oidc", "config": {} });
    // Unknown fields would be refused first, so each route gets what it knows.
    let only = |names: &[&str]| -> String {
        let of = |name: &&str| ((*name).to_owned(), body[*name].clone());
        Value::Object(names.iter().map(of).collect()).to_string()
    };
    for (line, body) in [
        ("GET ".to_owned(), String::new()),
        ("PATCH ".to_owned(), only(&["name"])),
        ("GET /usage".to_owned(), String::new()),
        ("POST /export".to_owned(), String::new()),
        ("GET /members".to_owned(), String::new()),
        ("POST /members".to_owned(), only(&["email", "name", "role"])),
        (format!("PATCH /members/{user}"), only(&["role"])),
        (format!("DELETE /members/{user}"), String::new()),
        (format!("POST /members/{user}/sign-in-link"), String::new()),
        (format!("POST /members/{user}/reset-second-factor"), String::new()),
        (format!("DELETE /members/{user}/sessions"), String::new()),
        ("GET /invitations".to_owned(), String::new()),
        ("POST /invitations".to_owned(), only(&["email", "role"])),
        ("DELETE /invitations/i".to_owned(), String::new()),
        ("GET /permissions".to_owned(), String::new()),
        ("GET /roles".to_owned(), String::new()),
        ("POST /roles".to_owned(), only(&["name", "permissions"])),
        ("PUT /roles/x".to_owned(), only(&["permissions"])),
        ("DELETE /roles/x".to_owned(), String::new()),
        ("GET /teams".to_owned(), String::new()),
        ("POST /teams".to_owned(), only(&["name"])),
        ("PATCH /teams/t".to_owned(), only(&["name"])),
        ("DELETE /teams/t".to_owned(), String::new()),
        ("GET /teams/t/members".to_owned(), String::new()),
        (format!("PUT /teams/t/members/{user}"), String::new()),
        (format!("DELETE /teams/t/members/{user}"), String::new()),
        ("GET /projects".to_owned(), String::new()),
        ("POST /projects".to_owned(), only(&["name"])),
        ("PATCH /projects/p".to_owned(), only(&["name"])),
        ("DELETE /projects/p".to_owned(), String::new()),
        ("GET /keys".to_owned(), String::new()),
        ("POST /keys".to_owned(), only(&["name", "scopes"])),
        ("PATCH /keys/k".to_owned(), only(&["name"])),
        ("DELETE /keys/k".to_owned(), String::new()),
        ("POST /keys/k/rotate".to_owned(), "{}".to_owned()),
        ("GET /service-accounts".to_owned(), String::new()),
        ("POST /service-accounts".to_owned(), only(&["name", "role"])),
        ("PATCH /service-accounts/s".to_owned(), only(&["name"])),
        ("DELETE /service-accounts/s".to_owned(), String::new()),
        ("GET /sso".to_owned(), String::new()),
        ("POST /sso".to_owned(), only(&["name", "kind", "config"])),
        ("PUT /sso/p".to_owned(), only(&["name", "kind", "config"])),
        ("DELETE /sso/p".to_owned(), String::new()),
        ("POST /sso/p/test".to_owned(), String::new()),
    ] {
        let (method, rest) = line.split_once(' ').unwrap();
        for named in ["globex", "no-such-tenant", "No%20Tenant"] {
            let line = format!("{method} /api/v1/tenants/{named}{rest}");
            let answer = admin.ask(&server, &line, body.clone()).await;
            assert_eq!(answer.status, 404, "{line}: {}", answer.text());
            assert!(!answer.text().contains("globex.example"), "{line}");
        }
    }
    // Ids of others under one's own tenant lead nowhere, either.
    for (line, body) in [
        (format!("PATCH /members/{user}"), only(&["role"])),
        (format!("POST /members/{user}/sign-in-link"), String::new()),
        (format!("DELETE /members/{user}"), String::new()),
        (format!("DELETE /members/{user}/sessions"), String::new()),
    ] {
        let (method, rest) = line.split_once(' ').unwrap();
        let answer = admin.ask(&server, &format!("{method} /api/v1/tenants/current{rest}"), body).await;
        assert_eq!(answer.status, 404, "{line}: {}", answer.text());
    }
    assert_eq!(
        theirs.ask(&server, "GET /api/v1/auth/session", "").await.status,
        200,
        "nothing happened to them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_hosts_may_only_agree_with_the_credential() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    tenant(&server, "globex").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    for (header, value, want) in [
        ("x-tenant-id", "acme", 200),
        ("x-scope-orgid", "acme", 200),
        ("host", "acme.bw.example", 200),
        ("host", "bw.example", 200),
        ("x-tenant-id", "globex", 403),
        ("x-scope-orgid", "acme|globex", 403),
        ("host", "globex.bw.example", 403),
    ] {
        let answer =
            admin.ask_with(&server, "GET /api/v1/tenants/current/members", &[(header, value)], "").await;
        assert_eq!(answer.status, want, "{header}: {value}");
    }
}

async fn key_of(server: &Server, tenant: &TenantId) -> String {
    let new = NewKey { name: "k", grant: KeyGrant::Scopes(KeyScopes::ALL), expires_at: None };
    let control = server.app.control().unwrap();
    format!("Bearer {}", control.create_key(tenant, &Principal::system(), new).await.unwrap().1.expose())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_is_refused_until_it_is_activated() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let operator = Person::new(&server, &TenantId::default_tenant(), "op@x.example", "platform_admin").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let key = key_of(&server, &acme).await;
    let sign_in = json!({ "email": "admin@acme.example", "password": PASSWORD }).to_string();
    for (step, want) in [("suspend", 403), ("activate", 200)] {
        let done = operator.ask(&server, &format!("POST /api/v1/tenants/acme/{step}"), "").await;
        assert_eq!(done.status, 200, "{}", done.text());
        let by_session = admin.ask(&server, "GET /api/v1/tenants/current", "").await;
        let by_key = server.ask("GET /api/v1/query?query=1", &[("authorization", &key)], "").await;
        let again = server.ask("POST /api/v1/auth/sign-in", &[], sign_in.clone()).await;
        assert_eq!([by_session.status, by_key.status, again.status].map(|s| s.as_u16()), [want; 3], "{step}");
    }
    let builtin = operator.ask(&server, "POST /api/v1/tenants/default/suspend", "").await;
    assert_eq!(builtin.status, 400, "it always exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_created_ready_to_be_used_and_deleted_at_once() {
    let server = server().await;
    let operator = Person::new(&server, &TenantId::default_tenant(), "op@x.example", "platform_admin").await;
    let new = json!({
        "id": "acme", "name": "Acme", "limits": { "series": 1000 },
        "admin": { "email": "ada@acme.example", "name": "Ada" },
    });
    let made = operator.ask(&server, "POST /api/v1/tenants", new.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let steps: Vec<&str> =
        made["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        ["create_schema", "apply_migrations", "configure_settings", "create_admin", "default_dashboards"]
    );
    assert_eq!(made["tenant"]["limits"], json!({ "series": 1000 }));
    let link = made["sign_in_link"].as_str().unwrap();
    let token = link.strip_prefix("https://bw.example/signin?token=").unwrap();
    let body = json!({ "token": token }).to_string();
    let ada = Person::signed_in("", &server.ask("POST /api/v1/auth/link", &[], body).await);
    let session = ada.ask(&server, "GET /api/v1/auth/session", "").await.json();
    assert_eq!((&session["tenant"]["id"], &session["user"]["role"]), (&json!("acme"), &json!("admin")));
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let by_key =
        async || server.ask("GET /api/v1/query?query=1", &[("authorization", &key)], "").await.status;
    assert_eq!(by_key().await, 200);
    assert_eq!(operator.ask(&server, "POST /api/v1/tenants", new.to_string()).await.status, 409);
    for (change, field) in [
        (json!({ "id": "A b" }), "id"),
        (json!({ "limits": { "requests": 0 } }), "limits.requests"),
        (json!({ "owner": "x" }), "owner"),
    ] {
        let mut wrong = new.clone();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = operator.ask(&server, "POST /api/v1/tenants", wrong.to_string()).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    let listed = operator.ask(&server, "GET /api/v1/tenants?limit=1", "").await.json();
    assert_eq!((&listed["items"][0]["id"], &listed["next"]), (&json!("acme"), &json!("acme")));

    let deleted = operator.ask(&server, "DELETE /api/v1/tenants/acme", "").await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()), (202, &json!({ "state": "deleting" })));
    assert_eq!(by_key().await, 403, "nobody of it is answered");
    assert_eq!(ada.ask(&server, "GET /api/v1/auth/session", "").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_more_than_they_have() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let boss = Person::new(&server, &acme, "boss@acme.example", "platform_admin").await;
    let boss = &boss.id;
    let peer = Person::new(&server, &acme, "peer@acme.example", "admin").await;
    for (line, body, want) in [
        ("POST /invitations".to_owned(), r#"{"email":"x@y.example","role":"platform_admin"}"#, 403),
        ("POST /service-accounts".to_owned(), r#"{"name":"s","role":"platform_admin"}"#, 403),
        ("POST /roles".to_owned(), r#"{"name":"god","permissions":["platform:manage"]}"#, 400),
        ("POST /roles".to_owned(), r#"{"name":"r","permissions":["telemetry:read"],"selector":"{"}"#, 400),
        ("POST /roles".to_owned(), r#"{"name":"r","permissions":["telemetry:eat"]}"#, 400),
        ("POST /roles".to_owned(), r#"{"name":"r","permissions":["telemetry:read"],"selector":"{}"}"#, 400),
        ("POST /roles".to_owned(), r#"{"name":"r","permissions":["telemetry:read"]}"#, 201),
        ("DELETE /roles/r".to_owned(), "", 204),
        (format!("POST /members/{boss}/sign-in-link"), "", 403),
        (format!("DELETE /members/{boss}/sessions"), "", 403),
        (format!("POST /members/{boss}/reset-second-factor"), "", 403),
        (format!("PATCH /members/{boss}"), r#"{"role":"viewer"}"#, 403),
        (format!("PATCH /members/{boss}"), r#"{"state":"asleep"}"#, 400),
        (format!("DELETE /members/{boss}"), "", 403),
        (format!("POST /members/{}/sign-in-link", admin.id), "", 403),
        (format!("POST /members/{}/reset-second-factor", admin.id), "", 403),
        (format!("POST /members/{}/sign-in-link", peer.id), "", 201),
        (format!("POST /members/{}/reset-second-factor", peer.id), "", 204),
    ] {
        let (method, rest) = line.split_once(' ').unwrap();
        let answer = admin.ask(&server, &format!("{method} /api/v1/tenants/current{rest}"), body).await;
        assert_eq!(answer.status, want, "{line} {body}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_once_rotated_with_an_overlap_and_revoked() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let keys = "/api/v1/tenants/current/keys";
    let made = admin.ask(&server, &format!("POST {keys}"), r#"{"name":"agents","scopes":["ingest"]}"#).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let (id, first) = (made.json()["id"].as_str().unwrap().to_owned(), made.json()["key"].clone());
    let listed = admin.ask(&server, &format!("GET {keys}"), "").await;
    assert!(!listed.text().contains(first.as_str().unwrap()), "a key is shown once");
    let status = async |key: &Value, line: &str| {
        let bearer = format!("Bearer {}", key.as_str().unwrap());
        server.ask(line, &[("authorization", &bearer)], "[]").await.status.as_u16()
    };
    assert_eq!(status(&first, "POST /api/metrics").await, 200);
    assert_eq!(status(&first, "GET /api/v1/query?query=1").await, 403, "it may only send");
    let rotate = format!("POST {keys}/{id}/rotate");
    let rotated = admin.ask(&server, &rotate, r#"{"overlap_seconds":3600}"#).await;
    let second = rotated.json()["key"].clone();
    assert_eq!(status(&first, "POST /api/metrics").await, 200, "during the overlap");
    assert_eq!(status(&second, "POST /api/metrics").await, 200);
    let third = admin.ask(&server, &rotate, "{}").await.json()["key"].clone();
    assert_eq!(status(&second, "POST /api/metrics").await, 401, "without an overlap");
    assert_eq!(admin.ask(&server, &format!("DELETE {keys}/{id}"), "").await.status, 204);
    assert_eq!(status(&third, "POST /api/metrics").await, 401);

    let account = r#"{"name":"ci","role":"viewer"}"#;
    let account = admin.ask(&server, "POST /api/v1/tenants/current/service-accounts", account).await.json();
    let body = json!({ "name": "ci", "service_account": account["id"] }).to_string();
    let key = admin.ask(&server, &format!("POST {keys}"), body).await.json()["key"].clone();
    assert_eq!(status(&key, "GET /api/v1/query?query=1").await, 200);
    assert_eq!(status(&key, "POST /api/metrics").await, 403, "its account only sees");
    for body in [
        json!({ "name": "x", "scopes": ["query"], "service_account": account["id"] }),
        json!({ "name": "x" }),
        json!({ "name": "x", "scopes": ["everything"] }),
        json!({ "name": "x", "scopes": ["query"], "expires_at": "yesterday" }),
        json!({ "name": "x", "scopes": ["query"], "expires_at": "2001-01-01T00:00:00Z" }),
    ] {
        let answer = admin.ask(&server, &format!("POST {keys}"), body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_teams_and_projects_are_kept() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let eve = Person::new(&server, &acme, "eve@acme.example", "viewer").await;
    let ask = async |line: &str, body: &str| {
        let (method, rest) = line.split_once(' ').unwrap();
        admin.ask(&server, &format!("{method} /api/v1/tenants/current{rest}"), body.to_owned()).await
    };
    let team = ask("POST /teams", r#"{"name":"Web"}"#).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(ask("POST /teams", r#"{"name":"Web"}"#).await.status, 409);
    assert_eq!(ask(&format!("PUT /teams/{team}/members/{}", eve.id), "").await.status, 204);
    let body = json!({ "name": "Shop", "team": team }).to_string();
    let project = ask("POST /projects", &body).await.json();
    assert_eq!(project["team"], team.as_str());
    let at = format!("/projects/{}", project["id"].as_str().unwrap());
    let changed = ask(&format!("PATCH {at}"), r#"{"description":"Sells"}"#).await.json();
    assert_eq!((&changed["name"], &changed["team"]), (&json!("Shop"), &project["team"]));
    assert_eq!(ask(&format!("PATCH {at}"), r#"{"team":null}"#).await.json()["team"], Value::Null);

    let members = ask("GET /members", "").await.json();
    let of_eve = members["items"].as_array().unwrap().iter().find(|m| m["id"] == eve.id.as_str()).unwrap();
    assert_eq!((&of_eve["teams"], &of_eve["second_factor"]), (&json!(["Web"]), &json!(false)));
    let first = ask("GET /members?limit=1", "").await.json();
    let next = first["next"].as_str().unwrap();
    let second = ask(&format!("GET /members?limit=1&after={next}"), "").await.json();
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);

    let promoted = ask(&format!("PATCH /members/{}", eve.id), r#"{"role":"editor","name":"Eve"}"#).await;
    assert_eq!((&promoted.json()["role"], &promoted.json()["name"]), (&json!("editor"), &json!("Eve")));
    assert_eq!(
        eve.ask(&server, "GET /api/v1/auth/session", "").await.status,
        401,
        "another role, a new session"
    );
    assert_eq!(ask(&format!("DELETE /members/{}", eve.id), "").await.status, 204);
    assert_eq!(ask(&format!("DELETE /members/{}", eve.id), "").await.status, 404);

    let first = ask("GET /members", "").await.json();
    let first = first["items"].as_array().unwrap().iter().find(|m| m["email"] == "first@acme.example");
    let first = first.unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&format!("DELETE /members/{first}"), "").await.status, 204);
    let last = ask(&format!("PATCH /members/{}", admin.id), r#"{"state":"disabled"}"#).await;
    assert_eq!(
        (last.status.as_u16(), code(&last).as_str()),
        (409, "CONFLICT"),
        "the last administrator stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_what_there_is_and_no_secret() {
    let server = server().await;
    let acme = tenant(&server, "acme").await;
    let admin = Person::new(&server, &acme, "admin@acme.example", "admin").await;
    let key = key_of(&server, &acme).await;
    let spec = r#"{"title":"Hosts","source":{"password":"planted-secret"}}"#;
    assert_eq!(admin.ask(&server, "PUT /api/v1/monitoring/objects/dashboard/hosts", spec).await.status, 200);
    let export = admin.ask(&server, "POST /api/v1/tenants/current/export", "").await;
    assert_eq!((export.status.as_u16(), export.header("content-type")), (200, "application/x-tar"));
    assert_eq!(export.body.len() % 512, 0);
    let text = export.text();
    for part in [
        "tenant.json",
        "objects/dashboard/00001-hosts.yaml",
        "title: Hosts",
        "admin@acme.example",
        "keys.jsonl",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains(key.strip_prefix("Bearer ").unwrap()), "keys are not in it");
    assert!(!text.contains("planted-secret"), "nor what saved objects keep secret");

    let usage = admin.ask(&server, "GET /api/v1/tenants/current/usage", "").await.json();
    for path in [
        "/use/requests_per_second",
        "/use/series",
        "/use/stored_bytes/logs",
        "/refused/requests",
        "/top/keys",
    ] {
        assert!(usage.pointer(path).is_some(), "{path} of {usage}");
    }
}
