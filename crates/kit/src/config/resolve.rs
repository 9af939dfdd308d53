//! Entries of all layers to settings. Everything that is wrong is collected, so that one run shows it all.

use std::collections::BTreeMap;

use serde_json::Value;

use super::option::{ConfigOption, Values};
use super::problem::{Origin, Problem};
use super::read::{Content, Entry, Node};
use super::settings::{ALIASES, LocalAuth, Settings};
use super::value::quote;

/// More problems than this help nobody.
const PROBLEMS_MAX: usize = 100;

/// Environment variables of ours that choose the configuration instead of being part of it.
const OTHER_VARIABLES: [&str; 2] = ["environment", "config"];

/// A value in effect.
#[derive(Clone, Debug)]
pub(super) struct Effective {
    pub(super) raw: Value,
    pub(super) shown: String,
    pub(super) origin: Origin,
}

/// Settings, and where each came from.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) settings: Settings,
    pub(super) values: BTreeMap<&'static str, Effective>,
    pub(super) warnings: Vec<String>,
}

impl Resolved {
    /// Builds settings from values that were checked, after filling in what follows from others.
    pub(super) fn of(
        mut values: BTreeMap<&'static str, Effective>,
        warnings: Vec<String>,
    ) -> Result<Self, Vec<Problem>> {
        derive(&mut values);
        let raw = Values(values.iter().map(|(key, value)| (*key, &value.raw)).collect());
        let settings = Settings::build(&raw);
        match conflicts(&settings, &values) {
            Some(problem) => Err(vec![problem]),
            None => Ok(Self { settings, values, warnings }),
        }
    }
}

/// Lays the layers over the defaults, the weakest first.
pub(super) fn resolve(layers: Vec<Vec<Entry>>, mut problems: Vec<Problem>) -> Result<Resolved, Vec<Problem>> {
    let mut warnings = Vec::new();
    let mut values: BTreeMap<_, _> =
        Settings::options().map(|option| (option.key, default(option))).collect();
    for layer in layers {
        let mut seen: BTreeMap<&'static str, (String, Effective)> = BTreeMap::new();
        for Entry { path, node, origin } in layer {
            let mut leaves = Vec::new();
            flatten(path, node, &origin, &mut leaves, &mut problems, &mut warnings);
            for leaf in leaves {
                take(leaf, &mut seen, &mut problems);
            }
        }
        values.extend(seen.into_iter().map(|(key, (_, effective))| (key, effective)));
    }
    problems.truncate(PROBLEMS_MAX);
    if problems.is_empty() { Resolved::of(values, warnings) } else { Err(problems) }
}

struct Leaf {
    option: &'static ConfigOption,
    written: String,
    raw: Value,
    origin: Origin,
}

fn default(option: &'static ConfigOption) -> Effective {
    let raw = Value::from(option.default);
    let shown = (option.check)(&raw).unwrap_or_else(|_| option.default.to_owned());
    Effective { raw, shown, origin: Origin::Default }
}

/// Checks one value and keeps it, unless the same layer already says something else about it.
fn take(leaf: Leaf, seen: &mut BTreeMap<&'static str, (String, Effective)>, problems: &mut Vec<Problem>) {
    let Leaf { option, written, raw, origin } = leaf;
    let shown = match (option.check)(&raw) {
        Ok(shown) => shown,
        Err(message) => return problems.push(Problem { origin, key: written, message }),
    };
    if let Some((other, before)) = seen.get(option.key) {
        // Compared as read: `30d` and `720h` agree. Secrets are masked in `shown`, so text is compared too.
        if before.shown != shown || (shown.contains("***") && before.raw != raw) {
            let message = format!(
                "{shown} contradicts {other} = {} ({}); both set {}, keep one of them",
                before.shown, before.origin, option.key
            );
            return problems.push(Problem { origin, key: written, message });
        }
    }
    seen.insert(option.key, (written, Effective { raw, shown, origin }));
}

