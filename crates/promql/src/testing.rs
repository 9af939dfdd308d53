//! The language in which PromQL's acceptance tests are written, and a runner for it.
//!
//! A script loads series, evaluates queries and says what they answer. The runner knows no engine: a
//! [`Target`] is anything that stores series and answers queries, in process or behind an API.

mod check; // answers against expectations
mod compare; // when two values are the same
mod load; // series of a load command
mod memory; // a series source in memory
mod nhcb; // classic histograms to custom buckets
mod run; // commands in order
mod script; // text to commands
mod series; // series descriptions
mod variants; // the same query at other times

pub use compare::{almost_equal, same_histogram};
pub use load::{Load, LoadedSeries};
pub use memory::MemorySource;
pub use run::{Failure, Report, Target, run};
pub use script::{Command, Eval, EvalTime, ScriptError, parse_script};
pub use series::{SequenceValue, SeriesDescription, parse_series_description};
