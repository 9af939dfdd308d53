//! Labels and annotations of alerts: templates in the language of Prometheus.

use std::fmt;

use crate::Labels;
use crate::rule::Invalid;
use crate::template::{
    Dialect, Env, Escape, NoQueries, Queries, RuleData, SampleValue, Template, Templates, Value,
};

/// Templates of a rule's labels and annotations, read once.
#[derive(Clone)]
pub struct Expander {
    labels: Vec<(String, Text)>,
    annotations: Vec<(String, Text)>,
    external_labels: Labels,
    external_url: String,
}

/// A text with its template; plain texts have none.
#[derive(Clone)]
struct Text {
    source: String,
    template: Option<Template>,
}

// Two are the same when they were read from the same texts.
impl PartialEq for Expander {
    fn eq(&self, other: &Self) -> bool {
        let sources = |texts: &[(String, Text)]| -> Vec<(String, String)> {
            texts.iter().map(|(name, text)| (name.clone(), text.source.clone())).collect()
        };
        sources(&self.labels) == sources(&other.labels)
            && sources(&self.annotations) == sources(&other.annotations)
            && self.external_labels == other.external_labels
            && self.external_url == other.external_url
    }
}

impl fmt::Debug for Expander {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expander")
            .field("labels", &self.labels.len())
            .field("annotations", &self.annotations.len())
            .finish_non_exhaustive()
    }
}

impl Expander {
    /// Reads the templates; the error names the label or annotation.
    pub fn new(labels: &Labels, annotations: &Labels, external_url: &str) -> Result<Self, Invalid> {
        let templates = Templates::new(Dialect::Prometheus);
        let read = |field: &str, texts: &Labels| {
            let mut read = Vec::with_capacity(texts.len());
            for (name, source) in texts {
                let field = format!("{field}.{name}");
                let template = match source.contains("{{") {
                    true => Some(
                        templates
                            .parse(&field, source)
                            .map_err(|error| Invalid::new(field.clone(), error.to_string()))?,
                    ),
                    false => None,
                };
                read.push((name.clone(), Text { source: source.clone(), template }));
            }
            Ok::<_, Invalid>(read)
        };
        Ok(Self {
            labels: read("labels", labels)?,
            annotations: read("annotations", annotations)?,
            external_labels: Labels::new(),
            external_url: external_url.to_owned(),
        })
    }

    /// With labels of the server, `$externalLabels`.
    pub fn with_external_labels(self, external_labels: Labels) -> Self {
        Self { external_labels, ..self }
    }

    /// The texts of the labels as written.
    pub fn label_texts(&self) -> Labels {
        self.labels.iter().map(|(name, text)| (name.clone(), text.source.clone())).collect()
    }

    /// The texts of the annotations as written.
    pub fn annotation_texts(&self) -> Labels {
        self.annotations.iter().map(|(name, text)| (name.clone(), text.source.clone())).collect()
    }

    /// Names of labels that are templates, so that their values are not known before an evaluation.
    pub fn templated_labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().filter(|(_, text)| text.template.is_some()).map(|(name, _)| name.as_str())
    }

    /// Labels and annotations of a series, with whoever answers `query`.
    pub fn render(
        &self,
        series: &Labels,
        value: &SampleValue,
        at: i64,
        queries: &dyn Queries,
    ) -> (Labels, Labels) {
        let of = |texts: &[(String, Text)]| self.expand_with(texts, series, value.clone(), at, queries);
        (of(&self.labels), of(&self.annotations))
    }

    pub(super) fn labels(&self, found: &Labels, value: f64) -> Labels {
        self.expand(&self.labels, found, value)
    }

    pub(super) fn annotations(&self, found: &Labels, value: f64) -> Labels {
        self.expand(&self.annotations, found, value)
    }

    fn expand(&self, texts: &[(String, Text)], found: &Labels, value: f64) -> Labels {
        self.expand_with(texts, found, SampleValue::Float(value), 0, &NoQueries)
    }

    fn expand_with(
        &self,
        texts: &[(String, Text)],
        found: &Labels,
        value: SampleValue,
        now_ms: i64,
        queries: &dyn Queries,
    ) -> Labels {
        let data = RuleData {
            labels: found.clone(),
            external_labels: self.external_labels.clone(),
            external_url: self.external_url.clone(),
            value,
        };
        let env = Env { now_ms, external_url: &self.external_url, queries };
        let mut out = Labels::new();
        for (name, text) in texts {
            let text = match &text.template {
                None => text.source.clone(),
                // As Prometheus does: an alert without its text is worse than one with a fault in it.
                Some(template) => template
                    .render(&Value::from(&data), &env, Escape::Text)
                    .unwrap_or_else(|error| format!("<error expanding template: {error}>")),
            };
            out.insert(name.clone(), text);
        }
        out
    }
}
