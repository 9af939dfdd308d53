//! Small segments become larger ones: which to merge, and into which slices of time.
//!
//! Levels: 0 is a flushed head; 1 holds a piece of a day; 2 a whole day; 3 a week that is over. A sample is
//! rewritten at most three times, whatever the amount of data. Only segments between which no other one
//! overlaps them in time are merged, so that later writes go on winning.

mod aside; // what failed
mod plan; // what to merge next
mod rows; // logs, spans and events
mod rows_plan; // what to merge of them

use std::sync::Arc;

use hashbrown::HashSet;
use model::{Signal, TenantId};

use crate::engine::{Counters, Engine};
use crate::error::{Result, StoreError};
use crate::manifest::Edit;
use crate::segment::{MergePlan, MergeSlice, SegmentId, SegmentMeta, merge_segments};
use crate::tombstone::Tombstone;
use crate::view::{LiveSegment, ShardView};
use crate::wal::ShardKey;
pub(crate) use aside::Aside;
use plan::{Cut, Job};

/// Time that a delete waits for others before segments are rewritten for it.
const DELETE_DELAY_MS: i64 = 3600 * 1000;

impl Engine {
    /// Does the most useful compaction; false when nothing is worth one. What fails is told in the log and left
    /// alone for a while, and the next most useful one is done; an error means that all that was tried failed.
    /// Blocks for as long as it takes.
    pub fn compact_once(&self, now_ms: i64) -> Result<bool> {
        let _compacting = self.compacting.lock();
        let (view, ()) = self.view_with(|| ());
        if !self.aside.lock().is_empty() {
            let live: HashSet<SegmentId> =
                view.shards.values().flat_map(ShardView::metas).map(|m| m.id).collect();
            self.aside.lock().retain(|id| live.contains(&id));
        }
        let mut failed = Ok(false);
        for (key, shard) in &view.shards {
            if self.aside.lock().has_shard(key, now_ms) {
                continue;
            }
            match self.compact_shard(key, shard, now_ms) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    /// As [`Self::compact_once`], in one shard.
    fn compact_shard(&self, key: &ShardKey, shard: &ShardView, now_ms: i64) -> Result<bool> {
        let is_metrics = key.signal == Signal::Metrics;
        let next = match is_metrics {
            true => self.next_metrics_job(key, shard, now_ms),
            false => self.next_rows_job(key, shard, now_ms),
        };
        let job = match next {
            Ok(Some(job)) => job,
            Ok(None) => return Ok(false),
            Err(error) => {
                self.tell_failure(key, &error);
                self.aside.lock().put_shard(key, now_ms);
                return Err(error);
            }
        };
        let bytes: u64 = shard.metas().filter(|m| job.inputs.contains(&m.id)).map(|m| m.bytes).sum();
        let free = self.disk.free_bytes().map_err(|e| StoreError::io("measure", "", e));
        let free = free.inspect_err(|error| self.tell_failure(key, error))?;
        if free < 2 * bytes + self.settings.wal_file_bytes {
            tracing::warn!(bytes, free, "no room to compact");
            return Ok(false);
        }
        let done = match is_metrics {
            true => self.compact_metrics(key, shard, &job, now_ms),
            false => self.compact_rows(key, shard, &job, now_ms),
        };
        match done {
            Ok(()) => {
                Counters::add(&self.counters.compactions, 1);
                self.aside.lock().forget(key, &job.inputs);
                Ok(true)
            }
            Err(error) => {
                let mut inputs = shard.paths();
                inputs.retain(|(id, _)| job.inputs.contains(id));
                self.set_aside(key, &inputs, &error, now_ms);
                Err(error)
            }
        }
    }

    /// Leaves the segments that a failure is about alone for a while.
    fn set_aside(
        &self,
        key: &ShardKey,
        inputs: &[(SegmentId, [String; 2])],
        error: &StoreError,
        now_ms: i64,
    ) {
        self.tell_failure(key, error);
        self.aside.lock().put(aside::at_fault(error, inputs), now_ms);
    }

    fn tell_failure(&self, key: &ShardKey, error: &StoreError) {
        Counters::add(&self.counters.compaction_failures, 1);
        let signal = key.signal.as_str();
        tracing::warn!(tenant = %key.tenant, signal, %error, "a compaction failed and will be tried again");
    }

    fn next_metrics_job(&self, key: &ShardKey, shard: &ShardView, now_ms: i64) -> Result<Option<Job>> {
        let metas: Vec<_> = shard.metas().cloned().collect();
        let aside = self.aside.lock().segments(now_ms);
        match plan::next(&metas, &aside, now_ms) {
            Some(job) => Ok(Some(job)),
            None => self.next_delete(key, shard, &aside, now_ms),
        }
    }

    fn compact_metrics(&self, key: &ShardKey, shard: &ShardView, job: &Job, now_ms: i64) -> Result<()> {
        let inputs: Vec<_> = shard
            .segments
            .iter()
            .filter(|segment| job.inputs.contains(&segment.meta().id))
            .map(|segment| Arc::clone(&segment.segment))
            .collect();
        let slice =
            |cut: &Cut| MergeSlice { id: SegmentId(self.take_id()), day: cut.day, end_ms: cut.end_ms };
        let plan = MergePlan {
            level: job.level,
            created_ms: now_ms,
            oldest_t_ms: self.oldest_ms(&key.tenant, now_ms),
            slices: job.cuts.iter().map(slice).collect(),
        };
        let add = merge_segments(&*self.disk, &inputs, &shard.tombstones, &plan)?;
        self.commit_edit(Edit { add, remove: job.inputs.clone(), ..Edit::default() }, || {})
    }

    /// A segment to rewrite for a delete. A delete that concerns no segment any more, and nothing in the log, is
    /// dropped.
    fn next_delete(
        &self,
        key: &ShardKey,
        shard: &ShardView,
        aside: &HashSet<SegmentId>,
        now_ms: i64,
    ) -> Result<Option<Job>> {
        let due = |t: &&Tombstone| now_ms.saturating_sub(t.created_ms) >= DELETE_DELAY_MS;
        let mut done = Vec::new();
        for tombstone in shard.tombstones.iter().filter(due) {
            match self.first_concerned(key, tombstone, &shard.segments, aside, now_ms) {
                Concerned::Some(meta) => return Ok(Some(plan::rewrite(meta))),
                Concerned::None if self.is_gone_from_log(tombstone.id)? => done.push(tombstone.id),
                Concerned::None | Concerned::Unknown => {}
            }
        }
        if !done.is_empty() {
            tracing::debug!(tenant = %key.tenant, count = done.len(), "deletes are carried out");
            self.finish_deletes(done)?;
        }
        Ok(None)
    }

    /// The first segment that still has something that a tombstone deletes.
    fn first_concerned<'a>(
        &self,
        key: &ShardKey,
        tombstone: &Tombstone,
        segments: &'a [Arc<LiveSegment>],
        aside: &HashSet<SegmentId>,
        now_ms: i64,
    ) -> Concerned<'a> {
        let mut found = Concerned::None;
        for live in segments {
            let meta = live.meta();
            if !tombstone.concerns(meta.max_seq, meta.tombstones_applied) {
                continue;
            }
            if aside.contains(&meta.id) {
                found = Concerned::Unknown;
                continue;
            }
            match live.segment.select(&tombstone.matchers, tombstone.range) {
                Ok(series) if series.is_empty() => {}
                Ok(_) => return Concerned::Some(meta),
                Err(error) => {
                    self.set_aside(key, &[(meta.id, live.segment.paths().map(String::from))], &error, now_ms);
                    found = Concerned::Unknown;
                }
            }
        }
        found
    }

    fn oldest_ms(&self, tenant: &TenantId, now_ms: i64) -> i64 {
        self.retention_ms(tenant).map_or(i64::MIN, |ms| now_ms.saturating_sub(ms))
    }
}

/// What a delete or a retention rule has to do with a shard's segments.
enum Concerned<'a> {
    /// This one has to be written anew.
    Some(&'a SegmentMeta),
    /// None has.
    None,
    /// None has as far as they can be read.
    Unknown,
}

#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod tests;
