//! A schedule, checked: who is on duty at a time, and the shifts of a while.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::layer::{Layer, clamp, moment};
use super::spec::ScheduleSpec;
use crate::fault::{Fault, check_count, check_person, check_text, shown};
use crate::routing::next_change;

/// Shifts listed at once.
pub const SHIFTS_MAX: usize = 5_000;

/// Changes looked at for one list; short shifts of layers below others are looked at and not listed.
const CHANGES_MAX: usize = 50_000;
/// How far a list reaches, and how far ahead a handover is looked for: 400 days.
const REACH_MS: i64 = 400 * 86_400_000;
const LAYERS_MAX: usize = 32;
const OVERRIDES_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 4_096;

/// Where somebody's duty comes from: its place in the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A layer.
    Layer(usize),
    /// An override.
    Override(usize),
}

/// Somebody is on duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duty<'a> {
    /// Who.
    pub person: &'a str,
    /// Why.
    pub source: Source,
}

/// Somebody's duty from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// Who.
    pub person: String,
    /// Its beginning, milliseconds since the epoch.
    pub from: i64,
    /// Its end, not inside.
    pub until: i64,
    /// Why.
    pub source: Source,
}

/// Duty goes over to somebody else, from nobody or to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Handover {
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// Who has it until then.
    pub from: Option<String>,
    /// Who has it then.
    pub to: Option<String>,
}

/// A schedule, checked.
#[derive(Clone, Debug)]
pub struct Schedule {
    zone: TimeZone,
    layers: Vec<Layer>,
    overrides: Vec<Exception>,
    /// Beginnings and ends of overrides, in order.
    edges: Vec<i64>,
}

#[derive(Clone, Debug)]
struct Exception {
    person: String,
    from: i64,
    until: i64,
}

/// Whose turn it is, and since when.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held<'a> {
    person: &'a str,
    source: Source,
    turn: i64,
    since: i64,
}

impl Held<'_> {
    fn is_the_same_as(&self, other: &Self) -> bool {
        (self.source, self.turn) == (other.source, other.turn)
    }
}

