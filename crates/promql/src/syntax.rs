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

pub use error::ParseError;
pub use literal::{format_duration, parse_duration};
pub use number::{format_compact, format_plain};
pub use parser::{DEPTH_MAX, QUERY_BYTES_MAX, parse, parse_selector};
