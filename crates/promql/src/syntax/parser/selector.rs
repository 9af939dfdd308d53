//! Series selectors and lists of labels.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::super::ast::{BinaryOp, Expr, ExprKind, Pos, VectorSelector};
use super::super::error::ParseError;
use super::super::literal::unquote;
use super::super::token::{Token, TokenKind, quote};
use super::Parser;

/// Reads the name and labels at the start of a series description, and says where they end.
pub(crate) fn parse_series_labels(text: &str) -> Result<(Vec<(String, String)>, usize), ParseError> {
    let mut parser = Parser::new(text)?;
    let mut pairs = Vec::new();
    let mut end = 0;
    if parser.token.kind.names_label() {
        pairs.push((METRIC_NAME.to_owned(), parser.text_of(parser.token).to_owned()));
        end = parser.token.pos.end;
        // What follows the name without braces are values, which are no tokens.
        if !text[end as usize..].starts_with('{') || text[end as usize..].starts_with("{{") {
            return Ok((pairs, end as usize));
        }
        parser.advance();
    }
    if parser.token.kind != TokenKind::LeftBrace {
        return Err(parser.unexpected("series description", ""));
    }
    parser.advance();
    let mut first = true;
    loop {
        if !first && parser.token.kind == TokenKind::Comma {
            parser.advance();
        } else if !first && parser.token.kind != TokenKind::RightBrace {
            return Err(parser.unexpected("label set", "\",\" or \"}\""));
        }
        if parser.token.kind == TokenKind::RightBrace {
            end = parser.token.pos.end.max(end);
            return Ok((pairs, end as usize));
        }
        pairs.push(parser.label_pair()?);
        first = false;
    }
}

impl<'a> Parser<'a> {
    /// `name="value"`, or a quoted metric name.
    fn label_pair(&mut self) -> Result<(String, String), ParseError> {
        let label = self.token;
        let name = match label.kind {
            TokenKind::Identifier => self.text_of(label).to_owned(),
            TokenKind::String => unquote(self.text_of(label)),
            _ => return Err(self.unexpected("label set", "identifier or \"}\"")),
        };
        self.advance();
        if self.token.kind != TokenKind::Assign {
            if label.kind == TokenKind::String {
                return Ok((METRIC_NAME.to_owned(), name));
            }
            return Err(self.unexpected("label set", "\"=\""));
        }
        self.advance();
        if self.token.kind != TokenKind::String {
            return Err(self.unexpected("label set", "string"));
        }
        let value = self.advance();
        Ok((name, unquote(self.text_of(value))))
    }

    /// A selector from its start: a name, braces, or both.
    pub(super) fn selector(&mut self) -> Result<Expr, ParseError> {
        if self.token.kind == TokenKind::LeftBrace {
            let start = self.token.pos.start;
            let matchers = self.matchers()?;
            let pos = Pos { start, end: self.last_closing };
            return Ok(vector(None, matchers, pos));
        }
        if !self.token.kind.names_metric() {
            return Err(self.unexpected("", ""));
        }
        let name = self.advance();
        self.named_selector(name)
    }

    /// A selector whose name was taken.
    pub(super) fn named_selector(&mut self, name: Token) -> Result<Expr, ParseError> {
        let text = self.text_of(name);
        let mut pos = name.pos;
        let mut matchers = Vec::new();
        if self.token.kind == TokenKind::LeftBrace {
            matchers = self.matchers()?;
            pos.end = self.last_closing;
        }
        matchers.push(self.matcher(METRIC_NAME, MatchOp::Equal, text, name.pos)?);
        Ok(vector(Some(text.into()), matchers, pos))
    }

    /// `{…}`.
    fn matchers(&mut self) -> Result<Vec<Matcher>, ParseError> {
        self.advance();
        let mut matchers = Vec::new();
        while self.accept(TokenKind::RightBrace).is_none() {
            if !matchers.is_empty() {
                if self.accept(TokenKind::Comma).is_none() {
                    return Err(self.unexpected("label matching", "\",\" or \"}\""));
                }
                if self.accept(TokenKind::RightBrace).is_some() {
                    break;
                }
            }
            matchers.push(self.label_matcher()?);
        }
        Ok(matchers)
    }

    fn label_matcher(&mut self) -> Result<Matcher, ParseError> {
        let label = self.token;
        let name = match label.kind {
            TokenKind::Identifier => self.text_of(label).to_owned(),
            TokenKind::String => unquote(self.text_of(label)),
            _ => return Err(self.unexpected("label matching", "identifier or \"}\"")),
        };
        self.advance();
        let op = match self.token.kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Op(BinaryOp::Neq) => MatchOp::NotEqual,
            TokenKind::EqlRegex => MatchOp::Regex,
            TokenKind::NeqRegex => MatchOp::NotRegex,
            // A quoted text alone is the metric's name.
            TokenKind::Comma | TokenKind::RightBrace if label.kind == TokenKind::String => {
                return self.matcher(METRIC_NAME, MatchOp::Equal, &name, label.pos);
            }
            _ if label.kind == TokenKind::String => {
                return Err(self.unexpected("label matching", "\",\" or \"}\""));
            }
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.advance();
        if self.token.kind != TokenKind::String {
            return Err(self.unexpected("label matching", "string"));
        }
        let value = self.advance();
        let pos = Pos { start: label.pos.start, end: value.pos.end };
        self.matcher(&name, op, &unquote(self.text_of(value)), pos)
    }

    fn matcher(&self, name: &str, op: MatchOp, value: &str, pos: Pos) -> Result<Matcher, ParseError> {
        Matcher::new(name, op, value).map_err(|error| self.error(pos, error.to_string()))
    }

    /// `(a, "b.c", …)` of a clause.
    pub(super) fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        if self.accept(TokenKind::LeftParen).is_none() {
            return Err(self.unexpected("grouping opts", "\"(\""));
        }
        let mut labels = Vec::new();
        while self.accept(TokenKind::RightParen).is_none() {
            if !labels.is_empty() {
                if self.accept(TokenKind::Comma).is_none() {
                    return Err(self.unexpected("grouping opts", "\",\" or \")\""));
                }
                if self.accept(TokenKind::RightParen).is_some() {
                    break;
                }
            }
            let token = self.token;
            let text = self.text_of(token);
            let label = match token.kind {
                TokenKind::String => unquote(text),
                kind if kind.names_label() => text.to_owned(),
                _ => return Err(self.unexpected("grouping opts", "label")),
            };
            if label.is_empty() {
                let message = format!("invalid label name for grouping: {}", quote(&label));
                return Err(self.error(token.pos, message));
            }
            self.advance();
            labels.push(label);
        }
        Ok(labels)
    }
}

fn vector(name: Option<String>, matchers: Vec<Matcher>, pos: Pos) -> Expr {
    let selector =
        VectorSelector { name, matchers, offset: None, at: None, anchored: false, smoothed: false };
    Expr { kind: ExprKind::Vector(selector), pos }
}
