//! Signing in by every way, tokens, one's own account.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use model::TenantId;
use serde_json::{Value, json};

use super::people::{PASSWORD, Person, code, tenant};
use crate::testing::{Answer, Server, request};

const SIGN_IN: &str = "POST /api/v1/auth/sign-in";
const TOKEN: &str = "POST /api/v1/auth/token";

async fn server() -> Server {
    Server::new(false, &["server.external_url=https://bw.example"]).await
}

fn default() -> TenantId {
    TenantId::default_tenant()
}

fn credentials(email: &str, password: &str) -> String {
    json!({ "email": email, "password": password }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_signs_in_and_refusals_tell_nothing() {
    let server = server().await;
    tenant(&server, "acme").await;
    Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let with = |more: Value| {
        let mut body = json!({ "email": "ada@a.example", "password": PASSWORD });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    for (body, headers, status, want) in [
        (with(json!({})), vec![], 200, ""),
        (with(json!({"email": " ADA@a.example "})), vec![], 200, ""),
        (with(json!({"tenant": "default", "code": ""})), vec![], 200, ""),
        (with(json!({"password": "another sentence"})), vec![], 401, "INVALID_CREDENTIALS"),
        (with(json!({"email": "bob@a.example"})), vec![], 401, "INVALID_CREDENTIALS"),
        (with(json!({"tenant": "acme"})), vec![], 401, "INVALID_CREDENTIALS"),
        (with(json!({"tenant": "nobody"})), vec![], 401, "INVALID_CREDENTIALS"),
        (with(json!({"tenant": "No Tenant"})), vec![], 400, "VALIDATION_ERROR"),
        (with(json!({"remember": true})), vec![], 400, "VALIDATION_ERROR"),
        (with(json!({})), vec![("host", "acme.bw.example")], 401, "INVALID_CREDENTIALS"),
        (with(json!({})), vec![("host", "default.bw.example")], 200, ""),
        (with(json!({"tenant": "default"})), vec![("host", "acme.bw.example")], 403, "FORBIDDEN"),
        (with(json!({})), vec![("origin", "https://evil.example")], 403, "FORBIDDEN"),
    ] {
        let answer = server.ask(SIGN_IN, &headers, body.clone()).await;
        assert_eq!(answer.status, status, "{body} {headers:?}: {}", answer.text());
        if status == 200 {
            let cookie = answer.header("set-cookie");
            assert!(cookie.contains("; HttpOnly; SameSite=Lax; Max-Age=") && cookie.ends_with("; Secure"));
        } else {
            assert_eq!(code(&answer), want, "{body}");
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_says_for_how_long() {
    let server = server().await;
    Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let mut refusals = 0;
    let last = loop {
        let answer = server.ask(SIGN_IN, &[], credentials("ada@a.example", "not her password")).await;
        if answer.status == 429 {
            break answer;
        }
        refusals += 1;
        assert!(answer.status == 401 && refusals < 10, "{}", answer.text());
    };
    assert_eq!((last.status.as_u16(), code(&last).as_str()), (429, "RATE_LIMITED"));
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    let right = server.ask(SIGN_IN, &[], credentials("ada@a.example", PASSWORD)).await;
    assert_eq!(right.status, 429, "the right password has to wait, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_accepted_once() {
    let server = server().await;
    let admin = Person::new(&server, &default(), "admin@a.example", "admin").await;
    let body = json!({ "email": "new@a.example", "role": "editor" }).to_string();
    let invited = admin.ask(&server, "POST /api/v1/tenants/current/invitations", body).await;
    assert_eq!(invited.status, 201, "{}", invited.text());
    let url = invited.json()["url"].as_str().unwrap().to_owned();
    let token = url.strip_prefix("https://bw.example/invite/").unwrap();
    let at = format!("/api/v1/auth/invitations/{token}");
    let shown = server.ask(&format!("GET {at}"), &[], "").await.json();
    assert_eq!(shown["tenant"]["id"], "default");
    assert_eq!((&shown["email"], &shown["role"]), (&json!("new@a.example"), &json!("editor")));

    let accept = |password: &str| json!({ "name": "New", "password": password }).to_string();
    let weak = server.ask(&format!("POST {at}"), &[], accept("short")).await;
    assert_eq!((weak.status.as_u16(), weak.json()["error"]["field"].as_str()), (400, Some("password")));
    let accepted = server.ask(&format!("POST {at}"), &[], accept(PASSWORD)).await;
    let person = Person::signed_in("", &accepted);
    let session = person.ask(&server, "GET /api/v1/auth/session", "").await.json();
    assert_eq!((&session["user"]["role"], &session["method"]), (&json!("editor"), &json!("invitation")));
    for line in [format!("GET {at}"), format!("POST {at}")] {
        let again = server.ask(&line, &[], accept(PASSWORD)).await;
        assert_eq!((again.status.as_u16(), code(&again).as_str()), (404, "NOT_FOUND"), "{line}");
    }
}

async fn pair(server: &Server, body: Value) -> Answer {
    server.ask(TOKEN, &[("content-type", "application/json")], body.to_string()).await
}

async fn by_access(server: &Server, answer: &Value) -> u16 {
    let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    server.ask("GET /api/v1/auth/session", &[("authorization", &bearer)], "").await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_shown_twice_ends_its_family() {
    let server = server().await;
    Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let password = json!({ "grant_type": "password", "email": "ada@a.example", "password": PASSWORD });
    let answer = pair(&server, password).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    let first = answer.json();
    assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(first["scope"], "telemetry:read objects:read members:read settings:read");
    assert_eq!(by_access(&server, &first).await, 200);

    let refresh =
        |from: &Value| json!({ "grant_type": "refresh_token", "refresh_token": from["refresh_token"] });
    let second = pair(&server, refresh(&first)).await;
    assert_eq!(second.status, 200);
    let second = second.json();
    assert_eq!(by_access(&server, &second).await, 200);
    assert_eq!(pair(&server, refresh(&first)).await.status, 401, "it was used");
    assert_eq!(pair(&server, refresh(&second)).await.status, 401, "its family has ended");
    assert_eq!(by_access(&server, &second).await, 401, "access tokens, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_issued_to_sessions_and_forms_and_revoked() {
    let server = server().await;
    let ada = Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let session = r#"{"grant_type":"session"}"#;
    assert_eq!(server.ask(TOKEN, &[], session).await.status, 401, "without a session");
    let of_session = ada.ask(&server, TOKEN, session).await;
    assert_eq!(of_session.status, 200, "{}", of_session.text());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let refresh = of_session.json()["refresh_token"].as_str().unwrap().to_owned();
    let body = format!("grant_type=refresh_token&refresh_token={refresh}");
    let next = server.ask(TOKEN, &form, body).await;
    assert_eq!(next.status, 200, "{}", next.text());
    let next = next.json();

    let families = ada.ask(&server, "GET /api/v1/auth/tokens", "").await.json();
    assert_eq!(families["items"].as_array().unwrap().len(), 1);
    for token in [next["access_token"].as_str().unwrap(), "nonsense"] {
        let body = json!({ "token": token }).to_string();
        assert_eq!(server.ask("POST /api/v1/auth/token/revoke", &[], body).await.status, 204);
    }
    assert_eq!(by_access(&server, &next).await, 401);
    let body = format!("token={}&token_type_hint=refresh_token", next["refresh_token"].as_str().unwrap());
    assert_eq!(server.ask("POST /api/v1/auth/token/revoke", &form, body).await.status, 204);
    let families = ada.ask(&server, "GET /api/v1/auth/tokens", "").await.json();
    assert_eq!(families["items"], json!([]));

    let keys = server.ask("GET /.well-known/jwks.json", &[], "").await.json();
    assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["alg"]), (&json!("RSA"), &json!("RS256")));
    assert_eq!(server.ask("GET /api/v1/auth/jwks", &[], "").await.json(), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_belongs_to_its_person() {
    let server = server().await;
    let ada = Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let again = server.ask(SIGN_IN, &[], credentials("ada@a.example", PASSWORD)).await;
    let other = Person::signed_in(&ada.id, &again);

    let session = ada.ask(&server, "GET /api/v1/auth/session", "").await.json();
    assert_eq!(session["user"]["id"], ada.id.as_str());
    assert_eq!((&session["method"], &session["second_factor"]), (&json!("link"), &json!(false)));
    let renamed = ada.ask(&server, "PUT /api/v1/auth/profile", r#"{"name":"Ada L."}"#).await;
    assert_eq!(renamed.json()["name"], "Ada L.");

    let sessions = ada.ask(&server, "GET /api/v1/auth/sessions", "").await.json();
    let items = sessions["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
    assert_eq!(ada.ask(&server, "DELETE /api/v1/auth/sessions/nothing", "").await.status, 404);
    assert_eq!(ada.ask(&server, "DELETE /api/v1/auth/sessions", "").await.status, 204);
    assert_eq!(other.ask(&server, "GET /api/v1/auth/session", "").await.status, 401, "ended by the first");

    let change = |current: &str, new: &str| json!({ "current": current, "new": new }).to_string();
    let wrong = ada.ask(&server, "POST /api/v1/auth/password", change("not hers", "a much better one")).await;
    assert_eq!((wrong.status.as_u16(), code(&wrong).as_str()), (401, "INVALID_CREDENTIALS"));
    let right = ada.ask(&server, "POST /api/v1/auth/password", change(PASSWORD, "a much better one")).await;
    assert_eq!(right.status, 204, "{}", right.text());
    assert_eq!(
        ada.ask(&server, "GET /api/v1/auth/session", "").await.status,
        200,
        "the session that asks stays"
    );

    let enrolment = ada.ask(&server, "POST /api/v1/auth/second-factor", "{}").await.json();
    assert!(enrolment["otpauth_url"].as_str().unwrap().starts_with("otpauth://totp/"), "{enrolment}");
    let confirm = ada.ask(&server, "POST /api/v1/auth/second-factor/confirm", r#"{"code":"000"}"#).await;
    assert_eq!(code(&confirm), "INVALID_CREDENTIALS");

    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    for (line, want) in [
        ("GET /api/v1/auth/session", 200),
        ("GET /api/v1/auth/sessions", 403),
        ("PUT /api/v1/auth/profile", 403),
        ("POST /api/v1/auth/second-factor", 403),
    ] {
        let answer = server.ask(line, &[("authorization", &key)], r#"{"name":"K"}"#).await;
        assert_eq!(answer.status, want, "{line} by a key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anyone_may_ask_tells_nothing_and_is_bounded() {
    let server = server().await;
    Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let methods =
        async |query: &str| server.ask(&format!("GET /api/v1/auth/methods{query}"), &[], "").await.json();
    let all = methods("").await;
    assert_eq!(all, json!({ "password": true, "providers": [] }));
    for query in ["?email=ada@a.example", "?email=bob@a.example", "?tenant=nobody", "?tenant=default"] {
        assert_eq!(methods(query).await, all, "{query}");
    }
    let forgot = async |email: &str| {
        let body = json!({ "email": email }).to_string();
        server.ask("POST /api/v1/auth/password/forgot", &[], body).await
    };
    for email in ["ada@a.example", "bob@a.example", "x"] {
        let answer = forgot(email).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, ""), "{email}");
    }
    let mut last = forgot("ada@a.example").await;
    for _ in 0..10 {
        last = forgot("ada@a.example").await;
    }
    assert_eq!((last.status.as_u16(), code(&last).as_str()), (429, "RATE_LIMITED"));
    assert!(last.header("retry-after").parse::<u64>().is_ok());
    let reset =
        server.ask("POST /api/v1/auth/password/reset", &[], r#"{"token":"bwp_x","password":"y"}"#).await;
    assert!(reset.status == 404 || reset.status == 429, "{}", reset.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_through_a_provider_begins_and_ends_here() {
    let server = server().await;
    let admin = Person::new(&server, &default(), "admin@a.example", "admin").await;
    let body = json!({
        "name": "Our directory", "kind": "oidc", "default_role": "viewer", "domains": ["a.example"],
        // Nothing listens there, and nobody but the operator's tenants would get that far.
        "config": { "issuer": "http://127.0.0.1:1", "client_id": "c", "client_secret": "planted-secret" },
    });
    let made = admin.ask(&server, "POST /api/v1/tenants/current/sso", body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(!made.text().contains("planted-secret") && made.json()["config"]["client_secret_set"] == true);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let offered = server.ask("GET /api/v1/auth/methods?email=x@a.example", &[], "").await.json();
    let url = offered["providers"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(url, format!("/api/v1/auth/sso/default/{id}"));
    let others = server.ask("GET /api/v1/auth/methods?email=x@b.example", &[], "").await.json();
    assert_eq!(others["providers"], json!([]), "not for addresses of other domains");

    for (line, status, location) in [
        (format!("GET {url}"), 302, "/sign-in?error=unreachable"),
        ("GET /api/v1/auth/sso/default/Our%20directory".to_owned(), 302, "/sign-in?error=unreachable"),
        (format!("GET /api/v1/auth/sso/nobody/{id}"), 302, "/sign-in?error=unknown_provider"),
        ("GET /api/v1/auth/sso/default/nothing".to_owned(), 404, ""),
        (format!("GET /api/v1/auth/sso/{id}/callback?state=x&code=y"), 302, "/sign-in?error=state"),
        (format!("POST /api/v1/auth/sso/{id}/acs"), 302, "/sign-in?error=state"),
        (format!("GET /api/v1/auth/sso/{id}/metadata"), 200, ""),
        ("GET /api/v1/auth/sso/sso_%22%3E/metadata".to_owned(), 404, ""),
    ] {
        let answer = server.ask(&line, &[], "SAMLResponse=x&RelayState=y").await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (status, location), "{line}");
    }
    // Providers send people back to our own address, and the cookie must be known there.
    let at_tenant = [("host", "default.bw.example")];
    let answer = server.ask(&format!("GET {url}?return_to=/logs"), &at_tenant, "").await;
    let ours = format!("https://bw.example{url}?return_to=/logs");
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, ours.as_str()));
    assert_eq!(answer.header("set-cookie"), "");
    let test = admin.ask(&server, &format!("POST /api/v1/tenants/current/sso/{id}/test"), "").await.json();
    assert_eq!(test["ok"], false);
    assert_eq!(admin.ask(&server, &format!("DELETE /api/v1/tenants/current/sso/{id}"), "").await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_limited_each_and_a_person_and_can_be_ended_all_the_same() {
    let server = server().await;
    let ada = Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let mut last = ada.ask(&server, TOKEN, r#"{"grant_type":"session"}"#).await;
    let bearer = format!("Bearer {}", last.json()["access_token"].as_str().unwrap());
    for (line, want) in [
        ("GET /api/v1/query?query=1", 200),
        ("GET /api/v1/auth/session", 200),
        ("PUT /api/v1/monitoring/objects/dashboard/d", 403),
        ("POST /api/metrics", 403),
        ("GET /api/v1/monitoring/audit", 403),
        ("POST /api/v1/tenants/current/keys", 403),
    ] {
        let answer = server.ask(line, &[("authorization", &bearer)], "{}").await;
        assert_eq!(answer.status, want, "{line} by a viewer's token: {}", answer.text());
    }
    let pair = loop {
        let pair = last.json();
        let body = json!({ "grant_type": "refresh_token", "refresh_token": pair["refresh_token"] });
        last = server.ask(TOKEN, &[], body.to_string()).await;
        if last.status != 200 {
            break pair;
        }
    };
    assert_eq!((last.status.as_u16(), code(&last).as_str()), (429, "RATE_LIMITED"));
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(by_access(&server, &pair).await, 200);
    let body = json!({ "token": pair["refresh_token"] }).to_string();
    assert_eq!(server.ask("POST /api/v1/auth/token/revoke", &[], body).await.status, 204);
    assert_eq!(by_access(&server, &pair).await, 401, "204 says that it has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_everybody_has_an_address_of_their_own() {
    let flags = ["server.external_url=https://bw.example", "server.trusted_proxies=10.0.0.0/8"];
    let server = Server::new(false, &flags).await;
    let ada = Person::new(&server, &default(), "ada@a.example", "viewer").await;
    let from = async |peer: &str, forwarded: &str, password: &str| {
        let peer: SocketAddr = format!("{peer}:1234").parse().unwrap();
        let mut asked =
            request(SIGN_IN, &[("x-forwarded-for", forwarded)], credentials("ada@a.example", password));
        asked.extensions_mut().insert(ConnectInfo(peer));
        server.send(asked).await.status.as_u16()
    };
    assert_eq!(from("10.0.0.1", "203.0.113.1, 198.51.100.7", PASSWORD).await, 200);
    assert_eq!(from("192.0.2.1", "198.51.100.8", PASSWORD).await, 200);
    let sessions = ada.ask(&server, "GET /api/v1/auth/sessions", "").await.json();
    let addresses: Vec<&str> =
        sessions["items"].as_array().unwrap().iter().map(|item| item["address"].as_str().unwrap()).collect();
    for (address, want) in
        [("198.51.100.7", true), ("192.0.2.1", true), ("198.51.100.8", false), ("10.0.0.1", false)]
    {
        assert_eq!(addresses.contains(&address), want, "{address} of {addresses:?}");
    }
    while from("10.0.0.1", "198.51.100.9", "not her password").await == 401 {}
    assert_eq!(from("10.0.0.1", "198.51.100.9", PASSWORD).await, 429);
    assert_eq!(from("10.0.0.1", "198.51.100.7", PASSWORD).await, 200, "somebody else's guesses");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_that_no_database_stores_is_refused() {
    let server = server().await;
    let ada = Person::new(&server, &default(), "ada@a.example", "admin").await;
    for (line, body) in [
        ("PUT /api/v1/auth/profile", r#"{"name":"A\u0000"}"#),
        ("POST /api/v1/tenants/current/teams", r#"{"name":"\u0000"}"#),
        (SIGN_IN, r#"{"email":"a\u0000@b.c","password":"x"}"#),
    ] {
        let answer = ada.ask(&server, line, body).await;
        assert_eq!(answer.status, 400, "{line}: {}", answer.text());
        assert!(answer.text().contains("U+0000"), "{}", answer.text());
    }
}
