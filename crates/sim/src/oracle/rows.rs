//! One tenant's rows of one signal: every write and delete, and the comparison of what was read with them.
//!
//! A row is known by its number, which is unique in a run, so nothing ever replaces it: it is there once, or not.

use std::collections::BTreeMap;

use model::{Signal, TenantId};

use super::Fate;

/// A row as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRow {
    /// Its number.
    pub number: i64,
    /// Its time, nanoseconds.
    pub t_ns: i64,
    /// Which group it belongs to; deletes name one.
    pub group: u8,
}

#[derive(Debug)]
struct Entry {
    write: usize,
    row: SentRow,
    deletes: Vec<usize>,
}

/// A tenant's rows of one signal.
#[derive(Debug)]
pub struct RowOracle {
    /// Whose they are.
    pub id: TenantId,
    /// Which table.
    pub signal: Signal,
    expired_before_ms: i64,
    rows: BTreeMap<i64, Entry>,
    writes: Vec<Fate>,
    deletes: Vec<Fate>,
}

/// What a snapshot must go on to show.
#[derive(Debug)]
pub struct PinnedRows {
    want: Vec<i64>,
    expired_before_ms: i64,
}

impl RowOracle {
    /// No rows yet.
    pub fn new(id: TenantId, signal: Signal) -> Self {
        Self {
            id,
            signal,
            expired_before_ms: i64::MIN,
            rows: BTreeMap::new(),
            writes: Vec::new(),
            deletes: Vec::new(),
        }
    }

    /// Notes a write that was staged.
    pub fn stage(&mut self, rows: &[SentRow]) -> usize {
        let write = self.writes.len();
        let entry = |row: &SentRow| (row.number, Entry { write, row: *row, deletes: Vec::new() });
        self.rows.extend(rows.iter().map(entry));
        self.writes.push(Fate::Staged);
        write
    }

    /// Notes what became of a write.
    pub fn settle(&mut self, write: usize, fate: Fate) {
        self.writes[write] = fate;
    }

    /// Writes were taken again after a failure: what failed before will not come back.
    pub fn resumed(&mut self) {
        self.writes.iter_mut().filter(|fate| **fate == Fate::Failed).for_each(|fate| *fate = Fate::Gone);
    }

    /// Notes a delete of a group's rows between two times, nanoseconds, that is being asked for.
    pub fn delete(&mut self, group: u8, start_ns: i64, end_ns: i64) -> usize {
        let delete = self.deletes.len();
        let is_meant = |row: &SentRow| row.group == group && start_ns <= row.t_ns && row.t_ns < end_ns;
        let meant = self.rows.values_mut().filter(|entry| is_meant(&entry.row));
        meant.for_each(|entry| entry.deletes.push(delete));
        self.deletes.push(Fate::Staged);
        delete
    }

    /// Notes what became of a delete.
    pub fn settle_delete(&mut self, delete: usize, fate: Fate) {
        self.deletes[delete] = fate;
    }

    /// Rows before this time may be gone from now on, milliseconds.
    pub fn expire(&mut self, before_ms: i64) {
        self.expired_before_ms = self.expired_before_ms.max(before_ms);
    }

    /// The engine ended: what it was not sure of, we are not either.
    pub fn restarted(&mut self) {
        for fate in self.writes.iter_mut().chain(&mut self.deletes) {
            if matches!(fate, Fate::Staged | Fate::Failed) {
                *fate = Fate::InDoubt;
            }
        }
    }

    /// Decides from the numbers of all rows that can be read what became of writes and deletes in doubt.
    pub fn resolve(&mut self, got: &[i64]) {
        let read = || got.iter().filter_map(|number| self.rows.get(number));
        let writes: Vec<usize> = read().map(|entry| entry.write).collect();
        let ignored: Vec<usize> = read().flat_map(|entry| entry.deletes.iter().copied()).collect();
        for (write, fate) in self.writes.iter_mut().enumerate().filter(|(_, fate)| **fate == Fate::InDoubt) {
            *fate = if writes.contains(&write) { Fate::Stands } else { Fate::Gone };
        }
        for (delete, fate) in self.deletes.iter_mut().enumerate().filter(|(_, fate)| **fate == Fate::InDoubt)
        {
            *fate = if ignored.contains(&delete) { Fate::Gone } else { Fate::Stands };
        }
    }

    fn is_there(&self, entry: &Entry) -> bool {
        self.writes[entry.write] == Fate::Stands
            && !entry.deletes.iter().any(|delete| self.deletes[*delete] == Fate::Stands)
    }

    /// All that must be readable now.
    pub fn pinned(&self) -> PinnedRows {
        let want = self.rows.values().filter(|entry| self.is_there(entry)).map(|entry| entry.row.number);
        PinnedRows { want: want.collect(), expired_before_ms: self.expired_before_ms }
    }

    /// Compares the sorted numbers of all rows with those that there must be.
    pub fn check(&self, got: &[i64]) -> Result<(), String> {
        self.check_pinned(got, &self.pinned())
    }

    /// As [`Self::check`], with what a snapshot showed when it was taken.
    pub fn check_pinned(&self, got: &[i64], pinned: &PinnedRows) -> Result<(), String> {
        if let Some(twice) = got.windows(2).find(|two| two[0] == two[1]) {
            return Err(self.explain(twice[0], "is there twice"));
        }
        for number in got {
            if pinned.want.binary_search(number).is_err() {
                return Err(self.explain(*number, "is there and should not be"));
            }
        }
        for number in &pinned.want {
            let t_ns = self.rows.get(number).map_or(i64::MAX, |entry| entry.row.t_ns);
            let may_go = t_ns.div_euclid(1_000_000) < pinned.expired_before_ms;
            if !may_go && got.binary_search(number).is_err() {
                return Err(self.explain(*number, "is missing"));
            }
        }
        Ok(())
    }

    fn explain(&self, number: i64, what: &str) -> String {
        let row = self.rows.get(&number).map(|entry| {
            let deletes: Vec<_> = entry.deletes.iter().map(|d| (*d, self.deletes[*d])).collect();
            (entry.row, entry.write, self.writes[entry.write], deletes)
        });
        let Self { id, signal, expired_before_ms, .. } = self;
        format!("{id} {}: row {number} {what}; expired before {expired_before_ms}; {row:?}", signal.as_str())
    }

    /// Some row, for a delete that finds something.
    pub fn nth(&self, n: usize) -> Option<SentRow> {
        self.rows.values().nth(n % self.rows.len().max(1)).map(|entry| entry.row)
    }
}
