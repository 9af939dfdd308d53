//! Scraping real sockets: what is asked, what is stored, what the targets page says.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use probe::scrape::Health;
use support::{Answer, Bench, Server, one_job};

const LABELS: &str = "instance=\"127.0.0.1";

/// The error of a job's target against a server that always answers the same.
async fn error(answer: Answer, rest: &str) -> (String, Bench) {
    let server = Server::start(move |_| answer.clone()).await;
    let bench = Bench::start(&one_job(server.address, rest)).await;
    (bench.error().await, bench)
}

#[tokio::test]
async fn a_target_is_scraped_and_reports() {
    let server = Server::start(|_| Answer::text("# TYPE a gauge\n# HELP a Help.\na{x=\"y\"} 5\nb 6\n")).await;
    let bench = Bench::start(&one_job(server.address, "params: {m: [x]}")).await;
    bench.until("two scrapes", |b| b.memory.values("up").len() >= 2).await;
    let memory = &bench.memory;
    assert_eq!(memory.last("a{"), Some(5.0));
    assert!(
        memory
            .names()
            .iter()
            .any(|n| n.starts_with(&format!("a{{{LABELS}")) && n.contains("job=\"j\", x=\"y\""))
    );
    assert_eq!(memory.last("up"), Some(1.0));
    assert_eq!(memory.last("scrape_samples_scraped"), Some(2.0));
    assert_eq!(memory.last("scrape_samples_post_metric_relabeling"), Some(2.0));
    assert_eq!(memory.values("scrape_series_added")[..2], [2.0, 0.0]);
    assert!(memory.last("scrape_duration_seconds").is_some_and(|s| s > 0.0 && s < 5.0));

    let request = &server.requests()[0];
    assert_eq!(request.line, "GET /metrics?m=x HTTP/1.1");
    assert_eq!(request.header("x-prometheus-scrape-timeout-seconds"), "0.1");
    assert!(request.header("accept").starts_with("application/vnd.google.protobuf;"));
    assert_eq!(request.header("accept-encoding"), "gzip");
    assert!(request.header("user-agent").starts_with("Bellwether/"));

    let targets = bench.manager.targets();
    let target = &targets.active[0];
    assert_eq!((target.health, target.last_error.as_str()), (Health::Up, ""));
    assert_eq!(target.global_url, format!("http://web-1:{}/metrics?m=x", server.address.port()));
    assert_eq!(target.discovered_labels.get("__scrape_interval__"), Some("100ms"));
    let metadata = bench.manager.metadata();
    assert_eq!((metadata[0].metadata.metric.as_str(), metadata[0].metadata.help.as_str()), ("a", "Help."));
    assert_eq!(bench.manager.scrape_pools(), ["j"]);
}

#[tokio::test]
async fn a_series_that_vanishes_and_a_scrape_that_fails_leave_markers() {
    let turn = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&turn);
    let server = Server::start(move |_| match now.load(Ordering::SeqCst) {
        0 => Answer::text("steady 1\npassing 1\nstamped 1 1000\n"),
        1 => Answer::text("steady 1\n"),
        2 => Answer::status(500),
        _ => Answer::text("steady 2\n"),
    })
    .await;
    let bench = Bench::start(&one_job(server.address, "")).await;
    bench.until("the first scrape", |b| b.memory.last("passing") == Some(1.0)).await;
    turn.store(1, Ordering::SeqCst);
    bench.until("a marker", |b| b.memory.ended("passing")).await;
    assert!(!bench.memory.ended("steady") && !bench.memory.ended("stamped"));
    turn.store(2, Ordering::SeqCst);
    bench.until("a failure", |b| b.memory.ended("steady") && b.memory.last("up") == Some(0.0)).await;
    assert_eq!(
        bench.manager.targets().active[0].last_error,
        "server returned HTTP status 500 Internal Server Error"
    );
    turn.store(3, Ordering::SeqCst);
    bench
        .until("a recovery", |b| b.memory.last("steady") == Some(2.0) && b.memory.last("up") == Some(1.0))
        .await;
}

