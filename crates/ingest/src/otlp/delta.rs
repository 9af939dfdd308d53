//! Increments to running totals: delta points become cumulative ones before they are stored, so that
//! `increase()` equals the sum of what was sent.
//!
//! [`DeltaState`] is a plain value: no clock, no I/O. It asks for the last stored total of a series it does
//! not know, so after SIGKILL it rebuilds itself from the store point by point, and what was acknowledged
//! counts exactly once. A point whose interval was counted before (a retry) is refused.
//!
//! The owner must store the totals in the order they were made: hold the state's lock from
//! [`DeltaState::accumulate`] until the store has queued the batch, and call [`DeltaState::undo`] if the
//! write fails.

mod merge; // adding native histograms

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use model::{FloatHistogram, LabelSpan, Labels, Reason, Refusal, Refusals, SeriesRow, is_stale};
use xxhash_rust::xxh3::Xxh3;

use crate::rows;
use crate::{Decoded, DeltaKind};

/// A running total.
#[derive(Clone, Debug, PartialEq)]
pub enum Total {
    /// Of a number, a bucket, a count or a sum.
    Float(f64),
    /// Of a native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// The last total of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    /// What it adds up to.
    pub total: Total,
    /// The end of the last interval that it counts, milliseconds.
    pub t_ms: i64,
    /// When counting began, milliseconds; 0 when unknown.
    pub start_ms: i64,
}

/// Bounds of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaLimits {
    /// Series remembered at once. Above it the least recently used are forgotten, and found in the store
    /// when they come back.
    pub series_max: usize,
    /// A series without a point for this long is forgotten, milliseconds.
    pub idle_ms: i64,
}

