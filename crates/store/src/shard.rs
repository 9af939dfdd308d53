//! A shard of any signal, as the engine sees it.

use std::sync::Arc;

use crate::heads::{Facts, Head, Heads};
use crate::metrics::MetricShard;
use crate::rows::RowShard;
use crate::wal::ShardKey;

/// A tenant's telemetry of one kind.
#[derive(Clone)]
pub(crate) enum Shard {
    Metrics(Arc<MetricShard>),
    Rows(Arc<RowShard>),
}

impl Shard {
    /// Whose it is, and of which kind.
    pub(crate) fn key(&self) -> &ShardKey {
        match self {
            Self::Metrics(shard) => &shard.key,
            Self::Rows(shard) => &shard.key,
        }
    }

    /// Freezes the head. Returns the last sequence that was staged before, even where there is nothing new.
    pub(crate) fn rotate(&self) -> u64 {
        match self {
            Self::Metrics(shard) => shard.rotate(),
            Self::Rows(shard) => shard.rotate(),
        }
    }

    /// Freezes the head after a failed write: nothing that is queued will be applied.
    pub(crate) fn rotate_after_failure(&self, seq_last: u64) {
        match self {
            Self::Metrics(shard) => shard.rotate_after_failure(seq_last),
            Self::Rows(shard) => shard.rotate_after_failure(seq_last),
        }
    }

    /// What is known of the head that takes rows.
    pub(crate) fn active_facts(&self) -> Facts {
        match self {
            Self::Metrics(shard) => shard.with_heads(|heads| heads.active.facts()),
            Self::Rows(shard) => shard.with_heads(|heads| heads.active.facts()),
        }
    }

    /// What is known of every head, oldest first.
    pub(crate) fn facts(&self) -> Vec<Facts> {
        fn of<H: Head>(heads: &mut Heads<H>) -> Vec<Facts> {
            heads.all().iter().map(|head| head.facts()).collect()
        }
        match self {
            Self::Metrics(shard) => shard.with_heads(of),
            Self::Rows(shard) => shard.with_heads(of),
        }
    }

    /// True when a head waits to be flushed.
    pub(crate) fn has_frozen(&self) -> bool {
        match self {
            Self::Metrics(shard) => shard.with_heads(|heads| !heads.frozen.is_empty()),
            Self::Rows(shard) => shard.with_heads(|heads| !heads.frozen.is_empty()),
        }
    }
}
