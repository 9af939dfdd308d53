//! What a tenant may send. Data only: `store` and `server` enforce it.

/// Limits on metrics. The defaults fit a team on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricLimits {
    /// Series that may be active at once; known series go on above it.
    pub series_max: usize,
    /// Which setting says so, as a refusal names it.
    pub series_setting: &'static str,
    /// Labels of one series, the name included.
    pub labels_max: usize,
    /// Bytes of one label name.
    pub name_bytes_max: usize,
    /// Bytes of one label value.
    pub value_bytes_max: usize,
    /// How far ahead of the server's clock a timestamp may be, milliseconds.
    pub future_ms_max: i64,
}

impl Default for MetricLimits {
    fn default() -> Self {
        Self {
            series_max: 5_000_000,
            series_setting: "limits.series",
            labels_max: 128,
            name_bytes_max: 1024,
            value_bytes_max: 16 << 10,
            future_ms_max: 24 * 3600 * 1000,
        }
    }
}
