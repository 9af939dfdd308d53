//! Rows: log records, spans and events, from a decoded write to the columns that hold them.

#[allow(dead_code, reason = "for the writer of segments, which follows")]
mod bloom; // filters of blocks
mod build; // decoded rows to columns
mod chunk; // rows by column
mod eval; // tests of whole arrays
mod filter; // a predicate made ready
mod json; // the overflow column
mod keys; // which attributes there are
mod object; // attributes as JSON
mod probe; // what filters of blocks are asked
mod read; // values of selected rows
mod select; // a filter on a slice
mod slice; // rows that can be asked
mod test; // one test of a value
#[cfg(test)]
mod tests;
#[allow(dead_code, reason = "for the writer of segments, which follows")]
mod tokens; // what filters of blocks hold
mod value; // one value of a row

pub use chunk::{ATTR_COLUMNS_MAX, AttrColumn, CHUNK_ROWS_MAX, Chunk, Scope, ValueKind};
pub use filter::{Filter, InvalidPredicate};
pub use slice::{Column, Cost, KeyInfo, Slice};
