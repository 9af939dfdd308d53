//! Evaluates a filter on a slice. Columns are loaded when a test needs them, and of each only the blocks in
//! which candidates are left.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use hashbrown::HashMap;
use model::FixedKind;
use model::record::columns;

use super::chunk::{Scope, ValueKind};
use super::eval::{self, Values};
use super::filter::{Filter, Node, Target};
use super::slice::{Cost, Loaded, Source, StoredColumn};
use super::test::Tester;
use crate::error::{Result, StoreError};

/// The rows that `filter` and `within` accept and none of `hidden` does.
pub(crate) fn select(
    source: &Source,
    filter: &Filter,
    within: Option<&Filter>,
    hidden: &[std::sync::Arc<Filter>],
    cost: &mut Cost,
) -> Result<BooleanBuffer> {
    let mut columns = Columns { source, cost, loaded: HashMap::new() };
    let mut rows = accepted(&mut columns, filter, &BooleanBuffer::new_set(source.rows()))?;
    if let Some(within) = within {
        rows = accepted(&mut columns, within, &rows)?;
    }
    for filter in hidden {
        if is_empty(&rows) {
            break;
        }
        let gone = accepted(&mut columns, filter, &rows)?;
        rows = and_not(&rows, &gone);
    }
    let touched = columns.touched();
    cost.rows += touched.rows() as u64;
    cost.blocks +=
        touched.ranges.iter().map(|r| r.len().div_ceil(super::slice::BLOCK_ROWS) as u64).sum::<u64>();
    Ok(rows)
}

/// Among the candidates the rows that a filter accepts.
fn accepted(columns: &mut Columns<'_>, filter: &Filter, candidates: &BooleanBuffer) -> Result<BooleanBuffer> {
    if filter.signal != columns.source.signal() {
        return Err(StoreError::Refused(format!("the filter is for {}", filter.signal.as_str())));
    }
    let none = || BooleanBuffer::new_unset(candidates.len());
    let (min_ns, max_ns) = columns.source.time_ns();
    if candidates.is_empty() || !filter.overlaps(min_ns, max_ns) {
        return Ok(none());
    }
    let mut rows = candidates & &columns.source.candidates(filter, columns.cost)?;
    let is_cut = !filter.has_time(min_ns) || !filter.has_time(max_ns);
    if is_cut && !is_empty(&rows) {
        let (loaded, times) = columns.load(StoredColumn::Fixed(0), &rows)?;
        let times = times.as_primitive_opt::<arrow_array::types::Int64Type>().ok_or_else(unexpected)?;
        let times = times.values();
        let inside = BooleanBuffer::collect_bool(times.len(), |row| filter.has_time(times[row]));
        rows = &rows & &loaded.scatter(&inside, rows.len());
    }
    node(columns, &filter.root, rows)
}

fn node(columns: &mut Columns<'_>, part: &Node, candidates: BooleanBuffer) -> Result<BooleanBuffer> {
    if is_empty(&candidates) {
        return Ok(candidates);
    }
    match part {
        Node::All(parts) => {
            let mut rows = candidates;
            for part in parts {
                rows = node(columns, part, rows)?;
            }
            Ok(rows)
        }
        Node::Any(parts) => {
            let mut rest = candidates.clone();
            for part in parts {
                let hits = node(columns, part, rest.clone())?;
                rest = and_not(&rest, &hits);
            }
            Ok(and_not(&candidates, &rest))
        }
        Node::Not(part) => {
            let hits = node(columns, part, candidates.clone())?;
            Ok(and_not(&candidates, &hits))
        }
        Node::Test(Target::Fixed(at), tester) => {
            let kind = match self::columns(columns.source.signal())[*at].kind {
                FixedKind::Json => ValueKind::Json,
                _ => ValueKind::Text,
            };
            let (_, hits) = stored(columns, StoredColumn::Fixed(*at), kind, tester, &candidates)?;
            Ok(hits)
        }
        Node::Test(Target::Attr { key, record, resource }, tester) => {
            attr(columns, key, (*record, *resource), tester, candidates)
        }
    }
}

