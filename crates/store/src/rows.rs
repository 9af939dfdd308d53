//! Rows: log records, spans and events, from a decoded write to the columns that hold them.

mod build; // decoded rows to columns
mod chunk; // rows by column

pub use chunk::{ATTR_COLUMNS_MAX, AttrColumn, CHUNK_ROWS_MAX, Chunk, Scope, ValueKind};
