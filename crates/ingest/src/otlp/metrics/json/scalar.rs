//! Numbers of proto3's JSON, which may come as strings.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::super::point::Temporality;

/// An unsigned 64-bit integer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct U64(pub(super) u64);

/// A signed 64-bit integer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct I64(pub(super) i64);

/// A double, which may also be `"NaN"`, `"Infinity"` or `"-Infinity"`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct F64(pub(super) f64);

/// An aggregation temporality by number, or by name as lenient senders write it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregation(pub(super) Temporality);

impl Default for Aggregation {
    fn default() -> Self {
        Self(Temporality::Unspecified)
    }
}

/// Any scalar of JSON, before its field decides what it must be.
enum Scalar {
    Null,
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a number in a string")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.into()))
    }
}

/// 2^64, the first double that no unsigned 64-bit integer reaches.
const U64_END: f64 = 18_446_744_073_709_551_616.0;

impl<'de> Deserialize<'de> for U64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Null => Some(0),
            Scalar::Unsigned(value) => Some(value),
            Scalar::Signed(value) => u64::try_from(value).ok(),
            Scalar::Float(value) if value.fract() == 0.0 && (0.0..U64_END).contains(&value) => {
                Some(value as u64)
            }
            Scalar::Float(_) => None,
            Scalar::Text(text) => text.parse().ok(),
        };
        value.map(Self).ok_or_else(|| D::Error::custom("expected an unsigned 64-bit integer"))
    }
}

impl<'de> Deserialize<'de> for I64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Null => Some(0),
            Scalar::Unsigned(value) => i64::try_from(value).ok(),
            Scalar::Signed(value) => Some(value),
            Scalar::Float(value) if value.fract() == 0.0 && value.abs() < U64_END / 2.0 => Some(value as i64),
            Scalar::Float(_) => None,
            Scalar::Text(text) => text.parse().ok(),
        };
        value.map(Self).ok_or_else(|| D::Error::custom("expected a signed 64-bit integer"))
    }
}

impl<'de> Deserialize<'de> for F64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Null => Some(0.0),
            Scalar::Unsigned(value) => Some(value as f64),
            Scalar::Signed(value) => Some(value as f64),
            Scalar::Float(value) => Some(value),
            Scalar::Text(text) => text.parse().ok(),
        };
        value.map(Self).ok_or_else(|| D::Error::custom("expected a number"))
    }
}

impl<'de> Deserialize<'de> for Aggregation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Unsigned(code) => code,
            Scalar::Text(text) if text == "AGGREGATION_TEMPORALITY_DELTA" => 1,
            Scalar::Text(text) if text == "AGGREGATION_TEMPORALITY_CUMULATIVE" => 2,
            _ => 0,
        };
        Ok(Self(Temporality::of_code(code)))
    }
}
