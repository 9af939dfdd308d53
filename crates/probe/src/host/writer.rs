//! Values to series: the labels that every series of a collection shares are stored once.

use std::collections::HashSet;
use std::fmt::Display;

use model::{LabelSpan, Metadata, MetricBatch, MetricType, Point, SeriesRow, Span};

/// Metric, help, and how its value is read from a `T`.
pub(super) type Gauge<T> = (&'static str, &'static str, fn(&T) -> f64);

/// Appends series of one job at one instant.
pub(super) struct Writer<'a> {
    batch: &'a mut MetricBatch,
    t_ms: i64,
    job: LabelSpan,
    instance: LabelSpan,
    name_label: Span,
    family: Span,
    describe: bool,
    described: HashSet<String>,
}

impl<'a> Writer<'a> {
    /// A writer into the batch; with `describe` each family also gets its metadata.
    pub(super) fn new(
        batch: &'a mut MetricBatch,
        t_ms: i64,
        job: &str,
        instance: &str,
        describe: bool,
    ) -> Self {
        let mut label = |name: &str, value: &str| LabelSpan {
            name: batch.push_text(name.as_bytes()),
            value: batch.push_text(value.as_bytes()),
        };
        let (job, instance) = (label("job", job), label("instance", instance));
        let name_label = batch.push_text(model::METRIC_NAME.as_bytes());
        let described = HashSet::new();
        Self { batch, t_ms, job, instance, name_label, family: Span::default(), describe, described }
    }

    /// The instant of this collection, milliseconds since the epoch.
    pub(super) fn t_ms(&self) -> i64 {
        self.t_ms
    }

    /// Names the metric of the samples that follow.
    pub(super) fn family(&mut self, name: &str, kind: MetricType, help: impl Display) {
        self.family = self.batch.push_text(name.as_bytes());
        if self.describe && !self.described.contains(name) {
            self.described.insert(name.into());
            let help = help.to_string();
            self.batch.metadata.push(Metadata { metric: name.into(), kind, unit: String::new(), help });
        }
    }

    /// A sample of the current metric. Empty values are as good as absent.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let first = self.batch.labels.len() as u32;
        self.batch.labels.push(LabelSpan { name: self.name_label, value: self.family });
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            let name = self.batch.push_text(name.as_bytes());
            let value = self.batch.push_text(value.as_bytes());
            self.batch.labels.push(LabelSpan { name, value });
        }
        self.batch.labels.extend([self.instance, self.job]);
        let row = SeriesRow {
            index: self.batch.series.len() as u32,
            labels: first..self.batch.labels.len() as u32,
            points: self.batch.points.len() as u32..0,
            histograms: self.batch.histograms.len() as u32..0,
            exemplars: self.batch.exemplars.len() as u32..0,
        };
        self.batch.points.push(Point { t_ms: self.t_ms, value });
        if !self.batch.starts_ms.is_empty() {
            self.batch.starts_ms.push(0);
        }
        self.batch.end_series(row);
    }

    /// A gauge without labels of its own.
    pub(super) fn gauge(&mut self, name: &str, help: impl Display, value: f64) {
        self.family(name, MetricType::Gauge, help);
        self.sample(&[], value);
    }

    /// A counter without labels of its own.
    pub(super) fn counter(&mut self, name: &str, help: impl Display, value: f64) {
        self.family(name, MetricType::Counter, help);
        self.sample(&[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every series of a batch as `name{label="value"} value`, sorted, without job and instance.
    fn lines(batch: &MetricBatch) -> Vec<String> {
        let text = |span: Span| std::str::from_utf8(span.of(&batch.text)).expect("UTF-8").to_owned();
        let mut lines: Vec<String> = batch
            .series
            .iter()
            .map(|row| {
                let spans = &batch.labels[row.labels.start as usize..row.labels.end as usize];
                let pairs: Vec<(String, String)> =
                    spans.iter().map(|l| (text(l.name), text(l.value))).collect();
                let own = pairs.iter().filter(|(n, _)| n != "job" && n != "instance");
                let labels = model::Labels::from_pairs(own.map(|(n, v)| (n.as_str(), v.as_str())));
                let value = batch.points[row.points.start as usize].value;
                format!("{} {value}", labels.expect("unique labels"))
            })
            .collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn series_carry_job_and_instance_and_metadata_once() {
        let mut batch = MetricBatch::default();
        let mut writer = Writer::new(&mut batch, 5, "node", "host", true);
        for device in ["a", "b"] {
            writer.family("x_total", MetricType::Counter, "Help.");
            writer.sample(&[("device", device), ("empty", "")], 1.0);
        }
        assert_eq!(lines(&batch), ["x_total{device=\"a\"} 1", "x_total{device=\"b\"} 1"]);
        assert_eq!(batch.metadata.len(), 1);
        assert_eq!(batch.points[0].t_ms, 5);
        assert_eq!(batch.labels.len(), 8);
    }
}
