use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<ScrapeConfig, ConfigError> {
    let env = |name: &str| (name == "REGION").then(|| "eu".to_owned());
    ScrapeConfig::parse(text, Path::new("conf/prometheus.yml"), &env)
}

fn job(text: &str) -> JobConfig {
    parse(text).expect("valid").jobs.remove(0)
}

#[test]
fn a_job_has_prometheus_defaults() {
    let job = job("scrape_configs: [{job_name: a}]");
    assert_eq!((job.interval, job.timeout), (Period::seconds(60), Period::seconds(10)));
    assert_eq!((job.metrics_path.as_str(), job.scheme.as_str()), ("/metrics", "http"));
    assert_eq!(
        (job.honor_labels, job.honor_timestamps, job.track_timestamps_staleness),
        (false, true, false)
    );
    assert!(job.http.follow_redirects && job.http.enable_http2 && job.enable_compression);
    assert_eq!((job.limits, job.protocols), (Limits::default(), ScrapeProtocol::DEFAULT.to_vec()));
}

#[test]
fn global_values_hold_where_a_job_has_none() {
    let text = "
global: {scrape_interval: 5s, sample_limit: 7, body_size_limit: 1MB, scrape_native_histograms: false}
scrape_configs: [{job_name: a}, {job_name: b, scrape_interval: 30s, scrape_timeout: 20s, sample_limit: 9}]
";
    let jobs = parse(text).expect("valid").jobs;
    assert_eq!((jobs[0].interval, jobs[0].timeout), (Period::seconds(5), Period::seconds(5)));
    assert_eq!((jobs[1].interval, jobs[1].timeout), (Period::seconds(30), Period::seconds(20)));
    assert_eq!((jobs[0].limits.samples, jobs[1].limits.samples), (7, 9));
    assert_eq!(jobs[1].limits.body_bytes, 1 << 20);
    assert_eq!(jobs[0].protocols, ScrapeProtocol::TEXT);
}

#[test]
fn a_full_file_is_read_verbatim() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/prometheus"));
    let config = ScrapeConfig::load(&folder.join("full.yml"), &|_| Some("x".into())).expect("valid");
    let names: Vec<&str> = config.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["prometheus", "everything", "oauth", "discovered", "from-a-file"]);
    let unsupported: Vec<&str> = config.unsupported.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(unsupported, ["consul", "kubernetes-pods"]);
    assert!(config.unsupported[0].reason.contains("consul_sd_configs"));
    for section in ["alerting", "rule_files", "remote_write", "storage", "global.evaluation_interval"] {
        assert!(config.unused.iter().any(|unused| unused == section), "{section}");
    }
    assert_eq!(config.external_labels.to_string(), "{cluster=\"x-1\", monitor=\"a\"}");
    let everything = &config.jobs[1];
    assert_eq!(everything.http.tls.ca_file.as_deref(), Some(folder.join("certs/ca.pem").as_path()));
    assert_eq!(everything.relabel.len(), 11);
    assert_eq!(config.jobs[3].discovery.len(), 4);
    assert!(!format!("{config:?}").contains("s3cret"), "secrets are not shown");
}

#[test]
fn an_error_names_line_and_key() {
    let rows = [
        ("global:\n  scrape_interva: 5s\n", 2, "scrape_interva"),
        ("scrape_configs:\n- job_name: a\n  scrape_interval: 5\n", 3, "5"),
        ("scrape_configs:\n- job_name: a\n  honor_label: true\n", 3, "honor_label"),
        ("scrape_configs:\n- job_name: a\n- job_name: b\n  scrape_timeout: 2m\n", 3, "scrape_timeout"),
        ("scrape_configs:\n- job_name: a\n- job_name: a\n", 2, "taken"),
        ("scrape_configs:\n- job_name: a\n  scheme: ftp\n", 2, "scheme"),
        (
            "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: keep\n    regex: '('\n",
            5,
            "regex",
        ),
        (
            "scrape_configs:\n- job_name: x\n  static_configs:\n  - targets: ['http://a/b']\n",
            2,
            "static_configs[0].targets",
        ),
        (
            "scrape_configs:\n- job_name: x\n  bearer_token: t\n  basic_auth: {username: u}\n",
            2,
            "bearer_token",
        ),
        ("scrape_configs:\n- job_name: x\n  tls_config: {cert_file: c}\n", 2, "tls_config.cert"),
        (
            "scrape_configs:\n- job_name: x\n  dns_sd_configs: [{names: [a], type: A}]\n",
            2,
            "dns_sd_configs[0].port",
        ),
        (
            "scrape_configs:\n- job_name: x\n  file_sd_configs: [{files: [a.txt]}]\n",
            2,
            "file_sd_configs[0].files",
        ),
        ("global: {scrape_interval: 5s,\n scrape_timeout: 6s}\n", 2, "global.scrape_timeout"),
        ("global: [\n", 1, "global"),
        ("nothing: 1\n", 1, "nothing"),
    ];
    for (text, line, part) in rows {
        let error = parse(text).expect_err(text);
        assert_eq!((error.line, error.message.contains(part)), (Some(line), true), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("conf/prometheus.yml:{line}: ")), "{error}");
    }
}

#[test]
fn an_empty_file_has_no_jobs() {
    for text in ["", "# nothing\n", "scrape_configs:\n", "global:\nscrape_configs: []\n"] {
        assert_eq!(parse(text).expect(text), ScrapeConfig::default());
    }
}

#[test]
fn variables_stand_in_external_labels() {
    for (text, want) in [("$REGION-1", "eu-1"), ("${REGION}x", "eux"), ("$$x", "$x"), ("$", "$"), ("$NO", "")]
    {
        assert_eq!(expand_env(text, &|name| (name == "REGION").then(|| "eu".into())), want, "{text}");
    }
}

#[test]
fn wildcards_are_those_of_a_shell() {
    let rows = [
        ("*.yml", "a.yml", true),
        ("*.yml", "ayml", false),
        ("?.json", "a.json", true),
        ("?.json", "ab.json", false),
        ("[ab]*", "bcd", true),
        ("[^ab]*", "bcd", false),
        ("a.[j", "a.j", false),
    ];
    for (pattern, name, want) in rows {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
}
