//! Live tail: rows that a search accepts, gathered between two messages.
//!
//! Each tail has a task that looks at stored batches one after the other; those that wait for it are bounded, and
//! rows that find no room are counted as missed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use model::{Predicate, Records, Signal};
use parking_lot::Mutex;
use query::Control;
use query::rows::{Ask, RowReader, Slices, Sort, row_json};
use serde_json::Value;
use tokio::sync::mpsc;

/// Rows of one message; further ones are counted as missed.
const ROWS_MAX: usize = 200;
/// Bytes, about, of one message.
const BYTES_MAX: usize = 1 << 20;
/// Batches that wait for one tail.
const QUEUE_MAX: usize = 64;
/// Bytes of batches that wait for one tail, about. Tails of one tenant share a batch.
const QUEUE_BYTES_MAX: usize = 16 << 20;

/// Rows just stored, for every tail that looks at them.
pub(super) struct Batch {
    records: Records,
    slices: OnceLock<Arc<Slices>>,
}

impl Batch {
    pub(super) fn new(records: Records) -> Self {
        Self { records, slices: OnceLock::new() }
    }

    fn slices(&self) -> &Arc<Slices> {
        self.slices.get_or_init(|| Arc::new(Slices::of_records(&self.records)))
    }
}

/// A subscription to rows.
#[derive(Debug)]
pub(crate) struct Tail {
    signal: Signal,
    gathered: Arc<Mutex<Gathered>>,
    /// The task ends when this goes.
    queue: mpsc::Sender<Arc<Batch>>,
    waiting_bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Gathered {
    rows: Vec<Value>,
    bytes: usize,
    missed: u64,
}

impl Tail {
    /// Looks at batches from now on, in a task of its own.
    pub(crate) fn new(signal: Signal, predicate: Predicate) -> Self {
        let (queue, mut batches) = mpsc::channel::<Arc<Batch>>(QUEUE_MAX);
        let tail = Self { signal, gathered: Arc::default(), queue, waiting_bytes: Arc::default() };
        let (gathered, waiting_bytes) = (Arc::clone(&tail.gathered), Arc::clone(&tail.waiting_bytes));
        // The rows that fulfil a predicate, whatever their time.
        let ask = Ask { predicate, start_ns: i64::MIN, end_ns: i64::MAX };
        kit::spawn::spawn("tail", async move {
            while let Some(batch) = batches.recv().await {
                take_in(&ask, batch.slices(), &gathered);
                waiting_bytes.fetch_sub(batch.records.bytes(), Ordering::Relaxed);
            }
        });
        tail
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// Lets a batch wait for its turn; without room its rows are missed.
    pub(super) fn offer(&self, batch: &Arc<Batch>) {
        let bytes = batch.records.bytes();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before.saturating_add(bytes) <= QUEUE_BYTES_MAX;
        if !fits || self.queue.try_send(Arc::clone(batch)).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.miss(batch.records.len() as u64);
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

/// Gathers the matching rows of a batch; beyond the bound they are only counted.
fn take_in(ask: &Ask, batch: &Arc<Slices>, gathered: &Mutex<Gathered>) {
    let reader = RowReader::new(Arc::clone(batch) as Arc<_>, Control::default());
    let count = reader.count(ask).map_or(0, |(count, _)| count);
    if count == 0 {
        return;
    }
    let room = ROWS_MAX.saturating_sub(gathered.lock().rows.len());
    let page = reader.page(ask, Sort::Oldest, room.max(1), None).unwrap_or_default();
    let mut gathered = gathered.lock();
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

#[cfg(test)]
mod tests {
    use model::Value as Field;
    use model::record::log;

    use super::*;

    fn batch(rows: usize) -> Arc<Batch> {
        let mut records = Records::new(Signal::Logs);
        let resource = records.end_resource(0);
        for row in 0..rows {
            let mut fields = [Field::Null; 7];
            fields[log::TIMESTAMP] = Field::Int(1);
            fields[log::BODY] = Field::Text(records.push_text("x"));
            records.push_row(row as u32, resource, 0, &fields);
        }
        Arc::new(Batch::new(records))
    }

    #[tokio::test]
    async fn batches_wait_up_to_a_bound_and_then_are_missed() {
        let tail = Tail::new(Signal::Logs, Predicate::TRUE);
        // Its task has not run yet.
        for _ in 0..QUEUE_MAX + 3 {
            tail.offer(&batch(1));
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let (rows, missed, _) = tail.take().expect("rows");
        assert_eq!((rows.len(), missed), (QUEUE_MAX, 3));
        assert_eq!(tail.waiting_bytes.load(Ordering::Relaxed), 0);
    }
}
