//! A tenant's rows of one signal at one moment: segments and heads in which every row is exactly once.
//!
//! Files and chunks that a snapshot needs live until it is dropped. Rows that are committed later are not in it.

use std::cmp::Reverse;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Signal, TenantId};

use super::chunk::{Chunk, Scope};
use super::filter::Filter;
use super::slice::{KeyInfo, Slice};
use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::shard::Shard;
use crate::view::ShardView;
use crate::wal::ShardKey;

/// A tenant's rows of one signal at one moment.
#[derive(Clone)]
pub struct RowSnapshot {
    segments: ShardView,
    /// Chunks of heads, newest first.
    chunks: Vec<Arc<Chunk>>,
    /// What every row seen must fulfil.
    within: Option<Arc<Filter>>,
}

impl Engine {
    /// A tenant's rows of a signal as they are now. What is not replayed yet is missing: see
    /// [`Engine::replayed`].
    pub fn rows(&self, tenant: &TenantId, signal: Signal) -> RowSnapshot {
        let key = ShardKey { tenant: tenant.clone(), signal };
        let shard = self.known_shard(&key);
        // Heads and segments change together, under the lock of the view.
        let (view, mut chunks) = self.view_with(|| match shard {
            Some(Shard::Rows(shard)) => shard
                .with_heads(|heads| heads.all().iter().flat_map(|head| head.chunks()).collect::<Vec<_>>()),
            _ => Vec::new(),
        });
        chunks.reverse();
        let segments = view.shards.get(&key).cloned().unwrap_or_default();
        RowSnapshot { segments, chunks, within: None }
    }
}

impl RowSnapshot {
    /// The same moment with only the rows that this filter accepts; to whoever asks it, others do not exist.
    #[must_use]
    pub fn within(self, filter: Filter) -> Self {
        Self { within: Some(Arc::new(filter)), ..self }
    }

    /// What may have rows from `start_ns` until before `end_ns` (`i64::MAX`: no end), the one with the latest
    /// row first.
    pub fn slices(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Slice>> {
        let hidden: Arc<[_]> = Arc::default();
        let is_inside = |min_ns: i64, max_ns: i64| {
            start_ns <= max_ns && (min_ns < end_ns || end_ns == i64::MAX) && min_ns <= max_ns
        };
        let of_heads = self.chunks.iter().filter(|chunk| is_inside(chunk.min_t_ns, chunk.max_t_ns));
        let of_heads = of_heads.map(|chunk| Slice::of_chunk(Arc::clone(chunk), Arc::clone(&hidden)));
        let mut slices: Vec<Slice> = of_heads.collect();
        // Times of segments are whole milliseconds.
        let ms = |ns: i64| ns.div_euclid(1_000_000);
        for live in self.segments.row_segments.iter().rev() {
            let meta = live.meta();
            if ms(start_ns) <= meta.max_t_ms && meta.min_t_ms <= ms(end_ns) {
                let hidden = self.segments.hidden_in(meta);
                slices.extend(live.segment.slices(start_ns, end_ns, &hidden)?);
            }
        }
        if let Some(within) = &self.within {
            slices = slices.into_iter().map(|slice| slice.within(Arc::clone(within))).collect();
        }
        slices.sort_by_key(|slice| Reverse(slice.time_ns().1));
        Ok(slices)
    }

    /// The keys of attributes in that range of time, each scope's once. A key has the kind that can show all its
    /// values: doubles where integers and doubles occur, texts where others mix. `check` is asked before each slice
    /// whether to go on, since rows are read where only a part of them is seen.
    pub fn keys<E: From<StoreError>>(
        &self,
        start_ns: i64,
        end_ns: i64,
        check: impl Fn() -> std::result::Result<(), E>,
    ) -> std::result::Result<Vec<KeyInfo>, E> {
        let mut merged: Vec<KeyInfo> = Vec::new();
        let mut places: HashMap<(Scope, Arc<str>), usize> = HashMap::new();
        for slice in self.slices(start_ns, end_ns)?.iter().rev() {
            check()?;
            for key in slice.keys()? {
                let place = *places.entry((key.scope, Arc::clone(&key.key))).or_insert_with(|| {
                    merged.push(KeyInfo { count: 0, ..key.clone() });
                    merged.len() - 1
                });
                let known = &mut merged[place];
                known.count += key.count;
                known.kind = known.kind.common(key.kind);
            }
        }
        merged.sort_by(|a, b| (a.scope, &a.key).cmp(&(b.scope, &b.key)));
        Ok(merged)
    }
}
