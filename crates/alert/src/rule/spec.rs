//! The whole of a rule: what the API, the page and files hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::compile::{Compiled, Invalid, LIST_MAX};
use super::condition::Condition;
use crate::severity::{Priority, Severity};
use crate::span::Span;
use crate::state::Policy;

/// Seconds without a second alert for the same labels, unless given.
const COOLDOWN_SECONDS: u64 = 300;
/// Longest cooldown, in seconds: a week.
const COOLDOWN_SECONDS_MAX: u64 = 7 * 86_400;
/// How often a rule is evaluated unless given.
pub(crate) const INTERVAL: Span = Span::seconds(30);
/// Bytes of one text.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A rule, without its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleSpec {
    /// What it looks at.
    #[serde(rename = "type")]
    pub kind: RuleType,
    /// How bad it is; `warning` unless this or `priority` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// How soon it is delivered; follows from the severity unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// When it fires.
    pub condition: Condition,
    /// Whom it tells, beside what the routes say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelRef>,
    /// Seconds after an alert in which the same labels do not fire again; 300 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<u64>,
    /// False keeps it from being evaluated.
    #[serde(default = "yes", alias = "is_active")]
    pub is_active: bool,
    /// How often it is evaluated; 30 s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// How long its condition must hold before it fires.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// How long it goes on firing after its condition holds no more.
    #[serde(default, alias = "keep_firing_for", skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// What it means when nothing is there to be looked at; `ok` unless given.
    #[serde(default, alias = "no_data", skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoData>,
    /// Makes an alert worse that nobody acknowledges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Escalate>,
    /// The escalation policy that calls people: an incident is opened for its alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
    /// Put on its alerts. Values are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Shown with its alerts. Values are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What is wrong when it fires, for whoever is woken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What to do: a runbook's name, or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

fn yes() -> bool {
    true
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleType {
    /// A figure against thresholds.
    Threshold,
    /// What is unusual against the past.
    #[serde(alias = "anomaly_detection")]
    Anomaly,
    /// The share of failed calls, in percent.
    ErrorRate,
    /// A health check that fails.
    Downtime,
    /// Durations of calls, in seconds.
    Performance,
    /// Nothing where something should be.
    Absence,
    /// Several conditions.
    Composite,
    /// An error budget that burns too fast.
    Slo,
    /// Anything that can be asked.
    Custom,
}

impl RuleType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Threshold,
        Self::Anomaly,
        Self::ErrorRate,
        Self::Downtime,
        Self::Performance,
        Self::Absence,
        Self::Composite,
        Self::Slo,
        Self::Custom,
    ];

    /// The spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Anomaly => "anomaly",
            Self::ErrorRate => "error_rate",
            Self::Downtime => "downtime",
            Self::Performance => "performance",
            Self::Absence => "absence",
            Self::Composite => "composite",
            Self::Slo => "slo",
            Self::Custom => "custom",
        }
    }
}

/// A channel: the name of one that is set up, or one written out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ChannelRef {
    /// A channel by its name.
    Named(String),
    /// A channel of its own.
    Inline(InlineChannel),
}

/// A channel written out where it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InlineChannel {
    /// Its kind, such as `webhook`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
}

impl<'de> Deserialize<'de> for ChannelRef {
    // By hand, since an untagged enum forgets what was wrong with either.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Named(name)),
            object @ Value::Object(_) => {
                InlineChannel::deserialize(object).map(Self::Inline).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("a channel is a name or {\"type\": …, \"config\": {…}}")),
        }
    }
}

/// What it means when nothing is there to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoData {
    /// Nothing is wrong; what fires ends.
    #[default]
    Ok,
    /// What fires goes on firing.
    Keep,
    /// That itself is an alert.
    Alert,
}

/// How an alert becomes worse that nobody acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalate {
    /// After how long, and again after as long.
    pub after: Span,
    /// Straight to this severity; one step at a time unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Severity>,
}

