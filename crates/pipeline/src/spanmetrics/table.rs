//! Series by the values of their labels, and how they are written.

use hashbrown::HashMap;
use model::{METRIC_NAME, MetricBatch, Point};

/// The label value of what is too many to have its own.
pub(super) const OVERFLOW: &str = "overflow";

/// Longest value of a label; span names have no limit of their own.
const VALUE_BYTES_MAX: usize = 256;

/// One combination of label values.
#[derive(Debug)]
pub(super) struct Series<const N: usize, T> {
    names: [&'static str; N],
    values: [String; N],
    /// When the first of what it counts happened, milliseconds.
    start_ms: i64,
    /// Whether it was counted since the last expiry, and the time of the last one before which it was.
    fresh: bool,
    seen_ms: i64,
    pub(super) data: T,
}

/// What a sample needs of its series.
pub(super) struct Labels<'s> {
    names: &'s [&'static str],
    values: &'s [String],
    start_ms: i64,
}

impl<const N: usize, T> Series<N, T> {
    /// The labels beside the data.
    pub(super) fn split(&mut self) -> (Labels<'_>, &mut T) {
        let Self { names, values, start_ms, data, .. } = self;
        (Labels { names, values, start_ms: *start_ms }, data)
    }
}

/// A bounded number of series.
#[derive(Debug)]
pub(super) struct Table<const N: usize, T> {
    names: [&'static str; N],
    max: usize,
    /// By the values, which a byte that UTF-8 does not have keeps apart.
    series: HashMap<Vec<u8>, Series<N, T>>,
    key: Vec<u8>,
}

impl<const N: usize, T: Default> Table<N, T> {
    pub(super) fn new(names: [&'static str; N], max: usize) -> Self {
        Self { names, max, series: HashMap::new(), key: Vec::new() }
    }

    /// The series of these values, or of `overflow` where there are too many. The values of `overflow` come
    /// from small sets, so that they need no limit.
    pub(super) fn entry(&mut self, values: [&str; N], overflow: [&str; N], t_ms: i64) -> &mut T {
        let mut values = values.map(cut);
        self.set_key(values);
        if self.series.len() >= self.max && !self.series.contains_key(&self.key) {
            values = overflow;
            self.set_key(values);
        }
        let names = self.names;
        let series = self.series.entry_ref(self.key.as_slice()).or_insert_with(|| Series {
            names,
            values: values.map(str::to_owned),
            start_ms: t_ms,
            fresh: true,
            seen_ms: 0,
            data: T::default(),
        });
        series.fresh = true;
        &mut series.data
    }

    fn set_key(&mut self, values: [&str; N]) {
        self.key.clear();
        for value in values {
            self.key.extend_from_slice(value.as_bytes());
            self.key.push(0xff);
        }
    }

    /// Forgets series that were not counted for so long.
    pub(super) fn expire(&mut self, now_ms: i64, idle_ms: i64) {
        self.series.retain(|_, series| {
            if std::mem::take(&mut series.fresh) {
                series.seen_ms = now_ms;
            }
            now_ms.saturating_sub(series.seen_ms) <= idle_ms
        });
    }

    /// All series, by their values.
    pub(super) fn sorted(&mut self) -> Vec<&mut Series<N, T>> {
        let mut sorted: Vec<_> = self.series.values_mut().collect();
        sorted.sort_unstable_by(|a, b| a.values.cmp(&b.values));
        sorted
    }
}

/// The beginning of a value, at a character's end.
fn cut(value: &str) -> &str {
    let mut end = value.len().min(VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// Writes one sample of a count.
pub(super) fn counter(batch: &mut MetricBatch, name: &str, labels: &Labels<'_>, value: f64, now_ms: i64) {
    sample(batch, (name, labels, None), value, now_ms, None);
}

/// Writes one sample, perhaps with one more label and an exemplar.
pub(super) fn sample(
    batch: &mut MetricBatch,
    (name, labels, extra): (&str, &Labels<'_>, Option<(&str, &str)>),
    value: f64,
    now_ms: i64,
    exemplar: Option<model::Exemplar>,
) {
    let own = labels.names.iter().zip(labels.values).map(|(name, value)| (*name, value.as_str()));
    // An empty label is none.
    let own = own.filter(|(_, value)| !value.is_empty());
    let row = batch.begin_series([(METRIC_NAME, name)].into_iter().chain(own).chain(extra));
    batch.points.push(Point { t_ms: now_ms, value });
    // A sender's clock may be ahead.
    batch.starts_ms.push(labels.start_ms.min(now_ms));
    batch.exemplars.extend(exemplar);
    batch.end_series(row);
}