#[tokio::test]
async fn a_removed_target_ends_its_series_and_an_unchanged_job_goes_on() {
    let server = Server::start(|_| Answer::text("a 1\n")).await;
    let other = Server::start(|_| Answer::text("b 1\n")).await;
    let both = |second: &str| {
        format!(
            "global: {{scrape_interval: 100ms}}\nscrape_configs: [{{job_name: one, static_configs: [{{targets: ['{}']}}]}}{second}]",
            server.address
        )
    };
    let second = format!(", {{job_name: two, static_configs: [{{targets: ['{}']}}]}}", other.address);
    let bench = Bench::start(&both(&second)).await;
    bench.until("both", |b| b.memory.last("a") == Some(1.0) && b.memory.last("b") == Some(1.0)).await;
    bench.reload(&both("")).await;
    assert!(bench.memory.ended("b"), "the removed job ended its series before the reload returned");
    let up = bench.memory.names().into_iter().filter(|n| n.starts_with("up")).map(|n| bench.memory.ended(&n));
    assert_eq!(up.filter(|ended| *ended).count(), 1);
    assert!(!bench.memory.ended("a"));
    assert_eq!(bench.manager.scrape_pools(), ["one"]);
    // A changed job keeps the series of its target: no marker, and the new label is a new series.
    bench
        .reload(&both("").replace(
            "job_name: one",
            "job_name: one, metric_relabel_configs: [{target_label: x, replacement: z}]",
        ))
        .await;
    bench
        .until("the new series", |b| {
            b.memory.names().iter().any(|n| n.starts_with("a{") && n.contains("x=\"z\""))
        })
        .await;
    let old = format!("a{{instance=\"{}\", job=\"one\"}}", server.address);
    bench.until("the old one's end", |b| b.memory.ended(&old)).await;
    let before = bench.memory.values("up").len();
    bench.manager.stop().await;
    let up = format!("up{{instance=\"{}\"", server.address);
    assert!(!bench.memory.ended(&up), "stopping ends no series");
    assert!(before > 0 && bench.manager.targets().active.is_empty());
}

