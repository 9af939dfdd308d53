//! Spans of the store: slices of rows to owned spans, several slices at a time.

use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::HashMap;
use model::record::span;
use model::{Field, Signal};
use parking_lot::Mutex;
use rayon::prelude::*;
use store::rows::{Column, Cost, Filter, KeyInfo, RowSnapshot, Scope, Slice, ValueKind};

use crate::control::Control;
use crate::error::QueryFault;
use crate::traces::{Batch, Keys, SERVICE_NAME, Scan, SpanData, SpanSource, Visit};

mod decode; // columns to spans
mod operations; // which services do what

#[cfg(test)]
mod tests;

pub use operations::OperationsCache;

/// Slices that are looked at side by side, at most.
const SLICES_AT_ONCE: usize = 32;
/// Spans found by a look above which the next one is not larger.
const SPANS_AT_ONCE: usize = 8192;

/// The spans of one tenant as of one moment.
pub struct StoredSpans {
    slices: Slices,
    cost: Mutex<Cost>,
}

/// Where slices come from.
enum Slices {
    /// From a snapshot, as they are asked for.
    Snapshot(RowSnapshot),
    /// Given.
    Given(Vec<Slice>),
}

impl StoredSpans {
    /// Spans of a snapshot.
    pub fn new(snapshot: RowSnapshot) -> Self {
        Self { slices: Slices::Snapshot(snapshot), cost: Mutex::default() }
    }

    /// Spans of these slices.
    pub fn of_slices(mut slices: Vec<Slice>) -> Self {
        slices.sort_by_key(|slice| std::cmp::Reverse(slice.time_ns().1));
        Self { slices: Slices::Given(slices), cost: Mutex::default() }
    }

    /// What has been looked at so far.
    pub fn cost(&self) -> Cost {
        *self.cost.lock()
    }

    /// The keys of attributes between two times, nanoseconds since the Unix epoch.
    pub fn keys(&self, start_ns: i64, end_ns: i64, control: &Control) -> Result<Vec<KeyInfo>, QueryFault> {
        let mut all = Vec::new();
        for slice in self.slices(start_ns, end_ns)? {
            control.check()?;
            all.extend(slice.keys()?);
        }
        Ok(all)
    }

    /// Slices that may have spans between two times, newest first.
    fn slices(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Slice>, QueryFault> {
        match &self.slices {
            Slices::Snapshot(snapshot) => Ok(snapshot.slices(start_ns, end_ns)?),
            Slices::Given(slices) => {
                let overlaps = |slice: &&Slice| {
                    let (min_ns, max_ns) = slice.time_ns();
                    start_ns <= max_ns && min_ns < end_ns
                };
                Ok(slices.iter().filter(overlaps).cloned().collect())
            }
        }
    }
}

impl SpanSource for StoredSpans {
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), QueryFault> {
        let filter = Filter::new(Signal::Traces, scan.predicate, scan.start_ns, scan.end_ns)
            .map_err(|error| QueryFault::Invalid(error.to_string()))?;
        let slices = self.slices(scan.start_ns, scan.end_ns)?;
        let mut at = 0;
        // Often the newest slice is enough; a trace's id needs them all.
        let mut at_once = 1;
        while at < slices.len() {
            let next = (at + at_once).min(slices.len());
            let read: Vec<Result<(Vec<SpanData>, Cost), QueryFault>> = slices[at..next]
                .par_iter()
                .map(|slice| {
                    scan.control.check()?;
                    let mut cost = Cost::default();
                    let spans = read(slice, &filter, scan, &mut cost)?;
                    Ok((spans, cost))
                })
                .collect();
            let mut found = 0;
            for (offset, result) in read.into_iter().enumerate() {
                let (spans, cost) = result?;
                found += spans.len();
                *self.cost.lock() += cost;
                let older_ns = slices.get(at + offset + 1).map_or(i64::MIN, |slice| slice.time_ns().1);
                if let ControlFlow::Break(()) = visit(Batch { spans, older_ns })? {
                    return Ok(());
                }
            }
            // What is found is in memory at once, so only where that is little there are more slices at once.
            let is_little = found < SPANS_AT_ONCE;
            at_once = if is_little { SLICES_AT_ONCE.min(2 * at_once) } else { rayon::current_num_threads() };
            at = next;
        }
        Ok(())
    }
}

fn read(
    slice: &Slice,
    filter: &Filter,
    scan: &Scan<'_>,
    cost: &mut Cost,
) -> Result<Vec<SpanData>, QueryFault> {
    let rows = slice.select(filter, cost)?;
    if rows.count_set_bits() == 0 {
        return Ok(Vec::new());
    }
    let fixed = |column: usize| Column::Field(Field::Fixed(column as u8));
    let mut columns: Vec<Column> = decode::FIXED.iter().map(|column| fixed(*column)).collect();
    columns.push(Column::FieldAs(Field::Resource(SERVICE_NAME.into()), ValueKind::Text));
    if scan.want.events {
        columns.push(fixed(span::EVENTS));
    }
    if scan.want.links {
        columns.push(fixed(span::LINKS));
    }
    let known = match (&scan.want.attributes, &scan.want.resource) {
        (Keys::Some(_), _) | (_, Keys::Some(_)) => slice.stored_keys()?,
        _ => Vec::new(),
    };
    let attributes = Attributes::of(&scan.want.attributes, Scope::Record, &known, &mut columns);
    let resource = Attributes::of(&scan.want.resource, Scope::Resource, &known, &mut columns);
    let arrays = slice.read(&columns, &rows, cost)?;
    Ok(decode::spans(&arrays, scan.want, &attributes, &resource))
}

/// How attributes of one scope are read.
enum Attributes {
    /// Not at all.
    None,
    /// As a column for each of these keys.
    Columns(Vec<Arc<str>>),
    /// As one column of objects.
    Objects,
}

impl Attributes {
    /// Adds the columns. A key of several kinds is read as it was sent, which only the objects tell.
    fn of(keys: &Keys, scope: Scope, known: &[KeyInfo], columns: &mut Vec<Column>) -> Self {
        let objects = match scope {
            Scope::Record => Column::Attributes,
            Scope::Resource => Column::ResourceAttributes,
        };
        let keys = match keys {
            Keys::None => return Self::None,
            Keys::All => {
                columns.push(objects);
                return Self::Objects;
            }
            Keys::Some(keys) => keys,
        };
        let mut kinds: HashMap<&str, ValueKind> = HashMap::new();
        let mut own = known.iter().filter(|info| info.scope == scope && keys.contains(&info.key));
        if own.any(|info| kinds.insert(&info.key, info.kind).is_some_and(|kind| kind != info.kind)) {
            columns.push(objects);
            return Self::Objects;
        }
        let keys: Vec<Arc<str>> = keys.iter().filter(|key| kinds.contains_key(&***key)).cloned().collect();
        columns.extend(keys.iter().map(|key| {
            Column::Field(match scope {
                Scope::Record => Field::Record(Arc::clone(key)),
                Scope::Resource => Field::Resource(Arc::clone(key)),
            })
        }));
        Self::Columns(keys)
    }
}
