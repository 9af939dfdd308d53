//! Chunks of native histograms.
//!
//! A chunk is a sequence of runs of histograms with the same shape (schema, threshold, spans, bounds). The
//! shape is written once per run, and each number of the histogram is a column over the run, so that a
//! bucket that does not change costs a few bytes.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, HistogramSpan};

use super::ints::{self, Effort, Scratch};
use super::{HAS_STARTS, check_count, expect_end, floats, put_sealed, put_starts, take_starts, unseal};
use crate::segment::wire::{Damaged, Decoded, Reader, put_varint, put_zigzag};

/// Most numbers that one chunk may decode to. A writer stays far below it unless a single histogram is
/// larger than that.
pub(crate) const NUMBERS_MAX: usize = 1 << 24;

/// Appends a chunk of histograms at `times`.
pub(crate) fn encode_histograms(
    times: &[i64],
    histograms: &[Arc<FloatHistogram>],
    starts: &[i64],
    effort: Effort,
    out: &mut Vec<u8>,
) {
    put_sealed(out, |out| {
        out.push(if starts.is_empty() { 0 } else { HAS_STARTS });
        for run in histograms.chunk_by(|a, b| same_shape(a, b)) {
            put_varint(out, run.len() as u64);
            put_shape(&run[0], out);
            put_columns(run, effort, out);
        }
        put_starts(times, starts, effort, out);
    });
}

/// Appends the histograms of a chunk at `times`, and its start timestamps if it has some; says whether it
/// has.
pub(crate) fn decode_histograms(
    bytes: &[u8],
    times: &[i64],
    scratch: &mut Scratch,
    histograms: &mut Vec<Arc<FloatHistogram>>,
    starts: &mut Vec<i64>,
) -> Decoded<bool> {
    check_count(times.len())?;
    let mut reader = unseal(bytes)?;
    let has_starts = reader.u8()? & HAS_STARTS != 0;
    let mut left = times.len();
    let mut numbers_left = NUMBERS_MAX;
    while left > 0 {
        let run = reader.count(left, "run of histograms")?;
        if run == 0 {
            return Err(Damaged("run of histograms"));
        }
        let shape = take_shape(&mut reader)?;
        let numbers = (shape.positive_buckets.len() + shape.negative_buckets.len() + 4).checked_mul(run);
        numbers_left = numbers
            .and_then(|numbers| numbers_left.checked_sub(numbers))
            .ok_or(Damaged("number of buckets"))?;
        take_columns(&mut reader, run, shape, scratch, histograms)?;
        left -= run;
    }
    if has_starts {
        take_starts(&mut reader, times, scratch, starts)?;
    }
    expect_end(&reader)?;
    Ok(has_starts)
}

fn same_shape(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let bits = |bounds: &[f64]| bounds.iter().map(|b| b.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && (Arc::ptr_eq(&a.custom_bounds, &b.custom_bounds)
            || bits(&a.custom_bounds) == bits(&b.custom_bounds))
}

fn put_shape(histogram: &FloatHistogram, out: &mut Vec<u8>) {
    out.push(histogram.schema as u8);
    out.extend_from_slice(&histogram.zero_threshold.to_bits().to_le_bytes());
    for (spans, buckets) in [
        (&histogram.positive_spans, &histogram.positive_buckets),
        (&histogram.negative_spans, &histogram.negative_buckets),
    ] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_zigzag(out, i64::from(span.offset));
            put_varint(out, u64::from(span.length));
        }
        put_varint(out, buckets.len() as u64);
    }
    put_varint(out, histogram.custom_bounds.len() as u64);
    if !histogram.custom_bounds.is_empty() {
        floats::encode(&histogram.custom_bounds, Effort::Quick, out);
    }
}

/// A histogram with the shape and with zeros for all numbers.
fn take_shape(reader: &mut Reader<'_>) -> Decoded<FloatHistogram> {
    let schema = reader.u8()? as i8;
    let zero_threshold = f64::from_bits(reader.u64()?);
    let (positive_spans, positive) = take_spans(reader)?;
    let (negative_spans, negative) = take_spans(reader)?;
    let bounds = reader.count(NUMBERS_MAX, "number of bounds")?;
    let mut custom_bounds = Vec::new();
    if bounds > 0 {
        floats::decode(reader, bounds, &mut Scratch::default(), &mut custom_bounds)?;
    }
    Ok(FloatHistogram {
        schema,
        zero_threshold,
        positive_spans,
        positive_buckets: vec![0.0; positive],
        negative_spans,
        negative_buckets: vec![0.0; negative],
        custom_bounds: custom_bounds.into(),
        ..FloatHistogram::default()
    })
}

fn take_spans(reader: &mut Reader<'_>) -> Decoded<(Vec<HistogramSpan>, usize)> {
    // A span takes two bytes at least, so the bytes that are there bound the allocation.
    let count = reader.count(reader.len() / 2, "number of spans")?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = i32::try_from(reader.zigzag()?).map_err(|_| Damaged("span offset"))?;
        let length = u32::try_from(reader.varint()?).map_err(|_| Damaged("span length"))?;
        spans.push(HistogramSpan { offset, length });
    }
    // Each bucket is a column of its own, which takes two bytes at least.
    let buckets = reader.count(reader.len() / 2, "number of buckets")?;
    Ok((spans, buckets))
}

