//! One tenant's writes and deletes, and the comparison of what was read with them.

use std::collections::BTreeMap;

use model::{Labels, Matcher, Metadata, TenantId, TimeRange};

use super::{Fate, Key, Readout, Value};

/// A value that was written to a sample's place.
#[derive(Debug)]
struct Entry {
    write: usize,
    value: Value,
    /// Deletes that concern it.
    deletes: Vec<usize>,
}

#[derive(Debug)]
struct Write {
    fate: Fate,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Delete {
    fate: Fate,
    keys: Vec<Key>,
}

/// A tenant.
#[derive(Debug)]
pub struct TenantOracle {
    /// Whose data it is.
    pub id: TenantId,
    /// Samples before may be gone, milliseconds.
    expired_before_ms: i64,
    series: Vec<Labels>,
    by_labels: BTreeMap<Labels, usize>,
    history: BTreeMap<Key, Vec<Entry>>,
    writes: Vec<Write>,
    deletes: Vec<Delete>,
    metadata: BTreeMap<String, Vec<(usize, Metadata)>>,
}

/// What a snapshot must go on to show.
#[derive(Debug)]
pub struct Pinned {
    want: Readout,
    /// Writes from here on came later, and may be seen too.
    writes: usize,
    /// Writes that were on their way.
    staged: Vec<usize>,
    expired_before_ms: i64,
}

impl TenantOracle {
    /// A tenant without data.
    pub fn new(id: TenantId) -> Self {
        Self {
            id,
            expired_before_ms: i64::MIN,
            series: Vec::new(),
            by_labels: BTreeMap::new(),
            history: BTreeMap::new(),
            writes: Vec::new(),
            deletes: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// The number of a series, given on first use.
    pub fn series(&mut self, labels: &Labels) -> usize {
        if let Some(known) = self.by_labels.get(labels) {
            return *known;
        }
        self.series.push(labels.clone());
        self.by_labels.insert(labels.clone(), self.series.len() - 1);
        self.series.len() - 1
    }

    /// The number of a series that was written before.
    pub fn known_series(&self, labels: &Labels) -> Option<usize> {
        self.by_labels.get(labels).copied()
    }

    /// Notes a write that was staged; of samples with one place the last counts.
    pub fn stage(&mut self, samples: Vec<(Key, Value)>, metadata: Vec<Metadata>) -> usize {
        let write = self.writes.len();
        let mut keys: Vec<Key> = Vec::with_capacity(samples.len());
        for (key, value) in samples {
            let entries = self.history.entry(key).or_default();
            match entries.last_mut() {
                Some(last) if last.write == write => last.value = value,
                _ => {
                    entries.push(Entry { write, value, deletes: Vec::new() });
                    keys.push(key);
                }
            }
        }
        for metadata in metadata {
            self.metadata.entry(metadata.metric.clone()).or_default().push((write, metadata));
        }
        self.writes.push(Write { fate: Fate::Staged, keys });
        write
    }

    /// Notes what became of a write.
    pub fn settle(&mut self, write: usize, fate: Fate) {
        self.writes[write].fate = fate;
    }

    /// Writes were taken again after a failure: what failed before will not come back.
    pub fn resumed(&mut self) {
        for write in &mut self.writes {
            if write.fate == Fate::Failed {
                write.fate = Fate::Gone;
            }
        }
    }

    /// Notes a delete that is being asked for: it concerns everything staged until now.
    pub fn delete(&mut self, matchers: &[Matcher], range: TimeRange) -> usize {
        let delete = self.deletes.len();
        let mut keys = Vec::new();
        for (key, entries) in &mut self.history {
            if range.contains(key.1) && accepts(matchers, &self.series[key.0]) {
                entries.iter_mut().for_each(|entry| entry.deletes.push(delete));
                keys.push(*key);
            }
        }
        self.deletes.push(Delete { fate: Fate::Staged, keys });
        delete
    }

    /// Notes what became of a delete.
    pub fn settle_delete(&mut self, delete: usize, fate: Fate) {
        self.deletes[delete].fate = fate;
    }

    /// Samples before this time may be gone from now on.
    pub fn expire(&mut self, before_ms: i64) {
        self.expired_before_ms = self.expired_before_ms.max(before_ms);
    }

    /// The engine ended: what it was not sure of, we are not either.
    pub fn restarted(&mut self) {
        let fates = self.writes.iter_mut().map(|w| &mut w.fate);
        for fate in fates.chain(self.deletes.iter_mut().map(|d| &mut d.fate)) {
            if matches!(fate, Fate::Staged | Fate::Failed) {
                *fate = Fate::InDoubt;
            }
        }
    }

    /// Decides from all that can be read what became of writes and deletes in doubt.
    pub fn resolve(&mut self, got: &Readout) {
        for (index, write) in self.writes.iter_mut().enumerate() {
            if write.fate == Fate::InDoubt {
                let is_read = |key: &Key| {
                    let entries = self.history.get(key).into_iter().flatten();
                    got.get(key).is_some_and(|v| entries.clone().any(|e| e.write == index && e.value == *v))
                };
                write.fate = if write.keys.iter().any(is_read) { Fate::Stands } else { Fate::Gone };
            }
        }
        for index in 0..self.deletes.len() {
            if self.deletes[index].fate == Fate::InDoubt {
                let contradicts = |key: &Key| {
                    let entries = self.history.get(key).into_iter().flatten();
                    got.get(key).is_some_and(|value| {
                        entries.clone().any(|e| e.deletes.contains(&index) && e.value == *value)
                    })
                };
                let is_ignored = self.deletes[index].keys.iter().any(contradicts);
                self.deletes[index].fate = if is_ignored { Fate::Gone } else { Fate::Stands };
            }
        }
    }

    fn stands(&self, entry: &Entry) -> bool {
        self.writes[entry.write].fate == Fate::Stands
    }

    fn is_deleted(&self, entry: &Entry) -> bool {
        entry.deletes.iter().any(|delete| self.deletes[*delete].fate == Fate::Stands)
    }

    fn want<'a>(&self, entries: &'a [Entry]) -> Option<&'a Entry> {
        entries.iter().rev().find(|entry| self.stands(entry)).filter(|entry| !self.is_deleted(entry))
    }

