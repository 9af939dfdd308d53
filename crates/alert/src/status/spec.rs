//! A status page as the API, the page and files hold it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::ComponentState;
use crate::fault::{Fault, check_count, check_line, check_text, shown};
use crate::routing::Matcher;

const COMPONENTS_MAX: usize = 200;
const CHECKS_MAX: usize = 200;
const MATCHERS_MAX: usize = 32;
const MAINTENANCES_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 4_096;

/// A status page, without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusPageSpec {
    /// What stands above it.
    pub title: String,
    /// What stands below that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it shows, in order.
    #[serde(default)]
    pub components: Vec<ComponentSpec>,
    /// Work that was planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenances: Vec<MaintenanceSpec>,
    /// Whether everybody sees it; otherwise members do.
    #[serde(default)]
    pub public: bool,
}

/// A part of what is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentSpec {
    /// What the public calls it.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Under which heading it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How it is, set by hand; what its checks find counts for nothing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ComponentState>,
    /// Names of checks that tell how it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// Further checks by their labels: conditions such as `service="api"` that must all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<String>,
}

/// Work that was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceSpec {
    /// One line.
    pub title: String,
    /// What is done, and what is felt of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// From when: `2030-01-07T09:00:00Z`.
    pub from: String,
    /// Until when.
    pub until: String,
    /// Names of the components that are worked on.
    pub components: Vec<String>,
}

impl MaintenanceSpec {
    /// Whether it goes on.
    pub fn holds(&self, at: i64) -> bool {
        match (moment(&self.from), moment(&self.until)) {
            (Some(from), Some(until)) => (from..until).contains(&at),
            _ => false,
        }
    }
}

impl StatusPageSpec {
    /// Checks what can be checked without knowing other objects.
    pub fn check(&self) -> Result<(), Fault> {
        check_line("title", &self.title, NAME_BYTES_MAX)?;
        check_text("description", self.description.as_deref().unwrap_or(""), TEXT_BYTES_MAX)?;
        check_count("components", self.components.len(), 0, COMPONENTS_MAX)?;
        let mut names = std::collections::BTreeSet::new();
        for (n, component) in self.components.iter().enumerate() {
            let at = format!("components[{n}]");
            component.check(&at)?;
            if !names.insert(component.name.as_str()) {
                return Err(Fault::new(format!("{at}.name"), "stands there twice; rename one"));
            }
        }
        check_count("maintenances", self.maintenances.len(), 0, MAINTENANCES_MAX)?;
        for (n, work) in self.maintenances.iter().enumerate() {
            work.check(&format!("maintenances[{n}]"), &names)?;
        }
        Ok(())
    }
}

impl ComponentSpec {
    fn check(&self, at: &str) -> Result<(), Fault> {
        check_line(&format!("{at}.name"), &self.name, NAME_BYTES_MAX)?;
        check_text(&format!("{at}.description"), self.description.as_deref().unwrap_or(""), TEXT_BYTES_MAX)?;
        if let Some(group) = &self.group {
            check_line(&format!("{at}.group"), group, NAME_BYTES_MAX)?;
        }
        check_count(&format!("{at}.checks"), self.checks.len(), 0, CHECKS_MAX)?;
        for (n, name) in self.checks.iter().enumerate() {
            check_line(&format!("{at}.checks[{n}]"), name, NAME_BYTES_MAX)?;
        }
        check_count(&format!("{at}.matchers"), self.matchers.len(), 0, MATCHERS_MAX)?;
        for (n, text) in self.matchers.iter().enumerate() {
            let wrong = |error: crate::routing::InvalidMatcher| {
                Fault::new(format!("{at}.matchers[{n}]"), error.to_string())
            };
            Matcher::parse(text).map_err(wrong)?;
        }
        Ok(())
    }
}

impl MaintenanceSpec {
    fn check(&self, at: &str, names: &std::collections::BTreeSet<&str>) -> Result<(), Fault> {
        check_line(&format!("{at}.title"), &self.title, NAME_BYTES_MAX)?;
        check_text(&format!("{at}.text"), &self.text, TEXT_BYTES_MAX)?;
        let time = |field: &str, text: &str| {
            moment(text).ok_or_else(|| {
                let message = format!("{:?} is no moment; write it like 2030-01-07T09:00:00Z", shown(text));
                Fault::new(format!("{at}.{field}"), message)
            })
        };
        if time("from", &self.from)? >= time("until", &self.until)? {
            return Err(Fault::new(format!("{at}.until"), "is not after `from`; write a later time"));
        }
        check_count(&format!("{at}.components"), self.components.len(), 1, COMPONENTS_MAX)?;
        match self.components.iter().position(|name| !names.contains(name.as_str())) {
            None => Ok(()),
            Some(n) => Err(Fault::new(format!("{at}.components[{n}]"), "is no component of this page")),
        }
    }
}

fn moment(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}
