//! The message `Histogram` of remote write, which both versions share field by field.

use model::{CounterResetHint, FloatHistogram, Reason};

use super::Fault;
use crate::native::{self, Counts, packed_doubles, span};
use crate::wire::{self, Reader};

/// One histogram sample.
pub(super) struct HistogramSample {
    pub(super) t_ms: i64,
    /// 0 when not stated.
    pub(super) start_ms: i64,
    pub(super) histogram: FloatHistogram,
}

/// Reads a histogram of integers or floats; integers become absolute floats. Every shape that readers rely
/// on is checked.
pub(super) fn decode(mut message: Reader<'_>) -> Result<HistogramSample, Fault> {
    let mut h = FloatHistogram::default();
    let mut t_ms = 0;
    let mut start_ms = 0;
    let mut schema = 0;
    let (mut positive, mut negative) = (Counts::default(), Counts::default());
    let mut bounds = Vec::new();
    while let Some(key) = message.key()? {
        const COUNT_INT: u32 = wire::varint(1);
        const COUNT_FLOAT: u32 = wire::fixed64(2);
        const SUM: u32 = wire::fixed64(3);
        const SCHEMA: u32 = wire::varint(4);
        const ZERO_THRESHOLD: u32 = wire::fixed64(5);
        const ZERO_COUNT_INT: u32 = wire::varint(6);
        const ZERO_COUNT_FLOAT: u32 = wire::fixed64(7);
        const NEGATIVE_SPANS: u32 = wire::bytes(8);
        const NEGATIVE_DELTAS: u32 = wire::bytes(9);
        const NEGATIVE_DELTA: u32 = wire::varint(9);
        const NEGATIVE_COUNTS: u32 = wire::bytes(10);
        const NEGATIVE_COUNT: u32 = wire::fixed64(10);
        const POSITIVE_SPANS: u32 = wire::bytes(11);
        const POSITIVE_DELTAS: u32 = wire::bytes(12);
        const POSITIVE_DELTA: u32 = wire::varint(12);
        const POSITIVE_COUNTS: u32 = wire::bytes(13);
        const POSITIVE_COUNT: u32 = wire::fixed64(13);
        const RESET_HINT: u32 = wire::varint(14);
        const TIMESTAMP: u32 = wire::varint(15);
        const CUSTOM_VALUES: u32 = wire::bytes(16);
        const CUSTOM_VALUE: u32 = wire::fixed64(16);
        const START_TIMESTAMP: u32 = wire::varint(17);
        match key {
            COUNT_INT => h.count = message.varint()? as f64,
            COUNT_FLOAT => h.count = message.double()?,
            SUM => h.sum = message.double()?,
            SCHEMA => schema = message.zigzag()?,
            ZERO_THRESHOLD => h.zero_threshold = message.double()?,
            ZERO_COUNT_INT => h.zero_count = message.varint()? as f64,
            ZERO_COUNT_FLOAT => h.zero_count = message.double()?,
            NEGATIVE_SPANS => h.negative_spans.push(span(message.message()?)?),
            NEGATIVE_DELTAS => negative.packed_deltas(message.message()?)?,
            NEGATIVE_DELTA => negative.delta(message.zigzag()?),
            NEGATIVE_COUNTS => packed_doubles(message.message()?, &mut negative.counts)?,
            NEGATIVE_COUNT => negative.counts.push(message.double()?),
            POSITIVE_SPANS => h.positive_spans.push(span(message.message()?)?),
            POSITIVE_DELTAS => positive.packed_deltas(message.message()?)?,
            POSITIVE_DELTA => positive.delta(message.zigzag()?),
            POSITIVE_COUNTS => packed_doubles(message.message()?, &mut positive.counts)?,
            POSITIVE_COUNT => positive.counts.push(message.double()?),
            RESET_HINT => {
                h.counter_reset_hint = match message.varint()? {
                    1 => CounterResetHint::Reset,
                    2 => CounterResetHint::NotReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                };
            }
            TIMESTAMP => t_ms = message.varint()? as i64,
            CUSTOM_VALUES => packed_doubles(message.message()?, &mut bounds)?,
            CUSTOM_VALUE => bounds.push(message.double()?),
            START_TIMESTAMP => start_ms = message.varint()? as i64,
            other => message.skip(other)?,
        }
    }
    if model::is_stale(h.sum) {
        // The marker is all that counts; its sender leaves garbage in the counts.
        return Ok(HistogramSample { t_ms, start_ms, histogram: FloatHistogram::stale() });
    }
    h.schema =
        native::schema(schema).map_err(|text| Fault::new("histograms", Reason::InvalidHistogram, text))?;
    h.positive_buckets = positive.counts;
    h.negative_buckets = negative.counts;
    h.custom_bounds = bounds.into();
    native::check(&h).map_err(|text| Fault::new("histograms", Reason::InvalidHistogram, text))?;
    Ok(HistogramSample { t_ms, start_ms, histogram: h })
}
