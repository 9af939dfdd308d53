//! An escalation policy as the API, the page and files hold it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, check_count, check_line, check_person, check_text};
use crate::span::Span;

const LEVELS_MAX: usize = 20;
const TARGETS_MAX: usize = 50;
const TIMES_MAX: u32 = 100;
const NAME_BYTES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 4_096;

/// Shortest wait between two calls of the same level, in seconds: nobody answers sooner.
const EVERY_SECONDS_MIN: u64 = 10;
/// Longest wait, in seconds: a week.
const WAIT_SECONDS_MAX: u64 = 7 * 86_400;

/// An escalation policy, without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationSpec {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who is called, one level after the other.
    pub levels: Vec<LevelSpec>,
    /// Begins again with the first level when the last one did not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatSpec>,
    /// An acknowledgement holds that long; until the end without it.
    #[serde(default, alias = "ackTimeout", skip_serializing_if = "Option::is_none")]
    pub ack_timeout: Option<Span>,
}

/// Who is called together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    /// How long after the last call of the level before, or after the start; at once without it.
    #[serde(default)]
    pub after: Span,
    /// Who.
    pub targets: Vec<Target>,
    /// Calls the same level again before the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatSpec>,
}

/// How often something is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatSpec {
    /// How many times more.
    pub times: u32,
    /// How long after the call before.
    pub every: Span,
}

/// Somebody, or something that reaches people: `{schedule: primary}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Whoever is on duty by a schedule.
    Schedule(String),
    /// A member, by e-mail address.
    Person(String),
    /// A channel.
    Channel(String),
}

impl EscalationSpec {
    /// Checks what can be checked without knowing other objects.
    pub fn check(&self) -> Result<(), Fault> {
        check_text("description", self.description.as_deref().unwrap_or(""), TEXT_BYTES_MAX)?;
        check_count("levels", self.levels.len(), 1, LEVELS_MAX)?;
        for (n, level) in self.levels.iter().enumerate() {
            let at = format!("levels[{n}]");
            check_wait(&format!("{at}.after"), level.after, 0)?;
            check_repeat(&format!("{at}.repeat"), level.repeat)?;
            check_count(&format!("{at}.targets"), level.targets.len(), 1, TARGETS_MAX)?;
            for (n, target) in level.targets.iter().enumerate() {
                let at = format!("{at}.targets[{n}]");
                match target {
                    Target::Person(person) => check_person(&format!("{at}.person"), person)?,
                    Target::Schedule(name) => check_line(&format!("{at}.schedule"), name, NAME_BYTES_MAX)?,
                    Target::Channel(name) => check_line(&format!("{at}.channel"), name, NAME_BYTES_MAX)?,
                }
            }
        }
        check_repeat("repeat", self.repeat)?;
        self.ack_timeout.map_or(Ok(()), |span| check_wait("ack_timeout", span, EVERY_SECONDS_MIN))
    }
}

fn check_repeat(field: &str, repeat: Option<RepeatSpec>) -> Result<(), Fault> {
    let Some(repeat) = repeat else { return Ok(()) };
    if repeat.times > TIMES_MAX {
        return Err(Fault::new(format!("{field}.times"), format!("is more than {TIMES_MAX}")));
    }
    check_wait(&format!("{field}.every"), repeat.every, EVERY_SECONDS_MIN)
}

fn check_wait(field: &str, span: Span, least: u64) -> Result<(), Fault> {
    match span >= Span::seconds(least) && span <= Span::seconds(WAIT_SECONDS_MAX) {
        true => Ok(()),
        false => Err(Fault::new(field, format!("is not from {least}s to 7d"))),
    }
}
