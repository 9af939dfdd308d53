//! Operators, calls, aggregations, literals.

use super::super::ast::{
    AggregateExpr, AggregateOp, BinaryExpr, BinaryOp, Call, Cardinality, Expr, ExprKind, NumberLiteral, Pos,
    UnaryExpr, VectorMatching,
};
use super::super::error::ParseError;
use super::super::functions;
use super::super::literal::{parse_duration, parse_number, unquote};
use super::super::token::{Keyword, Token, TokenKind, quote};
use super::Parser;

/// An expression and how deep its tree is.
pub(super) type Deep = (Expr, usize);

/// How tightly each level of operators binds. A sign binds like a product.
const PRODUCT: u8 = 5;

/// Binding power, and whether the operator groups to the right.
fn power(op: BinaryOp) -> (u8, bool) {
    use BinaryOp as Op;
    match op {
        Op::Or => (1, false),
        Op::And | Op::Unless => (2, false),
        Op::Eql | Op::Neq | Op::Gtr | Op::Lss | Op::Gte | Op::Lte | Op::TrimUpper | Op::TrimLower => {
            (3, false)
        }
        Op::Add | Op::Sub => (4, false),
        Op::Mul | Op::Div | Op::Mod | Op::Atan2 => (PRODUCT, false),
        Op::Pow => (6, true),
    }
}

/// The least power that the right operand's operators must have, given the power at this level.
pub(super) fn power_right(op: BinaryOp) -> (u8, u8) {
    let (left, to_the_right) = power(op);
    (left, if to_the_right { left } else { left + 1 })
}

impl<'a> Parser<'a> {
    /// An expression whose operators bind at least as tightly as `power_min`.
    pub(super) fn expr(&mut self, power_min: u8) -> Result<Deep, ParseError> {
        self.enter()?;
        let (mut lhs, mut depth) = self.operand()?;
        while let TokenKind::Op(op) = self.token.kind {
            let (left, right) = power_right(op);
            if left < power_min {
                break;
            }
            self.advance();
            let (return_bool, matching) = self.binary_modifiers()?;
            let (rhs, rhs_depth) = self.expr(right)?;
            depth = 1 + depth.max(rhs_depth);
            self.check_depth(depth)?;
            lhs = binary(op, lhs, rhs, return_bool, matching);
        }
        self.leave();
        Ok((lhs, depth))
    }

    /// A sign and what it applies to, or a primary expression with what follows it.
    fn operand(&mut self) -> Result<Deep, ParseError> {
        let negative = match self.token.kind {
            TokenKind::Op(BinaryOp::Sub) => true,
            TokenKind::Op(BinaryOp::Add) => false,
            _ => {
                let (primary, depth) = self.primary()?;
                return self.postfix(primary, depth);
            }
        };
        let sign = self.advance();
        // The operand takes only what binds more tightly than a product: -1^2 is -(1^2), -1*2 is (-1)*2.
        let (mut expr, depth) = self.expr(PRODUCT + 1)?;
        let pos = Pos { start: sign.pos.start, end: expr.pos.end };
        if let ExprKind::Number(number) = &mut expr.kind {
            number.value = if negative { -number.value } else { number.value };
            expr.pos = pos;
            return Ok((expr, depth));
        }
        let kind = ExprKind::Unary(UnaryExpr { negative, expr: Box::new(expr) });
        self.check_depth(depth + 1)?;
        Ok((Expr { kind, pos }, depth + 1))
    }

