//! Every option there is, section by section.

mod collect; // what is collected and received
mod edge; // TLS, other sites, letters
mod features; // switches and processing
mod foundation; // addresses, storage, access
mod keeping; // retention and limits

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::option::{Alias, ConfigOption, Values};

pub use collect::{Host, MetricsModule, OtlpMetrics, Scrape, Statsd, Syslog, Telemetry, Translation};
pub use edge::{AuthTokens, Cors, Smtp, SmtpTls, Tls, TlsMode, TlsVersion};
pub use features::{
    Alerting, Alerts, Features, LogFormat, LogLevel, Logging, Performance, ServiceChecks, Tracing,
};
pub use foundation::{
    Auth, Bus, Cache, Database, General, LocalAuth, Memory, Otlp, Secrets, Server, Storage,
};
pub use keeping::{Limits, Query, Retention};

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $section:ident,)+) => {
        /// The whole configuration, checked.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $section,)+
        }

        impl Settings {
            /// Every option, in the order of documentation.
            pub fn options() -> impl Iterator<Item = &'static ConfigOption> {
                [$($section::OPTIONS),+].into_iter().flatten()
            }

            pub(crate) fn build(values: &Values<'_>) -> Self {
                Self { $($field: $section::build(values),)+ }
            }
        }
    };
}

settings! {
    /// Keys without a section.
    general: General,
    /// `[server]`
    server: Server,
    /// `[tls]`
    tls: Tls,
    /// `[cors]`
    cors: Cors,
    /// `[otlp]`
    otlp: Otlp,
    /// `[storage]`
    storage: Storage,
    /// `[database]`
    database: Database,
    /// `[bus]`
    bus: Bus,
    /// `[cache]`
    cache: Cache,
    /// `[memory]`
    memory: Memory,
    /// `[auth]`
    auth: Auth,
    /// `[auth.tokens]`
    auth_tokens: AuthTokens,
    /// `[smtp]`
    smtp: Smtp,
    /// `[secrets]`
    secrets: Secrets,
    /// `[retention]`
    retention: Retention,
    /// `[limits]`
    limits: Limits,
    /// `[query]`
    query: Query,
    /// `[host]`
    host: Host,
    /// `[scrape]`
    scrape: Scrape,
    /// `[statsd]`
    statsd: Statsd,
    /// `[syslog]`
    syslog: Syslog,
    /// `[metrics]`
    metrics: MetricsModule,
    /// `[metrics.otlp]`
    metrics_otlp: OtlpMetrics,
    /// `[telemetry]`
    telemetry: Telemetry,
    /// `[services]`
    services: ServiceChecks,
    /// `[alerts]`
    alerts: Alerts,
    /// `[alerting]`
    alerting: Alerting,
    /// `[logging]`
    logging: Logging,
    /// `[tracing]`
    tracing: Tracing,
    /// `[performance]`
    performance: Performance,
    /// `[features]`
    features: Features,
}

impl Settings {
    /// The option of a canonical key.
    pub fn option(key: &str) -> Option<&'static ConfigOption> {
        static BY_KEY: LazyLock<BTreeMap<&'static str, &'static ConfigOption>> =
            LazyLock::new(|| Settings::options().map(|option| (option.key, option)).collect());
        BY_KEY.get(key).copied()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let raw: Vec<_> = Self::options().map(|o| (o.key, Value::from(o.default))).collect();
        Self::build(&Values(raw.iter().map(|(key, value)| (*key, value)).collect()))
    }
}

/// Other names, as the specification spells them.
pub(crate) const ALIASES: &[Alias] = &[
    Alias { alias: "cache.url", key: "bus.url", convert: Value::clone },
    Alias { alias: "retention_days", key: "retention.metrics", convert: days },
    Alias { alias: "logging.retention", key: "retention.logs", convert: days },
];

/// A plain number is a number of days; anything else is left to the option to judge.
fn days(raw: &Value) -> Value {
    let number = match raw {
        Value::String(text) => text.trim().parse::<u64>().ok(),
        other => other.as_u64(),
    };
    number.map_or_else(|| raw.clone(), |days| Value::from(format!("{days}d")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_default_is_valid_and_every_key_unique_and_documented() {
        let mut keys = HashSet::new();
        for option in Settings::options() {
            assert!((option.check)(&Value::from(option.default)).is_ok(), "{}", option.key);
            assert!(keys.insert(option.key), "{} twice", option.key);
            assert!(option.doc.trim().len() > 5, "{}", option.key);
        }
        for alias in ALIASES {
            assert!(!keys.contains(alias.alias) && keys.contains(alias.key), "{}", alias.alias);
        }
        assert_eq!(Settings::default(), Settings::default());
    }
}
