//! What follows an expression: `offset`, `@`, `anchored`, `smoothed`, ranges and subqueries.

use super::super::ast::{
    At, DurationValue, Expr, ExprKind, MatrixSelector, Pos, SubqueryExpr, VectorSelector,
};
use super::super::error::ParseError;
use super::super::token::{Context, Keyword, Token, TokenKind};
use super::Parser;
use super::expr::Deep;

/// The instants of `@` fit in 63 bits of milliseconds with room to spare.
const AT_SECONDS_MAX: f64 = i64::MAX as f64;

impl<'a> Parser<'a> {
    /// Attaches all that follows a primary expression.
    pub(super) fn postfix(&mut self, mut expr: Expr, mut depth: usize) -> Result<Deep, ParseError> {
        loop {
            match self.token.kind {
                TokenKind::Keyword(Keyword::Offset) => {
                    self.advance();
                    let offset = self.offset_duration()?;
                    self.set_offset(&mut expr, offset)?;
                }
                TokenKind::At => {
                    self.advance();
                    let at = self.at_instant(&expr)?;
                    self.set_at(&mut expr, at)?;
                }
                TokenKind::Keyword(word @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.advance();
                    self.set_extended(&mut expr, word == Keyword::Anchored)?;
                }
                TokenKind::LeftBracket => {
                    expr = self.range(expr)?;
                    depth += 1;
                    self.check_depth(depth)?;
                }
                _ => return Ok((expr, depth)),
            }
        }
    }

    /// The selector and offset slots that a modifier of this expression fills.
    fn set_offset(&mut self, expr: &mut Expr, offset: DurationValue) -> Result<(), ParseError> {
        let pos = expr.pos;
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.offset,
            ExprKind::Matrix(matrix) => &mut matrix.selector.offset,
            ExprKind::Subquery(subquery) => &mut subquery.offset,
            _ => {
                return Err(self.error(
                    pos,
                    "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                ));
            }
        };
        if slot.is_some() {
            return Err(self.error(pos, "offset may not be set multiple times"));
        }
        // No offset and an offset of nothing are the same.
        *slot = Some(offset).filter(|offset| *offset != DurationValue::Fixed(0));
        expr.pos.end = self.last_closing;
        Ok(())
    }

    fn at_instant(&mut self, expr: &Expr) -> Result<At, ParseError> {
        if let TokenKind::Context(word @ (Context::Start | Context::End)) = self.token.kind {
            self.advance();
            for kind in [TokenKind::LeftParen, TokenKind::RightParen] {
                if self.accept(kind).is_none() {
                    return Err(self.unexpected("@", "timestamp"));
                }
            }
            return Ok(if word == Context::Start { At::Start } else { At::End });
        }
        let seconds = self.signed_number().ok_or_else(|| self.unexpected("@", "timestamp"))??;
        if !(seconds > -AT_SECONDS_MAX && seconds < AT_SECONDS_MAX) {
            let shown = match seconds {
                f64::INFINITY => "+Inf".into(),
                f64::NEG_INFINITY => "-Inf".into(),
                seconds => format!("{seconds:.6}"),
            };
            return Err(self.error(expr.pos, format!("timestamp out of bounds for @ modifier: {shown}")));
        }
        Ok(At::Time((seconds * 1000.0).round() as i64))
    }

    fn set_at(&mut self, expr: &mut Expr, at: At) -> Result<(), ParseError> {
        let pos = expr.pos;
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.at,
            ExprKind::Matrix(matrix) => &mut matrix.selector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => {
                return Err(self.error(
                    pos,
                    "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                ));
            }
        };
        if slot.is_some() {
            return Err(self.error(pos, "@ <timestamp> may not be set multiple times"));
        }
        *slot = Some(at);
        expr.pos.end = self.last_closing;
        Ok(())
    }

    fn set_extended(&mut self, expr: &mut Expr, anchored: bool) -> Result<(), ParseError> {
        let word = if anchored { "anchored" } else { "smoothed" };
        let pos = expr.pos;
        let selector: &mut VectorSelector = match &mut expr.kind {
            ExprKind::Vector(selector) => selector,
            ExprKind::Matrix(matrix) => &mut matrix.selector,
            ExprKind::Subquery(_) => {
                return Err(self.error(pos, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(pos, format!("{word} modifier not implemented"))),
        };
        if anchored {
            selector.anchored = true;
        } else {
            selector.smoothed = true;
        }
        if selector.anchored && selector.smoothed {
            return Err(self.error(pos, "anchored and smoothed modifiers cannot be used together"));
        }
        Ok(())
    }

    /// `[range]` or `[range:step]` behind an expression.
    fn range(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let open = self.advance();
        let range = self.range_duration("subquery or range selector")?;
        if self.token.kind == TokenKind::RightBracket {
            let close = self.advance();
            return self.matrix(expr, range, open, close);
        }
        if self.accept(TokenKind::Colon).is_none() {
            return Err(self.unexpected("subquery or range", "\":\" or \"]\""));
        }
        let step = if self.token.kind == TokenKind::RightBracket {
            None
        } else {
            let expected = "number, duration, step(), range(), or \"]\"";
            if matches!(self.token.kind, TokenKind::Eof | TokenKind::Comma | TokenKind::RightParen) {
                return Err(self.unexpected("subquery selector", expected));
            }
            Some(self.range_duration("subquery selector")?)
        };
        if self.token.kind != TokenKind::RightBracket {
            return Err(self.unexpected("subquery selector", "\"]\""));
        }
        let close = self.advance();
        let pos = Pos { start: expr.pos.start, end: close.pos.end };
        let kind = SubqueryExpr { expr, range, step, offset: None, at: None };
        Ok(Expr { kind: ExprKind::Subquery(Box::new(kind)), pos })
    }

    fn matrix(
        &self,
        expr: Expr,
        range: DurationValue,
        open: Token,
        close: Token,
    ) -> Result<Expr, ParseError> {
        let brackets = Pos { start: open.pos.start, end: close.pos.end };
        let ExprKind::Vector(selector) = expr.kind else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if selector.offset.is_some() {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if selector.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        let pos = Pos { start: expr.pos.start, end: close.pos.end };
        let kind = MatrixSelector { selector, selector_pos: expr.pos, range };
        Ok(Expr { kind: ExprKind::Matrix(kind), pos })
    }
}
