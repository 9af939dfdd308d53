//! The response side: from a rule that finds something wrong to the people who mend it.
//!
//! Everything that decides is pure and takes the time as an argument; what asks, sends and stores is at the rim.

pub mod engine; // the alerting of one tenant
pub mod escalation; // who is called next
pub mod fault; // what is wrong with what people wrote
pub mod incident; // what people mend together
pub mod notify; // ways to reach people
pub mod number; // numbers that may not be finite
pub mod oncall; // who is on duty
pub mod postmortem; // what was learnt
pub mod prom; // Prometheus rule files
pub mod routing; // which alerts reach whom, and when
pub mod rule; // rules of our own
pub mod runbook; // what to do, and doing it
pub mod schema; // tables
pub mod severity; // how bad it is
pub mod span; // lengths of time
pub mod state; // what becomes of what a rule finds
pub mod status; // what the public sees
pub mod tables; // rows of what happened
pub mod template; // Go's text templates
pub mod yaml; // values with their places

/// Names and values that tell alerts apart, in order of name.
pub type Labels = std::collections::BTreeMap<String, String>;
