//! Which services there are, and what they do.
//!
//! Data sources ask this whenever a form is opened, over days of spans. A slice's rows never change, so what was
//! found in it is remembered; a question then looks into what is new only.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use hashbrown::{HashMap, HashSet};
use model::record::span;
use model::{Field, Predicate, Signal};
use parking_lot::Mutex;
use rayon::prelude::*;
use store::rows::{Column, Cost, Filter, Slice, SliceId, ValueKind};

use super::StoredSpans;
use crate::control::Control;
use crate::error::QueryFault;
use crate::traces::{SERVICE_NAME, SpanKind};

/// Operations that are listed; names with ids in them would be without end. Of one slice, too.
const OPERATIONS_MAX: usize = 20_000;

/// Operations that are remembered, of all slices together; one takes about 100 bytes.
const REMEMBERED_MAX: usize = 200_000;

/// Service, operation and kind.
type Operation = (Box<str>, Box<str>, SpanKind);

/// What slices were found to hold. Shared by all tenants: a slice is of one.
#[derive(Debug, Default)]
pub struct OperationsCache(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    by_slice: HashMap<SliceId, Arc<[Operation]>>,
    operations: usize,
}

impl OperationsCache {
    fn get(&self, id: &SliceId) -> Option<Arc<[Operation]>> {
        self.0.lock().by_slice.get(id).cloned()
    }

    fn put(&self, id: SliceId, operations: Arc<[Operation]>) {
        // A slice without any costs an entry, too.
        let weight = |operations: &[Operation]| operations.len() + 1;
        let mut known = self.0.lock();
        if known.operations + weight(&operations) > REMEMBERED_MAX {
            known.by_slice.retain(|id, _| !id.is_gone());
            known.operations = known.by_slice.values().map(|operations| weight(operations)).sum();
        }
        if known.operations + weight(&operations) > REMEMBERED_MAX {
            *known = Remembered::default();
        }
        known.operations += weight(&operations);
        if let Some(before) = known.by_slice.insert(id, operations) {
            known.operations -= weight(&before);
        }
    }
}

impl StoredSpans {
    /// The services of all slices that have spans between two times, nanoseconds since the Unix epoch. Spans
    /// without a service are left out.
    pub fn services(
        &self,
        range_ns: (i64, i64),
        cache: &OperationsCache,
        control: &Control,
    ) -> Result<BTreeSet<String>, QueryFault> {
        let mut services = BTreeSet::new();
        self.each_slice(range_ns, cache, control, |operations| {
            for same in operations.chunk_by(|(a, ..), (b, ..)| a == b) {
                let (service, ..) = &same[0];
                if services.len() < OPERATIONS_MAX && !services.contains(&**service) {
                    services.insert(service.to_string());
                }
            }
        })?;
        Ok(services)
    }

    /// The operations of a service, in order of name, in the slices that [`Self::services`] looks at.
    pub fn operations(
        &self,
        service: &str,
        range_ns: (i64, i64),
        cache: &OperationsCache,
        control: &Control,
    ) -> Result<BTreeSet<(String, SpanKind)>, QueryFault> {
        let mut all = BTreeSet::new();
        self.each_slice(range_ns, cache, control, |operations| {
            let first = operations.partition_point(|(own, ..)| &**own < service);
            let own = operations[first..].iter().take_while(|(own, ..)| &**own == service);
            for (_, name, kind) in own {
                if all.len() < OPERATIONS_MAX {
                    all.insert((name.to_string(), *kind));
                }
            }
        })?;
        Ok(all)
    }

    /// Shows the operations of every slice, each in order.
    fn each_slice(
        &self,
        (start_ns, end_ns): (i64, i64),
        cache: &OperationsCache,
        control: &Control,
        mut show: impl FnMut(&[Operation]),
    ) -> Result<(), QueryFault> {
        let filter = Filter::new(Signal::Traces, &Predicate::TRUE, i64::MIN, i64::MAX)
            .map_err(|error| QueryFault::Invalid(error.to_string()))?;
        let slices = self.slices(start_ns, end_ns)?;
        for slices in slices.chunks(super::SLICES_AT_ONCE) {
            let found: Vec<(Arc<[Operation]>, Cost)> = slices
                .par_iter()
                .map(|slice| {
                    control.check()?;
                    let id = slice.id();
                    if let Some(known) = id.as_ref().and_then(|id| cache.get(id)) {
                        return Ok((known, Cost { slices: 1, ..Cost::default() }));
                    }
                    let mut cost = Cost::default();
                    let found: Arc<[Operation]> = of_slice(slice, &filter, &mut cost)?.into();
                    if let Some(id) = id {
                        cache.put(id, Arc::clone(&found));
                    }
                    Ok((found, cost))
                })
                .collect::<Result<_, QueryFault>>()?;
            for (operations, cost) in found {
                *self.cost.lock() += cost;
                show(&operations);
            }
        }
        Ok(())
    }
}

/// The operations of a slice, in order.
fn of_slice(slice: &Slice, filter: &Filter, cost: &mut Cost) -> Result<Vec<Operation>, QueryFault> {
    let rows = slice.select(filter, cost)?;
    if rows.count_set_bits() == 0 {
        return Ok(Vec::new());
    }
    let columns = [
        Column::FieldAs(Field::Resource(SERVICE_NAME.into()), ValueKind::Text),
        Column::Field(Field::Fixed(span::NAME as u8)),
        Column::Field(Field::Fixed(span::KIND as u8)),
    ];
    let arrays = slice.read(&columns, &rows, cost)?;
    let mut seen: HashSet<[&str; 3]> = HashSet::new();
    if let [service, name, kind] = arrays.as_slice() {
        // Texts of a dictionary are the same views again and again, which are compared sooner than texts.
        let views = [views(service), views(name), views(kind)];
        let mut looked_at = HashSet::new();
        for row in 0..service.len() {
            let view = views.map(|views| views.get(row).copied().unwrap_or_default());
            if !looked_at.insert(view) {
                continue;
            }
            let key = [text(service, row), text(name, row), text(kind, row)];
            if !key[0].is_empty() && seen.len() < OPERATIONS_MAX {
                seen.insert(key);
            }
        }
    }
    let owned = |[service, name, kind]: [&str; 3]| {
        (service.into(), name.into(), SpanKind::parse(kind).unwrap_or_default())
    };
    let mut operations: Vec<Operation> = seen.into_iter().map(owned).collect();
    operations.sort_unstable();
    Ok(operations)
}

fn views(column: &ArrayRef) -> &[u128] {
    column.as_string_view_opt().map_or(&[], |texts| texts.views())
}

fn text(column: &ArrayRef, row: usize) -> &str {
    match column.as_string_view_opt() {
        Some(texts) if texts.is_valid(row) => texts.value(row),
        _ => "",
    }
}
