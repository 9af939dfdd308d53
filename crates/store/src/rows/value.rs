//! One value of a row: the text that shows it, and how it stands to another.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use model::Scalar;

use super::chunk::ValueKind;
use super::json;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Json(Cow<'a, str>),
    /// An identifier, shown in lower-case hexadecimal.
    Id(&'a [u8]),
}

impl Val<'_> {
    pub(crate) fn kind(&self) -> ValueKind {
        match self {
            Self::Bool(_) => ValueKind::Bool,
            Self::Int(_) => ValueKind::Int,
            Self::Double(_) => ValueKind::Double,
            Self::Text(_) | Self::Id(_) => ValueKind::Text,
            Self::Json(_) => ValueKind::Json,
        }
    }

    /// The text that shows it.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => {
                let mut out = String::new();
                push_double(&mut out, *value);
                Cow::Owned(out)
            }
            Self::Text(text) | Self::Json(text) => Cow::Borrowed(text),
            Self::Id(id) => Cow::Owned(hex(id)),
        }
    }

    /// Adds it as JSON. Numbers that JSON does not know become texts.
    pub(crate) fn push_json(&self, out: &mut String) {
        match self {
            Self::Bool(_) | Self::Int(_) => out.push_str(&self.shown()),
            Self::Double(value) if value.is_finite() => push_double(out, *value),
            Self::Json(text) => out.push_str(text),
            Self::Double(_) | Self::Text(_) | Self::Id(_) => json::push_string(out, &self.shown()),
        }
    }

    /// The number that it is or shows.
    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Self::Int(value) => Some(Number::Int(*value)),
            Self::Double(value) => Some(Number::Double(*value)),
            Self::Text(text) => Number::of_text(text),
            Self::Bool(_) | Self::Json(_) | Self::Id(_) => None,
        }
    }

    /// The truth value that it is or shows.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) if text == "true" => Some(true),
            Self::Text(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    /// How it stands to a wanted value, as [`model::Test::Compare`] says; `None` where it cannot be compared.
    pub(crate) fn order(&self, wanted: &Scalar) -> Option<Ordering> {
        match wanted {
            Scalar::Bool(wanted) => Some(self.truth()?.cmp(wanted)),
            Scalar::Int(wanted) => self.number()?.order(Number::Int(*wanted)),
            Scalar::Double(wanted) => self.number()?.order(Number::Double(*wanted)),
            Scalar::Text(wanted) => Some((*self.shown()).cmp(&**wanted)),
            Scalar::Bytes(wanted) => match self {
                Self::Id(id) => Some((*id).cmp(wanted)),
                Self::Text(text) => Some((**text).cmp(&hex(wanted))),
                _ => None,
            },
        }
    }
}

/// A number, compared by what it is and not by how it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    /// The finite number that a text shows.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let first = *text.as_bytes().first()?;
        if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
            return None;
        }
        if let Ok(int) = text.parse() {
            return Some(Self::Int(int));
        }
        text.parse().ok().filter(|double: &f64| double.is_finite()).map(Self::Double)
    }

    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Double(b)) => order_mixed(a, b),
            (Self::Double(a), Self::Int(b)) => order_mixed(b, a).map(Ordering::reverse),
        }
    }

    pub(crate) fn double(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Double(double) => double,
        }
    }

    /// The whole number that it is, if it is one.
    pub(crate) fn int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Double(double) => {
                (double.fract() == 0.0 && (-TWO_63..TWO_63).contains(&double)).then_some(double as i64)
            }
        }
    }
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// Compares without losing the low digits of the integer.
fn order_mixed(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        None
    } else if b >= TWO_63 {
        Some(Ordering::Less)
    } else if b < -TWO_63 {
        Some(Ordering::Greater)
    } else {
        Some(a.cmp(&(b as i64)).then(0.0f64.partial_cmp(&b.fract())?))
    }
}

/// Largest magnitude that is shown without an exponent when whole.
const PLAIN_MAX: f64 = 1e15;

/// Adds a number as people write it: whole ones without a fraction, so that a column that was widened from
/// integers shows the same.
pub(crate) fn push_double(out: &mut String, value: f64) {
    let written = if value.fract() == 0.0 && value.abs() < PLAIN_MAX {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value:?}")
    };
    written.expect("a string takes everything");
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The bytes that a text in lower-case hexadecimal shows.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(nibble(*a)? << 4 | nibble(*b)?)).collect();
    bytes.filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_are_shown_as_people_write_them() {
        for (value, want) in
            [(500.0, "500"), (0.25, "0.25"), (1e300, "1e300"), (-3.0, "-3"), (f64::NAN, "NaN")]
        {
            assert_eq!(Val::Double(value).shown(), want);
        }
    }

    #[test]
    fn integers_and_doubles_compare_exactly() {
        let order = |a: i64, b: f64| Number::Int(a).order(Number::Double(b));
        assert_eq!(order(i64::MAX, 9_223_372_036_854_775_807.0), Some(Ordering::Less));
        assert_eq!(order(9_007_199_254_740_993, 9_007_199_254_740_992.0), Some(Ordering::Greater));
        assert_eq!(order(1, 1.5), Some(Ordering::Less));
        assert_eq!(order(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(order(3, 3.0), Some(Ordering::Equal));
        assert_eq!(order(3, f64::NAN), None);
    }

    #[test]
    fn texts_that_show_numbers_compare_as_numbers() {
        let order = |text: &str, wanted| Val::Text(text.into()).order(&Scalar::Int(wanted));
        assert_eq!(order("503", 500), Some(Ordering::Greater));
        assert_eq!(order("5e2", 500), Some(Ordering::Equal));
        assert_eq!(order("inf", 500), None);
        assert_eq!(order("abc", 500), None);
        assert_eq!(Val::Int(503).order(&Scalar::Text("503".into())), Some(Ordering::Equal));
    }

    proptest! {
        #[test]
        fn hexadecimal_round_trips(bytes: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }
    }
}
