//! From what was written to what can be run.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::target::{self, Target, dns_server};
use super::values::{JsonPath, Operator, pattern, shown};
use super::*;

/// Bounds of the interval, seconds: a second and a day.
const INTERVAL_MAX: u32 = 86_400;
/// How often a heartbeat is looked at, at least.
const LOOK_AT_SILENCE: Duration = Duration::from_secs(30);
/// The usual range (HC-10); outside it there is a warning.
const INTERVAL_USUAL: std::ops::RangeInclusive<u32> = 10..=300;
const RETRIES_MAX: u32 = 10;
const THRESHOLD_MAX: u32 = 100;
const TARGET_BYTES_MAX: usize = 2048;
const QUERY_BYTES_MAX: usize = 16 << 10;
const TEXT_BYTES_MAX: usize = 4 << 10;
const BODY_BYTES_MAX: usize = 64 << 10;
/// Entries of each list and map of a check.
const LIST_MAX: usize = 32;
const ECHOES_MAX: u32 = 20;
const GRACE_MAX: u32 = 30 * 86_400;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A check that can be run.
#[derive(Clone, Debug)]
pub struct Check {
    name: String,
    spec: CheckSpec,
    pub(crate) config: Config,
    pub(crate) target: Target,
}

impl Check {
    /// Judges a check; what works and is probably not meant comes back as warnings.
    pub fn new(name: &str, spec: CheckSpec) -> Result<(Self, Vec<Warning>), SpecError> {
        let warnings = common(name, &spec)?;
        let (target, database) = target_of(&spec)?;
        let mut config = config_of(&spec, &target)?;
        if let Config::Postgresql(config) | Config::Mysql(config) = &mut config
            && !database.is_empty()
        {
            config.database = Some(database);
        }
        Ok((Self { name: name.to_owned(), spec, config, target }, warnings))
    }

    /// The name of the object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it was written.
    pub fn spec(&self) -> &CheckSpec {
        &self.spec
    }

    /// From one run to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.spec.interval.into())
    }

    /// How often it is looked at: a heartbeat oftener than it reports, so that its silence is noticed soon.
    pub fn every(&self) -> Duration {
        if self.spec.kind == CheckType::Heartbeat {
            self.interval().min(LOOK_AT_SILENCE)
        } else {
            self.interval()
        }
    }

    /// What one attempt may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.spec.timeout.into())
    }

    /// Attempts before a run has failed.
    pub(crate) fn attempts(&self) -> u32 {
        if self.spec.kind.is_retried() { self.spec.retries.max(1) } else { 1 }
    }
}

/// An error about a field, with what it is.
fn wrong(field: &str, value: impl Serialize, remedy: impl Into<String>) -> SpecError {
    let value = serde_json::to_value(value).unwrap_or_default();
    let value = if is_secret(field) { "a secret".to_owned() } else { shown(&value) };
    SpecError { field: field.to_owned(), value, remedy: remedy.into() }
}

