//! TraceQL, the language of Grafana's Tempo: parsed, compiled to a predicate that finds candidates, and
//! evaluated exactly on whole traces.
//!
//! The grammar and what operators mean follow Tempo's documentation and `pkg/traceql/expr.y`: `&&` and `||`
//! bind alike and to the left, regular expressions match whole texts, a comparison with what is not there is
//! false.

mod ast; // the parsed query
mod eval; // fields of spans, expressions over them
mod matching; // spans that come out, and their values
mod metrics; // spans as time series
mod parse; // tokens to queries
mod search; // traces that match
mod select; // predicates that find candidates
mod spanset; // pipelines on one trace
mod token; // text to tokens
mod value; // values and how they compare

pub use ast::{
    Aggregate, AttributeScope, FieldExpr, FieldRef, Function, Intrinsic, MetricsQuery, Query, Rank, Relation,
    RelationMode, Scalar, SpansetExpr, Stage,
};
pub use matching::{each_span, values};
pub use metrics::{Grid, Series, metrics};
pub use parse::{ParseError, parse};
pub use search::{FoundSpan, FoundSpanset, FoundTrace, SearchSpec, search};
pub use spanset::{Spanset, evaluate};
pub use value::{CompareOp, MathOp, Value};

#[cfg(test)]
pub(crate) mod tests; // what Grafana sends, and an oracle
