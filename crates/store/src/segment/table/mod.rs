//! The series table: labels, time range and list of chunks of every series of a segment.

mod build; // rows to Parquet
mod cache; // decoded tables and timestamps under a byte budget
mod codes; // a label column as numbers
mod decode; // Parquet to columns
mod interner; // distinct texts
mod select; // matchers to rows

pub(crate) use build::{RowFacts, TableBuilder};
pub use cache::TableCache;

use codes::Codes;
use interner::Texts;
use model::Labels;

use super::chunk_list::{ChunkEntry, decode_list};
use super::layout::{Directory, Vector};
use super::meta::StoredMetadata;
use super::wire::{Damaged, Decoded};

/// A decoded series table. Rows are sorted by labels.
#[derive(Debug)]
pub(crate) struct Table {
    rows: u32,
    /// By name.
    columns: Vec<LabelColumn>,
    /// Labels without a column of their own, by row; most rows have none.
    rest: Vec<(u32, Labels)>,
    min_t_ms: Vec<i64>,
    max_t_ms: Vec<i64>,
    offsets: Vec<u64>,
    lists: Vec<u8>,
    list_ends: Vec<usize>,
    vectors: Vec<Vector>,
    metadata: Vec<StoredMetadata>,
    /// Where chunks end in the `.chunks` file.
    chunks_end: u64,
}

/// One label name.
#[derive(Debug)]
struct LabelColumn {
    name: String,
    /// Sorted; the value of code `n` is number `n - 1`, and code 0 is an absent label.
    values: Texts,
    codes: Codes,
    /// Codes never fall from row to row, so that the rows of a value are found by bisection.
    is_sorted: bool,
}

impl Table {
    /// Decodes a table; `chunks_end` and the directory come from the `.chunks` file.
    pub(crate) fn decode(parquet: Vec<u8>, directory: Directory, chunks_end: u64) -> Decoded<Self> {
        decode::decode(parquet, directory, chunks_end)
    }

    /// Series in it.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Where chunks end in the `.chunks` file.
    pub(crate) fn chunks_end(&self) -> u64 {
        self.chunks_end
    }

    pub(crate) fn metadata(&self) -> &[StoredMetadata] {
        &self.metadata
    }

    /// A vector of timestamps that an entry refers to.
    pub(crate) fn vector(&self, index: u32) -> Vector {
        self.vectors[index as usize]
    }

    /// The chunks of a row, into `entries`, which is cleared.
    pub(crate) fn chunks(&self, row: u32, entries: &mut Vec<ChunkEntry>) -> Decoded<()> {
        let row = row as usize;
        let list = self.list_ends.get(row).and_then(|_| self.lists.get(build::range(&self.list_ends, row)));
        decode_list(list.ok_or(Damaged("row number"))?, self.offsets[row], &self.vectors, entries)
    }

    /// The labels of a row; empty for a row that is not there.
    pub(crate) fn labels(&self, row: u32) -> Labels {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(16);
        for column in &self.columns {
            if let Some(value) = column.value(column.codes.get(row)) {
                pairs.push((&column.name, value));
            }
        }
        if let Some(rest) = self.rest_of(row) {
            pairs.extend(rest.iter());
        }
        Labels::from_pairs(pairs).expect("names of columns are distinct, and checked when decoded")
    }

    fn rest_of(&self, row: u32) -> Option<&Labels> {
        self.rest.binary_search_by_key(&row, |r| r.0).ok().map(|i| &self.rest[i].1)
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.columns.iter().map(|c| c.name.len() + c.values.bytes() + c.codes.bytes() + 96);
        let rest = self.rest.iter().map(|r| r.1.bytes() + 40);
        let metadata = self
            .metadata
            .iter()
            .map(|m| m.metadata.metric.len() + m.metadata.unit.len() + m.metadata.help.len() + 96);
        columns.sum::<usize>()
            + rest.sum::<usize>()
            + metadata.sum::<usize>()
            + 8 * (self.min_t_ms.len() + self.max_t_ms.len() + self.offsets.len() + self.list_ends.len())
            + self.lists.len()
            + size_of::<Vector>() * self.vectors.len()
            + size_of::<Self>()
    }
}

impl LabelColumn {
    fn value(&self, code: u32) -> Option<&str> {
        (code > 0).then(|| self.values.get(code as usize - 1))
    }
}
