//! Go's regular expressions with our engine, and what they replace.
//!
//! Both are of the RE2 family. What they write alike and mean otherwise is translated: `\d`, `\w`, `\s` and `\b` know
//! only ASCII in Go, `\Q…\E` quotes, a brace that counts nothing stands for itself, and a class knows no operators.

use regex::{Captures, Regex, RegexBuilder};

use super::error::Fault;
use super::format::Sink;

/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 4 << 10;
/// Memory of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 256 << 10;

/// Compiles a Go pattern.
pub(super) fn compile(pattern: &str) -> Result<Regex, Fault> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Fault::Limit { what: "bytes in a pattern", limit: PATTERN_BYTES_MAX });
    }
    RegexBuilder::new(&translate(pattern))
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(100)
        .build()
        .map_err(|_| format!("error parsing regexp: `{pattern}` is not a regular expression of Go").into())
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let Some(escaped) = behind.chars().next() else {
                    out.push('\\');
                    break;
                };
                rest = &behind[escaped.len_utf8()..];
                match escaped {
                    'Q' => {
                        let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                        out.push_str(&regex::escape(quoted));
                        rest = after;
                    }
                    'd' => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                    'w' => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                    's' => out.push_str(if in_class { r"\t\n\x0C\r " } else { r"[\t\n\x0C\r ]" }),
                    'D' => out.push_str("[^0-9]"),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    'S' => out.push_str(r"[^\t\n\x0C\r ]"),
                    'b' if !in_class => out.push_str(r"(?-u:\b)"),
                    escaped => out.extend(['\\', escaped]),
                }
                continue;
            }
            '[' if in_class => {
                if behind.starts_with(':') && behind[1..].contains(":]") {
                    let end = behind.find(":]").map_or(0, |end| end + 2);
                    out.push('[');
                    out.push_str(&behind[..end]);
                    rest = &behind[end..];
                    continue;
                }
                out.push_str("\\[");
            }
            '[' => {
                in_class = true;
                out.push('[');
                // A bracket right at the beginning is a member.
                let mut after = behind;
                if let Some(negated) = after.strip_prefix('^') {
                    out.push('^');
                    after = negated;
                }
                if let Some(member) = after.strip_prefix(']') {
                    out.push_str("\\]");
                    after = member;
                }
                rest = after;
                continue;
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && behind.starts_with('-') => out.push_str("\\-"),
            '{' if !in_class && !counts(behind) => out.push_str("\\{"),
            c => out.push(c),
        }
        rest = behind;
    }
    out
}

/// Whether `3}`, `3,}` or `3,5}` follows an opening brace.
fn counts(text: &str) -> bool {
    let Some((inside, _)) = text.split_once('}') else {
        return false;
    };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !from.is_empty() && digits(from) && digits(to)
}

/// Replaces all that matches; `$1`, `${1}` and `$name` are groups, `$$` a dollar.
pub(super) fn replace_all(out: &mut Sink, pattern: &Regex, text: &str, replacement: &str) {
    let mut copied = 0;
    for captures in pattern.captures_iter(text) {
        let whole = captures.get(0).expect("group 0 is the match");
        out.push_str(&text[copied..whole.start()]);
        expand(out, replacement, &captures);
        copied = whole.end();
        if out.is_full() {
            return;
        }
    }
    out.push_str(&text[copied..]);
}

fn expand(out: &mut Sink, replacement: &str, captures: &Captures<'_>) {
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if let Some(after) = behind.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = behind.strip_prefix('{');
        let start = braced.unwrap_or(behind);
        let name =
            &start[..start.len() - start.trim_start_matches(|c: char| c == '_' || c.is_alphanumeric()).len()];
        let after = &start[name.len()..];
        let after = if braced.is_some() { after.strip_prefix('}') } else { Some(after) };
        match after {
            Some(after) if !name.is_empty() => {
                let group = if name.bytes().all(|b| b.is_ascii_digit()) {
                    name.parse().ok().and_then(|i| captures.get(i))
                } else {
                    captures.name(name)
                };
                out.push_str(group.map_or("", |group| group.as_str()));
                rest = after;
            }
            // Not a reference: the dollar stands for itself.
            _ => {
                out.push('$');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
}