#[tokio::test]
async fn failures_say_what_happened() {
    let huge = "x 1\n".repeat(10_000);
    let rows = [
        (Answer::status(404), "", "server returned HTTP status 404 Not Found"),
        (Answer::text("a b\n"), "", "line 1"),
        (Answer::text("a 1"), "sample_limit: 0", ""),
        (Answer::text("a 1\nb 1\n"), "sample_limit: 1", "sample limit exceeded"),
        (Answer::text(&huge), "body_size_limit: 10KB", "body size limit exceeded"),
        (Answer::text(&huge).gzip(), "body_size_limit: 10KB", "body size limit exceeded"),
        (Answer::typed("text/html", "<p>"), "", "fallback_scrape_protocol"),
        (Answer::typed("text/html", "a 1\n"), "fallback_scrape_protocol: PrometheusText0.0.4", ""),
        (Answer::typed("application/openmetrics-text; version=1.0.0", "a 1\n"), "", "EOF"),
        (Answer { delay: Duration::from_secs(5), ..Answer::text("a 1\n") }, "", "no answer within 100ms"),
        (Answer::text("a 1\n"), "target_limit: 1", ""),
        (Answer::text("a 1\n"), "tls_config: {ca_file: /no/such/file}", "/no/such/file cannot be read"),
        (Answer::text("a 1\n"), "bearer_token_file: /no/such/token", "/no/such/token cannot be read"),
    ];
    for (answer, rest, part) in rows {
        let (error, bench) = error(answer, rest).await;
        assert!(error.contains(part) && error.is_empty() == part.is_empty(), "{rest}: {error}");
        let up = f64::from(u8::from(part.is_empty()));
        bench.until("reported", |b| b.memory.last("up") == Some(up)).await;
    }
    let bench = Bench::start(&one_job("127.0.0.1:1".parse().unwrap(), "")).await;
    let error = bench.error().await;
    assert!(error.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn more_targets_than_allowed_fail_them_all() {
    let server = Server::start(|_| Answer::text("a 1\n")).await;
    let config = one_job(server.address, "target_limit: 1, extra_scrape_metrics: true")
        .replace("targets: [", "targets: ['127.0.0.1:1', ");
    let bench = Bench::start(&config).await;
    let failed = |b: &Bench| {
        let active = b.manager.targets().active;
        active.len() == 2 && active.iter().all(|t| t.last_error.contains("target_limit"))
    };
    bench.until("both failed", failed).await;
    assert_eq!(bench.memory.last("scrape_timeout_seconds"), Some(0.1));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn compressed_and_open_metrics_answers_are_read() {
    let body = "# TYPE c counter\nc_total 5 # {trace_id=\"t\"} 1\nc_created 1000\n# EOF\n";
    let (error_text, bench) =
        error(Answer::typed("application/openmetrics-text; version=1.0.0", body).gzip(), "").await;
    assert_eq!(error_text, "");
    assert_eq!(bench.memory.last("c_total"), Some(5.0));
    let classic = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n";
    let (_, bench) = error(Answer::text(classic), "convert_classic_histograms_to_nhcb: true").await;
    bench.until("a histogram", |b| !b.memory.histograms.lock().is_empty()).await;
    assert!(bench.memory.values("h_bucket").is_empty());
}

#[tokio::test]
async fn requests_prove_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from-a-file\n").unwrap();
    let rows = [
        ("basic_auth: {username: u, password: p}".to_owned(), "Basic dTpw"),
        ("authorization: {credentials: abc}".to_owned(), "Bearer abc"),
        ("authorization: {type: Token, credentials: abc}".to_owned(), "Token abc"),
        (format!("bearer_token_file: '{}'", file.display()), "Bearer from-a-file"),
    ];
    for (rest, want) in rows {
        let server = Server::start(|_| Answer::text("a 1\n")).await;
        let rest = format!("{rest}, http_headers: {{X-More: {{values: [a], secrets: [b]}}}}");
        let bench = Bench::start(&one_job(server.address, &rest)).await;
        assert_eq!(bench.error().await, "");
        let request = server.requests().remove(0);
        assert_eq!(request.header("authorization"), want);
        assert_eq!(request.header("x-more"), "b", "the last of two");
    }
}

#[tokio::test]
async fn tokens_are_fetched_once_and_again_when_refused() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tokens);
    let auth = Server::start(move |request| {
        // The first way of telling the secret is refused, so the second is taken.
        if request.header("authorization").starts_with("Basic") {
            return Answer::status(401);
        }
        assert!(request.header("body").contains("client_secret=s%26x"));
        let n = count.fetch_add(1, Ordering::SeqCst);
        let token =
            format!("{{\"access_token\": \"t{n}\", \"token_type\": \"bearer\", \"expires_in\": 3600}}");
        Answer::typed("application/json", token)
    })
    .await;
    let server = Server::start(|request| match request.header("authorization") {
        "Bearer t0" => Answer::status(401),
        _ => Answer::text("a 1\n"),
    })
    .await;
    let rest = format!(
        "oauth2: {{client_id: me, client_secret: 's&x', token_url: 'http://{}/t', scopes: [r]}}",
        auth.address
    );
    let bench = Bench::start(&one_job(server.address, &rest)).await;
    bench
        .until("three good scrapes", |b| b.memory.values("a").iter().filter(|v| **v == 1.0).count() >= 3)
        .await;
    assert_eq!(tokens.load(Ordering::SeqCst), 2);
    assert_eq!(server.requests().last().unwrap().header("authorization"), "Bearer t1");
}

#[tokio::test]
async fn redirects_are_followed_unless_told_otherwise() {
    let behaviour = |request: &support::Request| match request.path() {
        "/metrics" => Answer { headers: vec![("Location", "/elsewhere".into())], ..Answer::status(302) },
        _ => Answer::text("a 1\n"),
    };
    for (rest, want) in [("", ""), ("follow_redirects: false", "server returned HTTP status 302 Found")] {
        let server = Server::start(behaviour).await;
        let bench = Bench::start(&one_job(server.address, rest)).await;
        assert_eq!(bench.error().await, want);
    }
}

#[tokio::test]
async fn a_proxy_is_asked_instead() {
    let proxy = Server::start(|_| Answer::text("a 1\n")).await;
    let config =
        one_job("10.255.255.1:80".parse().unwrap(), &format!("proxy_url: 'http://{}'", proxy.address));
    let bench = Bench::start(&config).await;
    assert_eq!(bench.error().await, "");
    assert_eq!(proxy.requests()[0].line, "GET http://10.255.255.1/metrics HTTP/1.1");
}

