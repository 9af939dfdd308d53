//! A decoded write becomes numbered rows: each series is resolved, each sample accepted or refused.
//!
//! A known series costs a look-up and the copying of its samples. Only a series that the table has never
//! seen is checked, sorted and measured against the limits.

use std::ops::Range;
use std::sync::Arc;

use model::{Labels, METRIC_NAME, MetricBatch, MetricLimits, Reason, Refusal, Refusals, SeriesRow};
use tokio::sync::oneshot;

use super::fingerprint::Fingerprinter;
use super::payload;
use super::rows::{Declared, LocalId, MetricRows, Run, Slot};
use super::shard::{MetricShard, Staging};
use crate::error::{Result, StoreError};
use crate::queue::{Entry, Queue, Work};
use crate::wal::record;

/// Record kind of accepted rows.
pub(crate) const ROWS: u8 = 1;

/// What a write may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a MetricLimits,
    pub(crate) now_ms: i64,
    /// Samples before are outside retention.
    pub(crate) oldest_ms: i64,
}

/// A write on its way to the disk.
#[derive(Debug)]
pub struct Staged {
    /// Its sequence; 0 when nothing was accepted.
    pub seq: u64,
    /// Samples or rows accepted.
    pub accepted: usize,
    /// Of those, histograms.
    pub histograms: usize,
    /// Exemplars accepted.
    pub exemplars: usize,
    /// What was refused, and why.
    pub refusals: Refusals,
    /// Tells when the rows are durable and visible, or that they were not stored; `None` when nothing was
    /// accepted.
    pub done: Option<oneshot::Receiver<Result<()>>>,
}

/// Resolves, checks and queues a write.
pub(crate) fn stage(
    shard: &Arc<MetricShard>,
    batch: &MetricBatch,
    rules: Rules<'_>,
    queue: &Queue,
) -> Result<Staged> {
    let mut fingerprinter = Fingerprinter::new(shard.seed);
    let of_row = |row: &SeriesRow| fingerprinter.of_spans(slice(&batch.labels, &row.labels), &batch.text);
    let fingerprints: Vec<u128> = batch.series.iter().map(of_row).collect();
    let staging = &mut *shard.staging.lock();
    queue.admit()?;
    let mut stager = Stager {
        shard,
        staging,
        batch,
        rules,
        fingerprinter,
        rows: MetricRows {
            runs: Vec::with_capacity(batch.series.len()),
            points: Vec::with_capacity(batch.points.len()),
            received_ms: rules.now_ms,
            ..MetricRows::default()
        },
        refusals: Refusals::default(),
    };
    // A loop of its own, so that the processor waits for many look-ups at once.
    let found: Vec<Option<Slot>> = fingerprints.iter().map(|f| stager.staging.table.find(*f)).collect();
    for ((row, fingerprint), found) in batch.series.iter().zip(fingerprints).zip(found) {
        stager.add(row, fingerprint, found);
    }
    stager.rows.metadata.clone_from(&batch.metadata);
    let Stager { staging, rows, refusals, .. } = stager;
    let (accepted, histograms, exemplars) = (rows.samples(), rows.histograms.len(), rows.exemplars.len());
    if rows.is_empty() {
        // No record will carry these declarations.
        rows.declared.iter().for_each(|declared| staging.table.undeclare(declared.slot));
        return Ok(Staged { seq: 0, accepted, histograms, exemplars, refusals, done: None });
    }
    let mut bytes = Vec::with_capacity(64 + rows.points.len() * 11);
    record::begin(&mut bytes, shard.key.signal.code(), ROWS, &shard.key.tenant);
    payload::encode(&rows, staging.epoch, &mut staging.scratch, &mut bytes);
    if bytes.len() > record::RECORD_BYTES_MAX {
        rows.declared.iter().for_each(|declared| staging.table.undeclare(declared.slot));
        let (value, limit) = (bytes.len() as u64, record::RECORD_BYTES_MAX as u64);
        return Err(StoreError::TooLarge { what: "one write", value, limit });
    }
    let (sender, done) = oneshot::channel();
    let seq = queue.push(|seq| {
        record::number(&mut bytes, seq);
        let work = Work::Metrics { shard: Arc::clone(shard), rows };
        Entry { seq, record: bytes, work, done: sender }
    })?;
    staging.seq_last = seq;
    Ok(Staged { seq, accepted, histograms, exemplars, refusals, done: Some(done) })
}

/// Part of a column; empty where the range is not inside.
fn slice<'a, T>(items: &'a [T], range: &Range<u32>) -> &'a [T] {
    items.get(range.start as usize..range.end as usize).unwrap_or(&[])
}

