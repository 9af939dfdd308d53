//! Template text to tokens: what stands between `{{` and `}}`, and the text around it with the trim markers applied.
//!
//! Follows the lexical rules of Go's text/template: `{{- ` and ` -}}` eat the white space beside them, a comment fills
//! its action alone, names end at a space or a punctuation mark.

use super::error::{Fault, Position};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
/// A minus and its space, in an action's first or last two characters.
const MARKER: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Comma,
    Dot,
    Field,
    Variable,
    Identifier,
    Keyword,
    Bool,
    Nil,
    Number,
    Char,
    Str,
    RawStr,
    /// A punctuation mark that no rule knows.
    Other,
    End,
}

/// A token with its text as written; a field keeps its dot, a variable its dollar, a string its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: Position,
}

pub(super) type LexError = (Position, Fault);

/// All tokens of a text, ended by one `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, LexError> {
    let mut lexer =
        Lexer { text, offset: 0, at: Position { line: 1, column: 1 }, parens: 0, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    at: Position,
    parens: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, bytes: usize) {
        for c in self.text[self.offset..self.offset + bytes].chars() {
            if c == '\n' {
                self.at = Position { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += c.len_utf8() as u32;
            }
        }
        self.offset += bytes;
    }

    fn emit(&mut self, kind: Kind, bytes: usize) {
        let text = &self.rest()[..bytes];
        self.tokens.push(Token { kind, text, at: self.at });
        self.skip(bytes);
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, LexError> {
        Err((self.at, Fault::Syntax(message.into())))
    }

    fn run(&mut self) -> Result<(), LexError> {
        loop {
            let Some(found) = self.rest().find(LEFT) else {
                if !self.rest().is_empty() {
                    self.emit(Kind::Text, self.rest().len());
                }
                self.tokens.push(Token { kind: Kind::End, text: "", at: self.at });
                return Ok(());
            };
            let after = &self.rest()[found + LEFT.len()..];
            let trimmed = left_marker(after);
            let text = &self.rest()[..found];
            let kept = if trimmed { text.trim_end_matches(is_space).len() } else { found };
            if kept > 0 {
                self.emit(Kind::Text, kept);
            }
            self.skip(found - kept);
            let marker = if trimmed { MARKER } else { 0 };
            if after[marker..].starts_with("/*") {
                self.comment(marker)?;
            } else {
                self.emit(Kind::LeftDelimiter, LEFT.len());
                self.skip(marker);
                self.action()?;
            }
        }
    }

    fn comment(&mut self, marker: usize) -> Result<(), LexError> {
        let opening = LEFT.len() + marker;
        let Some(end) = self.rest()[opening..].find("*/") else {
            return self.error("unclosed comment");
        };
        let end = opening + end + "*/".len();
        let rest = &self.rest()[end..];
        if rest.starts_with(RIGHT) {
            self.skip(end + RIGHT.len());
        } else if right_marker(rest) {
            self.skip(end + MARKER + RIGHT.len());
            self.skip_space();
        } else {
            return self.error("comment ends before closing delimiter");
        }
        Ok(())
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start_matches(is_space).len());
    }

    /// From behind the left delimiter to behind the right one.
    fn action(&mut self) -> Result<(), LexError> {
        self.parens = 0;
        loop {
            let rest = self.rest();
            let marked = right_marker(rest);
            if marked || rest.starts_with(RIGHT) {
                if self.parens > 0 {
                    return self.error("unclosed left paren");
                }
                self.skip(if marked { MARKER } else { 0 });
                self.emit(Kind::RightDelimiter, RIGHT.len());
                if marked {
                    self.skip_space();
                }
                return Ok(());
            }
            let Some(c) = self.peek() else {
                return self.error("unclosed action");
            };
            match c {
                c if is_space(c) => self.space(),
                '=' => self.emit(Kind::Assign, 1),
                ':' if rest.starts_with(":=") => self.emit(Kind::Declare, 2),
                ':' => return self.error("expected :="),
                '|' => self.emit(Kind::Pipe, 1),
                ',' => self.emit(Kind::Comma, 1),
                '(' => {
                    self.parens += 1;
                    self.emit(Kind::LeftParen, 1);
                }
                ')' => {
                    if self.parens == 0 {
                        return self.error("unexpected right paren");
                    }
                    self.parens -= 1;
                    self.emit(Kind::RightParen, 1);
                }
                '"' => self.quoted('"', Kind::Str, "unterminated quoted string")?,
                '\'' => self.quoted('\'', Kind::Char, "unterminated character constant")?,
                '`' => match rest[1..].find('`') {
                    Some(end) => self.emit(Kind::RawStr, end + 2),
                    None => return self.error("unterminated raw quoted string"),
                },
                '$' => self.name(1, Kind::Variable)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    let kind = if terminates(&rest[1..]) { Kind::Dot } else { Kind::Field };
                    self.name(1, kind)?;
                }
                '+' | '-' | '.' | '0'..='9' => self.number()?,
                c if is_alphanumeric(c) => self.word()?,
                c if c.is_ascii_graphic() => self.emit(Kind::Other, 1),
                c => return self.error(format!("unrecognized character in action: U+{:04X}", c as u32)),
            }
        }
    }

    /// One token for a run of white space, without the space that belongs to a trim marker.
    fn space(&mut self) {
        let rest = self.rest();
        let mut bytes = rest.len() - rest.trim_start_matches(is_space).len();
        if right_marker(&rest[bytes - 1..]) {
            bytes -= 1;
        }
        self.emit(Kind::Space, bytes);
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Result<(), LexError> {
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.emit(kind, offset + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.error(unterminated)
    }

    /// A name behind `prefix` bytes of punctuation.
    fn name(&mut self, prefix: usize, kind: Kind) -> Result<(), LexError> {
        let rest = self.rest();
        let name = &rest[prefix..];
        let bytes = prefix + name.len() - name.trim_start_matches(is_alphanumeric).len();
        if !terminates(&rest[bytes..]) {
            let bad = rest[bytes..].chars().next().unwrap_or_default();
            return self.error(format!("bad character U+{:04X} {bad:?}", bad as u32));
        }
        self.emit(kind, bytes);
        Ok(())
    }

    fn word(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let word = &rest[..rest.len() - rest.trim_start_matches(is_alphanumeric).len()];
        let kind = match word {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            "break" | "continue" | "else" | "end" | "if" | "range" | "template" | "with" | "block"
            | "define" => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.name(0, kind)
    }

    /// Accepts what looks like a number; `literal` decides whether it is one.
    fn number(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let bytes = number_length(rest);
        if let Some(c) = rest[bytes..].chars().next().filter(|c| is_alphanumeric(*c)) {
            return self.error(format!("bad number syntax: {:?}", &rest[..bytes + c.len_utf8()]));
        }
        self.emit(Kind::Number, bytes);
        Ok(())
    }
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut i = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut digits: &[u8] = b"0123456789_";
    let mut exponent: &[u8] = b"eE";
    if bytes.get(i) == Some(&b'0') {
        i += 1;
        match bytes.get(i) {
            Some(b'x' | b'X') => {
                i += 1;
                digits = b"0123456789abcdefABCDEF_";
                exponent = b"pP";
            }
            Some(b'o' | b'O') => {
                i += 1;
                digits = b"01234567_";
            }
            Some(b'b' | b'B') => {
                i += 1;
                digits = b"01_";
            }
            _ => {}
        }
    }
    let run = |mut i: usize, set: &[u8]| {
        while bytes.get(i).is_some_and(|b| set.contains(b)) {
            i += 1;
        }
        i
    };
    i = run(i, digits);
    if bytes.get(i) == Some(&b'.') {
        i = run(i + 1, digits);
    }
    if bytes.get(i).is_some_and(|b| exponent.contains(b)) {
        i += 1;
        if matches!(bytes.get(i), Some(b'+' | b'-')) {
            i += 1;
        }
        i = run(i, b"0123456789_");
    }
    i
}

fn left_marker(after: &str) -> bool {
    after.starts_with('-') && after[1..].starts_with(is_space)
}

fn right_marker(rest: &str) -> bool {
    rest.starts_with(is_space) && rest[1..].starts_with("-}}")
}

/// Whether a name may end before `rest`.
fn terminates(rest: &str) -> bool {
    match rest.chars().next() {
        None => true,
        Some(c) => is_space(c) || ".,|:()".contains(c) || rest.starts_with(RIGHT),
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}
