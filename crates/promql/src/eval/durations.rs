//! Durations that depend on the query: `[step() * 2]`, `offset (range() / 2)`.

use super::error::QueryError;
use super::functions::{max_of, min_of};
use crate::syntax::ast::{BinaryOp, DurationExpr, DurationValue, Pos};

/// What duration expressions can refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DurationScope {
    /// Step of the query, milliseconds; 0 for an instant query.
    pub(crate) step_ms: i64,
    /// End of the query minus its start, milliseconds.
    pub(crate) range_ms: i64,
}

impl DurationScope {
    /// A duration that must be longer than zero, in milliseconds. The place is the expression's.
    pub(crate) fn positive(&self, value: &DurationValue, pos: Pos) -> Result<i64, QueryError> {
        let ms = self.signed(value, pos)?;
        if ms <= 0 && matches!(value, DurationValue::Expr(_)) {
            return Err(at(pos, "duration must be greater than 0"));
        }
        Ok(ms)
    }

    /// A duration of either sign, in milliseconds.
    pub(crate) fn signed(&self, value: &DurationValue, pos: Pos) -> Result<i64, QueryError> {
        match value {
            DurationValue::Fixed(ms) => Ok(*ms),
            DurationValue::Expr(expr) => {
                let seconds = self.seconds(expr).map_err(|text| at(pos, text))?;
                let ms = (seconds * 1000.0).trunc();
                if ms.abs() >= i64::MAX as f64 / 1e6 || ms.is_nan() {
                    return Err(at(pos, "duration is out of range"));
                }
                Ok(ms as i64)
            }
        }
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, &'static str> {
        Ok(match expr {
            DurationExpr::Number(number) => number.value,
            DurationExpr::Step => self.step_ms as f64 / 1000.0,
            DurationExpr::Range => self.range_ms as f64 / 1000.0,
            DurationExpr::Unary { negative, expr } => {
                let value = self.seconds(expr)?;
                if *negative { -value } else { value }
            }
            DurationExpr::Binary { op, lhs, rhs } => {
                let (lhs, rhs) = (self.seconds(lhs)?, self.seconds(rhs)?);
                match op {
                    BinaryOp::Add => lhs + rhs,
                    BinaryOp::Sub => lhs - rhs,
                    BinaryOp::Mul => lhs * rhs,
                    BinaryOp::Div if rhs == 0.0 => return Err("division by zero"),
                    BinaryOp::Div => lhs / rhs,
                    BinaryOp::Mod if rhs == 0.0 => return Err("modulo by zero"),
                    BinaryOp::Mod => lhs % rhs,
                    BinaryOp::Pow => lhs.powf(rhs),
                    _ => return Err("unexpected duration expression operator"),
                }
            }
            DurationExpr::Min(a, b) => min_of(self.seconds(a)?, self.seconds(b)?),
            DurationExpr::Max(a, b) => max_of(self.seconds(a)?, self.seconds(b)?),
            DurationExpr::Paren(expr) => self.seconds(expr)?,
        })
    }
}

fn at(pos: Pos, text: &str) -> QueryError {
    QueryError::Execution(format!("{}:{}: {text}", pos.start, pos.end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::ast::NumberLiteral;

    fn number(value: f64) -> Box<DurationExpr> {
        Box::new(DurationExpr::Number(NumberLiteral { value, duration: false }))
    }

    #[test]
    fn expressions_become_milliseconds() {
        let scope = DurationScope { step_ms: 15_000, range_ms: 60_000 };
        let pos = Pos { start: 4, end: 11 };
        let binary = |op, lhs, rhs| DurationValue::Expr(Box::new(DurationExpr::Binary { op, lhs, rhs }));
        let step = || Box::new(DurationExpr::Step);
        for (value, want) in [
            (DurationValue::Fixed(5), Ok(5)),
            (binary(BinaryOp::Mul, step(), number(2.0)), Ok(30_000)),
            (
                DurationValue::Expr(Box::new(DurationExpr::Max(step(), Box::new(DurationExpr::Range)))),
                Ok(60_000),
            ),
            (binary(BinaryOp::Sub, number(1.0), number(2.0)), Err("4:11: duration must be greater than 0")),
            (binary(BinaryOp::Div, number(1.0), number(0.0)), Err("4:11: division by zero")),
            (binary(BinaryOp::Pow, number(1e9), number(9.0)), Err("4:11: duration is out of range")),
        ] {
            let got = scope.positive(&value, pos).map_err(|e| e.to_string());
            assert_eq!(got.as_ref().map_err(String::as_str), want.as_ref().map_err(|t| *t), "{value:?}");
        }
    }
}