struct Stager<'a> {
    shard: &'a MetricShard,
    staging: &'a mut Staging,
    batch: &'a MetricBatch,
    rules: Rules<'a>,
    fingerprinter: Fingerprinter,
    rows: MetricRows,
    refusals: Refusals,
}

/// Why a series or sample is refused: field, class, text.
type Fault = (&'static str, Reason, String);

impl Stager<'_> {
    fn add(&mut self, row: &SeriesRow, fingerprint: u128, found: Option<Slot>) {
        let batch = self.batch;
        let points = slice(&batch.points, &row.points);
        let histograms = slice(&batch.histograms, &row.histograms);
        let exemplars = slice(&batch.exemplars, &row.exemplars);
        let times = points.iter().map(|p| p.t_ms).chain(histograms.iter().map(|h| h.0));
        let fits = times.clone().filter(|t_ms| self.fits(*t_ms)).count();
        let all_fit = fits == points.len() + histograms.len();
        if !all_fit {
            self.refuse_times(row.index, times);
        }
        if fits == 0 && exemplars.is_empty() {
            return;
        }
        let local = match self.resolve(row, fingerprint, found) {
            Ok(local) => local,
            Err((field, reason, message)) => {
                // Exemplars alone are an item too.
                self.refuse(row.index, field, reason, message, fits.max(1));
                return;
            }
        };
        self.add_points(row, local, points, all_fit);
        self.add_histograms(row, local, histograms);
        for exemplar in exemplars {
            if self.fits(exemplar.t_ms) {
                self.rows.exemplars.push((local, exemplar.clone()));
            } else {
                self.refuse_times(row.index, std::iter::once(exemplar.t_ms));
            }
        }
    }

    fn add_points(&mut self, row: &SeriesRow, local: LocalId, points: &[model::Point], all_fit: bool) {
        let starts = slice(&self.batch.starts_ms, &row.points);
        let before = self.rows.points.len();
        if all_fit {
            self.rows.points.extend_from_slice(points);
        } else {
            let fitting = points.iter().copied().filter(|p| fits(&self.rules, p.t_ms));
            self.rows.points.extend(fitting);
        }
        let count = (self.rows.points.len() - before) as u32;
        if count > 0 {
            self.rows.runs.push(Run { local, count });
        }
        if !starts.is_empty() || !self.rows.starts_ms.is_empty() {
            self.rows.starts_ms.resize(before, 0);
            let rules = &self.rules;
            let fitting = points.iter().zip(starts).filter(|(p, _)| fits(rules, p.t_ms)).map(|(_, s)| *s);
            self.rows.starts_ms.extend(fitting);
            self.rows.starts_ms.resize(self.rows.points.len(), 0);
        }
    }

    fn add_histograms(
        &mut self,
        row: &SeriesRow,
        local: LocalId,
        histograms: &[(i64, Arc<model::FloatHistogram>)],
    ) {
        let rules = self.rules;
        let starts = slice(&self.batch.histogram_starts_ms, &row.histograms);
        for (i, (t_ms, histogram)) in histograms.iter().enumerate().filter(|(_, h)| fits(&rules, h.0)) {
            if let Err(error) = histogram.validate() {
                let message = format!("histogram at {t_ms} ms: {error}; correct it at the sender");
                self.refuse(row.index, "histogram", Reason::InvalidHistogram, message, 1);
                continue;
            }
            let start_ms = starts.get(i).copied().unwrap_or(0);
            if start_ms != 0 || !self.rows.histogram_starts_ms.is_empty() {
                self.rows.histogram_starts_ms.resize(self.rows.histograms.len(), 0);
                self.rows.histogram_starts_ms.push(start_ms);
            }
            self.rows.histograms.push((*t_ms, Arc::clone(histogram)));
            MetricRows::count_run(&mut self.rows.histogram_runs, local);
        }
    }

    fn fits(&self, t_ms: i64) -> bool {
        fits(&self.rules, t_ms)
    }

    /// Refuses the samples outside the window, as one item of the answer for each side of it.
    fn refuse_times(&mut self, index: u32, times: impl Iterator<Item = i64> + Clone) {
        let (now_ms, oldest_ms) = (self.rules.now_ms, self.rules.oldest_ms);
        let mut old = times.clone().filter(|t| *t < oldest_ms);
        if let Some(first) = old.next() {
            let message = format!(
                "timestamp {first} ms is before {oldest_ms} ms, where retention ends; send newer samples or lengthen retention"
            );
            self.refuse(index, "timestamp", Reason::OutsideRetention, message, 1 + old.count());
        }
        let newest_ms = newest_ms(&self.rules);
        let mut new = times.filter(|t| *t > newest_ms);
        if let Some(first) = new.next() {
            let message = format!(
                "timestamp {first} ms is more than {} ms ahead of the server's clock ({now_ms} ms); check the sender's clock",
                self.rules.limits.future_ms_max
            );
            self.refuse(index, "timestamp", Reason::TooFarInFuture, message, 1 + new.count());
        }
    }

    fn refuse(&mut self, index: u32, field: &str, reason: Reason, message: String, items: usize) {
        let index = index as usize;
        self.refusals.push(Refusal { index, field: field.into(), reason, message, items });
    }

    /// The number of a series in the current head; declares the series where the head does not have it.
    fn resolve(&mut self, row: &SeriesRow, fingerprint: u128, found: Option<Slot>) -> Result<LocalId, Fault> {
        // A series that is new in this write may come in it again.
        let slot = match found.or_else(|| self.staging.table.find(fingerprint)) {
            Some(slot) => slot,
            None => self.meet(row, fingerprint)?,
        };
        let epoch = self.staging.epoch;
        if let Some(local) = self.staging.table.local(slot, epoch, self.rules.now_ms) {
            return Ok(local);
        }
        let local = self.staging.local_next;
        self.staging.local_next += 1;
        self.staging.table.declare(slot, epoch, local);
        if let Some(labels) = self.shard.index.read().labels(slot).cloned() {
            self.rows.declared.push(Declared { local, slot, labels });
        }
        Ok(local)
    }

    /// A fingerprint seen for the first time: another spelling of a known series, or a new one.
    fn meet(&mut self, row: &SeriesRow, fingerprint: u128) -> Result<Slot, Fault> {
        let labels = check_labels(row, self.batch, self.rules.limits)?;
        let canonical = self.fingerprinter.of_labels(&labels);
        let table = &mut self.staging.table;
        let slot = match table.find(canonical) {
            Some(slot) => slot,
            None => {
                let limit = self.rules.limits.series_max;
                if table.len() >= limit {
                    let message = format!(
                        "series {} is new, and {limit} series are active already; remove labels with many values or raise {}",
                        shown(&labels.to_string()),
                        self.rules.limits.series_setting,
                    );
                    return Err(("labels", Reason::SeriesLimit, message));
                }
                table.insert(canonical, labels, &mut self.shard.index.write(), self.rules.now_ms)
            }
        };
        table.alias(fingerprint, slot);
        Ok(slot)
    }
}

