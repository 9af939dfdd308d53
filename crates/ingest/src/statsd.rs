//! StatsD and DogStatsD over UDP: lines to operations ([`parse`]), and operations to samples
//! ([`StatsdState`]).
//!
//! Names become Prometheus names (dots, dashes and other characters become `_`), tags become labels, and
//! timers in milliseconds become seconds. Nothing is acknowledged on this protocol, so nothing here survives
//! a restart; counters begin anew with a start timestamp that says so.

mod line; // one line to operations
mod state; // operations to samples

#[cfg(test)]
mod tests;

pub use line::{Op, OpKind, parse};
pub use state::{StatsdSettings, StatsdState, Timers};
