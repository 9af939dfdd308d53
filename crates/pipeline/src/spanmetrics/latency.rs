//! Classic histograms: cumulative buckets, with the last trace that fell into each as its exemplar.

use std::fmt::Write;

use model::{Exemplar, MetricBatch};

use super::table::{Labels, sample};

/// One histogram.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Counts by bucket, not cumulative, the last one for what is above all bounds.
    counts: Vec<u64>,
    /// The last observation of each bucket since the last drain.
    latest: Vec<Option<Observation>>,
    sum: f64,
}

/// One duration, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) t_ms: i64,
    pub(super) seconds: f64,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
}

impl Latency {
    /// Counts one duration. The bounds are the same every time.
    pub(super) fn observe(&mut self, bounds: &[f64], observation: Observation) {
        self.counts.resize(bounds.len() + 1, 0);
        self.latest.resize(bounds.len() + 1, None);
        let bucket = bounds.partition_point(|bound| *bound < observation.seconds);
        self.counts[bucket] += 1;
        self.sum += observation.seconds;
        self.latest[bucket] = Some(observation);
    }

    /// Writes `_bucket`, `_sum` and `_count`; a histogram that saw nothing is left out.
    pub(super) fn push(
        &mut self,
        batch: &mut MetricBatch,
        name: &str,
        labels: &Labels<'_>,
        bounds: &[f64],
        now_ms: i64,
    ) {
        if self.counts.is_empty() {
            return;
        }
        let bucket_name = format!("{name}_bucket");
        let mut total = 0;
        for (i, count) in self.counts.iter().enumerate() {
            total += count;
            let le = bounds.get(i).map_or("+Inf".to_owned(), f64::to_string);
            let exemplar = self.latest[i].take().and_then(exemplar);
            sample(batch, (&bucket_name, labels, Some(("le", &le))), total as f64, now_ms, exemplar);
        }
        sample(batch, (&format!("{name}_sum"), labels, None), self.sum, now_ms, None);
        sample(batch, (&format!("{name}_count"), labels, None), total as f64, now_ms, None);
    }
}

fn exemplar(observation: Observation) -> Option<Exemplar> {
    let Observation { t_ms, seconds: value, trace_id, span_id } = observation;
    let (trace_id, span_id) = (hex(&trace_id), hex(&span_id));
    let labels = model::Labels::from_pairs([("trace_id", trace_id.as_str()), ("span_id", span_id.as_str())]);
    Some(Exemplar { t_ms, value, labels: labels.ok()? })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