    /// All that must be readable now.
    pub fn pinned(&self) -> Pinned {
        let want = self
            .history
            .iter()
            .filter_map(|(key, entries)| self.want(entries).map(|entry| (*key, entry.value.clone())));
        let staged = (0..self.writes.len()).filter(|write| self.writes[*write].fate == Fate::Staged);
        Pinned {
            want: want.collect(),
            writes: self.writes.len(),
            staged: staged.collect(),
            expired_before_ms: self.expired_before_ms,
        }
    }

    /// Compares what a query returned with what it must return.
    pub fn check(&self, got: &Readout, matchers: &[Matcher], range: TimeRange) -> Result<(), String> {
        let mut matched = 0;
        let accepted: Vec<bool> = self.series.iter().map(|labels| accepts(matchers, labels)).collect();
        for (key, entries) in &self.history {
            let is_asked = range.contains(key.1) && accepted[key.0];
            let got = got.get(key);
            matched += usize::from(got.is_some());
            let want = self.want(entries).filter(|_| is_asked);
            let is_right = match (got, want) {
                (None, None) => true,
                (Some(value), _) if is_asked && key.1 < self.expired_before_ms => {
                    entries.iter().any(|e| e.value == *value && self.stands(e) && !self.is_deleted(e))
                }
                (None, Some(_)) => key.1 < self.expired_before_ms,
                (Some(value), Some(entry)) => *value == entry.value,
                (Some(_), None) => false,
            };
            if !is_right {
                return Err(self.explain(*key, got, want.map(|entry| &entry.value), entries));
            }
        }
        self.no_strangers(got, matched)
    }

