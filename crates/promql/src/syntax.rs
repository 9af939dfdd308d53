//! Text to tree and back.

pub mod ast; // the tree
pub mod functions; // what can be called

mod error; // what is wrong, and where
mod json; // tree to JSON
mod kinds; // names and types of nodes
mod lexer; // text to tokens
mod literal; // values of numbers, durations, texts
mod number; // numbers to text
mod parser; // tokens to tree
mod printer; // tree to text
mod token; // tokens
mod typecheck; // whether the parts fit
mod walk; // selectors of a tree

pub use error::ParseError;
pub(crate) use lexer::unquote_checked;
pub(crate) use literal::parse_number;
pub use literal::{format_duration, holds_raw_bytes, parse_duration};
pub use number::{format_compact, format_plain};
pub(crate) use parser::parse_series_labels;
pub use parser::{DEPTH_MAX, QUERY_BYTES_MAX, parse, parse_selector};
pub(crate) use token::quote;
