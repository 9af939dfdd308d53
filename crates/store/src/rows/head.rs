//! The rows of one epoch of a shard, in memory, in the order of their sequences.
//!
//! A list of chunks that readers take as a whole. Small ones are joined as they come, so that writes of single
//! rows do not make thousands of them: eight to one, again and again, by the committer while that is quick,
//! above that by [`RowHead::join`] beside it. A row is copied about five times on its way to a full chunk.

use std::ops::Range;
use std::sync::Arc;

use model::Signal;
use parking_lot::RwLock;

use super::chunk::{CHUNK_ROWS_MAX, Chunk};
use crate::heads::{Facts, Head};

/// Chunks that are joined at once.
const JOINED: usize = 8;

/// Chunks below these numbers of rows are joined by the committer.
const SMALL_ROWS: [usize; 3] = [8, 64, 512];

/// Chunks below this are joined beside it, eight to one; above it until they have half of what they may have.
const LARGE_ROWS: usize = 4096;

/// Chunks of more bytes are left alone: copying them would cost more than a look at one more.
const JOINED_BYTES_MAX: usize = 16 << 20;

/// A chunk and its bytes in memory.
#[derive(Clone)]
struct Part {
    chunk: Arc<Chunk>,
    bytes: usize,
}

impl Part {
    fn new(chunk: Arc<Chunk>) -> Self {
        Self { bytes: chunk.bytes(), chunk }
    }

    fn is_below(&self, rows: usize) -> bool {
        self.chunk.rows < rows && self.bytes < JOINED_BYTES_MAX
    }
}

#[derive(Default)]
struct Inner {
    parts: Vec<Part>,
    facts: Facts,
}

/// A head of rows.
pub(crate) struct RowHead {
    signal: Signal,
    inner: RwLock<Inner>,
}

impl Head for RowHead {
    fn facts(&self) -> Facts {
        self.inner.read().facts
    }
}

impl RowHead {
    pub(crate) fn new(signal: Signal) -> Self {
        Self { signal, inner: RwLock::default() }
    }

    /// Adds the rows of one record.
    pub(crate) fn apply(&self, chunks: Vec<Arc<Chunk>>, received_ms: i64, seq: u64) {
        let mut inner = self.inner.write();
        let Inner { parts, facts } = &mut *inner;
        facts.add_record(seq, received_ms);
        for part in chunks.into_iter().map(Part::new) {
            let Chunk { rows, min_t_ns, max_t_ns, .. } = *part.chunk;
            facts.samples += rows as u64;
            facts.bytes += part.bytes;
            facts.min_t_ms = facts.min_t_ms.min(min_t_ns.div_euclid(1_000_000));
            facts.max_t_ms = facts.max_t_ms.max(max_t_ns.div_euclid(1_000_000));
            parts.push(part);
        }
        for rows in SMALL_ROWS {
            let from = parts.iter().rposition(|part| !part.is_below(rows)).map_or(0, |last| last + 1);
            if parts.len() - from >= JOINED {
                let joined = self.joined(&parts[from..]);
                replace(parts, facts, from..parts.len(), joined);
            }
        }
    }

    /// All chunks, in the order of their sequences.
    pub(crate) fn chunks(&self) -> Vec<Arc<Chunk>> {
        self.inner.read().parts.iter().map(|part| Arc::clone(&part.chunk)).collect()
    }

    /// Joins chunks that are too large for the committer. Readers and writers go on meanwhile.
    pub(crate) fn join(&self) {
        loop {
            let parts = self.inner.read().parts.clone();
            let Some(range) = worth_joining(&parts) else { return };
            let joined = self.joined(&parts[range.clone()]);
            let mut inner = self.inner.write();
            let Inner { parts: now, facts } = &mut *inner;
            // The committer only ever joins what is at the end, which may have been a part of this.
            let is_same = |(a, b): (&Part, &Part)| Arc::ptr_eq(&a.chunk, &b.chunk);
            match now.get(range.clone()) {
                Some(still) if still.iter().zip(&parts[range.clone()]).all(is_same) => {
                    replace(now, facts, range, joined);
                }
                _ => return,
            }
        }
    }

