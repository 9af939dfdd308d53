//! What compaction leaves alone for a while, because the last attempt at it failed.

use hashbrown::{HashMap, HashSet};

use crate::error::StoreError;
use crate::segment::SegmentId;
use crate::wal::ShardKey;

/// The first pause; each further failure doubles it.
const PAUSE_MS_MIN: i64 = 60 * 1000;
const PAUSE_MS_MAX: i64 = 6 * 3600 * 1000;

#[derive(Clone, Copy, Debug)]
struct Pause {
    until_ms: i64,
    len_ms: i64,
}

impl Pause {
    fn after(before: Option<Self>, now_ms: i64) -> Self {
        let len_ms = before.map_or(PAUSE_MS_MIN, |pause| (2 * pause.len_ms).min(PAUSE_MS_MAX));
        Self { until_ms: now_ms.saturating_add(len_ms), len_ms }
    }
}

/// Segments and shards whose compaction failed, until when they are left alone.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    segments: HashMap<SegmentId, Pause>,
    shards: HashMap<ShardKey, Pause>,
}

impl Aside {
    /// Leaves segments alone for a while.
    pub(super) fn put(&mut self, segments: impl IntoIterator<Item = SegmentId>, now_ms: i64) {
        for id in segments {
            let pause = Pause::after(self.segments.get(&id).copied(), now_ms);
            self.segments.insert(id, pause);
        }
    }

    /// Leaves a shard alone for a while.
    pub(super) fn put_shard(&mut self, key: &ShardKey, now_ms: i64) {
        let pause = Pause::after(self.shards.get(key).copied(), now_ms);
        self.shards.insert(key.clone(), pause);
    }

    /// Segments to be left alone now.
    pub(super) fn segments(&self, now_ms: i64) -> HashSet<SegmentId> {
        self.segments.iter().filter(|(_, pause)| now_ms < pause.until_ms).map(|(id, _)| *id).collect()
    }

    /// Whether a shard is to be left alone now.
    pub(super) fn has_shard(&self, key: &ShardKey, now_ms: i64) -> bool {
        self.shards.get(key).is_some_and(|pause| now_ms < pause.until_ms)
    }

    /// Forgets what went well: a shard, and segments that are no more.
    pub(super) fn forget(&mut self, shard: &ShardKey, segments: &[SegmentId]) {
        self.shards.remove(shard);
        segments.iter().for_each(|id| {
            self.segments.remove(id);
        });
    }

    /// Forgets segments that are no more.
    pub(super) fn retain(&mut self, is_live: impl Fn(SegmentId) -> bool) {
        self.segments.retain(|id, _| is_live(*id));
    }

    /// True where nothing is left alone.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

/// The inputs that a failure is about: the one that it names, or all.
pub(super) fn at_fault(error: &StoreError, inputs: &[(SegmentId, [String; 2])]) -> Vec<SegmentId> {
    let named = match error {
        StoreError::Io { path, .. } | StoreError::Corrupt { path, .. } | StoreError::TooNew { path, .. } => {
            inputs.iter().find(|(_, paths)| paths.contains(path))
        }
        _ => None,
    };
    match named {
        Some((id, _)) => vec![*id],
        None => inputs.iter().map(|(id, _)| *id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_with_each_failure_up_to_a_bound() {
        let mut aside = Aside::default();
        let id = SegmentId(1);
        let mut now_ms = 0;
        for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] {
            aside.put([id], now_ms);
            assert!(aside.segments(now_ms + minutes * 60_000 - 1).contains(&id), "{minutes}");
            now_ms += minutes * 60_000;
            assert!(!aside.segments(now_ms).contains(&id), "{minutes}");
        }
        aside.retain(|live| live != id);
        aside.put([id], 0);
        assert!(aside.segments(60_000).is_empty());
    }

    #[test]
    fn a_failure_is_about_the_input_that_it_names_else_about_all() {
        let inputs: Vec<_> =
            [1, 2].map(|id| (SegmentId(id), [format!("{id}.parquet"), format!("{id}.filter")])).into();
        let check = |error: StoreError, want: &[u64]| {
            assert_eq!(at_fault(&error, &inputs).iter().map(|id| id.0).collect::<Vec<_>>(), want);
        };
        check(StoreError::corrupt("2.filter", 0, "checksum"), &[2]);
        check(StoreError::corrupt("3.filter", 0, "checksum"), &[1, 2]);
        check(StoreError::Closed, &[1, 2]);
    }
}
