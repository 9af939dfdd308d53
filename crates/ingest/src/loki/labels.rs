//! A stream's labels as protobuf (and the first generation of JSON) writes them: `{name="value", …}`.

use model::{Records, Value};

use crate::decoded::shown;

/// Adds the labels as attributes, or says what is wrong. Attributes may have been added either way.
pub(super) fn push(records: &mut Records, text: &str) -> Result<(), String> {
    let malformed = |rest: &str| {
        let at = text.len() - rest.len();
        format!("expected {{name=\"value\", …}} but found {} at byte {at}", shown(rest.as_bytes()))
    };
    let rest = text.trim();
    let mut rest = rest.strip_prefix('{').ok_or_else(|| malformed(rest))?.trim_start();
    let mut value = String::new();
    while !rest.starts_with('}') {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).filter(|end| *end > 0);
        let (name, after) = rest.split_at(end.ok_or_else(|| malformed(rest))?);
        let quoted = after.trim_start().strip_prefix('=').ok_or_else(|| malformed(after))?.trim_start();
        value.clear();
        let after = unquote(quoted, &mut value).ok_or_else(|| malformed(quoted))?.trim_start();
        let label = Value::Text(records.push_text(&value));
        records.push_attr(name.trim_matches('"'), label);
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.starts_with('}') => after,
            None => return Err(malformed(after)),
        };
    }
    if rest.len() == 1 { Ok(()) } else { Err(malformed(&rest[1..])) }
}

/// Reads a quoted text with Go's escapes into `value` and returns what follows it.
fn unquote<'a>(quoted: &'a str, value: &mut String) -> Option<&'a str> {
    if let Some(raw) = quoted.strip_prefix('`') {
        let (inner, after) = raw.split_once('`')?;
        value.push_str(inner);
        return Some(after);
    }
    let mut rest = quoted.strip_prefix('"')?;
    loop {
        let plain = rest.find(['"', '\\'])?;
        value.push_str(&rest[..plain]);
        if rest[plain..].starts_with('"') {
            return Some(&rest[plain + 1..]);
        }
        let escape = rest[plain + 1..].chars().next()?;
        rest = &rest[plain + 1 + escape.len_utf8()..];
        let digits = match escape {
            'n' => push(value, '\n'),
            't' => push(value, '\t'),
            'r' => push(value, '\r'),
            'a' => push(value, '\u{7}'),
            'b' => push(value, '\u{8}'),
            'f' => push(value, '\u{c}'),
            'v' => push(value, '\u{b}'),
            '\\' | '"' | '\'' => push(value, escape),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        if digits > 0 {
            let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
            value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &rest[digits..];
        }
    }

    /// A character of its own, without digits behind it.
    fn push(value: &mut String, c: char) -> usize {
        value.push(c);
        0
    }
}
