//! Arithmetic on native histograms, as upstream defines it.
//!
//! Everything works on [`model::FloatHistogram`]; results need not be compact. Histograms are taken as
//! [`model::FloatHistogram::validate`] leaves them; broken ones give wrong numbers but never a panic.

mod buckets; // bounds and counts
mod combine; // sums, differences, products
mod hints; // what a storage knows of resets
mod kahan; // sums of many, with compensation
mod layout; // spans
mod quantile; // what the buckets say about the observations
mod reset; // counter resets
mod text; // printed forms
mod trim; // observations on one side of a bound

pub use buckets::{Bucket, buckets, negative_buckets, positive_buckets, upper_bound};
pub use combine::{Combined, IncompatibleSchemas, add, div, has_overflow, mul, reduce_resolution, sub};
pub use hints::set_hint;
pub use kahan::KahanHistogram;
pub use layout::compact;
pub use quantile::{average, fraction, quantile, variance};
pub use reset::detect_reset;
pub use text::{test_expression, to_text};
pub use trim::{trim_lower, trim_upper};

#[cfg(test)]
mod tests;
