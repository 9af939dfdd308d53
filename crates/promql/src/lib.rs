//! PromQL as Prometheus 3 defines it: syntax, and an evaluator over a [`SeriesSource`].
//!
//! What upstream calls experimental is on by default. Nothing here does I/O or knows how samples are
//! stored: an engine asks the source for series, and computes.

pub mod eval; // trees to values
pub mod histogram; // arithmetic on native histograms
pub mod source; // where series come from
pub mod syntax; // text to tree and back
pub mod testing; // the language of acceptance tests

pub use eval::{
    Engine, EngineOptions, MatrixSeries, QueryContext, QueryError, QueryResult, QueryStats, SampleValue,
    Value, VectorSample,
};
