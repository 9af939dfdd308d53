//! Escaping by context, where a template makes HTML.
//!
//! Go's html/template works out beforehand in what context each action stands. Here the text that is written is
//! followed as it goes by, which comes to the same for any one rendering: between tags and in attributes values are
//! escaped, in attributes that hold addresses also their scheme is checked, comments take nothing (Go leaves them out
//! altogether). Into scripts,
//! styles, tags and names nothing can be put safely without knowing their languages: a value there is replaced by
//! [`REFUSED`].

use super::OUTPUT_BYTES_MAX;
use super::format::{Sink, write};
use super::functions::{html_into, js_into};
use super::value::{Safe, Value};

/// What stands for a value that would not be safe where it is; the same text as Go's.
const REFUSED: &str = "ZgotmplZ";
/// Elements whose content is no HTML.
const RAW: [&str; 2] = ["script", "style"];
/// Attributes that hold addresses.
const ADDRESSES: [&str; 12] = [
    "action",
    "archive",
    "background",
    "cite",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "poster",
    "src",
];
/// A name longer than any that is looked for is not kept whole.
const NAME_MAX: usize = 64;

#[derive(Clone, Debug, Default, PartialEq)]
enum State {
    #[default]
    Text,
    /// Behind `<`, before it is known what it is.
    Opening,
    Comment,
    /// Inside a tag, outside of attributes.
    Tag,
    AttributeName,
    /// Behind `=`.
    BeforeValue,
    /// In a value up to its quote; without a quote up to a space.
    Value(Option<char>),
    /// In an element whose content is no HTML.
    Raw,
}

/// Follows what is written and escapes values.
#[derive(Debug, Default)]
pub(super) struct Escaper {
    state: State,
    /// Of the element last opened, in small letters.
    element: String,
    closing: bool,
    attribute: String,
    /// What of the attribute's value is written so far: whether anything, and whether its query has begun.
    value_begun: bool,
    in_query: bool,
    /// The last characters, to find the ends of comments and raw elements.
    tail: String,
}

