//! A frozen head becomes a segment.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{SampleColumns, Signal, TenantId, TimeRange};
use parking_lot::MutexGuard;

use super::{Counters, Engine};
use crate::error::{Result, StoreError};
use crate::heads::{Facts, Head};
use crate::manifest::Edit;
use crate::metrics::{MetricHead, MetricShard};
use crate::rows::{Chunk, HeadSampler, RowHead, RowShard, Slice, write_rows};
use crate::segment::{SegmentId, SegmentMeta, SegmentSpec, SeriesInput, write_segment};
use crate::shard::Shard;
use crate::wal::ShardKey;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Who is to hear of dropped rows, and how many these are.
type Dropped = (Arc<dyn HeadSampler>, u64);

impl Engine {
    /// Freezes a head, so that the next flushes write everything staged until now. Returns the last sequence
    /// that was staged before, even where there is nothing new; `None` when nothing was since the start.
    pub fn rotate(&self, tenant: &TenantId, signal: Signal) -> Option<u64> {
        Some(self.known_shard(&ShardKey { tenant: tenant.clone(), signal })?.rotate())
    }

    /// Freezes all heads.
    pub fn rotate_all(&self) {
        self.all_shards().iter().for_each(|shard| {
            shard.rotate();
        });
    }

    /// Flushes the oldest frozen head of some shard. `Ok(false)` when there is none that is due, or while the log
    /// is still being replayed.
    pub fn flush_once(&self, now_ms: i64) -> Result<bool> {
        if !self.is_replayed() {
            return Ok(false);
        }
        let flushing = self.flushing.lock();
        let mut shards = self.all_shards().into_iter();
        let Some(shard) = shards.find(|shard| self.is_flush_due(shard, now_ms)) else { return Ok(false) };
        self.flush_shard(&flushing, &shard, now_ms)
    }

    /// Flushes the oldest frozen head of a shard, due or not.
    pub(super) fn flush_oldest_of(
        &self,
        flushing: &MutexGuard<'_, ()>,
        key: &ShardKey,
        now_ms: i64,
    ) -> Result<bool> {
        self.known_shard(key).map_or(Ok(false), |shard| self.flush_shard(flushing, &shard, now_ms))
    }

    /// True when a frozen head waits for nothing but its flush. One of spans waits for the rest of its traces while
    /// there is room.
    pub(super) fn is_flush_due(&self, shard: &Shard, now_ms: i64) -> bool {
        let has_room = || self.heads_bytes.load(Ordering::Relaxed) <= self.settings.heads_bytes_max;
        shard.has_frozen()
            && match (shard, self.sampler_of(shard.key())) {
                (Shard::Rows(shard), Some((_, window_ms))) if has_room() => {
                    let oldest = shard.with_heads(|heads| heads.frozen.front().cloned());
                    let last_ms = oldest.map_or(i64::MIN, |frozen| frozen.head.facts().last_received_ms);
                    // A clock that was set back shall not make it wait.
                    !(0..window_ms).contains(&now_ms.saturating_sub(last_ms))
                }
                _ => true,
            }
    }

    /// Who samples the rows of a shard, and how long their heads wait.
    fn sampler_of(&self, key: &ShardKey) -> Option<(Arc<dyn HeadSampler>, i64)> {
        let sampler = self.sampler.read().clone().filter(|_| key.signal == Signal::Traces)?;
        let window_ms = sampler.window_ms(&key.tenant)?;
        Some((sampler, window_ms))
    }

    fn flush_shard(&self, _flushing: &MutexGuard<'_, ()>, shard: &Shard, now_ms: i64) -> Result<bool> {
        if !shard.has_frozen() {
            return Ok(false);
        }
        let flushed = match shard {
            Shard::Metrics(shard) => self.flush_metrics(shard, now_ms),
            Shard::Rows(shard) => self.flush_rows(shard, now_ms),
        };
        let counter = if flushed.is_ok() { &self.counters.flushes } else { &self.counters.flush_failures };
        Counters::add(counter, 1);
        self.count_heads();
        self.flushed.notify_waiters();
        flushed.map(|()| true)
    }

