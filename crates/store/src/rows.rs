//! Rows: log records, spans and events, from a decoded write to the columns that hold them.

mod append; // decoded rows to the queue
mod bloom; // filters of blocks
mod build; // decoded rows to columns
mod chunk; // rows by column
mod eval; // tests of whole arrays
mod filter; // a predicate made ready
mod head; // rows of one epoch
mod json; // the overflow column
mod keys; // which attributes there are
mod object; // attributes as JSON
mod overflow; // attributes beyond the columns
pub(crate) mod payload; // rows in the log
pub(crate) mod predicate; // a predicate as bytes
mod probe; // what filters of blocks are asked
mod read; // values of selected rows
mod retention; // how long rows are kept
mod sampler; // which spans are kept
pub mod segment; // rows on disk
mod select; // a filter on a slice
mod shard; // one tenant's rows of one signal
mod slice; // rows that can be asked
mod snapshot; // what a query sees
mod test; // one test of a value
#[cfg(test)]
mod tests;
mod tokens; // what filters of blocks hold
mod tombstone; // deleted rows
mod value; // one value of a row

pub(crate) use append::{CHUNKS, RowRules, stage};
pub use chunk::{ATTR_COLUMNS_MAX, AttrColumn, CHUNK_ROWS_MAX, Chunk, Scope, ValueKind};
pub use filter::{Filter, InvalidPredicate};
pub(crate) use head::RowHead;
pub use retention::RowRetention;
pub use sampler::HeadSampler;
pub use segment::{RowMerge, RowMergeInput, RowSegment, merge_rows, write_rows};
pub(crate) use shard::{Room, RowShard};
pub use slice::{Column, Cost, KeyInfo, Slice, SliceId};
pub use snapshot::RowSnapshot;
pub use tombstone::RowTombstone;
