//! Writes, deletes and queries of rows.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use model::{Predicate, RecordLimits, Signal};
use rand::Rng;
use store::RowSnapshot;
use store::rows::{Column, Cost, Filter};

use super::write::{OnItsWay, Target};
use super::{Trouble, World};
use crate::oracle::{Fate, SentRow};
use crate::workload::{self, of_group, pick};

/// The signals of rows that tenants send.
pub(super) const SIGNALS: [Signal; 2] = [Signal::Logs, Signal::Traces];

impl World {
    /// True for one in `n`, in runs with rows.
    pub(super) fn draws_rows(&mut self, n: u32) -> bool {
        !self.rows.is_empty() && self.row_rng.random_range(0..n) == 0
    }

    pub(super) fn stage_rows(&mut self) -> Result<bool, String> {
        let at = self.row_rng.random_range(0..self.rows.len());
        let signal = self.rows[at].signal;
        let (records, sent) =
            workload::rows(&mut self.row_rng, &self.shape, signal, self.now_ms, &mut self.row_number_next);
        let limits = RecordLimits::default();
        let before = self.disk.injected();
        let staged = self.engine().append_records(&self.rows[at].id, &records, &limits, self.now_ms);
        let staged = match staged {
            Ok(staged) => staged,
            Err(store::StoreError::Unavailable { reason }) if reason.contains("wait") => return Ok(false),
            Err(error) => return self.excuse("append of rows", &error, before).map(|()| false),
        };
        self.resumed();
        let oldest_ms = self.retention_ms[at / SIGNALS.len()].map_or(i64::MIN, |ms| self.now_ms - ms);
        let newest_ms = self.now_ms + limits.future_ms_max;
        let fits = |row: &SentRow| (oldest_ms..=newest_ms).contains(&row.t_ns.div_euclid(1_000_000));
        let accepted: Vec<SentRow> = sent.iter().copied().filter(fits).collect();
        let refused = sent.len() - accepted.len();
        if (staged.accepted, staged.refusals.items()) != (accepted.len(), refused) {
            let (got, refusals, want) = (staged.accepted, &staged.refusals, accepted.len());
            return Err(format!(
                "append accepted {got} rows and refused {refusals:?}, not {want} and {refused}"
            ));
        }
        if staged.done.is_none() != accepted.is_empty() {
            return Err("append of rows has nothing to wait for, or waits for nothing".into());
        }
        let write = self.rows[at].stage(&accepted);
        if staged.done.is_some() {
            self.on_its_way.push(OnItsWay { target: Target::Rows(at), write, staged });
        }
        Ok(true)
    }

    pub(super) fn delete_rows(&mut self) -> Result<(), String> {
        let at = self.row_rng.random_range(0..self.rows.len());
        let nth = self.row_rng.random_range(0..1_000_000);
        let Some(row) = self.rows[at].nth(nth) else { return Ok(()) };
        let reach_ns = *pick(&mut self.row_rng, &[1, 1_000_000_000, 3_600_000_000_000]);
        let (start_ns, end_ns) = match self.row_rng.random_range(0..3) {
            0 => (i64::MIN, i64::MAX),
            _ => (
                row.t_ns - self.row_rng.random_range(0..reach_ns),
                row.t_ns + self.row_rng.random_range(0..=reach_ns),
            ),
        };
        let delete = self.rows[at].delete(row.group, start_ns, end_ns);
        let before = self.disk.injected();
        let (id, signal) = (self.rows[at].id.clone(), self.rows[at].signal);
        self.note(|_| format!("  delete {signal:?} of group {} from {start_ns} to {end_ns}", row.group));
        let predicate = of_group(row.group);
        let deleted = self.engine().delete_rows(&id, signal, &predicate, start_ns, end_ns, self.now_ms);
        self.settle()?;
        let fate = match deleted {
            Ok(_) => Fate::Stands,
            Err(error) => {
                self.excuse("delete of rows", &error, before)?;
                Fate::Failed
            }
        };
        self.report.deletes += u64::from(fate == Fate::Stands);
        self.rows[at].settle_delete(delete, fate);
        Ok(())
    }

    /// Decides after a restart what became of what was in doubt.
    pub(super) fn resolve_rows(&mut self) -> Result<(), String> {
        for at in 0..self.rows.len() {
            let snapshot = self.engine().rows(&self.rows[at].id, self.rows[at].signal);
            let got = read_rows(&snapshot, self.rows[at].signal);
            let got = got.map_err(|error| format!("reading rows after a restart: {error}"))?;
            self.rows[at].resolve(&got);
        }
        Ok(())
    }

    /// Reads all rows of all tenants from an engine.
    pub(super) fn check_rows(&self, engine: &store::Engine) -> Result<(), Trouble> {
        for oracle in &self.rows {
            let got = read_rows(&engine.rows(&oracle.id, oracle.signal), oracle.signal)?;
            oracle.check(&got).map_err(Trouble::Wrong)?;
        }
        Ok(())
    }
}

/// The sorted numbers of all rows, each as often as it is found.
pub(super) fn read_rows(snapshot: &RowSnapshot, signal: Signal) -> store::Result<Vec<i64>> {
    let refused = |error: store::rows::InvalidPredicate| store::StoreError::Refused(error.to_string());
    let all = Filter::new(signal, &Predicate::TRUE, i64::MIN, i64::MAX).map_err(refused)?;
    let number = [Column::FieldAs(workload::number_field(signal), store::rows::ValueKind::Int)];
    let mut numbers = Vec::new();
    let mut cost = Cost::default();
    for slice in snapshot.slices(i64::MIN, i64::MAX)? {
        let rows = slice.select(&all, &mut cost)?;
        let columns = slice.read(&number, &rows, &mut cost)?;
        numbers.extend_from_slice(columns[0].as_primitive::<Int64Type>().values());
    }
    numbers.sort_unstable();
    Ok(numbers)
}
