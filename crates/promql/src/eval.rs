//! The evaluator.
//!
//! An expression yields series over a grid of instants, by column. Leaves read one series after another,
//! slide their windows over its decoded samples, and keep only the column; the rest of the tree works on
//! columns. Results are upstream's to the last bit wherever upstream's are determined.

mod annotations;
mod context; // limits, deadline, cost
mod engine; // the way in
mod error; // why it does not
mod value; // what a query answers // warnings and infos

mod durations; // duration expressions
mod functions;
mod plan; // a query made ready
mod prepare;
mod stats_only; // histograms without buckets // syntax tree to plan // names to functions

mod bits;
mod column; // series over a grid
mod evaluate; // the walk over the plan // sets of steps

mod extended; // anchored and smoothed
mod extended_series;
mod range; // functions over ranges
mod range_histograms; // the rise of a histogram
mod select; // instant selectors
mod window; // sliding windows // their samples as a result

mod classic; // classic buckets
mod histograms; // quantiles and fractions of histograms
mod info; // info
mod instant; // functions over vectors
mod relabel; // label_replace, label_join
mod sort; // orders

mod aggregate; // sum, topk and their like
mod binary; // operators on elements
mod matching; // vectors with vectors

mod dates; // calendar fields
mod format; // numbers in messages
mod kahan; // exact sums
mod native; // histogram arithmetic with notes
mod quantile; // quantiles of numbers
mod xxh64; // upstream's hash of labels

pub use annotations::ANNOTATIONS_MAX;
pub use context::QueryContext;
pub use engine::{Engine, EngineOptions};
pub use error::QueryError;
pub use value::{MatrixSeries, QueryResult, QueryStats, SampleValue, Value, VectorSample};
