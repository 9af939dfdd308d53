//! Routes, inhibitions and intervals as our own saved objects write them.

use std::collections::{BTreeMap, BTreeSet};

use model::MatchOp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inhibit::Inhibition;
use super::interval::{TimeInterval, TimeIntervalSpec};
use super::matcher::{MATCHERS_MAX, Matcher, Matchers};
use super::period::Period;
use super::tree::{Draft, Known, Routing};
use crate::severity::Severity;

/// Which severities a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list such as [error, critical], or {at_least: error}")]
pub enum SeverityCondition {
    /// Any of these.
    OneOf(Vec<Severity>),
    /// A severity and graver ones.
    AtLeast(SeverityFloor),
}

/// A severity and graver ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeverityFloor {
    /// The mildest that counts.
    #[serde(alias = "atLeast")]
    pub at_least: Severity,
}

/// One route: which alerts it takes and who is told. What is not given is inherited from the route above, but
/// for `mute`, `active` and `continue`, which hold for this route alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSpec {
    /// Conditions on labels that must all hold, such as `service="api"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<String>,
    /// Severities it takes; all without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityCondition>,
    /// Names of channels that are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// Labels by which alerts are gathered into one message; `...` for a message each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits for more alerts; 30s at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Period>,
    /// How long a group waits before it tells of changes; 5m at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Period>,
    /// After how long an unchanged group is told again; 4h at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Period>,
    /// Whether the routes behind this one are asked too.
    #[serde(rename = "continue", skip_serializing_if = "std::ops::Not::not")]
    pub proceed: bool,
    /// Names of time intervals in which nobody is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mute: Vec<String>,
    /// Names of time intervals outside of which nobody is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// Gathers everything of such a window into one list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Period>,
    /// The escalation policy that is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
    /// Whether an incident is opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<bool>,
    /// Routes below, asked in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSpec>,
}

/// Alerts that make others needless: while one satisfies `source`, those that satisfy `target` and have the same
/// values for `equal` tell nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InhibitSpec {
    /// Conditions on the alert that inhibits.
    pub source: Vec<String>,
    /// Conditions on the alerts that are inhibited.
    pub target: Vec<String>,
    /// Labels whose values must be the same; an absent one is the empty text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub equal: Vec<String>,
}

/// A route with the name of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRoute {
    /// The object's name.
    pub name: String,
    /// What it says.
    pub spec: RouteSpec,
}

/// Everything of a tenant that makes its routing.
#[derive(Clone, Debug, Default)]
pub struct ObjectsSpec {
    /// Channels that are told of alerts that no route takes.
    pub default_channels: Vec<String>,
    /// Routes, in the order in which they are asked.
    pub routes: Vec<NamedRoute>,
    /// Inhibitions by the names of their objects.
    pub inhibitions: BTreeMap<String, InhibitSpec>,
    /// Time intervals by name.
    pub intervals: BTreeMap<String, Vec<TimeIntervalSpec>>,
    /// Channels that there are.
    pub channels: BTreeSet<String>,
    /// Escalation policies that there are.
    pub escalations: BTreeSet<String>,
}

/// What is wrong with an object, where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {field}: {message}")]
pub struct SpecError {
    /// The name of the object; empty for the default channels.
    pub object: String,
    /// The key inside its spec, such as `routes[0].group_by[1]`.
    pub field: String,
    /// What was given and what would do.
    pub message: String,
}

impl RouteSpec {
    /// Checks what can be checked without knowing other objects.
    pub fn check(&self, object: &str) -> Result<(), SpecError> {
        let named = |names: &mut BTreeSet<String>, route: &Self| {
            names.extend(route.mute.iter().chain(&route.active).cloned());
        };
        let mut intervals = BTreeSet::new();
        let mut routes = vec![self];
        while let Some(route) = routes.pop() {
            named(&mut intervals, route);
            routes.extend(&route.routes);
        }
        let any = |_: &str| true;
        let routes = vec![NamedRoute { name: object.into(), spec: self.clone() }];
        let intervals = intervals.into_iter().map(|name| (name, Vec::new())).collect();
        let spec = ObjectsSpec { routes, intervals, ..ObjectsSpec::default() };
        spec.build(&Known { receivers: &any, receiver_remedy: "", escalations: &any }).map(|_| ())
    }

