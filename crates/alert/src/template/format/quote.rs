//! Strings in quotes, as Go's strconv writes them.

use std::fmt::Write as _;

/// In double quotes; with `ascii`, everything beyond ASCII escaped.
pub(super) fn double(text: &str, ascii: bool) -> String {
    quoted(text, '"', ascii)
}

/// A character in single quotes.
pub(super) fn single(c: char, ascii: bool) -> String {
    quoted(c.encode_utf8(&mut [0; 4]), '\'', ascii)
}

/// Whether a text can stand between backquotes.
pub(super) fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !(c.is_control() || c == '`' || c == '\u{feff}'))
}

fn quoted(text: &str, quote: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            c if c == quote || c == '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            c if c.is_ascii() => hex(&mut out, "\\x", c, 2),
            c if !ascii && printable(c) => out.push(c),
            c if (c as u32) < 0x1_0000 => hex(&mut out, "\\u", c, 4),
            c => hex(&mut out, "\\U", c, 8),
        }
    }
    out.push(quote);
    out
}

fn hex(out: &mut String, prefix: &str, c: char, width: usize) {
    write!(out, "{prefix}{:0width$x}", c as u32).expect("writing to a string does not fail");
}

/// Controls, spaces other than the plain one and line separators are not.
fn printable(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && c != '\u{feff}' && !('\u{200b}'..='\u{200f}').contains(&c)
}
