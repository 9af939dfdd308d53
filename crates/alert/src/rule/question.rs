//! What is asked of the stored telemetry.

use crate::rule::condition::Aggregate;
use crate::span::Span;

/// A question whose answer is a value for each set of labels.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// A PromQL expression at the moment of evaluation.
    PromQl(String),
    /// A figure of the records that a search finds.
    Search(Search),
    /// A statement over the window before the moment of evaluation. Its column `value`, or its only number, is the
    /// value; its texts are labels.
    Sql {
        /// The statement.
        statement: String,
        /// Time range that its tables are read over.
        window: Span,
    },
}

/// A figure of the records that a search finds. Without groups there is always one value, 0 when nothing was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// As the search field takes it.
    pub query: String,
    /// `logs`, `traces`, `events` or `errors`.
    pub signal: String,
    /// How far back.
    pub window: Span,
    /// What is made of the field; records are counted for `Count`, and counted per second for `Rate`.
    pub aggregate: Aggregate,
    /// Which field, where records are not counted.
    pub field: Option<String>,
    /// One value for each combination of these.
    pub group_by: Vec<String>,
}

impl Question {
    /// The text that people wrote or that was made of it, for pages and messages.
    pub fn text(&self) -> &str {
        match self {
            Self::PromQl(text) | Self::Sql { statement: text, .. } => text,
            Self::Search(search) => &search.query,
        }
    }
}
