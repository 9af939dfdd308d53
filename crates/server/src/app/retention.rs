//! How long rows are kept: by age, and by the rules of the configuration.

use std::sync::Arc;

use control::PLATFORM_TENANT;
use kit::config::RetentionRules;
use model::{Predicate, Signal, TenantId};
use parking_lot::RwLock;
use query::search::Search;
use store::RowRetention;

use super::{App, millis};

/// Signals that are rows and expire.
const SIGNALS: [Signal; 5] = [Signal::Logs, Signal::Traces, Signal::Events, Signal::Audit, Signal::Checks];

/// The rules as predicates, made anew when the setting changes.
#[derive(Default)]
pub(crate) struct Retentions(RwLock<Arc<Compiled>>);

#[derive(Default)]
struct Compiled {
    of: RetentionRules,
    /// No predicate where the search cannot be read.
    rules: Vec<(Signal, Option<Predicate>, i64)>,
}

impl Compiled {
    fn new(of: &RetentionRules) -> Self {
        let rules = of.0.iter().filter_map(|rule| {
            let signal = SIGNALS.into_iter().find(|signal| signal.as_str() == rule.signal)?;
            let predicate = match Search::parse(&rule.matches, signal) {
                Ok(search) => Some(search.into_predicate()),
                Err(error) => {
                    let search = rule.matches.as_str();
                    tracing::error!(%error, search, "a rule of retention.rules cannot be read: its signal is kept whole");
                    None
                }
            };
            Some((signal, predicate, millis(rule.keep)))
        });
        Self { of: of.clone(), rules: rules.collect() }
    }
}

impl Retentions {
    /// How long rows of a signal are kept. Where a rule cannot be read nothing goes, since it might have kept it.
    pub(crate) fn of(&self, settings: &kit::Settings, tenant: &TenantId, signal: Signal) -> RowRetention {
        let mut compiled = Arc::clone(&self.0.read());
        if compiled.of != settings.retention.rules {
            compiled = Arc::new(Compiled::new(&settings.retention.rules));
            *self.0.write() = Arc::clone(&compiled);
        }
        let own = compiled.rules.iter().filter(|(of, ..)| *of == signal);
        let rules: Option<Vec<(Predicate, i64)>> =
            own.map(|(_, predicate, keep_ms)| Some((predicate.clone()?, *keep_ms))).collect();
        match rules {
            Some(rules) => RowRetention { keep_ms: age(settings, tenant, signal), rules },
            None => RowRetention { keep_ms: None, rules: Vec::new() },
        }
    }
}

/// The age at which telemetry of a signal goes, milliseconds. That of tenant `platform` has its own.
pub(crate) fn age(settings: &kit::Settings, tenant: &TenantId, signal: Signal) -> Option<i64> {
    let retention = &settings.retention;
    let is_platform = tenant.as_str() == PLATFORM_TENANT;
    let keep = match signal {
        Signal::Metrics if is_platform => retention.platform_metrics,
        Signal::Logs if is_platform => retention.platform_logs,
        Signal::Traces if is_platform => retention.platform_traces,
        Signal::Metrics => retention.metrics,
        Signal::Logs => retention.logs,
        Signal::Traces => retention.traces,
        Signal::Events => retention.events,
        Signal::Audit => retention.audit,
        Signal::Checks => retention.checks,
    };
    keep.map(millis)
}

impl App {
    /// How long rows of a signal are kept.
    pub(crate) fn row_retention(
        &self,
        settings: &kit::Settings,
        tenant: &TenantId,
        signal: Signal,
    ) -> RowRetention {
        self.retentions.of(settings, tenant, signal)
    }

    /// Rules by signal, for whoever opens the store.
    pub(crate) fn retentions(&self) -> &Retentions {
        &self.retentions
    }

