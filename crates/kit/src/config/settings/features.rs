//! Switches and processing.

use std::time::Duration;

use serde_json::Value;

use crate::config::option::{choice, section};

section! {
    /// Which dependencies get a health check of their own.
    pub struct ServiceChecks at "services." {
        /// The database.
        database: bool = "true", live;
        /// Redis, where it is used.
        redis: bool = "true", live;
        /// URLs of other services to check.
        external_apis: Vec<String> = "", live;
    }
}

section! {
    /// Alerting.
    pub struct Alerts at "alerts." {
        /// Whether rules are evaluated.
        enabled: bool = "true", live;
        /// Channels for alerts that name none: names of channels, or objects with type and config.
        default_channels: Value = "[]", live;
    }
}

section! {
    /// Files of Prometheus and Alertmanager, read as they are.
    pub struct Alerting at "alerting." {
        /// Rule files of Prometheus; names may hold `*`, `?` and `[…]`. Read at start and on reload.
        rule_files: Vec<String> = "", live;
        /// An `alertmanager.yml`; empty for none. Read at start and on reload.
        alertmanager_file: String = "", live;
        /// The tenant whose rules and routes these are.
        tenant: String = "default", live;
        /// How often a group of rules is evaluated that does not say so itself.
        evaluation_interval: Duration = "30s", live in Duration::from_secs(1)..=Duration::from_secs(86_400);
        /// Labels of this server, `$externalLabels` in templates: an object of names and values.
        external_labels: Value = "{}", live;
    }
}

choice! {
    /// How much is logged.
    pub enum LogLevel {
        /// Every step.
        Trace = "trace",
        /// What helps to find a fault.
        Debug = "debug",
        /// What an operator wants to know.
        Info = "info",
        /// What may become a problem.
        Warn = "warn",
        /// What went wrong.
        Error = "error",
    }
}

choice! {
    /// How our own log lines look.
    pub enum LogFormat {
        /// One line for people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// Our own log, never what tenants send.
    pub struct Logging at "logging." {
        /// The least severe line that is written.
        level: LogLevel = "info", live;
        /// How lines look.
        format: LogFormat = "text";
    }
}

section! {
    /// Our own traces, never what tenants send.
    pub struct Tracing at "tracing." {
        /// Whether spans are recorded and trace headers sent.
        enabled: bool = "true", live;
        /// Share of traces that are kept, 0 to 1.
        sampling_rate: f64 = "1", live in 0.0..=1.0;
    }
}

section! {
    /// Processing.
    pub struct Performance at "performance." {
        /// Items processed together.
        batch_size: u32 = "1000", live in 1..=100_000;
        /// Processing that takes longer is aborted; milliseconds.
        processing_timeout_ms: u64 = "30000", live in 1..=3_600_000;
        /// Requests served at once; more get 503.
        concurrent_requests: u32 = "1000", live in 1..=1_000_000;
        /// Window over which `limits.requests` counts; milliseconds.
        rate_limit_window_ms: u64 = "60000", live in 1..=86_400_000;
    }
}

section! {
    /// Parts that can be switched off.
    pub struct Features at "features." {
        /// Thresholds and live updates on data as it arrives.
        real_time_processing: bool = "true", live;
        /// Detection of anomalies.
        anomaly_detection: bool = "true", live;
        /// Apply recommended settings; otherwise they are only shown.
        auto_optimization: bool = "false", live;
        /// Forecasts and correlations.
        advanced_analytics: bool = "true", live;
    }
}
