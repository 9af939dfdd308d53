//! Text to matchers, in both notations that Alertmanager reads.
//!
//! Classic: plain names; a value stands in quotes or as it is, and only `\\`, `\n` and `\"` are escapes. The newer
//! one: a name or a value is a quoted text with Go's escapes, or any run without reserved characters.

use std::str::Chars;

use model::MatchOp;

use super::{InvalidMatcher, MATCHERS_MAX, Matcher};

/// Characters that a name or value of the newer notation holds only in quotes.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

/// A list in the classic notation.
pub(super) fn classic(text: &str) -> Result<Vec<Matcher>, InvalidMatcher> {
    let mut rest = text.trim();
    rest = rest.strip_prefix('{').unwrap_or(rest);
    rest = rest.strip_suffix('}').unwrap_or(rest);
    let mut matchers = Vec::new();
    let parts = split(rest);
    let last = parts.len() - 1;
    for (i, part) in parts.into_iter().enumerate() {
        // A comma may end the list.
        if i == last && part.trim().is_empty() {
            break;
        }
        if matchers.len() == MATCHERS_MAX {
            return Err(InvalidMatcher::new(text, format!("at most {MATCHERS_MAX} conditions are read")));
        }
        matchers.push(classic_one(part)?);
    }
    Ok(matchers)
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn classic_one(text: &str) -> Result<Matcher, InvalidMatcher> {
    let wrong = |reason: &str| InvalidMatcher::new(text, reason);
    let rest = text.trim();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (name, rest) = rest.split_at(rest.find(|c| !word(c)).unwrap_or(rest.len()));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong("a name is missing; write it like severity=\"critical\""));
    }
    let (op, rest) = operator(rest.trim_start())
        .ok_or_else(|| wrong("one of = != =~ !~ must follow the name, as in severity=\"critical\""))?;
    let raw = rest.trim_start();
    // A value that is not in quotes may begin with a quote only by mistake.
    let (raw, closed) = match raw.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (raw, false),
    };
    let (mut value, mut escaped, mut ended) = (String::with_capacity(raw.len()), false, !closed);
    for (at, c) in raw.char_indices() {
        if escaped {
            escaped = false;
            match c {
                'n' => value.push('\n'),
                '"' | '\\' => value.push(c),
                other => {
                    value.push('\\');
                    value.push(other);
                }
            }
            continue;
        }
        match c {
            '\\' if at + 1 < raw.len() => escaped = true,
            '"' if closed && at + 1 == raw.len() => ended = true,
            '"' => return Err(wrong("the value holds a quote that is not escaped; write \\\"")),
            other => value.push(other),
        }
    }
    if !ended {
        return Err(wrong("the value's closing quote is missing"));
    }
    Matcher::new(name, op, &value)
}

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    let known =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    known.into_iter().find_map(|(sign, op)| Some((op, text.strip_prefix(sign)?)))
}

/// A list in the newer notation.
pub(super) fn utf8(text: &str) -> Result<Vec<Matcher>, InvalidMatcher> {
    let wrong = |reason: &str| InvalidMatcher::new(text, reason);
    let mut rest = text.trim();
    let braced = rest.starts_with('{');
    if braced != rest.ends_with('}') {
        return Err(wrong("one of the braces is missing"));
    }
    if braced {
        rest = rest[1..rest.len() - 1].trim();
    }
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        if matchers.len() == MATCHERS_MAX {
            return Err(wrong("it holds too many conditions"));
        }
        let (name, tail) = token(rest).map_err(wrong)?;
        let (op, tail) = operator(tail.trim_start())
            .ok_or_else(|| wrong("one of = != =~ !~ must follow the name, as in severity=\"critical\""))?;
        let (value, tail) = token(tail.trim_start()).map_err(wrong)?;
        matchers.push(Matcher::new(&name, op, &value)?);
        rest = tail.trim_start();
        if rest.is_empty() {
            break;
        }
        rest =
            rest.strip_prefix(',').ok_or_else(|| wrong("conditions are separated by commas"))?.trim_start();
    }
    Ok(matchers)
}

/// A name or value and what follows it.
fn token(text: &str) -> Result<(String, &str), &'static str> {
    if let Some(inner) = text.strip_prefix('"') {
        return quoted(inner);
    }
    let (word, tail) = text.split_at(text.find(is_reserved).unwrap_or(text.len()));
    if word.is_empty() {
        return Err("a name or value is missing, or holds a reserved character; write it in double quotes");
    }
    Ok((word.to_owned(), tail))
}

/// A text with Go's escapes, from behind its opening quote.
fn quoted(inner: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((value, chars.as_str())),
            '\n' => return Err("a quoted text cannot hold a line break; write \\n"),
            '\\' => value.push(go_escape(&mut chars).ok_or("it holds an escape that Go does not know")?),
            other => value.push(other),
        }
    }
    Err("a closing quote is missing")
}

fn go_escape(chars: &mut Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        '"' => '"',
        // Bytes above 127 need not be a text; those below are characters.
        'x' => hex(chars, 2).filter(char::is_ascii)?,
        'u' => hex(chars, 4)?,
        'U' => hex(chars, 8)?,
        _ => return None,
    })
}

fn hex(chars: &mut Chars<'_>, digits: usize) -> Option<char> {
    let (code, tail) = chars.as_str().split_at_checked(digits)?;
    let plain = code.bytes().all(|b| b.is_ascii_hexdigit());
    *chars = tail.chars();
    char::from_u32(u32::from_str_radix(code, 16).ok().filter(|_| plain)?)
}
