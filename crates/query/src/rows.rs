//! What explorers ask of logs, spans and events: the newest rows, how many there are and when, which values
//! fields have, which messages are alike, and what stood around a row; and the figures that alerts are about.
//!
//! Everything reads slices, newest first, several at a time, and stops as soon as the answer stands. All calls
//! may read files: run them where blocking is allowed.

mod aggregate; // figures of groups of rows
mod around; // what stood around a row
mod facets; // values of fields
mod histogram; // rows over time
pub(crate) mod ids; // what identifies a row
mod json; // rows as JSON
mod page; // the newest or oldest rows
mod patterns; // messages that are alike
mod read; // rows out of slices
mod source; // where slices come from
mod template; // what similar messages have in common
mod timeline; // two columns in order of time
mod view; // fields as texts

pub use aggregate::{Aggregated, Figure, FigureKind};
pub use around::Around;
pub use facets::{Facet, Facets, FieldInfo};
pub use histogram::{Histogram, HistogramSeries};
pub use json::{check_json, event_json, log_json, row_json, span_json, time_text};
pub use page::{Cursor, PAGE_BYTES_MAX, Page, Sort};
pub use patterns::{Pattern, Patterns};
pub use read::{Row, RowValue, decoded};
pub use source::{RowSource, Slices, StoredRows};
pub use timeline::Timeline;

use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use model::{Predicate, Signal};
use rayon::prelude::*;
use store::rows::{Cost, Filter, Slice};

use crate::control::Control;
use crate::error::QueryFault;

/// Which rows are meant.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What they fulfil.
    pub predicate: Predicate,
    /// First time inside, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// First time that is not inside any more; `i64::MAX` for no end.
    pub end_ns: i64,
}

/// Answers questions about the rows of one signal of one tenant.
#[derive(Clone)]
pub struct RowReader {
    source: Arc<dyn RowSource>,
    control: Control,
}

impl RowReader {
    /// A reader that stops when `control` says so.
    pub fn new(source: Arc<dyn RowSource>, control: Control) -> Self {
        Self { source, control }
    }

    /// The signal whose rows these are.
    pub fn signal(&self) -> Signal {
        self.source.signal()
    }

    /// How many rows there are.
    pub fn count(&self, ask: &Ask) -> Result<(u64, Cost), QueryFault> {
        let each = |_: &Slice, rows: &BooleanBuffer, _: &mut Cost| Ok(rows.count_set_bits() as u64);
        self.over_slices(ask, || 0, each, |sum: &mut u64, count| *sum += count)
    }

    /// The compiled question and the slices that can have rows of it, newest first.
    fn prepare(&self, ask: &Ask) -> Result<(Filter, Vec<Slice>), QueryFault> {
        let filter = Filter::new(self.signal(), &ask.predicate, ask.start_ns, ask.end_ns)
            .map_err(|error| QueryFault::Invalid(error.to_string()))?;
        let slices = match ask.start_ns < ask.end_ns {
            true => self.source.slices(ask.start_ns, ask.end_ns)?,
            false => Vec::new(),
        };
        Ok((filter, slices))
    }

    /// The rows of a slice that a filter accepts, unless it is time to stop.
    fn select(&self, filter: &Filter, slice: &Slice, cost: &mut Cost) -> Result<BooleanBuffer, QueryFault> {
        self.control.check()?;
        Ok(slice.select(filter, cost)?)
    }

    /// Looks at every slice that has matching rows, several at a time, and puts together what comes out.
    fn over_slices<T: Send, A: Send>(
        &self,
        ask: &Ask,
        zero: impl Fn() -> A + Sync,
        each: impl Fn(&Slice, &BooleanBuffer, &mut Cost) -> Result<T, QueryFault> + Sync,
        mut add: impl FnMut(&mut A, T),
    ) -> Result<(A, Cost), QueryFault> {
        let add = |sum: &mut A, part| {
            add(sum, part);
            Ok(())
        };
        self.try_over_slices(ask, zero, each, add)
    }

    /// The same where putting together may find that it is too much.
    fn try_over_slices<T: Send, A: Send>(
        &self,
        ask: &Ask,
        zero: impl Fn() -> A + Sync,
        each: impl Fn(&Slice, &BooleanBuffer, &mut Cost) -> Result<T, QueryFault> + Sync,
        mut add: impl FnMut(&mut A, T) -> Result<(), QueryFault>,
    ) -> Result<(A, Cost), QueryFault> {
        let (filter, slices) = self.prepare(ask)?;
        let mut sum = zero();
        let mut total = Cost::default();
        for wave in slices.chunks(WAVE) {
            let parts: Vec<Result<(Option<T>, Cost), QueryFault>> = wave
                .par_iter()
                .map(|slice| {
                    let mut cost = Cost::default();
                    let rows = self.select(&filter, slice, &mut cost)?;
                    let part =
                        if rows.count_set_bits() > 0 { Some(each(slice, &rows, &mut cost)?) } else { None };
                    Ok((part, cost))
                })
                .collect();
            for part in parts {
                let (part, cost) = part?;
                total += cost;
                if let Some(part) = part {
                    add(&mut sum, part)?;
                }
            }
        }
        Ok((sum, total))
    }
}

/// Slices that are looked at side by side before what came out is put together.
const WAVE: usize = 8;

/// Of selected rows, the `count` that come first by time, and all that have the same time as the last of them.
/// `times` has the selected rows' times.
pub(crate) fn first_by_time(
    rows: &BooleanBuffer,
    times: &[i64],
    count: usize,
    newest_first: bool,
) -> BooleanBuffer {
    if count == 0 {
        return BooleanBuffer::new_unset(rows.len());
    }
    if times.len() <= count {
        return rows.clone();
    }
    let mut sorted = times.to_vec();
    let (_, last, _) =
        sorted.select_nth_unstable_by(count - 1, |a, b| if newest_first { b.cmp(a) } else { a.cmp(b) });
    let last = *last;
    keep(rows, |i| if newest_first { times[i] >= last } else { times[i] <= last })
}

/// The selected rows for which `wanted` says so, given their position among the selected.
pub(crate) fn keep(rows: &BooleanBuffer, wanted: impl Fn(usize) -> bool) -> BooleanBuffer {
    let mut kept = BooleanBufferBuilder::new(rows.len());
    kept.append_n(rows.len(), false);
    for (i, row) in rows.set_indices().enumerate() {
        if wanted(i) {
            kept.set_bit(row, true);
        }
    }
    kept.finish()
}