    /// Writes everything that was staged until now to segments.
    pub fn flush_all(&self, now_ms: i64) -> Result<()> {
        self.rotate_all();
        // A head is swapped when the last row before the rotation is committed.
        self.commit_once();
        self.rotate_failed();
        self.flush_all_frozen(now_ms)
    }

    /// Flushes every frozen head that is due. A shard that fails does not keep the others from it.
    pub fn flush_frozen(&self, now_ms: i64) -> Result<()> {
        self.flush_where(now_ms, |shard| self.is_flush_due(shard, now_ms))
    }

    /// Flushes every frozen head.
    pub(super) fn flush_all_frozen(&self, now_ms: i64) -> Result<()> {
        self.flush_where(now_ms, Shard::has_frozen)
    }

    fn flush_where(&self, now_ms: i64, is_due: impl Fn(&Shard) -> bool) -> Result<()> {
        if !self.is_replayed() {
            return Ok(());
        }
        let mut failed = Ok(());
        for shard in self.all_shards() {
            while is_due(&shard) {
                if let Err(error) = self.flush_shard(&self.flushing.lock(), &shard, now_ms) {
                    failed = failed.and(Err(error));
                    break;
                }
            }
        }
        failed
    }

    fn flush_metrics(&self, shard: &MetricShard, now_ms: i64) -> Result<()> {
        let Some(frozen) = shard.with_heads(|heads| heads.frozen.front().cloned()) else { return Ok(()) };
        let written = self.with_spare(|| self.write_metrics(shard, &frozen.head, now_ms))?;
        let metadata = if written.is_none() { frozen.head.metadata() } else { Vec::new() };
        self.commit_flush(&shard.key, written, frozen.boundary_seq, || {
            shard.with_heads(|heads| {
                heads.frozen.pop_front();
                // A segment needs a series; metadata alone waits for one.
                heads.active.take_over(metadata);
            });
        })?;
        self.collect_wal()
    }

    fn flush_rows(&self, shard: &RowShard, now_ms: i64) -> Result<()> {
        let Some(frozen) = shard.with_heads(|heads| heads.frozen.front().cloned()) else { return Ok(()) };
        let (chunks, sampled) = self.sampled(shard, frozen.head.chunks())?;
        let written = self.with_spare(|| self.write_row_head(shard, &frozen.head, &chunks, now_ms))?;
        self.commit_flush(&shard.key, written, frozen.boundary_seq, || {
            shard.with_heads(|heads| heads.frozen.pop_front());
        })?;
        if let Some((sampler, dropped)) = sampled {
            Counters::add(&self.counters.rows_sampled, dropped);
            sampler.dropped(&shard.key.tenant, dropped);
        }
        self.collect_wal()
    }

    /// Writes; where the disk is full, once more with the room of the spare file.
    fn with_spare<T>(&self, write: impl Fn() -> Result<T>) -> Result<T> {
        match write() {
            Err(error) if error.is_disk_full() && self.wal.lock().has_spare() => {
                // This is what the spare file is for.
                self.wal.lock().release_spare()?;
                write()
            }
            written => written,
        }
    }

    /// Puts a flushed head's segment in the place of the head.
    fn commit_flush(
        &self,
        key: &ShardKey,
        written: Option<SegmentMeta>,
        boundary_seq: u64,
        swap: impl FnOnce(),
    ) -> Result<()> {
        let edit = Edit {
            add: written.into_iter().collect(),
            flushed: vec![(key.clone(), boundary_seq)],
            ..Edit::default()
        };
        self.commit_edit(edit, swap)
    }

