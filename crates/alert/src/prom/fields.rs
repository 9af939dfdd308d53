//! Maps read by key: unknown keys and wrong types are errors, and reading goes on behind them.

use std::time::Duration;

use super::error::{FileError, Problem, RulePlace};
use super::parse_duration;
use crate::Labels;
use crate::yaml::{Content, Entry, Node, Place, Text};

/// Errors of one file that are kept.
const ERRORS_MAX: usize = 100;

/// Gathers what is wrong with a file.
pub(super) struct Errors<'a> {
    file: &'a str,
    found: Vec<FileError>,
}

impl<'a> Errors<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(super) fn add(&mut self, at: Place, rule: Option<&RulePlace>, problem: Problem) {
        let problem = match self.found.len() {
            ..ERRORS_MAX => problem,
            ERRORS_MAX => Problem::TooMany(ERRORS_MAX),
            _ => return,
        };
        self.found.push(FileError { file: self.file.to_owned(), at, rule: rule.cloned(), problem });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<FileError>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}

/// A map of known keys.
pub(super) struct Fields<'n, 'e, 'f> {
    entries: &'n [Entry],
    pub(super) errors: &'e mut Errors<'f>,
}

impl<'n, 'e, 'f> Fields<'n, 'e, 'f> {
    /// `None` where the value is no map; null is one without entries, as in Go.
    pub(super) fn of(
        node: &'n Node,
        within: &'static str,
        known: &'static [&'static str],
        errors: &'e mut Errors<'f>,
    ) -> Option<Self> {
        let entries: &[Entry] = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            other => {
                let problem = Problem::Type { key: within.to_owned(), wanted: "a map", found: kind(other) };
                errors.add(node.at, None, problem);
                return None;
            }
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                errors.add(entry.at, None, Problem::UnknownKey { key: entry.key.clone(), within, known });
            }
        }
        Some(Self { entries, errors })
    }

    pub(super) fn node(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    fn wrong(&mut self, node: &Node, key: &str, wanted: &'static str) {
        let found = kind(&node.content);
        self.errors.add(node.at, None, Problem::Type { key: key.to_owned(), wanted, found });
    }

    /// A text; any scalar is one. `None` where nothing is written.
    pub(super) fn text(&mut self, key: &str) -> Option<&'n Text> {
        let node = self.node(key)?;
        match &node.content {
            Content::Scalar(text) => Some(text),
            Content::Null => None,
            _ => {
                self.wrong(node, key, "a text");
                None
            }
        }
    }

    pub(super) fn string(&mut self, key: &str) -> String {
        self.text(key).map(|text| text.value.clone()).unwrap_or_default()
    }

    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let text = self.text(key)?;
        match parse_duration(&text.value) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.errors.add(text.at, None, Problem::Duration { key: key.to_owned(), error });
                None
            }
        }
    }

    pub(super) fn whole(&mut self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let value = Some(text).filter(|t| t.is_plain()).and_then(|t| t.value.replace('_', "").parse().ok());
        if value.is_none() {
            self.errors.add(text.at, None, scalar(key, "a whole number"));
        }
        value
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let text = self.text(key)?;
        let value = match text.value.as_str() {
            "true" | "True" | "TRUE" if text.is_plain() => Some(true),
            "false" | "False" | "FALSE" if text.is_plain() => Some(false),
            _ => None,
        };
        if value.is_none() {
            self.errors.add(text.at, None, scalar(key, "true or false"));
        }
        value
    }

    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        let text = self.text(key)?;
        let value = Some(text).filter(|t| t.is_plain()).and_then(|t| float(&t.value));
        if value.is_none() {
            self.errors.add(text.at, None, scalar(key, "a number"));
        }
        value
    }

    pub(super) fn list(&mut self, key: &str) -> &'n [Node] {
        let Some(node) = self.node(key) else {
            return &[];
        };
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            _ => {
                self.wrong(node, key, "a list");
                &[]
            }
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<&'n Text> {
        let mut texts = Vec::new();
        for node in self.list(key) {
            match &node.content {
                Content::Scalar(text) => texts.push(text),
                _ => self.wrong(node, key, "a text"),
            }
        }
        texts
    }

    /// Texts by name, each with its place and that of its name.
    pub(super) fn texts_by_name(&mut self, key: &str) -> Vec<(&'n Entry, Text)> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let entries = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => return Vec::new(),
            _ => {
                self.wrong(node, key, "a map");
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for entry in entries {
            match &entry.value.content {
                Content::Scalar(text) => texts.push((entry, text.clone())),
                Content::Null => texts.push((entry, Text::none(entry.value.at))),
                _ => self.wrong(&entry.value, &entry.key, "a text"),
            }
        }
        texts
    }

    pub(super) fn labels(&mut self, key: &str) -> Labels {
        self.texts_by_name(key).into_iter().map(|(entry, text)| (entry.key.clone(), text.value)).collect()
    }
}

fn scalar(key: &str, wanted: &'static str) -> Problem {
    Problem::Type { key: key.to_owned(), wanted, found: "a text" }
}

fn kind(content: &Content) -> &'static str {
    match content {
        Content::Null => "nothing",
        Content::Scalar(_) => "a text",
        Content::List(_) => "a list",
        Content::Map(_) => "a map",
    }
}

/// YAML's floats: `.inf` and `.nan` beside what Rust reads.
fn float(text: &str) -> Option<f64> {
    let (negative, body) = match text.strip_prefix(['-', '+']) {
        Some(body) => (text.starts_with('-'), body),
        None => (false, text),
    };
    let value = match body {
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => f64::NAN,
        body if body.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            body.replace('_', "").parse().ok()?
        }
        _ => return None,
    };
    Some(if negative { -value } else { value })
}
