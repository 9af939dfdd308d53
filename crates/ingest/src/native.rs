//! What the protobuf forms of native histograms share: remote write's and the exposition's differ in
//! their field numbers only.

use model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, HistogramSpan};

use crate::wire::{self, Reader, WireError};

/// A schema that native histograms have, or the reason that this is none.
pub(crate) fn schema(schema: i64) -> Result<i8, String> {
    let known = (-4..=8).contains(&schema) || schema == i64::from(CUSTOM_BUCKETS_SCHEMA);
    i8::try_from(schema)
        .ok()
        .filter(|_| known)
        .ok_or_else(|| format!("schema {schema} is not between -4 and 8, nor -53 for custom buckets"))
}

/// Checks the shape that every reader relies on.
pub(crate) fn check(h: &FloatHistogram) -> Result<(), String> {
    h.validate().map_err(|error| error.to_string())?;
    if !h.uses_custom_buckets() && !h.custom_bounds.is_empty() {
        return Err("custom values are only allowed with schema -53".into());
    }
    Ok(())
}

/// A run of buckets.
pub(crate) fn span(mut message: Reader<'_>) -> Result<HistogramSpan, WireError> {
    const OFFSET: u32 = wire::varint(1);
    const LENGTH: u32 = wire::varint(2);
    let mut span = HistogramSpan { offset: 0, length: 0 };
    while let Some(key) = message.key()? {
        match key {
            OFFSET => span.offset = message.zigzag()? as i32,
            LENGTH => span.length = message.varint()? as u32,
            other => message.skip(other)?,
        }
    }
    Ok(span)
}

/// Counts of one side, absolute.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) counts: Vec<f64>,
    last: i64,
}

impl Counts {
    /// One count as the difference to the one before.
    pub(crate) fn delta(&mut self, delta: i64) {
        self.last = self.last.wrapping_add(delta);
        self.counts.push(self.last as f64);
    }

    /// A packed list of such differences.
    pub(crate) fn packed_deltas(&mut self, mut list: Reader<'_>) -> Result<(), WireError> {
        while !list.is_empty() {
            self.delta(list.zigzag()?);
        }
        Ok(())
    }
}

/// A packed list of doubles.
pub(crate) fn packed_doubles(mut list: Reader<'_>, out: &mut Vec<f64>) -> Result<(), WireError> {
    out.reserve(list.left() / 8);
    while !list.is_empty() {
        out.push(list.double()?);
    }
    Ok(())
}
