//! OTLP/protobuf: walks the messages of `ExportMetricsServiceRequest` and hands every point to the
//! translator. A point that cannot be read is refused alone; what holds it must be readable.

use model::Span;

use super::Context;
use super::point::{Attribute, Descriptor, ExemplarIn, Kind, PointIn, Scope, Side, Temporality};
use super::translate::Translator;
use crate::otlp::any_value::{self, NoText, Text};
use crate::wire::{self, Reader, WireError};
use crate::{DecodeError, Decoded};

pub(super) fn decode(body: Vec<u8>, context: &Context) -> Result<Decoded, DecodeError> {
    const RESOURCE_METRICS: u32 = wire::bytes(1);
    let mut request = Reader::new(&body)?;
    let mut translator = Translator::new(&body, body.len(), context);
    let mut point = PointIn::default();
    while let Some(key) = request.key()? {
        match key {
            RESOURCE_METRICS => resource_metrics(request.message()?, &mut translator, &mut point)?,
            other => request.skip(other)?,
        }
    }
    let mut decoded = translator.finish();
    let made = std::mem::replace(&mut decoded.batch.text, body);
    decoded.batch.text.extend(made);
    Ok(decoded)
}

fn resource_metrics(
    message: Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), DecodeError> {
    const RESOURCE: u32 = wire::bytes(1);
    const SCOPE_METRICS: u32 = wire::bytes(2);
    // The resource is usually first, but nothing says it must be.
    let mut attributes = Vec::new();
    let mut first = message;
    while let Some(key) = first.key()? {
        match key {
            RESOURCE => read_attributes(first.message()?, wire::bytes(1), translator, &mut attributes)?,
            other => first.skip(other)?,
        }
    }
    translator.begin_resource(attributes);
    let mut message = message;
    while let Some(key) = message.key()? {
        match key {
            SCOPE_METRICS => scope_metrics(message.message()?, translator, point)?,
            other => message.skip(other)?,
        }
    }
    translator.end_resource();
    Ok(())
}

fn scope_metrics(
    message: Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), DecodeError> {
    const SCOPE: u32 = wire::bytes(1);
    const METRICS: u32 = wire::bytes(2);
    const SCHEMA_URL: u32 = wire::bytes(3);
    let mut scope = Scope::default();
    let mut first = message;
    while let Some(key) = first.key()? {
        match key {
            SCOPE => read_scope(first.message()?, translator, &mut scope)?,
            SCHEMA_URL => scope.schema_url = first.span()?,
            other => first.skip(other)?,
        }
    }
    translator.begin_scope(scope);
    let mut message = message;
    while let Some(key) = message.key()? {
        match key {
            METRICS => metric(message.message()?, translator, point)?,
            other => message.skip(other)?,
        }
    }
    Ok(())
}

fn read_scope(
    message: Reader<'_>,
    translator: &mut Translator<'_>,
    scope: &mut Scope,
) -> Result<(), DecodeError> {
    const NAME: u32 = wire::bytes(1);
    const VERSION: u32 = wire::bytes(2);
    let mut fields = message;
    while let Some(key) = fields.key()? {
        match key {
            NAME => scope.name = fields.span()?,
            VERSION => scope.version = fields.span()?,
            other => fields.skip(other)?,
        }
    }
    read_attributes(message, wire::bytes(3), translator, &mut scope.attributes)
}

/// The attributes of a resource or scope, which are fields `wanted` of its message.
fn read_attributes(
    mut message: Reader<'_>,
    wanted: u32,
    translator: &mut Translator<'_>,
    out: &mut Vec<Attribute>,
) -> Result<(), DecodeError> {
    while let Some(key) = message.key()? {
        if key == wanted {
            let attribute = attribute(message.message()?, translator)
                .map_err(|error| DecodeError::Malformed(format!("an attribute: {error}")))?;
            out.push(attribute);
        } else {
            message.skip(key)?;
        }
    }
    Ok(())
}

fn attribute(mut message: Reader<'_>, translator: &mut Translator<'_>) -> Result<Attribute, NoText> {
    const KEY: u32 = wire::bytes(1);
    const VALUE: u32 = wire::bytes(2);
    let mut attribute = Attribute { key: Span::default(), value: Span::default() };
    while let Some(key) = message.key()? {
        match key {
            KEY => attribute.key = message.span()?,
            VALUE => {
                attribute.value = match any_value::text(message.message()?)? {
                    Text::InBody(span) => span,
                    Text::Made(text) => translator.texts.push(text.as_bytes()),
                }
            }
            other => message.skip(other)?,
        }
    }
    Ok(attribute)
}

