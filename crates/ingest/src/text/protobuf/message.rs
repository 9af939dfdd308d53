//! The messages inside a `Metric`, read into plain structures.

use model::{FloatHistogram, LabelSpan};

use super::Frame;
use crate::native::{self, Counts, packed_doubles, span};
use crate::wire::{self, Reader, WireError};

pub(super) struct Bucket<'a> {
    pub(super) bound: f64,
    /// Cumulative.
    pub(super) count: f64,
    pub(super) exemplar: Option<Reader<'a>>,
}

/// Both forms of a histogram, as far as it has them.
#[derive(Default)]
pub(super) struct Histogram<'a> {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<Bucket<'a>>,
    pub(super) exemplars: Vec<Reader<'a>>,
    schema: i64,
    pub(super) native: FloatHistogram,
    positive: Counts,
    negative: Counts,
}

impl<'a> Histogram<'a> {
    pub(super) fn read(mut message: Reader<'a>, frame: &mut Frame) -> Result<Self, WireError> {
        const COUNT: u32 = wire::varint(1);
        const SUM: u32 = wire::fixed64(2);
        const BUCKET: u32 = wire::bytes(3);
        const COUNT_FLOAT: u32 = wire::fixed64(4);
        const SCHEMA: u32 = wire::varint(5);
        const ZERO_THRESHOLD: u32 = wire::fixed64(6);
        const ZERO_COUNT: u32 = wire::varint(7);
        const ZERO_COUNT_FLOAT: u32 = wire::fixed64(8);
        const NEGATIVE_SPAN: u32 = wire::bytes(9);
        const NEGATIVE_DELTAS: u32 = wire::bytes(10);
        const NEGATIVE_DELTA: u32 = wire::varint(10);
        const NEGATIVE_COUNTS: u32 = wire::bytes(11);
        const NEGATIVE_COUNT: u32 = wire::fixed64(11);
        const POSITIVE_SPAN: u32 = wire::bytes(12);
        const POSITIVE_DELTAS: u32 = wire::bytes(13);
        const POSITIVE_DELTA: u32 = wire::varint(13);
        const POSITIVE_COUNTS: u32 = wire::bytes(14);
        const POSITIVE_COUNT: u32 = wire::fixed64(14);
        const CREATED: u32 = wire::bytes(15);
        const EXEMPLARS: u32 = wire::bytes(16);
        let mut h = Self::default();
        while let Some(key) = message.key()? {
            match key {
                COUNT => h.count = message.varint()? as f64,
                COUNT_FLOAT => h.count = message.double()?,
                SUM => h.sum = message.double()?,
                BUCKET => h.buckets.push(bucket(message.message()?)?),
                SCHEMA => h.schema = message.zigzag()?,
                ZERO_THRESHOLD => h.native.zero_threshold = message.double()?,
                ZERO_COUNT => h.native.zero_count = message.varint()? as f64,
                ZERO_COUNT_FLOAT => h.native.zero_count = message.double()?,
                NEGATIVE_SPAN => h.native.negative_spans.push(span(message.message()?)?),
                NEGATIVE_DELTAS => h.negative.packed_deltas(message.message()?)?,
                NEGATIVE_DELTA => h.negative.delta(message.zigzag()?),
                NEGATIVE_COUNTS => packed_doubles(message.message()?, &mut h.negative.counts)?,
                NEGATIVE_COUNT => h.negative.counts.push(message.double()?),
                POSITIVE_SPAN => h.native.positive_spans.push(span(message.message()?)?),
                POSITIVE_DELTAS => h.positive.packed_deltas(message.message()?)?,
                POSITIVE_DELTA => h.positive.delta(message.zigzag()?),
                POSITIVE_COUNTS => packed_doubles(message.message()?, &mut h.positive.counts)?,
                POSITIVE_COUNT => h.positive.counts.push(message.double()?),
                CREATED => frame.start_ms = timestamp_ms(message.message()?)?,
                EXEMPLARS => h.exemplars.push(message.message()?),
                other => message.skip(other)?,
            }
        }
        Ok(h)
    }

