//! One decoded write of metrics, on its way from a decoder to the store.
//!
//! A known series must cost a hash and a look-up, so nothing here owns a label: `text` holds the request's
//! (decompressed) body followed by whatever texts the decoder had to make itself, and everything else
//! points into it. All buffers are flat and can be reused.

use std::ops::Range;
use std::sync::Arc;

use crate::{Exemplar, FloatHistogram, Metadata, Point};

/// A piece of [`MetricBatch::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// The bytes it stands for; empty when it points outside.
    pub fn of(self, text: &[u8]) -> &[u8] {
        let start = self.start as usize;
        text.get(start..start + self.len as usize).unwrap_or(&[])
    }
}

/// One label, as two pieces of text. Not yet known to be UTF-8, sorted or unique: the store checks a series
/// when it meets it for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelSpan {
    /// The name.
    pub name: Span,
    /// The value.
    pub value: Span,
}

/// One series of a batch with its samples. Ranges point into the batch's columns.
#[derive(Clone, Debug, Default)]
pub struct SeriesRow {
    /// Position in the request for refusals, as the protocol counts.
    pub index: u32,
    /// Its labels, into [`MetricBatch::labels`].
    pub labels: Range<u32>,
    /// Its float samples, into [`MetricBatch::points`].
    pub points: Range<u32>,
    /// Its histogram samples, into [`MetricBatch::histograms`].
    pub histograms: Range<u32>,
    /// Its exemplars, into [`MetricBatch::exemplars`].
    pub exemplars: Range<u32>,
}

/// Series with samples, exemplars and metadata, by column.
#[derive(Clone, Debug, Default)]
pub struct MetricBatch {
    /// What the spans point into.
    pub text: Vec<u8>,
    /// Labels of all series, each series' together.
    pub labels: Vec<LabelSpan>,
    /// The series.
    pub series: Vec<SeriesRow>,
    /// Float samples of all series, each series' together, in the order of the request.
    pub points: Vec<Point>,
    /// Start timestamps of `points` (0 where unknown); empty when none has one.
    pub starts_ms: Vec<i64>,
    /// Histogram samples of all series: time and value.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
    /// Start timestamps of `histograms` (0 where unknown); empty when none has one.
    pub histogram_starts_ms: Vec<i64>,
    /// Exemplars of all series.
    pub exemplars: Vec<Exemplar>,
    /// Metadata of metric families, in no order.
    pub metadata: Vec<Metadata>,
}

impl MetricBatch {
    /// Float and histogram samples in all.
    pub fn samples(&self) -> usize {
        self.points.len() + self.histograms.len()
    }

    /// Copies a text to the end of `text` and returns where it is. `text` stays below 4 GiB because bodies
    /// are bounded far below that.
    pub fn push_text(&mut self, text: &[u8]) -> Span {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text);
        Span { start, len: text.len() as u32 }
    }

    /// Adds a series with one float sample from owned texts: for senders that build series themselves
    /// (the host collector, self-metrics, scrapes' `up`).
    pub fn push_float<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>, point: Point) {
        let row = self.begin_series(labels);
        self.points.push(point);
        if !self.starts_ms.is_empty() {
            self.starts_ms.push(0);
        }
        self.end_series(row);
    }

    /// Gives every series further labels, such as the target it came from. The names must be new to them.
    pub fn label_all(&mut self, extra: &[(&str, &str)]) {
        let extra: Vec<LabelSpan> = extra
            .iter()
            .map(|(name, value)| LabelSpan {
                name: self.push_text(name.as_bytes()),
                value: self.push_text(value.as_bytes()),
            })
            .collect();
        let mut labels = Vec::with_capacity(self.labels.len() + extra.len() * self.series.len());
        for row in &mut self.series {
            let first = labels.len() as u32;
            labels.extend_from_slice(&self.labels[row.labels.start as usize..row.labels.end as usize]);
            labels.extend_from_slice(&extra);
            row.labels = first..labels.len() as u32;
        }
        self.labels = labels;
    }

    /// Starts a series: copies its labels and notes where its samples begin.
    pub fn begin_series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> SeriesRow {
        let first = self.labels.len() as u32;
        for (name, value) in labels {
            let name = self.push_text(name.as_bytes());
            let value = self.push_text(value.as_bytes());
            self.labels.push(LabelSpan { name, value });
        }
        SeriesRow {
            index: self.series.len() as u32,
            labels: first..self.labels.len() as u32,
            points: self.points.len() as u32..0,
            histograms: self.histograms.len() as u32..0,
            exemplars: self.exemplars.len() as u32..0,
        }
    }

    /// Ends a series begun with [`Self::begin_series`]: everything pushed since is its own.
    pub fn end_series(&mut self, mut row: SeriesRow) {
        row.points.end = self.points.len() as u32;
        row.histograms.end = self.histograms.len() as u32;
        row.exemplars.end = self.exemplars.len() as u32;
        self.series.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_labels_come_after_a_series_own() {
        let mut batch = MetricBatch::default();
        batch.push_float([("__name__", "a")], Point { t_ms: 0, value: 1.0 });
        batch.push_float([("__name__", "b"), ("x", "y")], Point { t_ms: 0, value: 1.0 });
        batch.label_all(&[("job", "me")]);
        let texts: Vec<Vec<&[u8]>> = batch
            .series
            .iter()
            .map(|row| {
                let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
                labels.iter().map(|l| l.value.of(&batch.text)).collect()
            })
            .collect();
        assert_eq!(texts, [vec![b"a" as &[u8], b"me"], vec![b"b", b"y", b"me"]]);
    }
}