/// Finds the options below a node.
fn flatten(
    path: String,
    node: Node,
    origin: &Origin,
    leaves: &mut Vec<Leaf>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
    let key = canonical(&path);
    let origin_here = match origin {
        Origin::File { path, .. } => Origin::File { path: path.clone(), line: node.line },
        other => other.clone(),
    };
    if let Some(option) = Settings::option(&key) {
        let raw = node.into_json();
        return leaves.push(Leaf { option, written: path, raw, origin: origin_here });
    }
    if let Some(alias) = ALIASES.iter().find(|alias| alias.alias == key) {
        let option = Settings::option(alias.key).expect("a test checks that every alias names an option");
        let raw = (alias.convert)(&node.into_json());
        return leaves.push(Leaf { option, written: path, raw, origin: origin_here });
    }
    match node.content {
        Content::Table(fields) => {
            for (name, field) in fields {
                if problems.len() >= PROBLEMS_MAX {
                    return;
                }
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(path, field, origin, leaves, problems, warnings);
            }
        }
        Content::Leaf(_) if matches!(origin, Origin::Env(_)) && !path.contains('.') => {
            // Our tests and tools have variables with our prefix too; only sections are settings for sure.
            if !OTHER_VARIABLES.contains(&path.as_str()) && !path.starts_with("test_") {
                warnings.push(format!("{origin} is not a setting"));
            }
        }
        Content::Leaf(_) => {
            let message = match nearest(&key) {
                Some(known) => format!("unknown key; did you mean {known}?"),
                None => "unknown key; `config print` lists those there are".to_owned(),
            };
            let key = path.chars().take(120).collect();
            problems.push(Problem { origin: origin_here, key, message });
        }
    }
}

/// The key in snake_case: `database.poolSize` is `database.pool_size`.
pub(super) fn canonical(path: &str) -> String {
    let segment = |segment: &str| {
        // A segment is one or the other; a mixture stays as it is and is unknown.
        if segment.contains('_') || segment.starts_with(|c: char| c.is_ascii_uppercase()) {
            return segment.to_owned();
        }
        let mut snake = String::with_capacity(segment.len() + 4);
        for c in segment.chars() {
            if c.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        snake
    };
    path.split('.').map(segment).collect::<Vec<_>>().join(".")
}

/// The known key that is closest, if any is close.
fn nearest(key: &str) -> Option<&'static str> {
    if key.len() > 80 {
        return None;
    }
    let known = Settings::options().map(|option| option.key).chain(ALIASES.iter().map(|alias| alias.alias));
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .map(|known| {
            // The right name in the wrong section is close, too.
            let misplaced = if last(known) == last(key) { 2 } else { usize::MAX };
            (distance(known, key).min(misplaced), known)
        })
        .min()
        .filter(|(distance, _)| *distance <= (key.len() / 3).max(2))
        .map(|(_, known)| known)
}

/// Edits between two short texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Values that follow from others while nobody sets them.
fn derive(values: &mut BTreeMap<&'static str, Effective>) {
    let text = |values: &BTreeMap<&'static str, Effective>, key: &str| {
        values.get(key).and_then(|value| value.raw.as_str()).unwrap_or_default().trim().to_owned()
    };
    let data = text(values, "data");
    for (key, scheme) in [("storage.url", "file"), ("database.url", "sqlite")] {
        if text(values, key).is_empty()
            && let Some(value) = values.get_mut(key)
        {
            value.shown = format!("{scheme}://{data}");
            value.raw = Value::from(value.shown.as_str());
        }
    }
    // Reaching beyond this machine asks for keys, unless someone says otherwise, which is refused below.
    if !exposed(values).is_empty()
        && let Some(auth) = values.get_mut("auth.local").filter(|auth| auth.origin == Origin::Default)
    {
        auth.shown = LocalAuth::Required.as_str().to_owned();
        auth.raw = Value::from(auth.shown.as_str());
    }
}

