//! Retention and limits.

use std::time::Duration;

use crate::config::RetentionRules;
use crate::config::option::section;
use crate::config::value::ByteSize;

/// Nothing older than this is asked for or kept by mistake.
const TEN_YEARS: Duration = Duration::from_secs(3650 * 86_400);
const HOUR: Duration = Duration::from_secs(3600);

section! {
    /// How long data is kept. Each age may be off, which keeps everything.
    pub struct Retention at "retention." {
        /// Samples of metrics.
        metrics: Option<Duration> = "30d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Log records.
        logs: Option<Duration> = "7d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Spans.
        traces: Option<Duration> = "7d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Events such as deploys and commands.
        events: Option<Duration> = "30d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Rows kept for a time of their own: `[[retention.rules]]` with signal, match (a search) and keep; the first that fits counts.
        rules: RetentionRules = "[]", live;
        /// Results of health checks.
        checks: Option<Duration> = "30d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Alert events.
        alerts: Option<Duration> = "90d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// The audit log.
        audit: Option<Duration> = "365d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// The server's own metrics, from when they are kept apart in tenant platform.
        platform_metrics: Option<Duration> = "30d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// The server's own log, likewise.
        platform_logs: Option<Duration> = "7d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Spans of the server's own requests, likewise.
        platform_traces: Option<Duration> = "3d", live in Some(HOUR)..=Some(TEN_YEARS);
        /// Total size of stored telemetry above which the oldest segments go, or off.
        max_bytes: Option<ByteSize> = "off", live;
        /// Free space on the disk below which the oldest segments go, or off.
        free_space_floor: Option<ByteSize> = "off", live;
    }
}

section! {
    /// What one tenant may send.
    pub struct Limits at "limits." {
        /// Largest body of a request, after decompression too.
        body_bytes: ByteSize = "64MiB", live in ByteSize(1 << 10)..=ByteSize(1 << 32);
        /// Bodies being received or decoded at once, together.
        in_flight_bytes: ByteSize = "256MiB", live in ByteSize(1 << 16)..=ByteSize(1 << 40);
        /// Series active at once; known series go on above it.
        series: u64 = "5000000", live in 1..=1_000_000_000;
        /// Labels of one series, the name included.
        labels: u32 = "128", live in 1..=1024;
        /// Bytes of one label name.
        label_name_bytes: u32 = "1024", live in 1..=65_536;
        /// Bytes of one label value.
        label_value_bytes: u32 = "16384", live in 1..=1_048_576;
        /// Bytes of one log record, span or event.
        record_bytes: ByteSize = "1MiB", live in ByteSize(1 << 10)..=ByteSize(64 << 20);
        /// Attributes of one log record, span or event.
        attributes: u32 = "1024", live in 1..=65_536;
        /// How far ahead of the server's clock a timestamp may be.
        future: Duration = "24h", live in Duration::ZERO..=TEN_YEARS;
        /// Requests within `performance.rate_limit_window_ms`, or off.
        requests: Option<u64> = "off", live;
        /// Of those of one tenant, by one person, key or service account, or off.
        requests_per_caller: Option<u64> = "off", live;
    }
}

section! {
    /// What one query may cost.
    pub struct Query at "query." {
        /// Longest run; a client may ask for less.
        timeout: Duration = "2m", live in Duration::from_millis(100)..=HOUR;
        /// Samples one query may load.
        samples: u64 = "50000000", live in 1000..=100_000_000_000;
        /// How far back an instant selector looks for the last sample.
        lookback: Duration = "5m", live in Duration::from_secs(1)..=HOUR;
        /// Queries running at once; more wait.
        concurrency: u32 = "16", live in 1..=1000;
    }
}
