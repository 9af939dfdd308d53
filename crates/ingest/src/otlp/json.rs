//! What OTLP/JSON has in common for all signals: a check before reading, items that are refused alone, numbers that
//! may come as strings, and attributes.

mod item; // one that cannot be read costs itself
mod scalar; // numbers that may come as strings
mod value; // values of attributes

pub(super) use item::{Alone, Item, Mode, Whole, read};
pub(super) use scalar::{F64, I64, Scalar, U64};
pub(super) use value::{
    AnyValue, KeyValue, Resource, Scope, Text, begin_resource, begin_scope, item_attrs, or_default, text_of,
    value, write_attrs,
};

use crate::DecodeError;

/// An object takes up to 300 bytes in memory but may be two in the body. The densest that senders write are
/// attributes, with 17 bytes per object.
const BYTES_PER_OBJECT_MIN: usize = 10;
const OBJECTS_FREE: usize = 1 << 12;

/// Refuses what Serde would misread or what would take far more memory than its body.
pub(super) fn check(body: &[u8]) -> Result<(), DecodeError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        // Serde would read an array as the fields of a struct in order.
        return Err(DecodeError::Malformed("not OTLP/JSON: the body must be an object".into()));
    }
    let objects_max = OBJECTS_FREE + body.len() / BYTES_PER_OBJECT_MIN;
    // Braces in texts count too at first, since looking for texts takes longer.
    if body.iter().filter(|byte| **byte == b'{').count() <= objects_max {
        return Ok(());
    }
    let objects = objects(body);
    if objects > objects_max {
        let text = format!("{objects} objects in {} bytes; leave empty objects out", body.len());
        return Err(DecodeError::TooLarge(text));
    }
    Ok(())
}

/// Braces that open an object: those outside of texts.
fn objects(body: &[u8]) -> usize {
    let (mut objects, mut inside, mut escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'{' if !inside => objects += 1,
            _ => {}
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_texts_are_no_objects() {
        let text = format!("{{\"a\":\"\\\"{}\"}}", "{".repeat(1 << 20));
        assert!(check(text.as_bytes()).is_ok());
        let nested = format!("{{\"a\":[{}]}}", "{},".repeat(1 << 20));
        assert!(matches!(check(nested.as_bytes()), Err(DecodeError::TooLarge(_))));
    }
}
