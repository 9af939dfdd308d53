//! Tokens to queries. Nesting is bounded, so that neither parsing nor evaluation can run out of stack.

mod field; // what stands between braces
mod metrics; // functions over time
mod spanset; // selectors and relations

use std::sync::Arc;

use super::ast::{Aggregate, FieldExpr, FieldRef, Intrinsic, Query, Scalar, Stage};
use super::token::{Token, tokens};
use super::value::{CompareOp, MathOp, Value};

/// Longest query, bytes. What a person or a dashboard sends is far shorter.
const QUERY_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of parentheses and operators.
const DEPTH_MAX: u32 = 100;

/// A query that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at position {}: {message}", position + 1)]
pub struct ParseError {
    /// Where, in bytes from the start.
    pub position: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl ParseError {
    pub(super) fn new(position: usize, message: String) -> Self {
        Self { position, message }
    }
}

type Result<T> = std::result::Result<T, ParseError>;

/// Reads a query.
pub fn parse(text: &str) -> std::result::Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("the query has {} bytes; the most is {QUERY_BYTES_MAX}", text.len());
        return Err(ParseError::new(0, message));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.len(), depth: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.unexpected("the end of the query or `|`")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    depth: u32,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(position, _)| *position)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(ParseError::new(self.position(), message.into()))
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match self.peek() {
            None => "the query ends".to_owned(),
            Some(Token::Sign(sign)) => format!("`{sign}` stands"),
            Some(Token::Word(word)) => format!("`{word}` stands"),
            Some(_) => "another value stands".to_owned(),
        };
        ParseError::new(self.position(), format!("{found} where {wanted} is expected"))
    }

    fn next_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn next_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if &**found == word)
    }

    /// Takes a sign if it is next.
    fn take(&mut self, sign: &str) -> bool {
        let is_next = self.next_sign(sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn take_word(&mut self) -> Option<Arc<str>> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = Arc::clone(word);
                self.at += 1;
                Some(word)
            }
            _ => None,
        }
    }

    /// Parses something nested.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.check_depth(self.depth + 1)?;
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn check_depth(&self, depth: u32) -> Result<()> {
        if depth > DEPTH_MAX {
            return self.error(format!(
                "the query is nested more than {DEPTH_MAX} levels deep: write it with fewer parentheses"
            ));
        }
        Ok(())
    }

    fn query(&mut self) -> Result<Query> {
        let mut stages = vec![self.stage()?];
        let mut metrics = None;
        while self.take("|") {
            if let Some(function) = self.metrics_function()? {
                metrics = Some(self.metrics(function)?);
                break;
            }
            stages.push(self.stage()?);
        }
        self.hints()?;
        Ok(Query { stages, metrics })
    }

    /// `with (…)`: hints to Tempo about how to run the query.
    fn hints(&mut self) -> Result<()> {
        if !self.next_word("with") {
            return Ok(());
        }
        self.at += 1;
        self.expect("(")?;
        while !self.take(")") {
            if self.peek().is_none() {
                return Err(self.unexpected("`)`"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn pipeline(&mut self) -> Result<Vec<Stage>> {
        let mut stages = vec![self.stage()?];
        while self.take("|") {
            stages.push(self.stage()?);
        }
        Ok(stages)
    }

    fn stage(&mut self) -> Result<Stage> {
        match self.stage_begins_with() {
            Some(Token::Sign("{")) => Ok(Stage::Spans(self.spanset()?)),
            Some(Token::Word(word)) => match &*word {
                "by" => {
                    self.at += 1;
                    self.expect("(")?;
                    let field = self.field_expr()?;
                    self.expect(")")?;
                    Ok(Stage::By(field))
                }
                "coalesce" => {
                    self.at += 1;
                    self.expect("(")?;
                    self.expect(")")?;
                    Ok(Stage::Coalesce)
                }
                "select" => {
                    self.at += 1;
                    Ok(Stage::Select(self.fields()?))
                }
                word if aggregate(word).is_some() => self.scalar_filter(),
                "compare" => {
                    self.error("compare() is not supported: compare two queries with different selectors")
                }
                _ => Err(self.unexpected(
                    "`{`, count(), avg(), min(), max(), sum(), by(), select() or a function over time",
                )),
            },
            Some(Token::Int(_) | Token::Float(_) | Token::Duration(_) | Token::Sign("-")) => {
                self.scalar_filter()
            }
            _ => Err(self.unexpected("`{`, as in { status = error }")),
        }
    }

    /// The first token of the stage that is no parenthesis: it says what the parentheses are around.
    fn stage_begins_with(&self) -> Option<Token> {
        let rest = self.tokens.get(self.at..)?;
        let first = rest.iter().map(|(_, token)| token).find(|token| **token != Token::Sign("("));
        match (self.peek(), first) {
            // Only spans and numbers stand in parentheses.
            (Some(Token::Sign("(")), Some(Token::Word(word))) if aggregate(word).is_none() => {
                Some(Token::Sign("{"))
            }
            (_, first) => first.cloned(),
        }
    }

    /// `(a, b, …)`
    fn fields(&mut self) -> Result<Vec<FieldRef>> {
        self.expect("(")?;
        let mut fields = Vec::new();
        loop {
            fields.push(self.field_ref()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(fields)
    }

    fn field_ref(&mut self) -> Result<FieldRef> {
        let field = match self.peek() {
            Some(Token::Attribute(scope, name)) => FieldRef::Attribute(*scope, Arc::clone(name)),
            Some(Token::Word(word)) => match Intrinsic::parse(word) {
                Some(intrinsic) => FieldRef::Intrinsic(intrinsic),
                None => return self.error(unknown_word(word)),
            },
            _ => return Err(self.unexpected("a field such as name or span.http.method")),
        };
        self.at += 1;
        Ok(field)
    }

    fn scalar_filter(&mut self) -> Result<Stage> {
        let left = self.scalar(1)?;
        let op = self.compare_op().ok_or_else(|| self.unexpected("a comparison such as > 2"))?;
        Ok(Stage::Scalar(left, op, self.scalar(1)?))
    }

    /// A number; operators bind from 1 (sums) to 3 (powers).
    fn scalar(&mut self, level: u32) -> Result<Scalar> {
        let mut left = self.nested(Self::scalar_term)?;
        let mut height = 0;
        while let Some((op, op_level)) = self.math_op(level) {
            self.at += 1;
            height += 1;
            self.check_depth(self.depth + height)?;
            let next = op_level + u32::from(op != MathOp::Power);
            let right = self.nested(|parser| parser.scalar(next))?;
            left = Scalar::Math(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn scalar_term(&mut self) -> Result<Scalar> {
        if self.take("(") {
            let inner = self.scalar(1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.take("-") {
            let zero = Box::new(Scalar::Literal(Value::Int(0)));
            return Ok(Scalar::Math(MathOp::Subtract, zero, Box::new(self.nested(Self::scalar_term)?)));
        }
        let literal = match self.peek() {
            Some(Token::Int(n)) => Value::Int(*n),
            Some(Token::Float(n)) => Value::Float(*n),
            Some(Token::Duration(ns)) => Value::Duration(*ns),
            Some(Token::Word(word)) if aggregate(word).is_some() => return self.aggregate(),
            _ => return Err(self.unexpected("a number or count(), avg(), min(), max(), sum()")),
        };
        self.at += 1;
        Ok(Scalar::Literal(literal))
    }

    fn aggregate(&mut self) -> Result<Scalar> {
        let word = self.take_word();
        let of = word.and_then(|word| aggregate(&word)).ok_or_else(|| self.unexpected("a total"))?;
        self.expect("(")?;
        let field = match of {
            Aggregate::Count => None,
            _ => Some(self.field_expr()?),
        };
        self.expect(")")?;
        Ok(Scalar::Aggregate(of, field))
    }

    /// Takes a comparison of values if it is next.
    fn compare_op(&mut self) -> Option<CompareOp> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let op = match *sign {
            "=" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            "<" => CompareOp::Less,
            "<=" => CompareOp::LessOrEqual,
            ">" => CompareOp::Greater,
            ">=" => CompareOp::GreaterOrEqual,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    /// Arithmetic that is next and binds at least as strongly as `level`, with how strongly it binds.
    fn math_op(&self, level: u32) -> Option<(MathOp, u32)> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let found = match *sign {
            "+" => (MathOp::Add, 1),
            "-" => (MathOp::Subtract, 1),
            "*" => (MathOp::Multiply, 2),
            "/" => (MathOp::Divide, 2),
            "%" => (MathOp::Remainder, 2),
            "^" => (MathOp::Power, 3),
            _ => return None,
        };
        (found.1 >= level).then_some(found)
    }
}

fn aggregate(word: &str) -> Option<Aggregate> {
    Some(match word {
        "count" => Aggregate::Count,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "avg" => Aggregate::Avg,
        "sum" => Aggregate::Sum,
        _ => return None,
    })
}

fn unknown_word(word: &str) -> String {
    let shown: String = word.chars().take(40).collect();
    format!("{shown:?} is no field: write .{shown} for an attribute, or put a text in quotes")
}

/// A boolean out of an expression is the only thing that can select.
fn check_selector(expr: &FieldExpr, position: usize) -> Result<()> {
    match expr {
        FieldExpr::Literal(Value::Bool(_)) => Ok(()),
        FieldExpr::Literal(_) | FieldExpr::Math(..) | FieldExpr::Negative(_) => Err(ParseError::new(
            position,
            "this is a value, not a condition: compare it with something".into(),
        )),
        _ => Ok(()),
    }
}
