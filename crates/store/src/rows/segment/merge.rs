//! Merges segments of rows into fewer ones, slice by slice in the order of time.
//!
//! Memory is bounded by the slices that overlap at one time, and by a budget where inputs overlap a lot: then
//! rows are written before all of their time are there, and slices of an output overlap. Every row that no
//! delete hides and that is not past retention is in one output.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_buffer::BooleanBuffer;
use model::{Field, Predicate, Signal};

use super::gather::{RowRef, times_of};
use super::layout::{self, Layout};
use super::reader::RowSegment;
use super::writer::{RowWriter, slice_rows};
use crate::disk::Disk;
use crate::durable;
use crate::error::{Result, StoreError};
use crate::rows::chunk::Chunk;
use crate::rows::filter::Filter;
use crate::rows::select::{and_not, is_empty};
use crate::rows::slice::{Column, Cost, KeyInfo, Slice};
use crate::segment::{MergeSlice, SegmentMeta, SegmentSpec};

/// Bytes of rows that wait for others of their time.
const POOL_BYTES_MAX: usize = 192 << 20;

/// A segment to merge.
#[derive(Clone, Debug)]
pub struct RowMergeInput {
    /// The segment.
    pub segment: Arc<RowSegment>,
    /// What deletes hide in it; gone from the outputs.
    pub hidden: Arc<[Arc<Filter>]>,
}

/// What a merge of rows shall make.
#[derive(Clone, Debug)]
pub struct RowMerge {
    /// Level of the outputs.
    pub level: u8,
    /// Now, milliseconds.
    pub created_ms: i64,
    /// Highest tombstone that is carried out in the outputs.
    pub tombstones_applied: u64,
    /// Rows before this time are left out, nanoseconds; `i64::MIN` keeps all.
    pub oldest_ns: i64,
    /// Rows that a filter accepts are left out before this time instead, nanoseconds; the first that fits counts.
    pub rules: Vec<(Arc<Filter>, i64)>,
    /// The outputs: at least one, ascending in time. Each takes the rows before its end that the one before does
    /// not take; the last takes the rest.
    pub slices: Vec<MergeSlice>,
}

/// Merges segments of one tenant and signal. The outputs are durable when this returns; those without a row are
/// not made. On an error nothing is left behind. The inputs stay as they are.
pub fn merge_rows(disk: &dyn Disk, inputs: &[RowMergeInput], plan: &RowMerge) -> Result<Vec<SegmentMeta>> {
    let (Some(first), false) = (inputs.first(), plan.slices.is_empty()) else {
        return Err(StoreError::Refused("a merge needs an input and a slice".into()));
    };
    let first = first.segment.meta();
    let metas = || inputs.iter().map(|input| input.segment.meta());
    if metas().any(|meta| (&meta.tenant, meta.signal) != (&first.tenant, first.signal)) {
        return Err(StoreError::Refused("segments of different tenants or signals cannot be merged".into()));
    }
    let mut keys: Vec<KeyInfo> = Vec::new();
    let mut queue: Vec<Slice> = Vec::new();
    for input in inputs {
        keys.extend(input.segment.column_keys()?);
        queue.extend(input.segment.slices(i64::MIN, i64::MAX, &input.hidden)?);
    }
    queue.sort_by_key(Slice::time_ns);
    let specs = plan.slices.iter().map(|slice| SegmentSpec {
        id: slice.id,
        tenant: first.tenant.clone(),
        signal: first.signal,
        day: slice.day,
        level: plan.level,
        min_seq: metas().map(|meta| meta.min_seq).min().unwrap_or(0),
        max_seq: metas().map(|meta| meta.max_seq).max().unwrap_or(0),
        created_ms: plan.created_ms,
        tombstones_applied: plan.tombstones_applied,
    });
    let layout = Layout::new(first.signal, keys);
    let mut outputs = Outputs {
        ends_ns: plan.slices.iter().map(|slice| slice.end_ms.saturating_mul(1_000_000)).collect(),
        writers: specs.map(|spec| RowWriter::new(disk, spec, layout.clone())).collect(),
        pool: Pool::new(first.signal),
    };
    let mut queue = VecDeque::from(queue);
    while let Some(slice) = queue.pop_front() {
        let rows = kept(&slice, plan)?;
        if !is_empty(&rows) {
            outputs.pool.add(slice.chunk(&rows)?);
        }
        outputs.write_ready(queue.front().map_or(i64::MAX, |next| next.time_ns().0), queue.is_empty())?;
    }
    finish(disk, outputs.writers)
}