impl RuleSpec {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity.or_else(|| self.priority.map(Priority::severity)).unwrap_or(Severity::Warning)
    }

    /// How soon an alert of a severity is delivered.
    pub fn priority(&self, severity: Severity) -> Priority {
        self.priority.map_or(severity.priority(), |own| own.max(severity.priority()))
    }

    /// Seconds of its cooldown.
    pub fn cooldown_seconds(&self) -> u64 {
        self.cooldown.unwrap_or(COOLDOWN_SECONDS)
    }

    /// How often it is evaluated.
    pub fn interval(&self) -> Span {
        self.interval.unwrap_or(INTERVAL)
    }

    /// How long its condition must hold.
    fn hold(&self) -> Result<Span, Invalid> {
        match (self.hold, self.condition.hold) {
            (Some(own), Some(inner)) if own != inner => {
                Err(Invalid::new("condition.for", "differs from the rule's own for: write one of them"))
            }
            (own, inner) => Ok(own.or(inner).unwrap_or_default()),
        }
    }

    /// What is asked and judged, or what is wrong with the rule.
    pub fn compile(&self) -> Result<(Compiled, Policy), Invalid> {
        self.check()?;
        let compiled = Compiled::of(self.kind, &self.condition)?;
        let policy = Policy {
            severity: self.severity(),
            hold_ms: self.hold()?.millis(),
            keep_firing_ms: self.keep_firing_for.unwrap_or_default().millis(),
            cooldown_ms: Span::seconds(self.cooldown_seconds()).millis(),
            no_data: self.no_data.unwrap_or_default(),
            escalate: self.escalate,
        };
        Ok((compiled, policy))
    }

    fn check(&self) -> Result<(), Invalid> {
        let day = Span::seconds(86_400);
        let rows = [
            ("interval", self.interval, Span::seconds(1), day),
            ("for", self.hold, Span::default(), Span::seconds(30 * 86_400)),
            ("condition.for", self.condition.hold, Span::default(), Span::seconds(30 * 86_400)),
            ("keepFiringFor", self.keep_firing_for, Span::default(), Span::seconds(30 * 86_400)),
            ("escalate.after", self.escalate.map(|e| e.after), Span::seconds(10), Span::seconds(30 * 86_400)),
        ];
        for (field, span, least, most) in rows {
            if let Some(span) = span.filter(|span| *span < least || *span > most) {
                let (span, least, most) = (span.promql(), least.promql(), most.promql());
                return Err(Invalid::new(field, format!("{span} is not between {least} and {most}")));
            }
        }
        if let Some(cooldown) = self.cooldown.filter(|seconds| *seconds > COOLDOWN_SECONDS_MAX) {
            let message = format!("{cooldown} s is more than {COOLDOWN_SECONDS_MAX}, a week");
            return Err(Invalid::new("cooldown", message));
        }
        if self.channels.len() > LIST_MAX {
            return Err(Invalid::new("channels", format!("has more than {LIST_MAX} channels")));
        }
        for (field, texts) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if texts.len() > LIST_MAX {
                return Err(Invalid::new(field, format!("has more than {LIST_MAX} entries")));
            }
            for (name, text) in texts {
                if name.is_empty() || name.len() > 200 || text.len() > TEXT_BYTES_MAX {
                    let message =
                        format!("has a name or a text that is empty or longer than {TEXT_BYTES_MAX} bytes");
                    return Err(Invalid::new(format!("{field}.{name}"), message));
                }
            }
        }
        if self.labels.contains_key("alertname") {
            return Err(Invalid::new("labels.alertname", "is the rule's name: take it out"));
        }
        if self.labels.contains_key("severity") {
            return Err(Invalid::new("labels.severity", "is the rule's severity: write that"));
        }
        let texts = [
            ("description", &self.description),
            ("runbook", &self.runbook),
            ("owner", &self.owner),
            ("escalation", &self.escalation),
        ];
        for (field, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
                return Err(Invalid::new(field, format!("is longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        Ok(())
    }

    /// What is allowed and most likely not meant.
    pub fn warnings(&self) -> Vec<Invalid> {
        let mut warnings = Vec::new();
        let mut warn = |field: &str, message: String| warnings.push(Invalid::new(field, message));
        if self.cooldown == Some(0) {
            warn("cooldown", "0 lets an alert that comes and goes tell people each time".to_owned());
        }
        let hold = self.hold.or(self.condition.hold).unwrap_or_default();
        if hold > Span::default() && hold < self.interval() {
            let (hold, interval) = (hold.promql(), self.interval().promql());
            warn(
                "for",
                format!("{hold} is shorter than the interval {interval}: it lasts at least one of those"),
            );
        }
        let percent = self.kind == RuleType::ErrorRate
            || self.condition.metric.as_deref().is_some_and(|name| name.contains("percent"));
        let values = self.condition.thresholds.iter().map(|step| step.value).chain(self.condition.threshold);
        for value in values {
            if percent && !(0.0..=100.0).contains(&value) {
                warn(
                    "condition.threshold",
                    format!("{value} is no percentage: it will never or always be passed"),
                );
            }
            if value.abs() > 1e15 {
                warn("condition.threshold", format!("{value} is hardly ever reached"));
            }
        }
        if self.severity() >= Severity::Error && self.description.is_none() && self.runbook.is_none() {
            warn("runbook", "is missing: whoever is woken by it should read what to do".to_owned());
        }
        warnings
    }
}
