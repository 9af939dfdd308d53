//! Reading configuration: members of a JSON object one by one, so that every complaint names the path, the
//! value and the remedy.

use serde_json::{Map, Value as Json};

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {value} {remedy}")]
pub struct ConfigError {
    /// Where, such as `processors[2].field`.
    pub path: String,
    /// What stands there, shortened.
    pub value: String,
    /// What is wrong with it and what would be right.
    pub remedy: String,
}

impl ConfigError {
    pub(crate) fn new(path: &str, value: &Json, remedy: impl Into<String>) -> Self {
        const SHOWN_CHARS: usize = 60;
        let text = value.to_string();
        let mut short: String = text.chars().take(SHOWN_CHARS).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        Self { path: path.to_owned(), value: short, remedy: remedy.into() }
    }
}

/// Longest expression, constant or address.
const LONG_BYTES_MAX: usize = 4096;
/// Longest name of a field.
const TEXT_BYTES_MAX: usize = 256;
/// Longest text that every row may get several times.
const SHORT_BYTES_MAX: usize = 64;

/// An object whose members are taken one by one; [`Members::end`] refuses what is left.
pub(crate) struct Members<'c> {
    path: String,
    members: &'c Map<String, Json>,
    taken: Vec<&'static str>,
}

impl<'c> Members<'c> {
    pub(crate) fn new(path: impl Into<String>, value: &'c Json) -> Result<Self, ConfigError> {
        let path = path.into();
        match value {
            Json::Object(members) => Ok(Self { path, members, taken: Vec::new() }),
            other => Err(ConfigError::new(&path, other, "is not an object")),
        }
    }

    /// Path of a member.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A member; a null is none.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<&'c Json> {
        self.taken.push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A complaint about a member.
    pub(crate) fn error(&self, name: &str, remedy: impl Into<String>) -> ConfigError {
        ConfigError::new(&self.path(name), self.members.get(name).unwrap_or(&Json::Null), remedy)
    }

    fn bounded(&mut self, name: &'static str, max: usize) -> Result<Option<&'c str>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(Json::String(_)) => Err(self.error(name, format!("is longer than {max} bytes; shorten it"))),
            Some(_) => Err(self.error(name, "is not a text")),
        }
    }

    /// A name, such as a field's.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<&'c str>, ConfigError> {
        self.bounded(name, TEXT_BYTES_MAX)
    }

    /// A text that every row may get several times.
    pub(crate) fn short(&mut self, name: &'static str) -> Result<Option<&'c str>, ConfigError> {
        self.bounded(name, SHORT_BYTES_MAX)
    }

    pub(crate) fn need_text(&mut self, name: &'static str) -> Result<&'c str, ConfigError> {
        let text = self.text(name)?;
        self.given(name, text)
    }

    /// An expression, constant or address.
    pub(crate) fn need_long(&mut self, name: &'static str) -> Result<&'c str, ConfigError> {
        let text = self.bounded(name, LONG_BYTES_MAX)?;
        self.given(name, text)
    }

    fn given(&self, name: &str, text: Option<&'c str>) -> Result<&'c str, ConfigError> {
        let text = text.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.error(name, "is missing; give a text that is not empty"))
    }

    pub(crate) fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.get(name) {
            None => Ok(default),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.error(name, "is neither true nor false")),
        }
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<f64>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(name, "is not a number")),
            },
        }
    }

    /// A share between 0 and 1.
    pub(crate) fn share(&mut self, name: &'static str) -> Result<Option<f64>, ConfigError> {
        match self.number(name)? {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                Err(self.error(name, "is not between 0 (none) and 1 (all)"))
            }
            share => Ok(share),
        }
    }

    /// A duration such as `"500ms"`, `"1.5s"` or `"2m"`, in nanoseconds.
    pub(crate) fn duration_ns(&mut self, name: &'static str) -> Result<Option<i64>, ConfigError> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => match duration_ns(text) {
                Some(ns) => Ok(Some(ns)),
                None => Err(self.error(name, "is no duration; write one like \"500ms\", \"1.5s\" or \"2m\"")),
            },
        }
    }

    /// A list of at most so many values, with the path of each.
    pub(crate) fn list(
        &mut self,
        name: &'static str,
        max: usize,
    ) -> Result<Vec<(String, &'c Json)>, ConfigError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Json::Array(items)) if items.len() > max => {
                Err(self.error(name, format!("has {} entries; the most is {max}", items.len())))
            }
            Some(Json::Array(items)) => {
                let path = self.path(name);
                Ok(items.iter().enumerate().map(|(i, item)| (format!("{path}[{i}]"), item)).collect())
            }
            Some(_) => Err(self.error(name, "is not a list")),
        }
    }

    /// A list of at most so many texts.
    pub(crate) fn texts(
        &mut self,
        name: &'static str,
        max: usize,
    ) -> Result<Vec<(String, &'c str)>, ConfigError> {
        let text = |(path, item): (String, &'c Json)| match item {
            Json::String(text) if text.len() <= LONG_BYTES_MAX => Ok((path, text.as_str())),
            other => Err(ConfigError::new(&path, other, "is not a text of bounded length")),
        };
        self.list(name, max)?.into_iter().map(text).collect()
    }

    /// Refuses members that nobody asked for.
    pub(crate) fn end(self) -> Result<(), ConfigError> {
        match self.members.keys().find(|name| !self.taken.contains(&name.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let remedy = format!("is not known here; members are {}", self.taken.join(", "));
                Err(ConfigError::new(&self.path, &Json::String(unknown.clone()), remedy))
            }
        }
    }
}

/// `1.5s` as nanoseconds; negative and endless ones are none.
pub(crate) fn duration_ns(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let ns = number * unit;
    (ns < 9e18).then_some(ns as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, want) in [
            ("500ms", Some(500_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("2m", Some(120_000_000_000)),
            ("3h", Some(10_800_000_000_000)),
            ("7", None),
            ("s", None),
            ("-1s", None),
            ("1e3s", None),
            ("99999999999999999999s", None),
            ("", None),
        ] {
            assert_eq!(duration_ns(text), want, "{text}");
        }
    }
}
