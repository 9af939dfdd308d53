//! Text to tree: a recursive descent over tokens, with operators by binding power.
//!
//! The first thing wrong ends the parse. Messages, and what they blame, are upstream's.

mod duration; // duration arithmetic
mod expr; // operators, calls, aggregations
mod modifiers; // offset, @, anchored, ranges, subqueries
mod selector; // matchers and label lists

pub(crate) use selector::parse_series_labels;

use super::ast::{Expr, Pos};
use super::error::ParseError;
use super::lexer::Lexer;
use super::token::{Token, TokenKind, describe};
use super::typecheck;

/// Longest query text, bytes. Positions are 32 bits wide, and a longer text is no query that anyone wrote.
pub const QUERY_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of a tree. Parsing, evaluating, printing and dropping a tree recurse, in threads whose
/// stacks may be as small as 2 MB.
pub const DEPTH_MAX: usize = 250;

/// Parses and checks a query.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut expr = parse_unchecked(text)?;
    typecheck::check(text, &mut expr)?;
    Ok(expr)
}

/// Parses the matchers of a series selector, as in `match[]` parameters.
pub fn parse_selector(text: &str) -> Result<Vec<model::Matcher>, ParseError> {
    let mut parser = Parser::new(text)?;
    let mut expr = parser.selector()?;
    parser.expect_end()?;
    typecheck::check(text, &mut expr)?;
    match expr.kind {
        super::ast::ExprKind::Vector(selector) => Ok(selector.matchers),
        _ => Err(ParseError::new(text, expr.pos, "not a series selector")),
    }
}

fn parse_unchecked(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    if parser.token.kind == TokenKind::Eof {
        return Err(ParseError::new(text, Pos::default(), "no expression found in input"));
    }
    let (expr, _) = parser.expr(0)?;
    parser.expect_end()?;
    Ok(expr)
}

/// A parser that has read one token ahead.
pub(crate) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token,
    /// End of the last token that can close an expression.
    last_closing: u32,
    /// Aggregations around the current token: what is unexpected inside one is blamed on it.
    aggregations: usize,
    /// Calls of the parser around the current one.
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > QUERY_BYTES_MAX {
            let message =
                format!("query of {} bytes is longer than {QUERY_BYTES_MAX}; shorten it", text.len());
            return Err(ParseError::new(text, Pos::default(), message));
        }
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token();
        Ok(Self { text, lexer, token, last_closing: 0, aggregations: 0, depth: 0 })
    }

    fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.pos.start as usize..token.pos.end as usize]
    }

    /// Takes the current token.
    fn advance(&mut self) -> Token {
        let token = self.token;
        if matches!(
            token.kind,
            TokenKind::RightBrace
                | TokenKind::RightParen
                | TokenKind::RightBracket
                | TokenKind::Duration
                | TokenKind::Number
        ) {
            self.last_closing = token.pos.end;
        }
        self.token = self.lexer.next_token();
        token
    }

    /// Takes the current token if it is of that kind.
    fn accept(&mut self, kind: TokenKind) -> Option<Token> {
        (self.token.kind == kind).then(|| self.advance())
    }

    fn expect_end(&mut self) -> Result<(), ParseError> {
        if self.token.kind == TokenKind::Eof { Ok(()) } else { Err(self.unexpected("", "")) }
    }

    fn error(&self, pos: Pos, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, pos, message)
    }

    /// The current token is not what the grammar allows here.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        if let (TokenKind::Error, Some((pos, message))) = (self.token.kind, self.lexer.error()) {
            return self.error(*pos, message.as_str());
        }
        let mut message = format!("unexpected {}", describe(self.token.kind, self.text_of(self.token)));
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(self.token.pos, message)
    }

    /// Counts a level of nesting of the parser itself.
    fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        self.check_depth(self.depth)
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Refuses trees deeper than [`DEPTH_MAX`].
    fn check_depth(&self, depth: usize) -> Result<(), ParseError> {
        if depth <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("expression is nested more than {DEPTH_MAX} deep; split it");
        Err(self.error(self.token.pos, message))
    }
}

#[cfg(test)]
mod tests;
