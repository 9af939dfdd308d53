//! The search syntax of logs, spans and events: what people already type.
//!
//! `level:error service:api "timed out" status:>=500 -path:/health`
//!
//! - Terms side by side must all hold; `AND`, `OR`, `NOT` in capitals, `|` and `&&`, a leading `-` or `!`, and
//!   parentheses work as expected. `*` alone is every row.
//! - A word or a `"quoted phrase"` is looked for as whole words in the message of a log, the name of a span or
//!   event, whatever its case. `time*` and `"timed ou"*` find words that go on; other stars stand for any
//!   characters that are not blanks.
//! - `field:value` is equality, `field:val*` a beginning, `field:*x*` something inside, `field:*` that the
//!   field is there, `field:/regex/` and `field:~"regex"` a regular expression, `field:>=500` an order,
//!   `field:[1 TO 5]` a range (`{1 TO 5}` without its ends, `*` for an open end), `field:(a OR b)` several.
//!   `message:` of logs finds phrases like a bare word does; `field:=value` is always the whole value.
//! - Unquoted numbers are compared as numbers, quoted values as texts. `duration` takes `300ms` or `1.5s`,
//!   `level` its names, `timestamp` RFC 3339 or an epoch, identifiers are hexadecimal.
//! - `attributes.key:` is the record's attribute alone, `resource.key:` the resource's; `"any key":` is the
//!   key exactly as written, also where a name of ours is the same.
//! - `\` before a character takes its meaning away. Inside quotes `\"`, `\\`, `\n`, `\r` and `\t` are known.

mod ast; // what a text says
mod compile; // what it asks of a row
mod names; // what a field's name stands for
mod parser; // from text
mod print; // to text
mod value; // numbers, durations, levels, times, identifiers

#[cfg(test)]
mod tests;

use std::fmt;

use model::{Predicate, Signal};

use ast::Expr;
pub(crate) use names::{Label, label};
pub use value::{LEVELS, duration_ns, level_of, time_ns};

/// Longest search that is read, bytes.
pub const BYTES_MAX: usize = 16 << 10;
/// How deep parentheses and negations may nest.
pub const DEPTH_MAX: usize = 64;

/// A search that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    expr: Expr,
    predicate: Predicate,
}

impl Search {
    /// Reads a search over the rows of a signal. An empty text is every row.
    ///
    /// # Errors
    /// What is not understood, where, and what to write instead.
    pub fn parse(text: &str, signal: Signal) -> Result<Self, SearchError> {
        let located = parser::parse(text)?;
        let predicate = compile::compile(&located, signal, text)?;
        Ok(Self { expr: located, predicate })
    }

    /// What it asks of a row.
    pub fn predicate(&self) -> &Predicate {
        &self.predicate
    }

    /// What it asks of a row.
    pub fn into_predicate(self) -> Predicate {
        self.predicate
    }
}

impl fmt::Display for Search {
    /// The canonical text, which reads back as the same search.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

/// The text of a term that compares a field with a value, quoted so that it stands for nothing else.
pub fn term(name: &str, value: &str) -> String {
    let name = ast::Name { scope: ast::Scope::Word, key: name.to_owned(), at: 0 };
    let value = ast::Value::Quoted { text: value.to_owned(), prefix: false };
    Expr::Field(name, ast::FieldTest::Is(value)).to_string()
}

/// The field that a name stands for in a search, and whether it is the level of logs.
pub(crate) fn field_of(name: &str, signal: Signal) -> (model::Field, bool) {
    let (scope, key) = parser::scoped(name);
    let target = names::resolve(&ast::Name { scope, key: key.to_owned(), at: 0 }, signal);
    (target.field, target.kind == names::Kind::Level)
}

/// A search that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("search, position {position}: {problem}, found {found}; {remedy}")]
pub struct SearchError {
    /// Byte at which the trouble begins.
    pub position: usize,
    /// What is wrong.
    pub problem: String,
    /// What stands there, cut short.
    pub found: String,
    /// What to write instead.
    pub remedy: String,
}

impl SearchError {
    fn new(text: &str, position: usize, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let rest = text.get(position..).unwrap_or("");
        let word: String = rest
            .chars()
            .enumerate()
            .take_while(|(i, c)| *i == 0 || !c.is_whitespace())
            .map(|(_, c)| c)
            .take(40)
            .collect();
        let found = if word.is_empty() { "the end".to_owned() } else { format!("{word:?}") };
        Self { position, problem: problem.into(), found, remedy: remedy.into() }
    }
}
