//! PromQL as Prometheus 3 defines it: syntax, and an evaluator over a [`SeriesSource`].
//!
//! What upstream calls experimental is on by default. Nothing here does I/O or knows how samples are
//! stored: an engine asks the source for series, and computes.

pub mod histogram; // arithmetic on native histograms
pub mod source; // where series come from
pub mod syntax; // text to tree and back
