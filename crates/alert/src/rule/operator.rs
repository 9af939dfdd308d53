//! Comparisons of a value with a threshold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A comparison: value on the left, threshold on the right. NaN never passes, not even `!=`: what is not a number tells
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// Greater.
    #[default]
    #[serde(rename = ">", alias = "gt")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=", alias = "gte")]
    GreaterOrEqual,
    /// Less.
    #[serde(rename = "<", alias = "lt")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=", alias = "lte")]
    LessOrEqual,
    /// Equal.
    #[serde(rename = "==", alias = "eq")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=", alias = "ne")]
    NotEqual,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 6] =
        [Self::Greater, Self::GreaterOrEqual, Self::Less, Self::LessOrEqual, Self::Equal, Self::NotEqual];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// Whether `value` compares so with `threshold`.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
            Self::Equal => value == threshold,
            Self::NotEqual => value != threshold && !value.is_nan() && !threshold.is_nan(),
        }
    }

    /// Whether a worse value is a greater one: `Some(true)` for `>`, `Some(false)` for `<`, `None` where there is no worse.
    pub(crate) fn rises(self) -> Option<bool> {
        match self {
            Self::Greater | Self::GreaterOrEqual => Some(true),
            Self::Less | Self::LessOrEqual => Some(false),
            Self::Equal | Self::NotEqual => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Operator::{self, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};

    #[test]
    fn each_operator_has_its_truth_table() {
        // Below, at and above the threshold; then NaN and the infinities.
        let rows: [(Operator, [bool; 6]); 6] = [
            (Greater, [false, false, true, false, true, false]),
            (GreaterOrEqual, [false, true, true, false, true, false]),
            (Less, [true, false, false, false, false, true]),
            (LessOrEqual, [true, true, false, false, false, true]),
            (Equal, [false, true, false, false, false, false]),
            (NotEqual, [true, false, true, false, true, true]),
        ];
        for (operator, wants) in rows {
            let values = [79.9, 80.0, 80.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            for (value, want) in values.into_iter().zip(wants) {
                assert_eq!(operator.holds(value, 80.0), want, "{value} {} 80", operator.as_str());
            }
            assert!(!operator.holds(1.0, f64::NAN), "{}", operator.as_str());
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for operator in Operator::ALL {
            let read: Operator = serde_json::from_value(operator.as_str().into()).expect("its own spelling");
            assert_eq!(read, operator);
        }
        assert!(serde_json::from_value::<Operator>("=~".into()).is_err());
    }
}
