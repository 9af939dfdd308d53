//! Durations and their arithmetic.

use super::super::ast::{BinaryOp, DurationExpr, DurationValue, NumberLiteral, Pos};
use super::super::error::ParseError;
use super::super::token::{Context, TokenKind};
use super::Parser;
use super::expr::power_right;

/// Nanoseconds of durations fit in 63 bits, as upstream.
const SECONDS_MAX: f64 = i64::MAX as f64 / 1e9;

/// A sign binds like a product.
const SIGN: u8 = 6;

/// What is expected where a duration belongs.
const EXPECTED: &str = "number, duration, step(), or range()";

/// Whole milliseconds of seconds: rounded to nanoseconds, then cut, as upstream does.
pub(super) fn milliseconds(seconds: f64) -> i64 {
    (((seconds * 1e9).round() as i64) as f64 / 1e6) as i64
}

impl<'a> Parser<'a> {
    /// The duration of `offset`: a signed literal or call and nothing behind it, so that `x offset 2 ^ 2` is a
    /// power of `x offset 2`; but arithmetic goes on behind an opening parenthesis.
    pub(super) fn offset_duration(&mut self) -> Result<DurationValue, ParseError> {
        const CONTEXT: &str = "offset";
        if self.token.kind == TokenKind::LeftParen {
            return Ok(value(self.duration_expr(0, CONTEXT)?));
        }
        let sign = self.token;
        let negative = match sign.kind {
            TokenKind::Op(BinaryOp::Sub) => true,
            TokenKind::Op(BinaryOp::Add) => false,
            _ => return Ok(value(self.duration_operand(CONTEXT)?)),
        };
        self.advance();
        let operand = self.duration_operand(CONTEXT)?;
        Ok(value(self.signed(negative, operand, sign.pos)?))
    }

    /// The duration of a range or a step: all up to `]` or `:`. A plain number must be above zero.
    pub(super) fn range_duration(&mut self, context: &str) -> Result<DurationValue, ParseError> {
        let start = self.token.pos.start;
        let duration = self.duration_expr(0, context)?;
        if let DurationExpr::Number(number) = &duration
            && number.value <= 0.0
        {
            let pos = Pos { start, end: self.last_closing };
            return Err(self.error(pos, "duration must be greater than 0"));
        }
        Ok(value(duration))
    }

    fn duration_expr(&mut self, power_min: u8, context: &str) -> Result<DurationExpr, ParseError> {
        self.enter()?;
        let mut lhs = self.duration_operand(context)?;
        let mut operators = 0;
        while let TokenKind::Op(
            op @ (BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow),
        ) = self.token.kind
        {
            let (left, right) = power_right(op);
            if left < power_min {
                break;
            }
            let at = self.advance().pos;
            let rhs = self.duration_expr(right, context)?;
            if let (BinaryOp::Div | BinaryOp::Mod, DurationExpr::Number(number)) = (op, &rhs)
                && number.value == 0.0
            {
                let what = if op == BinaryOp::Div { "division by zero" } else { "modulo by zero" };
                return Err(self.error(at, what));
            }
            operators += 1;
            self.check_depth(self.depth + operators)?;
            lhs = DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) };
        }
        self.leave();
        Ok(lhs)
    }

    fn duration_operand(&mut self, context: &str) -> Result<DurationExpr, ParseError> {
        let token = self.token;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number_or_duration()?;
                self.literal(number, token.pos)
            }
            TokenKind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                let operand = self.duration_expr(SIGN, context)?;
                self.signed(op == BinaryOp::Sub, operand, token.pos)
            }
            TokenKind::LeftParen => {
                self.advance();
                let inner = self.duration_expr(0, context)?;
                self.duration_token(TokenKind::RightParen, context)?;
                Ok(match inner {
                    paren @ DurationExpr::Paren(_) => paren,
                    inner => DurationExpr::Paren(Box::new(inner)),
                })
            }
            TokenKind::Context(word @ (Context::Step | Context::Range)) => {
                self.advance();
                self.duration_token(TokenKind::LeftParen, context)?;
                self.duration_token(TokenKind::RightParen, context)?;
                Ok(if word == Context::Step { DurationExpr::Step } else { DurationExpr::Range })
            }
            TokenKind::Context(word @ (Context::MinOf | Context::MaxOf)) => {
                self.advance();
                self.duration_token(TokenKind::LeftParen, context)?;
                let a = Box::new(self.duration_expr(0, context)?);
                self.duration_token(TokenKind::Comma, context)?;
                let b = Box::new(self.duration_expr(0, context)?);
                self.duration_token(TokenKind::RightParen, context)?;
                Ok(if word == Context::MinOf { DurationExpr::Min(a, b) } else { DurationExpr::Max(a, b) })
            }
            _ => Err(self.unexpected(context, EXPECTED)),
        }
    }

    fn duration_token(&mut self, kind: TokenKind, context: &str) -> Result<(), ParseError> {
        match self.accept(kind) {
            Some(_) => Ok(()),
            None => Err(self.unexpected(context, EXPECTED)),
        }
    }

    fn literal(&self, number: NumberLiteral, pos: Pos) -> Result<DurationExpr, ParseError> {
        // Not a number is out of every range.
        if number.value.abs() <= SECONDS_MAX {
            return Ok(DurationExpr::Number(number));
        }
        Err(self.error(pos, "duration out of range"))
    }

    fn signed(&self, negative: bool, operand: DurationExpr, pos: Pos) -> Result<DurationExpr, ParseError> {
        match operand {
            DurationExpr::Number(number) => {
                let value = if negative { -number.value } else { number.value };
                self.literal(NumberLiteral { value, ..number }, pos)
            }
            operand if negative => Ok(DurationExpr::Unary { negative, expr: Box::new(operand) }),
            operand => Ok(operand),
        }
    }
}

fn value(duration: DurationExpr) -> DurationValue {
    match duration {
        DurationExpr::Number(number) => DurationValue::Fixed(milliseconds(number.value)),
        other => DurationValue::Expr(Box::new(other)),
    }
}
