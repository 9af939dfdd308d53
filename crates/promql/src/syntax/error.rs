//! What is wrong with a query text, and where.

use std::fmt;

use super::ast::Pos;

/// A query that does not parse or whose types do not fit. Displayed as upstream does:
/// `line:column: parse error: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The place in the text.
    pub pos: Pos,
    /// Line of the place, from 1.
    pub line: u32,
    /// Column of the place in bytes, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    /// An error at one byte of a text.
    pub(crate) fn at(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let byte = byte.min(text.len()) as u32;
        Self::new(text, Pos { start: byte, end: byte }, message)
    }

    /// An error at a place of a text.
    pub(crate) fn new(text: &str, pos: Pos, message: impl Into<String>) -> Self {
        let before = &text.as_bytes()[..(pos.start as usize).min(text.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
        Self { pos, line: line as u32, column: column as u32, message: message.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}