#[tokio::test]
async fn targets_are_discovered_in_files_and_by_http() {
    let server = Server::start(|_| Answer::text("a 1\n")).await;
    let list = format!("[{{\"targets\": [\"{}\"], \"labels\": {{\"from\": \"http\"}}}}]", server.address);
    let catalog = Server::start(move |_| Answer::typed("application/json", list.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yml");
    std::fs::write(&file, format!("- targets: ['{}']\n  labels: {{from: file}}\n", server.address)).unwrap();
    let config = format!(
        "global: {{scrape_interval: 100ms}}\nscrape_configs: [{{job_name: j, \
         file_sd_configs: [{{files: ['{}/*.yml'], refresh_interval: 50ms}}], \
         http_sd_configs: [{{url: 'http://{}/list', refresh_interval: 100ms}}, {{url: 'http://127.0.0.1:1/', refresh_interval: 1h}}], \
         relabel_configs: [{{source_labels: [from], regex: dropped, action: drop}}]}}]",
        folder.path().display(),
        catalog.address
    );
    let bench = Bench::start(&config).await;
    let has =
        |b: &Bench, from: &str| b.memory.names().iter().any(|n| n.starts_with("a{") && n.contains(from));
    bench.until("both", |b| has(b, "from=\"file\"") && has(b, "from=\"http\"")).await;
    let targets = bench.manager.targets();
    assert_eq!(targets.active.len(), 2);
    assert!(targets.problems.iter().any(|(job, problem)| job == "j" && problem.contains("http_sd_configs")));
    assert_eq!(catalog.requests()[0].header("x-prometheus-refresh-interval-seconds"), "0.1");

    std::fs::write(&file, format!("- targets: ['{}']\n  labels: {{from: dropped}}\n", server.address))
        .unwrap();
    bench.until("one left", |b| b.manager.targets().active.len() == 1).await;
    assert!(bench.memory.ended("a{from=\"file\""));
    assert_eq!(bench.manager.targets().dropped_counts["j"], 1);
    assert_eq!(bench.manager.targets().dropped[0].discovered_labels.get("from"), Some("dropped"));
}

/// A certificate authority, and what it signs.
struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("valid");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("valid");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("valid").pem();
        Self { pem, issuer: rcgen::Issuer::new(params, key) }
    }

    /// Certificate and key, PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("valid");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("valid");
        (params.signed_by(&key, &self.issuer).expect("valid").pem(), key.serialize_pem())
    }

    /// A server that wants a certificate of this authority from its clients.
    fn acceptor(&self, name: &str) -> tokio_rustls::TlsAcceptor {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("valid");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&self.pem)).expect("valid");
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let (certificate, key) = self.sign(name);
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("valid")
            .with_client_cert_verifier(verifier.build().expect("valid"))
            .with_single_cert(
                vec![der(&certificate)],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("valid"),
            );
        tokio_rustls::TlsAcceptor::from(Arc::new(config.expect("valid")))
    }
}

#[tokio::test]
async fn both_sides_prove_themselves_over_tls() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.sign("client");
    for (name, text) in [("ca.pem", &authority.pem), ("cert.pem", &certificate), ("key.pem", &key)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let at = |name: &str| folder.path().join(name).display().to_string();
    let own = format!("cert_file: '{}', key_file: '{}'", at("cert.pem"), at("key.pem"));
    let ca = format!("ca_file: '{}'", at("ca.pem"));
    let rows = [
        ("127.0.0.1", format!("{{{ca}, {own}}}"), ""),
        ("127.0.0.1", format!("{{{ca}, {own}, min_version: TLS13}}"), ""),
        ("127.0.0.1", format!("{{insecure_skip_verify: true, {own}}}"), ""),
        ("127.0.0.1", format!("{{{own}}}"), "UnknownIssuer"),
        ("127.0.0.1", format!("{{{ca}}}"), "ertificate"),
        ("other.name", format!("{{{ca}, {own}}}"), "not valid for name"),
        ("other.name", format!("{{{ca}, {own}, server_name: other.name}}"), ""),
        ("127.0.0.1", format!("{{{ca}, {own}, server_name: other.name}}"), "not valid for name"),
    ];
    for (name, tls, part) in rows {
        let server = Server::start_with(Some(authority.acceptor(name)), |_| Answer::text("a 1\n")).await;
        // A handshake in a busy test run takes a while.
        let rest = format!("scheme: https, tls_config: {tls}");
        let config = one_job(server.address, &rest).replace("scrape_interval: 100ms", "scrape_interval: 2s");
        let bench = Bench::start(&config).await;
        let error = bench.error().await;
        assert!(error.contains(part) && error.is_empty() == part.is_empty(), "{name} {tls}: {error}");
    }
}
