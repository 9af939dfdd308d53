//! One checked job: everything that a scrape needs, with defaults filled in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::Labels;

use super::http::HttpConfig;
use super::values::{NameEscaping, NameScheme, Period, ScrapeProtocol, short};
use super::yaml::{DnsSdYaml, FileSdYaml, GlobalYaml, HttpSdYaml, ScrapeYaml, StaticYaml};
use crate::scrape::relabel::Rule;

/// One job of `scrape_configs`.
#[derive(Clone, Debug, PartialEq)]
pub struct JobConfig {
    /// Its name, the default `job` label.
    pub name: String,
    /// Between two scrapes of a target.
    pub interval: Period,
    /// What a scrape may take.
    pub timeout: Period,
    /// Formats to ask for, best first.
    pub protocols: Vec<ScrapeProtocol>,
    /// What to assume of a target that does not say which format it answers in.
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// `/metrics` unless given.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Parameters of the URL.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether a target's own labels win over those of the target.
    pub honor_labels: bool,
    /// Whether a target's own timestamps are kept.
    pub honor_timestamps: bool,
    /// Whether series with their own timestamps get staleness markers.
    pub track_timestamps_staleness: bool,
    /// Whether gzip is asked for.
    pub enable_compression: bool,
    /// How requests are made.
    pub http: HttpConfig,
    /// What a target may send.
    pub limits: Limits,
    /// Dropped targets that are kept for the page; 0 keeps up to a built-in bound.
    pub keep_dropped_targets: usize,
    /// Histograms.
    pub histograms: HistogramConfig,
    /// Whether the limits are written as series too.
    pub extra_metrics: bool,
    /// Which names are valid.
    pub names: NameScheme,
    /// How targets are asked to write other names.
    pub escaping: NameEscaping,
    /// Rules for targets.
    pub relabel: Vec<Rule>,
    /// Rules for samples.
    pub metric_relabel: Vec<Rule>,
    /// Where targets come from.
    pub discovery: Vec<DiscoveryConfig>,
}

/// What a target may send; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an answer, uncompressed.
    pub body_bytes: u64,
    /// Samples after relabelling.
    pub samples: u64,
    /// Labels of a series.
    pub labels: u64,
    /// Bytes of a label name.
    pub label_name_bytes: u64,
    /// Bytes of a label value.
    pub label_value_bytes: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Buckets of a native histogram; a histogram with more is made coarser.
    pub histogram_buckets: u64,
}

/// What becomes of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HistogramConfig {
    /// Whether native ones are asked for and kept.
    pub native: bool,
    /// Whether classic series are kept beside a native histogram.
    pub always_classic: bool,
    /// Whether classic ones become native ones with custom buckets.
    pub convert_classic: bool,
    /// Smallest factor between two buckets; finer histograms are made coarser. 0 is no limit.
    pub min_bucket_factor: f64,
}

/// Where targets come from.
#[derive(Clone, Debug, PartialEq)]
pub enum DiscoveryConfig {
    /// Written in the configuration.
    Static(Vec<TargetGroup>),
    /// Files of target groups, JSON or YAML.
    File {
        /// Paths; the last part may hold wildcards.
        files: Vec<PathBuf>,
        /// How often they are read even when they did not change.
        refresh: Period,
    },
    /// Records of the domain name system.
    Dns {
        /// What to ask for.
        names: Vec<String>,
        /// Which records.
        kind: DnsKind,
        /// The port of targets, which only SRV records know themselves.
        port: u16,
        /// How often to ask.
        refresh: Period,
    },
    /// A server that lists target groups as JSON.
    Http {
        /// Its address.
        url: String,
        /// How it is asked.
        http: Box<HttpConfig>,
        /// How often.
        refresh: Period,
    },
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Services: host and port.
    Srv,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
}

/// Targets that share labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// One set for each target, at least `__address__`.
    pub targets: Vec<Labels>,
    /// Labels of all of them.
    pub labels: Labels,
}

impl TargetGroup {
    /// From addresses and shared labels; further labels are added to the shared ones.
    pub(in crate::scrape) fn new(yaml: StaticYaml, meta: &[(&str, &str)]) -> Self {
        let address = |address: &String| {
            let pair = [("__address__", address.as_str())];
            Labels::from_pairs(pair).unwrap_or_default()
        };
        let mut labels = Labels::empty().to_builder();
        for (name, value) in yaml.labels.iter().flatten() {
            labels.set(name, value);
        }
        for (name, value) in meta {
            labels.set(name, value);
        }
        Self { targets: yaml.targets.iter().flatten().map(address).collect(), labels: labels.build() }
    }
}

/// A key of a job and what is wrong with it.
pub(super) type JobError = (String, String);

const DEFAULT_INTERVAL: Period = Period::seconds(60);
const DEFAULT_TIMEOUT: Period = Period::seconds(10);

