//! The bytes of accepted rows in the log.
//!
//! Everything that replay needs is inside: declarations of series (numbers that hold for one epoch), float
//! samples by column, histograms, exemplars, metadata. No decoder, limit or setting takes part in replay.

use std::sync::Arc;

use model::{CounterResetHint, Exemplar, FloatHistogram, HistogramSpan, Labels, Metadata, MetricType, Point};

use super::rows::{Declared, MetricRows, Run};
use crate::codec::{Reader, put_bytes, put_f64, put_varint, put_zigzag};

const VERSION: u8 = 1;

/// Declarations smaller than this are not worth compressing.
const COMPRESSED_BYTES_MIN: usize = 512;

/// Declarations of one record, uncompressed; more would not fit a record anyway.
const DECLARED_BYTES_MAX: usize = 1 << 30;

/// Appends the rows of one write.
pub(crate) fn encode(rows: &MetricRows, epoch: u64, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(out, epoch);
    put_zigzag(out, rows.received_ms);
    put_declared(out, &rows.declared, scratch);
    put_runs(out, &rows.runs);
    let times = rows.points.iter().map(|point| point.t_ms);
    put_times(out, times.clone());
    out.reserve(rows.points.len() * 8);
    for point in &rows.points {
        put_f64(out, point.value);
    }
    put_starts(out, &rows.starts_ms, times);
    put_runs(out, &rows.histogram_runs);
    let times = rows.histograms.iter().map(|(t_ms, _)| *t_ms);
    put_times(out, times.clone());
    for (_, histogram) in &rows.histograms {
        put_histogram(out, histogram);
    }
    put_starts(out, &rows.histogram_starts_ms, times);
    put_varint(out, rows.exemplars.len() as u64);
    for (local, exemplar) in &rows.exemplars {
        put_varint(out, (*local).into());
        put_zigzag(out, exemplar.t_ms);
        put_f64(out, exemplar.value);
        put_bytes(out, exemplar.labels.packed().as_bytes());
    }
    put_varint(out, rows.metadata.len() as u64);
    for metadata in &rows.metadata {
        put_bytes(out, metadata.metric.as_bytes());
        out.push(metadata.kind as u8);
        put_bytes(out, metadata.unit.as_bytes());
        put_bytes(out, metadata.help.as_bytes());
    }
}

/// Reads the rows of one record and their epoch. The slots of declarations are 0: the caller resolves them.
pub(crate) fn decode(bytes: &[u8]) -> Option<(u64, MetricRows)> {
    let mut reader = Reader::new(bytes);
    let r = &mut reader;
    if r.u8()? != VERSION {
        return None;
    }
    let epoch = r.varint()?;
    let received_ms = r.zigzag()?;
    let declared = declared(r)?;
    let (runs, samples) = runs(r)?;
    let times = times(r, samples)?;
    let points = times.iter().map(|t_ms| Some(Point { t_ms: *t_ms, value: r.f64()? }));
    let points = points.collect::<Option<Vec<_>>>()?;
    let starts_ms = starts(r, &times)?;
    let (histogram_runs, samples) = self::runs(r)?;
    let times = self::times(r, samples)?;
    let histograms = times.iter().map(|t_ms| Some((*t_ms, Arc::new(histogram(r)?))));
    let histograms = histograms.collect::<Option<Vec<_>>>()?;
    let histogram_starts_ms = starts(r, &times)?;
    let exemplars = (0..r.count()?).map(|_| {
        let local = r.varint_u32()?;
        let (t_ms, value) = (r.zigzag()?, r.f64()?);
        Some((local, Exemplar { t_ms, value, labels: Labels::from_packed(r.text()?).ok()? }))
    });
    let exemplars = exemplars.collect::<Option<Vec<_>>>()?;
    let metadata = (0..r.count()?).map(|_| {
        let metric = r.text()?.into();
        let kind = *MetricType::ALL.get(usize::from(r.u8()?))?;
        Some(Metadata { metric, kind, unit: r.text()?.into(), help: r.text()?.into() })
    });
    let metadata = metadata.collect::<Option<Vec<_>>>()?;
    let rows = MetricRows {
        declared,
        runs,
        points,
        starts_ms,
        histogram_runs,
        histograms,
        histogram_starts_ms,
        exemplars,
        metadata,
        received_ms,
    };
    r.is_empty().then_some((epoch, rows))
}