/// An error of serde, with its path below `prefix`.
pub(super) fn serde_error(
    prefix: &str,
    root: &Value,
    path: &serde_path_to_error::Path,
    error: &serde_json::Error,
) -> SpecError {
    use serde_path_to_error::Segment;
    let (mut field, mut value) = (prefix.to_owned(), Some(root));
    for segment in path.iter() {
        match segment {
            Segment::Map { key } => {
                field.push_str(if field.is_empty() { "" } else { "." });
                field.push_str(key);
                value = value.and_then(|value| value.get(key));
            }
            Segment::Seq { index } => {
                field.push_str(&format!("[{index}]"));
                value = value.and_then(|value| value.get(index));
            }
            // The name of a variant is part of the value, and what is unknown has no name.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if field.is_empty() {
        field = "the check".into();
    }
    // An object is the place of a missing or unknown part, which the error names.
    let value = match value {
        // Its value is not shown: it may be a secret whose name is misspelt.
        _ if error.to_string().starts_with("unknown field") => Value::String("not known".into()),
        Some(Value::Object(_)) => Value::String("not as it should be".into()),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    let remedy = match field.as_str() {
        // The error of a secret of another type would repeat it.
        field if is_secret(field) => "write a text".into(),
        "type" => {
            let names: Vec<&str> = CheckType::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("write one of {}", names.join(", "))
        }
        _ => error.to_string(),
    };
    wrong(&field, value, remedy)
}

fn within(field: &str, value: u32, min: u32, max: u32, unit: &str) -> Result<(), SpecError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(wrong(field, value, format!("write a whole number of {unit} from {min} to {max}")))
}

fn at_most(field: &str, length: usize, max: usize, what: &str) -> Result<(), SpecError> {
    if length <= max {
        return Ok(());
    }
    Err(wrong(field, format!("{length} {what}"), format!("at most {max} {what} are taken")))
}

fn percent(field: &str, value: f64) -> Result<(), SpecError> {
    if (0.0..=100.0).contains(&value) {
        return Ok(());
    }
    Err(wrong(field, value, "write a share from 0 to 100"))
}

/// What does not depend on the type.
fn common(name: &str, spec: &CheckSpec) -> Result<Vec<Warning>, SpecError> {
    if name.is_empty() || name.len() > 200 {
        return Err(wrong("name", name, "write a name of 1 to 200 bytes"));
    }
    within("interval", spec.interval, 1, INTERVAL_MAX, "seconds")?;
    within("timeout", spec.timeout, 1, INTERVAL_MAX, "seconds")?;
    if spec.timeout > spec.interval {
        let remedy = format!("write at most the interval, which is {} seconds", spec.interval);
        return Err(wrong("timeout", spec.timeout, remedy));
    }
    within("retries", spec.retries, 0, RETRIES_MAX, "attempts")?;
    within("failureThreshold", spec.failure_threshold, 1, THRESHOLD_MAX, "runs")?;
    within("successThreshold", spec.success_threshold, 1, THRESHOLD_MAX, "runs")?;
    let target_max = if spec.kind == CheckType::Query { QUERY_BYTES_MAX } else { TARGET_BYTES_MAX };
    at_most("target", spec.target.len(), target_max, "bytes")?;
    at_most("description", spec.description.len(), TEXT_BYTES_MAX, "bytes")?;
    at_most("runbook", spec.runbook.as_ref().map_or(0, String::len), TARGET_BYTES_MAX, "bytes")?;
    at_most("labels", spec.labels.len(), LIST_MAX, "labels")?;
    for (field, list) in [("dependsOn", &spec.depends_on), ("locations", &spec.locations)] {
        at_most(field, list.len(), LIST_MAX, "names")?;
        if list.iter().any(|name| name.is_empty() || name.len() > 200) {
            return Err(wrong(field, list, "write names of 1 to 200 bytes"));
        }
    }
    if spec.depends_on.iter().any(|parent| parent == name) {
        return Err(wrong("dependsOn", &spec.depends_on, "a check cannot depend on itself"));
    }
    if let Some(quorum) = spec.quorum {
        within("quorum", quorum, 1, spec.locations.len().max(1) as u32, "locations")?;
    }
    if spec.kind == CheckType::Command && spec.locations.is_empty() {
        let remedy = "name the agents that run the command; the server runs none";
        return Err(wrong("locations", &spec.locations, remedy));
    }
    let mut warnings = Vec::new();
    if !INTERVAL_USUAL.contains(&spec.interval) && !spec.kind.any_interval() {
        let text = format!("{} s is outside the usual 10 to 300 s", spec.interval);
        warnings.push(Warning { field: "interval".into(), text });
    }
    Ok(warnings)
}

/// What the target is, and the database that it names.
fn target_of(spec: &CheckSpec) -> Result<(Target, String), SpecError> {
    let refuse = |remedy: String| {
        // Where it holds a password it is not repeated.
        let shown = if spec.target.contains('@') { "an address" } else { &spec.target };
        wrong("target", shown, remedy)
    };
    let endpoint = |schemes, port| target::endpoint(&spec.target, schemes, port);
    let endpoint = |schemes, port| endpoint(schemes, port).map(|(e, rest)| (Target::Endpoint(e), rest));
    let url =
        |schemes: &[&str]| target::url(&spec.target, schemes).map(|url| (Target::Url(url), String::new()));
    let text = |remedy: &str| match spec.target.trim().is_empty() {
        true => Err(remedy.to_owned()),
        false => Ok((Target::Text, String::new())),
    };
    match spec.kind {
        CheckType::Http | CheckType::ExternalApi => url(&["https", "http"]),
        CheckType::WebSocket => url(&["wss", "ws"]),
        CheckType::Tcp => endpoint(&[("tcp", false)], None),
        CheckType::Tls => endpoint(&[("tls", true), ("https", true)], Some(443)),
        CheckType::Icmp => endpoint(&[], Some(7)),
        CheckType::Grpc => endpoint(&[("grpc", false), ("grpcs", true)], None),
        CheckType::Redis => endpoint(&[("redis", false), ("rediss", true)], Some(6379)),
        CheckType::Postgresql => endpoint(&[("postgres", false), ("postgresql", false)], Some(5432)),
        CheckType::Mysql => endpoint(&[("mysql", false), ("mariadb", false)], Some(3306)),
        CheckType::Database => match spec.target.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                endpoint(&[("postgres", false), ("postgresql", false)], Some(5432))
            }
            Some(("mysql" | "mariadb", _)) => endpoint(&[("mysql", false), ("mariadb", false)], Some(3306)),
            _ => Err("begin it with postgres:// or mysql://, or with type redis check Redis".into()),
        },
        CheckType::Dns => text("write the name whose records are looked up"),
        CheckType::Disk => match spec.target.starts_with('/') {
            true => text(""),
            false => Err("write an absolute path, like /".into()),
        },
        CheckType::Query => text("write the query"),
        CheckType::Command => text("name a command that the agent allows"),
        CheckType::Custom => text("name a function that the program registered"),
        CheckType::Memory | CheckType::Heartbeat => Ok((Target::Text, String::new())),
    }
    .map_err(refuse)
}

