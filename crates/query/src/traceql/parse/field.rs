//! Expressions about one span. `&&` and `||` bind alike and to the left, as in Tempo.

use std::sync::Arc;

use regex::RegexBuilder;

use super::super::ast::{FieldExpr, FieldRef, Intrinsic};
use super::super::token::Token;
use super::super::value::{CompareOp, MathOp, Value};
use super::{Parser, Result, unknown_word};
use crate::traces::{SpanKind, SpanStatus};

/// Memory of one compiled expression, bytes.
const REGEX_BYTES_MAX: usize = 4 << 20;

/// How strongly operators bind.
const LOGIC: u32 = 1;
const COMPARISON: u32 = 2;
const SUM: u32 = 3;
const NOT: u32 = 4;
const PRODUCT: u32 = 5;
const POWER: u32 = 6;

enum Op {
    And,
    Or,
    Compare(CompareOp),
    Match { negated: bool },
    Math(MathOp),
}

fn op_of(sign: &str) -> Option<(Op, u32)> {
    Some(match sign {
        "&&" => (Op::And, LOGIC),
        "||" => (Op::Or, LOGIC),
        "=" => (Op::Compare(CompareOp::Equal), COMPARISON),
        "!=" => (Op::Compare(CompareOp::NotEqual), COMPARISON),
        "<" => (Op::Compare(CompareOp::Less), COMPARISON),
        "<=" => (Op::Compare(CompareOp::LessOrEqual), COMPARISON),
        ">" => (Op::Compare(CompareOp::Greater), COMPARISON),
        ">=" => (Op::Compare(CompareOp::GreaterOrEqual), COMPARISON),
        "=~" => (Op::Match { negated: false }, COMPARISON),
        "!~" => (Op::Match { negated: true }, COMPARISON),
        "+" => (Op::Math(MathOp::Add), SUM),
        "-" => (Op::Math(MathOp::Subtract), SUM),
        "*" => (Op::Math(MathOp::Multiply), PRODUCT),
        "/" => (Op::Math(MathOp::Divide), PRODUCT),
        "%" => (Op::Math(MathOp::Remainder), PRODUCT),
        "^" => (Op::Math(MathOp::Power), POWER),
        _ => return None,
    })
}

impl Parser {
    pub(super) fn field_expr(&mut self) -> Result<FieldExpr> {
        self.nested(|parser| parser.operators(LOGIC))
    }

    fn operators(&mut self, level: u32) -> Result<FieldExpr> {
        let mut left = self.unary()?;
        let mut height = 0;
        while let Some((op, op_level)) = self.next_op().filter(|(_, op_level)| *op_level >= level) {
            let position = self.position();
            self.at += 1;
            let next = op_level + u32::from(op_level != POWER);
            let right = self.nested(|parser| parser.operators(next))?;
            // A run of the same operator stays one level deep, however long it is.
            height += u32::from(!matches!(
                (&op, &left),
                (Op::And, FieldExpr::All(_)) | (Op::Or, FieldExpr::Any(_))
            ));
            self.check_depth(self.depth + height)?;
            left = match op {
                Op::And => match left {
                    FieldExpr::All(mut all) => {
                        all.push(right);
                        FieldExpr::All(all)
                    }
                    left => FieldExpr::All(vec![left, right]),
                },
                Op::Or => match left {
                    FieldExpr::Any(mut any) => {
                        any.push(right);
                        FieldExpr::Any(any)
                    }
                    left => FieldExpr::Any(vec![left, right]),
                },
                Op::Compare(op) => compare(op, left, right),
                Op::Match { negated } => matching(left, &right, negated, position)?,
                Op::Math(op) => FieldExpr::Math(op, Box::new(left), Box::new(right)),
            };
        }
        Ok(left)
    }

    fn next_op(&self) -> Option<(Op, u32)> {
        match self.peek() {
            Some(Token::Sign(sign)) => op_of(sign),
            _ => None,
        }
    }

    fn unary(&mut self) -> Result<FieldExpr> {
        if self.take("!") {
            let of = self.nested(|parser| parser.operators(NOT + 1))?;
            return Ok(FieldExpr::Not(Box::new(of)));
        }
        if self.take("-") {
            let of = self.nested(|parser| parser.operators(SUM + 1))?;
            return Ok(match of {
                FieldExpr::Literal(Value::Int(n)) => FieldExpr::Literal(Value::Int(n.wrapping_neg())),
                FieldExpr::Literal(Value::Float(n)) => FieldExpr::Literal(Value::Float(-n)),
                FieldExpr::Literal(Value::Duration(n)) => {
                    FieldExpr::Literal(Value::Duration(n.wrapping_neg()))
                }
                of => FieldExpr::Negative(Box::new(of)),
            });
        }
        if self.take("(") {
            let inner = self.field_expr()?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.term()
    }

    fn term(&mut self) -> Result<FieldExpr> {
        let term = match self.peek() {
            Some(Token::Text(text)) => FieldExpr::Literal(Value::Text(Arc::clone(text))),
            Some(Token::Int(n)) => FieldExpr::Literal(Value::Int(*n)),
            Some(Token::Float(n)) => FieldExpr::Literal(Value::Float(*n)),
            Some(Token::Duration(ns)) => FieldExpr::Literal(Value::Duration(*ns)),
            Some(Token::Attribute(scope, name)) => {
                FieldExpr::Field(FieldRef::Attribute(*scope, Arc::clone(name)))
            }
            Some(Token::Word(word)) => match word_term(word) {
                Some(term) => term,
                None => return self.error(unknown_word(word)),
            },
            _ => return Err(self.unexpected("a field or a value")),
        };
        self.at += 1;
        Ok(term)
    }
}

fn word_term(word: &str) -> Option<FieldExpr> {
    let literal = match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "nil" => Value::Nil,
        "error" => Value::Status(SpanStatus::Error),
        "ok" => Value::Status(SpanStatus::Ok),
        "unset" => Value::Status(SpanStatus::Unset),
        _ => match SpanKind::ALL.into_iter().find(|kind| kind.as_str() == word) {
            Some(kind) => Value::Kind(kind),
            None => return Intrinsic::parse(word).map(|field| FieldExpr::Field(FieldRef::Intrinsic(field))),
        },
    };
    Some(FieldExpr::Literal(literal))
}

/// A comparison with nil asks whether something is there.
fn compare(op: CompareOp, left: FieldExpr, right: FieldExpr) -> FieldExpr {
    let nil = FieldExpr::Literal(Value::Nil);
    let other = match (left == nil, right == nil) {
        (true, _) => right,
        (_, true) => left,
        _ => return FieldExpr::Compare(op, Box::new(left), Box::new(right)),
    };
    let missing = FieldExpr::Missing(Box::new(other));
    match op {
        CompareOp::Equal => missing,
        CompareOp::NotEqual => FieldExpr::Not(Box::new(missing)),
        _ => FieldExpr::Literal(Value::Bool(false)),
    }
}

fn matching(of: FieldExpr, pattern: &FieldExpr, negated: bool, position: usize) -> Result<FieldExpr> {
    let refuse = |message: String| super::ParseError::new(position, message);
    let FieldExpr::Literal(Value::Text(pattern)) = pattern else {
        return Err(refuse("a regular expression in quotes is expected behind =~ and !~".into()));
    };
    let regex = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(REGEX_BYTES_MAX).build();
    let regex = regex.map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
        refuse(format!("this is no regular expression of a bearable size: {reason}"))
    })?;
    Ok(FieldExpr::Match { of: Box::new(of), pattern: Arc::clone(pattern), regex, negated })
}
