//! Rows in order of time from slices whose times overlap.
//!
//! Slices are read in order of their ends. A row can be passed on once no slice that is still unread can hold
//! one before it; the others wait.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{Int64Type, TimestampNanosecondType};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{SortOptions, concat_batches, sort_to_indices, take_record_batch};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use model::Field;
use store::rows::{Column, Cost, Slice};

use super::scan::{Work, external, send_parts};

/// Below this many rows, a slice's times are read first and the rest only of the rows that can count.
const FEW: usize = 20_000;

/// Reads a scan's slices in order of time.
pub(super) struct Ordered<'a> {
    work: &'a Work,
    newest_first: bool,
    left: usize,
    memory: MemoryReservation,
    /// Rows in order that may not be passed on yet.
    waiting: Option<RecordBatch>,
}

impl<'a> Ordered<'a> {
    pub(super) fn new(work: &'a Work, newest_first: bool, fetch: usize, memory: MemoryReservation) -> Self {
        Self { work, newest_first, left: fetch, memory, waiting: None }
    }

    /// Passes rows to `send` in order until there are enough, all are read, or `send` wants no more.
    pub(super) fn run(mut self, send: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let mut slices: Vec<&Slice> = self.work.slices.iter().collect();
        if self.newest_first {
            slices.sort_by_key(|slice| std::cmp::Reverse(slice.time_ns().1));
        } else {
            slices.sort_by_key(|slice| slice.time_ns().0);
        }
        for (i, slice) in slices.iter().enumerate() {
            let rows = self.work.select(slice)?;
            let rows = self.best(slice, rows)?;
            if rows.count_set_bits() > 0 {
                self.add(self.work.read(slice, &rows)?)?;
            }
            let next = slices.get(i + 1).map(|next| next.time_ns());
            let bound = next.map(|(first, last)| if self.newest_first { last } else { first });
            let Some(ready) = self.ready(bound)? else { continue };
            self.left -= ready.num_rows();
            if !send_parts(&ready, send) || self.left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Of a slice's rows, those that can be among the ones still wanted.
    fn best(&self, slice: &Slice, rows: BooleanBuffer) -> Result<BooleanBuffer> {
        if self.left > FEW || rows.count_set_bits() <= self.left {
            return Ok(rows);
        }
        let mut cost = Cost::default();
        let times = slice.read(&[Column::Field(Field::Fixed(0))], &rows, &mut cost).map_err(external)?;
        self.work.shared.add_cost(&cost);
        let times = times.first().and_then(|array| array.as_primitive_opt::<Int64Type>());
        let Some(times) = times else { return Ok(rows) };
        Ok(crate::rows::first_by_time(&rows, times.values(), self.left, self.newest_first))
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        let all = match self.waiting.take() {
            Some(waiting) => concat_batches(&self.work.schema, [&waiting, &batch])?,
            None => batch,
        };
        let options = SortOptions { descending: self.newest_first, nulls_first: false };
        let order = sort_to_indices(all.column(self.time_index()?), Some(options), Some(self.left))?;
        let sorted = take_record_batch(&all, &order)?;
        self.memory.try_resize(sorted.get_array_memory_size())?;
        self.waiting = Some(sorted);
        Ok(())
    }

    /// Takes the waiting rows that no later slice can come before.
    fn ready(&mut self, bound: Option<i64>) -> Result<Option<RecordBatch>> {
        let Some(waiting) = self.waiting.take() else { return Ok(None) };
        let count = match bound {
            None => waiting.num_rows(),
            Some(bound) => {
                let times = waiting.column(self.time_index()?);
                let times = times.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(no_time)?;
                times.values().partition_point(|t| if self.newest_first { *t >= bound } else { *t <= bound })
            }
        };
        let count = count.min(self.left);
        if count < waiting.num_rows() {
            self.waiting = Some(waiting.slice(count, waiting.num_rows() - count));
        }
        Ok((count > 0).then(|| waiting.slice(0, count)))
    }

    fn time_index(&self) -> Result<usize> {
        self.work.time_index().ok_or_else(no_time)
    }
}

fn no_time() -> DataFusionError {
    DataFusionError::Internal("an ordered scan without its time column".into())
}
