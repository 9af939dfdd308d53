use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::registry::{Registration, ServiceRegistry};

/// A folder with configuration files.
struct Folder {
    folder: tempfile::TempDir,
    sources: ConfigSources,
}

fn folder(files: &[(&str, &str)]) -> Folder {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let data = folder.path().join("data").display().to_string();
    let sources = ConfigSources {
        folder: folder.path().to_owned(),
        env: HashMap::from([("BELLWETHER_DATA".to_owned(), data)]),
        ..ConfigSources::default()
    };
    Folder { folder, sources }
}

impl Folder {
    fn load(&self, environment: &str) -> Result<Arc<ConfigurationManager>, ConfigError> {
        ConfigurationManager::load(environment, self.sources.clone(), SystemClock::shared())
    }

    /// The error, without the folder's name.
    fn error(&self) -> String {
        let text = self.load("testing").unwrap_err().to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn value(manager: &ConfigurationManager, key: &str) -> (String, String) {
    let row = manager.rows().into_iter().find(|row| row.key == key).unwrap();
    let source = row.source.rsplit('/').next().unwrap().to_owned();
    (row.value, source)
}

#[test]
fn a_stronger_layer_wins_and_is_named() {
    let mut f = folder(&[
        (
            "bellwether.toml",
            "[database]\npool_size = 2\ntimeout_ms = 100\n[retention]\nmetrics = \"1d\"\nlogs = \"2d\"\n",
        ),
        ("bellwether.testing.toml", "[database]\npoolSize = 3\n"),
    ]);
    f.sources.env.insert("BELLWETHER_RETENTION__METRICS".into(), "3d".into());
    f.sources.env.insert("BELLWETHER_RETENTION__LOGS".into(), "3d".into());
    f.sources.flags = vec!["retention.logs=4d".into()];
    let m = f.load("testing").unwrap();
    for (key, want, source) in [
        ("database.timeout_ms", "100", "bellwether.toml:3"),
        ("database.pool_size", "3", "bellwether.testing.toml:2"),
        ("retention.metrics", "3d", "env BELLWETHER_RETENTION__METRICS"),
        ("retention.logs", "4d", "flag"),
        ("retention.traces", "7d", "default"),
    ] {
        assert_eq!(value(&m, key), (want.to_owned(), source.to_owned()), "{key}");
    }
    assert_eq!(m.settings().retention.logs, Some(Duration::from_secs(4 * 86_400)));
}

#[test]
fn each_environment_has_its_overlay_and_there_are_four() {
    let f = folder(&[
        ("bellwether.toml", "[query]\nsamples = 1000\n"),
        ("bellwether.staging.yaml", "query:\n  samples: 2000\n"),
    ]);
    for (environment, want) in
        [("development", 1000), ("testing", 1000), ("staging", 2000), ("production", 1000)]
    {
        assert_eq!(f.load(environment).unwrap().settings().query.samples, want, "{environment}");
    }
    let unknown = f.load("prod").unwrap_err().to_string();
    assert_eq!(unknown, "unknown environment \"prod\"; use development, testing, staging or production");
}

#[test]
fn errors_name_file_line_key_value_and_remedy() {
    for (file, text, want) in [
        (
            "bellwether.toml",
            "\n[retention]\nmetrics = \"30x\"\n",
            "bellwether.toml:3: retention.metrics: \"30x\" is not a duration; write a number with its unit, \
             such as 30d, 12h, 5m, 15s, 100ms, or off",
        ),
        (
            "bellwether.toml",
            "[databse]\nurl = \"x\"\n",
            "bellwether.toml:2: databse.url: unknown key; did you mean database.url?",
        ),
        ("bellwether.toml", "[server]\nlisten = \n", "bellwether.toml:2: "),
        (
            "bellwether.yaml",
            "tracing:\n  # kept\n  samplingRate: 1.5\n",
            "bellwether.yaml:3: tracing.samplingRate: 1.5 must be between 0 and 1",
        ),
        ("bellwether.yaml", "a: [\n", "bellwether.yaml:"),
        (
            "bellwether.toml",
            "[performance]\nbatchSize = 0\n",
            "bellwether.toml:2: performance.batchSize: 0 must be between 1 and 100000",
        ),
        (
            "bellwether.toml",
            "[bus]\nurl = \"memory:\"\n[cache]\nurl = \"redis://x\"\n",
            "bellwether.toml:4: cache.url: redis://x contradicts bus.url = memory: (bellwether.toml:2); \
             both set bus.url, keep one of them",
        ),
        (
            "bellwether.toml",
            "[auth]\nlocal = \"open\"\n[server]\nlisten = \"0.0.0.0:4300\"\n",
            "bellwether.toml:2: auth.local: open needs every listener and server.external_url on loopback, server.listen is not; \
             write required",
        ),
        (
            "bellwether.toml",
            "[auth]\nlocal = \"open\"\n[server]\nexternal_url = \"https://obs.example.com\"\n",
            "bellwether.toml:2: auth.local: open needs every listener and server.external_url on loopback, \
             server.external_url is not; write required",
        ),
        (
            "bellwether.toml",
            "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/33\"]\n",
            "bellwether.toml:2: server.trusted_proxies: \"10.0.0.0/33\" is no range of addresses such as 10.1.0.0/16",
        ),
        (
            "bellwether.toml",
            "[database]\nurl = \"mysql://x\"\n",
            "bellwether.toml:2: database.url: scheme \"mysql\" is not supported; use sqlite, postgres, postgresql",
        ),
        (
            "bellwether.toml",
            "[server]\nexternal_url = \"${NOT_SET}\"\n",
            "bellwether.toml:2: server.external_url: needs the environment variable NOT_SET; set it, or write ${NOT_SET:default}",
        ),
    ] {
        let error = folder(&[(file, text)]).error();
        assert!(error.starts_with(want), "{error}");
    }
}

#[test]
fn every_problem_of_every_layer_is_listed() {
    let mut f = folder(&[("bellwether.toml", "[database]\npool_size = 0\nnope = 1\n")]);
    f.sources.env.insert("BELLWETHER_QUERY__TIMEOUT".into(), "soon".into());
    f.sources.flags = vec!["logging.level=loud".into(), "nonsense".into()];
    let Err(ConfigError::Invalid(problems)) = f.load("testing") else { panic!("accepted") };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["nonsense", "database.nope", "database.pool_size", "query.timeout", "logging.level"]);
}

#[test]
fn the_specifications_keys_are_accepted_in_both_spellings() {
    let yaml = "enabled: true\ncollectInterval: 2\nretentionDays: 1\n\
        services: {database: true, redis: false, externalApis: ['http://a', 'http://b']}\n\
        metrics: {system: false, application: true, custom: true}\n\
        alerts: {enabled: true, defaultChannels: [ops, {type: email, config: {to: x}}]}\n\
        logging: {level: warn, retention: 3}\ntracing: {enabled: true, samplingRate: 0.25}\n\
        cache: {url: 'memory:', ttlSeconds: 5, maxConnections: 4}\n";
    let m = folder(&[("bellwether.yaml", yaml)]).load("testing").unwrap();
    let s = m.settings();
    assert_eq!(s.general.collect_interval, Seconds(Duration::from_secs(2)));
    assert_eq!(s.retention.metrics, Some(Duration::from_secs(86_400)));
    assert_eq!(s.retention.logs, Some(Duration::from_secs(3 * 86_400)));
    assert_eq!(s.services.external_apis, ["http://a", "http://b"]);
    assert_eq!(s.alerts.default_channels, json!(["ops", {"type": "email", "config": {"to": "x"}}]));
    assert_eq!((s.cache.ttl_seconds, s.tracing.sampling_rate), (5, 0.25));
    assert_eq!(value(&m, "retention.metrics").1, "bellwether.yaml:3");
}

#[test]
fn alias_and_key_may_agree() {
    let toml = "retention_days = 2\n[retention]\nmetrics = \"48h\"\n";
    let m = folder(&[("bellwether.toml", toml)]).load("testing").unwrap();
    assert_eq!(value(&m, "retention.metrics").0, "2d");
}

#[test]
fn storage_and_database_follow_the_data_folder_and_secrets_stay_hidden() {
    let mut f = folder(&[]);
    let m = f.load("testing").unwrap();
    let data = f.folder.path().join("data").display().to_string();
    assert_eq!(m.settings().storage.url.expose(), format!("file://{data}"));
    assert_eq!(m.settings().database.url.expose(), format!("sqlite://{data}"));
    f.sources.flags = vec!["database.url=postgres://u:s3cret@h/d".into()];
    let m = f.load("testing").unwrap();
    assert_eq!(value(&m, "database.url").0, "postgres://u:***@h/d");
    f.sources.flags.push("smtp.password=s3cret".into());
    let m = f.load("testing").unwrap();
    assert_eq!(
        (value(&m, "smtp.password").0.as_str(), m.settings().smtp.password.expose()),
        ("***", "s3cret")
    );
    assert!(!format!("{:?} {:?}", m.settings(), m).contains("s3cret"));
}

#[test]
fn reaching_other_machines_asks_for_keys() {
    let mut f = folder(&[]);
    assert_eq!(f.load("testing").unwrap().settings().auth.local, settings::LocalAuth::Open);
    for (flag, want) in [
        ("server.listen=0.0.0.0:4300", settings::LocalAuth::Required),
        // A proxy in front of a listener on loopback.
        ("server.external_url=https://obs.example.com", settings::LocalAuth::Required),
        ("server.external_url=http://localhost:4300", settings::LocalAuth::Open),
    ] {
        f.sources.flags = vec![flag.into()];
        assert_eq!(f.load("testing").unwrap().settings().auth.local, want, "{flag}");
    }
}

#[test]
fn a_good_edit_is_applied_and_a_bad_one_keeps_the_old() {
    let f = folder(&[("bellwether.toml", "[query]\nsamples = 1000\n[database]\npool_size = 2\n")]);
    let file = f.folder.path().join("bellwether.toml");
    let m = f.load("testing").unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let note = seen.clone();
    m.watch(move |settings| note.store(settings.query.samples, Ordering::Relaxed));
    let live = m.live();

    fs::write(&file, "[query]\nsamples = 22000\n[database]\npool_size = 9\n").unwrap();
    let reloaded = m.poll().unwrap().unwrap();
    assert_eq!(
        reloaded.applied.iter().map(|c| (c.key, c.to.as_str())).collect::<Vec<_>>(),
        [("query.samples", "22000")]
    );
    assert_eq!(reloaded.needs_restart.iter().map(|c| c.key).collect::<Vec<_>>(), ["database.pool_size"]);
    assert_eq!((seen.load(Ordering::Relaxed), live.load().query.samples), (22_000, 22_000));
    assert_eq!(live.load().database.pool_size, 2, "waits for a restart");
    assert!(m.poll().is_none());

    fs::write(&file, "[query]\nsamples = \"many\"\n").unwrap();
    assert!(m.poll().unwrap().is_err());
    assert_eq!(live.load().query.samples, 22_000);
    assert!(m.last_error().unwrap().contains("query.samples: \"many\" is not a whole number"));

    fs::remove_file(&file).unwrap();
    m.poll().unwrap().unwrap();
    assert_eq!(live.load().query.samples, 50_000_000);
    assert_eq!(m.last_error(), None);
}

#[test]
fn updates_persist_or_are_refused() {
    let mut f = folder(&[("bellwether.toml", "[cache]\nttl_seconds = 60\n")]);
    f.sources.flags = vec!["query.samples=5000".into()];
    let m = f.load("testing").unwrap();
    m.update("cache.ttlSeconds", json!(5)).unwrap();
    assert_eq!(m.settings().cache.ttl_seconds, 5);
    assert_eq!(
        value(&f.load("testing").unwrap(), "cache.ttl_seconds"),
        ("5".to_owned(), "override".to_owned())
    );
    for (path, value, want) in [
        (
            "database.pool_size",
            json!(3),
            "database.pool_size cannot change while running; set it in the file and restart",
        ),
        ("cache.ttl_seconds", json!(0), "override: cache.ttl_seconds: 0 must be between 1 and 86400"),
        (
            "cache.tttl_seconds",
            json!(1),
            "override: cache.tttl_seconds: unknown key; did you mean cache.ttl_seconds?",
        ),
        ("query.samples", json!(9000), "query.samples is set by flag, which wins; change it there"),
        ("cache", json!({}), "cache cannot change while running; set it in the file and restart"),
    ] {
        assert_eq!(m.update(path, value).unwrap_err().to_string(), want);
    }
    assert_eq!(m.settings().cache.ttl_seconds, 5);
}

#[test]
fn validation_lists_problems_with_their_paths() {
    let good = ConfigurationManager::validate(&json!({"retention": {"metrics": "off"}, "enabled": false}));
    assert!(good.is_valid());
    let bad =
        ConfigurationManager::validate(&json!({"retention": {"metrics": 5}, "otlp": {"grpc": "x"}, "z": 1}));
    let paths: Vec<_> = bad.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(paths, ["z", "otlp.grpc", "retention.metrics"]);
    assert!(!ConfigurationManager::validate(&Value::Null).is_valid());
}

#[test]
fn a_thousand_reloads_succeed() {
    let f = folder(&[("bellwether.toml", "")]);
    let m = f.load("testing").unwrap();
    for n in 0..1000u64 {
        fs::write(f.folder.path().join("bellwether.toml"), format!("[query]\nsamples = {}\n", 1000 + n))
            .unwrap();
        m.reload().unwrap();
        assert_eq!(m.settings().query.samples, 1000 + n);
    }
}

#[test]
fn unknown_variables_of_the_family_only_warn() {
    let mut f = folder(&[]);
    for name in ["LOG", "ENVIRONMENT", "CONFIG", "TEST_POSTGRES"] {
        f.sources.env.insert(format!("BELLWETHER_{name}"), "x".into());
    }
    assert_eq!(f.load("testing").unwrap().warnings(), ["env BELLWETHER_LOG is not a setting"]);
}

#[test]
fn a_named_file_must_exist_and_may_not_be_huge() {
    let mut f = folder(&[("huge.toml", &"#".repeat(2 << 20))]);
    f.sources.file = Some(f.folder.path().join("missing.toml"));
    assert!(f.error().starts_with("cannot read missing.toml"));
    f.sources.file = Some(f.folder.path().join("huge.toml"));
    assert!(f.error().contains("at most 1048576 are read"));
}

#[tokio::test]
async fn as_a_service_it_picks_up_edits_by_itself() {
    let f = folder(&[("bellwether.toml", "")]);
    let clock = ManualClock::at(0);
    let m = ConfigurationManager::load("testing", f.sources.clone(), Arc::new(clock.clone())).unwrap();
    let registry = ServiceRegistry::new(Arc::new(clock.clone()));
    registry.register(Registration::instance("config", m.clone())).unwrap();
    registry.start_all().await.unwrap();
    fs::write(f.folder.path().join("bellwether.toml"), "[query]\nsamples = 7000\n").unwrap();
    clock.run_for(Duration::from_secs(2)).await;
    assert_eq!(m.settings().query.samples, 7000);
    fs::write(f.folder.path().join("bellwether.toml"), "[query\n").unwrap();
    clock.run_for(Duration::from_secs(2)).await;
    assert_eq!(registry.health_check("config").await.status.as_str(), "degraded");
}