    /// Compares what a snapshot shows with what it showed when it was taken.
    pub fn check_pinned(&self, got: &Readout, pinned: &Pinned) -> Result<(), String> {
        let mut matched = 0;
        for (key, entries) in &self.history {
            let got = got.get(key);
            matched += usize::from(got.is_some());
            let want = pinned.want.get(key);
            let came_later = |write: usize| write >= pinned.writes || pinned.staged.contains(&write);
            let is_later = |value: &Value| {
                entries.iter().any(|e| came_later(e.write) && e.value == *value && self.stands(e))
            };
            let is_right = match (got, want) {
                (got, want) if got == want => true,
                (Some(value), _) if is_later(value) => true,
                _ => key.1 < pinned.expired_before_ms,
            };
            if !is_right {
                return Err(format!("held snapshot: {}", self.explain(*key, got, want, entries)));
            }
        }
        self.no_strangers(got, matched)
    }

    fn no_strangers(&self, got: &Readout, matched: usize) -> Result<(), String> {
        if matched == got.len() {
            return Ok(());
        }
        let stranger = got.iter().find(|(key, _)| !self.history.contains_key(key));
        Err(format!("{}: read a sample that was never written: {stranger:?}", self.id))
    }

    fn explain(&self, key: Key, got: Option<&Value>, want: Option<&Value>, entries: &[Entry]) -> String {
        let of = |entry: &Entry| {
            let deletes: Vec<_> = entry.deletes.iter().map(|d| (*d, self.deletes[*d].fate)).collect();
            let fate = self.writes[entry.write].fate;
            format!("\n    write {} {fate:?} {} deletes {deletes:?}", entry.write, shown(&entry.value))
        };
        format!(
            "{} {} at {}: read {}, not {}; expired before {}; written:{}",
            self.id,
            self.series[key.0],
            key.1,
            got.map_or("nothing".into(), shown),
            want.map_or("nothing".into(), shown),
            self.expired_before_ms,
            entries.iter().map(of).collect::<String>()
        )
    }

    /// Checks metadata: all of it was sent, and what was acknowledged together with samples is there unless
    /// segments expired or samples were deleted. Metadata alone is kept in memory until samples come, so a
    /// crash may forget it.
    pub fn check_metadata(&self, got: &[Metadata]) -> Result<(), String> {
        for metadata in got {
            let sent = self.metadata.get(&metadata.metric);
            if !sent.is_some_and(|sent| sent.iter().any(|(_, m)| m == metadata)) {
                return Err(format!("{}: metadata that was never sent: {metadata:?}", self.id));
            }
        }
        for (metric, sent) in &self.metadata {
            let is_kept = |write: &Write| write.fate == Fate::Stands && !write.keys.is_empty();
            let is_kept = sent.iter().any(|(write, _)| is_kept(&self.writes[*write]));
            let may_go = self.expired_before_ms > i64::MIN || !self.deletes.is_empty();
            if is_kept && !may_go && !got.iter().any(|m| m.metric == *metric) {
                return Err(format!("{}: metadata of {metric} was acknowledged and is missing", self.id));
            }
        }
        Ok(())
    }

    /// Values of a label: those that must be listed for a query, and those that may be.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> (Vec<String>, Vec<String>) {
        let value = |series: usize| self.series[series].get(name).map(String::from);
        let must = self.history.iter().filter(|(key, entries)| {
            range.contains(key.1)
                && key.1 >= self.expired_before_ms
                && accepts(matchers, &self.series[key.0])
                && self.want(entries).is_some()
        });
        let must = must.filter_map(|(key, _)| value(key.0)).collect();
        let may = (0..self.series.len()).filter(|i| accepts(matchers, &self.series[*i]));
        (must, may.filter_map(value).collect())
    }

    /// Some sample's series and time, for a query that finds something.
    pub fn nth_key(&self, n: usize) -> Option<(&Labels, i64)> {
        let key = self.history.keys().nth(n % self.history.len().max(1))?;
        Some((&self.series[key.0], key.1))
    }
}

fn accepts(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Float { bits, start_ms } => format!("{} ({bits:#x}) start {start_ms}", f64::from_bits(*bits)),
        Value::Histogram { histogram, start_ms } => {
            format!("histogram with sum {} start {start_ms}", histogram.sum)
        }
    }
}
