//! The routing tree: which routes an alert takes, with which settings, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::inhibit::Inhibition;
use super::interval::{self, TimeInterval};
use super::matcher::{Matcher, Matchers};
use crate::Labels;

/// Most routes of one tree.
pub(super) const ROUTES_MAX: usize = 10_000;

/// How deep routes may lie below the root.
pub(super) const DEPTH_MAX: usize = 32;

/// Most names in one list of a route.
const NAMES_MAX: usize = 128;

/// By which labels alerts are gathered into one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// By all: every alert is a message of its own.
    All,
    /// By these; by none, all alerts of the route are one group.
    Labels(BTreeSet<String>),
}

/// What holds for a route, with what it inherits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteOptions {
    /// Who is told: one receiver of an `alertmanager.yml`, or channels of ours. None: nobody.
    pub receivers: Vec<String>,
    /// How alerts are gathered.
    pub group_by: GroupBy,
    /// How long a new group waits for more.
    pub group_wait: Duration,
    /// How long a group waits before it tells of changes.
    pub group_interval: Duration,
    /// After how long an unchanged group is told again.
    pub repeat_interval: Duration,
    /// Intervals in which nobody is told. Not inherited, as in Alertmanager.
    pub mute: Vec<String>,
    /// Intervals outside of which nobody is told; empty means always. Not inherited.
    pub active: Vec<String>,
    /// Everything of a window of this length is told as one list; instead of the waits above.
    pub digest: Option<Duration>,
    /// The escalation policy that is started.
    pub escalation: Option<String>,
    /// Whether an incident is opened.
    pub incident: bool,
}

impl Default for RouteOptions {
    /// Alertmanager's: 30 s, 5 min, 4 h.
    fn default() -> Self {
        Self {
            receivers: Vec::new(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(5 * 60),
            repeat_interval: Duration::from_secs(4 * 3600),
            mute: Vec::new(),
            active: Vec::new(),
            digest: None,
            escalation: None,
            incident: false,
        }
    }
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Matchers from the root to here, as in Alertmanager's group keys: `{}/{team="a"}`. Where two routes would
    /// share it, the later one carries `#2`, so that it names one route.
    pub key: String,
    /// The name of the object it came from, if any.
    pub name: Option<String>,
    /// Which alerts it takes.
    pub matchers: Matchers,
    /// Whether the routes behind it are asked too.
    pub proceed: bool,
    /// What holds for it.
    pub options: RouteOptions,
    /// The route above; none for the root.
    pub parent: Option<usize>,
    /// The routes below, in order.
    pub children: Vec<usize>,
}

/// A route before inheritance, from a file or from our objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) name: Option<String>,
    pub(super) matchers: Vec<Matcher>,
    pub(super) receivers: Option<Vec<String>>,
    pub(super) group_by: Option<Vec<String>>,
    pub(super) group_wait: Option<Duration>,
    pub(super) group_interval: Option<Duration>,
    pub(super) repeat_interval: Option<Duration>,
    pub(super) proceed: bool,
    pub(super) mute: Vec<String>,
    pub(super) active: Vec<String>,
    pub(super) digest: Option<Duration>,
    pub(super) escalation: Option<String>,
    pub(super) incident: Option<bool>,
    pub(super) routes: Vec<Draft>,
}

/// What is wrong with a draft: indices of the routes from the root, the key there, and what would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadDraft {
    pub(super) route: Vec<usize>,
    pub(super) key: &'static str,
    pub(super) index: Option<usize>,
    pub(super) message: String,
}

/// Names that drafts may use.
pub(super) struct Known<'a> {
    pub(super) receivers: &'a dyn Fn(&str) -> bool,
    /// What receivers are called, and where they are declared.
    pub(super) receiver_remedy: &'a str,
    pub(super) escalations: &'a dyn Fn(&str) -> bool,
}

/// Everything that decides who is told: the tree, inhibitions and time intervals.
#[derive(Clone, Debug)]
pub struct Routing {
    routes: Vec<Route>,
    /// Alerts that make others needless.
    pub inhibitions: Vec<Inhibition>,
    intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// The roots, each of which is asked: one, unless two trees stand beside each other.
    roots: Vec<usize>,
}

