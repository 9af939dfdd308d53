//! What browsers are told, and what pages of other sites may do.

use axum::body::Body;

use super::people::{PASSWORD, Person, code};
use crate::headers::OF_PAGES;
use crate::listen::OverTls;
use crate::testing::{Server, request};

const SITE: &str = "https://shop.example";

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_what_browsers_must_know() {
    let server = Server::new(false, &[]).await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Admin]).await);
    for (line, authorization) in [
        ("GET /healthz", ""),
        ("GET /api/v1/query?query=1", ""),
        ("GET /api/v1/query?query=1", &key),
        ("GET /metrics", &key),
        ("GET /api/v1/auth/session", &key),
        ("GET /api/v1/tenants/current", &key),
        ("POST /v1/traces", &key),
        ("GET /nothing", ""),
        ("POST /healthz", ""),
    ] {
        let answer = server.ask(line, &[("authorization", authorization)], "").await;
        for (name, want) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("strict-transport-security", ""),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(answer.header(name), want, "{line}: {name}");
        }
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{line}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{line}");
    }
    let keys = server.ask("GET /.well-known/jwks.json", &[], "").await;
    assert!(keys.header("cache-control").contains("max-age"), "public keys may be kept");
}

#[test]
fn pages_run_no_script_and_no_style_in_line() {
    assert!(OF_PAGES.contains("script-src 'self';") && OF_PAGES.contains("style-src 'self';"));
    for loose in ["unsafe", "*", "http:", "https:", "blob:"] {
        assert!(!OF_PAGES.contains(loose), "{loose}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_sites_may_send_and_their_cookies_count_for_nothing() {
    let setting = format!("cors.origins={SITE}");
    let (named, closed) = (Server::new(false, &[&setting]).await, Server::new(false, &[]).await);
    let open = Server::new(true, &[&setting]).await;
    let key = format!("Bearer {}", named.key(&[control::KeyScope::Ingest]).await);
    let ask = ("access-control-request-method", "POST");
    let json = ("content-type", "application/json");
    for (server, line, origin, more, status, allowed) in [
        (&named, "OPTIONS /v1/traces", SITE, vec![ask], 204, SITE),
        (&named, "OPTIONS /v1/logs", "HTTPS://SHOP.example", vec![ask], 204, "HTTPS://SHOP.example"),
        (&named, "OPTIONS /v1/traces", "https://evil.example", vec![ask], 403, ""),
        (&named, "OPTIONS /v1/traces", "null", vec![ask], 403, ""),
        (&closed, "OPTIONS /v1/traces", SITE, vec![ask], 403, ""),
        (&named, "OPTIONS /api/v1/query", SITE, vec![ask], 401, ""),
        (&named, "OPTIONS /api/v1/auth/sign-in", SITE, vec![ask], 405, ""),
        (&named, "POST /v1/traces", SITE, vec![json, ("authorization", &key)], 200, SITE),
        (&named, "POST /v1/traces", SITE, vec![json], 401, SITE),
        (&open, "POST /v1/traces", SITE, vec![json], 200, SITE),
        (&open, "POST /v1/traces", "https://evil.example", vec![json], 403, ""),
        (&open, "GET /api/v1/query?query=1", SITE, vec![], 403, ""),
    ] {
        let mut headers = vec![("origin", origin), ("host", "localhost:4300")];
        headers.extend(more);
        let answer = server.ask(line, &headers, "{}").await;
        assert_eq!(answer.status, status, "{line} {origin}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{line} {origin}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        if line.contains("/v1/traces") {
            let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
            assert!(vary.iter().any(|value| *value == "Origin"), "{line} {origin}: {vary:?}");
        }
        if status == 204 {
            assert!(answer.header("access-control-allow-headers").contains("authorization"));
        }
    }
    let tenant = model::TenantId::default_tenant();
    let editor = Person::new(&named, &tenant, "ed@a.example", "editor").await;
    let headers =
        [("cookie", editor.cookie.as_str()), ("x-csrf-token", &editor.csrf), ("origin", SITE), json];
    let answer = named.ask("POST /v1/traces", &headers, "{}").await;
    assert_eq!(answer.status, 401, "a cookie of a visitor is no credential of the page's site");
}

/// A session over TLS has a cookie that no neighbour can plant, and the other name counts for nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_of_a_session_is_bound_to_the_host_where_tls_is() {
    let body = serde_json::json!({ "email": "ada@a.example", "password": PASSWORD }).to_string();
    for (settings, over_tls, name, secure) in [
        (&[][..], false, "bellwether_session", false),
        (&["tls.mode=optional"], false, "bellwether_session", false),
        (&["tls.mode=optional"], true, "__Host-bellwether_session", true),
        (&["tls.mode=required"], true, "__Host-bellwether_session", true),
        (&["server.external_url=https://bw.example"], false, "__Host-bellwether_session", true),
    ] {
        let server = Server::new(false, settings).await;
        Person::new(&server, &model::TenantId::default_tenant(), "ada@a.example", "viewer").await;
        let mut sign_in = request("POST /api/v1/auth/sign-in", &[("host", "h.example")], body.clone());
        if over_tls {
            sign_in.extensions_mut().insert(OverTls);
        }
        let answer = server.send(sign_in).await;
        let set = answer.header("set-cookie").to_owned();
        assert!(set.starts_with(&format!("{name}=")) && set.contains("; Path=/; "), "{settings:?}: {set}");
        assert_eq!(set.contains("; Secure"), secure, "{settings:?}: {set}");
        assert_eq!(answer.headers.contains_key("strict-transport-security"), secure, "{settings:?}");
        let token = set.split(['=', ';']).nth(1).unwrap();
        for (cookie, want) in [
            (format!("{name}={token}"), 200),
            (format!("bellwether_session={token}"), if server.app.is_https() { 401 } else { 200 }),
        ] {
            let answer = server.ask("GET /api/v1/auth/session", &[("cookie", &cookie)], Body::empty()).await;
            assert_eq!(answer.status, want, "{settings:?}: {cookie}");
        }
        let out = server.ask("POST /api/v1/auth/logout", &[("cookie", &format!("{name}={token}"))], "").await;
        assert_eq!(out.headers.get_all("set-cookie").iter().count(), 2, "both names are forgotten");
    }
    let local = Server::new(false, &["tls.mode=required"]).await;
    let answer = local.ask("GET /healthz", &[("host", "localhost:4300")], "").await;
    assert_eq!(answer.header("strict-transport-security"), "", "other programs on this machine are not ours");
}

/// From an address, with a program.
async fn from(
    server: &Server,
    line: &str,
    headers: &[(&str, &str)],
    address: &str,
    body: &str,
) -> crate::testing::Answer {
    let mut asked = request(line, headers, body.to_owned());
    let peer: std::net::SocketAddr = format!("{address}:5000").parse().unwrap();
    asked.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    server.send(asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_bound_to_address_and_program_where_settings_say_so() {
    let form = format!(r#"{{"grant_type":"password","email":"ada@a.example","password":"{PASSWORD}"}}"#);
    for (settings, other_address, other_agent) in [
        (&[][..], 200, 200),
        (&["auth.tokens.bind_address=true"], 401, 200),
        (&["auth.tokens.bind_user_agent=true"], 200, 401),
    ] {
        let server = Server::new(false, settings).await;
        Person::new(&server, &model::TenantId::default_tenant(), "ada@a.example", "viewer").await;
        let agent = ("user-agent", "tool/1");
        let pair = from(&server, "POST /api/v1/auth/token", &[agent], "192.0.2.1", &form).await;
        assert_eq!(pair.status, 200, "{}", pair.text());
        let bearer = format!("Bearer {}", pair.json()["access_token"].as_str().unwrap());
        for (address, agent, want) in [
            ("192.0.2.1", "tool/1", 200),
            ("192.0.2.2", "tool/1", other_address),
            ("192.0.2.1", "tool/2", other_agent),
        ] {
            let headers = [("authorization", bearer.as_str()), ("user-agent", agent)];
            let answer = from(&server, "GET /api/v1/auth/session", &headers, address, "").await;
            assert_eq!(answer.status, want, "{settings:?}: {address} {agent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_says_when_the_tenant_must_be_named() {
    let server = Server::new(false, &[]).await;
    let acme = super::people::tenant(&server, "acme").await;
    for tenant in [&model::TenantId::default_tenant(), &acme] {
        Person::new(&server, tenant, "ada@a.example", "viewer").await;
    }
    for (more, password, status, want) in [
        ("", PASSWORD, 409, "TENANT_REQUIRED"),
        ("", "another sentence", 401, "INVALID_CREDENTIALS"),
        (r#","tenant":"acme""#, PASSWORD, 200, ""),
    ] {
        let body = format!(r#"{{"email":"ada@a.example","password":"{password}"{more}}}"#);
        let answer = server.ask("POST /api/v1/auth/sign-in", &[], body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status != 200 {
            assert_eq!(code(&answer), want);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_an_attack_are_counted_and_become_one_row() {
    let server = Server::new(false, &["limits.requests=5"]).await;
    Person::new(&server, &model::TenantId::default_tenant(), "ada@a.example", "viewer").await;
    let key = format!("Bearer {}", server.key(&[control::KeyScope::Query]).await);
    for n in 0..4 {
        let body = format!(r#"{{"email":"ada{n}@a.example","password":"another sentence"}}"#);
        assert_eq!(from(&server, "POST /api/v1/auth/sign-in", &[], "192.0.2.7", &body).await.status, 401);
    }
    let forged = [("authorization", key.as_str()), ("x-tenant-id", "other")];
    assert_eq!(from(&server, "GET /api/v1/query?query=1", &forged, "192.0.2.7", "").await.status, 403);
    let mut limited = 0;
    for _ in 0..40 {
        let bearer = [("authorization", key.as_str())];
        let answer = from(&server, "GET /api/v1/query?query=1", &bearer, "192.0.2.7", "").await;
        limited += u64::from(answer.status == 429);
    }
    assert!(limited > 5, "{limited}");
    let metrics = server.app.own_metrics();
    let count = |event: &str| -> u64 {
        let of = format!("bellwether_security_events_total{{tenant=\"default\",event=\"{event}\"");
        let lines = metrics.lines().filter(|line| line.starts_with(&of));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!((count("sign_in_failed"), count("tenant_refused"), count("rate_limited")), (4, 1, limited));
    assert!(metrics.contains("event=\"rate_limited\",user=\"key_"), "by whom:\n{metrics}");
    let rows = server.app.security().bursts(std::time::Duration::ZERO, server.app.now_ms(), true);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].count, rows[0].address.as_str()), (5 + limited, "192.0.2.7"));
}