impl Escaper {
    /// Text of the template itself went by.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.step(c);
        }
    }

    /// Writes a value.
    pub(super) fn value(&mut self, out: &mut Sink, value: &Value) {
        let mut plain = Sink::new(OUTPUT_BYTES_MAX);
        write(&mut plain, value);
        let Ok(plain) = plain.finish() else {
            // A longer text than all output may be fills it.
            out.fill('\0', OUTPUT_BYTES_MAX + 1);
            return;
        };
        match self.state {
            State::Text => match value {
                Value::Safe(Safe::Html, html) => {
                    out.push_str(html);
                    self.text(html);
                }
                _ => text_into(out, &plain),
            },
            State::Comment => {}
            State::Value(_) | State::BeforeValue => self.attribute(out, value, &plain),
            State::Opening | State::Tag | State::AttributeName => out.push_str(REFUSED),
            State::Raw if self.element == "script" => {
                let mut quoted = Sink::new(OUTPUT_BYTES_MAX);
                js_into(&mut quoted, &plain);
                match value {
                    Value::Int(_) | Value::Float(_) | Value::Bool(_) => out.push_str(&plain),
                    _ => {
                        out.push('"');
                        out.push_str(quoted.as_str());
                        out.push('"');
                    }
                }
            }
            State::Raw => out.push_str(REFUSED),
        }
    }

    /// Writes what the template itself has escaped with `html`, as that is where it would be escaped so.
    pub(super) fn escaped(&mut self, out: &mut Sink, value: &Value) {
        match (&self.state, value) {
            (State::Text, Value::Str(text)) => out.push_str(text),
            _ => self.value(out, value),
        }
    }

    fn attribute(&mut self, out: &mut Sink, value: &Value, plain: &str) {
        let unquoted = matches!(self.state, State::BeforeValue | State::Value(None));
        let mut made = Sink::new(OUTPUT_BYTES_MAX);
        if self.attribute.starts_with("on") || self.attribute == "style" || self.attribute == "srcdoc" {
            made.push_str(REFUSED);
        } else if ADDRESSES.contains(&self.attribute.as_str()) {
            if self.in_query {
                match value {
                    Value::Safe(Safe::Url, url) => normal_into(&mut made, url),
                    _ => encode_into(&mut made, plain),
                }
            } else if matches!(value, Value::Safe(Safe::Url, _)) || self.value_begun || is_safe_address(plain)
            {
                normal_into(&mut made, plain);
            } else {
                made.push_str("#");
                made.push_str(REFUSED);
            }
        } else {
            made.push_str(plain);
        }
        self.in_query |= made.as_str().contains(['?', '#']);
        self.value_begun = true;
        if self.state == State::BeforeValue {
            self.state = State::Value(None);
        }
        if unquoted {
            unquoted_into(out, made.as_str());
        } else {
            text_into(out, made.as_str());
        }
    }

    fn step(&mut self, c: char) {
        match &self.state {
            State::Text => {
                if c == '<' {
                    self.state = State::Opening;
                    self.element.clear();
                    self.closing = false;
                    self.tail.clear();
                }
            }
            State::Opening => self.opening(c),
            State::Comment => {
                self.keep(c);
                if self.tail.ends_with("-->") {
                    self.state = State::Text;
                }
            }
            State::Tag => match c {
                '>' => self.opened(),
                '/' => {}
                c if c.is_whitespace() => {}
                c => {
                    self.attribute.clear();
                    self.name(c);
                    self.state = State::AttributeName;
                }
            },
            State::AttributeName => match c {
                '=' => self.state = State::BeforeValue,
                '>' => self.opened(),
                // `a = "b"` is as good as `a="b"`.
                c if c.is_whitespace() => {}
                c => self.name(c),
            },
            State::BeforeValue => match c {
                '"' | '\'' => self.begin(Some(c)),
                '>' => self.opened(),
                c if c.is_whitespace() => {}
                c => {
                    self.begin(None);
                    self.in_value(c);
                }
            },
            State::Value(Some(quote)) if c == *quote => self.state = State::Tag,
            State::Value(None) if c.is_whitespace() => self.state = State::Tag,
            State::Value(None) if c == '>' => self.opened(),
            State::Value(_) => self.in_value(c),
            State::Raw => {
                self.keep(c.to_ascii_lowercase());
                let end = format!("</{}", self.element);
                if self.tail.ends_with(&end) {
                    self.closing = true;
                    self.state = State::Tag;
                }
            }
        }
    }

    fn opening(&mut self, c: char) {
        self.keep(c);
        match c {
            '/' if self.element.is_empty() => self.closing = true,
            '>' => self.opened(),
            c if c.is_ascii_alphabetic()
                || (!self.element.is_empty() && (c.is_ascii_alphanumeric() || c == '-')) =>
            {
                if self.element.len() < NAME_MAX {
                    self.element.push(c.to_ascii_lowercase());
                }
            }
            '!' | '-' if self.element.is_empty() => {
                if self.tail == "!--" {
                    self.state = State::Comment;
                    self.tail.clear();
                }
            }
            // A lone `<` is text.
            _ if self.element.is_empty() && !self.tail.starts_with('!') && !self.closing => {
                self.state = State::Text
            }
            _ => self.state = State::Tag,
        }
    }

    fn opened(&mut self) {
        self.tail.clear();
        self.state =
            if !self.closing && RAW.contains(&self.element.as_str()) { State::Raw } else { State::Text };
    }

    fn begin(&mut self, quote: Option<char>) {
        self.value_begun = false;
        self.in_query = false;
        self.state = State::Value(quote);
    }

    fn in_value(&mut self, c: char) {
        self.value_begun = true;
        self.in_query |= matches!(c, '?' | '#');
    }

    fn name(&mut self, c: char) {
        if self.attribute.len() < NAME_MAX {
            self.attribute.push(c.to_ascii_lowercase());
        }
    }

    fn keep(&mut self, c: char) {
        if self.tail.len() >= NAME_MAX {
            let cut = self.tail.len() / 2;
            let cut = (cut..).find(|i| self.tail.is_char_boundary(*i)).unwrap_or(0);
            self.tail.drain(..cut);
        }
        self.tail.push(c);
    }
}

/// As `html`, and a plus too: old browsers read `+ADw-` as a bracket.
fn text_into(out: &mut Sink, text: &str) {
    for (i, part) in text.split('+').enumerate() {
        if i > 0 {
            out.push_str("&#43;");
        }
        html_into(out, part);
    }
}

/// For a value without quotes around it.
fn unquoted_into(out: &mut Sink, text: &str) {
    if text.is_empty() {
        out.push_str(REFUSED);
    }
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`' => {
                out.push_str(&format!("&#{};", c as u32))
            }
            c => text_into(out, c.encode_utf8(&mut [0; 4])),
        }
    }
}

/// An address relative to the page, or by a scheme that only leads somewhere.
fn is_safe_address(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        _ => true,
    }
}

/// What cannot stand in an address, encoded; what is encoded already stays.
fn normal_into(out: &mut Sink, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'!' | b'#' | b'$' | b'%' | b'&' | b'*' | b'+' | b',' | b'-' | b'.' | b'/' | b':' | b';'
            | b'=' | b'?' | b'@' | b'[' | b']' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02x}")),
        }
    }
}

/// A part of a query.
fn encode_into(out: &mut Sink, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02x}")),
        }
    }
}