/// Why a route tells nobody at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Muted {
    /// This interval of `mute` holds.
    By(String),
    /// None of these intervals of `active` holds.
    Outside(Vec<String>),
}

/// One route that was asked, for whoever wants to know who would get an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// Which route.
    pub route: usize,
    /// How deep below the root.
    pub depth: usize,
    /// Its key.
    pub key: String,
    /// The object it came from, if any.
    pub name: Option<String>,
    /// Whether its matchers held.
    pub matched: bool,
    /// The matcher that did not hold.
    pub failed: Option<String>,
    /// What the alert has for that matcher's label.
    pub value: Option<String>,
    /// Whether this route takes the alert: it matched and none below it did.
    pub takes: bool,
    /// Whether the routes behind it were not asked because it matched without `continue`.
    pub ends: bool,
    /// Who is told by it.
    pub receivers: Vec<String>,
}

impl Routing {
    pub(super) fn build(
        root: Draft,
        inhibitions: Vec<Inhibition>,
        intervals: BTreeMap<String, Vec<TimeInterval>>,
        known: &Known<'_>,
    ) -> Result<Self, BadDraft> {
        let mut routing = Self { routes: Vec::new(), inhibitions, intervals, roots: vec![0] };
        let mut keys = BTreeSet::new();
        routing.add(root, None, &mut Vec::new(), &mut keys, known)?;
        Ok(routing)
    }

    fn add(
        &mut self,
        draft: Draft,
        parent: Option<usize>,
        path: &mut Vec<usize>,
        keys: &mut BTreeSet<String>,
        known: &Known<'_>,
    ) -> Result<usize, BadDraft> {
        let Draft { name, matchers, proceed, routes, .. } = &draft;
        let bad = |key, message: String| Err(BadDraft { route: path.clone(), key, index: None, message });
        if self.routes.len() == ROUTES_MAX {
            return bad("routes", format!("more than {ROUTES_MAX} routes; join those of one receiver"));
        }
        if path.len() > DEPTH_MAX {
            return bad("routes", format!("routes lie more than {DEPTH_MAX} deep; flatten the tree"));
        }
        let matchers = Matchers::new(matchers.clone());
        let above = parent.map(|parent| &self.routes[parent]);
        let stem = above.map_or(String::new(), |above| format!("{}/", above.key)) + &matchers.to_string();
        let mut key = stem.clone();
        for n in 2.. {
            if keys.insert(key.clone()) {
                break;
            }
            key = format!("{stem}#{n}");
        }
        let inherited = above.map_or_else(RouteOptions::default, |above| above.options.clone());
        let options = self.options(&draft, inherited, path, known)?;
        let index = self.routes.len();
        let (name, proceed) = (name.clone(), *proceed);
        self.routes.push(Route { key, name, matchers, proceed, options, parent, children: Vec::new() });
        if routes.len() > ROUTES_MAX {
            return bad("routes", format!("more than {ROUTES_MAX} routes; join those of one receiver"));
        }
        for (i, child) in draft.routes.into_iter().enumerate() {
            path.push(i);
            let child = self.add(child, Some(index), path, keys, known)?;
            path.pop();
            self.routes[index].children.push(child);
        }
        Ok(index)
    }

