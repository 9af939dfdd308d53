//! What an evaluation does with samples: alerts with their labels and annotations, series that are recorded, `ALERTS`.
//!
//! The order and the texts of faults are Prometheus' (rules/alerting.go, rules/recording.go). Templates may ask
//! questions of their own; these are collected, answered by the caller, and the template is rendered again, so that
//! nothing here waits.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use model::{MetricBatch, Point, STALE_NAN};
use promql::SampleValue;

use crate::Labels;
use crate::engine::Expander;
use crate::state::{Alert, Phase};
use crate::template::{self, QUERIES_MAX, Queries};

/// The label of a metric's name.
const NAME: &str = "__name__";

/// A series at the time of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With the metric's name under `__name__`.
    pub labels: Labels,
    /// Its value.
    pub value: SampleValue,
}

impl Sample {
    /// The samples of a query's value; a number alone is a sample without labels.
    pub fn of(value: promql::Value) -> Result<Vec<Self>, String> {
        match value {
            promql::Value::Vector(samples) => Ok(samples
                .into_iter()
                .map(|sample| Self { labels: labels_of(&sample.labels), value: sample.value })
                .collect()),
            promql::Value::Scalar(point) => {
                Ok(vec![Self { labels: Labels::new(), value: SampleValue::Float(point.value) }])
            }
            _ => Err("rule result is not a vector or scalar".to_owned()),
        }
    }

    fn number(&self) -> f64 {
        match self.value {
            SampleValue::Float(value) => value,
            SampleValue::Histogram(_) => 0.0,
        }
    }

    fn shown(&self) -> template::SampleValue {
        match &self.value {
            SampleValue::Float(value) => template::SampleValue::Float(*value),
            SampleValue::Histogram(h) => template::SampleValue::Histogram(promql::histogram::to_text(h)),
        }
    }
}

/// Names and values of a series.
pub(crate) fn labels_of(labels: &model::Labels) -> Labels {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What templates see of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// `$externalLabels`.
    pub external_labels: Labels,
    /// `$externalURL`.
    pub external_url: String,
}

/// Answers to questions of templates, by expression.
pub type Answers = BTreeMap<String, Result<Vec<template::Sample>, String>>;

/// A sample as a template's `query` gives it.
pub(crate) fn template_sample(sample: &Sample) -> template::Sample {
    template::Sample { labels: sample.labels.clone(), value: sample.shown() }
}

/// An alert that an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAlert {
    /// The labels of its series without the name, the rule's own, `alertname`.
    pub labels: Labels,
    /// Its annotations, rendered with the value of now.
    pub annotations: Labels,
    /// The value; 0 for a histogram.
    pub value: f64,
}

/// Why there are no alerts.
#[derive(Clone, Debug, PartialEq)]
pub enum Lacking {
    /// Templates ask these: answer them and repeat.
    Answers(BTreeSet<String>),
    /// The rule cannot be evaluated.
    Fault(String),
}

/// Answers what is known and notes what is not.
struct Noting<'a> {
    known: &'a Answers,
    missing: RefCell<BTreeSet<String>>,
}

impl Queries for Noting<'_> {
    fn query(&self, expression: &str) -> Result<Vec<template::Sample>, String> {
        if let Some(answer) = self.known.get(expression) {
            return answer.clone();
        }
        if self.known.len() + self.missing.borrow().len() >= ASKED_MAX {
            return Err(format!("the rule's templates ask more than {ASKED_MAX} different queries"));
        }
        self.missing.borrow_mut().insert(expression.to_owned());
        Err("not answered yet".to_owned())
    }
}

/// Different questions that the templates of one rule ask in one evaluation.
const ASKED_MAX: usize = 20 * QUERIES_MAX;

/// The alerts of a rule, each set of labels once.
pub fn found(
    name: &str,
    templates: &Expander,
    samples: &[Sample],
    at: i64,
    answers: &Answers,
) -> Result<Vec<FoundAlert>, Lacking> {
    let noting = Noting { known: answers, missing: RefCell::default() };
    let mut alerts = Vec::with_capacity(samples.len());
    let mut seen = BTreeSet::new();
    for sample in samples {
        let (own, annotations) = templates.render(&sample.labels, &sample.shown(), at, &noting);
        let mut labels = sample.labels.clone();
        labels.remove(NAME);
        labels.extend(own);
        labels.insert("alertname".to_owned(), name.to_owned());
        labels.retain(|_, value| !value.is_empty());
        if noting.missing.borrow().is_empty() && !seen.insert(labels.clone()) {
            let text = "vector contains metrics with the same labelset after applying alert labels";
            return Err(Lacking::Fault(text.to_owned()));
        }
        alerts.push(FoundAlert { labels, annotations, value: sample.number() });
    }
    let missing = noting.missing.into_inner();
    if missing.is_empty() { Ok(alerts) } else { Err(Lacking::Answers(missing)) }
}

/// The series that a rule records: its name and labels over those of the samples, each set once.
pub fn recorded(name: &str, labels: &Labels, samples: Vec<Sample>) -> Result<Vec<Sample>, String> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(samples.len());
    for mut sample in samples {
        sample.labels.insert(NAME.to_owned(), name.to_owned());
        sample.labels.extend(labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        sample.labels.retain(|_, value| !value.is_empty());
        if !seen.insert(sample.labels.clone()) {
            return Err(
                "vector contains metrics with the same labelset after applying rule labels".to_owned()
            );
        }
        out.push(sample);
    }
    Ok(out)
}

/// What is written of the alerts of a rule that pend or fire. `more` are labels beside the alert's own, such as our
/// severity.
pub fn alert_series<'a>(alerts: impl IntoIterator<Item = (&'a Alert, Labels)>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (alert, more) in alerts {
        let state = match alert.phase {
            Phase::Pending => "pending",
            Phase::Firing => "firing",
            Phase::Resolved => continue,
        };
        let mut labels = alert.labels.clone();
        labels.extend(more);
        let mut since = labels.clone();
        since.insert(NAME.to_owned(), "ALERTS_FOR_STATE".to_owned());
        labels.insert(NAME.to_owned(), "ALERTS".to_owned());
        labels.insert("alertstate".to_owned(), state.to_owned());
        let active = alert.active_at.div_euclid(1_000) as f64;
        samples.push(Sample { labels, value: SampleValue::Float(1.0) });
        samples.push(Sample { labels: since, value: SampleValue::Float(active) });
    }
    samples
}

/// Samples to be written at a time, and the end of every series of before that has none. `before` is then what was
/// written.
pub fn batch(samples: &[Sample], before: &mut BTreeSet<Labels>, at: i64) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let mut now = BTreeSet::new();
    for sample in samples {
        let labels = sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        match &sample.value {
            SampleValue::Float(value) => batch.push_float(labels, Point { t_ms: at, value: *value }),
            SampleValue::Histogram(histogram) => {
                let row = batch.begin_series(labels);
                batch.histograms.push((at, histogram.clone()));
                batch.end_series(row);
            }
        }
        now.insert(sample.labels.clone());
    }
    for gone in before.difference(&now) {
        let labels = gone.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        batch.push_float(labels, Point { t_ms: at, value: STALE_NAN });
    }
    *before = now;
    batch
}