/// Checks one entry; relative paths are taken from `folder`.
pub(super) fn check(yaml: ScrapeYaml, global: &GlobalYaml, folder: &Path) -> Result<JobConfig, JobError> {
    let resolve = |path: PathBuf| folder.join(path);
    let at = |(key, message): (&str, String)| (key.to_owned(), message);
    if yaml.job_name.is_empty() {
        return Err(at(("job_name", "must not be empty".into())));
    }
    let (interval, timeout) = check_times(&yaml, global).map_err(at)?;
    let histograms = check_histograms(&yaml, global).map_err(at)?;
    let protocols = check_protocols(&yaml, global, histograms.native).map_err(at)?;
    let scheme = yaml.scheme.clone().unwrap_or_else(|| "http".into()).to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(at(("scheme", format!("{:?} is unknown; use http or https", short(&scheme)))));
    }
    let pick = |own: Option<u64>, global: Option<u64>| own.or(global).unwrap_or_default();
    let limits = Limits {
        body_bytes: yaml.body_size_limit.or(global.body_size_limit).unwrap_or_default().0,
        samples: pick(yaml.sample_limit, global.sample_limit),
        labels: pick(yaml.label_limit, global.label_limit),
        label_name_bytes: pick(yaml.label_name_length_limit, global.label_name_length_limit),
        label_value_bytes: pick(yaml.label_value_length_limit, global.label_value_length_limit),
        targets: pick(yaml.target_limit, global.target_limit),
        histogram_buckets: yaml.native_histogram_bucket_limit.unwrap_or_default(),
    };
    let kept = pick(yaml.keep_dropped_targets, global.keep_dropped_targets);
    let discovery = check_discovery(&yaml, &resolve)?;
    let names = yaml.metric_name_validation_scheme.or(global.metric_name_validation_scheme);
    let escaping = yaml.metric_name_escaping_scheme.or(global.metric_name_escaping_scheme);
    let names = names.unwrap_or_default();
    Ok(JobConfig {
        interval,
        timeout,
        protocols,
        fallback_protocol: yaml.fallback_scrape_protocol,
        metrics_path: yaml.metrics_path.clone().unwrap_or_else(|| "/metrics".into()),
        scheme,
        honor_labels: yaml.honor_labels.unwrap_or(false),
        honor_timestamps: yaml.honor_timestamps.unwrap_or(true),
        track_timestamps_staleness: yaml.track_timestamps_staleness.unwrap_or(false),
        enable_compression: yaml.enable_compression.unwrap_or(true),
        http: yaml.http().check(&resolve).map_err(at)?,
        limits,
        keep_dropped_targets: usize::try_from(kept).unwrap_or(usize::MAX),
        histograms,
        extra_metrics: yaml.extra_scrape_metrics.or(global.extra_scrape_metrics).unwrap_or(false),
        names,
        escaping: escaping.unwrap_or(match names {
            NameScheme::Utf8 => NameEscaping::AllowUtf8,
            NameScheme::Legacy => NameEscaping::Underscores,
        }),
        params: yaml.params.unwrap_or_default(),
        relabel: yaml.relabel_configs.unwrap_or_default(),
        metric_relabel: yaml.metric_relabel_configs.unwrap_or_default(),
        discovery,
        name: yaml.job_name,
    })
}

fn check_times(yaml: &ScrapeYaml, global: &GlobalYaml) -> Result<(Period, Period), (&'static str, String)> {
    let given = |period: Option<Period>| period.filter(|p| !p.0.is_zero());
    let interval = given(yaml.scrape_interval).or(given(global.scrape_interval)).unwrap_or(DEFAULT_INTERVAL);
    // The default timeout gives way to a shorter interval.
    let timeout = given(yaml.scrape_timeout)
        .unwrap_or_else(|| given(global.scrape_timeout).unwrap_or(DEFAULT_TIMEOUT).min(interval));
    if timeout > interval {
        let message = format!("{timeout} is longer than the interval of {interval}; make it at most that");
        return Err(("scrape_timeout", message));
    }
    Ok((interval, timeout))
}

fn check_histograms(
    yaml: &ScrapeYaml,
    global: &GlobalYaml,
) -> Result<HistogramConfig, (&'static str, String)> {
    let pick = |own: Option<bool>, global: Option<bool>, default| own.or(global).unwrap_or(default);
    let min_bucket_factor = yaml.native_histogram_min_bucket_factor.unwrap_or(0.0);
    if !min_bucket_factor.is_finite() || min_bucket_factor < 0.0 {
        return Err(("native_histogram_min_bucket_factor", "must be a number of at least 0".into()));
    }
    Ok(HistogramConfig {
        native: pick(yaml.scrape_native_histograms, global.scrape_native_histograms, true),
        always_classic: pick(
            yaml.always_scrape_classic_histograms,
            global.always_scrape_classic_histograms,
            false,
        ),
        convert_classic: pick(
            yaml.convert_classic_histograms_to_nhcb,
            global.convert_classic_histograms_to_nhcb,
            false,
        ),
        min_bucket_factor,
    })
}

