//! OTLP/JSON: proto3's JSON with ids in hexadecimal and enumerations as numbers. 64-bit integers come as
//! strings or numbers, unknown fields are ignored, and `null` is a field's default.

mod shape; // the messages

use super::Context;
use super::point::{Attribute, Descriptor, ExemplarIn, Kind, PointIn, Scope, Side};
use super::translate::{Family, Translator};
use crate::otlp::any_value::DEPTH_MAX;
use crate::otlp::json::{Alone, Item, Mode, Whole};
use crate::{DecodeError, Decoded, otlp};

pub(super) fn decode(body: &[u8], context: &Context) -> Result<Decoded, DecodeError> {
    let size = body.len();
    otlp::json::read(
        body,
        |whole: shape::Request<Whole>| samples(&whole, size, context),
        |alone: shape::Request<Alone>| samples(&alone, size, context),
    )
}

fn samples<M: Mode>(
    request: &shape::Request<M>,
    size: usize,
    context: &Context,
) -> Result<Decoded, DecodeError> {
    let mut translator = Translator::new(&[], size, context);
    let mut point = PointIn::default();
    for resource in &request.resource_metrics {
        let attributes = attributes(&resource.resource.attributes, &mut translator)
            .map_err(|error| DecodeError::Malformed(format!("an attribute: {error}")))?;
        translator.begin_resource(attributes);
        for scope in &resource.scope_metrics {
            begin_scope(scope, &mut translator)?;
            for metric in &scope.metrics {
                read_metric(metric, &mut translator, &mut point);
            }
        }
        translator.end_resource();
    }
    Ok(translator.finish())
}

fn begin_scope<M: Mode>(
    scope: &shape::ScopeMetrics<M>,
    translator: &mut Translator<'_>,
) -> Result<(), DecodeError> {
    let attributes = attributes(&scope.scope.attributes, translator)
        .map_err(|error| DecodeError::Malformed(format!("an attribute: {error}")))?;
    let name = translator.texts.push(scope.scope.name.as_bytes());
    let version = translator.texts.push(scope.scope.version.as_bytes());
    let schema_url = translator.texts.push(scope.schema_url.as_bytes());
    translator.begin_scope(Scope { name, version, schema_url, attributes });
    Ok(())
}

fn read_metric<M: Mode>(metric: &shape::Metric<M>, translator: &mut Translator<'_>, point: &mut PointIn) {
    let name = translator.texts.push(metric.name.as_bytes());
    let description = translator.texts.push(metric.description.as_bytes());
    let unit = translator.texts.push(metric.unit.as_bytes());
    let mut begin = |kind: Kind| translator.begin_metric(&Descriptor { name, description, unit, kind });
    if let Some(gauge) = &metric.gauge {
        let family = begin(Kind::Gauge);
        each(&gauge.data_points, number, &family, translator, point);
    } else if let Some(sum) = &metric.sum {
        let temporality = sum.aggregation_temporality.0;
        let family = begin(Kind::Sum { monotonic: sum.is_monotonic, temporality });
        each(&sum.data_points, number, &family, translator, point);
    } else if let Some(histogram) = &metric.histogram {
        let family = begin(Kind::Histogram(histogram.aggregation_temporality.0));
        each(&histogram.data_points, explicit, &family, translator, point);
    } else if let Some(histogram) = &metric.exponential_histogram {
        let family = begin(Kind::Exponential(histogram.aggregation_temporality.0));
        each(&histogram.data_points, exponential, &family, translator, point);
    } else if let Some(summary) = &metric.summary {
        let family = begin(Kind::Summary);
        each(&summary.data_points, quantiles, &family, translator, point);
    }
}

fn each<P: shape::DataPoint, M: Mode>(
    points: &[Item<P, M>],
    fill: fn(&P, &mut PointIn),
    family: &Family,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) {
    for from in points {
        let from = match from.get() {
            Ok(from) => from,
            Err(bad) => {
                translator.bad_point(&bad.field, bad.message);
                continue;
            }
        };
        point.clear();
        fill(from, point);
        match common(&from.common(), translator, point) {
            Ok(()) => translator.point(family, point),
            Err(error) => translator.bad_point("attributes", error),
        }
    }
}

