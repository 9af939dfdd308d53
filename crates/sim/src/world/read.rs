//! Queries and snapshots, compared with the oracle.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Matcher, SampleColumns, TimeRange};
use rand::Rng;
use store::disk::Disk;
use store::{Engine, MetricSnapshot, RowSnapshot};

use super::rows::{SIGNALS, read_rows};
use super::{Trouble, World};
use crate::disk::{Lies, SimDisk};
use crate::oracle::{Pinned, PinnedRows, Readout, TenantOracle, Value};
use crate::workload::{matchers, range};

/// A snapshot that is looked at again later.
pub(super) struct Held {
    tenant: usize,
    snapshot: MetricSnapshot,
    pinned: Pinned,
    /// One for each signal of rows.
    rows: Vec<(usize, RowSnapshot, PinnedRows)>,
}

/// Held at once.
const HELD_MAX: usize = 4;

impl World {
    pub(super) fn query(&mut self) -> Result<(), String> {
        if !self.is_replayed {
            return Ok(());
        }
        let tenant = self.draw_tenant();
        let nth = self.rng.random_range(0..1_000_000);
        let like = self.tenants[tenant].nth_key(nth);
        let around_ms = like.as_ref().map_or(self.now_ms, |(_, t_ms)| *t_ms);
        let matchers = matchers(&mut self.rng, like.map(|(labels, _)| labels), false);
        let range = range(&mut self.rng, around_ms);
        self.note(|_| format!("  query {matchers:?} {range:?}"));
        let before = self.disk.injected();
        let oracle = &self.tenants[tenant];
        match check(self.engine(), oracle, &matchers, range) {
            Ok(()) => self.report.queries += 1,
            Err(trouble) => self.excuse_trouble("query", trouble, before)?,
        }
        let before = self.disk.injected();
        match self.check_rows(self.engine()) {
            Ok(()) => Ok(()),
            Err(trouble) => self.excuse_trouble("query of rows", trouble, before),
        }
    }

    /// Reads everything of all tenants.
    pub(super) fn check_all(&mut self) -> Result<(), String> {
        let before = self.disk.injected();
        for oracle in &self.tenants {
            if let Err(trouble) = check(self.engine(), oracle, &[], TimeRange::ALL) {
                self.excuse_trouble("reading all", trouble, before)?;
            }
        }
        if let Err(trouble) = self.check_rows(self.engine()) {
            self.excuse_trouble("reading all rows", trouble, before)?;
        }
        self.report.queries += 1;
        Ok(())
    }

    pub(super) fn hold(&mut self) -> Result<(), String> {
        if self.is_replayed && self.held.len() < HELD_MAX {
            let tenant = self.draw_tenant();
            let snapshot = self.engine().snapshot(&self.tenants[tenant].id);
            let pinned = self.tenants[tenant].pinned();
            let of_tenant = tenant * SIGNALS.len()..(tenant + 1) * SIGNALS.len();
            let rows = of_tenant.filter_map(|at| {
                let oracle = self.rows.get(at)?;
                Some((at, self.engine().rows(&oracle.id, oracle.signal), oracle.pinned()))
            });
            let rows = rows.collect();
            self.held.push(Held { tenant, snapshot, pinned, rows });
        }
        Ok(())
    }

    pub(super) fn look_at_held(&mut self) -> Result<(), String> {
        if self.held.is_empty() {
            return Ok(());
        }
        let at = self.rng.random_range(0..self.held.len());
        let held = &self.held[at];
        let oracle = &self.tenants[held.tenant];
        let before = self.disk.injected();
        let looked = read(&held.snapshot, oracle, &[], TimeRange::ALL)
            .and_then(|got| oracle.check_pinned(&got, &held.pinned).map_err(Trouble::Wrong));
        let looked = looked.and_then(|()| {
            held.rows.iter().try_for_each(|(at, snapshot, pinned)| {
                let got = read_rows(snapshot, self.rows[*at].signal)?;
                self.rows[*at].check_pinned(&got, pinned).map_err(Trouble::Wrong)
            })
        });
        match looked {
            Ok(()) => self.report.held += 1,
            Err(trouble) => self.excuse_trouble("looking at a held snapshot", trouble, before)?,
        }
        if self.rng.random() {
            self.held.swap_remove(at);
        }
        Ok(())
    }