fn put_declared(out: &mut Vec<u8>, declared: &[Declared], scratch: &mut Vec<u8>) {
    put_varint(out, declared.len() as u64);
    if declared.is_empty() {
        return;
    }
    scratch.clear();
    for series in declared {
        put_varint(scratch, series.local.into());
        put_bytes(scratch, series.labels.packed().as_bytes());
    }
    let compressed = scratch.len() >= COMPRESSED_BYTES_MIN;
    out.push(u8::from(compressed));
    if compressed {
        put_varint(out, scratch.len() as u64);
        put_bytes(out, &lz4_flex::block::compress(scratch));
    } else {
        put_bytes(out, scratch);
    }
}

fn declared(r: &mut Reader<'_>) -> Option<Vec<Declared>> {
    let count = usize::try_from(r.varint()?).ok()?;
    if count == 0 {
        return Some(Vec::new());
    }
    let decompressed;
    let mut inner = if r.u8()? == 0 {
        Reader::new(r.bytes()?)
    } else {
        let len = usize::try_from(r.varint()?).ok().filter(|len| *len <= DECLARED_BYTES_MAX)?;
        let compressed = r.bytes()?;
        // LZ4 makes at most 255 bytes of one.
        if len / 255 > compressed.len() {
            return None;
        }
        decompressed = lz4_flex::block::decompress(compressed, len).ok()?;
        Reader::new(&decompressed)
    };
    let mut declared = Vec::new();
    for _ in 0..count {
        let local = inner.varint_u32()?;
        declared.push(Declared { local, slot: 0, labels: Labels::from_packed(inner.text()?).ok()? });
    }
    inner.is_empty().then_some(declared)
}

/// The number of runs, whether all have one sample, and for each the difference to the last series and,
/// where they differ, the number of samples.
fn put_runs(out: &mut Vec<u8>, runs: &[Run]) {
    put_varint(out, runs.len() as u64);
    if runs.is_empty() {
        return;
    }
    let single = runs.iter().all(|run| run.count == 1);
    out.push(u8::from(single));
    let mut last = -1i64;
    for run in runs {
        put_zigzag(out, i64::from(run.local) - last - 1);
        last = run.local.into();
        if !single {
            put_varint(out, run.count.into());
        }
    }
}

/// The runs and the samples in all of them, of which each takes at least a byte of what follows.
fn runs(r: &mut Reader<'_>) -> Option<(Vec<Run>, usize)> {
    let count = r.count()?;
    if count == 0 {
        return Some((Vec::new(), 0));
    }
    let single = r.u8()? != 0;
    let mut runs = Vec::with_capacity(count);
    let (mut last, mut samples) = (-1i64, 0u64);
    for _ in 0..count {
        let local = last.checked_add(1)?.checked_add(r.zigzag()?)?;
        last = local;
        let run = Run { local: local.try_into().ok()?, count: if single { 1 } else { r.varint_u32()? } };
        samples += u64::from(run.count);
        runs.push(run);
    }
    Some((runs, usize::try_from(samples).ok()?))
}

fn put_times(out: &mut Vec<u8>, times: impl Iterator<Item = i64>) {
    let mut last = 0i64;
    for t_ms in times {
        put_zigzag(out, t_ms.wrapping_sub(last));
        last = t_ms;
    }
}

fn times(r: &mut Reader<'_>, count: usize) -> Option<Vec<i64>> {
    let mut times = Vec::new();
    let mut last = 0i64;
    for _ in 0..count {
        last = last.wrapping_add(r.zigzag()?);
        times.push(last);
    }
    Some(times)
}

/// Whether there are any, and for each 0 where unknown, else one more than its distance from the sample.
fn put_starts(out: &mut Vec<u8>, starts_ms: &[i64], times: impl Iterator<Item = i64>) {
    out.push(u8::from(!starts_ms.is_empty()));
    for (start_ms, t_ms) in starts_ms.iter().zip(times) {
        out.push(u8::from(*start_ms != 0));
        if *start_ms != 0 {
            put_zigzag(out, t_ms.wrapping_sub(*start_ms));
        }
    }
}

fn starts(r: &mut Reader<'_>, times: &[i64]) -> Option<Vec<i64>> {
    if r.u8()? == 0 {
        return Some(Vec::new());
    }
    let start = |t_ms: &i64| Some(if r.u8()? == 0 { 0 } else { t_ms.wrapping_sub(r.zigzag()?) });
    times.iter().map(start).collect()
}

fn put_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(&[histogram.counter_reset_hint as u8, histogram.schema as u8]);
    for value in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        put_f64(out, value);
    }
    for (spans, buckets) in [
        (&histogram.positive_spans, &histogram.positive_buckets),
        (&histogram.negative_spans, &histogram.negative_buckets),
    ] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_zigzag(out, span.offset.into());
            put_varint(out, span.length.into());
        }
        put_floats(out, buckets);
    }
    put_floats(out, &histogram.custom_bounds);
}

