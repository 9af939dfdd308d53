//! Who may ask what, with which credential, from which site.

use control::{KeyScope, NewUser, Role};
use model::TenantId;

use crate::routes;
use crate::testing::{Server, request, send};

#[tokio::test(flavor = "multi_thread")]
async fn no_two_routes_claim_one_path() {
    let server = Server::new(true, &[]).await;
    let _ = routes::router(&server.app);
    let _ = routes::otlp_http(&server.app);
    let _ = routes::otlp_grpc(&server.app);
}

/// Without a credential: the status while access is open, and while it is required.
#[tokio::test(flavor = "multi_thread")]
async fn what_answers_without_a_credential() {
    let open = Server::new(true, &[]).await;
    let required = Server::new(false, &[]).await;
    for (line, when_open, when_required) in [
        ("GET /healthz", 200, 200),
        ("GET /-/healthy", 200, 200),
        ("GET /-/ready", 200, 200),
        ("GET /version", 200, 200),
        ("HEAD /healthz", 200, 200),
        ("POST /healthz", 405, 405),
        ("GET /metrics", 200, 401),
        ("GET /api/v1/query?query=1", 200, 401),
        ("GET /prometheus/api/v1/query?query=1", 200, 401),
        ("GET /api/v1/status/config", 200, 401),
        ("GET /federate?match[]=up", 200, 401),
        ("POST /api/v1/read", 400, 401),
        ("POST /api/v1/write", 415, 401),
        ("POST /prometheus/api/v1/write", 415, 401),
        ("POST /api/metrics", 400, 401),
        ("POST /api/v1/import/prometheus", 200, 401),
        ("GET /elasticsearch", 200, 200),
        ("GET /_license", 200, 401),
        ("GET /elasticsearch/_cluster/health", 200, 401),
        ("PUT /_index_template/logs", 200, 401),
        ("GET /api/v1/services", 401, 401),
        ("POST /api/v1/services/store/restart", 401, 401),
        ("GET /api/v1/ws", 401, 401),
        ("GET /api/v1/auth/session", 401, 401),
        ("POST /api/v1/auth/logout", 204, 204),
        ("GET /api/v1/monitoring/metrics", 401, 401),
        ("POST /api/v1/monitoring/metrics/custom", 401, 401),
        ("GET /api/v1/monitoring/objects/dashboard", 401, 401),
        ("GET /api/v1/monitoring/incidents", 401, 401),
        ("POST /api/v1/monitoring/remediations/claim", 401, 401),
        ("GET /api/v1/monitoring/status-page/main", 401, 401),
        ("GET /api/v1/monitoring/status-pages/default/none", 404, 404),
        ("GET /api/v1/monitoring/schedules/primary/calendar.ics", 400, 400),
        ("GET /api/v1/monitoring/schedules/primary/calendar.ics?token=x", 404, 404),
        ("POST /api/v1/admin/tsdb/delete_series?match[]=up", 401, 401),
        ("POST /prometheus/api/v1/admin/tsdb/delete_series?match[]=up", 401, 401),
        ("POST /-/reload", 401, 401),
        ("GET /api/none", 404, 404),
        ("POST /signin", 404, 404),
    ] {
        assert_eq!(open.ask(line, &[], "").await.status, when_open, "{line}, open");
        let answer = required.ask(line, &[], "").await;
        assert_eq!(answer.status, when_required, "{line}, required");
        if when_required == 401 {
            assert!(
                !answer.header("www-authenticate").contains("Basic"),
                "a browser would ask for a password"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_scope_says() {
    let server = Server::new(false, &[]).await;
    let ingest = format!("Bearer {}", server.key(&[KeyScope::Ingest]).await);
    let query = format!("Bearer {}", server.key(&[KeyScope::Query]).await);
    let admin = format!("Bearer {}", server.key(&[KeyScope::Admin]).await);
    let metric = r#"{"name":"m","value":1}"#;
    for (line, body, by_ingest, by_query, by_admin) in [
        ("GET /api/v1/query?query=1", "", 403, 200, 200),
        ("GET /metrics", "", 403, 200, 200),
        ("POST /api/metrics", "[]", 200, 403, 200),
        ("POST /api/v1/monitoring/metrics/custom", metric, 201, 403, 201),
        ("GET /api/v1/services", "", 403, 200, 200),
        ("POST /-/reload", "", 403, 403, 200),
        ("PUT /api/v1/monitoring/objects/dashboard/d", "{}", 403, 403, 200),
        ("POST /api/v1/admin/tsdb/delete_series?match[]=up", "", 403, 403, 204),
    ] {
        for (key, want) in [(&ingest, by_ingest), (&query, by_query), (&admin, by_admin)] {
            let answer = server.ask(line, &[("authorization", key)], body).await;
            assert_eq!(answer.status, want, "{line}: {}", answer.text());
        }
    }
    for tenant in ["other", "default,other", "\u{ff}"] {
        let headers = [("authorization", admin.as_str()), ("x-scope-orgid", tenant)];
        assert_eq!(server.ask("GET /api/v1/query?query=1", &headers, "").await.status, 403, "{tenant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_access_is_for_this_machine_alone() {
    let server = Server::new(true, &["server.allowed_hosts=bw.lan"]).await;
    let rows: [(&[(&str, &str)], u16); 19] = [
        (&[("host", "localhost:4300")], 200),
        (&[("host", "127.0.0.1:4300")], 200),
        (&[("host", "bw.lan:4300")], 200),
        (&[("host", "evil.example")], 403),
        (&[("host", "\u{ff}")], 403),
        (&[("host", "localhost:4300"), ("origin", "http://localhost:3000")], 200),
        (&[("host", "localhost:4300"), ("origin", "https://evil.example")], 403),
        (&[("host", "localhost:4300"), ("origin", "null")], 403),
        (&[("host", "bw.lan"), ("origin", "http://bw.lan")], 200),
        (&[("host", "localhost:4300"), ("origin", "http://localhost.evil.example")], 403),
        // A proxy on this machine for another one, and Grafana on it for whoever sits before it.
        (&[("host", "127.0.0.1:4300"), ("x-forwarded-for", "198.51.100.7")], 403),
        (&[("host", "localhost:4300"), ("x-forwarded-for", "127.0.0.1, 198.51.100.7")], 403),
        (&[("host", "localhost:4300"), ("x-forwarded-for", "unknown")], 403),
        (&[("host", "localhost:4300"), ("forwarded", "for=198.51.100.7;proto=https")], 403),
        (&[("host", "localhost:4300"), ("via", "1.1 proxy")], 403),
        (&[("host", "localhost:4300"), ("x-forwarded-proto", "https")], 403),
        (&[("host", "localhost:4300"), ("x-real-ip", "198.51.100.7")], 403),
        (&[("host", "localhost:4300"), ("x-forwarded-host", "obs.example.com")], 403),
        (&[("host", "localhost:4300"), ("x-forwarded-for", "127.0.0.1, ::1")], 200),
    ];
    for (headers, want) in rows {
        assert_eq!(server.ask("GET /api/v1/query?query=1", headers, "").await.status, want, "{headers:?}");
        let router = routes::otlp_http(&server.app);
        let mut otlp = headers.to_vec();
        otlp.push(("content-type", "application/x-protobuf"));
        let answer = send(router, request("POST /v1/metrics", &otlp, "")).await;
        assert_eq!(answer.status, want, "OTLP, {headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_for_our_own_page() {
    let server = Server::new(false, &["server.external_url=https://bw.example"]).await;
    let control = server.app.control().unwrap();
    let tenant = TenantId::default_tenant();
    let viewer = NewUser { email: "v@example.com", name: "V", role: Role::Viewer.as_str() };
    control.create_user(&tenant, &control::Principal::system(), viewer).await.unwrap();
    let token = control.new_sign_in_link(&tenant, "v@example.com").await.unwrap().token;
    let body = format!(r#"{{"token":"{}"}}"#, token.expose());
    let stranger = [("host", "h"), ("origin", "https://evil.example")];
    assert_eq!(server.ask("POST /api/v1/auth/link", &stranger, body.clone()).await.status, 403);
    let signed_in = server.ask("POST /api/v1/auth/link", &[], body.clone()).await;
    assert_eq!(signed_in.status, 200);
    assert_eq!(server.ask("POST /api/v1/auth/link", &[], body).await.status, 401, "a link works once");
    let set = signed_in.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("; Secure"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let csrf = signed_in.json()["csrf"].as_str().unwrap().to_owned();

    let ask = async |line: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("cookie", cookie.as_str()), ("host", "h:1")];
        headers.extend_from_slice(more);
        server.ask(line, &headers, "{}").await.status.as_u16()
    };
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let websocket_from = |origin| [upgrade.as_slice(), &[("origin", origin)]].concat();
    // Without a connection under the request the upgrade ends in 426; what matters is that it got there.
    assert_eq!(ask("GET /api/v1/ws", &websocket_from("https://evil.example")).await, 403);
    assert_eq!(ask("GET /api/v1/ws", &websocket_from("http://h:1")).await, 426);
    assert_eq!(ask("GET /api/v1/ws", &websocket_from("https://bw.example")).await, 426);
    assert_eq!(ask("GET /api/v1/services", &[]).await, 200);
    assert_eq!(ask("POST /api/v1/query?query=1", &[]).await, 403, "no csrf token");
    let proof = [("x-csrf-token", csrf.as_str())];
    assert_eq!(ask("POST /api/v1/query?query=1", &proof).await, 200);
    for line in [
        "POST /-/reload",
        "POST /api/metrics",
        "PUT /api/v1/monitoring/objects/dashboard/d",
        "POST /api/v1/services/scraper/restart",
    ] {
        assert_eq!(ask(line, &proof).await, 403, "{line} by a viewer");
    }
    assert_eq!(ask("POST /api/v1/auth/logout", &[("origin", "https://evil.example")]).await, 403);
    assert_eq!(ask("GET /api/v1/auth/session", &[]).await, 200);
    assert_eq!(ask("POST /api/v1/auth/logout", &[]).await, 204);
    assert_eq!(ask("GET /api/v1/auth/session", &[]).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_objects_are_for_administrators_and_agents() {
    let server = Server::new(true, &[]).await;
    let admin = format!("Bearer {}", server.key(&[KeyScope::Admin]).await);
    let query = format!("Bearer {}", server.key(&[KeyScope::Query]).await);
    let ingest = format!("Bearer {}", server.key(&[KeyScope::Ingest]).await);
    let object = "/api/v1/monitoring/objects/agent/default";
    let spec =
        r#"{"scrape": "scrape_configs: [{job_name: a, basic_auth: {username: u, password: hunter2}}]"}"#;
    let json = ("content-type", "application/json");
    let put = server.ask(&format!("PUT {object}"), &[("authorization", &admin), json], spec).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let configuration = "GET /api/v1/monitoring/agents/web-1/configuration";
    let (one, list) = (format!("GET {object}"), "GET /api/v1/monitoring/objects/agent");
    for (line, key, status, sees) in [
        (one.as_str(), &admin, 200, true),
        (one.as_str(), &query, 200, false),
        (list, &query, 200, false),
        (configuration, &ingest, 200, true),
        (configuration, &query, 403, false),
    ] {
        let answer = server.ask(line, &[("authorization", key)], "").await;
        assert_eq!((answer.status.as_u16(), answer.text().contains("hunter2")), (status, sees), "{line}");
    }
    for (endpoint, status) in
        [("http://u:p@c/v1/traces", 400), ("http://169.254.169.254/", 400), ("http://c/", 200)]
    {
        let spec = format!(r#"{{"exporters": [{{"type": "otlp_http", "endpoint": "{endpoint}"}}]}}"#);
        let put = "PUT /api/v1/monitoring/objects/pipeline/traces";
        let answer = server.ask(put, &[("authorization", &admin), json], spec).await;
        assert_eq!(answer.status, status, "{endpoint}: {}", answer.text());
    }
}
