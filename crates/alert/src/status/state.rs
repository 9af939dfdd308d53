//! How components are, from what checks found and from incidents that are open.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{ComponentSpec, StatusPageSpec};
use crate::Labels;
use crate::incident::{Impact, Incident, IncidentStatus};
use crate::routing::Matcher;

/// How a check found its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// It was not asked yet, or not lately, or is paused: it says nothing.
    Unknown,
    /// Well.
    Up,
    /// Well in part.
    Degraded,
    /// Not at all.
    Down,
}

/// A check with what it found last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSeen<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
    /// What it found.
    pub state: CheckState,
}

/// How a component is, from best to worst but for maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComponentState {
    /// Well.
    Operational,
    /// Slower, or in part.
    Degraded,
    /// Does not work.
    Outage,
    /// Is worked on.
    Maintenance,
}

/// A component as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownComponent {
    /// What the public calls it.
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Under which heading it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How it is.
    pub state: ComponentState,
}

/// A status page whose conditions are read.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    name: &'a str,
    spec: &'a StatusPageSpec,
    matchers: Vec<Vec<Matcher>>,
}

impl<'a> Page<'a> {
    /// Reads the conditions of a page that was checked. A component with one that does not read matches nothing.
    pub fn new(name: &'a str, spec: &'a StatusPageSpec) -> Self {
        let read = |component: &ComponentSpec| -> Vec<Matcher> {
            let all: Result<Vec<Matcher>, _> =
                component.matchers.iter().map(|text| Matcher::parse(text)).collect();
            all.unwrap_or_default()
        };
        Self { name, spec, matchers: spec.components.iter().map(read).collect() }
    }

    /// Names of the checks of the component in this place.
    pub fn checks_of<'c>(&self, place: usize, checks: &'c [CheckSeen<'c>]) -> BTreeSet<&'c str> {
        let mine = checks.iter().filter(|check| self.takes(place, check));
        mine.map(|check| check.name).collect()
    }

    /// How every component is at a time. Of its checks: all down is an outage, some down or degraded is degraded. An
    /// open incident that names it on this page may make it worse than that or than what was set by hand, never better.
    /// Planned work is said as such.
    pub fn components(
        &self,
        checks: &[CheckSeen<'_>],
        incidents: &[Incident],
        now: i64,
    ) -> Vec<ShownComponent> {
        let shown = |(place, component): (usize, &ComponentSpec)| {
            let name = &component.name;
            let work = |work: &&super::MaintenanceSpec| work.components.contains(name) && work.holds(now);
            let state = match self.spec.maintenances.iter().find(work) {
                Some(_) => ComponentState::Maintenance,
                None => {
                    let found = component.state.unwrap_or_else(|| self.checked(place, checks));
                    found.max(self.told(name, incidents))
                }
            };
            ShownComponent {
                name: name.clone(),
                description: component.description.clone(),
                group: component.group.clone(),
                state,
            }
        };
        self.spec.components.iter().enumerate().map(shown).collect()
    }

    /// How everything is: the worst of its components that nobody planned.
    pub fn overall(components: &[ShownComponent]) -> ComponentState {
        let states = || components.iter().map(|component| component.state);
        let worst = states().filter(|state| *state != ComponentState::Maintenance).max();
        match worst.unwrap_or(ComponentState::Operational) {
            ComponentState::Operational if states().any(|state| state == ComponentState::Maintenance) => {
                ComponentState::Maintenance
            }
            worst => worst,
        }
    }

    fn takes(&self, place: usize, check: &CheckSeen<'_>) -> bool {
        let named = self
            .spec
            .components
            .get(place)
            .is_some_and(|component| component.checks.iter().any(|name| name == check.name));
        let matchers = self.matchers.get(place).filter(|matchers| !matchers.is_empty());
        named || matchers.is_some_and(|matchers| matchers.iter().all(|one| one.matches(check.labels)))
    }

    fn checked(&self, place: usize, checks: &[CheckSeen<'_>]) -> ComponentState {
        let mine =
            || checks.iter().filter(|check| self.takes(place, check) && check.state != CheckState::Unknown);
        let down = mine().filter(|check| check.state == CheckState::Down).count();
        match down {
            0 if mine().any(|check| check.state == CheckState::Degraded) => ComponentState::Degraded,
            0 => ComponentState::Operational,
            down if down == mine().count() => ComponentState::Outage,
            _ => ComponentState::Degraded,
        }
    }

    fn told(&self, name: &String, incidents: &[Incident]) -> ComponentState {
        let open = incidents.iter().filter(|incident| incident.status != IncidentStatus::Resolved);
        let here = open.filter_map(|incident| incident.publication.as_ref());
        let mine = here.filter(|public| public.page == self.name && public.components.contains(name));
        let state = |impact| match impact {
            Impact::None => ComponentState::Operational,
            Impact::Degraded => ComponentState::Degraded,
            Impact::Outage => ComponentState::Outage,
        };
        mine.map(|public| state(public.impact)).max().unwrap_or(ComponentState::Operational)
    }
}