/// The rows of a slice that stay.
fn kept(slice: &Slice, plan: &RowMerge) -> Result<BooleanBuffer> {
    let cost = &mut Cost::default();
    let all = Filter::new(slice.signal(), &Predicate::TRUE, i64::MIN, i64::MAX);
    let all = all.map_err(|e| StoreError::Refused(e.to_string()))?;
    let rows = slice.select(&all, cost)?;
    let newest = plan.rules.iter().map(|(_, oldest_ns)| *oldest_ns).fold(plan.oldest_ns, i64::max);
    if slice.time_ns().0 >= newest {
        return Ok(rows);
    }
    let columns = [Column::Field(Field::Fixed(0))];
    let times = slice.read(&columns, &BooleanBuffer::new_set(slice.rows()), cost)?;
    let times = times.first().and_then(|times| times.as_primitive_opt::<Int64Type>());
    let times = times.map_or(&[][..], |times| times.values());
    let since = |oldest_ns: i64| BooleanBuffer::collect_bool(times.len(), |row| times[row] >= oldest_ns);
    let mut kept = BooleanBuffer::new_unset(rows.len());
    let mut rest = rows;
    for (filter, oldest_ns) in &plan.rules {
        let hits = &rest & &slice.select(filter, cost)?;
        kept = &kept | &(&hits & &since(*oldest_ns));
        rest = and_not(&rest, &hits);
    }
    Ok(&kept | &(&rest & &since(plan.oldest_ns)))
}

/// Rows that wait for others of their time.
struct Pool {
    /// Chunks by number; those of which no row waits are replaced by an empty one.
    chunks: Vec<Arc<Chunk>>,
    /// Rows of each that wait, and bytes that it takes.
    waiting: Vec<(usize, usize)>,
    /// The rows, by time.
    rows: Vec<RowRef>,
    bytes: usize,
    empty: Arc<Chunk>,
}

impl Pool {
    fn new(signal: Signal) -> Self {
        let empty = Arc::new(Chunk::concat(signal, &[]));
        Self { chunks: Vec::new(), waiting: Vec::new(), rows: Vec::new(), bytes: 0, empty }
    }

    fn add(&mut self, chunk: Chunk) {
        let at = self.chunks.len() as u32;
        let times = times_of(&chunk).iter().enumerate();
        self.rows.extend(times.map(|(row, t_ns)| RowRef { t_ns: *t_ns, chunk: at, row: row as u32 }));
        // Finds that most of it is sorted already.
        self.rows.sort();
        let bytes = chunk.bytes();
        self.bytes += bytes;
        self.waiting.push((chunk.rows, bytes));
        self.chunks.push(Arc::new(chunk));
    }

    /// Forgets the first rows.
    fn drop_first(&mut self, count: usize) {
        for row in self.rows.drain(..count) {
            let (rows, bytes) = &mut self.waiting[row.chunk as usize];
            *rows -= 1;
            if *rows == 0 {
                self.bytes -= *bytes;
                self.chunks[row.chunk as usize] = Arc::clone(&self.empty);
            }
        }
    }
}

struct Outputs<'a> {
    /// Where each ends, nanoseconds.
    ends_ns: Vec<i64>,
    writers: Vec<RowWriter<'a>>,
    pool: Pool,
}

impl Outputs<'_> {
    /// Writes what can be written: rows before `frontier_ns` are all there.
    fn write_ready(&mut self, frontier_ns: i64, is_last: bool) -> Result<()> {
        while let Some(first) = self.pool.rows.first() {
            let last = self.ends_ns.len() - 1;
            let output = self.ends_ns.iter().position(|end_ns| first.t_ns < *end_ns).unwrap_or(last);
            let end_ns = if output == last { i64::MAX } else { self.ends_ns[output] };
            let rows = &self.pool.rows;
            let of_output =
                if output == last { rows.len() } else { rows.partition_point(|r| r.t_ns < end_ns) };
            let ready = if is_last || self.pool.bytes > POOL_BYTES_MAX {
                of_output
            } else {
                of_output.min(rows.partition_point(|row| row.t_ns < frontier_ns))
            };
            let full = slice_rows(rows.len(), self.pool.bytes);
            let is_complete = is_last || (frontier_ns >= end_ns && output != last);
            let take = ready.min(full);
            if take == 0 || (take < full && !is_complete && self.pool.bytes <= POOL_BYTES_MAX) {
                return Ok(());
            }
            self.writers[output].push(&self.pool.chunks, &rows[..take])?;
            self.pool.drop_first(take);
        }
        Ok(())
    }
}

