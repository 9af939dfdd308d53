//! What was learnt of an incident: a Markdown document that begins with what is known and that people finish.

mod markdown; // texts of others in a document
mod store; // documents on record
mod write; // the first draft

pub use store::{DOCUMENT_BYTES_MAX, Postmortem};
pub use write::draft;

#[cfg(test)]
mod tests;
