//! The dispatcher: gathers alerts into groups and says when each group speaks.
//!
//! It is Alertmanager's, as a state machine: a new group waits `group_wait`, unless its alert began longer ago than
//! that; then it speaks every `group_interval`; a resolved alert stays until a flush told of it. What a receiver
//! really hears of a flush is decided by [`decide`] with the log of notifications.
//!
//! What is ours: an alert whose severity rises is told at once. A route with `digest` waits for its window and
//! speaks once for all. Nothing is unbounded and nothing is dropped: when there are too many groups, further ones
//! share one overflow group for each route; an alert that finds its group full is told alone, at once.
//!
//! # What must be stored
//!
//! 1. [`GroupSnapshot`] of every group named in [`Inserted::groups`], after [`Dispatcher::tick`] of every flushed
//!    group, and after [`Dispatcher::told`]; removed where [`Dispatcher::snapshot`] answers `None`.
//! 2. [`LogEntry`] of [`Decision::log`], in the transaction that makes the message durable.
//! 3. [`DigestWindow`] of every channel with an open one.
//!
//! With these a restart neither repeats nor loses: a group that was due speaks at the first tick, and the log knows
//! what was told. Without the first, giving all active alerts to [`Dispatcher::insert`] again loses nothing but the
//! resolved alerts that nobody was told of, and the places in the intervals.

mod digest; // windows of channels
mod flush; // what a group tells
mod log; // what receivers know

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::fingerprint::{fingerprint, label_text};
use super::tree::Routing;
use crate::Labels;
use crate::severity::Severity;

pub use digest::{Added, Digest, DigestWindow, Digests, Notice};
pub use flush::{Flush, FlushAlert};
pub use log::{Decision, LogEntry, Reason, decide};

/// How long an empty group remembers that it spoke, so that an alert that comes right back waits for the interval;
/// as long as Alertmanager's clean-up takes.
const EMPTY_MS: i64 = 30_000;

/// How much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Groups, beside one for overflow for each route.
    pub groups_max: usize,
    /// Alerts of one group.
    pub alerts_per_group_max: usize,
    /// Alerts of all groups; one that two routes take counts twice.
    pub alerts_max: usize,
}

impl Default for Bounds {
    /// At about 1 KiB an alert, 100 MB at most.
    fn default() -> Self {
        Self { groups_max: 10_000, alerts_per_group_max: 10_000, alerts_max: 100_000 }
    }
}

/// What is held, and what did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Groups.
    pub groups: usize,
    /// Alerts, once for each group.
    pub alerts: usize,
    /// Alerts that went to an overflow group, since the start.
    pub overflowed: u64,
    /// Alerts that were told alone, since the start.
    pub alone: u64,
}

/// What an insertion did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inserted {
    /// Groups that changed and are to be stored.
    pub groups: Vec<String>,
    /// Messages that go out at once, because their groups are full; they belong to no group, and
    /// [`Dispatcher::told`] need not hear of them.
    pub alone: Vec<Flush>,
}

/// A group as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSnapshot {
    /// Its key.
    pub key: String,
    /// Its route's key: the same after a restart and, unless the route changed, after a reload.
    pub route: String,
    /// What its alerts have in common.
    pub labels: Labels,
    /// Whether it holds what found no group of its own.
    pub overflow: bool,
    /// When it speaks next.
    pub next_at: i64,
    /// Whether it has spoken.
    pub flushed: bool,
    /// Whether an alert in it grew worse and was not told yet.
    pub urgent: bool,
    /// When it became empty.
    pub empty_since: Option<i64>,
    /// Its alerts, and which of them went on elsewhere.
    pub members: Vec<(Alert, bool)>,
}

/// A group as a page or `GET /api/v2/alerts/groups` shows it.
#[derive(Clone, Debug)]
pub struct GroupView<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its route.
    pub route: usize,
    /// What its alerts have in common.
    pub labels: &'a Labels,
    /// When it speaks next.
    pub next_at: i64,
    /// Its alerts.
    pub alerts: Vec<&'a Alert>,
}

#[derive(Debug)]
struct Member {
    alert: Alert,
    moved: bool,
}

