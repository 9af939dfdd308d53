use std::path::Path;

use probe::check::CheckStatus::{Healthy, Unhealthy};
use serde_json::{Value, json};

use crate::programs::{Postgres, free_port, identity, start, until};
use crate::{expect, run};

/// A check of a database with one attempt.
fn database(kind: &str, target: String, config: Value) -> Value {
    json!({"type": kind, "target": target, "interval": 10, "timeout": 5, "retries": 1, "config": config})
}

#[tokio::test]
async fn postgresql_is_signed_in_to_every_way_and_asked() {
    let tls = identity(&["localhost"], 90);
    let access = "hostssl all scram 127.0.0.1/32 scram-sha-256\nhostnossl all scram 127.0.0.1/32 scram-sha-256\n\
                  host all digest 127.0.0.1/32 md5\nhost all clear 127.0.0.1/32 password\n\
                  hostnossl all open 127.0.0.1/32 trust\n";
    let sql = "CREATE USER scram PASSWORD 'swordfish-1'; SET password_encryption='md5'; \
               CREATE USER digest PASSWORD 'swordfish-2'; CREATE USER clear PASSWORD 'swordfish-3'; CREATE USER open;";
    let server = Postgres::create(access, sql, &tls);
    let of = |user: &str, password: &str, mode: &str, more: Value| {
        let mut config = json!({"username": user, "password": password, "sslMode": mode});
        config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        database("postgresql", format!("postgres://localhost:{}/postgres", server.port), config)
    };
    for (user, password, mode) in [
        ("scram", "swordfish-1", "disable"),
        ("scram", "swordfish-1", "prefer"),
        ("scram", "swordfish-1", "require"),
        ("digest", "swordfish-2", "disable"),
        ("digest", "swordfish-2", "require"),
        ("clear", "swordfish-3", "disable"),
        ("clear", "swordfish-3", "require"),
        ("open", "", "disable"),
    ] {
        let result = run(of(user, password, mode, json!({}))).await;
        expect(&result, Healthy, "");
        assert!(result.details.texts["serverVersion"].starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(result.details.certificate.is_some(), mode == "prefer" || mode == "require");
    }
    let with = |query: &str, want: &str| json!({"query": query, "expect": want});
    expect(&run(of("scram", "swordfish-1", "disable", with("SELECT 40 + 2", "42"))).await, Healthy, "");
    expect(
        &run(of("scram", "swordfish-1", "disable", with("SELECT 1", "2"))).await,
        Unhealthy,
        "gives \"1\", expected: \"2\"",
    );
    let writing = json!({"query": "CREATE TABLE t (x int)"});
    expect(&run(of("scram", "swordfish-1", "disable", writing)).await, Unhealthy, "read-only transaction");
    let trusted = json!({"tls": {"ca": tls.ca}});
    expect(&run(of("scram", "swordfish-1", "verify-full", trusted)).await, Healthy, "");
    expect(&run(of("scram", "swordfish-1", "verify-full", json!({}))).await, Unhealthy, "TLS failed");
    let wrong = run(of("scram", "swordfish-9", "disable", json!({}))).await;
    expect(&wrong, Unhealthy, "28P01: password authentication failed");
    assert!(!format!("{wrong:?}").contains("swordfish"));
    expect(&run(of("nobody", "x", "disable", json!({}))).await, Unhealthy, "the server says: FATAL");
    // HC-3: stopped and started again.
    let spec = of("scram", "swordfish-1", "prefer", json!({}));
    server.stop();
    expect(&run(spec.clone()).await, Unhealthy, "connection refused");
    server.start();
    until(Healthy, &spec).await;
    let general = database(
        "database",
        format!("postgres://localhost:{}/postgres", server.port),
        json!({"username": "open", "sslMode": "disable"}),
    );
    expect(&run(general).await, Healthy, "");
}

#[tokio::test]
async fn mariadb_is_signed_in_to_and_asked() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let tls = identity(&["localhost"], 90);
    for (name, text) in [
        ("cert.pem", tls.certificate.as_str()),
        ("key.pem", &tls.key),
        (
            "init.sql",
            "CREATE DATABASE shop;\nCREATE USER 'probe'@'%' IDENTIFIED BY 'swordfish-4';\n\
             GRANT ALL ON shop.* TO 'probe'@'%';\nCREATE USER 'open'@'%';\n",
        ),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let made = std::process::Command::new("mariadb-install-db")
        .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={}", path("data")))
        .output()
        .expect("mariadb-install-db (see scripts/test.sh)");
    assert!(made.status.success(), "{made:?}");
    let port = free_port();
    let args: Vec<String> = [
        "--no-defaults".to_owned(),
        "--user=root".into(),
        "--bind-address=127.0.0.1".into(),
        // Else this machine is `localhost`, whose nameless user comes first.
        "--skip-name-resolve".into(),
        format!("--port={port}"),
        format!("--datadir={}", path("data")),
        format!("--socket={}", path("socket")),
        format!("--pid-file={}", path("pid")),
        format!("--init-file={}", path("init.sql")),
        format!("--ssl-cert={}", path("cert.pem")),
        format!("--ssl-key={}", path("key.pem")),
    ]
    .into();
    let server = start(Path::new("/usr/sbin/mariadbd"), &args, &home.path().join("log"));
    let of = |user: &str, password: &str, mode: &str, more: Value| {
        let mut config = json!({"username": user, "password": password, "sslMode": mode});
        config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        database("mysql", format!("mysql://localhost:{port}/shop"), config)
    };
    let good = of("probe", "swordfish-4", "disable", json!({}));
    let result = until(Healthy, &good).await;
    assert!(result.details.texts["serverVersion"].contains("MariaDB"));
    for (mode, more) in
        [("prefer", json!({})), ("require", json!({})), ("verify-full", json!({"tls": {"ca": tls.ca}}))]
    {
        let result = run(of("probe", "swordfish-4", mode, more)).await;
        expect(&result, Healthy, "");
        assert_eq!(result.details.certificate.unwrap().subject, "localhost");
    }
    expect(&run(of("probe", "swordfish-4", "verify-full", json!({}))).await, Unhealthy, "TLS failed");
    let with = |query: &str, want: &str| json!({"query": query, "expect": want});
    expect(&run(of("probe", "swordfish-4", "disable", with("SELECT DATABASE()", "shop"))).await, Healthy, "");
    expect(
        &run(of("probe", "swordfish-4", "disable", with("SELECT NULL", "x"))).await,
        Unhealthy,
        "gives nothing",
    );
    let writing = json!({"query": "CREATE TABLE t (x int)"});
    expect(&run(of("probe", "swordfish-4", "disable", writing)).await, Unhealthy, "READ ONLY");
    let wrong = run(of("probe", "swordfish-9", "disable", json!({}))).await;
    expect(&wrong, Unhealthy, "1045: Access denied");
    assert!(!format!("{wrong:?}").contains("swordfish"));
    let database = json!({"type": "database", "target": format!("mariadb://localhost:{port}"), "retries": 1,
        "config": {"username": "open"}});
    expect(&run(database).await, Healthy, "");
    drop(server);
    expect(&run(good).await, Unhealthy, "connection refused");
}

#[tokio::test]
async fn redis_answers_to_those_who_may_ask() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let tls = identity(&["localhost"], 90);
    std::fs::write(path("cert.pem"), &tls.certificate).unwrap();
    std::fs::write(path("key.pem"), &tls.key).unwrap();
    let (port, tls_port) = (free_port(), free_port());
    let args: Vec<String> = [
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        &path(""),
        "--requirepass",
        "swordfish-5",
        "--tls-port",
        &tls_port.to_string(),
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-ca-cert-file",
        &path("cert.pem"),
        "--tls-auth-clients",
        "no",
    ]
    .map(str::to_owned)
    .into();
    let server = start(Path::new("redis-server"), &args, &home.path().join("log"));
    let of = |scheme: &str, port: u16, config: Value| {
        database("redis", format!("{scheme}://localhost:{port}"), config)
    };
    let good = of("redis", port, json!({"password": "swordfish-5"}));
    until(Healthy, &good).await;
    let named = json!({"username": "default", "password": "swordfish-5", "database": 2});
    expect(&run(of("redis", port, named)).await, Healthy, "");
    expect(&run(of("redis", port, json!({}))).await, Unhealthy, "the server says to PING: NOAUTH");
    let wrong = run(of("redis", port, json!({"password": "swordfish-9"}))).await;
    expect(&wrong, Unhealthy, "WRONGPASS");
    expect(
        &run(of("redis", port, json!({"password": "swordfish-5", "database": 99}))).await,
        Unhealthy,
        "SELECT",
    );
    let secure = json!({"password": "swordfish-5", "tls": {"ca": tls.ca}});
    let result = run(of("rediss", tls_port, secure)).await;
    expect(&result, Healthy, "");
    assert_eq!(result.details.certificate.unwrap().days_left, 90);
    expect(
        &run(of("rediss", tls_port, json!({"password": "swordfish-5"}))).await,
        Unhealthy,
        "UnknownIssuer",
    );
    drop(server);
    expect(&run(good).await, Unhealthy, "connection refused");
}