fn metric(
    mut message: Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), DecodeError> {
    const NAME: u32 = wire::bytes(1);
    const DESCRIPTION: u32 = wire::bytes(2);
    const UNIT: u32 = wire::bytes(3);
    const GAUGE: u32 = wire::bytes(5);
    const SUM: u32 = wire::bytes(7);
    const HISTOGRAM: u32 = wire::bytes(9);
    const EXPONENTIAL: u32 = wire::bytes(10);
    const SUMMARY: u32 = wire::bytes(11);
    let (mut name, mut description, mut unit) = (Span::default(), Span::default(), Span::default());
    let mut data = None;
    while let Some(key) = message.key()? {
        match key {
            NAME => name = message.span()?,
            DESCRIPTION => description = message.span()?,
            UNIT => unit = message.span()?,
            GAUGE | SUM | HISTOGRAM | EXPONENTIAL | SUMMARY => data = Some((key, message.message()?)),
            other => message.skip(other)?,
        }
    }
    let Some((key, data)) = data else { return Ok(()) };
    let (temporality, monotonic) = aggregation(data)?;
    let kind = match key {
        GAUGE => Kind::Gauge,
        SUM => Kind::Sum { monotonic, temporality },
        HISTOGRAM => Kind::Histogram(temporality),
        EXPONENTIAL => Kind::Exponential(temporality),
        _ => Kind::Summary,
    };
    let family = translator.begin_metric(&Descriptor { name, description, unit, kind });
    const DATA_POINTS: u32 = wire::bytes(1);
    let mut data = data;
    while let Some(key) = data.key()? {
        if key != DATA_POINTS {
            data.skip(key)?;
            continue;
        }
        point.clear();
        match read_point(data.message()?, kind, translator, point) {
            Ok(()) => translator.point(&family, point),
            Err(error) => translator.bad_point("data_points", error.to_string()),
        }
    }
    Ok(())
}

/// What is said of the points behind them.
fn aggregation(mut data: Reader<'_>) -> Result<(Temporality, bool), WireError> {
    const TEMPORALITY: u32 = wire::varint(2);
    const MONOTONIC: u32 = wire::varint(3);
    let (mut temporality, mut monotonic) = (Temporality::Unspecified, false);
    while let Some(key) = data.key()? {
        match key {
            TEMPORALITY => temporality = Temporality::of_code(data.varint()?),
            MONOTONIC => monotonic = data.varint()? != 0,
            other => data.skip(other)?,
        }
    }
    Ok((temporality, monotonic))
}

fn read_point(
    mut message: Reader<'_>,
    kind: Kind,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), NoText> {
    const START: u32 = wire::fixed64(2);
    const TIME: u32 = wire::fixed64(3);
    while let Some(key) = message.key()? {
        match key {
            START => point.start_ns = message.fixed64()?,
            TIME => point.time_ns = message.fixed64()?,
            other => match kind {
                Kind::Gauge | Kind::Sum { .. } => number_field(other, &mut message, translator, point)?,
                Kind::Histogram(_) => histogram_field(other, &mut message, translator, point)?,
                Kind::Exponential(_) => exponential_field(other, &mut message, translator, point)?,
                Kind::Summary => summary_field(other, &mut message, translator, point)?,
            },
        }
    }
    Ok(())
}

fn number_field(
    key: u32,
    message: &mut Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), NoText> {
    const AS_DOUBLE: u32 = wire::fixed64(4);
    const EXEMPLARS: u32 = wire::bytes(5);
    const AS_INT: u32 = wire::fixed64(6);
    const ATTRIBUTES: u32 = wire::bytes(7);
    const FLAGS: u32 = wire::varint(8);
    match key {
        AS_DOUBLE => point.value = Some(message.double()?),
        AS_INT => point.value = Some(message.fixed64()? as i64 as f64),
        ATTRIBUTES => point.attributes.push(attribute(message.message()?, translator)?),
        EXEMPLARS => point.exemplars.push(exemplar(message.message()?, translator)?),
        FLAGS => point.flags = message.varint()?,
        other => message.skip(other)?,
    }
    Ok(())
}

fn histogram_field(
    key: u32,
    message: &mut Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), NoText> {
    const COUNT: u32 = wire::fixed64(4);
    const SUM: u32 = wire::fixed64(5);
    const BUCKET_COUNTS: u32 = wire::bytes(6);
    const BUCKET_COUNT: u32 = wire::fixed64(6);
    const BOUNDS: u32 = wire::bytes(7);
    const BOUND: u32 = wire::fixed64(7);
    const EXEMPLARS: u32 = wire::bytes(8);
    const ATTRIBUTES: u32 = wire::bytes(9);
    const FLAGS: u32 = wire::varint(10);
    match key {
        COUNT => point.count = message.fixed64()?,
        SUM => point.sum = Some(message.double()?),
        BUCKET_COUNTS => {
            let mut list = message.message()?;
            while !list.is_empty() {
                point.bucket_counts.push(list.fixed64()?);
            }
        }
        BUCKET_COUNT => point.bucket_counts.push(message.fixed64()?),
        BOUNDS => {
            let mut list = message.message()?;
            while !list.is_empty() {
                point.bounds.push(list.double()?);
            }
        }
        BOUND => point.bounds.push(message.double()?),
        EXEMPLARS => point.exemplars.push(exemplar(message.message()?, translator)?),
        ATTRIBUTES => point.attributes.push(attribute(message.message()?, translator)?),
        FLAGS => point.flags = message.varint()?,
        other => message.skip(other)?,
    }
    Ok(())
}