    fn options(
        &self,
        draft: &Draft,
        mut options: RouteOptions,
        path: &[usize],
        known: &Known<'_>,
    ) -> Result<RouteOptions, BadDraft> {
        let bad = |key, index, message| Err(BadDraft { route: path.to_vec(), key, index, message });
        let lists = [
            ("receiver", draft.receivers.as_deref().unwrap_or_default()),
            ("group_by", draft.group_by.as_deref().unwrap_or_default()),
            ("mute_time_intervals", &draft.mute),
            ("active_time_intervals", &draft.active),
        ];
        for (key, list) in lists {
            if list.len() > NAMES_MAX {
                return bad(key, None, format!("{} names; at most {NAMES_MAX} are read", list.len()));
            }
        }
        if let Some(receivers) = &draft.receivers {
            if let Some(i) = receivers.iter().position(|name| !(known.receivers)(name)) {
                let message = format!("{:?} is not known; {}", receivers[i], known.receiver_remedy);
                return bad("receiver", Some(i), message);
            }
            options.receivers = receivers.clone();
        }
        if let Some(names) = &draft.group_by {
            options.group_by = group_by(names).map_err(|(i, message)| BadDraft {
                route: path.to_vec(),
                key: "group_by",
                index: Some(i),
                message,
            })?;
        }
        for (key, given) in [
            ("group_interval", draft.group_interval),
            ("repeat_interval", draft.repeat_interval),
            ("digest", draft.digest),
        ] {
            if given == Some(Duration::ZERO) {
                return bad(key, None, "cannot be zero; write a duration such as 5m".into());
            }
        }
        options.group_wait = draft.group_wait.unwrap_or(options.group_wait);
        options.group_interval = draft.group_interval.unwrap_or(options.group_interval);
        options.repeat_interval = draft.repeat_interval.unwrap_or(options.repeat_interval);
        options.digest = draft.digest.or(options.digest);
        for (key, names) in [("mute_time_intervals", &draft.mute), ("active_time_intervals", &draft.active)] {
            if let Some(i) = names.iter().position(|name| !self.intervals.contains_key(name)) {
                let message =
                    format!("time interval {:?} is not defined; define it or mend the name", names[i]);
                return bad(key, Some(i), message);
            }
        }
        options.mute = draft.mute.clone();
        options.active = draft.active.clone();
        if let Some(policy) = &draft.escalation {
            if !(known.escalations)(policy) {
                let message = format!("{policy:?} is not an escalation policy; make it or mend the name");
                return bad("escalation", None, message);
            }
            options.escalation = Some(policy.clone());
        }
        options.incident = draft.incident.unwrap_or(options.incident);
        Ok(options)
    }

    /// All routes; the first is a root, and parents come before children.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route of this key.
    pub fn by_key(&self, key: &str) -> Option<usize> {
        self.routes.iter().position(|route| route.key == key)
    }

    /// The routes that take an alert with these labels, in order of the tree. At least one: the root takes what
    /// no other does.
    pub fn matching(&self, labels: &Labels) -> Vec<usize> {
        let mut taken = Vec::new();
        for root in &self.roots {
            // Whether a root takes an alert does not depend on another tree.
            let mut own = Vec::new();
            self.visit(*root, 0, labels, &mut own, &mut None);
            taken.append(&mut own);
        }
        taken
    }

    /// This tree with another beside it: an alert goes through both. Keys of this tree stay as they are; where the other
    /// has a route of the same key, that one carries `#2`. Receivers and intervals of the other that share a name with
    /// ours are renamed by `rename`.
    pub fn beside(mut self, other: Self, rename: &dyn Fn(&str) -> String) -> Self {
        let shift = self.routes.len();
        let receivers: BTreeSet<String> =
            self.routes.iter().flat_map(|route| route.options.receivers.iter().cloned()).collect();
        let keys: BTreeSet<String> = self.routes.iter().map(|route| route.key.clone()).collect();
        let taken: BTreeSet<String> = self.intervals.keys().cloned().collect();
        let own = |name: &mut String, theirs: &BTreeSet<String>| {
            if theirs.contains(name) {
                *name = rename(name);
            }
        };
        for mut route in other.routes {
            if keys.contains(&route.key) {
                route.key.push_str("#2");
            }
            route.parent = route.parent.map(|parent| parent + shift);
            route.children.iter_mut().for_each(|child| *child += shift);
            route.options.receivers.iter_mut().for_each(|name| own(name, &receivers));
            let named = route.options.mute.iter_mut().chain(&mut route.options.active);
            named.for_each(|name| own(name, &taken));
            self.routes.push(route);
        }
        for (mut name, intervals) in other.intervals {
            own(&mut name, &taken);
            self.intervals.insert(name, intervals);
        }
        self.inhibitions.extend(other.inhibitions);
        self.roots.extend(other.roots.iter().map(|root| root + shift));
        self
    }

