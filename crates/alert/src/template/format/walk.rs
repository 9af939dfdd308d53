//! Values of every kind without a verb, and what is inside lists, maps and structs.

use std::sync::Arc;

use super::super::value::{ListKind, MapKind, Value};
use super::{Sink, TIME, duration, general, time};

/// A value as `print` and an action without a function write it.
pub(in super::super) fn write(out: &mut Sink, value: &Value) {
    if out.is_full() {
        return;
    }
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&general(*value, None)),
        Value::Str(text) | Value::Safe(_, text) => out.push_str(text),
        Value::Time(_) | Value::Duration(_) => out.push_str(&own_text(value).unwrap_or_default()),
        Value::List(_) | Value::Map(_) | Value::Object(_) => match own_text(value) {
            Some(text) => out.push_str(&text),
            None => inside(out, value, false, &mut |out, value| write(out, value)),
        },
    }
}

/// [`write`] to a text; `None` when it is longer than the limit.
pub(in super::super) fn show(value: &Value, limit: usize) -> Result<String, super::Full> {
    let mut out = Sink::new(limit);
    write(&mut out, value);
    out.finish()
}

/// Several values: a space between two of them when neither is text, as Go's Sprint has it.
pub(in super::super) fn print(out: &mut Sink, values: &[Value]) {
    let is_text = |value: &Value| matches!(value, Value::Str(_) | Value::Safe(..));
    for (i, value) in values.iter().enumerate() {
        if i > 0 && !is_text(value) && !is_text(&values[i - 1]) {
            out.push(' ');
        }
        write(out, value);
    }
}

/// The text of a value that has a `String` method in Go.
pub(super) fn own_text(value: &Value) -> Option<String> {
    match value {
        Value::Time(at) => Some(time(at, TIME)),
        Value::Duration(nanoseconds) => Some(duration(*nanoseconds)),
        Value::Map(map) if map.kind == MapKind::Kv => {
            let mut pairs: Vec<(&Arc<str>, &Value)> = map.entries.iter().collect();
            pairs.sort_by_key(|(name, _)| &***name != "alertname");
            Some(joined(pairs.into_iter().map(|(name, value)| (name.as_ref(), text_of(value)))))
        }
        Value::List(list) if list.kind == ListKind::Pairs => {
            Some(joined(list.items.iter().filter_map(|item| {
                let Value::Object(pair) = item else { return None };
                Some((text_of(pair.get("Name")?), text_of(pair.get("Value")?)))
            })))
        }
        _ => None,
    }
}

fn text_of(value: &Value) -> &str {
    if let Value::Str(text) = value { text } else { "" }
}

fn joined<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// The brackets and separators of a list, a map or a struct, with `each` for what is inside.
pub(super) fn inside(out: &mut Sink, value: &Value, names: bool, each: &mut dyn FnMut(&mut Sink, &Value)) {
    match value {
        Value::List(list) => {
            out.push('[');
            for (i, item) in list.items.iter().enumerate() {
                if out.is_full() {
                    return;
                }
                if i > 0 {
                    out.push(' ');
                }
                each(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (i, (key, item)) in map.entries.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                each(out, &Value::Str(Arc::clone(key)));
                out.push(':');
                each(out, item);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (i, (name, item)) in object.fields.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                if names {
                    out.push_str(name);
                    out.push(':');
                }
                each(out, item);
            }
            out.push('}');
        }
        _ => each(out, value),
    }
}
