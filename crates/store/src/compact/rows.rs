//! Compaction of rows: merging files, carrying out deletes, and retention by predicate.
//!
//! Rows are never replaced by later ones, so any files of a shard may be merged.

use std::sync::Arc;

use hashbrown::HashSet;
use model::Predicate;
use model::record::columns;

use super::plan::Job;
use super::{Concerned, DELETE_DELAY_MS, rows_plan};
use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::manifest::Edit;
use crate::rows::{Cost, Filter, RowMerge, RowMergeInput, RowRetention, RowSegment, merge_rows};
use crate::segment::{MergeSlice, SegmentId};
use crate::view::{LiveSegment, ShardView};
use crate::wal::ShardKey;

const NS_OF_MS: i64 = 1_000_000;

/// Segments in which nothing was found of a delete or retention rule, so that they are not searched again. Nobody
/// deletes in as many segments as this; where it is full it starts anew.
const CLEARED_MAX: usize = 100_000;

/// Rows that a retention drops now.
struct Expired {
    /// Rows that no rule covers go before this time, nanoseconds.
    oldest_ns: i64,
    /// Rows that a filter accepts go before a time of their own; the first that fits counts.
    rules: Vec<(Arc<Filter>, i64)>,
}

impl Expired {
    fn new(key: &ShardKey, retention: &RowRetention, now_ms: i64) -> Result<Self> {
        let oldest_ns = |keep_ms: i64| now_ms.saturating_sub(keep_ms).saturating_mul(NS_OF_MS);
        let rule = |(predicate, keep_ms): &(Predicate, i64)| {
            Ok((filter(key, predicate, i64::MAX)?, oldest_ns(*keep_ms)))
        };
        let rules = retention.rules.iter().map(rule).collect::<Result<_>>()?;
        Ok(Self { oldest_ns: retention.keep_ms.map_or(i64::MIN, oldest_ns), rules })
    }
}

fn filter(key: &ShardKey, predicate: &Predicate, end_ns: i64) -> Result<Arc<Filter>> {
    let refused =
        |error| StoreError::Refused(format!("a retention rule of {} is not possible: {error}", key.tenant));
    Filter::new(key.signal, predicate, i64::MIN, end_ns).map(Arc::new).map_err(refused)
}

impl Engine {
    /// What is most useful for a shard of rows, if anything.
    pub(super) fn next_rows_job(
        &self,
        key: &ShardKey,
        shard: &ShardView,
        now_ms: i64,
    ) -> Result<Option<Job>> {
        if columns(key.signal).is_empty() {
            return Ok(None);
        }
        let aside = self.aside.lock().segments(now_ms);
        let metas = shard.row_segments.iter().map(|s| s.meta()).filter(|meta| !aside.contains(&meta.id));
        if let Some(job) = rows_plan::next(&metas.cloned().collect::<Vec<_>>(), now_ms) {
            return Ok(Some(job));
        }
        let search = Search { key, aside, now_ms };
        match self.next_row_delete(shard, &search)? {
            Some(job) => Ok(Some(job)),
            None => self.next_row_expiry(shard, &search),
        }
    }

    /// Merges segments of rows.
    pub(super) fn compact_rows(
        &self,
        key: &ShardKey,
        shard: &ShardView,
        job: &Job,
        now_ms: i64,
    ) -> Result<()> {
        let expired = Expired::new(key, &self.row_retention(key), now_ms)?;
        let inputs = shard.row_segments.iter().filter(|segment| job.inputs.contains(&segment.meta().id));
        let input = |live: &Arc<LiveSegment<RowSegment>>| RowMergeInput {
            segment: Arc::clone(&live.segment),
            hidden: shard.hidden_in(live.meta()),
        };
        let inputs: Vec<RowMergeInput> = inputs.map(input).collect();
        let slices = job.cuts.iter().map(|cut| MergeSlice {
            id: SegmentId(self.take_id()),
            day: cut.day,
            end_ms: cut.end_ms,
        });
        let applied = inputs.iter().map(|input| input.segment.meta().tombstones_applied);
        let applied = applied.chain(shard.row_tombstones.iter().map(|t| t.id)).max().unwrap_or(0);
        let merge = RowMerge {
            level: job.level,
            created_ms: now_ms,
            tombstones_applied: applied,
            oldest_ns: expired.oldest_ns,
            rules: expired.rules,
            slices: slices.collect(),
        };
        let add = merge_rows(&*self.disk, &inputs, &merge)?;
        self.commit_edit(Edit { add, remove: job.inputs.clone(), ..Edit::default() }, || {})
    }

