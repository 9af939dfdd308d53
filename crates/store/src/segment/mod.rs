//! Immutable pairs of files: a table of series, and the chunks with their samples.
//!
//! A segment is written once by [`write_segment`] or [`merge_segments`] and is durable when they return.
//! Everything read from it is checked: a damaged byte is an error that names the file and the place.

mod chunk; // samples as bytes
mod chunk_list; // what a row says of its chunks
mod columns; // joining columns of samples
mod layout; // names of the files, ends of the files
mod merge; // several segments to denser ones
mod meta; // what the manifest knows of a segment
mod reader; // rows by matcher, samples by row
mod slices; // where chunks begin and end
mod table; // the series table
#[cfg(test)]
mod tests;
mod wire; // bytes of our own formats
mod writer; // series to files

pub use chunk_list::{ChunkKind, ChunkStats};
pub use columns::{merge_columns, retain_times};
pub(crate) use layout::paths;
pub use merge::{MergePlan, MergeSlice, merge_segments};
pub use meta::{SegmentId, SegmentMeta, SegmentSpec, StoredMetadata};
pub use reader::{ChunkInfo, RowReader, Segment, label_hash};
pub use table::TableCache;
pub use writer::{SeriesInput, write_segment};
