//! A target: what discovery found, relabelled, with the address that is scraped.

use std::collections::BTreeMap;

use model::{Labels, LabelsBuilder};
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use super::config::{JobConfig, Period, check_address, short};
use super::relabel;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
/// Labels for relabelling alone, those of discovery (`__meta_`) included.
const RESERVED: &str = "__";

/// Something to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Before relabelling.
    pub(crate) discovered: Labels,
    /// What its series get: `job`, `instance` and what relabelling left.
    pub(crate) labels: Labels,
    /// The address, parameters included.
    pub(crate) url: Url,
    pub(crate) interval: Period,
    pub(crate) timeout: Period,
}

/// What becomes of a set of labels that discovery found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Populated {
    /// It is scraped.
    Active(Box<Target>),
    /// A rule dropped it; these are its labels before.
    Dropped(Labels),
}

/// Labels that do not make a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidTarget(String);

impl Target {
    /// Applies defaults and the rules of the job to what discovery found.
    pub(crate) fn populate(
        job: &JobConfig,
        own: &Labels,
        group: &Labels,
    ) -> Result<Populated, InvalidTarget> {
        let mut labels = own.to_builder();
        discover(&mut labels, job, group);
        let discovered = labels.build();
        if !relabel::apply(&mut labels, &job.relabel, job.names) {
            return Ok(Populated::Dropped(discovered));
        }
        let fault = |message: String| InvalidTarget(message);
        let address = labels.get(ADDRESS).unwrap_or_default().to_owned();
        if address.is_empty() {
            return Err(fault("the target has no address; set __address__ to host and port".into()));
        }
        check_address(&address).map_err(fault)?;
        let period = |name: &str| {
            let text = labels.get(name).unwrap_or_default();
            let period = Period::parse(text).map_err(|e| fault(format!("{name}: {e}")))?;
            if period.0.is_zero() {
                return Err(fault(format!("{name} is 0; make it longer")));
            }
            Ok(period)
        };
        let (interval, timeout) = (period(INTERVAL)?, period(TIMEOUT)?);
        if timeout > interval {
            let message = format!("{TIMEOUT} {timeout} is longer than {INTERVAL} {interval}");
            return Err(fault(message));
        }
        let url = url(job, &labels, &address).map_err(fault)?;
        if labels.get("instance").unwrap_or_default().is_empty() {
            labels.set("instance", &address);
        }
        labels.retain(|name| !name.starts_with(RESERVED));
        Ok(Populated::Active(Box::new(Self { discovered, labels: labels.build(), url, interval, timeout })))
    }

    /// The same for the same labels and address, on every node and after every restart.
    pub(crate) fn hash(&self) -> u64 {
        let mut identity = String::from(self.labels.packed());
        identity.push('\u{1f}');
        identity.push_str(self.url.as_str());
        xxh3_64(identity.as_bytes())
    }

    /// Milliseconds from `now_ms` to the first scrape. Targets spread over the interval by their hash, so
    /// that they are not all asked at once, and keep their place after a restart.
    pub(crate) fn delay_ms(&self, now_ms: i64) -> u64 {
        let interval = self.interval.0.as_millis() as u64;
        let now = now_ms.rem_euclid(interval as i64) as u64;
        let offset = self.hash() % interval;
        (offset + interval - now) % interval
    }
}

/// Adds what the group and the job know where the target itself says nothing. Labels beginning with
/// `__meta_` stay until relabelling is done.
fn discover(labels: &mut LabelsBuilder, job: &JobConfig, group: &Labels) {
    let missing = |labels: &LabelsBuilder, name: &str| labels.get(name).unwrap_or_default().is_empty();
    for (name, value) in group.iter() {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    }
    let (interval, timeout) = (job.interval.to_string(), job.timeout.to_string());
    let defaults = [
        ("job", job.name.as_str()),
        (INTERVAL, &interval),
        (TIMEOUT, &timeout),
        (METRICS_PATH, &job.metrics_path),
        (SCHEME, &job.scheme),
    ];
    for (name, value) in defaults {
        if missing(labels, name) {
            labels.set(name, value);
        }
    }
    for (name, values) in &job.params {
        if let Some(value) = values.first() {
            labels.set(&format!("{PARAM}{name}"), value);
        }
    }
}