    /// A segment to rewrite for a delete. A delete of which no segment has anything any more, nor the log, is
    /// dropped.
    fn next_row_delete(&self, shard: &ShardView, search: &Search<'_>) -> Result<Option<Job>> {
        let mut done = Vec::new();
        for tombstone in &shard.row_tombstones {
            if search.now_ms.saturating_sub(tombstone.created_ms) < DELETE_DELAY_MS {
                continue;
            }
            let concerned = shard.row_segments.iter().filter(|segment| {
                let meta = segment.meta();
                tombstone.concerns(meta.max_seq, meta.tombstones_applied)
            });
            match self.first_with(concerned, &tombstone.filter, tombstone.id, search) {
                Concerned::Some(meta) => return Ok(Some(rows_plan::rewrite(meta))),
                Concerned::None if self.is_gone_from_log(tombstone.id)? => done.push(tombstone.id),
                Concerned::None | Concerned::Unknown => {}
            }
        }
        if !done.is_empty() {
            tracing::debug!(tenant = %search.key.tenant, count = done.len(), "deletes are carried out");
            self.finish_deletes(done)?;
        }
        Ok(None)
    }

    /// A segment to rewrite because a retention rule drops rows of it, and not all.
    fn next_row_expiry(&self, shard: &ShardView, search: &Search<'_>) -> Result<Option<Job>> {
        let retention = self.row_retention(search.key);
        if retention.rules.is_empty() {
            return Ok(None);
        }
        let everything_else = retention.keep_ms.map(|keep_ms| (Predicate::TRUE, keep_ms));
        let mut earlier: Vec<Predicate> = Vec::new();
        for (at, (predicate, keep_ms)) in retention.rules.iter().chain(&everything_else).enumerate() {
            let oldest_ms = search.now_ms.saturating_sub(*keep_ms);
            // Once all its rows are older than the rule allows, one rewrite does for good.
            let past = shard.row_segments.iter().filter(|segment| segment.meta().max_t_ms < oldest_ms);
            let is_first = Predicate::Not(Box::new(Predicate::Any(earlier.clone())));
            let dropped = filter(search.key, &predicate.clone().and(is_first), i64::MAX)?;
            if let Concerned::Some(meta) = self.first_with(past, &dropped, retention.rule_key(at), search) {
                return Ok(Some(rows_plan::rewrite(meta)));
            }
            earlier.push(predicate.clone());
        }
        Ok(None)
    }

    /// The first segment that has rows which a filter accepts. `number` names the filter.
    fn first_with<'a>(
        &self,
        segments: impl Iterator<Item = &'a Arc<LiveSegment<RowSegment>>>,
        filter: &Filter,
        number: u64,
        search: &Search<'_>,
    ) -> Concerned<'a> {
        let mut found = Concerned::None;
        for live in segments {
            let meta = live.meta();
            if self.cleared.lock().contains(&(number, meta.id)) {
                continue;
            }
            if search.aside.contains(&meta.id) {
                found = Concerned::Unknown;
                continue;
            }
            match has_any(&live.segment, filter) {
                Ok(true) => return Concerned::Some(meta),
                Ok(false) => {
                    let mut cleared = self.cleared.lock();
                    if cleared.len() >= CLEARED_MAX {
                        cleared.clear();
                    }
                    cleared.insert((number, meta.id));
                }
                Err(error) => {
                    let paths = live.segment.paths().map(String::from);
                    self.set_aside(search.key, &[(meta.id, paths)], &error, search.now_ms);
                    found = Concerned::Unknown;
                }
            }
        }
        found
    }
}

/// What a search for rows that have to go knows of its shard.
struct Search<'a> {
    key: &'a ShardKey,
    /// Segments that are left alone.
    aside: HashSet<SegmentId>,
    now_ms: i64,
}

/// True when a segment has rows which a filter accepts.
fn has_any(segment: &Arc<RowSegment>, filter: &Filter) -> Result<bool> {
    for slice in segment.slices(filter.start_ns, filter.end_ns, &Arc::default())? {
        if slice.select(filter, &mut Cost::default())?.count_set_bits() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