impl Default for DeltaLimits {
    fn default() -> Self {
        Self { series_max: 1_000_000, idle_ms: 3_600_000 }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    last: Last,
    /// Server's clock at the last point.
    used_ms: i64,
    /// Number of the change that made it, so that [`DeltaState::undo`] knows whether its own was the last.
    version: u64,
}

/// Running totals by series.
#[derive(Debug, Default)]
pub struct DeltaState {
    limits: DeltaLimits,
    entries: HashMap<u128, Entry>,
    /// Changes made so far.
    version: u64,
    swept_ms: i64,
}

/// What one batch changed, for [`DeltaState::undo`].
#[derive(Debug, Default)]
#[must_use = "pass it to `undo` when the batch cannot be stored"]
pub struct Changes {
    made: Vec<Change>,
    /// The item refused last: the series of one data point are refused together and count once.
    refused: Option<u32>,
}

#[derive(Debug)]
struct Change {
    series: u128,
    before: Option<(Last, u64)>,
    version: u64,
}

/// The key of a series: a hash of its labels in name order. Two series share it with a probability that no
/// one will ever see.
pub fn series_hash(labels: &Labels) -> u128 {
    let mut hasher = Xxh3::new();
    for (name, value) in labels.iter() {
        hash_pair(&mut hasher, name.as_bytes(), value.as_bytes());
    }
    hasher.digest128()
}

fn hash_pair(hasher: &mut Xxh3, name: &[u8], value: &[u8]) {
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(&(value.len() as u64).to_le_bytes());
    hasher.update(value);
}

impl DeltaState {
    /// An empty state.
    pub fn new(limits: DeltaLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Series remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when no series is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tells the state the last total of a series, such as one read from the store at start.
    pub fn seed(&mut self, series: u128, last: Last) {
        let used_ms = last.t_ms;
        self.entries.insert(series, Entry { last, used_ms, version: 0 });
    }

    /// Every series with its last total, in no order: what [`Self::seed`] takes back.
    pub fn export(&self) -> impl Iterator<Item = (u128, &Last)> {
        self.entries.iter().map(|(series, entry)| (*series, &entry.last))
    }

    /// Replaces the increments of [`Decoded::deltas`] by totals and refuses those counted before.
    ///
    /// `stored` gives the last stored total of a series that the state does not know, and `None` for one
    /// that has none. It is only asked for labels that are valid; the store refuses the others itself.
    pub fn accumulate(
        &mut self,
        decoded: &mut Decoded,
        now_ms: i64,
        mut stored: impl FnMut(&Labels) -> Option<Last>,
    ) -> Changes {
        let deltas = std::mem::take(&mut decoded.deltas);
        let mut changes = Changes::default();
        let mut scratch = Vec::new();
        for range in &deltas {
            for row in range.rows.clone() {
                let Some(row) = decoded.batch.series.get(row as usize).cloned() else { continue };
                let Some(series) = self.known(decoded, &row, now_ms, &mut scratch, &mut stored) else {
                    continue;
                };
                self.row(decoded, &row, series, range.kind, now_ms, &mut changes);
            }
        }
        remove_empty_rows(decoded);
        self.forget_idle(now_ms);
        changes
    }

    /// Takes back what a batch added because it could not be stored. Where a later batch has added to a
    /// series since, the series is forgotten instead, and its total found in the store.
    pub fn undo(&mut self, changes: Changes) {
        for Change { series, before, version } in changes.made.into_iter().rev() {
            let Some(entry) = self.entries.get_mut(&series) else { continue };
            match before {
                Some((last, before)) if entry.version == version => {
                    entry.last = last;
                    entry.version = before;
                }
                _ => {
                    self.entries.remove(&series);
                }
            }
        }
    }

    /// The hash of a row's labels, its entry being there; `None` when its labels are not valid.
    fn known(
        &mut self,
        decoded: &Decoded,
        row: &SeriesRow,
        now_ms: i64,
        scratch: &mut Vec<LabelSpan>,
        stored: &mut impl FnMut(&Labels) -> Option<Last>,
    ) -> Option<u128> {
        let text = &decoded.batch.text;
        scratch.clear();
        scratch.extend(&decoded.batch.labels[row.labels.start as usize..row.labels.end as usize]);
        scratch.retain(|label| label.value.len > 0);
        scratch.sort_unstable_by(|a, b| a.name.of(text).cmp(b.name.of(text)));
        let mut hasher = Xxh3::new();
        for label in scratch.iter() {
            hash_pair(&mut hasher, label.name.of(text), label.value.of(text));
        }
        let series = hasher.digest128();
        if !self.entries.contains_key(&series) {
            let utf8 = |span: model::Span| std::str::from_utf8(span.of(text)).ok();
            let pairs: Option<Vec<_>> =
                scratch.iter().map(|l| Some((utf8(l.name)?, utf8(l.value)?))).collect();
            let labels = Labels::from_pairs(pairs?).ok()?;
            if let Some(last) = stored(&labels) {
                self.make_room();
                self.entries.insert(series, Entry { last, used_ms: now_ms, version: 0 });
            }
        }
        Some(series)
    }

    fn row(
        &mut self,
        decoded: &mut Decoded,
        row: &SeriesRow,
        series: u128,
        kind: DeltaKind,
        now_ms: i64,
        changes: &mut Changes,
    ) {
        let Decoded { batch, refusals, .. } = decoded;
        for i in row.points.clone().map(|i| i as usize) {
            let point = batch.points[i];
            if is_stale(point.value) {
                continue;
            }
            let start_ms = batch.starts_ms.get(i).copied().unwrap_or(0);
            let add = Total::Float(point.value);
            match self.add(series, add, point.t_ms, start_ms, kind, now_ms, changes) {
                Ok(last) => {
                    if let Total::Float(total) = last.total {
                        batch.points[i] = model::Point { t_ms: last.t_ms, value: total };
                    }
                    set_start(&mut batch.starts_ms, batch.points.len(), i, last.start_ms);
                }
                Err(refused) => {
                    batch.points[i].t_ms = REFUSED;
                    refused.push(refusals, &mut changes.refused, row.index, point.t_ms);
                }
            }
        }
        for i in row.histograms.clone().map(|i| i as usize) {
            let (t_ms, histogram) = batch.histograms[i].clone();
            if histogram.is_stale() {
                continue;
            }
            let start_ms = batch.histogram_starts_ms.get(i).copied().unwrap_or(0);
            match self.add(series, Total::Histogram(histogram), t_ms, start_ms, kind, now_ms, changes) {
                Ok(last) => {
                    if let Total::Histogram(total) = last.total {
                        batch.histograms[i] = (last.t_ms, total);
                    }
                    set_start(&mut batch.histogram_starts_ms, batch.histograms.len(), i, last.start_ms);
                }
                Err(refused) => {
                    batch.histograms[i].0 = REFUSED;
                    refused.push(refusals, &mut changes.refused, row.index, t_ms);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one point, spelled out")]
    fn add(
        &mut self,
        series: u128,
        add: Total,
        t_ms: i64,
        start_ms: i64,
        kind: DeltaKind,
        now_ms: i64,
        changes: &mut Changes,
    ) -> Result<Last, AlreadyCounted> {
        self.version += 1;
        let version = self.version;
        let Some(entry) = self.entries.get_mut(&series) else {
            let last = Last { total: add, t_ms, start_ms };
            self.make_room();
            self.entries.insert(series, Entry { last: last.clone(), used_ms: now_ms, version });
            changes.made.push(Change { series, before: None, version });
            return Ok(last);
        };
        let before = entry.last.clone();
        if kind == DeltaKind::Interval && t_ms <= before.t_ms {
            return Err(AlreadyCounted { counted_to_ms: before.t_ms });
        }
        let last = match merge::sum(&before.total, &add) {
            // A late event is counted at the latest time seen, so that the total never goes back in time.
            Some(total) => Last { total, t_ms: t_ms.max(before.t_ms), start_ms: before.start_ms },
            // A series that changes between numbers and histograms starts anew.
            None => Last { total: add, t_ms, start_ms },
        };
        entry.last = last.clone();
        entry.used_ms = now_ms;
        changes.made.push(Change { series, before: Some((before, entry.version)), version });
        entry.version = version;
        Ok(last)
    }

    /// Keeps the number of entries within its bound: the older half goes at once, so that a full state is
    /// not swept for every new series.
    fn make_room(&mut self) {
        if self.entries.len() < self.limits.series_max.max(1) {
            return;
        }
        let mut used: Vec<i64> = self.entries.values().map(|entry| entry.used_ms).collect();
        let middle = used.len() / 2;
        let (_, median, _) = used.select_nth_unstable(middle);
        let median = *median;
        let mut spare = self.entries.len() - middle;
        self.entries.retain(|_, entry| {
            let go = entry.used_ms <= median && spare > 0;
            spare -= usize::from(go);
            !go
        });
    }

    /// Forgets idle series, looking through them ten times per idle period.
    fn forget_idle(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.swept_ms) < self.limits.idle_ms / 10 {
            return;
        }
        self.swept_ms = now_ms;
        let oldest_ms = now_ms.saturating_sub(self.limits.idle_ms);
        self.entries.retain(|_, entry| entry.used_ms >= oldest_ms);
    }
}

/// The time that marks a refused sample until its row is rebuilt.
const REFUSED: i64 = i64::MIN;

/// A point whose interval ends no later than what was counted.
struct AlreadyCounted {
    counted_to_ms: i64,
}

impl AlreadyCounted {
    fn push(&self, refusals: &mut Refusals, last: &mut Option<u32>, index: u32, t_ms: i64) {
        if last.replace(index) == Some(index) {
            return;
        }
        let to = self.counted_to_ms;
        let message = format!(
            "the delta ending at {t_ms} ms is counted already or out of order (counted up to {to} ms); \
             send the intervals of a series once and in order"
        );
        let (index, field) = (index as usize, "time_unix_nano".into());
        refusals.push(Refusal { index, field, reason: Reason::AlreadyCounted, message, items: 1 });
    }
}

/// Sets one start, making the column when it is still empty.
fn set_start(starts: &mut Vec<i64>, samples: usize, i: usize, start_ms: i64) {
    if starts.is_empty() && start_ms != 0 {
        starts.resize(samples, 0);
    }
    if let Some(start) = starts.get_mut(i) {
        *start = start_ms;
    }
}

/// Drops the refused samples. The columns stay where they are; a row shrinks to what is left of it, and one
/// that has nothing left goes.
fn remove_empty_rows(decoded: &mut Decoded) {
    let batch = &mut decoded.batch;
    let refused = batch.points.iter().any(|p| p.t_ms == REFUSED)
        || batch.histograms.iter().any(|(t_ms, _)| *t_ms == REFUSED);
    if !refused {
        return;
    }
    let old = std::mem::take(batch);
    batch.text = old.text;
    batch.metadata = old.metadata;
    for row in &old.series {
        let labels = batch.labels.len() as u32;
        let new = rows::begin(batch, row.index);
        batch.labels.extend_from_slice(&old.labels[row.labels.start as usize..row.labels.end as usize]);
        for i in row.points.clone().map(|i| i as usize).filter(|i| old.points[*i].t_ms != REFUSED) {
            rows::push_point(batch, old.points[i], old.starts_ms.get(i).copied().unwrap_or(0));
        }
        for i in row.histograms.clone().map(|i| i as usize).filter(|i| old.histograms[*i].0 != REFUSED) {
            let start_ms = old.histogram_starts_ms.get(i).copied().unwrap_or(0);
            let (t_ms, histogram) = &old.histograms[i];
            rows::push_shared_histogram(batch, *t_ms, histogram.clone(), start_ms);
        }
        if rows::is_bare(batch, &new) {
            batch.labels.truncate(labels as usize);
            continue;
        }
        let exemplars = row.exemplars.start as usize..row.exemplars.end as usize;
        batch.exemplars.extend_from_slice(&old.exemplars[exemplars]);
        rows::end(batch, new);
    }
}
