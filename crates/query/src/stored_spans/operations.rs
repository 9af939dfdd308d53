//! Which services there are, and what they do.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use hashbrown::HashSet;
use model::record::span;
use model::{Field, Predicate, Signal};
use rayon::prelude::*;
use store::rows::{Column, Cost, Filter, Slice, ValueKind};

use super::StoredSpans;
use crate::control::Control;
use crate::error::QueryFault;
use crate::traces::{SERVICE_NAME, SpanKind};

/// Operations that are listed; names with ids in them would be without end.
const OPERATIONS_MAX: usize = 20_000;

/// Operations of every service.
pub type Operations = BTreeMap<String, BTreeSet<(String, SpanKind)>>;

impl StoredSpans {
    /// The operations of spans that fulfil a predicate and begin between two times, nanoseconds since the Unix
    /// epoch. Spans without a service are left out.
    pub fn operations(
        &self,
        predicate: &Predicate,
        (start_ns, end_ns): (i64, i64),
        control: &Control,
    ) -> Result<Operations, QueryFault> {
        let filter = Filter::new(Signal::Traces, predicate, start_ns, end_ns)
            .map_err(|error| QueryFault::Invalid(error.to_string()))?;
        let slices = self.slices(start_ns, end_ns)?;
        let found: Vec<_> = slices
            .par_iter()
            .map(|slice| {
                control.check()?;
                of_slice(slice, &filter)
            })
            .collect::<Result<_, QueryFault>>()?;
        let (mut all, mut count) = (Operations::new(), 0);
        for (operations, cost) in found {
            *self.cost.lock() += cost;
            for (service, name, kind) in operations {
                let known = all.entry(service).or_default();
                if count < OPERATIONS_MAX && known.insert((name, kind)) {
                    count += 1;
                }
            }
        }
        Ok(all)
    }
}

/// Service, operation and kind of spans, and what looking took.
type Found = (Vec<(String, String, SpanKind)>, Cost);

fn of_slice(slice: &Slice, filter: &Filter) -> Result<Found, QueryFault> {
    let mut cost = Cost::default();
    let rows = slice.select(filter, &mut cost)?;
    if rows.count_set_bits() == 0 {
        return Ok((Vec::new(), cost));
    }
    let columns = [
        Column::FieldAs(Field::Resource(SERVICE_NAME.into()), ValueKind::Text),
        Column::Field(Field::Fixed(span::NAME as u8)),
        Column::Field(Field::Fixed(span::KIND as u8)),
    ];
    let arrays = slice.read(&columns, &rows, &mut cost)?;
    let mut seen: HashSet<[&str; 3]> = HashSet::new();
    if let [service, name, kind] = arrays.as_slice() {
        for row in 0..service.len() {
            let key = [text(service, row), text(name, row), text(kind, row)];
            if !key[0].is_empty() {
                seen.insert(key);
            }
        }
    }
    let owned = |[service, name, kind]: [&str; 3]| {
        (service.to_owned(), name.to_owned(), SpanKind::parse(kind).unwrap_or_default())
    };
    Ok((seen.into_iter().map(owned).collect(), cost))
}

fn text(column: &ArrayRef, row: usize) -> &str {
    match column.as_string_view_opt() {
        Some(texts) if texts.is_valid(row) => texts.value(row),
        _ => "",
    }
}
