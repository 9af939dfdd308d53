//! Small segments become larger ones: which to merge, and into which slices of time.
//!
//! Levels: 0 is a flushed head; 1 holds a piece of a day; 2 a whole day; 3 a week that is over. A sample is
//! rewritten at most three times, whatever the amount of data. Only segments between which no other one
//! overlaps them in time are merged, so that later writes go on winning.

mod plan; // what to merge next
mod rows; // logs, spans and events
mod rows_plan; // what to merge of them

use std::sync::Arc;

use model::{Signal, TenantId};

use crate::engine::{Counters, Engine};
use crate::error::Result;
use crate::manifest::Edit;
use crate::segment::{MergePlan, MergeSlice, SegmentId, merge_segments};
use crate::tombstone::Tombstone;
use crate::view::{LiveSegment, ShardView};
use crate::wal::ShardKey;
use plan::{Cut, Job};

/// Time that a delete waits for others before segments are rewritten for it.
const DELETE_DELAY_MS: i64 = 3600 * 1000;

impl Engine {
    /// Does the most useful compaction; false when nothing is worth one. Blocks for as long as it takes.
    pub fn compact_once(&self, now_ms: i64) -> Result<bool> {
        let _compacting = self.compacting.lock();
        let (view, ()) = self.view_with(|| ());
        for (key, shard) in &view.shards {
            let is_metrics = key.signal == Signal::Metrics;
            let job = match is_metrics {
                true => self.next_metrics_job(key, shard, now_ms)?,
                false => self.next_rows_job(key, shard, now_ms)?,
            };
            let Some(job) = job else { continue };
            let bytes: u64 = shard.metas().filter(|m| job.inputs.contains(&m.id)).map(|m| m.bytes).sum();
            let free = self.disk.free_bytes().map_err(|e| crate::StoreError::io("measure", "", e))?;
            if free < 2 * bytes + self.settings.wal_file_bytes {
                tracing::warn!(bytes, free, "no room to compact");
                continue;
            }
            let done = match is_metrics {
                true => self.compact_metrics(key, shard, &job, now_ms),
                false => self.compact_rows(key, shard, &job, now_ms),
            };
            let counter =
                if done.is_ok() { &self.counters.compactions } else { &self.counters.compaction_failures };
            Counters::add(counter, 1);
            return done.map(|()| true);
        }
        Ok(false)
    }

    fn next_metrics_job(&self, key: &ShardKey, shard: &ShardView, now_ms: i64) -> Result<Option<Job>> {
        let metas: Vec<_> = shard.metas().cloned().collect();
        match plan::next(&metas, now_ms) {
            Some(job) => Ok(Some(job)),
            None => self.next_delete(key, shard, now_ms),
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

    /// A segment to rewrite for a delete. A delete that concerns no segment any more is dropped.
    fn next_delete(&self, key: &ShardKey, shard: &ShardView, now_ms: i64) -> Result<Option<Job>> {
        let due = |t: &&Tombstone| now_ms.saturating_sub(t.created_ms) >= DELETE_DELAY_MS;
        let mut done = Vec::new();
        for tombstone in shard.tombstones.iter().filter(due) {
            match first_concerned(tombstone, &shard.segments)? {
                Some(segment) => return Ok(Some(plan::rewrite(segment.meta()))),
                None => done.push(tombstone.id),
            }
        }
        if !done.is_empty() {
            tracing::debug!(tenant = %key.tenant, count = done.len(), "deletes are carried out");
            self.commit_edit(Edit { remove_tombstones: done, ..Edit::default() }, || {})?;
        }
        Ok(None)
    }

    fn oldest_ms(&self, tenant: &TenantId, now_ms: i64) -> i64 {
        self.retention_ms(tenant).map_or(i64::MIN, |ms| now_ms.saturating_sub(ms))
    }
}

/// The first segment that still has something that a tombstone deletes.
fn first_concerned<'a>(
    tombstone: &Tombstone,
    segments: &'a [Arc<LiveSegment>],
) -> Result<Option<&'a Arc<LiveSegment>>> {
    for segment in segments {
        let meta = segment.meta();
        if tombstone.concerns(meta.max_seq, meta.tombstones_applied)
            && !segment.segment.select(&tombstone.matchers, tombstone.range)?.is_empty()
        {
            return Ok(Some(segment));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod tests;