fn check_protocols(
    yaml: &ScrapeYaml,
    global: &GlobalYaml,
    native: bool,
) -> Result<Vec<ScrapeProtocol>, (&'static str, String)> {
    let given = yaml.scrape_protocols.as_ref().or(global.scrape_protocols.as_ref());
    let Some(protocols) = given else {
        return Ok(if native { ScrapeProtocol::DEFAULT.to_vec() } else { ScrapeProtocol::TEXT.to_vec() });
    };
    if protocols.is_empty() {
        return Err(("scrape_protocols", "must name at least one protocol".into()));
    }
    for (i, protocol) in protocols.iter().enumerate() {
        if protocols[..i].contains(protocol) {
            return Err(("scrape_protocols", format!("names {protocol:?} twice")));
        }
    }
    Ok(protocols.clone())
}

fn check_discovery(
    yaml: &ScrapeYaml,
    resolve: &dyn Fn(PathBuf) -> PathBuf,
) -> Result<Vec<DiscoveryConfig>, JobError> {
    let mut discovery = Vec::new();
    if let Some(groups) = &yaml.static_configs {
        for (i, group) in groups.iter().enumerate() {
            for target in group.targets.iter().flatten() {
                check_address(target).map_err(|e| (format!("static_configs[{i}].targets"), e))?;
            }
        }
        let groups = groups.iter().cloned().map(|group| TargetGroup::new(group, &[])).collect();
        discovery.push(DiscoveryConfig::Static(groups));
    }
    for (i, file) in yaml.file_sd_configs.iter().flatten().enumerate() {
        let checked = check_file(file, resolve).map_err(|e| (format!("file_sd_configs[{i}].files"), e))?;
        discovery.push(checked);
    }
    for (i, dns) in yaml.dns_sd_configs.iter().flatten().enumerate() {
        let checked = check_dns(dns).map_err(|(key, e)| (format!("dns_sd_configs[{i}].{key}"), e))?;
        discovery.push(checked);
    }
    for (i, http) in yaml.http_sd_configs.iter().flatten().enumerate() {
        let checked =
            check_http(http, resolve).map_err(|(key, e)| (format!("http_sd_configs[{i}].{key}"), e))?;
        discovery.push(checked);
    }
    Ok(discovery)
}

/// An address is host and port, without scheme or path.
pub(in crate::scrape) fn check_address(address: &str) -> Result<(), String> {
    if address.contains('/') {
        let address = short(address);
        return Err(format!("{address:?} is not a host and port; leave out the scheme and the path"));
    }
    Ok(())
}

fn check_file(yaml: &FileSdYaml, resolve: &dyn Fn(PathBuf) -> PathBuf) -> Result<DiscoveryConfig, String> {
    if yaml.files.is_empty() {
        return Err("must name at least one file".into());
    }
    for file in &yaml.files {
        let known = ["json", "yml", "yaml", "JSON", "YML", "YAML"];
        if !file.extension().and_then(|e| e.to_str()).is_some_and(|e| known.contains(&e)) {
            let file = short(&file.to_string_lossy());
            return Err(format!("{file:?} must end in .json, .yml or .yaml"));
        }
    }
    Ok(DiscoveryConfig::File {
        files: yaml.files.iter().cloned().map(resolve).collect(),
        refresh: positive(yaml.refresh_interval, Period::seconds(300)),
    })
}

fn check_dns(yaml: &DnsSdYaml) -> Result<DiscoveryConfig, (&'static str, String)> {
    if yaml.names.is_empty() {
        return Err(("names", "must hold at least one name".into()));
    }
    let kind = match yaml.kind.as_deref().unwrap_or("SRV").to_ascii_uppercase().as_str() {
        "SRV" => DnsKind::Srv,
        "A" => DnsKind::A,
        "AAAA" => DnsKind::Aaaa,
        "MX" => DnsKind::Mx,
        "NS" => DnsKind::Ns,
        other => {
            let message = format!("{:?} is unknown; use SRV, A, AAAA, MX or NS", short(other));
            return Err(("type", message));
        }
    };
    let port = yaml.port.unwrap_or_default();
    if kind != DnsKind::Srv && port == 0 {
        return Err(("port", "must be given for every type but SRV".into()));
    }
    let refresh = positive(yaml.refresh_interval, Period::seconds(30));
    Ok(DiscoveryConfig::Dns { names: yaml.names.clone(), kind, port, refresh })
}

fn check_http(
    yaml: &HttpSdYaml,
    resolve: &dyn Fn(PathBuf) -> PathBuf,
) -> Result<DiscoveryConfig, (&'static str, String)> {
    let url = url::Url::parse(&yaml.url)
        .map_err(|e| ("url", format!("{:?} is not an address: {e}", short(&yaml.url))))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(("url", format!("{:?} must be an http or https address", short(&yaml.url))));
    }
    Ok(DiscoveryConfig::Http {
        url: yaml.url.clone(),
        http: Box::new(yaml.http().check(resolve)?),
        refresh: positive(yaml.refresh_interval, Period::seconds(60)),
    })
}

fn positive(period: Option<Period>, default: Period) -> Period {
    period.filter(|p| !p.0.is_zero()).unwrap_or(default)
}