    fn primary(&mut self) -> Result<Deep, ParseError> {
        let token = self.token;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let kind = ExprKind::Number(self.number_or_duration()?);
                Ok((Expr { kind, pos: token.pos }, 1))
            }
            TokenKind::String => {
                self.advance();
                Ok((Expr { kind: ExprKind::String(unquote(self.text_of(token))), pos: token.pos }, 1))
            }
            TokenKind::LeftParen => {
                self.advance();
                let (inner, depth) = self.expr(0)?;
                let close = self.closing_paren()?;
                let pos = Pos { start: token.pos.start, end: close.pos.end };
                self.check_depth(depth + 1)?;
                Ok((Expr { kind: ExprKind::Paren(Box::new(inner)), pos }, depth + 1))
            }
            TokenKind::LeftBrace => Ok((self.selector()?, 1)),
            kind if kind.names_metric() => {
                self.advance();
                match (kind, self.token.kind) {
                    (
                        TokenKind::Aggregate(op),
                        TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without),
                    ) => self.aggregate(token, op),
                    (TokenKind::Identifier | TokenKind::Context(_), TokenKind::LeftParen) => self.call(token),
                    _ => Ok((self.named_selector(token)?, 1)),
                }
            }
            _ => Err(self.unexpected("", "")),
        }
    }

    fn closing_paren(&mut self) -> Result<Token, ParseError> {
        self.accept(TokenKind::RightParen).ok_or_else(|| self.unexpected("", ""))
    }

    /// A number, or a duration as seconds.
    pub(super) fn number_or_duration(&mut self) -> Result<NumberLiteral, ParseError> {
        let token = self.advance();
        let text = self.text_of(token);
        if token.kind == TokenKind::Duration {
            let ms = parse_duration(text).map_err(|message| self.error(token.pos, message))?;
            return Ok(NumberLiteral { value: ms as f64 / 1000.0, duration: true });
        }
        let invalid = || {
            let message =
                format!("error parsing number: strconv.ParseFloat: parsing {}: invalid syntax", quote(text));
            self.error(token.pos, message)
        };
        Ok(NumberLiteral { value: parse_number(text).ok_or_else(invalid)?, duration: false })
    }

    /// A call whose name was taken.
    fn call(&mut self, name: Token) -> Result<Deep, ParseError> {
        let (args, depth) = self.arguments()?;
        let pos = Pos { start: name.pos.start, end: self.last_closing };
        let text = self.text_of(name);
        let func = functions::lookup(text)
            .ok_or_else(|| self.error(name.pos, format!("unknown function with name {}", quote(text))))?;
        self.check_depth(depth + 1)?;
        Ok((Expr { kind: ExprKind::Call(Call { func, args }), pos }, depth + 1))
    }

    fn arguments(&mut self) -> Result<(Vec<Expr>, usize), ParseError> {
        if self.accept(TokenKind::LeftParen).is_none() {
            return Err(self.unexpected("", ""));
        }
        let (mut args, mut depth) = (Vec::new(), 0);
        if self.accept(TokenKind::RightParen).is_some() {
            return Ok((args, depth));
        }
        loop {
            let (arg, arg_depth) = self.expr(0)?;
            args.push(arg);
            depth = depth.max(arg_depth);
            if self.accept(TokenKind::RightParen).is_some() {
                return Ok((args, depth));
            }
            let Some(comma) = self.accept(TokenKind::Comma) else { return Err(self.unexpected("", "")) };
            if self.token.kind == TokenKind::RightParen {
                return Err(self.error(comma.pos, "trailing commas not allowed in function call args"));
            }
        }
    }

    /// An aggregation whose name was taken; its clause may stand before or behind its arguments.
    fn aggregate(&mut self, name: Token, op: AggregateOp) -> Result<Deep, ParseError> {
        self.aggregations += 1;
        let before = self.grouping()?;
        let (mut args, depth) = self.arguments()?;
        let clause = match before {
            Some(clause) => Some(clause),
            None => self.grouping()?,
        };
        self.aggregations -= 1;
        let (without, grouping) = clause.unwrap_or_default();
        let pos = Pos { start: name.pos.start, end: self.last_closing };
        let wanted = if op.takes_param() { 2 } else { 1 };
        if args.is_empty() {
            return Err(self.error(pos, "no arguments for aggregate expression provided"));
        }
        if args.len() != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            );
            return Err(self.error(pos, message));
        }
        let Some(expr) = args.pop() else { return Err(self.unexpected("", "")) };
        let kind = AggregateExpr { op, expr, param: args.pop(), grouping, without };
        self.check_depth(depth + 1)?;
        Ok((Expr { kind: ExprKind::Aggregate(Box::new(kind)), pos }, depth + 1))
    }

    /// `by (…)` or `without (…)`: whether it is the latter, and the labels.
    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, ParseError> {
        let without = match self.token.kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some((without, self.label_list()?)))
    }

    /// What may stand between an operator and its right operand.
    fn binary_modifiers(&mut self) -> Result<(bool, VectorMatching), ParseError> {
        let mut matching = VectorMatching {
            card: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool)).is_some();
        if let TokenKind::Keyword(word @ (Keyword::On | Keyword::Ignoring)) = self.token.kind {
            self.advance();
            matching.on = word == Keyword::On;
            matching.labels = self.label_list()?;
            if let TokenKind::Keyword(word @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.token.kind {
                self.advance();
                matching.card =
                    if word == Keyword::GroupLeft { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.token.kind == TokenKind::LeftParen {
                    matching.include = self.label_list()?;
                }
            }
        }
        match self.token.kind {
            TokenKind::Keyword(Keyword::Fill) => {
                self.advance();
                let value = self.fill_value()?;
                (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
            }
            TokenKind::Keyword(Keyword::FillLeft) => {
                self.advance();
                matching.fill_left = Some(self.fill_value()?);
                if self.accept(TokenKind::Keyword(Keyword::FillRight)).is_some() {
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            TokenKind::Keyword(Keyword::FillRight) => {
                self.advance();
                matching.fill_right = Some(self.fill_value()?);
                if self.accept(TokenKind::Keyword(Keyword::FillLeft)).is_some() {
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok((return_bool, matching))
    }

    fn fill_value(&mut self) -> Result<f64, ParseError> {
        if self.accept(TokenKind::LeftParen).is_none() {
            return Err(self.unexpected("", ""));
        }
        let value = self.signed_number().ok_or_else(|| self.unexpected("", ""))??;
        self.closing_paren()?;
        Ok(value)
    }

    /// A number or duration with an optional sign; `None` when the current token begins neither.
    pub(super) fn signed_number(&mut self) -> Option<Result<f64, ParseError>> {
        let sign = match self.token.kind {
            TokenKind::Op(BinaryOp::Sub) => -1.0,
            TokenKind::Op(BinaryOp::Add) | TokenKind::Number | TokenKind::Duration => 1.0,
            _ => return None,
        };
        if matches!(self.token.kind, TokenKind::Op(_)) {
            self.advance();
        }
        matches!(self.token.kind, TokenKind::Number | TokenKind::Duration)
            .then(|| self.number_or_duration().map(|number| sign * number.value))
    }
}

fn binary(op: BinaryOp, lhs: Expr, rhs: Expr, return_bool: bool, mut matching: VectorMatching) -> Expr {
    if op.is_set() && matching.card == Cardinality::OneToOne {
        matching.card = Cardinality::ManyToMany;
    }
    let pos = Pos { start: lhs.pos.start, end: rhs.pos.end };
    let kind = BinaryExpr { op, lhs, rhs, matching: Some(matching), return_bool };
    Expr { kind: ExprKind::Binary(Box::new(kind)), pos }
}