#[derive(Debug)]
struct Group {
    route: usize,
    labels: Labels,
    overflow: bool,
    next_at: i64,
    flushed: bool,
    urgent: bool,
    empty_since: Option<i64>,
    members: BTreeMap<u64, Member>,
}

/// The groups of one tenant.
#[derive(Debug)]
pub struct Dispatcher {
    routing: Arc<Routing>,
    bounds: Bounds,
    groups: BTreeMap<String, Group>,
    /// Groups that hold an alert, by its identity.
    places: HashMap<u64, BTreeSet<String>>,
    counts: Counts,
}

impl Dispatcher {
    /// Without alerts.
    pub fn new(routing: Arc<Routing>, bounds: Bounds) -> Self {
        Self { routing, bounds, groups: BTreeMap::new(), places: HashMap::new(), counts: Counts::default() }
    }

    /// With the groups that were stored, after a crash or for a changed routing. Groups whose routes are gone, or no
    /// longer take their alerts in this group, give them to the routes that now do. The caller then inserts all
    /// active alerts again, which changes nothing for those that are there. Also answers the groups to store anew,
    /// and the messages that go out alone.
    pub fn restore(
        routing: Arc<Routing>,
        bounds: Bounds,
        snapshots: Vec<GroupSnapshot>,
        now: i64,
    ) -> (Self, Inserted) {
        let mut dispatcher = Self::new(routing, bounds);
        let (mut homeless, mut inserted) = (Vec::new(), Inserted::default());
        for snapshot in snapshots {
            let key = snapshot.key.clone();
            let route = dispatcher.routing.by_key(&snapshot.route);
            let Some(route) = route else {
                homeless.extend(snapshot.members);
                inserted.groups.push(key);
                continue;
            };
            let mut group = Group {
                route,
                labels: snapshot.labels,
                overflow: snapshot.overflow,
                next_at: snapshot.next_at,
                flushed: snapshot.flushed,
                urgent: snapshot.urgent,
                empty_since: snapshot.empty_since,
                members: BTreeMap::new(),
            };
            for (alert, moved) in snapshot.members {
                let routing = &dispatcher.routing;
                let stays = moved
                    || (routing.matching(&alert.labels).contains(&route)
                        && (group.overflow || routing.group_labels(route, &alert.labels) == group.labels));
                if !stays {
                    homeless.push((alert, moved));
                    continue;
                }
                dispatcher.places.entry(alert.identity).or_default().insert(key.clone());
                group.members.insert(alert.identity, Member { alert, moved });
                dispatcher.counts.alerts += 1;
            }
            if group.members.is_empty() {
                group.empty_since.get_or_insert(now);
            }
            dispatcher.groups.insert(key, group);
        }
        for (alert, moved) in homeless {
            if !moved {
                let more = dispatcher.insert(alert, now);
                inserted.groups.extend(more.groups);
                inserted.alone.extend(more.alone);
            }
        }
        (dispatcher, inserted)
    }

    /// Takes an alert: a new one, one that is heard of again, or one that is resolved.
    pub fn insert(&mut self, alert: Alert, now: i64) -> Inserted {
        let mut inserted = Inserted::default();
        let urgent = self.grew_worse(&alert, now);
        let routing = Arc::clone(&self.routing);
        let mut keys = BTreeSet::new();
        for route in routing.matching(&alert.labels) {
            match self.place(route, &alert, now) {
                Some(key) => {
                    self.put(&key, alert.clone(), urgent, now);
                    keys.insert(key);
                }
                None => {
                    self.counts.alone += 1;
                    inserted.alone.push(self.alone(route, &alert, urgent, now));
                }
            }
        }
        // Groups that held it under other labels tell that it is gone from there.
        for key in self.places.get(&alert.identity).into_iter().flatten().filter(|key| !keys.contains(*key)) {
            let member = self.groups.get_mut(key).and_then(|group| group.members.get_mut(&alert.identity));
            if let Some(member) = member.filter(|member| !member.moved) {
                member.moved = true;
                if !member.alert.is_resolved(now) {
                    member.alert.ends_at = Some(now);
                    member.alert.updated_at = now;
                }
                inserted.groups.push(key.clone());
            }
        }
        inserted.groups.extend(keys.iter().cloned());
        if !keys.is_empty() {
            self.places.entry(alert.identity).or_default().extend(keys);
        }
        inserted
    }

