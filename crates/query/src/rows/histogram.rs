//! How many rows there are over time, perhaps by the value of a field.

use datafusion::arrow::array::Array;
use datafusion::arrow::buffer::BooleanBuffer;
use hashbrown::HashMap;
use store::rows::{Cost, Slice};

use super::page::times;
use super::view::View;
use super::{Ask, RowReader};
use crate::error::QueryFault;

/// Most buckets of one question.
const BUCKETS_MAX: usize = 10_000;
/// Values that have a series of their own; the others share one.
const SERIES_MAX: usize = 20;
/// Values that are told apart while counting.
const VALUES_MAX: usize = 1000;
const NS_PER_MS: i64 = 1_000_000;

/// Counts over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Start of the first bucket, nanoseconds since the Unix epoch, on a whole millisecond.
    pub start_ns: i64,
    /// Width of a bucket, milliseconds.
    pub step_ms: i64,
    /// Number of buckets; as many as were asked for or fewer.
    pub buckets: usize,
    /// Counts by value, most first; one series with an empty name without a field. Rows without the field have
    /// the empty name too; beyond twenty values they are together as `other`.
    pub series: Vec<HistogramSeries>,
    /// All rows.
    pub total: u64,
    /// What was looked at.
    pub cost: Cost,
}

/// Counts of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSeries {
    /// The value.
    pub name: String,
    /// One count a bucket.
    pub counts: Vec<u64>,
}

/// Buckets of equal width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) start_ns: i64,
    pub(super) step_ns: i64,
    pub(super) buckets: usize,
}

impl Grid {
    /// At most `buckets` buckets of whole milliseconds over a range.
    pub(super) fn new(start_ns: i64, end_ns: i64, buckets: usize) -> Self {
        let buckets = buckets.clamp(1, BUCKETS_MAX) as i128;
        let start = i128::from(start_ns.div_euclid(NS_PER_MS)) * i128::from(NS_PER_MS);
        let width = (i128::from(end_ns) - start).max(1);
        let ms = i128::from(NS_PER_MS);
        let step = div_up(div_up(width, buckets), ms) * ms;
        Self {
            start_ns: i64::try_from(start).unwrap_or(i64::MIN),
            step_ns: i64::try_from(step).unwrap_or(i64::MAX),
            buckets: div_up(width, step) as usize,
        }
    }

    /// The bucket of an instant inside the range.
    pub(super) fn bucket(&self, time_ns: i64) -> usize {
        let offset = i128::from(time_ns) - i128::from(self.start_ns);
        ((offset / i128::from(self.step_ns)).max(0) as usize).min(self.buckets - 1)
    }
}

/// Divides positive numbers, rounding up.
fn div_up(a: i128, b: i128) -> i128 {
    (a + b - 1) / b
}

type Series = HashMap<String, Vec<u64>>;

impl RowReader {
    /// Counts in at most `buckets` buckets over the range of the question, by the value of a field named as in a
    /// search where one is given.
    pub fn histogram(&self, ask: &Ask, buckets: usize, by: Option<&str>) -> Result<Histogram, QueryFault> {
        let grid = Grid::new(ask.start_ns, ask.end_ns, buckets);
        let view = by.map(|name| View::new(name, self.signal()));
        let each = |slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost| {
            let times = times(slice, rows, cost)?;
            let texts = view.as_ref().map(|view| view.read(slice, rows, cost)).transpose()?;
            let mut series = Series::new();
            for (row, time) in times.iter().enumerate() {
                let name = match &texts {
                    Some(texts) if texts.is_valid(row) => texts.value(row),
                    _ => "",
                };
                add(&mut series, name, grid.buckets)[grid.bucket(*time)] += 1;
            }
            Ok(series)
        };
        let (series, cost) = self.over_slices(ask, Series::new, each, |sum, part| {
            for (name, counts) in part {
                let known = add(sum, &name, grid.buckets);
                known.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        })?;
        let series = most(series, by.is_some());
        Ok(Histogram {
            start_ns: grid.start_ns,
            step_ms: grid.step_ns / NS_PER_MS,
            buckets: grid.buckets,
            total: series.iter().flat_map(|series| &series.counts).sum(),
            series: if series.is_empty() && by.is_none() {
                vec![HistogramSeries { name: String::new(), counts: vec![0; grid.buckets] }]
            } else {
                series
            },
            cost,
        })
    }
}

/// Name of what did not get a series of its own.
const OTHER: &str = "other";

fn add<'a>(series: &'a mut Series, name: &str, buckets: usize) -> &'a mut Vec<u64> {
    let name = if series.len() >= VALUES_MAX && !series.contains_key(name) { OTHER } else { name };
    series.entry_ref(name).or_insert_with(|| vec![0; buckets])
}

/// The largest series, and the sum of the others.
fn most(series: Series, grouped: bool) -> Vec<HistogramSeries> {
    let mut series: Vec<_> =
        series.into_iter().map(|(name, counts)| HistogramSeries { name, counts }).collect();
    let sum = |series: &HistogramSeries| series.counts.iter().sum::<u64>();
    series.sort_by(|a, b| sum(b).cmp(&sum(a)).then_with(|| a.name.cmp(&b.name)));
    if grouped && series.len() > SERIES_MAX {
        let rest = series.split_off(SERIES_MAX - 1);
        let mut counts = vec![0; rest.first().map_or(0, |series| series.counts.len())];
        for one in rest {
            counts.iter_mut().zip(one.counts).for_each(|(sum, count)| *sum += count);
        }
        series.push(HistogramSeries { name: OTHER.to_owned(), counts });
    }
    series
}
