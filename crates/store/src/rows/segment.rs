//! Rows on disk: a Parquet file with a row group a slice, and the filters of its blocks beside it.
//!
//! A slice has at most 65,536 rows of one stretch of time. Inside it logs and events are sorted by service and
//! time, spans by trace and start; data pages of all columns end at the same 4,096 rows, which are a block.

mod gather; // rows of chunks to a slice
mod group; // blocks of columns
mod layout; // which columns a file has
mod merge; // several segments to fewer
mod pages; // where they are, and their checksums
mod ranges; // what numbers rule out
mod reader; // what a segment holds
mod sidecar; // filters, and what the slices hold
#[cfg(test)]
mod tests;
mod tokens; // what a slice's filters hold
mod writer; // slices to files

pub(crate) use group::Group;
pub use merge::{RowMerge, RowMergeInput, merge_rows};
pub use reader::RowSegment;
pub(crate) use reader::RowTable;
pub use writer::write_rows;
