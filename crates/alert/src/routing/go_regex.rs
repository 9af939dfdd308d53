//! Go's regular expressions, written so that the `regex` crate reads them alike.
//!
//! The two share RE2's grammar but for a few places. There Go's meaning is written out; what only Go has
//! (`\C`, octal escapes) stays as it is and is refused by the compiler.

use regex::{Regex, RegexBuilder};

/// Largest compiled form of one expression, so that a short pattern cannot take the memory of a large one.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Longest expression that is read.
const PATTERN_BYTES_MAX: usize = 16 << 10;

/// Compiles an expression that must match a whole text. The error is a reason in one line.
pub(super) fn anchored(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("it has {} bytes; at most {PATTERN_BYTES_MAX} are read", pattern.len()));
    }
    // Alertmanager, unlike Prometheus, lets `.` stop at a line break.
    RegexBuilder::new(&format!("^(?:{})$", translate(pattern)))
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|e| {
            e.to_string().lines().last().unwrap_or_default().trim().trim_start_matches("error: ").into()
        })
}

/// Go's `\d`, `\s`, `\w` and `\b` know ASCII alone; a `{` that is no repetition is itself; `\<` is a `<`; classes
/// neither nest nor subtract.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(tail, &mut out, false),
            '[' => class(tail, &mut out),
            '{' if !is_repetition(tail) => {
                out.push_str("\\{");
                tail
            }
            other => {
                out.push(other);
                tail
            }
        };
    }
    out
}

/// What follows a backslash; returns what is left.
fn escape<'a>(tail: &'a str, out: &mut String, in_class: bool) -> &'a str {
    let Some(c) = tail.chars().next() else {
        out.push('\\');
        return tail;
    };
    let after = &tail[c.len_utf8()..];
    let ascii = match c {
        'd' | 'D' => "0-9",
        's' | 'S' => r"\t\n\f\r ",
        'w' | 'W' => "0-9A-Za-z_",
        _ => "",
    };
    match c {
        'Q' if !in_class => {
            let (literal, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(literal));
            return after;
        }
        _ if !ascii.is_empty() && c.is_ascii_uppercase() => out.push_str(&format!("[^{ascii}]")),
        _ if !ascii.is_empty() && in_class => out.push_str(ascii),
        _ if !ascii.is_empty() => out.push_str(&format!("[{ascii}]")),
        'b' | 'B' if !in_class => out.push_str(&format!("(?-u:\\{c})")),
        '<' | '>' => out.push(c),
        other => {
            out.push('\\');
            out.push(other);
        }
    }
    after
}

/// A class from behind its `[`; returns what follows its `]`.
fn class<'a>(mut rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    if let Some(tail) = rest.strip_prefix('^') {
        out.push('^');
        rest = tail;
    }
    // A `]` in first place is itself.
    if let Some(tail) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = tail;
    }
    if let Some(tail) = rest.strip_prefix('-') {
        out.push_str("\\-");
        rest = tail;
    }
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            ']' => {
                out.push(']');
                return tail;
            }
            '\\' => escape(tail, out, true),
            '[' => match tail.strip_prefix(':').and_then(|name| name.split_once(":]")) {
                Some((name, after)) if name.bytes().all(|b| b == b'^' || b.is_ascii_lowercase()) => {
                    out.push_str(&format!("[:{name}:]"));
                    after
                }
                _ => {
                    out.push_str("\\[");
                    tail
                }
            },
            '&' | '~' => {
                out.push('\\');
                out.push(c);
                tail
            }
            // A range that ends at `-`, not the difference of two classes.
            '-' if tail.starts_with('-') => {
                out.push_str("-\\-");
                &tail[1..]
            }
            other => {
                out.push(other);
                tail
            }
        };
    }
    rest
}

/// True for `2}`, `2,}` and `2,5}`.
fn is_repetition(tail: &str) -> bool {
    let Some((inside, _)) = tail.split_once('}') else { return false };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !from.is_empty() && number(from) && number(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        let rows = [
            ("a|b", "a", true),
            ("a|b", "ab", false),
            ("a.c", "a\nc", false),
            ("(?s)a.c", "a\nc", true),
            (r"\d+", "12", true),
            (r"\d+", "١٢", false),
            (r"[\d.]+", "1.2", true),
            (r"[\D]", "x", true),
            (r"\w", "é", false),
            (r".\b.*", "a b", true),
            ("a{", "a{", true),
            ("a{,2}", "a{,2}", true),
            ("a{1,2}", "aa", true),
            ("[[]", "[", true),
            ("[]a]", "]", true),
            ("[a&&b]", "&", true),
            ("[+--]", ",", true),
            ("[--a]", "A", true),
            ("[-a]", "-", true),
            ("[[:alpha:]]+", "abc", true),
            (r"\Qa.b\E.", "a.bx", true),
            (r"\<a\>", "<a>", true),
            (r"\_\-", "_-", true),
            ("(?i)ab", "AB", true),
            ("", "", true),
        ];
        for (pattern, text, want) in rows {
            let got = anchored(pattern).expect(pattern).is_match(text);
            assert_eq!(got, want, "{pattern:?} on {text:?}");
        }
        for pattern in ["(", "a**(", "[a--z]", r"\C", "[", "(?=a)", &"a".repeat(20_000), "(a{900}){900}"] {
            assert!(anchored(pattern).is_err(), "{}", &pattern[..pattern.len().min(20)]);
        }
    }
}