    /// The groups that speak now, those that are due longest first. Each waits for its interval again, also where
    /// the message fails: what could not be told is told then.
    pub fn tick(&mut self, now: i64) -> Vec<Flush> {
        self.groups
            .retain(|_, group| group.empty_since.is_none_or(|since| now < since.saturating_add(EMPTY_MS)));
        let due = self.groups.iter().filter(|(_, group)| group.next_at <= now && !group.members.is_empty());
        let mut due: Vec<(i64, String)> = due.map(|(key, group)| (group.next_at, key.clone())).collect();
        due.sort_unstable();
        due.into_iter().filter_map(|(_, key)| self.flush(&key, now)).collect()
    }

    /// When [`Self::tick`] next has something to do.
    pub fn deadline(&self) -> Option<i64> {
        let due = |group: &Group| match group.empty_since {
            Some(since) => since.saturating_add(EMPTY_MS),
            None => group.next_at,
        };
        self.groups.values().map(due).min()
    }

    /// A flush was told, or nobody had to be: its resolved alerts leave, unless they changed since.
    pub fn told(&mut self, flush: &Flush) {
        let Some(group) = self.groups.get_mut(&flush.group) else { return };
        for told in flush.alerts.iter().filter(|told| told.resolved) {
            let identity = told.alert.identity;
            let same = group.members.get(&identity).is_some_and(|member| {
                member.alert.updated_at == told.alert.updated_at && member.alert.ends_at == told.alert.ends_at
            });
            if !same {
                continue;
            }
            group.members.remove(&identity);
            self.counts.alerts -= 1;
            if let Some(places) = self.places.get_mut(&identity) {
                places.remove(&flush.group);
                if places.is_empty() {
                    self.places.remove(&identity);
                }
            }
        }
        if group.members.is_empty() {
            group.empty_since.get_or_insert(flush.at);
        }
    }

    /// A group as it is to be stored; `None` where there is none (any more).
    pub fn snapshot(&self, key: &str) -> Option<GroupSnapshot> {
        let group = self.groups.get(key)?;
        let members = group.members.values().map(|member| (member.alert.clone(), member.moved));
        Some(GroupSnapshot {
            key: key.into(),
            route: self.routing.routes()[group.route].key.clone(),
            labels: group.labels.clone(),
            overflow: group.overflow,
            next_at: group.next_at,
            flushed: group.flushed,
            urgent: group.urgent,
            empty_since: group.empty_since,
            members: members.collect(),
        })
    }

    /// All of them.
    pub fn snapshots(&self) -> Vec<GroupSnapshot> {
        self.groups.keys().filter_map(|key| self.snapshot(key)).collect()
    }

