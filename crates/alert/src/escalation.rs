//! Who is called next while nobody takes care of something.

mod machine; // where an escalation stands
mod spec; // what people write
mod store; // running ones, kept over a restart

pub use machine::{Call, Escalation, Standing, Step};
pub use spec::{EscalationSpec, LevelSpec, RepeatSpec, Target};
pub use store::RunningEscalation;
pub(crate) use store::wake;

#[cfg(test)]
mod tests;