fn put_columns(run: &[Arc<FloatHistogram>], effort: Effort, out: &mut Vec<u8>) {
    let hints: Vec<i64> = run.iter().map(|h| h.counter_reset_hint as i64).collect();
    ints::encode(&hints, effort, out);
    let mut column = Vec::with_capacity(run.len());
    let mut put = |number: &dyn Fn(&FloatHistogram) -> f64| {
        column.clear();
        column.extend(run.iter().map(|h| number(h)));
        floats::encode(&column, effort, out);
    };
    put(&|h| h.count);
    put(&|h| h.sum);
    put(&|h| h.zero_count);
    for i in 0..run[0].positive_buckets.len() {
        put(&|h| h.positive_buckets[i]);
    }
    for i in 0..run[0].negative_buckets.len() {
        put(&|h| h.negative_buckets[i]);
    }
}

fn take_columns(
    reader: &mut Reader<'_>,
    run: usize,
    shape: FloatHistogram,
    scratch: &mut Scratch,
    histograms: &mut Vec<Arc<FloatHistogram>>,
) -> Decoded<()> {
    let mut hints = Vec::new();
    ints::decode(reader, run, &mut scratch.pco(), &mut hints)?;
    let (positive, negative) = (shape.positive_buckets.len(), shape.negative_buckets.len());
    let mut decoded: Vec<FloatHistogram> = vec![shape; run];
    for (histogram, hint) in decoded.iter_mut().zip(hints) {
        histogram.counter_reset_hint = match hint {
            0 => CounterResetHint::Unknown,
            1 => CounterResetHint::Reset,
            2 => CounterResetHint::NotReset,
            3 => CounterResetHint::Gauge,
            _ => return Err(Damaged("counter reset hint")),
        };
    }
    let mut column = Vec::with_capacity(run);
    let mut take = |number: &dyn Fn(&mut FloatHistogram) -> &mut f64| {
        column.clear();
        floats::decode(reader, run, scratch, &mut column)?;
        for (histogram, &value) in decoded.iter_mut().zip(&column) {
            *number(histogram) = value;
        }
        Ok(())
    };
    take(&|h| &mut h.count)?;
    take(&|h| &mut h.sum)?;
    take(&|h| &mut h.zero_count)?;
    for i in 0..positive {
        take(&|h| &mut h.positive_buckets[i])?;
    }
    for i in 0..negative {
        take(&|h| &mut h.negative_buckets[i])?;
    }
    histograms.extend(decoded.into_iter().map(Arc::new));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::CUSTOM_BUCKETS_SCHEMA;
    use proptest::prelude::*;

    fn check(histograms: &[Arc<FloatHistogram>], starts: &[i64]) -> usize {
        let times: Vec<i64> = (0..histograms.len() as i64).map(|i| i * 15_000).collect();
        let mut out = Vec::new();
        encode_histograms(&times, histograms, starts, Effort::Dense, &mut out);
        let (mut back, mut back_starts) = (Vec::new(), Vec::new());
        let has = decode_histograms(&out, &times, &mut Scratch::default(), &mut back, &mut back_starts);
        assert_eq!(has, Ok(!starts.is_empty()));
        assert_eq!(back_starts, starts);
        assert_eq!(back.len(), histograms.len());
        for (got, want) in back.iter().zip(histograms) {
            if want.is_stale() {
                assert!(got.is_stale());
            } else {
                assert_eq!(got, want);
            }
        }
        out.len()
    }

    fn exponential(i: usize, buckets: usize) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            schema: 3,
            zero_threshold: 1e-128,
            zero_count: 2.0,
            count: (i * buckets + 2) as f64,
            sum: i as f64 * 0.25,
            positive_spans: vec![HistogramSpan { offset: -4, length: buckets as u32 }],
            positive_buckets: (0..buckets).map(|b| if b % 4 == 0 { i as f64 } else { b as f64 }).collect(),
            ..FloatHistogram::default()
        })
    }

    #[test]
    fn exponential_histograms_round_trip_and_idle_buckets_are_cheap() {
        let histograms: Vec<_> = (0..200).map(|i| exponential(i, 20)).collect();
        let bytes = check(&histograms, &[]);
        assert!(bytes < 300, "{bytes}");
    }

    #[test]
    fn a_change_of_shape_and_a_stale_marker_stay_in_the_chunk() {
        let bounds: Arc<[f64]> = Arc::from([0.5, 1.0, 2.5]);
        let custom = Arc::new(FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 4.0,
            sum: 3.5,
            counter_reset_hint: CounterResetHint::NotReset,
            positive_spans: vec![HistogramSpan { offset: 0, length: 4 }],
            positive_buckets: vec![1.0, 1.0, 0.0, 2.0],
            custom_bounds: bounds,
            ..FloatHistogram::default()
        });
        let mut histograms: Vec<_> = (0..3).map(|i| exponential(i, 4)).collect();
        histograms.extend((3..6).map(|i| exponential(i, 7)));
        histograms.push(Arc::new(FloatHistogram::stale()));
        histograms.extend([custom.clone(), custom]);
        check(&histograms, &[5; 9]);
        check(&[], &[]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..200) {
            let mut sealed = Vec::new();
            put_sealed(&mut sealed, |out| out.extend_from_slice(&bytes));
            let times = vec![0; count];
            let (mut h, mut s) = (Vec::new(), Vec::new());
            let _ = decode_histograms(&sealed, &times, &mut Scratch::default(), &mut h, &mut s);
            prop_assert!(h.len() <= count);
        }
    }
}
