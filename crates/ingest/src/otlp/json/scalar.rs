//! Numbers of proto3's JSON, which may come as strings.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// An unsigned 64-bit integer.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::otlp) struct U64(pub(in crate::otlp) u64);

/// A signed 64-bit integer.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::otlp) struct I64(pub(in crate::otlp) i64);

/// A double, which may also be `"NaN"`, `"Infinity"` or `"-Infinity"`.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::otlp) struct F64(pub(in crate::otlp) f64);

/// Any scalar of JSON, before its field decides what it must be.
pub(in crate::otlp) enum Scalar {
    Null,
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
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
        let value = match Scalar::deserialize(deserializer)? {
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
        let value = match Scalar::deserialize(deserializer)? {
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
        let value = match Scalar::deserialize(deserializer)? {
            Scalar::Null => Some(0.0),
            Scalar::Unsigned(value) => Some(value as f64),
            Scalar::Signed(value) => Some(value as f64),
            Scalar::Float(value) => Some(value),
            Scalar::Text(text) => text.parse().ok(),
        };
        value.map(Self).ok_or_else(|| D::Error::custom("expected a number"))
    }
}
