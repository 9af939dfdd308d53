//! How long rows are kept.

use model::Predicate;

/// How long rows are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowRetention {
    /// Milliseconds; `None` keeps all.
    pub keep_ms: Option<i64>,
    /// Rows that fulfil a predicate are kept for so many milliseconds instead; the first that fits counts.
    pub rules: Vec<(Predicate, i64)>,
}

impl RowRetention {
    /// Rows before this are past retention, whatever rule they fall under.
    pub(crate) fn oldest_ms(&self, now_ms: i64) -> i64 {
        let Some(keep_ms) = self.keep_ms else { return i64::MIN };
        let keep_ms = self.rules.iter().map(|(_, keep_ms)| *keep_ms).fold(keep_ms, i64::max);
        now_ms.saturating_sub(keep_ms)
    }
}
