//! Filling a batch: columns that stay in step, texts that fit beside the body, and a way back when a
//! series turns out to be bad.

use std::sync::Arc;

use model::{
    Exemplar, FloatHistogram, InvalidLabels, LabelSpan, Labels, MetricBatch, Point, SeriesRow, Span,
};

/// Longest label set of an exemplar, in characters of names and values: OpenMetrics' limit.
const EXEMPLAR_CHARS_MAX: usize = 128;
/// Longest help text kept, in bytes.
const HELP_BYTES_MAX: usize = 1024;

/// Adds a float sample, keeping the start column in step.
#[inline]
pub(crate) fn push_point(batch: &mut MetricBatch, point: Point, start_ms: i64) {
    push_start(&mut batch.starts_ms, batch.points.len(), start_ms);
    batch.points.push(point);
}

/// Adds a histogram sample, keeping the start column in step.
pub(crate) fn push_histogram(batch: &mut MetricBatch, t_ms: i64, histogram: FloatHistogram, start_ms: i64) {
    push_shared_histogram(batch, t_ms, Arc::new(histogram), start_ms);
}

/// The same for one that exists already.
pub(crate) fn push_shared_histogram(
    batch: &mut MetricBatch,
    t_ms: i64,
    histogram: Arc<FloatHistogram>,
    start_ms: i64,
) {
    push_start(&mut batch.histogram_starts_ms, batch.histograms.len(), start_ms);
    batch.histograms.push((t_ms, histogram));
}

/// The start column stays empty until the first known start.
#[inline]
fn push_start(starts: &mut Vec<i64>, before: usize, start_ms: i64) {
    if start_ms != 0 || !starts.is_empty() {
        starts.resize(before, 0);
        starts.push(start_ms);
    }
}

/// Gives a start to every sample of the last row that has none of its own.
pub(crate) fn fill_starts(batch: &mut MetricBatch, start_ms: i64) {
    let Some(row) = batch.series.last() else { return };
    let fill = |starts: &mut Vec<i64>, range: std::ops::Range<u32>, len: usize| {
        if !range.is_empty() {
            starts.resize(len, 0);
            for start in &mut starts[range.start as usize..range.end as usize] {
                if *start == 0 {
                    *start = start_ms;
                }
            }
        }
    };
    fill(&mut batch.starts_ms, row.points.clone(), batch.points.len());
    fill(&mut batch.histogram_starts_ms, row.histograms.clone(), batch.histograms.len());
}

/// Begins a row without labels; they are pushed to the batch by the caller, then the samples.
#[inline]
pub(crate) fn begin(batch: &MetricBatch, index: u32) -> SeriesRow {
    let (labels, points) = (batch.labels.len() as u32, batch.points.len() as u32);
    let (histograms, exemplars) = (batch.histograms.len() as u32, batch.exemplars.len() as u32);
    SeriesRow {
        index,
        labels: labels..labels,
        points: points..points,
        histograms: histograms..histograms,
        exemplars: exemplars..exemplars,
    }
}

/// Ends a row: everything pushed since it began is its own.
#[inline]
pub(crate) fn end(batch: &mut MetricBatch, mut row: SeriesRow) {
    row.labels.end = batch.labels.len() as u32;
    batch.end_series(row);
}

/// Takes back everything pushed since a row began.
pub(crate) fn undo(batch: &mut MetricBatch, row: &SeriesRow) {
    batch.labels.truncate(row.labels.start as usize);
    batch.points.truncate(row.points.start as usize);
    batch.starts_ms.truncate(row.points.start as usize);
    batch.histograms.truncate(row.histograms.start as usize);
    batch.histogram_starts_ms.truncate(row.histograms.start as usize);
    batch.exemplars.truncate(row.exemplars.start as usize);
}

/// True when a row begun here has neither samples nor exemplars yet.
#[inline]
pub(crate) fn is_bare(batch: &MetricBatch, row: &SeriesRow) -> bool {
    batch.points.len() == row.points.start as usize
        && batch.histograms.len() == row.histograms.start as usize
        && batch.exemplars.len() == row.exemplars.start as usize
}

/// Texts of a batch under construction: the body, and behind it what had to be made. Spans of both kinds
/// stay valid when [`Texts::finish`] joins the two.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    body: &'a [u8],
    made: Vec<u8>,
}

