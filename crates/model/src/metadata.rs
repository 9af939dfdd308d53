//! What is known about a metric beside its samples.

use crate::Labels;

/// The type of a metric as its sender states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MetricType {
    /// Not stated.
    #[default]
    Unknown = 0,
    /// Only grows, or starts anew.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Counts by bucket, classic or native.
    Histogram = 3,
    /// A histogram whose counts go down too.
    GaugeHistogram = 4,
    /// Quantiles computed by the sender.
    Summary = 5,
    /// Always 1; its labels say something.
    Info = 6,
    /// One of several named states.
    Stateset = 7,
}

impl MetricType {
    /// Every type, by code.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::Stateset,
    ];

    /// As OpenMetrics and Prometheus's API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::Stateset => "stateset",
        }
    }

    /// Reads the spelling back; `untyped` is `unknown`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "untyped" {
            return Some(Self::Unknown);
        }
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }
}

/// Type, unit and help of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The family: the name without `_bucket`, `_sum`, `_count`.
    pub metric: String,
    /// Its type.
    pub kind: MetricType,
    /// Its unit, such as `seconds`; empty when not stated.
    pub unit: String,
    /// One sentence about it.
    pub help: String,
}

/// An example of what was measured, usually with a trace id.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// When it was taken, milliseconds.
    pub t_ms: i64,
    /// The value observed.
    pub value: f64,
    /// Such as `trace_id` and `span_id`.
    pub labels: Labels,
}
