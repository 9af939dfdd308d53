//! What labels and annotations of a Prometheus rule are rendered with.

use std::sync::Arc;

use super::value::{Object, Value};
use crate::Labels;

/// The Go type of a sample.
pub(super) const SAMPLE: &str = "template.sample";

/// One sample of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With the metric's name under `__name__`.
    pub labels: Labels,
    /// Its value.
    pub value: SampleValue,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram, as Prometheus writes it.
    Histogram(String),
}

impl SampleValue {
    fn value(&self) -> Value {
        match self {
            Self::Float(value) => Value::Float(*value),
            Self::Histogram(text) => Value::from(text.as_str()),
        }
    }
}

impl Sample {
    pub(super) fn value(&self) -> Value {
        let fields = vec![("Labels", Value::from(&self.labels)), ("Value", self.value.value())];
        Value::Object(Arc::new(Object::new(SAMPLE, false, fields)))
    }
}

/// What an alert's labels and annotations see.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleData {
    /// Labels of the alert's series: `.Labels` and `$labels`.
    pub labels: Labels,
    /// Labels of this server: `.ExternalLabels` and `$externalLabels`.
    pub external_labels: Labels,
    /// `.ExternalURL` and `$externalURL`.
    pub external_url: String,
    /// `.Value` and `$value`.
    pub value: SampleValue,
}

impl From<&RuleData> for Value {
    fn from(data: &RuleData) -> Self {
        let fields = vec![
            ("Labels", Self::from(&data.labels)),
            ("ExternalLabels", Self::from(&data.external_labels)),
            ("ExternalURL", Self::from(data.external_url.as_str())),
            ("Value", data.value.value()),
        ];
        // Go has no name for this struct.
        Self::Object(Arc::new(Object::new("struct", false, fields)))
    }
}