    /// Takes a backup onto an honest disk, loses that one's power, and reads everything from it.
    pub(super) fn backup(&mut self) -> Result<(), String> {
        if !self.is_replayed {
            return Ok(());
        }
        let before = self.disk.injected();
        let target = SimDisk::new(self.rng.random(), Lies::None, false);
        let onto: Arc<dyn Disk> = Arc::new(target.clone());
        let copied = self.engine().backup(&onto, self.now_ms);
        self.settle()?;
        if let Err(error) = copied {
            return self.excuse("backup", &error, before);
        }
        let mut target = target.restart();
        if self.rng.random() {
            let second = SimDisk::new(self.rng.random(), Lies::None, false);
            let from: Arc<dyn Disk> = Arc::new(target);
            let onto: Arc<dyn Disk> = Arc::new(second.clone());
            store::restore(&from, &onto).map_err(|error| format!("restore: {error}"))?;
            target = second.restart();
        }
        let settings = self.settings.clone();
        let copy = Engine::open(Arc::new(target), settings).map_err(|e| format!("opening a backup: {e}"))?;
        copy.replay_all().map_err(|e| format!("replay of a backup: {e}"))?;
        for oracle in &self.tenants {
            match check(&copy, oracle, &[], TimeRange::ALL) {
                Ok(()) => {}
                Err(Trouble::Store(error)) => return Err(format!("reading a backup: {error}")),
                Err(Trouble::Wrong(message)) => return Err(format!("backup: {message}")),
            }
        }
        match self.check_rows(&copy) {
            Ok(()) => {}
            Err(Trouble::Store(error)) => return Err(format!("reading rows of a backup: {error}")),
            Err(Trouble::Wrong(message)) => return Err(format!("backup: {message}")),
        }
        self.report.backups += 1;
        Ok(())
    }
}

/// Asks for samples, label values and metadata, and compares all of it.
fn check(
    engine: &Engine,
    oracle: &TenantOracle,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<(), Trouble> {
    let snapshot = engine.snapshot(&oracle.id);
    let got = read(&snapshot, oracle, matchers, range)?;
    oracle.check(&got, matchers, range).map_err(Trouble::Wrong)?;
    for name in ["__name__", "instance", "job"] {
        let got = snapshot.label_values(name, matchers, range)?;
        let (must, may) = oracle.label_values(name, matchers, range);
        let may: BTreeSet<String> = may.into_iter().collect();
        if let Some(missing) = must.iter().find(|value| !got.contains(*value)) {
            return Err(Trouble::Wrong(format!("value {missing:?} of label {name} is not listed")));
        }
        if let Some(stranger) = got.iter().find(|value| !may.contains(*value)) {
            return Err(Trouble::Wrong(format!("value {stranger:?} of label {name} was never sent")));
        }
    }
    let metadata: Vec<_> = snapshot.metadata(None)?.into_iter().map(|stored| stored.metadata).collect();
    oracle.check_metadata(&metadata).map_err(Trouble::Wrong)
}

/// Reads samples, and checks what holds for any answer.
pub(super) fn read(
    snapshot: &MetricSnapshot,
    oracle: &TenantOracle,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<Readout, Trouble> {
    let mut all = Readout::new();
    let mut seen = BTreeSet::new();
    let mut columns = SampleColumns::default();
    for series in snapshot.select(matchers, range)? {
        let labels = series.labels();
        let wrong = |what: &str, labels: &Labels| Trouble::Wrong(format!("series {labels} {what}"));
        let number = oracle.known_series(labels).ok_or_else(|| wrong("was never sent", labels))?;
        if !seen.insert(number) {
            return Err(wrong("comes twice", labels));
        }
        series.read(range, &mut columns)?;
        for times in [&columns.t_ms, &columns.histogram_t_ms] {
            if !times.is_sorted_by(|a, b| a < b) || times.iter().any(|t_ms| !range.contains(*t_ms)) {
                return Err(wrong("has times out of order or range", labels));
            }
        }
        let start = |starts: &[i64], i: usize| starts.get(i).copied().unwrap_or(0);
        let floats = columns.t_ms.iter().zip(&columns.values).enumerate().map(|(i, (t_ms, value))| {
            let start_ms = start(&columns.starts_ms, i);
            (*t_ms, Value::Float { bits: value.to_bits(), start_ms })
        });
        let histograms = columns.histogram_t_ms.iter().zip(&columns.histograms).enumerate();
        let histograms = histograms.map(|(i, (t_ms, histogram))| {
            let start_ms = start(&columns.histogram_starts_ms, i);
            (*t_ms, Value::Histogram { histogram: Arc::clone(histogram), start_ms })
        });
        for (t_ms, value) in floats.chain(histograms) {
            if all.insert((number, t_ms), value).is_some() {
                return Err(wrong("has a float and a histogram at one time", labels));
            }
        }
    }
    Ok(all)
}
