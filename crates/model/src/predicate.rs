//! What a search, a delete, a retention rule or a tail asks of a row: a tree of tests.
//!
//! Every language (search, SQL filters, TraceQL selectors, Loki and Jaeger parameters) compiles to this, and
//! one evaluator in `store` answers it over heads and segments alike.
//!
//! A test of a field that a row does not have is false, and its negation is true. A language with other
//! rules (SQL's null) adds [`Test::Exists`].

use std::sync::Arc;

/// Which rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Rows that fulfil all of these; all rows where there are none.
    All(Vec<Predicate>),
    /// Rows that fulfil one of these; no row where there are none.
    Any(Vec<Predicate>),
    /// Rows that do not fulfil this.
    Not(Box<Predicate>),
    /// Rows whose field passes the test.
    Test(Field, Test),
}

impl Predicate {
    /// All rows.
    pub const TRUE: Self = Self::All(Vec::new());

    /// Rows that fulfil one of the two.
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Any(mut parts) => {
                parts.push(other);
                Self::Any(parts)
            }
            first => Self::Any(vec![first, other]),
        }
    }

    /// Rows that fulfil both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut a), Self::All(b)) => {
                a.extend(b);
                Self::All(a)
            }
            (Self::All(mut a), b) => {
                a.push(b);
                Self::All(a)
            }
            (a, Self::All(mut b)) => {
                b.insert(0, a);
                Self::All(b)
            }
            (a, b) => Self::All(vec![a, b]),
        }
    }
}

/// What is tested.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// A fixed column, by its position in [`crate::record::columns`].
    Fixed(u8),
    /// The row's attribute of this key; where it has none, its resource's.
    Key(Arc<str>),
    /// The row's attribute of this key.
    Record(Arc<str>),
    /// The resource's attribute of this key.
    Resource(Arc<str>),
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// There at all.
    Exists,
    /// In this order to a value. Numbers are compared as numbers, also those that are stored as text; where
    /// the value is a text, texts are compared byte by byte, and other kinds by the text that shows them.
    Compare(Order, Scalar),
    /// One of these, compared as `Compare(Equal, …)` does.
    OneOf(Vec<Scalar>),
    /// A text like this. Numbers and booleans are tested by the text that shows them.
    Text {
        /// In what way.
        how: TextMatch,
        /// The text or expression.
        text: Arc<str>,
        /// Whether upper and lower case are the same.
        ignore_case: bool,
    },
}

/// How a value stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The same.
    Equal,
    /// Less than it.
    Less,
    /// Less than it or the same.
    LessOrEqual,
    /// More than it.
    Greater,
    /// More than it or the same.
    GreaterOrEqual,
}

/// In what way a text is like another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// The same text.
    Equals,
    /// Has it inside, anywhere.
    Contains,
    /// Has it inside, and no letter, digit or `_` before or behind it continues one of its own.
    Phrase,
    /// Like [`Self::Phrase`], but its last word may go on.
    PhrasePrefix,
    /// Begins with it.
    StartsWith,
    /// Has a match of this regular expression (syntax of the `regex` crate) inside.
    Regex,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number, or nanoseconds.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(Arc<str>),
    /// An identifier.
    Bytes(Arc<[u8]>),
}
