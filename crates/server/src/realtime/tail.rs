//! Live tail: rows that a search accepts, gathered between two messages.

use std::sync::Arc;

use model::{Predicate, Signal};
use parking_lot::Mutex;
use query::Control;
use query::rows::{Ask, RowReader, Slices, Sort, row_json};
use serde_json::Value;

/// Rows of one message; further ones are counted as missed.
const ROWS_MAX: usize = 200;
/// Bytes, about, of one message.
const BYTES_MAX: usize = 1 << 20;

/// A subscription to rows.
#[derive(Debug)]
pub(crate) struct Tail {
    signal: Signal,
    /// The rows that fulfil a predicate, whatever their time.
    ask: Ask,
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    rows: Vec<Value>,
    bytes: usize,
    missed: u64,
}

impl Tail {
    pub(crate) fn new(signal: Signal, predicate: Predicate) -> Self {
        let ask = Ask { predicate, start_ns: i64::MIN, end_ns: i64::MAX };
        Self { signal, ask, gathered: Mutex::default() }
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// Gathers the matching rows of a batch; beyond the bound they are only counted.
    pub(crate) fn take_in(&self, batch: &Arc<Slices>) {
        let reader = RowReader::new(Arc::clone(batch) as Arc<_>, Control::default());
        let count = reader.count(&self.ask).map_or(0, |(count, _)| count);
        if count == 0 {
            return;
        }
        let room = ROWS_MAX.saturating_sub(self.gathered.lock().rows.len());
        let page = reader.page(&self.ask, Sort::Oldest, room.max(1), None).unwrap_or_default();
        let mut gathered = self.gathered.lock();
        gathered.missed += count.saturating_sub(page.rows.len() as u64);
        for row in page.rows.iter().map(row_json) {
            let bytes = row.to_string().len();
            if gathered.rows.len() >= ROWS_MAX || gathered.bytes > 0 && gathered.bytes + bytes > BYTES_MAX {
                gathered.missed += 1;
                continue;
            }
            gathered.bytes += bytes;
            gathered.rows.push(row);
        }
    }

    /// What was gathered: rows, how many matching ones were left out, bytes. `None` when there is nothing to
    /// say.
    pub(super) fn take(&self) -> Option<(Vec<Value>, u64, usize)> {
        let gathered = std::mem::take(&mut *self.gathered.lock());
        (!gathered.rows.is_empty() || gathered.missed > 0).then_some((
            gathered.rows,
            gathered.missed,
            gathered.bytes,
        ))
    }

    /// Counts rows that did not get through.
    pub(super) fn miss(&self, rows: u64) {
        self.gathered.lock().missed += rows;
    }
}
