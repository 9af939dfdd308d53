//! What is collected and received.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::option::{choice, section};

section! {
    /// Metrics of this machine under node_exporter's names.
    pub struct Host at "host." {
        /// Whether they are collected.
        enabled: bool = "true", live;
        /// How often.
        interval: Duration = "10s", live in Duration::from_secs(1)..=Duration::from_secs(3600);
    }
}

section! {
    /// Prometheus scraping.
    pub struct Scrape at "scrape." {
        /// A `prometheus.yml`, read as it is; empty scrapes nothing.
        config_file: String = "";
    }
}

section! {
    /// StatsD and DogStatsD.
    pub struct Statsd at "statsd." {
        /// UDP address such as 127.0.0.1:8125, or off.
        listen: Option<SocketAddr> = "off";
        /// How often counters, gauges and timers are written.
        flush_interval: Duration = "10s", live in Duration::from_secs(1)..=Duration::from_secs(600);
    }
}

section! {
    /// Syslog, RFC 5424 and RFC 3164.
    pub struct Syslog at "syslog." {
        /// UDP address such as 127.0.0.1:5514, or off.
        udp: Option<SocketAddr> = "off";
        /// TCP address, or off; messages are framed by their length or by line ends.
        tcp: Option<SocketAddr> = "off";
        /// TCP address for TLS, or off.
        tls: Option<SocketAddr> = "off";
        /// PEM file with the certificate chain of the TLS listener; empty: the certificate of `[tls]`.
        certificate_file: String = "", live;
        /// PEM file with the private key of the TLS listener.
        key_file: String = "", live;
    }
}

section! {
    /// Which groups of metrics are taken in.
    pub struct MetricsModule at "metrics." {
        /// Metrics of the system.
        system: bool = "true", live;
        /// Metrics of applications.
        application: bool = "true", live;
        /// Custom metrics.
        custom: bool = "true", live;
    }
}

choice! {
    /// How OpenTelemetry names become Prometheus names, under Prometheus's own spellings.
    pub enum Translation {
        /// `http.server.duration` in seconds becomes `http_server_duration_seconds`.
        UnderscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes",
        /// Dots become underscores; units and `_total` are not added.
        UnderscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes",
        /// Dots stay; units and `_total` are added.
        NoUtf8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes",
        /// Names stay as they are.
        NoTranslation = "NoTranslation",
    }
}

section! {
    /// OpenTelemetry metrics.
    pub struct OtlpMetrics at "metrics.otlp." {
        /// Resource attributes that become labels of every series.
        promote_resource_attributes: Vec<String> = "", live;
        /// How names are translated.
        translation: Translation = "UnderscoreEscapingWithSuffixes", live;
    }
}

section! {
    /// The server's own telemetry.
    pub struct Telemetry at "telemetry." {
        /// Whether it is written to the server's own store.
        enabled: bool = "true", live;
        /// How often its metrics are recorded.
        interval: Duration = "10s", live in Duration::from_secs(1)..=Duration::from_secs(3600);
    }
}
