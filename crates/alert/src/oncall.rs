//! Who is on duty: schedules of layers and overrides in a place's own time, and their shifts as a calendar.
//!
//! Everything here is pure: times are arguments, milliseconds since the epoch.

mod ical; // calendars that others subscribe to
mod layer; // whose turn it is
mod schedule; // layers and overrides together
mod spec; // what people write

pub use ical::{Calendar, calendar};
pub use schedule::{Duty, Handover, SHIFTS_MAX, Schedule, Shift, Source};
pub use spec::{HandoverSpec, LayerSpec, OverrideSpec, RotationSpec, ScheduleSpec};

#[cfg(test)]
mod tests;
