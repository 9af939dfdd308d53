//! Who is called next while nobody takes care of something.

mod machine; // where an escalation stands
mod spec; // what people write
mod store; // running ones, kept over a restart

pub use machine::{Call, Escalation, Standing, Step};
pub use spec::{EscalationSpec, LevelSpec, RepeatSpec, Target};
pub(crate) use store::wake;
pub use store::{RunningEscalation, Subject};

#[cfg(test)]
mod tests;
