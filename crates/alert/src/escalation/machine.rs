//! Where an escalation stands: which call is next, and when.
//!
//! Waits count from the calls that were made, not from those that were due: after a stop of the server the next
//! level is called at once, and the one behind it still has its time. A state that was stored before its calls went
//! out makes the same calls with the same numbers when it is stepped again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::spec::{EscalationSpec, RepeatSpec, Target};
use crate::span::Span;

/// Calls of one step: levels without a wait are called together.
const CALLS_PER_STEP_MAX: usize = 32;

/// Channels that hear of the end.
const TOLD_MAX: usize = 1_000;

/// How the thing stands that people are called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nobody takes care of it.
    Open,
    /// Somebody does, since this time in milliseconds since the epoch.
    Acknowledged(i64),
    /// It is over.
    Resolved,
}

/// Somebody is to be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// One more with each call of this escalation: with the escalation's id, a key that tells doubles.
    pub number: u64,
    /// Which level, from 1.
    pub level: usize,
    /// How often the whole policy began before.
    pub round: u32,
    /// Who.
    pub targets: Vec<Target>,
}

/// What a step gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Who is to be called now.
    pub calls: Vec<Call>,
    /// The acknowledgement held too long: it is to be taken back.
    pub lapsed: bool,
    /// When to step again; `None` where only a change of standing leads on.
    pub next: Option<i64>,
}

/// Which call is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    round: u32,
    level: usize,
    /// How often the level was called before.
    again: u32,
}

/// A running escalation. It is stored after each step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// When it began.
    started_at: i64,
    /// The next call; `None` when all were made.
    place: Option<Place>,
    /// When the next call is due, while nobody takes care.
    due: i64,
    /// Calls made.
    calls: u64,
    /// The acknowledgement that stopped it, and what was left to wait then.
    stopped: Option<Stopped>,
    /// The last acknowledgement that held too long; it stops nothing any more.
    lapsed: Option<i64>,
    /// Whether it is over for good.
    ended: bool,
    /// Channels that were told, which hear of the end, too.
    #[serde(default)]
    told: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stopped {
    at: i64,
    left: i64,
}

impl Escalation {
    /// One that begins now.
    pub fn start(policy: &EscalationSpec, now: i64) -> Self {
        let wait = policy.levels.first().map_or(Span::default(), |level| level.after);
        Self {
            started_at: now,
            place: Some(Place { round: 0, level: 0, again: 0 }),
            due: now.saturating_add(wait.millis()),
            calls: 0,
            stopped: None,
            lapsed: None,
            ended: false,
            told: BTreeSet::new(),
        }
    }

    /// When it began.
    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// Ends it, since its policy is gone.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Which calls were made.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Channels that were told.
    pub fn told(&self) -> &BTreeSet<String> {
        &self.told
    }

    /// Writes down that a channel was told.
    pub fn tell(&mut self, channel: &str) {
        if self.told.len() < TOLD_MAX {
            self.told.insert(channel.to_owned());
        }
    }

    /// Goes on to `now`. The policy may have been changed in between: levels that are no more are not called.
    pub fn step(&mut self, policy: &EscalationSpec, now: i64, standing: Standing) -> Step {
        let mut step = Step::default();
        if self.ended {
            return step;
        }
        match standing {
            Standing::Resolved => {
                self.ended = true;
                return step;
            }
            Standing::Acknowledged(at) if self.lapsed != Some(at) => {
                let left = self.due.saturating_sub(at).max(0);
                let stopped = *self.stopped.get_or_insert(Stopped { at, left });
                // A second acknowledgement counts from its own time.
                self.stopped = Some(Stopped { at, ..stopped });
                let lapse = policy.ack_timeout.map(|span| at.saturating_add(span.millis()));
                if lapse.is_none_or(|lapse| now < lapse) {
                    step.next = lapse;
                    return step;
                }
                step.lapsed = true;
                self.lapsed = Some(at);
                self.go_on(policy, now, 0);
            }
            // It was said already that this one held too long.
            Standing::Acknowledged(_) => {}
            Standing::Open => {
                if let Some(stopped) = self.stopped {
                    self.go_on(policy, now, stopped.left);
                }
            }
        }
        self.call(policy, now, &mut step);
        step
    }

    /// Nobody takes care any more.
    fn go_on(&mut self, policy: &EscalationSpec, now: i64, left: i64) {
        self.stopped = None;
        self.due = now.saturating_add(left);
        if self.place.is_none() {
            // All were called before somebody answered, who now left it: the last round is done once more.
            let wait = policy.levels.first().map_or(Span::default(), |level| level.after);
            let round = policy.repeat.map_or(0, |repeat| repeat.times);
            self.place = Some(Place { round, level: 0, again: 0 });
            self.due = now.saturating_add(wait.millis());
        }
    }

    fn call(&mut self, policy: &EscalationSpec, now: i64, step: &mut Step) {
        while let Some(place) = self.place {
            if now < self.due || step.calls.len() >= CALLS_PER_STEP_MAX {
                step.next = Some(self.due);
                return;
            }
            if let Some(level) = policy.levels.get(place.level) {
                self.calls += 1;
                step.calls.push(Call {
                    number: self.calls,
                    level: place.level + 1,
                    round: place.round,
                    targets: level.targets.clone(),
                });
            }
            let next = following(policy, place);
            self.place = next.map(|(place, _)| place);
            self.due = now.saturating_add(next.map_or(0, |(_, wait)| wait));
        }
    }
}

/// The call after one, and how long after it in milliseconds.
fn following(policy: &EscalationSpec, place: Place) -> Option<(Place, i64)> {
    let again = |repeat: Option<RepeatSpec>, done: u32| repeat.filter(|repeat| done < repeat.times);
    if let Some(level) = policy.levels.get(place.level) {
        if let Some(repeat) = again(level.repeat, place.again) {
            return Some((Place { again: place.again + 1, ..place }, repeat.every.millis()));
        }
        if let Some(next) = policy.levels.get(place.level + 1) {
            return Some((Place { level: place.level + 1, again: 0, ..place }, next.after.millis()));
        }
    }
    let repeat = again(policy.repeat, place.round)?;
    Some((Place { round: place.round + 1, level: 0, again: 0 }, repeat.every.millis()))
}