fn common(
    from: &shape::Common<'_>,
    translator: &mut Translator<'_>,
    point: &mut PointIn,
) -> Result<(), String> {
    point.start_ns = from.start_ns;
    point.time_ns = from.time_ns;
    point.flags = from.flags;
    point.attributes = attributes(from.attributes, translator)?;
    for exemplar in from.exemplars {
        point.exemplars.push(ExemplarIn {
            attributes: attributes(&exemplar.filtered_attributes, translator)?,
            time_ns: exemplar.time_unix_nano.0,
            value: exemplar.as_double.map(|v| v.0).or(exemplar.as_int.map(|v| v.0 as f64)).unwrap_or(0.0),
            trace_id: id(&exemplar.trace_id, 32),
            span_id: id(&exemplar.span_id, 16),
        });
    }
    Ok(())
}

fn number(from: &shape::NumberPoint, point: &mut PointIn) {
    point.value = from.as_double.map(|v| v.0).or(from.as_int.map(|v| v.0 as f64));
}

fn explicit(from: &shape::HistogramPoint, point: &mut PointIn) {
    point.count = from.count.0;
    point.sum = from.sum.map(|v| v.0);
    point.bucket_counts.extend(from.bucket_counts.iter().map(|v| v.0));
    point.bounds.extend(from.explicit_bounds.iter().map(|v| v.0));
}

fn exponential(from: &shape::ExponentialPoint, point: &mut PointIn) {
    point.count = from.count.0;
    point.sum = from.sum.map(|v| v.0);
    point.scale = from.scale.0;
    point.zero_count = from.zero_count.0;
    point.zero_threshold = from.zero_threshold.0;
    let side = |side: &shape::Side| Side {
        offset: side.offset.0 as i32,
        counts: side.bucket_counts.iter().map(|v| v.0).collect(),
    };
    point.positive = side(&from.positive);
    point.negative = side(&from.negative);
}

fn quantiles(from: &shape::SummaryPoint, point: &mut PointIn) {
    point.count = from.count.0;
    point.sum = from.sum.map(|v| v.0);
    point.quantiles.extend(from.quantile_values.iter().map(|v| (v.quantile.0, v.value.0)));
}

fn attributes(from: &[shape::KeyValue], translator: &mut Translator<'_>) -> Result<Vec<Attribute>, String> {
    let attribute = |from: &shape::KeyValue| {
        let key = translator.texts.push(from.key.as_bytes());
        let value = translator.texts.push(text(&from.value)?.as_bytes());
        Ok(Attribute { key, value })
    };
    from.iter().map(attribute).collect()
}

/// A value as label text; see [`crate::otlp::any_value`].
fn text(value: &shape::AnyValue) -> Result<std::borrow::Cow<'_, str>, String> {
    if let Some(text) = value.string_value.as_ref().or(value.bytes_value.as_ref()) {
        return Ok(text.as_str().into());
    }
    if let Some(double) = value.double_value {
        return Ok(otlp::any_value::double(double.0).into());
    }
    Ok(match nested(value, DEPTH_MAX + 1)? {
        serde_json::Value::Null => "".into(),
        other => other.to_string().into(),
    })
}

fn nested(value: &shape::AnyValue, depth: usize) -> Result<serde_json::Value, String> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| format!("arrays and maps may be nested {DEPTH_MAX} deep; flatten the attribute"))?;
    if let Some(list) = &value.array_value {
        return list.values.iter().map(|v| nested(v, depth)).collect();
    }
    if let Some(list) = &value.kvlist_value {
        let entry = |kv: &shape::KeyValue| Ok((kv.key.clone(), nested(&kv.value, depth)?));
        return list.values.iter().map(entry).collect();
    }
    let text = value.string_value.as_ref().or(value.bytes_value.as_ref());
    Ok(text
        .map(|text| text.as_str().into())
        .or(value.bool_value.map(Into::into))
        .or(value.int_value.map(|v| v.0.into()))
        .or(value.double_value.map(|v| v.0.into()))
        .unwrap_or_default())
}

/// An id in lower-case hexadecimal; empty when it is not one, or is all zeros.
fn id(text: &str, digits: usize) -> String {
    let hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex || text.bytes().all(|b| b == b'0') {
        return String::new();
    }
    text.to_ascii_lowercase()
}