    fn draft(&self, at: &str, name: Option<&str>) -> Result<Draft, (String, String)> {
        let mut matchers =
            read_matchers(&self.matchers).map_err(|(i, e)| (format!("{at}matchers[{i}]"), e))?;
        if let Some(condition) = &self.severity {
            let severities = match condition {
                SeverityCondition::OneOf(list) => list.clone(),
                SeverityCondition::AtLeast(SeverityFloor { at_least }) => {
                    Severity::ALL.into_iter().filter(|severity| severity >= at_least).collect()
                }
            };
            if severities.is_empty() {
                return Err((format!("{at}severity"), "is empty; name a severity or leave it out".into()));
            }
            // Also by the words of others, as everywhere that the label is read.
            let words: BTreeSet<&str> =
                severities.iter().flat_map(|severity| severity.words()).copied().collect();
            let pattern = format!("(?i){}", words.into_iter().collect::<Vec<_>>().join("|"));
            let matcher = Matcher::new("severity", MatchOp::Regex, &pattern);
            matchers.push(matcher.map_err(|e| (format!("{at}severity"), e.to_string()))?);
        }
        let below = self.routes.iter().enumerate();
        let routes = below.map(|(i, route)| route.draft(&format!("{at}routes[{i}]."), None));
        Ok(Draft {
            name: name.map(str::to_owned),
            matchers,
            receivers: self.channels.clone(),
            group_by: self.group_by.clone(),
            group_wait: self.group_wait.map(|period| period.0),
            group_interval: self.group_interval.map(|period| period.0),
            repeat_interval: self.repeat_interval.map(|period| period.0),
            proceed: self.proceed,
            mute: self.mute.clone(),
            active: self.active.clone(),
            digest: self.digest.map(|period| period.0),
            escalation: self.escalation.clone(),
            incident: self.incident,
            routes: routes.collect::<Result<_, _>>()?,
        })
    }
}

impl InhibitSpec {
    /// Checks it; the error names the key.
    pub fn check(&self, object: &str) -> Result<Inhibition, SpecError> {
        let error = |field: String, message| SpecError { object: object.into(), field, message };
        let read = |key: &str, texts: &[String]| {
            read_matchers(texts).map_err(|(i, message)| error(format!("{key}[{i}]"), message))
        };
        let (source, target) = (read("source", &self.source)?, read("target", &self.target)?);
        if self.equal.len() > MATCHERS_MAX {
            return Err(error("equal".into(), format!("more than {MATCHERS_MAX} labels; leave some out")));
        }
        for (key, side) in [("source", &source), ("target", &target)] {
            // A file of others may leave a side open; an object that does was meant otherwise.
            if side.is_empty() {
                let message = "is empty, so it would hold for every alert; write a condition";
                return Err(error(key.into(), message.into()));
            }
        }
        let (source, target) = (Matchers::new(source), Matchers::new(target));
        Ok(Inhibition {
            name: Some(object.into()),
            source,
            target,
            equal: self.equal.iter().cloned().collect(),
        })
    }
}

impl ObjectsSpec {
    /// The routing of a tenant's own objects: a root that tells the default channels, and below it every route in
    /// order.
    pub fn routing(&self) -> Result<Routing, SpecError> {
        self.build(&Known {
            receivers: &|name| self.channels.contains(name),
            receiver_remedy: "make a channel of this name or mend it",
            escalations: &|name| self.escalations.contains(name),
        })
    }

    fn build(&self, known: &Known<'_>) -> Result<Routing, SpecError> {
        let mut routes = Vec::with_capacity(self.routes.len());
        for NamedRoute { name, spec } in &self.routes {
            let draft = spec.draft("", Some(name));
            routes.push(draft.map_err(|(field, message)| SpecError {
                object: name.clone(),
                field,
                message,
            })?);
        }
        let inhibitions =
            self.inhibitions.iter().map(|(name, spec)| spec.check(name)).collect::<Result<_, _>>()?;
        let mut intervals = BTreeMap::new();
        for (name, specs) in &self.intervals {
            let mut checked = Vec::with_capacity(specs.len());
            for (i, spec) in specs.iter().enumerate() {
                checked.push(TimeInterval::new(spec).map_err(|e| SpecError {
                    object: name.clone(),
                    field: format!("time_intervals[{i}].{}", e.field),
                    message: e.reason,
                })?);
            }
            intervals.insert(name.clone(), checked);
        }
        let root = Draft { receivers: Some(self.default_channels.clone()), routes, ..Draft::default() };
        Routing::build(root, inhibitions, intervals, known).map_err(|bad| {
            let (first, below) =
                bad.route.split_first().map_or((None, &[][..]), |(i, rest)| (Some(*i), rest));
            let object =
                first.and_then(|i| self.routes.get(i)).map_or(String::new(), |route| route.name.clone());
            let key = match bad.key {
                "receiver" if first.is_none() => "default_channels",
                "receiver" => "channels",
                "mute_time_intervals" => "mute",
                "active_time_intervals" => "active",
                other => other,
            };
            let mut field: String = below.iter().map(|i| format!("routes[{i}].")).collect();
            field.push_str(key);
            field.push_str(&bad.index.map_or(String::new(), |i| format!("[{i}]")));
            SpecError { object, field, message: bad.message }
        })
    }
}

/// Each text may hold several.
fn read_matchers(texts: &[String]) -> Result<Vec<Matcher>, (usize, String)> {
    let mut all = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let list = Matcher::parse_list(text).map_err(|e| (i, e.to_string()))?;
        if list.is_empty() {
            return Err((i, "is empty; write a condition such as service=\"api\"".into()));
        }
        all.extend(list);
        if all.len() > MATCHERS_MAX {
            return Err((
                i,
                format!("more than {MATCHERS_MAX} conditions; join values in an expression such as a|b"),
            ));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
