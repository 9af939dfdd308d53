//! Durations over time, as a grid of counts.

use super::latency::Latency;
use super::span::SpanData;

/// What grid to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeatmapSpec {
    /// Where the first column begins, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// How wide a column is, nanoseconds; at least 1.
    pub step_ns: i64,
    /// Columns.
    pub buckets: usize,
    /// Rows.
    pub rows: usize,
}

/// Collects durations; how far the rows reach is known only at the end.
#[derive(Clone, Debug)]
pub struct Heatmap {
    spec: HeatmapSpec,
    all: Vec<Latency>,
    errors: Vec<Latency>,
}

impl Heatmap {
    /// Nothing in it yet.
    pub fn new(spec: HeatmapSpec) -> Self {
        Self {
            spec,
            all: vec![Latency::default(); spec.buckets],
            errors: vec![Latency::default(); spec.buckets],
        }
    }

    /// Counts a span that starts within the grid.
    pub fn add(&mut self, span: &SpanData) {
        let offset = span.start_ns.saturating_sub(self.spec.start_ns);
        if offset < 0 {
            return;
        }
        let bucket = (offset / self.spec.step_ns.max(1)) as usize;
        if bucket < self.spec.buckets {
            self.all[bucket].add(span.duration_ns);
            if span.is_error() {
                self.errors[bucket].add(span.duration_ns);
            }
        }
    }

    /// The lower edges of the rows and the upper one of the last, nanoseconds, evenly spaced by ratio. Without
    /// spans there are none.
    pub fn edges_ns(&self) -> Vec<f64> {
        let middles = || self.all.iter().flat_map(|latency| latency.cells().map(|(middle, _)| middle));
        let (low, high) =
            middles().fold((f64::INFINITY, 0f64), |(low, high), ns| (low.min(ns), high.max(ns)));
        if low.is_infinite() {
            return Vec::new();
        }
        // A little wider than the data, so that the largest lies inside.
        let (low, high) = (low.max(1.0), high.max(1.0) * 1.01);
        let rows = self.spec.rows.max(1);
        let ratio = (high / low).powf(1.0 / rows as f64);
        (0..=rows).map(|row| (low * ratio.powi(row as i32)).round()).collect()
    }

    /// Counts of all spans and of those that ended badly: for every column the counts of its rows, shortest
    /// durations first.
    pub fn counts(&self) -> (Vec<Vec<u64>>, Vec<Vec<u64>>) {
        let edges = self.edges_ns();
        let grid = |latencies: &[Latency]| latencies.iter().map(|one| column(one, &edges)).collect();
        (grid(&self.all), grid(&self.errors))
    }
}

fn column(latency: &Latency, edges: &[f64]) -> Vec<u64> {
    let rows = edges.len().saturating_sub(1);
    let mut counts = vec![0; rows];
    for (ns, count) in latency.cells().filter(|_| rows > 0) {
        let row = edges.partition_point(|edge| *edge <= ns).saturating_sub(1).min(rows - 1);
        counts[row] += count;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::testing::spans;
    use super::*;

    #[test]
    fn every_span_in_range_is_in_one_cell() {
        let mut heatmap = Heatmap::new(HeatmapSpec { start_ns: 100, step_ns: 10, buckets: 2, rows: 3 });
        let rows = "a 1 0 99 5, b 2 0 100 1, c 3 0 109 1000 x server error, d 4 0 110 30, e 5 0 120 1";
        spans(rows).iter().for_each(|span| heatmap.add(span));
        let edges = heatmap.edges_ns();
        assert_eq!(edges.len(), 4);
        assert!(edges.is_sorted(), "{edges:?}");
        let (counts, errors) = heatmap.counts();
        assert_eq!(counts, [[1, 0, 1], [0, 1, 0]]);
        assert_eq!(errors, [[0, 0, 1], [0, 0, 0]]);
        let empty = Heatmap::new(HeatmapSpec { start_ns: 0, step_ns: 1, buckets: 2, rows: 3 });
        assert!(empty.edges_ns().is_empty());
        assert_eq!(empty.counts().0, [[0u64; 0]; 2]);
    }
}
