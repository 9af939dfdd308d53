//! A schedule as the API, the page and files hold it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::routing::TimeIntervalSpec;

/// A schedule, without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whose clocks count, such as `Europe/Berlin`; UTC without one.
    #[serde(default = "utc", alias = "timeZone")]
    pub time_zone: String,
    /// Rotations; where several have somebody on duty, the last one counts.
    pub layers: Vec<LayerSpec>,
    /// Exceptions, which count more than every layer; where several hold, the last one does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideSpec>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// People who take turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// What it is called on the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail addresses of members, in the order of their turns.
    pub people: Vec<String>,
    /// When the first of them begins: a day `2030-01-07`, a local time `2030-01-07T09:00` or a moment with an
    /// offset `2030-01-07T09:00:00Z`.
    pub start: String,
    /// When the layer ends, written likewise; never without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How long a turn is.
    pub rotation: RotationSpec,
    /// When turns change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<HandoverSpec>,
    /// Only within any of these; always without them. An interval without a location is in the schedule's zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restrictions: Vec<TimeIntervalSpec>,
}

/// How long a turn is. Turns are counted on the clock on the wall: a day on which clocks are set has a longer or a
/// shorter one, and the time of handover stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RotationSpec {
    /// A day.
    Daily,
    /// A week.
    Weekly,
    /// Some days: `{days: 3}`.
    Days(u32),
    /// Some hours: `{hours: 12}`.
    Hours(u32),
}

/// When turns change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandoverSpec {
    /// Local time of day, `HH:MM`; that of the start without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// A day such as `monday`, for turns of whole weeks; that of the start without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<String>,
}

/// Somebody else for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideSpec {
    /// The e-mail address of a member.
    pub person: String,
    /// From when, written like the start of a layer.
    pub from: String,
    /// Until when.
    pub until: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