    /// Tells the store how long everything is kept.
    pub(crate) fn apply_retention(&self, settings: &kit::Settings) {
        let Ok(store) = self.store() else { return };
        let mut tenants = store.engine().tenants();
        // It may have nothing yet, and must not begin with the retention of others.
        tenants.push(TenantId::new(PLATFORM_TENANT).expect("a valid name of ours"));
        for tenant in tenants {
            store.engine().set_retention(&tenant, age(settings, &tenant, Signal::Metrics));
            for signal in SIGNALS {
                let retention = self.row_retention(settings, &tenant, signal);
                store.engine().set_row_retention(&tenant, signal, retention);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kit::config::RetentionRule;

    use super::*;
    use crate::testing::Server;

    const HOUR_MS: i64 = 3_600_000;

    fn settings(rules: &[(&str, &str)]) -> kit::Settings {
        let mut settings = kit::Settings::default();
        let rule = |(signal, matches): &(&str, &str)| RetentionRule {
            signal: (*signal).into(),
            matches: (*matches).into(),
            keep: Duration::from_secs(3600),
        };
        settings.retention.rules = RetentionRules(rules.iter().map(rule).collect());
        settings
    }

    #[test]
    fn rules_are_of_their_signal_and_change_with_the_setting() {
        let retentions = Retentions::default();
        for (rules, logs, traces) in [
            (&[][..], Some(0), Some(0)),
            (&[("logs", "level:debug"), ("logs", "x")], Some(2), Some(0)),
            (&[("traces", "status_code:error")], Some(0), Some(1)),
            (&[("logs", "level:debug"), ("logs", "(")], None, Some(0)),
        ] {
            let settings = settings(rules);
            for (signal, want) in [(Signal::Logs, logs), (Signal::Traces, traces)] {
                let found = retentions.of(&settings, &TenantId::default_tenant(), signal);
                assert_eq!(found.keep_ms.map(|_| found.rules.len()), want, "{rules:?} {signal:?}");
            }
        }
    }

    #[test]
    fn tenant_platform_keeps_its_own_telemetry_for_a_time_of_its_own() {
        let mut settings = settings(&[]);
        let hours = |n: u64| Some(Duration::from_secs(n * 3600));
        settings.retention.metrics = hours(1);
        settings.retention.logs = hours(2);
        settings.retention.traces = hours(3);
        settings.retention.platform_metrics = hours(4);
        settings.retention.platform_logs = None;
        settings.retention.platform_traces = hours(6);
        let platform = TenantId::new(PLATFORM_TENANT).expect("valid");
        for (signal, tenants, own) in [
            (Signal::Metrics, Some(1), Some(4)),
            (Signal::Logs, Some(2), None),
            (Signal::Traces, Some(3), Some(6)),
            (Signal::Audit, Some(365 * 24), Some(365 * 24)),
            (Signal::Checks, Some(30 * 24), Some(30 * 24)),
        ] {
            for (tenant, want) in [(TenantId::default_tenant(), tenants), (platform.clone(), own)] {
                let want = want.map(|hours: i64| hours * HOUR_MS);
                assert_eq!(age(&settings, &tenant, signal), want, "{tenant} {signal:?}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_that_a_rule_names_go_by_its_age_and_others_stay() {
        let rules = r#"retention.rules=[{"signal":"logs","match":"level:debug","keep":"1h"},{"signal":"logs","match":"level:error","keep":"90d"}]"#;
        let server = Server::new(true, &[rules, "retention.logs=2d"]).await;
        let key = format!("Bearer {}", server.key(&[control::KeyScope::Ingest]).await);
        let line = |level: &str| format!("{{\"level\":\"{level}\",\"message\":\"{level}\"}}\n");
        let lines = ["debug", "info", "error"].map(line).concat();
        let stored = server.ask("POST /api/v1/monitoring/logs", &[("authorization", &key)], lines).await;
        assert_eq!(stored.json()["accepted"], 3, "{}", stored.text());
        let store = server.app.store().expect("a store");
        let now_ms = server.app.now_ms();
        store.engine().flush_all(now_ms).expect("flushed");
        for (later_ms, want) in [
            (0, vec!["debug", "error", "info"]),
            (2 * HOUR_MS, vec!["error", "info"]),
            (72 * HOUR_MS, vec!["error"]),
            (91 * 24 * HOUR_MS, vec![]),
        ] {
            while store.engine().compact_once(now_ms + later_ms).expect("compacted") {}
            let body = r#"{"query": "SELECT body FROM logs ORDER BY body"}"#;
            let json = [("content-type", "application/json")];
            let rows = server.ask("POST /api/v1/sql", &json, body).await.json()["rows"].clone();
            let want: Vec<Vec<&str>> = want.into_iter().map(|body| vec![body]).collect();
            assert_eq!(rows, serde_json::json!(want), "after {later_ms} ms");
        }
    }
}
