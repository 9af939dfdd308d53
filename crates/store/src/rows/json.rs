//! Reads the overflow column: members of a JSON object, without building it and without recursion.

use std::borrow::Cow;

use super::chunk::Scope;
use super::value::Val;

/// The members of an object, as raw texts. Ends early where the text is not JSON.
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

/// The members of an object; none for any other value.
pub(crate) fn members(text: &str) -> Members<'_> {
    let mut members = Members { text, at: 0 };
    members.skip_space();
    if members.peek() == Some(b'{') {
        members.at += 1;
    } else {
        members.at = text.len();
    }
    members
}

impl<'a> Iterator for Members<'a> {
    /// A key and the text of its value.
    type Item = (Cow<'a, str>, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
        let key = self.at;
        self.skip_string()?;
        let key = unescape(&self.text[key..self.at])?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return None;
        }
        self.at += 1;
        self.skip_space();
        let value = self.at;
        self.skip_value()?;
        Some((key, &self.text[value..self.at]))
    }
}

impl Members<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    fn skip_value(&mut self) -> Option<()> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => break,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
        }
        (self.at > start && self.text.is_char_boundary(self.at)).then_some(())
    }
}

/// The text that a JSON string stands for.
fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// The value of a JSON text; `None` for null and for what is not JSON.
pub(crate) fn value(raw: &str) -> Option<Val<'_>> {
    match raw.as_bytes().first()? {
        b'"' => unescape(raw).map(Val::Text),
        b'{' | b'[' => Some(Val::Json(Cow::Borrowed(raw))),
        b't' => Some(Val::Bool(true)),
        b'f' => Some(Val::Bool(false)),
        b'n' => None,
        _ => {
            let raw = raw.trim_end();
            raw.parse().ok().map(Val::Int).or_else(|| raw.parse().ok().map(Val::Double))
        }
    }
}

/// The member of the overflow's top object that holds a scope's attributes.
pub(crate) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Record => "attributes",
        Scope::Resource => "resource",
    }
}

/// The attributes of a scope in a row's overflow, as raw texts.
pub(crate) fn overflow_members(overflow: &str, scope: Scope) -> Members<'_> {
    let object = members(overflow).find(|(name, _)| name == scope_name(scope));
    members(object.map_or("", |(_, object)| object))
}

/// An attribute in a row's overflow.
pub(crate) fn overflow_value<'a>(overflow: &'a str, scope: Scope, key: &str) -> Option<Val<'a>> {
    overflow_members(overflow, scope).find(|(name, _)| name == key).and_then(|(_, raw)| value(raw))
}

/// Adds a text as a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[done..at]);
        done = at + 1;
        if escape.is_empty() {
            out.push_str("\\u00");
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[done..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_found_by_scope_and_key() {
        let overflow = r#"{"attributes":{"a":1,"b\"c":"x\ny","d":[1,{"e":"]"}],"f":1.5,"n":null},"resource":{"a":true}}"#;
        let get = |scope, key| overflow_value(overflow, scope, key);
        assert_eq!(get(Scope::Record, "a"), Some(Val::Int(1)));
        assert_eq!(get(Scope::Record, "b\"c"), Some(Val::Text("x\ny".into())));
        assert_eq!(get(Scope::Record, "d"), Some(Val::Json(r#"[1,{"e":"]"}]"#.into())));
        assert_eq!(get(Scope::Record, "f"), Some(Val::Double(1.5)));
        assert_eq!(get(Scope::Record, "n"), None);
        assert_eq!(get(Scope::Resource, "a"), Some(Val::Bool(true)));
        assert_eq!(get(Scope::Resource, "b"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in r#"[\[\]{}",:\\a-cé0-9 ]{0,40}"#) {
            for (_, raw) in members(&text) {
                value(raw);
            }
        }

        #[test]
        fn strings_round_trip(text: String) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).expect("JSON"), text.as_str());
            prop_assert_eq!(value(&out), Some(Val::Text(text.into())));
        }
    }
}
