//! YAML to values, with the place of what is wrong.
//!
//! The parser forgets lines once a value is read. Where a later check fails, the text is walked once more along
//! the path to the value, which costs only those who have an error to read.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_path_to_error::Segment;
use serde_yaml_ng::Value;

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// What is wrong at which value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// From the innermost step to the outermost.
    reversed: Vec<Step>,
    pub(super) message: String,
}

impl Flaw {
    /// At this value itself.
    pub(super) fn here(message: impl Into<String>) -> Self {
        Self { reversed: Vec::new(), message: message.into() }
    }

    /// At a key of this value.
    pub(super) fn at(key: &str, message: impl Into<String>) -> Self {
        Self::here(message).under(key)
    }

    /// The same seen from the value that holds this one at `key`.
    pub(super) fn under(mut self, key: &str) -> Self {
        self.reversed.push(Step::Key(key.into()));
        self
    }

    /// The same seen from the list that holds this one.
    pub(super) fn nth(mut self, index: usize) -> Self {
        self.reversed.push(Step::Index(index));
        self
    }

    /// The way from the outermost value.
    pub(super) fn path(&self) -> Vec<Step> {
        self.reversed.iter().rev().cloned().collect()
    }
}

/// `receivers[0].name`.
pub(super) fn path_text(path: &[Step]) -> String {
    path.iter().fold(String::new(), |mut text, step| {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(i) => text.push_str(&format!("[{i}]")),
        }
        text
    })
}

/// What could not be read.
pub(super) struct Unreadable {
    pub(super) path: Vec<Step>,
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

/// Reads a document. Merge keys (`<<: *defaults`) are followed, as Go's parser follows them.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    let outcome = if text.contains("<<") {
        let merged = serde_yaml_ng::from_str::<Value>(text).and_then(|mut value| {
            value.apply_merge()?;
            Ok(value)
        });
        serde_path_to_error::deserialize(merged.map_err(|e| unreadable(text, Vec::new(), &e))?)
    } else {
        serde_path_to_error::deserialize(serde_yaml_ng::Deserializer::from_str(text))
    };
    outcome.map_err(|e| {
        let steps = e.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        unreadable(text, steps.collect(), e.inner())
    })
}

fn unreadable(text: &str, path: Vec<Step>, error: &serde_yaml_ng::Error) -> Unreadable {
    let whole = error.to_string();
    // The place is told once, in front; and the parser's own path is ours.
    let message = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(message, _)| message);
    let shown = path_text(&path);
    let message = message.strip_prefix(&format!("{shown}: ")).unwrap_or(message);
    let line = if path.is_empty() { None } else { line_of(text, &path) };
    Unreadable { line: line.or_else(|| error.location().map(|at| at.line())), path, message: message.into() }
}

/// The line, counted from 1, of the value at `path`, or of the innermost one around it that stands in the text.
pub(super) fn line_of(text: &str, path: &[Step]) -> Option<usize> {
    let error = Locate(path).deserialize(serde_yaml_ng::Deserializer::from_str(text)).err()?;
    error.location().map(|at| at.line())
}

/// Walks to a value and fails there, so that the parser tells its place.
struct Locate<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Locate<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Every kind of value but the one that the path leads through fails at once, which is what is wanted.
impl<'de> Visitor<'de> for Locate<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to be here")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(key), rest)) = self.0.split_first() else { return Err(A::Error::custom("here")) };
        while let Some(found) = map.next_key_seed(Key { wanted: key, is_last: rest.is_empty() })? {
            if found {
                return map.next_value_seed(Locate(rest));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Err(A::Error::custom("not here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Step::Index(index), rest)) = self.0.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..*index {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Locate(rest))?;
        Err(A::Error::custom("not here"))
    }
}

/// Fails at a key that ends the path: its value may stand lines below.
struct Key<'a> {
    wanted: &'a str,
    is_last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.is_last => Err(E::custom("here")),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_at_its_line() {
        let text = "a: 1\nb:\n  - c: x\n    d:\n      e: 2\n  - c: y\n  - &z\n    c: z\nf: {g: [1,\n  2]}\n";
        let key = |key: &str| Step::Key(key.into());
        let rows = [
            (vec![key("a")], 1),
            (vec![key("b"), Step::Index(0), key("c")], 3),
            (vec![key("b"), Step::Index(0), key("d")], 4),
            (vec![key("b"), Step::Index(0), key("d"), key("e")], 5),
            (vec![key("b"), Step::Index(1)], 6),
            (vec![key("b"), Step::Index(1), key("missing")], 6),
            (vec![key("b"), Step::Index(2), key("c")], 8),
            (vec![key("f"), key("g"), Step::Index(1)], 10),
        ];
        for (path, want) in rows {
            assert_eq!(line_of(text, &path), Some(want), "{}", path_text(&path));
        }
    }
}
