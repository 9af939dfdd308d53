//! A slice of a segment: which blocks may have what is asked for, and blocks of columns.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use model::record::columns;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;

use super::pages::{Failure, PageReader};
use super::reader::{RowSegment, RowTable, read_bytes};
use super::sidecar::SliceInfo;
use crate::error::{Result, StoreError};
use crate::rows::bloom;
use crate::rows::chunk::{Scope, ValueKind};
use crate::rows::filter::Filter;
use crate::rows::keys;
use crate::rows::probe::Probe;
use crate::rows::slice::{BLOCK_ROWS, Cost, KeyInfo, Loaded, StoredColumn};

/// A slice of a segment.
#[derive(Clone)]
pub(crate) struct Group {
    pub(super) segment: Arc<RowSegment>,
    pub(super) table: Arc<RowTable>,
    pub(super) index: usize,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("segment", &self.segment).field("index", &self.index).finish()
    }
}

impl Group {
    pub(crate) fn segment(&self) -> &RowSegment {
        &self.segment
    }

    /// The segment, shared.
    pub(crate) fn owner(&self) -> &Arc<RowSegment> {
        &self.segment
    }

    /// Which of the segment's slices it is.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn info(&self) -> &SliceInfo {
        &self.table.header.slices[self.index]
    }

    /// All attribute columns that some row has: position, whose, key and kind.
    pub(crate) fn attrs(&self) -> impl Iterator<Item = (usize, Scope, &Arc<str>, ValueKind)> {
        let attrs = self.table.header.layout.attrs.iter().enumerate();
        let counts = &self.info().counts;
        attrs.filter(|(at, _)| counts[*at] > 0).map(|(at, attr)| (at, attr.scope, &attr.key, attr.kind))
    }

    /// The attribute column of a key, if some row has it.
    pub(crate) fn attr_of(&self, scope: Scope, key: &str) -> Option<(usize, ValueKind)> {
        let at = *self.table.by_key[scope as usize].get(key)?;
        (self.info().counts[at] > 0).then(|| (at, self.table.header.layout.attrs[at].kind))
    }

    pub(crate) fn overflow_may_have(&self, key: Option<(Scope, &str)>) -> bool {
        let header = &self.table.header;
        let has_any = self.info().counts.last().is_some_and(|count| *count > 0);
        has_any
            && key.is_none_or(|(scope, key)| {
                header.overflow_is_cut || self.table.overflow[scope as usize].contains(key)
            })
    }

    pub(crate) fn keys(&self) -> Vec<KeyInfo> {
        let counts = &self.info().counts;
        let own = self.attrs().map(|(at, scope, key, kind)| KeyInfo {
            scope,
            key: key.clone(),
            kind,
            count: counts[at].into(),
        });
        // How many rows of the slice have each is not known. Each slice is given a share by its rows, and those of
        // all slices add up to what the file has.
        let of_slice = |slice: &SliceInfo| u64::from(slice.counts.last().copied().unwrap_or(0));
        let slices = &self.table.header.slices;
        let all: u64 = slices.iter().map(of_slice).sum();
        let before: u64 = slices[..self.index].iter().map(of_slice).sum();
        let behind = before + of_slice(self.info());
        let until = |count: u64, rows: u64| u128::from(count) * u128::from(rows) / u128::from(all.max(1));
        let share = |count: u64| (until(count, behind) - until(count, before)) as u64;
        let rest = self.table.header.overflow.iter().filter(|_| behind > before);
        let rest = rest.map(|key| KeyInfo { count: share(key.count), ..key.clone() });
        keys::merged([own.collect(), rest.collect()])
    }

    /// The rows that the filters cannot rule out.
    pub(crate) fn candidates(&self, filter: &Filter, cost: &mut Cost) -> Result<BooleanBuffer> {
        let rows = self.info().rows as usize;
        if !self.may_have(&filter.root) {
            return Ok(BooleanBuffer::new_unset(rows));
        }
        let blocks = self.probe(&filter.probe, cost)?;
        let mut bits = BooleanBufferBuilder::new(rows);
        for block in 0..self.info().blocks() {
            bits.append_n(BLOCK_ROWS.min(rows - block * BLOCK_ROWS), blocks & (1 << block) != 0);
        }
        Ok(bits.finish())
    }

    /// The blocks that a probe cannot rule out, one bit each.
    fn probe(&self, probe: &Probe, cost: &mut Cost) -> Result<u32> {
        let every = ((1u64 << self.info().blocks()) - 1) as u32;
        Ok(match probe {
            Probe::Maybe => every,
            Probe::All(parts) => {
                let mut blocks = every;
                for part in parts {
                    if blocks == 0 {
                        break;
                    }
                    blocks &= self.probe(part, cost)?;
                }
                blocks
            }
            Probe::Any(parts) => {
                let mut blocks = 0;
                for part in parts {
                    if blocks == every {
                        break;
                    }
                    blocks |= self.probe(part, cost)?;
                }
                blocks
            }
            Probe::Token(token) => self.look_up(*token, cost)?,
            Probe::Attr { key, record, resource, inner } => {
                let scopes = [(Scope::Record, *record), (Scope::Resource, *resource)];
                let scopes = || scopes.iter().filter(|(_, asked)| *asked).map(|(scope, _)| *scope);
                let columns = || scopes().filter_map(|scope| self.attr_of(scope, key));
                let in_overflow = scopes().any(|scope| self.overflow_may_have(Some((scope, key))));
                if columns().next().is_none() && !in_overflow {
                    0
                } else if columns().all(|(_, kind)| kind == ValueKind::Text) {
                    self.probe(inner, cost)?
                } else {
                    every
                }
            }
        })
    }

    fn look_up(&self, token: u64, cost: &mut Cost) -> Result<u32> {
        let (offset, len) = self.info().lane_at(token);
        let path = self.segment.paths()[1];
        let row = read_bytes(&**self.segment.filter_file()?, path, offset, len)?;
        cost.bytes += len as u64;
        bloom::probe(&row, token)
            .ok_or_else(|| StoreError::corrupt(path, offset, "checksum of a filter does not match"))
    }

    /// Whole blocks that have one of the rows.
    pub(crate) fn to_load(&self, rows: &BooleanBuffer) -> Loaded {
        let len = self.info().rows as usize;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for start in (0..len).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(len);
            if rows.slice(start, end - start).count_set_bits() > 0 {
                match ranges.last_mut().filter(|last| last.end == start) {
                    Some(last) => last.end = end,
                    None => ranges.push(start..end),
                }
            }
        }
        Loaded { ranges }
    }

    /// Which column of the file an attribute column is.
    pub(super) fn number_of_attr(&self, at: usize) -> usize {
        columns(self.table.header.layout.signal).len() + at
    }

    /// Arrays of stored columns with the rows of some blocks.
    pub(crate) fn load(
        &self,
        wanted: &[StoredColumn],
        loaded: &Loaded,
        cost: &mut Cost,
    ) -> Result<Vec<ArrayRef>> {
        let number = |column: &StoredColumn| match column {
            StoredColumn::Fixed(at) => *at,
            StoredColumn::Attr(at) => self.number_of_attr(*at),
            StoredColumn::Overflow => self.number_of_attr(self.table.header.layout.attrs.len()),
        };
        let numbers: Vec<usize> = wanted.iter().map(number).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let arrays = self.load_numbers(&sorted, loaded, cost)?;
        let place = |number: &usize| sorted.binary_search(number).ok().and_then(|at| arrays.get(at).cloned());
        numbers.iter().map(place).collect::<Option<_>>().ok_or_else(|| self.short())
    }

    fn load_numbers(&self, numbers: &[usize], loaded: &Loaded, cost: &mut Cost) -> Result<Vec<ArrayRef>> {
        let segment = &self.segment;
        let schema = self.table.arrow.schema();
        let rows = loaded.rows();
        if rows == 0 {
            let empty =
                numbers.iter().map(|number| arrow_array::new_empty_array(schema.field(*number).data_type()));
            return Ok(empty.map(as_stored).collect());
        }
        let file = segment.parquet_file()?;
        let read = Arc::new(AtomicU64::new(0));
        let len = file.len().map_err(|e| StoreError::io("read", segment.paths()[0], e))?;
        let pages = Arc::clone(&self.table.pages);
        let failure = Failure::default();
        let reader = PageReader {
            file: Arc::clone(file),
            len,
            read: Arc::clone(&read),
            pages,
            failure: failure.clone(),
        };
        let arrow = self.table.arrow.clone();
        let mask = ProjectionMask::leaves(arrow.parquet_schema(), numbers.iter().copied());
        let selection =
            RowSelection::from_consecutive_ranges(loaded.ranges.iter().cloned(), self.info().rows as usize);
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(reader, arrow)
            .with_row_groups(vec![self.index])
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(rows)
            .build()
            .map_err(|e| segment.damaged(e))?;
        let batches = batches.collect::<Result<Vec<_>, _>>();
        cost.bytes += read.load(Ordering::Relaxed);
        if let (Err(_), Some(error)) = (&batches, failure.take()) {
            return Err(StoreError::io("read", segment.paths()[0], error));
        }
        let corrupt = |e: arrow_schema::ArrowError| StoreError::corrupt(segment.paths()[0], 0, e.to_string());
        let batches = batches.map_err(|e| match e {
            arrow_schema::ArrowError::ExternalError(source) => match source.downcast::<ParquetError>() {
                Ok(error) => segment.damaged(*error),
                Err(source) => StoreError::corrupt(segment.paths()[0], 0, source.to_string()),
            },
            other => corrupt(other),
        })?;
        let mut arrays = Vec::with_capacity(numbers.len());
        for at in 0..numbers.len() {
            let parts: Vec<&dyn Array> =
                batches.iter().filter_map(|batch| batch.columns().get(at)).map(|array| &**array).collect();
            let array = match batches.as_slice() {
                [one] => one.columns().get(at).cloned(),
                _ => Some(arrow_select::concat::concat(&parts).map_err(corrupt)?),
            };
            arrays
                .push(array.filter(|array| array.len() == rows).map(as_stored).ok_or_else(|| self.short())?);
        }
        Ok(arrays)
    }

    fn short(&self) -> StoreError {
        let detail = format!("slice {} has fewer rows than it should", self.index);
        StoreError::corrupt(self.segment.paths()[0], 0, detail)
    }
}

/// Times as the integers that chunks have.
fn as_stored(array: ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampNanosecondType>() {
        Some(times) => Arc::new(times.reinterpret_cast::<Int64Type>()),
        None => array,
    }
}