fn read<T: DeserializeOwned>(spec: &CheckSpec) -> Result<T, SpecError> {
    let value = Value::Object(spec.config.clone().unwrap_or_default());
    serde_path_to_error::deserialize(&value)
        .map_err(|error| serde_error("config", &value, error.path(), error.inner()))
}

fn config_of(spec: &CheckSpec, target: &Target) -> Result<Config, SpecError> {
    Ok(match spec.kind {
        CheckType::Http | CheckType::ExternalApi => Config::Http(Box::new(http(read(spec)?, spec.timeout)?)),
        CheckType::Tcp => {
            let config: TcpConfig = read(spec)?;
            lengths(&[("config.send", &config.send), ("config.expect", &config.expect)])?;
            Config::Tcp(config)
        }
        CheckType::Tls => {
            let config: TlsConfig = read(spec)?;
            tls_options(&config.tls)?;
            at_most("config.names", config.names.len(), LIST_MAX, "names")?;
            Config::Tls(config)
        }
        CheckType::Dns => {
            let config: DnsConfig = read(spec)?;
            at_most("config.expected", config.expected.len(), LIST_MAX, "values")?;
            if let Some(server) = &config.server {
                dns_server(server).map_err(|remedy| wrong("config.server", server, remedy))?;
            }
            Config::Dns(config)
        }
        CheckType::Icmp => {
            let config: IcmpConfig = read(spec)?;
            within("config.count", config.count, 1, ECHOES_MAX, "echo requests")?;
            percent("config.maxLossPercent", config.max_loss_percent)?;
            Config::Icmp(config)
        }
        CheckType::Grpc => {
            let config: GrpcConfig = read(spec)?;
            tls_options(&config.tls)?;
            headers("config.metadata", &config.metadata)?;
            at_most("config.service", config.service.len(), TARGET_BYTES_MAX, "bytes")?;
            Config::Grpc(config)
        }
        CheckType::WebSocket => {
            let config: WebSocketConfig = read(spec)?;
            tls_options(&config.tls)?;
            headers("config.headers", &config.headers)?;
            lengths(&[("config.send", &config.send), ("config.expect", &config.expect)])?;
            Config::WebSocket(config)
        }
        CheckType::Postgresql => Config::Postgresql(database(read(spec)?)?),
        CheckType::Mysql => Config::Mysql(database(read(spec)?)?),
        CheckType::Database
            if matches!(target, Target::Endpoint(_)) && spec.target.starts_with("postgres") =>
        {
            Config::Postgresql(database(read(spec)?)?)
        }
        CheckType::Database => Config::Mysql(database(read(spec)?)?),
        CheckType::Redis => {
            let config: RedisConfig = read(spec)?;
            tls_options(&config.tls)?;
            Config::Redis(config)
        }
        CheckType::Disk => {
            let config: DiskConfig = read(spec)?;
            percent("config.maxUsedPercent", config.max_used_percent.unwrap_or(0.0))?;
            percent("config.minFreePercent", config.min_free_percent.unwrap_or(0.0))?;
            Config::Disk(config)
        }
        CheckType::Memory => {
            let config: MemoryConfig = read(spec)?;
            percent("config.maxUsedPercent", config.max_used_percent)?;
            Config::Memory(config)
        }
        CheckType::Heartbeat => {
            let config: HeartbeatConfig = read(spec)?;
            within("config.grace", config.grace, 0, GRACE_MAX, "seconds")?;
            Config::Heartbeat(config)
        }
        CheckType::Query => {
            let config: QueryConfig = read(spec)?;
            if !config.operator.is_for_numbers() {
                return Err(wrong("config.operator", config.operator, "write one of ==, !=, >, >=, <, <="));
            }
            Config::Query(config)
        }
        CheckType::Command => {
            let config: CommandConfig = read(spec)?;
            at_most("config.args", config.args.len(), LIST_MAX, "arguments")?;
            at_most("config.args", config.args.iter().map(String::len).sum(), TEXT_BYTES_MAX, "bytes")?;
            Config::Command(config)
        }
        CheckType::Custom => Config::Custom(read(spec)?),
    })
}