    /// A native histogram without observations still has a span or a zero bucket.
    pub(super) fn is_native(&self) -> bool {
        let h = &self.native;
        let spans = !h.positive_spans.is_empty() || !h.negative_spans.is_empty();
        spans || h.zero_threshold > 0.0 || h.zero_count > 0.0
    }

    pub(super) fn finish_native(&mut self) -> Result<FloatHistogram, String> {
        let mut h = std::mem::take(&mut self.native);
        h.schema = native::schema(self.schema)?;
        (h.count, h.sum) = (self.count, self.sum);
        h.positive_buckets = std::mem::take(&mut self.positive.counts);
        h.negative_buckets = std::mem::take(&mut self.negative.counts);
        // The span that only says "native" covers nothing.
        h.positive_spans.retain(|span| span.offset != 0 || span.length != 0);
        native::check(&h)?;
        Ok(h)
    }
}

fn bucket(mut message: Reader<'_>) -> Result<Bucket<'_>, WireError> {
    const COUNT: u32 = wire::varint(1);
    const BOUND: u32 = wire::fixed64(2);
    const EXEMPLAR: u32 = wire::bytes(3);
    const COUNT_FLOAT: u32 = wire::fixed64(4);
    let mut bucket = Bucket { bound: 0.0, count: 0.0, exemplar: None };
    while let Some(key) = message.key()? {
        match key {
            COUNT => bucket.count = message.varint()? as f64,
            COUNT_FLOAT => bucket.count = message.double()?,
            BOUND => bucket.bound = message.double()?,
            EXEMPLAR => bucket.exemplar = Some(message.message()?),
            other => message.skip(other)?,
        }
    }
    Ok(bucket)
}

/// A summary.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) count: f64,
    pub(super) sum: f64,
    /// Quantile and value.
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl Summary {
    pub(super) fn read(mut message: Reader<'_>, frame: &mut Frame) -> Result<Self, WireError> {
        const COUNT: u32 = wire::varint(1);
        const SUM: u32 = wire::fixed64(2);
        const QUANTILE: u32 = wire::bytes(3);
        const CREATED: u32 = wire::bytes(4);
        let mut summary = Self::default();
        while let Some(key) = message.key()? {
            match key {
                COUNT => summary.count = message.varint()? as f64,
                SUM => summary.sum = message.double()?,
                QUANTILE => summary.quantiles.push(two_doubles(message.message()?)?),
                CREATED => frame.start_ms = timestamp_ms(message.message()?)?,
                other => message.skip(other)?,
            }
        }
        Ok(summary)
    }
}

pub(super) fn label(mut message: Reader<'_>) -> Result<LabelSpan, WireError> {
    const NAME: u32 = wire::bytes(1);
    const VALUE: u32 = wire::bytes(2);
    let mut label = LabelSpan::default();
    while let Some(key) = message.key()? {
        match key {
            NAME => label.name = message.span()?,
            VALUE => label.value = message.span()?,
            other => message.skip(other)?,
        }
    }
    Ok(label)
}

fn two_doubles(mut message: Reader<'_>) -> Result<(f64, f64), WireError> {
    const FIRST: u32 = wire::fixed64(1);
    const SECOND: u32 = wire::fixed64(2);
    let mut pair = (0.0, 0.0);
    while let Some(key) = message.key()? {
        match key {
            FIRST => pair.0 = message.double()?,
            SECOND => pair.1 = message.double()?,
            other => message.skip(other)?,
        }
    }
    Ok(pair)
}

/// Milliseconds of a `google.protobuf.Timestamp`.
pub(super) fn timestamp_ms(mut message: Reader<'_>) -> Result<i64, WireError> {
    const SECONDS: u32 = wire::varint(1);
    const NANOS: u32 = wire::varint(2);
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some(key) = message.key()? {
        match key {
            SECONDS => seconds = message.varint()? as i64,
            NANOS => nanos = message.varint()? as i64,
            other => message.skip(other)?,
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}
