//! Rules of our own: what is asked, when an answer is a breach, and what becomes of it.
//!
//! ```text
//! RuleSpec --compile--> Compiled { questions, test }
//!                            |                 \
//!              Ask (at the rim) answers         judge(test, answers) -> Found per label set -> state::RuleState
//! ```
//!
//! Everything is asked in one of three languages (PromQL, search, SQL). Health checks are asked through their series
//! (`probe_success`), other rules through theirs (`ALERTS`), so that there is one mechanism for all of them.

mod anomaly; // what is unusual
mod compile; // from what people write to questions and a test
mod condition; // what people write
mod judge; // from answers to findings
mod operator; // comparisons
mod promql; // texts of PromQL
mod question; // what is asked
mod slo; // error budgets that burn
mod spec; // the whole of a rule

pub use anomaly::{Direction, History};
pub use compile::{Asked, Compiled, Invalid};
pub use condition::{Aggregate, Compare, CompareAs, Condition, Language, Season, Step};
pub use judge::{Answer, Answers, Found, Grade, Point, Test, has_data, judge};
pub use operator::Operator;
pub use question::{Question, Search};
pub use spec::{ChannelRef, Escalate, InlineChannel, NoData, RuleSpec, RuleType};
