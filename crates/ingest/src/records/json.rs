//! JSON values as values of rows, and the few pieces of JSON that decoders write themselves.

use model::{Attr, Records, Value};

/// A JSON value as a value of a row. Arrays and objects stay JSON; a number that is neither a 64-bit integer
/// nor a double, which parsing has excluded, would be null.
pub fn value_of_json(records: &mut Records, value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(double)) => Value::Double(double),
            (None, None) => Value::Null,
        },
        serde_json::Value::String(text) => Value::Text(records.push_text(text)),
        nested => Value::Json(records.push_text(nested.to_string())),
    }
}

/// Adds the members of a JSON object as attributes, without those that are null. Objects inside stay JSON.
pub fn push_json_attrs(records: &mut Records, object: &serde_json::Map<String, serde_json::Value>) {
    for (key, value) in object {
        let value = value_of_json(records, value);
        if value != Value::Null {
            let key = records.push_text(key);
            records.attrs.push(Attr { key, value });
        }
    }
}

/// Appends a JSON string; what is not UTF-8 is replaced.
pub fn write_str(out: &mut Vec<u8>, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    serde_json::to_writer(out, &*text).expect("writing to memory does not fail");
}

/// Appends a double as a JSON number, or as a string where JSON has no number for it.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    match value {
        v if v.is_nan() => out.extend(b"\"NaN\""),
        f64::INFINITY => out.extend(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend(b"\"-Infinity\""),
        v => serde_json::to_writer(out, &v).expect("writing to memory does not fail"),
    }
}

#[cfg(test)]
mod tests {
    use model::Signal;
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_kept_and_nulls_left_out() {
        let mut records = Records::new(Signal::Logs);
        let object =
            json!({"a": null, "b": true, "c": -1, "d": 1.5, "e": "x", "f": [1, {"g": 2}], "h": u64::MAX});
        push_json_attrs(&mut records, object.as_object().expect("an object"));
        let shown: Vec<String> = records
            .attrs
            .iter()
            .map(|attr| {
                let key = String::from_utf8_lossy(attr.key.of(&records.text)).into_owned();
                match attr.value {
                    Value::Text(_) => format!("{key} text {}", records.text_of(attr.value).expect("text")),
                    Value::Json(_) => format!("{key} json {}", records.text_of(attr.value).expect("text")),
                    other => format!("{key} {other:?}"),
                }
            })
            .collect();
        let want = [
            "b Bool(true)",
            "c Int(-1)",
            "d Double(1.5)",
            "e text x",
            "f json [1,{\"g\":2}]",
            "h Double(1.8446744073709552e19)",
        ];
        assert_eq!(shown, want);
    }

    #[test]
    fn written_pieces_are_json() {
        let mut out = Vec::new();
        write_str(&mut out, b"a\"\xff\n");
        out.push(b' ');
        for value in [1.0, 0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            write_f64(&mut out, value);
            out.push(b' ');
        }
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "\"a\\\"\u{fffd}\\n\" 1.0 0.1 \"NaN\" \"Infinity\" \"-Infinity\" ");
    }
}
