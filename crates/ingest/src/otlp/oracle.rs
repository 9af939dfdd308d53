//! Generated messages of OpenTelemetry's own types, and what rows they must become, written as plainly as
//! possible: what the decoders of logs and traces are checked against.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The server's clock in tests.
pub(super) const RECEIVED_NS: i64 = 1_700_000_000_000_000_000;

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z.\"\\\\é]{0,8}", 1 => any::<String>()]
}

/// A value, sometimes none.
pub(super) fn any_value() -> impl Strategy<Value = Option<AnyValue>> {
    use any_value::Value::*;
    let scalar = prop_oneof![
        text().prop_map(StringValue),
        any::<bool>().prop_map(BoolValue),
        any::<i64>().prop_map(IntValue),
        any::<f64>().prop_map(DoubleValue),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(BytesValue),
    ];
    let value = scalar.prop_recursive(3, 12, 3, |inner| {
        let some = prop::option::weighted(0.9, inner).prop_map(|value| AnyValue { value });
        prop_oneof![
            prop::collection::vec(some.clone(), 0..4)
                .prop_map(|values| ArrayValue(common::ArrayValue { values })),
            prop::collection::vec(some, 0..4).prop_map(|values| {
                let entry = |(i, value)| key_value(&format!("k{i}"), Some(value));
                KvlistValue(KeyValueList { values: values.into_iter().enumerate().map(entry).collect() })
            }),
        ]
    });
    prop::option::weighted(0.9, value.prop_map(|value| AnyValue { value: Some(value) }))
}

pub(super) fn key_value(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// Attributes with different keys.
pub(super) fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::btree_map(text(), any_value(), 0..4)
        .prop_map(|map| map.into_iter().map(|(key, value)| key_value(&key, value)).collect())
}

pub(super) fn resource() -> impl Strategy<Value = Option<Resource>> {
    prop::option::of(attributes().prop_map(|attributes| Resource { attributes, ..Default::default() }))
}

pub(super) fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    let scope = (text(), text(), attributes()).prop_map(|(name, version, attributes)| InstrumentationScope {
        name,
        version,
        attributes,
        ..Default::default()
    });
    prop::option::of(scope)
}

/// An id of the right length, of none, or of all zeros.
pub(super) fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), len),
        1 => Just(Vec::new()),
        1 => Just(vec![0; len]),
        1 => Just(vec![1; len - 1]),
    ]
}

/// Zero, a time, or one that 63 bits do not hold.
pub(super) fn time() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 6 => 1_600_000_000_000_000_000..1_800_000_000_000_000_000_u64, 1 => any::<u64>()]
}

pub(super) fn ns(time: u64) -> i64 {
    time.min(i64::MAX as u64) as i64
}

/// A double as rows show it.
fn double(value: f64) -> Value {
    match value {
        v if v.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        v => v.into(),
    }
}

/// A value inside JSON.
pub(super) fn nested(value: Option<&AnyValue>) -> Option<Value> {
    use any_value::Value::*;
    Some(match value?.value.as_ref()? {
        StringValue(text) => text.as_str().into(),
        BoolValue(value) => (*value).into(),
        IntValue(value) => (*value).into(),
        DoubleValue(value) => double(*value),
        ArrayValue(list) => list.values.iter().map(|value| nested(Some(value)).unwrap_or_default()).collect(),
        KvlistValue(list) => map(&list.values).into(),
        BytesValue(bytes) => BASE64.encode(bytes).into(),
        other => panic!("not generated: {other:?}"),
    })
}

/// Attributes inside JSON.
pub(super) fn map(attributes: &[KeyValue]) -> Map<String, Value> {
    let entry = |kv: &KeyValue| Some((kv.key.clone(), nested(kv.value.as_ref())?));
    attributes.iter().filter_map(entry).collect()
}

/// Adds attributes of a row to those it has; the first of a key counts.
pub(super) fn add(out: &mut Map<String, Value>, attributes: &[KeyValue]) {
    for kv in attributes {
        let Some(value) = nested(kv.value.as_ref()) else { continue };
        let value = match value {
            nested @ (Value::Array(_) | Value::Object(_)) => json!({ "json": nested }),
            Value::String(text) if is_double(kv) => match text.as_str() {
                "Infinity" => "inf".into(),
                "-Infinity" => "-inf".into(),
                _ => text.into(),
            },
            scalar => scalar,
        };
        out.entry(kv.key.clone()).or_insert(value);
    }
}

fn is_double(kv: &KeyValue) -> bool {
    matches!(kv.value.as_ref().and_then(|v| v.value.as_ref()), Some(any_value::Value::DoubleValue(_)))
}

/// Adds what the scope gives each of its rows.
pub(super) fn add_scope(out: &mut Map<String, Value>, scope: Option<&InstrumentationScope>) {
    let Some(scope) = scope else { return };
    for (key, text) in [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)] {
        if !text.is_empty() {
            out.entry(key).or_insert_with(|| text.as_str().into());
        }
    }
    add(out, &scope.attributes);
}

/// The attributes of a resource.
pub(super) fn resource_map(resource: Option<&Resource>) -> Map<String, Value> {
    let mut out = Map::new();
    if let Some(resource) = resource {
        add(&mut out, &resource.attributes);
    }
    out
}

/// An id in hexadecimal, if it is one.
pub(super) fn hex(id: &[u8], len: usize) -> Option<String> {
    let good = id.len() == len && id.iter().any(|byte| *byte != 0);
    good.then(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A value in an array in an array, and so on.
pub(super) fn deep(depth: usize) -> AnyValue {
    let mut value = AnyValue { value: Some(any_value::Value::IntValue(1)) };
    for _ in 0..depth {
        value = AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    value
}
