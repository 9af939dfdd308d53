//! Text to tokens. What a character means depends on the braces and brackets around it, which the lexer
//! tracks by itself; the first text that is no token ends the stream with an error.

use super::ast::{BinaryOp, Pos};
use super::token::{Context, Keyword, Token, TokenKind, quote, quote_char};

/// Reads tokens from a query.
pub(crate) struct Lexer<'a> {
    input: &'a str,
    /// Where the next token is looked for.
    pos: usize,
    /// Open parentheses.
    paren_depth: usize,
    /// Inside `{…}`: words are label names.
    in_braces: bool,
    /// Inside `[…]`: words are those of duration arithmetic.
    in_brackets: bool,
    /// A number was seen since `[`.
    bracket_number: bool,
    /// A colon was seen since `[`.
    bracket_colon: bool,
    /// Place and text of the error that ended the stream.
    error: Option<(Pos, String)>,
}

/// What scanning one token gives: its kind, or what is wrong.
type Scanned = Result<TokenKind, String>;

impl<'a> Lexer<'a> {
    /// A lexer at the start of a query.
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            pos: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            bracket_number: false,
            bracket_colon: false,
            error: None,
        }
    }

    /// The error behind a [`TokenKind::Error`].
    pub(crate) fn error(&self) -> Option<&(Pos, String)> {
        self.error.as_ref()
    }

    /// The next token; comments and spaces are skipped. The end repeats for ever.
    pub(crate) fn next_token(&mut self) -> Token {
        self.skip_blanks();
        let start = self.pos;
        let scanned = if self.error.is_some() {
            Ok(TokenKind::Error)
        } else if self.in_braces {
            self.scan_in_braces()
        } else if self.in_brackets {
            self.scan_in_brackets()
        } else {
            self.scan_statement()
        };
        let at = |start: usize, end: usize| Pos { start: start as u32, end: end as u32 };
        match scanned {
            Ok(kind) => Token { kind, pos: at(start, self.pos) },
            Err(message) => {
                // A closing parenthesis without its opening one is blamed on what comes after it.
                let start =
                    if message.starts_with("unexpected right parenthesis") { self.pos } else { start };
                let pos = at(start, self.input.len());
                self.error = Some((pos, message));
                Token { kind: TokenKind::Error, pos }
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            if self.peek() != Some('#') {
                return;
            }
            self.take_while(|c| !matches!(c, '\n' | '\r'));
        }
    }

    fn scan_statement(&mut self) -> Scanned {
        let Some(c) = self.bump() else {
            return if self.paren_depth > 0 {
                Err("unclosed left parenthesis".into())
            } else {
                Ok(TokenKind::Eof)
            };
        };
        match c {
            '=' => match self.peek() {
                Some('=') => Ok(self.two(TokenKind::Op(BinaryOp::Eql))),
                Some('~') => Err("unexpected character after '=': '~'".into()),
                _ => Ok(TokenKind::Assign),
            },
            '!' => match self.peek() {
                Some('=') => Ok(self.two(TokenKind::Op(BinaryOp::Neq))),
                other => Err(format!("unexpected character after '!': {}", quote_next(other))),
            },
            '<' => Ok(match self.peek() {
                Some('=') => self.two(TokenKind::Op(BinaryOp::Lte)),
                Some('/') => self.two(TokenKind::Op(BinaryOp::TrimUpper)),
                _ => TokenKind::Op(BinaryOp::Lss),
            }),
            '>' => Ok(match self.peek() {
                Some('=') => self.two(TokenKind::Op(BinaryOp::Gte)),
                Some('/') => self.two(TokenKind::Op(BinaryOp::TrimLower)),
                _ => TokenKind::Op(BinaryOp::Gtr),
            }),
            '{' => {
                self.in_braces = true;
                Ok(TokenKind::LeftBrace)
            }
            '[' => {
                (self.in_brackets, self.bracket_number, self.bracket_colon) = (true, false, false);
                Ok(TokenKind::LeftBracket)
            }
            ']' => Err("unexpected right bracket ']'".into()),
            '@' => Ok(TokenKind::At),
            '"' | '\'' | '`' => self.scan_string(c),
            c if is_alpha(c) || c == ':' => Ok(self.scan_word()),
            c => match self.scan_arithmetic(c) {
                Some(scanned) => scanned,
                None => Err(format!("unexpected character: {}", quote_char(c))),
            },
        }
    }

    /// What brackets share with the rest: signs, parentheses, commas, numbers.
    fn scan_arithmetic(&mut self, c: char) -> Option<Scanned> {
        Some(Ok(match c {
            ',' => TokenKind::Comma,
            '+' => TokenKind::Op(BinaryOp::Add),
            '-' => TokenKind::Op(BinaryOp::Sub),
            '*' => TokenKind::Op(BinaryOp::Mul),
            '/' => TokenKind::Op(BinaryOp::Div),
            '%' => TokenKind::Op(BinaryOp::Mod),
            '^' => TokenKind::Op(BinaryOp::Pow),
            '(' => {
                self.paren_depth += 1;
                TokenKind::LeftParen
            }
            ')' => match self.paren_depth.checked_sub(1) {
                Some(depth) => {
                    self.paren_depth = depth;
                    TokenKind::RightParen
                }
                None => return Some(Err("unexpected right parenthesis ')'".into())),
            },
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit())) => {
                self.pos -= 1;
                return Some(self.scan_number_or_duration());
            }
            _ => return None,
        }))
    }

    fn scan_in_braces(&mut self) -> Scanned {
        let Some(c) = self.bump() else { return Err("unexpected end of input inside braces".into()) };
        match c {
            ',' => Ok(TokenKind::Comma),
            '"' | '\'' | '`' => self.scan_string(c),
            '=' if self.peek() == Some('~') => Ok(self.two(TokenKind::EqlRegex)),
            '=' => Ok(TokenKind::Assign),
            '!' => match self.peek() {
                Some('~') => Ok(self.two(TokenKind::NeqRegex)),
                Some('=') => Ok(self.two(TokenKind::Op(BinaryOp::Neq))),
                other => Err(format!("unexpected character after '!' inside braces: {}", quote_next(other))),
            },
            '{' => Err("unexpected left brace '{'".into()),
            '}' => {
                self.in_braces = false;
                Ok(TokenKind::RightBrace)
            }
            c if is_alpha(c) => {
                self.take_while(is_alphanumeric);
                Ok(TokenKind::Identifier)
            }
            c => Err(format!("unexpected character inside braces: {}", quote_char(c))),
        }
    }

    fn scan_in_brackets(&mut self) -> Scanned {
        let Some(c) = self.bump() else {
            return Err(match (self.bracket_number, self.paren_depth) {
                (false, _) => "unexpected end of input in duration expression",
                (true, 0) => "unclosed left bracket",
                (true, _) => "unclosed left parenthesis",
            }
            .into());
        };
        match c {
            ']' => {
                self.in_brackets = false;
                Ok(TokenKind::RightBracket)
            }
            '[' => Err("unexpected left bracket '['".into()),
            ':' if self.bracket_colon => Err("unexpected colon ':'".into()),
            ':' => {
                self.bracket_colon = true;
                Ok(TokenKind::Colon)
            }
            c if is_alpha(c) => {
                let start = self.pos - 1;
                self.take_while(is_alphanumeric);
                match TokenKind::of_word(&self.input[start..self.pos]) {
                    Some(
                        kind @ TokenKind::Context(
                            Context::Step | Context::Range | Context::MinOf | Context::MaxOf,
                        ),
                    ) => {
                        self.bracket_number = true;
                        Ok(kind)
                    }
                    _ if self.bracket_number => {
                        Err(format!("unexpected character: {}, expected ':'", quote_char(c)))
                    }
                    _ => Err(format!("unexpected character in duration expression: {}", quote_char(c))),
                }
            }
            c => {
                self.bracket_number |= c.is_ascii_digit() || c == '.';
                match self.scan_arithmetic(c) {
                    Some(scanned) => scanned,
                    None => Err(format!("unexpected character in duration expression: {}", quote_char(c))),
                }
            }
        }
    }

    /// A name or a reserved word, whose first character was taken.
    fn scan_word(&mut self) -> TokenKind {
        let start = self.pos - 1;
        self.take_while(|c| is_alphanumeric(c) || c == ':');
        let word = &self.input[start..self.pos];
        match TokenKind::of_word(word) {
            // Metrics may be called so; a clause always has its value in parentheses.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.parenthesis_follows() =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }
    }

    fn parenthesis_follows(&self) -> bool {
        self.input[self.pos..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(')
    }

    fn scan_number_or_duration(&mut self) -> Scanned {
        let start = self.pos;
        if self.scan_number() {
            return Ok(TokenKind::Number);
        }
        if self.scan_duration_rest() {
            return Ok(TokenKind::Duration);
        }
        // The message shows the character that spoilt it too.
        self.bump();
        Err(format!("bad number or duration syntax: {}", quote(&self.input[start..self.pos])))
    }

    /// Takes as much as can be a number; false when it cannot end here. Whether the digits make a number
    /// is for the parser to say.
    fn scan_number(&mut self) -> bool {
        let hex = self.rest().starts_with("0x") || self.rest().starts_with("0X");
        if hex {
            self.pos += 2;
            self.accept(|c| c == '_');
        }
        let digit = |c: char| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek() {
            if digit(c) {
                self.take_while(digit);
            } else if c == '.' {
                self.bump();
                if dot || hex || self.peek().is_some_and(|c| matches!(c, '_' | '.')) {
                    return false;
                }
                dot = true;
            } else if matches!(c, 'e' | 'E') {
                self.bump();
                if exponent {
                    return false;
                }
                exponent = true;
                self.accept(|c| matches!(c, '+' | '-'));
                if self.peek().is_none_or(|c| matches!(c, '.' | '_' | 'e' | 'E')) {
                    return false;
                }
            } else if c == '_' {
                self.bump();
                if self.peek().is_none_or(|c| matches!(c, '.' | '_' | 'e' | 'E')) {
                    return false;
                }
            } else {
                break;
            }
        }
        !self.peek().is_some_and(is_alphanumeric)
    }

    /// Units, and further numbers with units, after the digits of a duration.
    fn scan_duration_rest(&mut self) -> bool {
        if !self.accept(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            self.take_while(|c| c.is_ascii_digit());
            if !self.accept(|c| "smhdw".contains(c)) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        !self.peek().is_some_and(is_alphanumeric)
    }

    /// A text up to its closing quote; the opening one was taken.
    fn scan_string(&mut self, quote: char) -> Scanned {
        let raw = quote == '`';
        loop {
            match self.bump() {
                None if raw => return Err("unterminated raw string".into()),
                None => return Err("unterminated quoted string".into()),
                Some('\n') if !raw => return Err("unterminated quoted string".into()),
                Some('\\') if !raw => self.scan_escape(quote)?,
                Some(c) if c == quote => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    fn scan_escape(&mut self, quote: char) -> Result<(), String> {
        let unterminated = || String::from("escape sequence not terminated");
        let c = self.bump().ok_or_else(unterminated)?;
        let (digits, base, max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => {
                self.pos -= 1;
                (3, 8, 255)
            }
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x0010_ffff),
            'U' => (8, 16, 0x0010_ffff),
            c => return Err(format!("unknown escape sequence {}", unicode(c))),
        };
        let mut value = 0u64;
        for _ in 0..digits {
            let c = self.bump().ok_or_else(unterminated)?;
            let digit = c
                .to_digit(base)
                .ok_or_else(|| format!("illegal character {} in escape sequence", unicode(c)))?;
            value = value * u64::from(base) + u64::from(digit);
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".into());
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Takes the second character of a token of two.
    fn two(&mut self, kind: TokenKind) -> TokenKind {
        self.pos += 1;
        kind
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.pos += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }
}

/// The value of a text that is one quoted text and nothing else.
pub(crate) fn unquote_checked(quoted: &str) -> Option<String> {
    let mut lexer = Lexer::new(quoted);
    let token = lexer.next_token();
    let whole = token.kind == TokenKind::String && lexer.next_token().kind == TokenKind::Eof;
    whole.then(|| super::literal::unquote(quoted.trim()))
}

/// How the character after a wrong one is shown; -1 stands for the end, as upstream prints it.
fn quote_next(next: Option<char>) -> String {
    next.map_or_else(|| "'\u{fffd}'".into(), quote_char)
}

/// A character with its code point: `U+0041 'A'`.
fn unicode(c: char) -> String {
    format!("U+{:04X} '{c}'", c as u32)
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}