fn exponential_field(
    key: u32,
    message: &mut Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), NoText> {
    const ATTRIBUTES: u32 = wire::bytes(1);
    const COUNT: u32 = wire::fixed64(4);
    const SUM: u32 = wire::fixed64(5);
    const SCALE: u32 = wire::varint(6);
    const ZERO_COUNT: u32 = wire::fixed64(7);
    const POSITIVE: u32 = wire::bytes(8);
    const NEGATIVE: u32 = wire::bytes(9);
    const FLAGS: u32 = wire::varint(10);
    const EXEMPLARS: u32 = wire::bytes(11);
    const ZERO_THRESHOLD: u32 = wire::fixed64(14);
    match key {
        ATTRIBUTES => point.attributes.push(attribute(message.message()?, translator)?),
        COUNT => point.count = message.fixed64()?,
        SUM => point.sum = Some(message.double()?),
        SCALE => point.scale = message.zigzag()?,
        ZERO_COUNT => point.zero_count = message.fixed64()?,
        POSITIVE => buckets(message.message()?, &mut point.positive)?,
        NEGATIVE => buckets(message.message()?, &mut point.negative)?,
        FLAGS => point.flags = message.varint()?,
        EXEMPLARS => point.exemplars.push(exemplar(message.message()?, translator)?),
        ZERO_THRESHOLD => point.zero_threshold = message.double()?,
        other => message.skip(other)?,
    }
    Ok(())
}

fn buckets(mut message: Reader<'_>, side: &mut Side) -> Result<(), WireError> {
    const OFFSET: u32 = wire::varint(1);
    const COUNTS: u32 = wire::bytes(2);
    const COUNT: u32 = wire::varint(2);
    while let Some(key) = message.key()? {
        match key {
            OFFSET => side.offset = message.zigzag()? as i32,
            COUNTS => {
                let mut list = message.message()?;
                while !list.is_empty() {
                    side.counts.push(list.varint()?);
                }
            }
            COUNT => side.counts.push(message.varint()?),
            other => message.skip(other)?,
        }
    }
    Ok(())
}

fn summary_field(
    key: u32,
    message: &mut Reader<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), NoText> {
    const COUNT: u32 = wire::fixed64(4);
    const SUM: u32 = wire::fixed64(5);
    const QUANTILES: u32 = wire::bytes(6);
    const ATTRIBUTES: u32 = wire::bytes(7);
    const FLAGS: u32 = wire::varint(8);
    match key {
        COUNT => point.count = message.fixed64()?,
        SUM => point.sum = Some(message.double()?),
        QUANTILES => {
            const QUANTILE: u32 = wire::fixed64(1);
            const VALUE: u32 = wire::fixed64(2);
            let (mut quantile, mut value) = (0.0, 0.0);
            let mut fields = message.message()?;
            while let Some(key) = fields.key()? {
                match key {
                    QUANTILE => quantile = fields.double()?,
                    VALUE => value = fields.double()?,
                    other => fields.skip(other)?,
                }
            }
            point.quantiles.push((quantile, value));
        }
        ATTRIBUTES => point.attributes.push(attribute(message.message()?, translator)?),
        FLAGS => point.flags = message.varint()?,
        other => message.skip(other)?,
    }
    Ok(())
}

fn exemplar(mut message: Reader<'_>, translator: &mut Translator<'_>) -> Result<ExemplarIn, NoText> {
    const TIME: u32 = wire::fixed64(2);
    const AS_DOUBLE: u32 = wire::fixed64(3);
    const SPAN_ID: u32 = wire::bytes(4);
    const TRACE_ID: u32 = wire::bytes(5);
    const AS_INT: u32 = wire::fixed64(6);
    const ATTRIBUTES: u32 = wire::bytes(7);
    let mut exemplar = ExemplarIn::default();
    while let Some(key) = message.key()? {
        match key {
            TIME => exemplar.time_ns = message.fixed64()?,
            AS_DOUBLE => exemplar.value = message.double()?,
            AS_INT => exemplar.value = message.fixed64()? as i64 as f64,
            SPAN_ID => exemplar.span_id = hex(message.bytes()?, 8),
            TRACE_ID => exemplar.trace_id = hex(message.bytes()?, 16),
            ATTRIBUTES => exemplar.attributes.push(attribute(message.message()?, translator)?),
            other => message.skip(other)?,
        }
    }
    Ok(exemplar)
}

/// An id in hexadecimal; empty when it has another length than it must have, or is all zeros.
fn hex(id: &[u8], len: usize) -> String {
    if id.len() != len || id.iter().all(|b| *b == 0) {
        return String::new();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
