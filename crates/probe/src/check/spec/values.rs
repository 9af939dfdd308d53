//! Small languages inside a check: statuses, operators, paths into JSON.

use std::borrow::Cow;
use std::fmt;

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Memory that one compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Steps of one path into JSON.
const STEPS_MAX: usize = 32;

/// Characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 100;

/// A range of HTTP statuses: `200`, `"200-299"` or `"2xx"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

impl Statuses {
    /// From the first to the last, both included.
    pub(crate) const fn new(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    /// Whether a status is in the range.
    pub fn has(&self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(hundred) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let hundred: u16 = hundred.parse().ok().filter(|h| (1..=9).contains(h))?;
            return Some(Self::new(hundred * 100, hundred * 100 + 99));
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self::new(first.trim().parse().ok()?, last.trim().parse().ok()?);
        let valid = range.first <= range.last && range.first >= 100 && range.last <= 999;
        valid.then_some(range)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self::parse(&text).ok_or_else(|| D::Error::custom("write statuses like 200, \"200-299\" or \"2xx\""))
    }
}

impl JsonSchema for Statuses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CheckStatuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status or a range: 200, \"200-299\" or \"2xx\".",
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 999 },
                { "type": "string", "pattern": "^([1-9][xX]{2}|[0-9]{3}(-[0-9]{3})?)$" }
            ]
        })
    }
}

/// How a value is compared with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CheckOperator")]
pub enum Operator {
    /// The same, numbers by value.
    #[serde(rename = "==")]
    Equal,
    /// Not the same.
    #[serde(rename = "!=")]
    NotEqual,
    /// Greater, both numbers.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal, both numbers.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// Less, both numbers.
    #[serde(rename = "<")]
    Less,
    /// Less or equal, both numbers.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// A text that holds the other, or a list that has it.
    #[serde(rename = "contains")]
    Contains,
    /// A text that a regular expression matches somewhere.
    #[serde(rename = "matches")]
    Matches,
    /// Anything, if only it is there.
    #[serde(rename = "exists")]
    Exists,
    /// Nothing there.
    #[serde(rename = "absent")]
    Absent,
}

impl Operator {
    /// The spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::Exists => "exists",
            Self::Absent => "absent",
        }
    }

    /// Whether it orders numbers or tells whether they are the same.
    pub(crate) fn is_for_numbers(self) -> bool {
        !matches!(self, Self::Contains | Self::Matches | Self::Exists | Self::Absent)
    }

    /// Compares two numbers; what is for other values never holds.
    pub(crate) fn holds_for(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Contains | Self::Matches | Self::Exists | Self::Absent => false,
        }
    }
}

/// A statement about a JSON answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CheckJsonAssertion")]
pub struct JsonAssertion {
    /// Where: `$.items[0].name`, `$['a key']`, `$.items[-1]`; the leading `$` may be left out.
    pub path: String,
    /// How it is compared.
    #[serde(default = "equal")]
    pub operator: Operator,
    /// With what; `exists` and `absent` need nothing.
    #[serde(default)]
    pub value: Value,
}

fn equal() -> Operator {
    Operator::Equal
}

impl JsonAssertion {
    /// Judges an answer; the error says what is there instead.
    pub(crate) fn judge(&self, path: &JsonPath, answer: &Value) -> Result<(), String> {
        let found = path.find(answer);
        if self.holds(found) {
            return Ok(());
        }
        let is = found.map_or_else(|| "absent".to_owned(), shown);
        let want = match self.operator {
            Operator::Exists | Operator::Absent => self.operator.as_str().to_owned(),
            operator => format!("{} {}", operator.as_str(), shown(&self.value)),
        };
        Err(format!("{} is {is}, expected: {want}", self.path))
    }

    fn holds(&self, found: Option<&Value>) -> bool {
        let Some(found) = found else {
            return matches!(self.operator, Operator::Absent | Operator::NotEqual);
        };
        match self.operator {
            Operator::Exists => true,
            Operator::Absent => false,
            Operator::Equal => same(found, &self.value),
            Operator::NotEqual => !same(found, &self.value),
            Operator::Contains => match found {
                Value::Array(items) => items.iter().any(|item| same(item, &self.value)),
                Value::String(text) => self.value.as_str().is_some_and(|part| text.contains(part)),
                _ => false,
            },
            Operator::Matches => self
                .value
                .as_str()
                .and_then(|pattern| self::pattern(pattern).ok())
                .is_some_and(|pattern| found.as_str().is_some_and(|text| pattern.is_match(text))),
            operator => match (number(found), number(&self.value)) {
                (Some(left), Some(right)) => operator.holds_for(left, right),
                _ => false,
            },
        }
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// A number, also one that is written as a text.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A value for a message, cut where it is long.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Compiles a regular expression whose memory is bounded.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| error.to_string())
}

/// A path to one value, the singular queries of RFC 9535.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// From the end when negative.
    Index(i64),
}

