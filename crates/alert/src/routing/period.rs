//! Durations as Prometheus's files write them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration such as `1h30m`: units `y w d h m s ms`, each at most once and from large to small; or `0`.
/// At most 100 years, so that adding one to a time cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// Milliseconds of each unit, from large to small.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

const MILLIS_MAX: u64 = 100 * 365 * 86_400_000;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it like 30s, 5m or 1h30m")]
pub struct InvalidPeriod(pub String);

impl Period {
    /// From whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads Prometheus's notation.
    pub fn parse(text: &str) -> Result<Self, InvalidPeriod> {
        let bad = || InvalidPeriod(text.chars().take(80).collect());
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut units = UNITS.iter();
        let (mut rest, mut total) = (text, 0u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let (number, tail) = rest.split_at(digits);
            let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
            let millis = units.find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
            let number: u64 = number.parse().map_err(|_| bad())?;
            let sum = number.checked_mul(millis).and_then(|n| total.checked_add(n));
            total = sum.filter(|sum| *sum <= MILLIS_MAX).ok_or_else(bad)?;
            rest = tail;
        }
        if text.is_empty() {
            return Err(bad());
        }
        Ok(Self(Duration::from_millis(total)))
    }

    /// Milliseconds, as times count.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Period {
    /// The shortest notation: `1m30s`; weeks and years only where they fit exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis() as u64;
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            let exact = matches!(unit, "y" | "w");
            if millis >= size && (!exact || millis.is_multiple_of(size)) {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 30s")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
                Period::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["30s", "5m", "4h"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_shown_as_prometheus_does() {
        let rows = [
            ("15s", Some((15_000, "15s"))),
            ("1h30m", Some((5_400_000, "1h30m"))),
            ("90s", Some((90_000, "1m30s"))),
            ("1w", Some((604_800_000, "1w"))),
            ("8d", Some((691_200_000, "8d"))),
            ("0", Some((0, "0s"))),
            ("", None),
            ("15", None),
            ("1s1h", None),
            ("-1s", None),
            ("1.5s", None),
            ("101y", None),
            ("99999999999999999999s", None),
        ];
        for (text, want) in rows {
            let got = Period::parse(text).ok().map(|p| (p.millis(), p.to_string()));
            assert_eq!(got, want.map(|(ms, shown)| (ms, shown.to_owned())), "{text:?}");
        }
    }
}
