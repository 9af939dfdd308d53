//! Texts for HTML, scripts and addresses, as Go's template functions escape them.

use std::fmt::Write as _;

use super::super::format::Sink;

/// `html`.
pub(in super::super) fn html_into(out: &mut Sink, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
}

/// `js`: inside a string of a script.
pub(in super::super) fn js_into(out: &mut Sink, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                let mut escaped = String::new();
                write!(escaped, "\\u{:04X}", c as u32).expect("writing to a string does not fail");
                out.push_str(&escaped);
            }
            c => out.push(c),
        }
    }
}

/// `urlquery`: a value in an address' query.
pub(in super::super) fn query_into(out: &mut Sink, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
