//! Health checks: what one is, how it is carried out, when, and what its results mean.
//!
//! A [`CheckSpec`] is what people write; [`Check::new`] judges it. A [`Prober`] carries a check out and gives a
//! [`CheckResult`]. [`Schedule`] says what is due and [`Runner`] runs it, [`Tracker`] reads a check's stream of
//! results as states with transitions, and [`aggregate`], [`uptime`] and [`dependencies`] are arithmetic on
//! results. Nothing here stores, and every connection leads where the caller's [`Reach`] says it may.

pub mod aggregate; // many states to one
pub mod dependencies; // order, cycles, suppression
pub mod uptime; // shares of time, and outages

mod probes; // one file for each type
mod reach; // where connections may lead, and what the caller knows
mod result; // what came out
mod run; // attempts, timeouts, retries
mod runner; // many checks at once
mod schedule; // what is due when
mod spec; // what people write
mod state; // what a stream of results means
mod tables; // what is kept between runs of the program
mod tls; // handshakes that remember the certificate
mod trace; // one attempt while it lasts
mod x509; // what a certificate says

pub use reach::{Exit, Facts, Reach, Refused, Report, Verdict};
pub use result::{Certificate, CheckResult, CheckStatus, Details, Timings};
pub use run::Prober;
pub use runner::{Carry, Runner, RunnerStats};
pub use schedule::{CheckKey, Schedule};
pub use spec::*;
pub use state::{Change, Policy, State, Tracker, Transition, expiry_stage};
pub use tables::{KeptCheck, TENANT, Tables};