    /// What is known of a segment before it is written.
    fn flush_spec(&self, key: &ShardKey, facts: &Facts, newest_ms: i64, now_ms: i64) -> Result<SegmentSpec> {
        let day = i32::try_from(newest_ms.div_euclid(DAY_MS))
            .map_err(|_| StoreError::Refused(format!("timestamp {newest_ms} ms is outside the calendar")))?;
        Ok(SegmentSpec {
            id: SegmentId(self.take_id()),
            tenant: key.tenant.clone(),
            signal: key.signal,
            day,
            level: 0,
            min_seq: facts.min_seq,
            max_seq: facts.max_seq,
            created_ms: now_ms,
            tombstones_applied: 0,
        })
    }

    /// Writes a head as one segment; `None` where it has no samples.
    fn write_metrics(
        &self,
        shard: &MetricShard,
        head: &MetricHead,
        now_ms: i64,
    ) -> Result<Option<SegmentMeta>> {
        let facts = head.facts();
        if facts.is_empty() {
            return Ok(None);
        }
        let newest_ms = if facts.samples > 0 { facts.max_t_ms } else { now_ms };
        let spec = self.flush_spec(&shard.key, &facts, newest_ms, now_ms)?;
        let mut series = head.sorted_series().into_iter().map(|(labels, local)| {
            let mut columns = SampleColumns::default();
            head.read(local, TimeRange::ALL, &mut columns);
            Ok(SeriesInput { labels, columns, exemplars: head.exemplars(local, TimeRange::ALL) })
        });
        write_segment(&*self.disk, &spec, &mut series, &head.metadata())
    }

    /// Writes what is kept of a head of rows as one segment; `None` where that is nothing.
    fn write_row_head(
        &self,
        shard: &RowShard,
        head: &RowHead,
        chunks: &[Arc<Chunk>],
        now_ms: i64,
    ) -> Result<Option<SegmentMeta>> {
        let facts = head.facts();
        if facts.samples == 0 {
            return Ok(None);
        }
        let spec = self.flush_spec(&shard.key, &facts, facts.max_t_ms, now_ms)?;
        write_rows(&*self.disk, &spec, chunks)
    }

    /// What a sampler keeps of the oldest frozen head; who that is and how many rows go.
    fn sampled(
        &self,
        shard: &RowShard,
        chunks: Vec<Arc<Chunk>>,
    ) -> Result<(Vec<Arc<Chunk>>, Option<Dropped>)> {
        let Some((sampler, _)) = self.sampler_of(&shard.key) else { return Ok((chunks, None)) };
        let slices = |chunks: &[Arc<Chunk>]| -> Vec<Slice> {
            chunks.iter().map(|chunk| Slice::of_chunk(Arc::clone(chunk), Arc::default())).collect()
        };
        let later = shard.with_heads(|heads| heads.all());
        let later: Vec<Arc<Chunk>> = later.iter().skip(1).flat_map(|head| head.chunks()).collect();
        let rows: usize = chunks.iter().map(|chunk| chunk.rows).sum();
        let kept = sampler.keep(&shard.key.tenant, &slices(&chunks), &slices(&later));
        let Some(kept) = kept.filter(|kept| kept.len() == rows) else { return Ok((chunks, None)) };
        let dropped = (rows - kept.count_set_bits()) as u64;
        let mut left = Vec::with_capacity(chunks.len());
        let mut at = 0;
        for chunk in chunks {
            let of_chunk = kept.slice(at, chunk.rows);
            at += chunk.rows;
            match of_chunk.count_set_bits() {
                0 => {}
                all if all == chunk.rows => left.push(chunk),
                _ => left.push(Arc::new(chunk.filtered(&of_chunk)?)),
            }
        }
        Ok((left, Some((sampler, dropped))))
    }

    /// Removes the files of the log that no head needs.
    pub(super) fn collect_wal(&self) -> Result<()> {
        if !self.is_replayed() {
            return Ok(());
        }
        let state = self.manifest_state();
        self.wal.lock().collect(|shard| state.flushed_seq(shard))
    }
}
