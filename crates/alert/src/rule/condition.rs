//! What people write as a condition. One shape for all types of rules; which fields a type takes is checked where it
//! is compiled.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::anomaly::Direction;
use super::operator::Operator;
use crate::severity::Severity;
use crate::span::Span;

/// When a rule fires. Either `metric` or `query` says what is looked at, except for a part of `all`, `any` or `not`, or
/// where the rule's type says it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Condition {
    /// A metric's name, or a selector such as `node_load1{job="node"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Labels that the metric must have, with `metric` given as a name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, String>,
    /// A query in `language`. A SQL statement gives its figure in the column `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What `query` is written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Which records a search looks at: `logs` unless given, or `traces`, `events`, `errors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What is made of the values of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
    /// Which field of the records a search aggregates; they are counted unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How far back is looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// One alert for each value of these labels.
    #[serde(alias = "group_by", skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// How the value compares with the threshold; `>` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,
    /// The value from which on the rule fires, with the rule's severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Several, each with a severity of its own, instead of `threshold`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Step>,
    /// An alert that fires ends only when the value no longer compares so with this one either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover: Option<f64>,
    /// Compare the difference to an earlier time, not the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// How long it must hold before the rule fires; the same as the rule's own `for`.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// All of these. Parts are matched on the labels that they share; the first one's labels are the alert's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<Condition>,
    /// Any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<Condition>,
    /// Not this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Condition>>,
    /// Another rule that fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Of this service only (error rate, performance).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of this operation only (error rate, performance).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// A health check's name (downtime); all checks unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// How many deviations from what is usual count as a breach (anomaly); 4 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<f64>,
    /// How far back what is usual is learned from (anomaly).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Span>,
    /// Whether hours of the day are compared with the same hours (anomaly).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<Season>,
    /// Which side of what is usual counts (anomaly); both unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The share of good events that was promised, such as 0.999 (SLO).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<f64>,
    /// Selector of the counter of bad events (SLO, error rate).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<String>,
    /// Selector of the counter of all events (SLO, error rate).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// Over how long it was promised (SLO); 30 days unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Span>,
}

/// A threshold with a severity of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How bad it is from there on.
    pub severity: Severity,
    /// From where on.
    pub value: f64,
}

/// What a query is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Metrics.
    #[default]
    PromQl,
    /// Records, as the search field takes it.
    Search,
    /// Any table.
    Sql,
}

/// What is made of the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// The newest.
    Last,
    /// The mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The sum.
    Sum,
    /// How many.
    Count,
    /// What a counter rises by each second.
    Rate,
    /// What a counter rose by.
    Increase,
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
}

/// A comparison with an earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// How much earlier.
    pub offset: Span,
    /// What is compared with the threshold.
    #[serde(rename = "as", default, skip_serializing_if = "CompareAs::is_percent")]
    pub how: CompareAs,
}

impl CompareAs {
    // What may be left out is left out, so that what is read and what is written have one schema.
    fn is_percent(&self) -> bool {
        *self == Self::Percent
    }
}

/// What of a comparison with an earlier time counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompareAs {
    /// Now less then.
    Difference,
    /// By how many percent it changed.
    #[default]
    Percent,
    /// Now divided by then.
    Ratio,
}

/// What repeats itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Season {
    /// Nothing.
    #[default]
    None,
    /// The day.
    Daily,
    /// The week.
    Weekly,
}