impl Schedule {
    /// Checks a schedule.
    pub fn new(spec: &ScheduleSpec) -> Result<Self, Fault> {
        check_text("description", spec.description.as_deref().unwrap_or(""), TEXT_BYTES_MAX)?;
        let zone = match spec.time_zone.as_str() {
            "" | "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| {
                let message =
                    format!("{:?} is not a time zone; write one such as Europe/Berlin", shown(name));
                Fault::new("time_zone", message)
            })?,
        };
        check_count("layers", spec.layers.len(), 1, LAYERS_MAX)?;
        let layer = |(n, layer)| Layer::new(layer, &zone, &format!("layers[{n}]"));
        let layers = spec.layers.iter().enumerate().map(layer).collect::<Result<_, _>>()?;
        check_count("overrides", spec.overrides.len(), 0, OVERRIDES_MAX)?;
        let mut overrides = Vec::new();
        for (n, given) in spec.overrides.iter().enumerate() {
            let at = format!("overrides[{n}]");
            check_person(&format!("{at}.person"), &given.person)?;
            check_text(&format!("{at}.reason"), given.reason.as_deref().unwrap_or(""), TEXT_BYTES_MAX)?;
            let from = moment(&format!("{at}.from"), &given.from, &zone)?;
            let until = moment(&format!("{at}.until"), &given.until, &zone)?;
            if until <= from {
                return Err(Fault::new(format!("{at}.until"), "is not after `from`; write a later time"));
            }
            overrides.push(Exception { person: given.person.clone(), from, until });
        }
        let mut edges: Vec<i64> = overrides.iter().flat_map(|one| [one.from, one.until]).collect();
        edges.sort_unstable();
        edges.dedup();
        Ok(Self { zone, layers, overrides, edges })
    }

    /// Who is on duty at a time; `None` where nobody is.
    pub fn who(&self, at: i64) -> Option<Duty<'_>> {
        self.held(clamp(at)).map(|held| Duty { person: held.person, source: held.source })
    }

    /// The shifts of which a part lies in a while, in order, each from its beginning to its end, also where that lies
    /// outside. A turn that others interrupt is several shifts; two turns of the same person are two. At most
    /// [`SHIFTS_MAX`] and 400 days.
    pub fn shifts(&self, from: i64, until: i64) -> Vec<Shift> {
        let from = clamp(from);
        let until = clamp(until).min(from.saturating_add(REACH_MS));
        let mut walk = Walk::new(self, self.held(from).map_or(from, |held| held.since));
        let mut shifts: Vec<Shift> = Vec::new();
        let mut last: Option<Held<'_>> = None;
        for _ in 0..CHANGES_MAX {
            let held = self.held(walk.at);
            let goes_on = matches!((&held, &last), (Some(now), Some(then)) if now.is_the_same_as(then));
            if (walk.at >= until && !goes_on) || shifts.len() > SHIFTS_MAX {
                break;
            }
            let begin = walk.at;
            let Some(end) = walk.step() else { break };
            match (held, shifts.last_mut()) {
                (Some(_), Some(shift)) if goes_on => shift.until = end,
                (Some(held), _) => shifts.push(Shift {
                    person: held.person.to_owned(),
                    from: begin,
                    until: end,
                    source: held.source,
                }),
                (None, _) => {}
            }
            last = held;
        }
        shifts.retain(|shift| shift.until > from);
        shifts.truncate(SHIFTS_MAX);
        shifts
    }

    /// The next time after `at` at which somebody else is on duty; `None` where that does not happen within 400 days.
    pub fn next_handover(&self, at: i64) -> Option<Handover> {
        let at = clamp(at);
        let person = |at| self.held(at).map(|held| held.person);
        let from = person(at);
        let mut walk = Walk::new(self, at);
        for _ in 0..CHANGES_MAX {
            let at = walk.step().filter(|next| *next <= at.saturating_add(REACH_MS))?;
            let to = person(at);
            if to != from {
                return Some(Handover { at, from: from.map(str::to_owned), to: to.map(str::to_owned) });
            }
        }
        None
    }

    fn held(&self, at: i64) -> Option<Held<'_>> {
        let exception =
            self.overrides.iter().enumerate().rev().find(|(_, one)| (one.from..one.until).contains(&at));
        if let Some((n, one)) = exception {
            let source = Source::Override(n);
            return Some(Held { person: &one.person, source, turn: 0, since: one.from });
        }
        let (n, layer) = self.layers.iter().enumerate().rev().find(|(_, layer)| layer.holds(at))?;
        let turn = layer.turn(&self.zone, at);
        let person = layer.person(turn.number);
        Some(Held { person, source: Source::Layer(n), turn: turn.number, since: turn.from })
    }
}

/// From one change to the next.
struct Walk<'a> {
    schedule: &'a Schedule,
    at: i64,
    /// When each layer's turn ends, and when its restriction changes; asked again only then.
    ahead: Vec<(i64, i64)>,
}

impl<'a> Walk<'a> {
    fn new(schedule: &'a Schedule, at: i64) -> Self {
        Self { schedule, at, ahead: vec![(i64::MIN, i64::MIN); schedule.layers.len()] }
    }

    /// Goes to the next moment at which something may change.
    fn step(&mut self) -> Option<i64> {
        let at = self.at;
        let edges = &self.schedule.edges;
        let mut next = edges.get(edges.partition_point(|edge| *edge <= at)).copied().unwrap_or(i64::MAX);
        for (layer, (turn, restriction)) in self.schedule.layers.iter().zip(&mut self.ahead) {
            if at < layer.start {
                next = next.min(layer.start);
                continue;
            }
            if at >= layer.until {
                continue;
            }
            if *turn <= at {
                *turn = layer.turn(&self.schedule.zone, at).until;
            }
            if *restriction <= at {
                *restriction = match layer.restrictions.is_empty() {
                    true => i64::MAX,
                    false => next_change(&layer.restrictions, at).unwrap_or(i64::MAX),
                };
            }
            next = next.min(*turn).min(*restriction);
        }
        let next = (next != i64::MAX && next > at && next == clamp(next)).then_some(next)?;
        self.at = next;
        Some(next)
    }
}