/// By which settings other machines can reach us: a listener of theirs, or a proxy in front of ours.
fn exposed(values: &BTreeMap<&'static str, Effective>) -> Vec<&'static str> {
    let shown = |key: &str| values.get(key).map_or("", |value| value.shown.as_str());
    let mut exposed: Vec<_> = [
        "server.listen",
        "otlp.grpc",
        "otlp.http",
        "statsd.listen",
        "syslog.udp",
        "syslog.tcp",
        "syslog.tls",
    ]
    .into_iter()
    .filter(|key| {
        let address = shown(key).parse::<std::net::SocketAddr>();
        address.is_ok_and(|address| !address.ip().is_loopback())
    })
    .collect();
    if !is_loopback_url(shown("server.external_url")) {
        exposed.push("server.external_url");
    }
    exposed
}

/// Whether an address such as `http://localhost:4300/x` leads to this machine alone. An empty one does.
fn is_loopback_url(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or("");
    // What stands before an `@` is nobody's host.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    let host = host.to_ascii_lowercase();
    url.trim().is_empty()
        || host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An address, or a range of addresses such as `10.1.0.0/16`.
fn is_range(text: &str) -> bool {
    let (first, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
    let Ok(first) = first.parse::<std::net::IpAddr>() else { return false };
    let width = if first.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u32>().is_ok_and(|bits| bits <= width))
}

/// What is wrong between options that are each right.
fn conflicts(settings: &Settings, values: &BTreeMap<&'static str, Effective>) -> Option<Problem> {
    let problem = |key: &'static str, message: String| {
        let origin = values.get(key).map_or(Origin::Default, |value| value.origin.clone());
        Some(Problem { origin, key: key.to_owned(), message })
    };
    let exposed = exposed(values);
    if settings.auth.local == LocalAuth::Open && !exposed.is_empty() {
        return problem(
            "auth.local",
            format!(
                "open needs every listener and server.external_url on loopback, {} is not; write required",
                exposed.join(", ")
            ),
        );
    }
    for (key, ranges) in [
        ("server.trusted_proxies", &settings.server.trusted_proxies),
        ("server.outbound_ranges", &settings.server.outbound_ranges),
    ] {
        if let Some(wrong) = ranges.iter().find(|range| !is_range(range)) {
            let wrong = quote(&Value::from(wrong.as_str()));
            return problem(key, format!("{wrong} is no range of addresses such as 10.1.0.0/16"));
        }
    }
    for (key, url, schemes) in [
        ("storage.url", &settings.storage.url, &["file"][..]),
        ("database.url", &settings.database.url, &["sqlite", "postgres", "postgresql"][..]),
        ("bus.url", &settings.bus.url, &["memory"][..]),
    ] {
        if !schemes.contains(&url.scheme()) {
            let scheme = quote(&Value::from(url.scheme()));
            return problem(key, format!("scheme {scheme} is not supported; use {}", schemes.join(", ")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_option() {
        for (written, want) in [
            ("database.poolSize", "database.pool_size"),
            ("services.externalApis", "services.external_apis"),
            ("performance.rateLimitWindowMs", "performance.rate_limit_window_ms"),
            ("metrics.otlp.promoteResourceAttributes", "metrics.otlp.promote_resource_attributes"),
            ("retentionDays", "retention_days"),
            ("database.pool_Size", "database.pool_Size"),
        ] {
            assert_eq!(canonical(written), want);
        }
    }

    #[test]
    fn a_close_key_is_suggested_and_a_far_one_is_not() {
        for (key, want) in [
            ("databse.url", Some("database.url")),
            ("retention.metric", Some("retention.metrics")),
            ("pool_size", Some("database.pool_size")),
            ("cache.urll", Some("cache.url")),
            ("something.else.entirely", None),
        ] {
            assert_eq!(nearest(key), want, "{key}");
        }
    }

    #[test]
    fn an_address_of_this_machine_is_told_from_others() {
        for (url, want) in [
            ("", true),
            ("http://localhost:4300", true),
            ("https://LOCALHOST/", true),
            ("http://bw.localhost/x", true),
            ("http://127.0.0.1:4300/", true),
            ("http://[::1]:4300", true),
            ("https://obs.example.com", false),
            ("obs.example.com", false),
            ("https://localhost.example.com", false),
            ("https://localhost@obs.example.com", false),
            ("http://192.168.1.2:4300", false),
            ("http://[2001:db8::1]", false),
        ] {
            assert_eq!(is_loopback_url(url), want, "{url}");
        }
    }

    #[test]
    fn no_option_hides_another() {
        let keys: Vec<_> = Settings::options().map(|option| option.key).collect();
        for key in &keys {
            assert!(!keys.iter().any(|other| other.starts_with(&format!("{key}."))), "{key}");
            assert_eq!(canonical(key), *key);
        }
    }
}