fn http(mut config: HttpConfig, timeout: u32) -> Result<HttpPlan, SpecError> {
    config.method.make_ascii_uppercase();
    if !METHODS.contains(&config.method.as_str()) {
        return Err(wrong("config.method", &config.method, format!("write one of {}", METHODS.join(", "))));
    }
    headers("config.headers", &config.headers)?;
    tls_options(&config.tls)?;
    lengths(&[("config.body", &config.body), ("config.bodyMatches", &config.body_matches)])?;
    at_most("config.expectedStatus", config.expected_status.len(), LIST_MAX, "entries")?;
    for (field, list) in [
        ("config.bodyContains", &config.body_contains),
        ("config.bodyNotContains", &config.body_not_contains),
    ] {
        at_most(field, list.len(), LIST_MAX, "texts")?;
        at_most(field, list.iter().map(String::len).sum(), BODY_BYTES_MAX, "bytes")?;
    }
    if let Some(max) = config.max_response_time_ms {
        within("config.maxResponseTimeMs", max, 1, timeout.saturating_mul(1000), "milliseconds")?;
    }
    let body_matches = match &config.body_matches {
        Some(text) => Some(pattern(text).map_err(|error| wrong("config.bodyMatches", text, error))?),
        None => None,
    };
    at_most("config.json", config.json.len(), LIST_MAX, "assertions")?;
    let mut json = Vec::new();
    for (index, assertion) in config.json.iter().enumerate() {
        let field = |name: &str| format!("config.json[{index}].{name}");
        let path = JsonPath::parse(&assertion.path).map_err(|e| wrong(&field("path"), &assertion.path, e))?;
        if assertion.operator == Operator::Matches {
            let text = assertion.value.as_str().unwrap_or_default();
            pattern(text).map_err(|error| wrong(&field("value"), &assertion.value, error))?;
        }
        json.push((path, assertion.clone()));
    }
    Ok(HttpPlan { config, body_matches, json })
}

fn database(config: DatabaseConfig) -> Result<DatabaseConfig, SpecError> {
    tls_options(&config.tls)?;
    lengths(&[("config.query", &config.query), ("config.expect", &config.expect)])?;
    let nul = |text: &str| text.contains('\0');
    if nul(&config.username) || config.database.as_deref().is_some_and(nul) {
        return Err(wrong("config.username", "a text with NUL", "leave NUL out of user and database"));
    }
    Ok(config)
}

fn headers(field: &str, headers: &BTreeMap<String, Secret>) -> Result<(), SpecError> {
    at_most(field, headers.len(), LIST_MAX, "entries")?;
    for (name, value) in headers {
        if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(wrong(field, name, "that is no name of a header"));
        }
        if reqwest::header::HeaderValue::from_str(value.reveal()).is_err()
            || value.reveal().len() > TEXT_BYTES_MAX
        {
            return Err(wrong(&format!("{field}.{name}"), "", "write one line of at most 4096 bytes"));
        }
    }
    Ok(())
}

fn tls_options(options: &TlsOptions) -> Result<(), SpecError> {
    crate::check::tls::judge(options)
        .map_err(|(field, remedy)| wrong(&format!("config.tls.{field}"), "not as it should be", remedy))
}

fn lengths(texts: &[(&str, &Option<String>)]) -> Result<(), SpecError> {
    texts.iter().try_for_each(|(field, text)| {
        at_most(field, text.as_ref().map_or(0, String::len), BODY_BYTES_MAX, "bytes")
    })
}