fn url(job: &JobConfig, labels: &LabelsBuilder, address: &str) -> Result<Url, String> {
    let scheme = labels.get(SCHEME).unwrap_or("http");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("{SCHEME} {:?} is unknown; use http or https", short(scheme)));
    }
    let mut url = Url::parse(&format!("{scheme}://{address}"))
        .map_err(|e| format!("{ADDRESS} {:?} is not a host and port: {e}", short(address)))?;
    url.set_path(labels.get(METRICS_PATH).unwrap_or("/metrics"));
    let mut params: BTreeMap<&str, Vec<&str>> = job
        .params
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    let built = labels.build();
    for (name, value) in built.iter().filter_map(|(n, v)| Some((n.strip_prefix(PARAM)?, v))) {
        let values = params.entry(name).or_default();
        match values.first_mut() {
            Some(first) => *first = value,
            None => values.push(value),
        }
    }
    if params.values().any(|values| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in params {
            query.extend_pairs(values.into_iter().map(|value| (name, value)));
        }
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scrape::config::ScrapeConfig;

    type Pairs = &'static [(&'static str, &'static str)];

    fn job(rest: &str) -> JobConfig {
        let text = format!("scrape_configs: [{{job_name: j, {rest}}}]");
        ScrapeConfig::parse(&text, Path::new("x.yml"), &|_| None).expect("valid").jobs.remove(0)
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("unique")
    }

    fn populate(rest: &str, own: &[(&str, &str)]) -> Result<Populated, InvalidTarget> {
        Target::populate(&job(rest), &labels(own), &labels(&[("env", "test"), ("__meta_x", "y")]))
    }

    fn active(rest: &str, own: &[(&str, &str)]) -> Target {
        match populate(rest, own) {
            Ok(Populated::Active(target)) => *target,
            other => panic!("not active: {other:?}"),
        }
    }

    #[test]
    fn a_target_gets_job_instance_and_the_labels_of_its_group() {
        let target = active("", &[("__address__", "host:9100"), ("custom", "v")]);
        assert_eq!(
            target.labels,
            labels(&[("custom", "v"), ("env", "test"), ("instance", "host:9100"), ("job", "j")])
        );
        assert_eq!(target.url.as_str(), "http://host:9100/metrics");
        assert_eq!(target.discovered.get("__meta_x"), Some("y"));
        assert_eq!(target.discovered.get("__scrape_interval__"), Some("1m"));
    }

    #[test]
    fn relabelling_rewrites_address_path_scheme_and_parameters() {
        let rules = "params: {module: [a, b], target: []}, relabel_configs: [\
            {source_labels: [__address__], target_label: __param_target},\
            {target_label: __address__, replacement: 'exporter:9115'},\
            {target_label: __scheme__, replacement: https},\
            {target_label: __metrics_path__, replacement: /probe},\
            {target_label: __scrape_timeout__, replacement: 5s}]";
        let target = active(rules, &[("__address__", "site.org"), ("env", "own")]);
        assert_eq!(target.url.as_str(), "https://exporter:9115/probe?module=a&module=b&target=site.org");
        assert_eq!(target.timeout, Period::seconds(5));
        assert_eq!(target.labels, labels(&[("env", "own"), ("instance", "exporter:9115"), ("job", "j")]));
    }

    #[test]
    fn a_rule_may_drop_a_target() {
        let rules = "relabel_configs: [{source_labels: [env], regex: test, action: drop}]";
        assert!(matches!(populate(rules, &[("__address__", "a:1")]), Ok(Populated::Dropped(_))));
    }

    #[test]
    fn labels_that_make_no_target_say_why() {
        let rows: [(&str, Pairs, &str); 6] = [
            ("", &[], "no address"),
            ("", &[("__address__", "http://a")], "leave out the scheme"),
            ("", &[("__address__", "a:1"), ("__scrape_interval__", "x")], "__scrape_interval__"),
            ("", &[("__address__", "a:1"), ("__scrape_interval__", "1s")], "longer than"),
            ("", &[("__address__", "a:1"), ("__scheme__", "ftp")], "__scheme__"),
            ("", &[("__address__", "a:99999")], "not a host and port"),
        ];
        for (rest, own, part) in rows {
            let error = populate(rest, own).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn targets_spread_over_the_interval_and_keep_their_place() {
        let target = active("scrape_interval: 10s", &[("__address__", "a:1")]);
        let first = 1_000_000 + target.delay_ms(1_000_000) as i64;
        assert!(target.delay_ms(1_000_000) < 10_000);
        assert_eq!((first + target.delay_ms(first) as i64, target.delay_ms(first + 1)), (first, 9_999));
        assert_ne!(target.hash(), active("", &[("__address__", "b:1")]).hash());
    }
}
