//! What the server says about itself: one declared registry, every name prefixed `bellwether_`.
//!
//! Served at `/metrics`, and read back into our own store by the same decoder that reads everybody's.

mod labels; // by what figures are told apart
mod store_metrics; // figures of the store

use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::Method;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use hashbrown::{HashMap, HashSet};
use model::{Refusals, TenantId};
use parking_lot::Mutex;

use labels::*;
use store_metrics::StoreMetrics;

fn latency() -> Histogram {
    // 0.5 ms to 16 s by doubling.
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// Labels that were counted for one tenant.
#[derive(Debug, Default)]
struct OfTenant {
    accepted: HashSet<Items>,
    refused: HashSet<RefusedItems>,
    dropped: HashSet<DroppedItems>,
    over_limit: HashSet<OverLimit>,
    security: HashSet<SecurityEvent>,
}

/// Every metric of the server.
pub(crate) struct Telemetry {
    registry: Registry,
    of_tenants: Mutex<HashMap<TenantId, OfTenant>>,
    accepted: Family<Items, Counter>,
    refused: Family<RefusedItems, Counter>,
    dropped: Family<DroppedItems, Counter>,
    over_limit: Family<OverLimit, Counter>,
    exported: Family<Exported, Counter>,
    own_rows_lost: Counter,
    syslog_truncated: Counter,
    handshakes: Family<Outcome, Counter>,
    connections_refused: Counter,
    certificate_expiry: Family<Listener, Gauge>,
    certificate_problem: Family<Listener, Gauge>,
    letters: Family<Outcome, Counter>,
    notifications: Family<Notified, Counter>,
    security: Family<SecurityEvent, Counter>,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram, fn() -> Histogram>,
    queries: Family<Query, Counter>,
    query_seconds: Family<Query, Histogram, fn() -> Histogram>,
    query_samples: Counter,
    memory: Family<MemoryClass, Gauge>,
    memory_limit: Gauge,
    listeners: Gauge,
    services: Family<ServiceName, Gauge>,
    checks: Gauge,
    check_runs: Counter,
    checks_missed: Counter,
    store: StoreMetrics,
    uptime: Gauge<i64, AtomicI64>,
}

impl Telemetry {
    /// Declares every metric.
    pub(crate) fn new(version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("bellwether");
        let info = prometheus_client::metrics::info::Info::new([("version", version)]);
        registry.register("build", "Version of the running binary", info);
        let mut this = Self {
            registry,
            of_tenants: Mutex::default(),
            accepted: Family::default(),
            refused: Family::default(),
            dropped: Family::default(),
            over_limit: Family::default(),
            exported: Family::default(),
            own_rows_lost: Counter::default(),
            syslog_truncated: Counter::default(),
            handshakes: Family::default(),
            connections_refused: Counter::default(),
            certificate_expiry: Family::default(),
            certificate_problem: Family::default(),
            letters: Family::default(),
            notifications: Family::default(),
            security: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(latency),
            queries: Family::default(),
            query_seconds: Family::new_with_constructor(latency),
            query_samples: Counter::default(),
            memory: Family::default(),
            memory_limit: Gauge::default(),
            listeners: Gauge::default(),
            services: Family::default(),
            checks: Gauge::default(),
            check_runs: Counter::default(),
            checks_missed: Counter::default(),
            store: StoreMetrics::default(),
            uptime: Gauge::default(),
        };
        this.register();
        this
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("items_accepted", "Items stored durably", self.accepted.clone());
        r.register("items_refused", "Items refused, by reason", self.refused.clone());
        let over_limit = "Requests, series and queries refused by a limit of their tenant";
        r.register("limit_refused", over_limit, self.over_limit.clone());
        r.register("items_dropped", "Items dropped by a rule of the tenant, by rule", self.dropped.clone());
        r.register("spans_exported", "Spans sent on by exporters, by outcome", self.exported.clone());
        r.register(
            "own_rows_lost",
            "Own log lines and spans that found no room or could not be stored",
            self.own_rows_lost.clone(),
        );
        r.register(
            "syslog_truncated",
            "Syslog messages that lost their end, being too long or at the end of a connection",
            self.syslog_truncated.clone(),
        );
        r.register(
            "http_connections_refused",
            "Connections closed because their listener had as many as it may",
            self.connections_refused.clone(),
        );
        r.register("tls_handshakes", "Connections to encrypted ports, by outcome", self.handshakes.clone());
        r.register_with_unit(
            "tls_certificate_expiry",
            "End of the certificate in use, seconds since the Unix epoch",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        r.register(
            "tls_certificate_problem",
            "1 while the certificate or key that is there cannot be used and the one before stays",
            self.certificate_problem.clone(),
        );
        r.register(
            "notifications",
            "Attempts to tell people, by kind of channel and how they ended",
            self.notifications.clone(),
        );
        r.register("service_up", "1 while a part of the server is well, else 0", self.services.clone());
        r.register("checks", "Health checks that run", self.checks.clone());
        r.register("check_runs", "Runs of health checks begun", self.check_runs.clone());
        r.register(
            "check_runs_missed",
            "Turns of health checks that passed without a run",
            self.checks_missed.clone(),
        );
        r.register("letters", "Letters by mail, by what became of them", self.letters.clone());
        r.register(
            "security_events",
            "Refused sign-ins, requests over a limit (429) and credentials shown for another tenant, by tenant and person",
            self.security.clone(),
        );
        r.register("http_requests", "HTTP requests served, by route template", self.requests.clone());
        let seconds = Unit::Seconds;
        r.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its answer",
            seconds.clone(),
            self.request_seconds.clone(),
        );
        r.register("queries", "PromQL queries, by outcome", self.queries.clone());
        r.register_with_unit(
            "query_duration",
            "Time of a PromQL query",
            seconds.clone(),
            self.query_seconds.clone(),
        );
        r.register("query_samples", "Samples read by PromQL queries", self.query_samples.clone());
        r.register_with_unit(
            "memory_reserved",
            "Memory reserved from the budget",
            Unit::Bytes,
            self.memory.clone(),
        );
        r.register_with_unit("memory_limit", "The memory budget", Unit::Bytes, self.memory_limit.clone());
        r.register("realtime_subscriptions", "Open realtime subscriptions", self.listeners.clone());
        self.store.register(r);
        r.register_with_unit("uptime", "Time since the start of the process", seconds, self.uptime.clone());
    }

    /// Counts the outcome of one write. The sums of accepted and refused are what was sent.
    pub(crate) fn outcome(
        &self,
        tenant: &TenantId,
        signal: &'static str,
        protocol: &'static str,
        accepted: usize,
        refused: &Refusals,
    ) {
        let mut of_tenants = self.of_tenants.lock();
        let known = of_tenants.entry(tenant.clone()).or_default();
        let tenant = tenant.as_str();
        let items = Items { tenant: tenant.into(), signal, protocol };
        self.accepted.get_or_create(&items).inc_by(accepted as u64);
        known.accepted.insert(items);
        for (reason, count) in refused.counts() {
            let labels = RefusedItems { tenant: tenant.into(), signal, protocol, reason: reason.as_str() };
            self.refused.get_or_create(&labels).inc_by(*count as u64);
            known.refused.insert(labels);
        }
    }

    /// Forgets the figures of a tenant that was deleted.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let Some(known) = self.of_tenants.lock().remove(tenant) else { return };
        for labels in known.accepted {
            self.accepted.remove(&labels);
        }
        for labels in known.refused {
            self.refused.remove(&labels);
        }
        for labels in known.dropped {
            self.dropped.remove(&labels);
        }
        for labels in known.over_limit {
            self.over_limit.remove(&labels);
        }
        for labels in known.security {
            self.security.remove(&labels);
        }
    }

    /// Counts what the rules of a pipeline dropped.
    pub(crate) fn dropped(&self, tenant: &TenantId, signal: &'static str, counts: &pipeline::Counts) {
        for rule in &counts.processors {
            self.dropped_by(tenant, signal, &rule.name, (rule.dropped + rule.sampled) as u64);
        }
    }

    /// Counts what one rule dropped.
    pub(crate) fn dropped_by(&self, tenant: &TenantId, signal: &'static str, rule: &str, items: u64) {
        if items > 0 {
            let labels = DroppedItems { tenant: tenant.as_str().into(), signal, rule: rule.to_owned() };
            self.dropped.get_or_create(&labels).inc_by(items);
            self.of_tenants.lock().entry(tenant.clone()).or_default().dropped.insert(labels);
        }
    }

    /// Counts what a limit of a tenant refused.
    pub(crate) fn over_limit(&self, tenant: &TenantId, limit: &'static str, items: u64) {
        let labels = OverLimit { tenant: tenant.as_str().into(), limit };
        self.over_limit.get_or_create(&labels).inc_by(items);
        self.of_tenants.lock().entry(tenant.clone()).or_default().over_limit.insert(labels);
    }

    /// Counts spans that exporters sent on, or could not.
    pub(crate) fn exported(&self, outcome: &'static str, spans: u64) {
        self.exported.get_or_create(&Exported { outcome }).inc_by(spans);
    }

    /// Counts own lines and spans that were lost.
    pub(crate) fn own_rows_lost(&self, items: u64) {
        self.own_rows_lost.inc_by(items);
    }

    /// Counts syslog messages that lost their end.
    pub(crate) fn syslog_truncated(&self, messages: u64) {
        self.syslog_truncated.inc_by(messages);
    }

    /// Counts a connection to an encrypted port.
    pub(crate) fn handshake(&self, outcome: &'static str) {
        self.handshakes.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a connection that was closed because there were too many.
    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// Counts a letter: `sent`, `retried`, `refused` by the mail server, `expired` or `overflow`.
    pub(crate) fn letter(&self, outcome: &'static str) {
        self.letters.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts an attempt to tell people.
    pub(crate) fn notification(&self, kind: &'static str, outcome: &'static str) {
        self.notifications.get_or_create(&Notified { kind, outcome }).inc();
    }

    /// Counts a sign of an attack. `user` is one of a bounded number of names.
    pub(crate) fn security_event(&self, tenant: &TenantId, event: &'static str, user: &str) {
        let labels = SecurityEvent { tenant: tenant.as_str().into(), event, user: user.into() };
        self.security.get_or_create(&labels).inc();
        self.of_tenants.lock().entry(tenant.clone()).or_default().security.insert(labels);
    }

    /// Counts one HTTP request.
    pub(crate) fn request(&self, method: &Method, route: &str, status: u16, seconds: f64) {
        let labels = Request { method: method_label(method), route: route.into(), status };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.get_or_create(&Route { route: route.into() }).observe(seconds);
    }

    /// Counts one query.
    pub(crate) fn query(&self, kind: &'static str, outcome: &'static str, seconds: f64, samples: u64) {
        let labels = Query { kind, outcome };
        self.queries.get_or_create(&labels).inc();
        self.query_seconds.get_or_create(&labels).observe(seconds);
        self.query_samples.inc_by(samples);
    }

    /// Takes a picture of what is measured rather than counted, and writes everything as OpenMetrics text.
    pub(crate) fn gather(&self, picture: &Picture) -> String {
        for (class, bytes) in &picture.memory {
            self.memory.get_or_create(&MemoryClass { class }).set(*bytes as i64);
        }
        for certificate in &picture.certificates {
            let listener = Listener { listener: certificate.listener };
            self.certificate_expiry.get_or_create(&listener).set(certificate.not_after_seconds);
            self.certificate_problem.get_or_create(&listener).set(certificate.has_problem.into());
        }
        self.memory_limit.set(picture.memory_limit as i64);
        self.listeners.set(picture.listeners as i64);
        if let Some(stats) = &picture.store {
            self.store.set(stats);
        }
        for (service, is_well) in &picture.services {
            let label = ServiceName { service: service.clone() };
            self.services.get_or_create(&label).set((*is_well).into());
        }
        self.checks.set(picture.checks.planned as i64);
        self.check_runs.inner().store(picture.checks.begun, Ordering::Relaxed);
        self.checks_missed.inner().store(picture.checks.missed, Ordering::Relaxed);
        self.uptime.set(picture.uptime_seconds);
        let mut text = String::with_capacity(16 << 10);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to memory succeeds");
        text
    }
}

/// A method as a label: a client may invent any number of methods.
pub(crate) fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// What is measured at the moment of looking.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) memory: Vec<(&'static str, u64)>,
    pub(crate) memory_limit: u64,
    pub(crate) certificates: Vec<CertificatePicture>,
    pub(crate) listeners: usize,
    /// Parts of the server, and whether they are well.
    pub(crate) services: Vec<(String, bool)>,
    pub(crate) checks: probe::check::RunnerStats,
    pub(crate) store: Option<store::Stats>,
    pub(crate) uptime_seconds: i64,
}

/// The certificate of a listener.
#[derive(Debug)]
pub(crate) struct CertificatePicture {
    pub(crate) listener: &'static str,
    pub(crate) not_after_seconds: i64,
    pub(crate) has_problem: bool,
}

#[cfg(test)]
mod tests {
    use model::{Reason, Refusal};

    use super::*;

    #[test]
    fn invented_methods_share_one_label() {
        let telemetry = Telemetry::new("1");
        for name in ["GET", "AAA", "BBB"] {
            telemetry.request(&Method::from_bytes(name.as_bytes()).unwrap(), "none", 404, 0.0);
        }
        let text = telemetry.gather(&Picture::default());
        assert!(
            text.contains(r#"bellwether_http_requests_total{method="other",route="none",status="404"} 2"#)
        );
        assert!(!text.contains("AAA"));
    }

    #[test]
    fn the_figures_of_a_deleted_tenant_are_forgotten() {
        let telemetry = Telemetry::new("1");
        let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::default_tenant());
        for tenant in [&acme, &other] {
            telemetry.outcome(tenant, "metrics", "otlp", 3, &Refusals::default());
            telemetry.dropped_by(tenant, "logs", "rule", 1);
            telemetry.over_limit(tenant, "requests", 1);
            telemetry.security_event(tenant, "rate_limited", "");
        }
        telemetry.forget(&acme);
        let text = telemetry.gather(&Picture::default());
        assert!(!text.contains("acme") && text.contains(r#"tenant="default""#), "{text}");
    }

    #[test]
    fn outcomes_add_up_by_tenant_signal_and_reason() {
        let telemetry = Telemetry::new("1");
        let mut refused = Refusals::default();
        refused.push(Refusal {
            index: 0,
            field: "x".into(),
            reason: Reason::InvalidLabels,
            message: String::new(),
            items: 2,
        });
        telemetry.outcome(&TenantId::default_tenant(), "metrics", "otlp", 3, &refused);
        telemetry.outcome(&TenantId::default_tenant(), "metrics", "otlp", 4, &Refusals::default());
        let text = telemetry.gather(&Picture::default());
        for line in [
            r#"bellwether_items_accepted_total{tenant="default",signal="metrics",protocol="otlp"} 7"#,
            r#"bellwether_items_refused_total{tenant="default",signal="metrics",protocol="otlp",reason="invalid_labels"} 2"#,
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
