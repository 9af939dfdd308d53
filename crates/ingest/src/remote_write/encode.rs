//! A batch as `prometheus.WriteRequest`, compressed, for whoever sends on what it collected.

use model::{FloatHistogram, HistogramSpan, MetricBatch, SeriesRow};

use crate::wire::Writer;

/// The body of a remote write 1.0 request: snappy's block format. Exemplars and start times stay behind.
pub fn encode(batch: &MetricBatch) -> Vec<u8> {
    let mut request = Writer::default();
    for row in &batch.series {
        request.message(1, &series(batch, row));
    }
    for metadata in &batch.metadata {
        let mut message = Writer::default();
        let kind = model::MetricType::ALL.iter().position(|kind| *kind == metadata.kind).unwrap_or(0);
        message.varint(1, kind as u64);
        message.bytes(2, metadata.metric.as_bytes());
        message.bytes(4, metadata.help.as_bytes());
        message.bytes(5, metadata.unit.as_bytes());
        request.message(3, &message);
    }
    let mut packed = vec![0; snap::raw::max_compress_len(request.0.len())];
    let length = snap::raw::Encoder::new()
        .compress(&request.0, &mut packed)
        .expect("the buffer has the length that snappy asks for");
    packed.truncate(length);
    packed
}

fn series(batch: &MetricBatch, row: &SeriesRow) -> Writer {
    let mut series = Writer::default();
    let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
    let mut pairs: Vec<(&[u8], &[u8])> =
        labels.iter().map(|label| (label.name.of(&batch.text), label.value.of(&batch.text))).collect();
    // The protocol wants them sorted.
    pairs.sort_unstable();
    for (name, value) in pairs {
        let mut label = Writer::default();
        label.bytes(1, name);
        label.bytes(2, value);
        series.message(1, &label);
    }
    for point in &batch.points[row.points.start as usize..row.points.end as usize] {
        let mut sample = Writer::default();
        sample.double(1, point.value);
        sample.varint(2, point.t_ms as u64);
        series.message(2, &sample);
    }
    for (t_ms, value) in &batch.histograms[row.histograms.start as usize..row.histograms.end as usize] {
        series.message(4, &histogram(*t_ms, value));
    }
    series
}

fn histogram(t_ms: i64, h: &FloatHistogram) -> Writer {
    let mut message = Writer::default();
    message.double(2, h.count);
    message.double(3, h.sum);
    message.zigzag(4, i64::from(h.schema));
    message.double(5, h.zero_threshold);
    message.double(7, h.zero_count);
    spans(&mut message, 8, &h.negative_spans);
    message.doubles(10, &h.negative_buckets);
    spans(&mut message, 11, &h.positive_spans);
    message.doubles(13, &h.positive_buckets);
    message.varint(14, h.counter_reset_hint as u64);
    message.varint(15, t_ms as u64);
    message.doubles(16, &h.custom_bounds);
    message
}

fn spans(message: &mut Writer, number: u32, spans: &[HistogramSpan]) {
    for span in spans {
        let mut one = Writer::default();
        one.zigzag(1, i64::from(span.offset));
        one.varint(2, u64::from(span.length));
        message.message(number, &one);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Metadata, MetricType, Point};

    use super::*;
    use crate::remote_write::{Context, v1};

    #[test]
    fn what_is_encoded_reads_back() {
        let mut batch = MetricBatch::default();
        batch.push_float([("z", "1"), ("__name__", "up")], Point { t_ms: -5, value: 0.0 });
        batch.push_float([("__name__", "nan")], Point { t_ms: 7, value: model::STALE_NAN });
        let row = batch.begin_series([("__name__", "h")]);
        let h = FloatHistogram {
            schema: -2,
            count: 3.0,
            sum: 0.0,
            positive_spans: vec![HistogramSpan { offset: -1, length: 2 }],
            positive_buckets: vec![1.0, 2.0],
            ..FloatHistogram::default()
        };
        batch.histograms.push((9, Arc::new(h.clone())));
        batch.end_series(row);
        batch.metadata.push(Metadata {
            metric: "up".into(),
            kind: MetricType::Gauge,
            unit: String::new(),
            help: "Is it?".into(),
        });
        let plain = snap::raw::Decoder::new().decompress_vec(&encode(&batch)).expect("snappy");
        let decoded = v1::decode(plain, &Context::default()).expect("decodes");
        assert!(decoded.refusals.is_empty(), "{:?}", decoded.refusals);
        let points: Vec<_> = decoded.batch.points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect();
        assert_eq!(points, [(-5, 0), (7, model::STALE_NAN.to_bits())]);
        assert_eq!(*decoded.batch.histograms[0].1, h);
        assert_eq!(decoded.batch.metadata, batch.metadata);
    }
}
