//! Values and how they compare.

use std::sync::Arc;

use crate::traces::{SpanKind, SpanStatus};

/// A value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing there.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// Nanoseconds.
    Duration(i64),
    /// How a span ended.
    Status(SpanStatus),
    /// What a span does.
    Kind(SpanKind),
    /// A field of every event or link. A comparison holds when it holds for one of them; an unequal one when it
    /// holds for each.
    Many(Vec<Value>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl CompareOp {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same comparison with its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

/// How two numbers make a third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MathOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `^`
    Power,
}

impl MathOp {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Power => "^",
        }
    }
}

impl Value {
    /// The number it is; durations are nanoseconds.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) | Self::Duration(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// Compares. Values of different kinds are in no order, not even unequal; numbers and durations are one
    /// kind. Nothing compares with what is not there.
    pub fn compare(&self, op: CompareOp, other: &Self) -> bool {
        match (self, other) {
            (Self::Many(all), other) => match op {
                CompareOp::NotEqual => !all.is_empty() && all.iter().all(|one| one.compare(op, other)),
                _ => all.iter().any(|one| one.compare(op, other)),
            },
            (one, Self::Many(_)) => other.compare(op.flipped(), one),
            (Self::Text(a), Self::Text(b)) => op.holds(a.cmp(b)),
            (Self::Int(a) | Self::Duration(a), Self::Int(b) | Self::Duration(b)) => op.holds(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => op.holds(a.cmp(b)),
            (Self::Status(a), Self::Status(b)) => op.holds(a.cmp(b)),
            (Self::Kind(a), Self::Kind(b)) => op.holds(a.cmp(b)),
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.partial_cmp(&b).is_some_and(|order| op.holds(order)),
                _ => false,
            },
        }
    }

    /// Computes; nothing for what are no numbers.
    pub fn math(&self, op: MathOp, other: &Self) -> Self {
        let (Some(a), Some(b)) = (self.number(), other.number()) else { return Self::Nil };
        let number = match op {
            MathOp::Add => a + b,
            MathOp::Subtract => a - b,
            MathOp::Multiply => a * b,
            MathOp::Divide => a / b,
            MathOp::Remainder => a % b,
            MathOp::Power => a.powf(b),
        };
        let is_duration = matches!(self, Self::Duration(_)) || matches!(other, Self::Duration(_));
        let is_whole = matches!((self, other), (Self::Int(_), Self::Int(_))) && number.fract() == 0.0;
        match (is_duration, is_whole && number.abs() < 9e15) {
            (true, _) => Self::Duration(number as i64),
            (false, true) => Self::Int(number as i64),
            (false, false) => Self::Float(number),
        }
    }

    /// As labels and lists show it; nothing for what is not there.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(b) => b.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Text(text) => text.to_string(),
            Self::Duration(ns) => format_duration(*ns),
            Self::Status(status) => status.as_str().into(),
            Self::Kind(kind) => kind.as_str().into(),
            Self::Many(all) => all.iter().filter_map(Self::text).collect::<Vec<_>>().join(","),
        })
    }
}

/// Units from large to small, nanoseconds each.
const UNITS: [(&str, i64); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("µs", 1000),
    ("ns", 1),
];

/// `1h30m`, `1.5s` or `100ms`, as nanoseconds; a sign in front is not read.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text, 0f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        // The same letter in another block of Unicode.
        let unit = if unit == "μs" { "µs" } else { unit };
        let ns = match unit {
            "d" => 24 * UNITS[0].1,
            _ => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        total += number.parse::<f64>().ok()? * ns as f64;
        rest = after;
    }
    (!text.is_empty() && total < 9.2e18).then_some(total.round() as i64)
}

/// In the largest unit that it fills.
pub(super) fn format_duration(ns: i64) -> String {
    let (unit, size) = UNITS.iter().find(|(_, size)| ns.unsigned_abs() >= *size as u64).unwrap_or(&("ns", 1));
    // Hours and minutes with a fraction read badly.
    if *size > 1_000_000_000 && ns % size != 0 {
        return format!("{}s", ns as f64 / 1e9);
    }
    format!("{}{unit}", ns as f64 / *size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, want) in [
            ("1s", Some(1_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("100ms", Some(100_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("2us", Some(2000)),
            ("2µs", Some(2000)),
            ("7ns", Some(7)),
            ("1d", Some(86_400_000_000_000)),
            ("1x", None),
            ("s", None),
            ("", None),
            ("1", None),
            ("99999999999h", None),
        ] {
            assert_eq!(parse_duration(text), want, "{text}");
        }
        for (ns, want) in [
            (0, "0ns"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "90s"),
            (3_600_000_000_000, "1h"),
            (-2000, "-2us"),
        ] {
            assert_eq!(format_duration(ns), want);
        }
    }

    #[test]
    fn only_what_is_of_one_kind_compares() {
        let text = |text: &str| Value::Text(text.into());
        for (a, op, b, want) in [
            (Value::Int(2), CompareOp::Equal, Value::Float(2.0), true),
            (Value::Duration(2), CompareOp::Less, Value::Int(3), true),
            (text("2"), CompareOp::Equal, Value::Int(2), false),
            (text("2"), CompareOp::NotEqual, Value::Int(2), false),
            (Value::Nil, CompareOp::NotEqual, Value::Int(2), false),
            (Value::Nil, CompareOp::Equal, Value::Nil, false),
            (Value::Float(f64::NAN), CompareOp::NotEqual, Value::Int(1), false),
            (Value::Many(vec![Value::Int(1), Value::Int(2)]), CompareOp::Equal, Value::Int(2), true),
            (Value::Many(vec![Value::Int(1), Value::Int(2)]), CompareOp::NotEqual, Value::Int(2), false),
            (Value::Int(1), CompareOp::Less, Value::Many(vec![Value::Int(2)]), true),
        ] {
            assert_eq!(a.compare(op, &b), want, "{a:?} {op:?} {b:?}");
        }
    }
}