    /// The same with every route that was asked, in the order in which they were.
    pub fn explain(&self, labels: &Labels) -> Vec<Visit> {
        let mut visits = Some(Vec::new());
        for root in &self.roots {
            self.visit(*root, 0, labels, &mut Vec::new(), &mut visits);
        }
        visits.unwrap_or_default()
    }

    fn visit(
        &self,
        index: usize,
        depth: usize,
        labels: &Labels,
        taken: &mut Vec<usize>,
        visits: &mut Option<Vec<Visit>>,
    ) -> bool {
        let route = &self.routes[index];
        let failed = route.matchers.failing(labels);
        let place = visits.as_mut().map(|visits| {
            visits.push(Visit {
                route: index,
                depth,
                key: route.key.clone(),
                name: route.name.clone(),
                matched: failed.is_none(),
                failed: failed.map(ToString::to_string),
                value: failed.map(|failed| labels.get(&failed.name).cloned().unwrap_or_default()),
                takes: false,
                ends: failed.is_none() && !route.proceed && depth > 0,
                receivers: route.options.receivers.clone(),
            });
            visits.len() - 1
        });
        if failed.is_some() {
            return false;
        }
        let before = taken.len();
        for child in &route.children {
            if self.visit(*child, depth + 1, labels, taken, visits) && !self.routes[*child].proceed {
                break;
            }
        }
        if taken.len() == before {
            taken.push(index);
            if let (Some(visits), Some(place)) = (visits, place) {
                visits[place].takes = true;
            }
        }
        true
    }

    /// The labels by which a route gathers an alert.
    pub fn group_labels(&self, route: usize, labels: &Labels) -> Labels {
        match &self.routes[route].options.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                let named = labels.iter().filter(|(name, _)| names.contains(*name));
                named.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
        }
    }

    /// Why a route tells nobody at `at`; `None` where it does.
    pub fn muted(&self, route: usize, at: i64) -> Option<Muted> {
        let options = &self.routes[route].options;
        let holds = |name: &&String| self.intervals.get(*name).is_some_and(|i| interval::is_active(i, at));
        if !options.active.is_empty() && !options.active.iter().any(|name| holds(&name)) {
            return Some(Muted::Outside(options.active.clone()));
        }
        options.mute.iter().find(holds).map(|name| Muted::By(name.clone()))
    }

    /// When that next changes, looking at most four years ahead.
    pub fn muted_until(&self, route: usize, at: i64) -> Option<i64> {
        let options = &self.routes[route].options;
        let names = options.mute.iter().chain(&options.active);
        let mut changes: Vec<i64> = Vec::new();
        for name in names {
            // Each interval is followed on its own: what counts is the first change that is one of the route.
            let mut from = at;
            let intervals = self.intervals.get(name).map(Vec::as_slice).unwrap_or_default();
            for _ in 0..CHANGES_MAX {
                let Some(change) = interval::next_change(intervals, from) else { break };
                changes.push(change);
                from = change;
            }
        }
        changes.sort_unstable();
        let now = self.muted(route, at).is_some();
        changes.into_iter().find(|change| self.muted(route, *change).is_some() != now)
    }

    /// The named time intervals.
    pub fn intervals(&self) -> &BTreeMap<String, Vec<TimeInterval>> {
        &self.intervals
    }
}

/// How many changes of one interval are followed for a preview.
const CHANGES_MAX: usize = 16;

fn group_by(names: &[String]) -> Result<GroupBy, (usize, String)> {
    let mut labels = BTreeSet::new();
    for (i, name) in names.iter().enumerate() {
        if name == "..." && names.len() > 1 {
            return Err((
                i,
                "\"...\" stands for all labels, so no other can stand beside it; write one or the other"
                    .into(),
            ));
        }
        if name.is_empty() || name.len() > 1024 {
            return Err((i, format!("{name:?} is not the name of a label; write one such as alertname")));
        }
        if !labels.insert(name.clone()) {
            return Err((i, format!("{name:?} is there twice; remove one")));
        }
    }
    Ok(if labels.contains("...") { GroupBy::All } else { GroupBy::Labels(labels) })
}

#[cfg(test)]
mod tests;
