//! Selectors and how they are combined.

use super::super::ast::{Relation, RelationMode, SpansetExpr, Stage};
use super::super::token::Token;
use super::super::value::Value;
use super::{Parser, Result, check_selector};
use crate::traceql::FieldExpr;

impl Parser {
    pub(super) fn spanset(&mut self) -> Result<SpansetExpr> {
        self.nested(|parser| {
            let mut left = parser.relations()?;
            let mut height = 0;
            loop {
                let both = match parser.peek() {
                    Some(Token::Sign("&&")) => true,
                    Some(Token::Sign("||")) => false,
                    _ => return Ok(left),
                };
                parser.at += 1;
                let right = parser.relations()?;
                height += 1;
                left = match (both, left) {
                    (true, SpansetExpr::Both(mut all)) => {
                        all.push(right);
                        height -= 1;
                        SpansetExpr::Both(all)
                    }
                    (false, SpansetExpr::Either(mut any)) => {
                        any.push(right);
                        height -= 1;
                        SpansetExpr::Either(any)
                    }
                    (true, left) => SpansetExpr::Both(vec![left, right]),
                    (false, left) => SpansetExpr::Either(vec![left, right]),
                };
                parser.check_depth(parser.depth + height)?;
            }
        })
    }

    fn relations(&mut self) -> Result<SpansetExpr> {
        let mut left = self.selector()?;
        let mut height = 0;
        while let Some((relation, mode)) = self.take_relation() {
            height += 1;
            self.check_depth(self.depth + height)?;
            let right = Box::new(self.selector()?);
            left = SpansetExpr::Related { left: Box::new(left), relation, mode, right };
        }
        Ok(left)
    }

    fn take_relation(&mut self) -> Option<(Relation, RelationMode)> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let (mode, plain) = match sign.split_at(1) {
            ("!", "") => return None,
            ("!", rest) => (RelationMode::Not, rest),
            ("&", rest) => (RelationMode::Union, rest),
            _ => (RelationMode::Plain, *sign),
        };
        let relation = match plain {
            ">" => Relation::Child,
            ">>" => Relation::Descendant,
            "<" => Relation::Parent,
            "<<" => Relation::Ancestor,
            "~" => Relation::Sibling,
            _ => return None,
        };
        self.at += 1;
        Some((relation, mode))
    }

    fn selector(&mut self) -> Result<SpansetExpr> {
        if self.take("(") {
            let mut stages = self.nested(Self::pipeline)?;
            self.expect(")")?;
            return Ok(match (stages.len(), stages.pop()) {
                (1, Some(Stage::Spans(inner))) => inner,
                (_, last) => {
                    stages.extend(last);
                    SpansetExpr::Pipeline(stages)
                }
            });
        }
        self.expect("{")?;
        if self.take("}") {
            return Ok(SpansetExpr::Selector(FieldExpr::Literal(Value::Bool(true))));
        }
        let position = self.position();
        let expr = self.field_expr()?;
        check_selector(&expr, position)?;
        if !self.take("}") {
            return Err(self.unexpected("`}`, && or ||"));
        }
        Ok(SpansetExpr::Selector(expr))
    }
}
