//! Lengths of time as people write them: `5m`, `1h30m`, or a plain number of seconds.

use std::borrow::Cow;
use std::time::Duration;

use kit::config::value::{parse_duration, show_duration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Longest span: what is longer is a mistake, and sums of two still fit.
const SECONDS_MAX: u64 = 10 * 366 * 86_400;

/// A length of time. Read from a number of seconds or from a text such as `90s`, `5m`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Milliseconds.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// As PromQL writes it, in milliseconds at the finest.
    pub fn promql(self) -> String {
        show_duration(self.0)
    }

    fn read(value: &Value) -> Option<Self> {
        let span = match value {
            Value::Number(number) => Duration::try_from_secs_f64(number.as_f64()?).ok()?,
            Value::String(text) => parse_duration(text)?,
            _ => return None,
        };
        (span.as_secs() <= SECONDS_MAX).then_some(Self(span))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value).ok_or_else(|| {
            let shown: String = value.to_string().chars().take(40).collect();
            serde::de::Error::custom(format!(
                "{shown} is no length of time: write seconds, or a text such as \"90s\", \"5m\", \"1h30m\""
            ))
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: seconds, or a text such as `90s`, `5m`, `1h30m`.",
            "type": ["string", "number"],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_seconds_or_texts_with_units() {
        for (given, want) in [
            (json!(90), Some(90_000)),
            (json!(0.5), Some(500)),
            (json!("5m"), Some(300_000)),
            (json!("1h30m"), Some(5_400_000)),
            (json!("7d"), Some(604_800_000)),
            (json!(0), Some(0)),
            (json!(-1), None),
            (json!(1e300), None),
            (json!("90"), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            let read = serde_json::from_value::<Span>(given.clone()).ok();
            assert_eq!(read.map(Span::millis), want, "{given}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for seconds in [1, 60, 90, 3_600, 5_400, 86_400, 604_800] {
            let span = Span::seconds(seconds);
            let written = serde_json::to_value(span).expect("a span is a text");
            assert_eq!(serde_json::from_value::<Span>(written.clone()).expect("reads"), span, "{written}");
        }
    }
}