impl JsonPath {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        let mut bare = !text.starts_with('$');
        while !rest.is_empty() {
            if steps.len() == STEPS_MAX {
                return Err(format!("at most {STEPS_MAX} steps are followed"));
            }
            let (step, after) = if let Some(inside) = rest.strip_prefix('[') {
                bracket(inside)?
            } else {
                let name = match rest.strip_prefix('.') {
                    Some(name) => name,
                    None if bare => rest,
                    None => return Err(format!("{rest:?} begins with neither a dot nor a bracket")),
                };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                if end == 0 || name[..end].contains('*') {
                    return Err("a name is missing; one value is picked, without * or ..".into());
                }
                (Step::Key(name[..end].to_owned()), &name[end..])
            };
            bare = false;
            steps.push(step);
            rest = after;
        }
        Ok(Self(steps))
    }

    /// The value there.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => {
                let items = value.as_array()?;
                let at = if *index < 0 {
                    items.len().checked_add_signed(*index as isize)?
                } else {
                    *index as usize
                };
                items.get(at)
            }
        })
    }
}

/// What is in brackets, after the opening one.
fn bracket(inside: &str) -> Result<(Step, &str), String> {
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (key, after) = quoted
                .split_once(&format!("{quote}]"))
                .ok_or_else(|| "a quoted name does not end".to_owned())?;
            return Ok((Step::Key(key.to_owned()), after));
        }
    }
    let (index, after) = inside.split_once(']').ok_or_else(|| "a bracket does not end".to_owned())?;
    let index =
        index.trim().parse().map_err(|_| format!("[{index}] is neither a number nor a quoted name"))?;
    Ok((Step::Index(index), after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_are_numbers_ranges_and_hundreds() {
        for (written, want) in [
            (json!(204), Some((204, 204))),
            (json!("200-299"), Some((200, 299))),
            (json!("4xx"), Some((400, 499))),
            (json!("2yy"), None),
            (json!("299-200"), None),
            (json!(20), None),
            (json!(null), None),
        ] {
            let got: Option<Statuses> = serde_json::from_value(written.clone()).ok();
            assert_eq!(got, want.map(|(first, last)| Statuses { first, last }), "{written}");
        }
    }

    #[test]
    fn paths_pick_one_value() {
        let answer = json!({"a": {"b c": [1, {"d": null}, 3]}, "x.y": true});
        for (path, want) in [
            ("$.a['b c'][0]", Some(json!(1))),
            ("a[\"b c\"][-1]", Some(json!(3))),
            ("$.a['b c'][1].d", Some(json!(null))),
            ("$['x.y']", Some(json!(true))),
            ("$.a['b c'][3]", None),
            ("$.a['b c'][-4]", None),
            ("$.nope.nope", None),
        ] {
            let parsed = JsonPath::parse(path).unwrap();
            assert_eq!(parsed.find(&answer).cloned(), want, "{path}");
        }
        for bad in ["$.a..b", "$.", "$[x]", "$['a", "$a", "$.a[*]", "$.*", &".a".repeat(33)] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn assertions_hold_or_say_what_is_there() {
        let answer = json!({"status": "ok", "n": 3, "text": "12", "list": ["a", 1]});
        for (path, operator, value, want) in [
            ("$.status", "==", json!("ok"), None),
            ("$.n", "==", json!(3.0), None),
            ("$.n", ">", json!(2), None),
            ("$.text", "<=", json!(12), None),
            ("$.list", "contains", json!("a"), None),
            ("$.status", "matches", json!("^o"), None),
            ("$.gone", "absent", json!(null), None),
            ("$.gone", "!=", json!(1), None),
            ("$.n", "<", json!(3), Some("$.n is 3, expected: < 3")),
            ("$.status", ">", json!(1), Some("$.status is \"ok\", expected: > 1")),
            ("$.gone", "exists", json!(null), Some("$.gone is absent, expected: exists")),
            ("$.status", "absent", json!(null), Some("$.status is \"ok\", expected: absent")),
        ] {
            let operator = serde_json::from_value(json!(operator)).unwrap();
            let assertion = JsonAssertion { path: path.into(), operator, value };
            let got = assertion.judge(&JsonPath::parse(path).unwrap(), &answer);
            assert_eq!(got.err().as_deref(), want);
        }
    }
}
