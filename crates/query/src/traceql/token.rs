//! Text to tokens.

use std::sync::Arc;

use super::ast::AttributeScope;
use super::parse::ParseError;
use super::value::parse_duration;

/// The smallest part of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A text between quotes.
    Text(Arc<str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A number with a unit, nanoseconds.
    Duration(i64),
    /// A word, with `:` and a second word where it has one.
    Word(Arc<str>),
    /// An attribute with its scope.
    Attribute(AttributeScope, Arc<str>),
    /// A sign.
    Sign(&'static str),
}

/// Signs, longest first.
const SIGNS: [&str; 38] = [
    "!>>", "!<<", "&>>", "&<<", "&&", "||", "!=", "=~", "!~", ">=", "<=", ">>", "<<", "!>", "!<", "&>", "&<",
    "&~", "=", ">", "<", "~", "!", "|", "(", ")", "{", "}", ",", "+", "-", "*", "/", "%", "^", "[", "]", ":",
];

/// Tokens of a query with their positions in bytes.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, end) = token(text, at, c)?;
        found.push((at, token));
        at = end;
    }
    Ok(found)
}

fn token(text: &str, at: usize, first: char) -> Result<(Token, usize), ParseError> {
    let rest = &text[at..];
    match first {
        '"' | '`' => {
            let (value, end) = quoted(text, at)?;
            Ok((Token::Text(value.into()), end))
        }
        '0'..='9' => number(text, at),
        '.' if is_number(rest) => number(text, at),
        '.' => attribute(text, at, at + 1, AttributeScope::Any),
        c if c.is_alphabetic() || c == '_' => word(text, at),
        _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => Ok((Token::Sign(sign), at + sign.len())),
            None => Err(ParseError::new(at, format!("{first:?} means nothing here: put texts in quotes"))),
        },
    }
}

/// `.95` is a number, `.5xx` an attribute.
fn is_number(rest: &str) -> bool {
    let end = rest.find(is_delimiter).unwrap_or(rest.len());
    rest[..end].parse::<f64>().is_ok()
}

fn number(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let rest = &text[at..];
    let mut end = 0;
    for (position, c) in rest.char_indices() {
        let exponent = (c == '-' || c == '+')
            && rest[..position].ends_with(['e', 'E'])
            && rest[..position - 1].parse::<f64>().is_ok();
        if !(c.is_alphanumeric() || c == '.' || exponent) {
            break;
        }
        end = position + c.len_utf8();
    }
    let number = &rest[..end];
    let token = if let Ok(number) = number.parse::<i64>() {
        Token::Int(number)
    } else if let Some(ns) = parse_duration(number) {
        Token::Duration(ns)
    } else if let Ok(number) = number.parse::<f64>() {
        Token::Float(number)
    } else {
        let shown: String = number.chars().take(40).collect();
        return Err(ParseError::new(
            at,
            format!("{shown:?} is no number or duration: write 1.5, 100ms or 1h30m"),
        ));
    };
    Ok((token, at + end))
}

fn word(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let end = word_end(text, at);
    let word = &text[at..end];
    let next = text[end..].chars().next();
    if next == Some('.') {
        let scope = match word {
            "span" => AttributeScope::Span,
            "resource" => AttributeScope::Resource,
            "event" => AttributeScope::Event,
            "link" => AttributeScope::Link,
            // Attributes of the library are kept with those of its spans.
            "instrumentation" => AttributeScope::Span,
            _ => {
                return Err(ParseError::new(
                    at,
                    format!(
                        "{word:?} is no scope: write span., resource., event., link. or a dot in front of the name"
                    ),
                ));
            }
        };
        return attribute(text, at, end + 1, scope);
    }
    let has_scope = matches!(word, "span" | "trace" | "event" | "link" | "instrumentation");
    if has_scope && next == Some(':') {
        let end = word_end(text, end + 1);
        return Ok((Token::Word(text[at..end].into()), end));
    }
    Ok((Token::Word(word.into()), end))
}

fn word_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// What ends the name of an attribute.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || "{}()=~!<>&|^,".contains(c)
}

/// The name of an attribute; parts of it may be in quotes.
fn attribute(
    text: &str,
    at: usize,
    name_at: usize,
    scope: AttributeScope,
) -> Result<(Token, usize), ParseError> {
    let (mut name, mut end) = (String::new(), name_at);
    while let Some(c) = text[end..].chars().next() {
        if c == '"' {
            let (part, after) = quoted(text, end)?;
            name.push_str(&part);
            end = after;
        } else if is_delimiter(c) {
            break;
        } else {
            name.push(c);
            end += c.len_utf8();
        }
    }
    if name.is_empty() {
        return Err(ParseError::new(at, "the name of an attribute is missing behind the dot".into()));
    }
    Ok((Token::Attribute(scope, name.into()), end))
}

/// A text between quotes with escapes, or between backticks as it is.
fn quoted(text: &str, at: usize) -> Result<(String, usize), ParseError> {
    let unclosed = || ParseError::new(at, "the text has no closing quote".into());
    let body = &text[at + 1..];
    if text[at..].starts_with('`') {
        let end = body.find('`').ok_or_else(unclosed)?;
        return Ok((body[..end].to_owned(), at + 1 + end + 1));
    }
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '"' => return Ok((value, at + 1 + position + 1)),
            '\\' => {
                let (_, escaped) = chars.next().ok_or_else(unclosed)?;
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits > 0 {
                    let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                    value.push(code.ok_or_else(|| escape_error(at + 1 + position, escaped))?);
                } else {
                    value.push(escape(escaped).ok_or_else(|| escape_error(at + 1 + position, escaped))?);
                }
            }
            c => value.push(c),
        }
    }
    Err(unclosed())
}

fn escape(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        '\\' | '"' | '\'' | '`' => c,
        _ => return None,
    })
}

fn escape_error(at: usize, escaped: char) -> ParseError {
    ParseError::new(at, format!("\\{escaped} is no escape: double the backslash, or quote with `backticks`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_apart() {
        let attribute = |scope, name: &str| Token::Attribute(scope, name.into());
        for (text, want) in [
            (".http.status_code", attribute(AttributeScope::Any, "http.status_code")),
            ("span.foo-bar", attribute(AttributeScope::Span, "foo-bar")),
            ("resource.\"service name\".x", attribute(AttributeScope::Resource, "service name.x")),
            (".\"a\\\"b\"", attribute(AttributeScope::Any, "a\"b")),
            ("event.exception.message", attribute(AttributeScope::Event, "exception.message")),
            (".95", Token::Float(0.95)),
            (".5xx", attribute(AttributeScope::Any, "5xx")),
            ("1e3", Token::Float(1000.0)),
            ("1e-3", Token::Float(0.001)),
            ("1h30m", Token::Duration(5_400_000_000_000)),
            ("42", Token::Int(42)),
            ("span:id", Token::Word("span:id".into())),
            ("nestedSetParent", Token::Word("nestedSetParent".into())),
            ("\"a\\n\\u00e4\"", Token::Text("a\nä".into())),
            ("`a\\d`", Token::Text("a\\d".into())),
            ("&>>", Token::Sign("&>>")),
            ("!~", Token::Sign("!~")),
        ] {
            assert_eq!(tokens(text).unwrap(), [(0, want)], "{text}");
        }
        for (text, at) in
            [("{ 'a' }", 2), ("\"a", 0), ("\"\\d\"", 1), ("foo.bar", 0), ("{ .  }", 2), ("1x", 0)]
        {
            assert_eq!(tokens(text).unwrap_err().position, at, "{text}");
        }
    }
}
