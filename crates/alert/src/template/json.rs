//! `toJson`: values as Go's encoding/json writes them, with `<`, `>` and `&` escaped.

use super::format::{Sink, general, time};
use super::value::Value;

/// Writes a value; a number that JSON cannot hold is an error.
pub(super) fn write(out: &mut Sink, value: &Value) -> Result<(), String> {
    if out.is_full() {
        return Ok(());
    }
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Int(n) | Value::Duration(n) => out.push_str(&n.to_string()),
        Value::Float(n) if n.is_finite() => out.push_str(&number(*n)),
        Value::Float(n) => return Err(format!("json: unsupported value: {}", general(*n, None))),
        Value::Str(text) | Value::Safe(_, text) => string(out, text),
        Value::Time(at) => string(out, &time(at, "2006-01-02T15:04:05.999999999Z07:00")),
        Value::List(list) => {
            out.push('[');
            for (i, item) in list.items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(out, item)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            let entries = map.entries.iter().map(|(key, item)| (key.to_string(), item));
            object(out, entries)?;
        }
        Value::Object(own) => {
            let entries = own.fields.iter().map(|(name, item)| {
                let mut name = (*name).to_owned();
                if own.json_small {
                    name[..1].make_ascii_lowercase();
                }
                (name, item)
            });
            object(out, entries)?;
        }
    }
    Ok(())
}

fn object<'a>(out: &mut Sink, entries: impl Iterator<Item = (String, &'a Value)>) -> Result<(), String> {
    out.push('{');
    for (i, (name, item)) in entries.enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, &name);
        out.push(':');
        write(out, item)?;
    }
    out.push('}');
    Ok(())
}

/// With an exponent only below 1e-6 and from 1e21 on.
fn number(n: f64) -> String {
    let size = n.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return general(n, None).replace("e-0", "e-");
    }
    format!("{n}")
}

fn string(out: &mut Sink, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", c as u32))
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
