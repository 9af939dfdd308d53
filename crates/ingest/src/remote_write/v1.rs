//! `prometheus.WriteRequest`: every series spells out its labels.

use model::{Metadata, MetricBatch, MetricType, Point, Refusals, Span};

use super::{Context, Fault, histogram};
use crate::rows::{self, CopyBudget};
use crate::wire::{self, Reader, WireError};
use crate::{DecodeError, Decoded};

/// Decodes a decompressed body. A series that breaks a rule is refused alone.
pub fn decode(body: Vec<u8>, _context: &Context) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    walk(&body, &mut decoded)?;
    decoded.batch.text = body;
    Ok(decoded)
}

fn walk(body: &[u8], decoded: &mut Decoded) -> Result<(), DecodeError> {
    const TIMESERIES: u32 = wire::bytes(1);
    const METADATA: u32 = wire::bytes(3);
    let mut request = Reader::new(body)?;
    let mut budget = CopyBudget::new(body.len());
    let mut index = 0;
    // A node_exporter series is about 200 bytes; a better guess than growing from nothing.
    decoded.batch.series.reserve(body.len() / 256);
    decoded.batch.points.reserve(body.len() / 256);
    decoded.batch.labels.reserve(body.len() / 32);
    while let Some(key) = request.key()? {
        match key {
            TIMESERIES => {
                series(request.message()?, body, index, decoded, &mut budget);
                index += 1;
            }
            METADATA => {
                // Advisory: what cannot be read or repeats too much is left out.
                if let Ok(metadata) = metadata(request.message()?, &mut budget) {
                    decoded.batch.metadata.extend(metadata);
                }
            }
            other => request.skip(other)?,
        }
    }
    Ok(())
}

fn series(message: Reader<'_>, body: &[u8], index: u32, decoded: &mut Decoded, budget: &mut CopyBudget) {
    let Decoded { batch, refusals, .. } = decoded;
    let row = rows::begin(batch, index);
    match series_fields(message, body, index, batch, refusals, budget) {
        Ok(()) if rows::is_bare(batch, &row) => rows::undo(batch, &row),
        Ok(()) => rows::end(batch, row),
        Err(fault) => {
            rows::undo(batch, &row);
            refusals.push(fault.refusal(index, count_samples(message).max(1)));
        }
    }
}

/// Samples in a series that is being refused, as far as it can be read.
fn count_samples(mut message: Reader<'_>) -> usize {
    let mut count = 0;
    while let Ok(Some(key)) = message.key() {
        count += usize::from(key == wire::bytes(2) || key == wire::bytes(4));
        if message.skip(key).is_err() {
            break;
        }
    }
    count
}

fn series_fields(
    mut message: Reader<'_>,
    body: &[u8],
    index: u32,
    batch: &mut MetricBatch,
    refusals: &mut Refusals,
    budget: &mut CopyBudget,
) -> Result<(), Fault> {
    const LABELS: u32 = wire::bytes(1);
    const SAMPLES: u32 = wire::bytes(2);
    const EXEMPLARS: u32 = wire::bytes(3);
    const HISTOGRAMS: u32 = wire::bytes(4);
    loop {
        while let Some((name, value)) = message.short_pair() {
            rows::push_label(batch, name, value);
        }
        let Some(key) = message.key()? else { return Ok(()) };
        match key {
            LABELS => {
                let (name, value) = label(message.message()?)?;
                rows::push_label(batch, name, value);
            }
            SAMPLES => {
                let point = sample(message.message()?)?;
                rows::push_point(batch, point, 0);
            }
            HISTOGRAMS => {
                let sample = histogram::decode(message.message()?)?;
                rows::push_histogram(batch, sample.t_ms, sample.histogram, sample.start_ms);
            }
            EXEMPLARS => {
                if let Err(fault) = exemplar(message.message()?, body, batch, budget) {
                    refusals.push(fault.refusal(index, 0));
                }
            }
            other => message.skip(other)?,
        }
    }
}

#[inline]
fn label(mut message: Reader<'_>) -> Result<(Span, Span), WireError> {
    const NAME: u32 = wire::bytes(1);
    const VALUE: u32 = wire::bytes(2);
    let (mut name, mut value) = Default::default();
    while let Some(key) = message.key()? {
        match key {
            NAME => name = message.span()?,
            VALUE => value = message.span()?,
            other => message.skip(other)?,
        }
    }
    Ok((name, value))
}

#[inline]
fn sample(mut message: Reader<'_>) -> Result<Point, WireError> {
    const VALUE: u32 = wire::fixed64(1);
    const TIMESTAMP: u32 = wire::varint(2);
    let mut point = Point { t_ms: 0, value: 0.0 };
    while let Some(key) = message.key()? {
        match key {
            VALUE => point.value = message.double()?,
            TIMESTAMP => point.t_ms = message.varint()? as i64,
            other => message.skip(other)?,
        }
    }
    Ok(point)
}

fn exemplar(
    mut message: Reader<'_>,
    body: &[u8],
    batch: &mut MetricBatch,
    budget: &mut CopyBudget,
) -> Result<(), Fault> {
    const LABELS: u32 = wire::bytes(1);
    const VALUE: u32 = wire::fixed64(2);
    const TIMESTAMP: u32 = wire::varint(3);
    let (mut labels, mut value, mut t_ms) = (Vec::new(), 0.0, 0);
    while let Some(key) = message.key()? {
        match key {
            LABELS => labels.push(label(message.message()?)?),
            VALUE => value = message.double()?,
            TIMESTAMP => t_ms = message.varint()? as i64,
            other => message.skip(other)?,
        }
    }
    let pairs = labels.iter().map(|(n, v)| (n.of(body), v.of(body)));
    let labels = super::exemplar_labels(pairs, budget)?;
    rows::push_exemplar(batch, t_ms, value, labels);
    Ok(())
}

fn metadata(mut message: Reader<'_>, budget: &mut CopyBudget) -> Result<Option<Metadata>, WireError> {
    const TYPE: u32 = wire::varint(1);
    const FAMILY: u32 = wire::bytes(2);
    const HELP: u32 = wire::bytes(4);
    const UNIT: u32 = wire::bytes(5);
    let mut metadata = Metadata::default();
    while let Some(key) = message.key()? {
        match key {
            TYPE => metadata.kind = super::metric_type(message.varint()?),
            FAMILY => metadata.metric = rows::metadata_text(message.bytes()?),
            HELP => metadata.help = rows::metadata_text(message.bytes()?),
            UNIT => metadata.unit = rows::metadata_text(message.bytes()?),
            other => message.skip(other)?,
        }
    }
    let known =
        metadata.kind != MetricType::Unknown || !metadata.help.is_empty() || !metadata.unit.is_empty();
    let bytes = metadata.metric.len() + metadata.help.len() + metadata.unit.len();
    Ok((known && !metadata.metric.is_empty() && budget.take(bytes)).then_some(metadata))
}
