//! Moments in bodies and answers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::realtime::timestamp;

/// A moment in milliseconds since the Unix epoch: RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&timestamp(self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = || {
            let shown: String = text.chars().take(60).collect();
            serde::de::Error::custom(format!("{shown:?} is no time: write 2027-01-31T12:00:00Z"))
        };
        text.parse::<jiff::Timestamp>().map(|at| Self(at.as_millisecond())).map_err(|_| refuse())
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A moment of telemetry in nanoseconds since the Unix epoch: RFC 3339 in JSON, with nine digits of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FineMoment(pub(crate) i64);

impl Serialize for FineMoment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&query::rows::time_text(self.0))
    }
}

impl JsonSchema for FineMoment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FineMoment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Moment::json_schema(generator)
    }
}

/// A time in a body: RFC 3339, or a number since the Unix epoch.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct AnyTime(serde_json::Value);

impl AnyTime {
    /// As a parameter would have it.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        self.0.as_str().map_or_else(|| self.0.to_string().into(), Cow::from)
    }
}

impl JsonSchema for AnyTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyTime".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"] })
    }
}