/// Tests an attribute: the first place where a row has it counts.
fn attr(
    columns: &mut Columns<'_>,
    key: &str,
    (record, resource): (bool, bool),
    tester: &Tester,
    candidates: BooleanBuffer,
) -> Result<BooleanBuffer> {
    let mut hits = BooleanBuffer::new_unset(candidates.len());
    let mut rest = candidates;
    for scope in [(Scope::Record, record), (Scope::Resource, resource)] {
        let (scope, true) = scope else { continue };
        for (at, kind) in columns.source.attrs_of(scope, key) {
            if is_empty(&rest) {
                return Ok(hits);
            }
            let (present, passed) = stored(columns, StoredColumn::Attr(at), kind, tester, &rest)?;
            hits = &hits | &passed;
            rest = and_not(&rest, &present);
        }
        if !is_empty(&rest) && columns.source.overflow_may_have(Some((scope, key))) {
            let (loaded, overflow) = columns.load(StoredColumn::Overflow, &rest)?;
            let overflow = overflow.as_string_view_opt().ok_or_else(unexpected)?;
            let (present, passed) = eval::test_overflow(tester, overflow, scope, key, &loaded.gather(&rest));
            hits = &hits | &loaded.scatter(&passed, hits.len());
            rest = and_not(&rest, &loaded.scatter(&present, rest.len()));
        }
    }
    Ok(hits)
}

/// Among the candidates those that have a value in a column, and those whose value passes.
fn stored(
    columns: &mut Columns<'_>,
    column: StoredColumn,
    kind: ValueKind,
    tester: &Tester,
    candidates: &BooleanBuffer,
) -> Result<(BooleanBuffer, BooleanBuffer)> {
    let (loaded, array) = columns.load(column, candidates)?;
    let values = Values::new(&array, kind).ok_or_else(unexpected)?;
    let own = loaded.gather(candidates);
    let hits = eval::test(tester, values, &own);
    let present = &own & &values.present();
    Ok((loaded.scatter(&present, candidates.len()), loaded.scatter(&hits, candidates.len())))
}

/// Columns that were loaded to answer one question.
struct Columns<'a> {
    source: &'a Source,
    cost: &'a mut Cost,
    loaded: HashMap<StoredColumn, (Loaded, ArrayRef)>,
}

impl Columns<'_> {
    /// A column with all blocks that have one of the rows.
    fn load(&mut self, column: StoredColumn, rows: &BooleanBuffer) -> Result<(Loaded, ArrayRef)> {
        let wanted = self.source.to_load(rows);
        if let Some(known) = self.loaded.get(&column).filter(|(known, _)| known.covers(&wanted)) {
            return Ok(known.clone());
        }
        let mut arrays = self.source.load(&[column], &wanted, self.cost)?;
        let array = arrays.pop().filter(|array| array.len() == wanted.rows()).ok_or_else(unexpected)?;
        self.loaded.insert(column, (wanted.clone(), array.clone()));
        Ok((wanted, array))
    }

    /// The rows of which any column was loaded.
    fn touched(&self) -> Loaded {
        let loaded = self.loaded.values().map(|(loaded, _)| loaded);
        loaded.max_by_key(|loaded| loaded.rows()).cloned().unwrap_or(Loaded { ranges: Vec::new() })
    }
}

/// True when no bit is set.
pub(crate) fn is_empty(bits: &BooleanBuffer) -> bool {
    bits.count_set_bits() == 0
}

/// The bits of the first that are not set in the second.
pub(crate) fn and_not(bits: &BooleanBuffer, gone: &BooleanBuffer) -> BooleanBuffer {
    bits & &!gone
}

fn unexpected() -> StoreError {
    StoreError::Refused("a column of rows is not of its type".into())
}