fn newest_ms(rules: &Rules<'_>) -> i64 {
    rules.now_ms.saturating_add(rules.limits.future_ms_max)
}

fn fits(rules: &Rules<'_>, t_ms: i64) -> bool {
    rules.oldest_ms <= t_ms && t_ms <= newest_ms(rules)
}

/// The start of a text that someone else wrote.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// Checks everything that a stored series promises.
fn check_labels(row: &SeriesRow, batch: &MetricBatch, limits: &MetricLimits) -> Result<Labels, Fault> {
    let spans = slice(&batch.labels, &row.labels);
    if spans.len() > limits.labels_max {
        let message = format!("{} labels are more than {}; send fewer", spans.len(), limits.labels_max);
        return Err(("labels", Reason::TooManyLabels, message));
    }
    let mut pairs = Vec::with_capacity(spans.len());
    for span in spans {
        let (name, value) = (span.name.of(&batch.text), span.value.of(&batch.text));
        let name = std::str::from_utf8(name).map_err(|_| {
            let shown = shown(&String::from_utf8_lossy(name));
            ("labels", Reason::InvalidLabels, format!("label name {shown:?} is not UTF-8"))
        })?;
        let value = std::str::from_utf8(value).map_err(|_| {
            let message = format!("the value of label {:?} is not UTF-8", shown(name));
            ("labels", Reason::InvalidLabels, message)
        })?;
        for (what, len, limit) in
            [("name", name.len(), limits.name_bytes_max), ("value", value.len(), limits.value_bytes_max)]
        {
            if len > limit {
                let message = format!(
                    "the {what} of label {:?} has {len} bytes, more than {limit}; shorten it",
                    shown(name)
                );
                return Err(("labels", Reason::LabelTooLong, message));
            }
        }
        pairs.push((name, value));
    }
    let labels = Labels::from_pairs(pairs)
        .map_err(|error| ("labels", Reason::InvalidLabels, shown(&error.to_string())))?;
    if labels.get(METRIC_NAME).is_none() {
        let message =
            format!("series {} has no metric name; add the label __name__", shown(&labels.to_string()));
        return Err(("labels", Reason::InvalidLabels, message));
    }
    Ok(labels)
}
