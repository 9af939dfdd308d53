//! How long rows are kept.

use model::Predicate;
use xxhash_rust::xxh3::xxh3_64;

use super::predicate::put;

/// How long rows are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowRetention {
    /// Milliseconds; `None` keeps all.
    pub keep_ms: Option<i64>,
    /// Rows that fulfil a predicate are kept for so many milliseconds instead; the first that fits counts.
    pub rules: Vec<(Predicate, i64)>,
}

impl RowRetention {
    /// A number that names the drop of the rule at a position, or of what no rule covers. Tombstones have small
    /// numbers, so it is never one of theirs.
    pub(crate) fn rule_key(&self, at: usize) -> u64 {
        let mut bytes = Vec::new();
        for (predicate, _) in self.rules.iter().take(at + 1) {
            put(&mut bytes, predicate);
        }
        bytes.extend_from_slice(&at.to_le_bytes());
        xxh3_64(&bytes) | 1 << 63
    }

    /// Rows before this are past retention, whatever rule they fall under.
    pub(crate) fn oldest_ms(&self, now_ms: i64) -> i64 {
        let Some(keep_ms) = self.keep_ms else { return i64::MIN };
        let keep_ms = self.rules.iter().map(|(_, keep_ms)| *keep_ms).fold(keep_ms, i64::max);
        now_ms.saturating_sub(keep_ms)
    }
}