fn histogram(r: &mut Reader<'_>) -> Option<FloatHistogram> {
    let counter_reset_hint = match r.u8()? {
        0 => CounterResetHint::Unknown,
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => return None,
    };
    let schema = r.u8()? as i8;
    let (zero_threshold, zero_count, count, sum) = (r.f64()?, r.f64()?, r.f64()?, r.f64()?);
    let (positive_spans, positive_buckets) = (spans(r)?, floats(r)?);
    let (negative_spans, negative_buckets) = (spans(r)?, floats(r)?);
    Some(FloatHistogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_bounds: floats(r)?.into(),
    })
}

fn spans(r: &mut Reader<'_>) -> Option<Vec<HistogramSpan>> {
    let span = |r: &mut Reader<'_>| {
        Some(HistogramSpan { offset: r.zigzag()?.try_into().ok()?, length: r.varint_u32()? })
    };
    (0..r.count()?).map(|_| span(r)).collect()
}

fn put_floats(out: &mut Vec<u8>, values: &[f64]) {
    put_varint(out, values.len() as u64);
    values.iter().for_each(|value| put_f64(out, *value));
}

fn floats(r: &mut Reader<'_>) -> Option<Vec<f64>> {
    (0..r.count()?).map(|_| r.f64()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(rows: &MetricRows, epoch: u64) -> Vec<u8> {
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        encode(rows, epoch, &mut scratch, &mut out);
        assert_eq!(decode(&out).as_ref(), Some(&(epoch, rows.clone())));
        out
    }

    fn labels(i: u32) -> Labels {
        let value = i.to_string();
        Labels::from_pairs([("__name__", "m"), ("instance", value.as_str())]).expect("labels")
    }

    #[test]
    fn one_sample_of_each_series_takes_ten_bytes() {
        let rows = MetricRows {
            runs: (0..1000).map(|local| Run { local, count: 1 }).collect(),
            points: (0..1000).map(|i| Point { t_ms: 1_700_000_000_000, value: f64::from(i) }).collect(),
            ..MetricRows::default()
        };
        assert!(round_trip(&rows, 5).len() < 1000 * 10 + 50);
    }

    #[test]
    fn every_section_round_trips() {
        let histogram = FloatHistogram {
            counter_reset_hint: CounterResetHint::Gauge,
            schema: -53,
            count: 6.0,
            sum: -1.5,
            positive_spans: vec![HistogramSpan { offset: 0, length: 2 }],
            positive_buckets: vec![1.0, 5.0],
            custom_bounds: Arc::from([0.5, 1.0]),
            ..FloatHistogram::default()
        };
        let rows = MetricRows {
            declared: (0..100).map(|i| Declared { local: i, slot: 0, labels: labels(i) }).collect(),
            runs: vec![Run { local: 7, count: 2 }, Run { local: 3, count: 1 }],
            points: [3, -9, i64::MIN].map(|t_ms| Point { t_ms, value: 2.5 }).to_vec(),
            starts_ms: vec![0, -20, i64::MAX],
            histogram_runs: vec![Run { local: 99, count: 1 }],
            histograms: vec![(5, Arc::new(histogram))],
            histogram_starts_ms: vec![4],
            exemplars: vec![(3, Exemplar { t_ms: 1, value: 0.5, labels: labels(1) })],
            metadata: vec![Metadata {
                metric: "m".into(),
                kind: MetricType::Stateset,
                unit: String::new(),
                help: "é".into(),
            }],
            received_ms: -77,
        };
        round_trip(&rows, u64::MAX);
    }

    proptest! {
        #[test]
        fn samples_round_trip(samples: Vec<(u32, u8, i64, i64)>) {
            let mut rows = MetricRows::default();
            for (local, count, t_ms, start) in samples {
                rows.runs.push(Run { local, count: u32::from(count % 4) });
                for i in 0..i64::from(count % 4) {
                    rows.points.push(Point { t_ms: t_ms.wrapping_add(i), value: t_ms as f64 });
                    rows.starts_ms.push(start);
                }
            }
            round_trip(&rows, 3);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_changed_byte_never_panics(at: prop::sample::Index, byte: u8) {
            let rows = MetricRows {
                declared: (0..100).map(|i| Declared { local: i, slot: 0, labels: labels(i) }).collect(),
                runs: (0..100).map(|local| Run { local, count: 1 }).collect(),
                points: vec![Point { t_ms: 1, value: 1.0 }; 100],
                ..MetricRows::default()
            };
            let (mut scratch, mut out) = (Vec::new(), Vec::new());
            encode(&rows, 1, &mut scratch, &mut out);
            let at = at.index(out.len());
            out[at] = byte;
            let _ = decode(&out);
        }
    }
}
