//! Where slices come from: the store, or rows that were never stored.

use model::{Records, Signal};
use store::rows::{KeyInfo, RowSnapshot, Scope, Slice};

use crate::control::Control;
use crate::error::QueryFault;

/// Rows of one signal at one moment.
pub trait RowSource: Send + Sync {
    /// Which signal.
    fn signal(&self) -> Signal;

    /// The slices that overlap a range of nanoseconds (the end outside), newest first by their last time.
    fn slices(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Slice>, QueryFault>;

    /// The keys of attributes in the range, unless it is time to stop.
    fn keys(&self, start_ns: i64, end_ns: i64, control: &Control) -> Result<Vec<KeyInfo>, QueryFault>;
}

/// Slices that are at hand, such as a batch on its way in.
#[derive(Clone)]
pub struct Slices {
    signal: Signal,
    slices: Vec<Slice>,
}

impl Slices {
    /// A source over slices of one signal.
    pub fn new(signal: Signal, mut slices: Vec<Slice>) -> Self {
        slices.sort_by_key(|slice| std::cmp::Reverse(slice.time_ns().1));
        Self { signal, slices }
    }

    /// A source over decoded rows.
    pub fn of_records(records: &Records) -> Self {
        let slices = if records.is_empty() { Vec::new() } else { vec![Slice::of_records(records)] };
        Self::new(records.signal, slices)
    }
}

impl RowSource for Slices {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn slices(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Slice>, QueryFault> {
        let overlaps = |slice: &&Slice| {
            let (first, last) = slice.time_ns();
            start_ns <= last && (first < end_ns || end_ns == i64::MAX)
        };
        Ok(self.slices.iter().filter(overlaps).cloned().collect())
    }

    fn keys(&self, start_ns: i64, end_ns: i64, _: &Control) -> Result<Vec<KeyInfo>, QueryFault> {
        let mut merged: std::collections::BTreeMap<(Scope, std::sync::Arc<str>), KeyInfo> =
            std::collections::BTreeMap::new();
        for slice in self.slices(start_ns, end_ns)?.iter().rev() {
            for info in slice.keys()? {
                merged
                    .entry((info.scope, info.key.clone()))
                    .and_modify(|known| {
                        known.count += info.count;
                        known.kind = known.kind.common(info.kind);
                    })
                    .or_insert(info);
            }
        }
        Ok(merged.into_values().collect())
    }
}

/// Rows of the store as of one moment.
#[derive(Clone)]
pub struct StoredRows {
    signal: Signal,
    snapshot: RowSnapshot,
}

impl StoredRows {
    /// A source over a snapshot of this signal's rows.
    pub fn new(signal: Signal, snapshot: RowSnapshot) -> Self {
        Self { signal, snapshot }
    }
}

impl RowSource for StoredRows {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn slices(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Slice>, QueryFault> {
        Ok(self.snapshot.slices(start_ns, end_ns)?)
    }

    fn keys(&self, start_ns: i64, end_ns: i64, control: &Control) -> Result<Vec<KeyInfo>, QueryFault> {
        self.snapshot.keys(start_ns, end_ns, || control.check())
    }
}
