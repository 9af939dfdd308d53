//! Attributes as JSON has them. Texts are borrowed from the body where they have no escapes.

use std::borrow::Cow;
use std::fmt;

use model::{Attr, Reason, Span, Value};
use serde::{Deserialize, Deserializer};

use super::{F64, I64};
use crate::otlp::any_value::{DEPTH_MAX, NoText, row::INNER_DEPTH_MAX};
use crate::otlp::sink::{BadItem, Sink};
use crate::records::{write_f64, write_str};

/// `null` stands for a field's default.
pub(in crate::otlp) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A text.
#[derive(Clone, Debug, Default)]
pub(in crate::otlp) struct Text<'a>(pub(in crate::otlp) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A key and its value.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::otlp) struct KeyValue<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    pub(in crate::otlp) key: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    pub(in crate::otlp) value: AnyValue<'a>,
}

/// A value of one kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::otlp) struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<I64>,
    double_value: Option<F64>,
    #[serde(borrow)]
    array_value: Option<Array<'a>>,
    #[serde(borrow)]
    kvlist_value: Option<KeyValueList<'a>>,
    #[serde(borrow)]
    bytes_value: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Array<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    values: Vec<AnyValue<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyValueList<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    values: Vec<KeyValue<'a>>,
}

/// A value as a value of a row.
pub(in crate::otlp) fn value(sink: &mut Sink<'_>, value: &AnyValue<'_>) -> Result<Value, NoText> {
    Ok(if let Some(text) = value.string_value.as_ref().or(value.bytes_value.as_ref()) {
        Value::Text(text_of(sink, text))
    } else if let Some(value) = value.bool_value {
        Value::Bool(value)
    } else if let Some(value) = value.int_value {
        Value::Int(value.0)
    } else if let Some(value) = value.double_value {
        Value::Double(value.0)
    } else if value.array_value.is_some() || value.kvlist_value.is_some() {
        Value::Json(sink.texts.make(|out| write_value(out, value, DEPTH_MAX + 1).map(drop))?)
    } else {
        Value::Null
    })
}

/// Copies a text.
pub(in crate::otlp) fn text_of(sink: &mut Sink<'_>, text: &Text<'_>) -> Span {
    sink.texts.push(text.0.as_bytes())
}

/// Adds the attributes of an item.
pub(in crate::otlp) fn item_attrs(sink: &mut Sink<'_>, attributes: &[KeyValue<'_>]) -> Result<(), BadItem> {
    attributes.iter().try_for_each(|attribute| item_attr(sink, attribute))
}

/// Adds the attributes of a resource or scope; one nested too deep is left out with a remark.
pub(in crate::otlp) fn shared_attrs(sink: &mut Sink<'_>, attributes: &[KeyValue<'_>]) {
    for attribute in attributes {
        if let Err(bad) = item_attr(sink, attribute) {
            sink.remark(bad);
        }
    }
}

fn item_attr(sink: &mut Sink<'_>, attribute: &KeyValue<'_>) -> Result<(), BadItem> {
    let value = value(sink, &attribute.value).map_err(|error| {
        let field = format!("attributes[{}]", crate::decoded::shown(attribute.key.0.as_bytes()));
        BadItem { field, reason: Reason::InvalidValue, message: error.to_string() }
    })?;
    if value != Value::Null {
        let key = text_of(sink, &attribute.key);
        sink.attr(Attr { key, value });
    }
    Ok(())
}

/// Appends attributes as a JSON object, for events and links of spans.
pub(in crate::otlp) fn write_attrs(out: &mut Vec<u8>, attributes: &[KeyValue<'_>]) -> Result<(), NoText> {
    write_map(out, attributes, INNER_DEPTH_MAX)
}

fn write_map(out: &mut Vec<u8>, attributes: &[KeyValue<'_>], depth: usize) -> Result<(), NoText> {
    out.push(b'{');
    let first = out.len();
    for KeyValue { key, value } in attributes {
        let before = out.len();
        if before > first {
            out.push(b',');
        }
        write_str(out, key.0.as_bytes());
        out.push(b':');
        if !write_value(out, value, depth)? {
            out.truncate(before);
        }
    }
    out.push(b'}');
    Ok(())
}

/// False when there is no value, and nothing was written.
fn write_value(out: &mut Vec<u8>, value: &AnyValue<'_>, depth: usize) -> Result<bool, NoText> {
    let depth = depth.checked_sub(1).ok_or(NoText::TooDeep)?;
    if let Some(text) = value.string_value.as_ref().or(value.bytes_value.as_ref()) {
        write_str(out, text.0.as_bytes());
    } else if let Some(value) = value.bool_value {
        out.extend(if value { &b"true"[..] } else { b"false" });
    } else if let Some(value) = value.int_value {
        out.extend(value.0.to_string().bytes());
    } else if let Some(value) = value.double_value {
        write_f64(out, value.0);
    } else if let Some(list) = &value.array_value {
        out.push(b'[');
        for (i, value) in list.values.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            if !write_value(out, value, depth)? {
                out.extend(b"null");
            }
        }
        out.push(b']');
    } else if let Some(list) = &value.kvlist_value {
        write_map(out, &list.values, depth)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The resource of a group of items.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::otlp) struct Resource<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    pub(in crate::otlp) attributes: Vec<KeyValue<'a>>,
}

/// The instrumentation scope of a group of items.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::otlp) struct Scope<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    name: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    version: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    attributes: Vec<KeyValue<'a>>,
}

/// Begins the rows of a resource.
pub(in crate::otlp) fn begin_resource(sink: &mut Sink<'_>, resource: &Resource<'_>) {
    let first = sink.mark();
    shared_attrs(sink, &resource.attributes);
    sink.end_resource(first);
}

/// Begins the rows of a scope.
pub(in crate::otlp) fn begin_scope(sink: &mut Sink<'_>, scope: &Scope<'_>) {
    let first = sink.mark();
    shared_attrs(sink, &scope.attributes);
    let (name, version) = (text_of(sink, &scope.name), text_of(sink, &scope.version));
    sink.end_scope(first, name, version);
}