fn finish(disk: &dyn Disk, writers: Vec<RowWriter<'_>>) -> Result<Vec<SegmentMeta>> {
    let mut outputs: Vec<SegmentMeta> = Vec::new();
    for writer in writers {
        match writer.finish() {
            Ok(output) => outputs.extend(output),
            Err(error) => {
                for output in outputs {
                    let paths = layout::paths(&output.tenant, output.signal, output.day, output.id);
                    // What cannot be removed is not in the manifest, and goes at the next start.
                    let _ = durable::remove_files(disk, paths.iter().map(String::as_str));
                }
                return Err(error);
            }
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::memory::MemoryDisk;
    use crate::rows::segment::tests::{found, many, open, spec, wanted, written};
    use crate::rows::tests::oracle;
    use crate::rows::tests::strategies;
    use crate::segment::SegmentId;

    fn plan(slices: &[(u64, i64)]) -> RowMerge {
        let slice = |&(id, end_ms): &(u64, i64)| MergeSlice { id: SegmentId(id), day: 20_000, end_ms };
        RowMerge {
            level: 1,
            created_ms: 7,
            tombstones_applied: 3,
            oldest_ns: i64::MIN,
            rules: Vec::new(),
            slices: slices.iter().map(slice).collect(),
        }
    }

    fn filter(predicate: &Predicate, range: (i64, i64)) -> Arc<Filter> {
        Arc::new(Filter::new(Signal::Logs, predicate, range.0, range.1).expect("valid"))
    }

    const ALL: (i64, i64) = (i64::MIN, i64::MAX);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn every_row_that_stays_is_in_one_output(
            parts in prop::collection::vec(strategies::rows(1..25), 1..5),
            ends in prop::collection::vec(0i64..1000, 0..3),
            deleted in (strategies::predicate(), strategies::range()),
            rule in (strategies::predicate(), 0i64..1000),
            oldest_ns in 0i64..1000,
        ) {
            let disk = MemoryDisk::new();
            // Milliseconds, so that outputs can end between them.
            let scaled = |t: i64| if t == i64::MIN || t == i64::MAX { t } else { t * 1_000_000 };
            let mut parts = parts;
            parts.iter_mut().flatten().for_each(|row| row.t_ns = scaled(row.t_ns));
            let deleted = (deleted.0, (scaled(deleted.1.0), scaled(deleted.1.1)));
            let mut ends = ends;
            ends.sort_unstable();
            let slices: Vec<(u64, i64)> =
                ends.iter().copied().chain([i64::MAX]).enumerate().map(|(i, end)| (100 + i as u64, end)).collect();
            let hidden: Arc<[_]> = Arc::from([filter(&deleted.0, deleted.1)]);
            let inputs: Vec<RowMergeInput> = parts.iter().enumerate().map(|(i, rows)| RowMergeInput {
                segment: written(&disk, &spec(1 + i as u64, 0), rows, 10),
                // The first is deleted from only.
                hidden: if i == 0 { hidden.clone() } else { Arc::default() },
            }).collect();
            let plan = RowMerge {
                oldest_ns: scaled(oldest_ns),
                rules: vec![(filter(&rule.0, ALL), scaled(rule.1))],
                ..plan(&slices)
            };
            let stays = |(i, row): &(usize, oracle::Row)| {
                let is_deleted =
                    *i == 0 && oracle::accepts(&deleted.0, row) && oracle::is_inside(deleted.1, row);
                let oldest = if oracle::accepts(&rule.0, row) { rule.1 } else { oldest_ns };
                !is_deleted && row.t_ns >= scaled(oldest)
            };
            let all = parts.iter().enumerate().flat_map(|(i, rows)| rows.iter().map(move |row| (i, row.clone())));
            let want: Vec<oracle::Row> = all.filter(stays).map(|(_, row)| row).collect();
            let metas = merge_rows(&disk, &inputs, &plan).expect("merged");
            disk.crash(0);
            let mut rows = Vec::new();
            for meta in &metas {
                prop_assert_eq!((meta.level, meta.tombstones_applied, meta.min_seq), (1, 3, 10));
                let at = (meta.id.0 - 100) as usize;
                prop_assert!(meta.max_t_ms < slices[at].1 && (at == 0 || slices[at - 1].1 <= meta.min_t_ms));
                let own = found(&open(&disk, meta.clone()), &Predicate::TRUE, ALL, &mut Cost::default());
                prop_assert_eq!(own.len() as u64, meta.samples);
                rows.extend(own);
            }
            rows.sort();
            prop_assert_eq!(rows, wanted(&want, &Predicate::TRUE, ALL));
        }
    }

    #[test]
    fn slices_of_an_output_do_not_overlap_in_time() {
        let rows = many(150_000, 5);
        let disk = MemoryDisk::new();
        let inputs: Vec<RowMergeInput> = (0..2)
            .map(|part| {
                let own: Vec<_> = rows.iter().skip(part).step_by(2).cloned().collect();
                let segment = written(&disk, &spec(1 + part as u64, 0), &own, 20_000);
                RowMergeInput { segment, hidden: Arc::default() }
            })
            .collect();
        let metas = merge_rows(&disk, &inputs, &plan(&[(9, 100), (10, i64::MAX)])).expect("merged");
        let mut times = BTreeMap::new();
        for meta in &metas {
            for slice in open(&disk, meta.clone()).slices(ALL.0, ALL.1, &Arc::default()).expect("slices") {
                times.insert(slice.time_ns(), slice.rows());
            }
        }
        // Up to the end of the first output there are 100,000 rows.
        assert_eq!(times.values().copied().collect::<Vec<_>>(), [65_536, 34_464, 50_000]);
        assert!(times.keys().zip(times.keys().skip(1)).all(|(a, b)| a.1 < b.0), "{times:?}");
    }
}