impl<'a> Texts<'a> {
    /// Over a body that its reader has found small enough for spans.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, made: Vec::new() }
    }

    /// Copies a text. Texts beyond what a span can address come back empty, which no bounded body reaches.
    pub(crate) fn push(&mut self, text: &[u8]) -> Span {
        self.join(&[text])
    }

    /// Copies several texts as one.
    pub(crate) fn join(&mut self, texts: &[&[u8]]) -> Span {
        let start = self.body.len() + self.made.len();
        let len: usize = texts.iter().map(|t| t.len()).sum();
        if start + len > u32::MAX as usize {
            return Span::default();
        }
        for text in texts {
            self.made.extend_from_slice(text);
        }
        Span { start: start as u32, len: len as u32 }
    }

    /// Makes a text in place. Nothing of it stays where `write` fails.
    pub(crate) fn make<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Span, E> {
        let before = self.made.len();
        let result = write(&mut self.made);
        let (start, end) = (self.body.len() + before, self.body.len() + self.made.len());
        if result.is_err() || end > u32::MAX as usize {
            self.made.truncate(before);
            return result.map(|()| Span::default());
        }
        Ok(Span { start: start as u32, len: (end - start) as u32 })
    }

    /// Bytes made so far.
    pub(crate) fn made(&self) -> usize {
        self.made.len()
    }

    /// The same text in UTF-8: itself, or a copy in which what is not UTF-8 is replaced.
    #[inline]
    pub(crate) fn utf8(&mut self, span: Span) -> Span {
        match std::str::from_utf8(self.of(span)) {
            Ok(_) => span,
            Err(_) => {
                let text = String::from_utf8_lossy(self.of(span)).into_owned();
                self.push(text.as_bytes())
            }
        }
    }

    /// The bytes of a span.
    pub(crate) fn of(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        match start.checked_sub(self.body.len()) {
            None => span.of(self.body),
            Some(at) => self.made.get(at..at + span.len as usize).unwrap_or(&[]),
        }
    }

    /// What goes behind the body.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.made
    }
}

/// How much text a request may make us copy for exemplars and metadata: a small multiple of the body, so
/// that a table of symbols cannot be blown up by references.
#[derive(Debug)]
pub(crate) struct CopyBudget(usize);

impl CopyBudget {
    /// For a body of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(2 * bytes + (64 << 10))
    }

    /// Takes bytes; false when there are not that many left.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// How many labels a request may stand for. A point with many buckets repeats its labels for each, so their
/// product needs a bound; real histograms stay below two labels per byte of the request. The texts of those
/// labels count as well, since whoever hashes a series must read them.
#[derive(Debug)]
pub(crate) struct LabelBudget {
    labels: usize,
    text: usize,
}

impl LabelBudget {
    /// For a body of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { labels: 4 * bytes + (1 << 16), text: 512 * bytes + (16 << 20) }
    }

    /// Takes `rows` series with these labels and at most two more each; false when that is too many.
    pub(crate) fn take(&mut self, rows: usize, labels: &[LabelSpan]) -> bool {
        let text: usize = labels.iter().map(|l| l.name.len as usize + l.value.len as usize).sum();
        let labels = self.labels.checked_sub(rows.saturating_mul(labels.len() + 2));
        let text = self.text.checked_sub(rows.saturating_mul(text));
        let (Some(labels), Some(text)) = (labels, text) else { return false };
        *self = Self { labels, text };
        true
    }
}

/// The labels of an exemplar, or why it cannot be kept.
pub(crate) fn exemplar_labels<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    budget: &mut CopyBudget,
) -> Result<Labels, String> {
    let mut texts = Vec::new();
    let mut chars = 0;
    for (name, value) in pairs {
        let text = |b: &'a [u8]| {
            if b.len() > 4 * EXEMPLAR_CHARS_MAX {
                return Err(too_long());
            }
            std::str::from_utf8(b).map_err(|_| format!("{} is not UTF-8", crate::decoded::shown(b)))
        };
        let (name, value) = (text(name)?, text(value)?);
        chars += name.chars().count() + value.chars().count();
        if chars > EXEMPLAR_CHARS_MAX {
            return Err(too_long());
        }
        texts.push((name, value));
    }
    if !budget.take(texts.iter().map(|(n, v)| n.len() + v.len()).sum()) {
        return Err("the exemplars of this request repeat too much text".into());
    }
    Labels::from_pairs(texts).map_err(|error: InvalidLabels| error.to_string())
}

fn too_long() -> String {
    format!("labels of an exemplar may have {EXEMPLAR_CHARS_MAX} characters; shorten or drop them")
}

/// A help text, unit or family name fit for storage: valid UTF-8 of bounded length.
pub(crate) fn metadata_text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(HELP_BYTES_MAX)]).into_owned();
    if bytes.len() > HELP_BYTES_MAX {
        // The cut may have gone through a character, which then ends as a replacement.
        while text.ends_with('\u{fffd}') {
            text.pop();
        }
    }
    text
}

/// Adds an exemplar.
pub(crate) fn push_exemplar(batch: &mut MetricBatch, t_ms: i64, value: f64, labels: Labels) {
    batch.exemplars.push(Exemplar { t_ms, value, labels });
}

/// Adds a label from two spans.
#[inline]
pub(crate) fn push_label(batch: &mut MetricBatch, name: Span, value: Span) {
    batch.labels.push(LabelSpan { name, value });
}