    fn joined(&self, parts: &[Part]) -> Part {
        let chunks: Vec<&Chunk> = parts.iter().map(|part| &*part.chunk).collect();
        Part::new(Arc::new(Chunk::concat(self.signal, &chunks)))
    }
}

fn replace(parts: &mut Vec<Part>, facts: &mut Facts, range: Range<usize>, joined: Part) {
    let before: usize = parts[range.clone()].iter().map(|part| part.bytes).sum();
    facts.bytes = (facts.bytes + joined.bytes).saturating_sub(before);
    parts.splice(range, [joined]);
}

/// Neighbours of which [`RowHead::join`] makes one.
fn worth_joining(parts: &[Part]) -> Option<Range<usize>> {
    let fitting = |start: usize, rows_max: usize, count_max: usize| {
        let mut rows = 0;
        let fits = |part: &&Part| {
            rows += part.chunk.rows;
            part.is_below(rows_max) && rows <= CHUNK_ROWS_MAX
        };
        let count = parts[start..].iter().take(count_max).take_while(fits).count();
        start..start + count
    };
    let small = (0..parts.len()).map(|start| fitting(start, LARGE_ROWS, JOINED));
    let small = small.into_iter().find(|range| range.len() == JOINED);
    let enough = |range: &Range<usize>| {
        let rows: usize = parts[range.clone()].iter().map(|part| part.chunk.rows).sum();
        range.len() > 1 && rows >= CHUNK_ROWS_MAX / 2
    };
    small.or_else(|| {
        let large = (0..parts.len()).map(|start| fitting(start, CHUNK_ROWS_MAX / 2, usize::MAX));
        large.into_iter().find(enough)
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use model::{Records, Value};

    use super::*;

    fn chunk(times: Range<i64>) -> Arc<Chunk> {
        let mut records = Records::new(Signal::Events);
        for t_ns in times {
            let mut fields = [Value::Null; 8];
            fields[0] = Value::Int(t_ns);
            records.push_row(0, 0, 0, &fields);
        }
        Arc::new(Chunk::from_records(&records))
    }

    fn times(head: &RowHead) -> Vec<i64> {
        let chunks = head.chunks();
        let times =
            chunks.iter().flat_map(|chunk| chunk.fixed[0].as_primitive::<Int64Type>().values().to_vec());
        times.collect()
    }

    #[test]
    fn many_small_writes_make_few_chunks() {
        let head = RowHead::new(Signal::Events);
        for t_ns in 0..20_000 {
            head.apply(vec![chunk(t_ns..t_ns + 1)], 5, t_ns as u64 + 1);
            assert!(head.inner.read().parts.len() <= 7 * 3 + 20_000 / 512 + 1);
            if t_ns % 5000 == 0 {
                head.join();
            }
        }
        head.join();
        assert!(head.chunks().len() <= 7 * 4 + 2, "{}", head.chunks().len());
        assert_eq!(times(&head), (0..20_000).collect::<Vec<_>>());
        let facts = head.facts();
        assert_eq!((facts.samples, facts.min_seq, facts.max_seq), (20_000, 1, 20_000));
        assert_eq!(facts.bytes, head.chunks().iter().map(|chunk| chunk.bytes()).sum::<usize>());
    }

    #[test]
    fn joined_chunks_have_at_most_what_a_chunk_may_have() {
        let head = RowHead::new(Signal::Events);
        for i in 0..40 {
            head.apply(vec![chunk(i * 5000..(i + 1) * 5000)], 5, i as u64 + 1);
        }
        head.join();
        let rows: Vec<usize> = head.chunks().iter().map(|chunk| chunk.rows).collect();
        assert_eq!(rows, [65_000, 65_000, 65_000, 5000]);
        assert_eq!(times(&head), (0..200_000).collect::<Vec<_>>());
    }
}
