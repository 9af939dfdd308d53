//! Numbers in JSON that may not be finite: those are texts, as Prometheus' API writes all of them.

use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_str(&text(*value)) }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| serde::de::Error::custom(format!("{value} is no number")))
}

/// A number as Prometheus writes it: the shortest text that reads as the same, `NaN`, `+Inf` or `-Inf`.
pub fn text(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_come_back_as_they_were() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct One(#[serde(with = "super")] f64);
        for value in [0.0, -1.5, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let written = serde_json::to_string(&One(value)).expect("a value");
            let One(read) = serde_json::from_str(&written).expect("reads");
            assert!(read == value || (read.is_nan() && value.is_nan()), "{written}");
        }
        assert!(serde_json::from_str::<One>("null").is_err());
    }
}