    /// The groups that hold alerts, in order of their keys.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        self.groups.iter().filter(|(_, group)| !group.members.is_empty()).map(|(key, group)| GroupView {
            key,
            route: group.route,
            labels: &group.labels,
            next_at: group.next_at,
            alerts: group.members.values().filter(|m| !m.moved).map(|member| &member.alert).collect(),
        })
    }

    /// What is held, and what did not fit.
    pub fn counts(&self) -> Counts {
        Counts { groups: self.groups.len(), ..self.counts }
    }

    /// The routing in force.
    pub fn routing(&self) -> &Arc<Routing> {
        &self.routing
    }

    /// True where an alert that fires is known with a lower severity.
    fn grew_worse(&self, alert: &Alert, now: i64) -> bool {
        let places = self.places.get(&alert.identity).into_iter().flatten();
        let known = places.filter_map(|key| self.groups.get(key)?.members.get(&alert.identity));
        // What was resolved or moved away and not told yet is no step to rise from.
        let known = known.filter(|member| !member.moved && !member.alert.is_resolved(now));
        let before: Option<Severity> = known.filter_map(|member| member.alert.severity()).max();
        !alert.is_resolved(now) && before.is_some() && alert.severity() > before
    }

    /// The group for an alert on a route, made where there is none; `None` where all that could take it is full.
    fn place(&mut self, route: usize, alert: &Alert, now: i64) -> Option<String> {
        let taken = &self.routing.routes()[route];
        let labels = self.routing.group_labels(route, &alert.labels);
        let key = format!("{}:{}", taken.key, label_text(&labels));
        // A key that no labels can make.
        let overflow = format!("{}:overflow", taken.key);
        let holds =
            |key: &String| self.groups.get(key).is_some_and(|g| g.members.contains_key(&alert.identity));
        if let Some(known) = [&key, &overflow].into_iter().find(|key| holds(key)) {
            return Some(known.clone());
        }
        if self.counts.alerts >= self.bounds.alerts_max {
            return None;
        }
        let wait = taken.options.digest.unwrap_or(taken.options.group_wait);
        let own = self.groups.contains_key(&key) || self.groups.len() < self.bounds.groups_max;
        let (key, labels) = if own { (key, labels) } else { (overflow, Labels::new()) };
        let group = self.groups.entry(key.clone()).or_insert_with(|| Group {
            route,
            labels,
            overflow: !own,
            next_at: now.saturating_add(millis(wait)),
            flushed: false,
            urgent: false,
            empty_since: None,
            members: BTreeMap::new(),
        });
        if group.members.len() >= self.bounds.alerts_per_group_max {
            return None;
        }
        self.counts.overflowed += u64::from(!own);
        Some(key)
    }

    fn put(&mut self, key: &str, alert: Alert, urgent: bool, now: i64) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let options = &self.routing.routes()[group.route].options;
        let is_old = alert.starts_at.saturating_add(millis(options.group_wait)) < now;
        if urgent || (!group.flushed && is_old && options.digest.is_none()) {
            group.next_at = group.next_at.min(now);
        }
        group.urgent |= urgent;
        group.empty_since = None;
        let before = group.members.insert(alert.identity, Member { alert, moved: false });
        self.counts.alerts += usize::from(before.is_none());
    }

    fn flush(&mut self, key: &str, now: i64) -> Option<Flush> {
        let group = self.groups.get_mut(key)?;
        let route = group.route;
        let options = &self.routing.routes()[route].options;
        group.next_at = now.saturating_add(millis(options.digest.unwrap_or(options.group_interval)));
        group.flushed = true;
        let urgent = std::mem::take(&mut group.urgent);
        let mut alerts: Vec<FlushAlert> =
            group.members.values().map(|member| told(&member.alert, member.moved, now)).collect();
        alerts.sort_by(|a, b| a.alert.labels.cmp(&b.alert.labels));
        let labels = group.labels.clone();
        Some(self.message(route, key.into(), labels, alerts, urgent, now))
    }

    fn alone(&self, route: usize, alert: &Alert, urgent: bool, now: i64) -> Flush {
        let labels = self.routing.group_labels(route, &alert.labels);
        let taken = &self.routing.routes()[route];
        // A key of its own, so that the log knows whether it was told.
        let key = format!("{}:alone/{:016x}", taken.key, fingerprint(&alert.labels));
        self.message(route, key, labels, vec![told(alert, false, now)], urgent, now)
    }

    fn message(
        &self,
        route: usize,
        group: String,
        labels: Labels,
        alerts: Vec<FlushAlert>,
        urgent: bool,
        now: i64,
    ) -> Flush {
        let options = &self.routing.routes()[route].options;
        Flush {
            group,
            route,
            receivers: options.receivers.clone(),
            labels,
            priority: flush::priority(alerts.iter().map(|told| &told.alert)),
            alerts,
            at: now,
            repeat_ms: millis(options.repeat_interval),
            urgent,
            digest: options.digest.is_some(),
            escalation: options.escalation.clone(),
            incident: options.incident,
        }
    }
}

fn told(alert: &Alert, moved: bool, now: i64) -> FlushAlert {
    let resolved = alert.is_resolved(now);
    let ends_at = alert.ends_at.filter(|_| resolved);
    FlushAlert { alert: Alert { ends_at, ..alert.clone() }, resolved, moved }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
