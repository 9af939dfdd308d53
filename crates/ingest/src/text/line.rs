//! One sample line: `name{label="value"} value [time] [# {label="value"} value [time]]`, with the name
//! possibly quoted inside the braces.

use model::{LabelSpan, Span};

use crate::rows::Texts;

/// What a sample line says. Reused from line to line.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) name: Span,
    pub(super) labels: Vec<LabelSpan>,
    pub(super) value: f64,
    /// As written: milliseconds or seconds.
    pub(super) time: Option<Span>,
    pub(super) exemplar: Option<ExemplarLine>,
}

/// The part behind the `#`.
#[derive(Debug)]
pub(super) struct ExemplarLine {
    pub(super) labels: Vec<LabelSpan>,
    pub(super) value: f64,
    pub(super) time: Option<Span>,
}

/// A place in a line. All spans are of the body.
pub(super) struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    end: usize,
}

type Result<T> = std::result::Result<T, &'static str>;

impl<'a> Cursor<'a> {
    /// Over the bytes of one line.
    pub(super) fn new(body: &'a [u8], line: std::ops::Range<usize>) -> Self {
        Self { body, at: line.start, end: line.end }
    }

    fn peek(&self) -> Option<u8> {
        self.body[..self.end].get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn while_bytes(&mut self, accept: impl Fn(u8) -> bool) -> Span {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        Span { start: start as u32, len: (self.at - start) as u32 }
    }

    /// Everything up to a blank.
    pub(super) fn word(&mut self) -> Span {
        self.while_bytes(|b| b != b' ' && b != b'\t')
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> Span {
        self.while_bytes(|_| true)
    }

    /// A name as metrics have it; empty when there is none here.
    fn name(&mut self, colons: bool) -> Span {
        if self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Span::default();
        }
        self.while_bytes(|b| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':'))
    }

    /// A name, plain or quoted, as comment lines have it.
    pub(super) fn family(&mut self, texts: &mut Texts<'_>) -> Result<Span> {
        if self.peek() == Some(b'"') { self.quoted(texts) } else { Ok(self.name(true)) }
    }

    /// A quoted text; only `\\`, `\"` and `\n` are escapes.
    fn quoted(&mut self, texts: &mut Texts<'_>) -> Result<Span> {
        if !self.take(b'"') {
            return Err("expected a quoted text");
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek() {
                None => return Err("a quoted text does not end"),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
        let raw = &self.body[start..self.at];
        self.at += 1;
        if escaped {
            Ok(texts.push(&unescaped(raw)))
        } else {
            Ok(Span { start: start as u32, len: raw.len() as u32 })
        }
    }

    /// The set in braces, behind the opening one. A quoted text without `=` is the metric's name.
    fn labels(&mut self, texts: &mut Texts<'_>, name: &mut Span, out: &mut Vec<LabelSpan>) -> Result<()> {
        loop {
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(());
            }
            let quoted = self.peek() == Some(b'"');
            let label = if quoted { self.quoted(texts)? } else { self.name(false) };
            self.skip_blanks();
            if self.take(b'=') {
                if label.len == 0 {
                    return Err("a label has no name");
                }
                self.skip_blanks();
                let value = self.quoted(texts)?;
                out.push(LabelSpan { name: label, value });
            } else if quoted && name.len == 0 {
                *name = label;
            } else {
                return Err("expected '=' behind a label name");
            }
            self.skip_blanks();
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err("expected ',' or '}' behind a label");
            }
        }
    }

    fn number(&mut self) -> Result<f64> {
        let word = self.word();
        number(word.of(self.body))
    }

    /// A time, which is the next word unless that begins the exemplar.
    fn time(&mut self) -> Option<Span> {
        self.skip_blanks();
        if self.is_at_end() || self.peek() == Some(b'#') { None } else { Some(self.word()) }
    }
}

impl Line {
    /// Reads a line into `self`.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        texts: &mut Texts<'_>,
        open_metrics: bool,
    ) -> Result<()> {
        self.labels.clear();
        self.exemplar = None;
        self.name = cursor.name(true);
        cursor.skip_blanks();
        if cursor.take(b'{') {
            cursor.labels(texts, &mut self.name, &mut self.labels)?;
        }
        if self.name.len == 0 {
            return Err("the line does not begin with a metric name");
        }
        cursor.skip_blanks();
        self.value = cursor.number()?;
        self.time = cursor.time();
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return Ok(());
        }
        if !open_metrics || !cursor.take(b'#') {
            return Err("unexpected text behind the value and time");
        }
        cursor.skip_blanks();
        if !cursor.take(b'{') {
            return Err("an exemplar begins with '{'");
        }
        let (mut labels, mut no_name) = (Vec::new(), Span { start: 0, len: 1 });
        cursor.labels(texts, &mut no_name, &mut labels)?;
        cursor.skip_blanks();
        let value = cursor.number()?;
        let time = cursor.time();
        cursor.skip_blanks();
        if !cursor.is_at_end() {
            return Err("unexpected text behind the exemplar");
        }
        self.exemplar = Some(ExemplarLine { labels, value, time });
        Ok(())
    }
}

/// A number as exposition formats write it.
pub(super) fn number(word: &[u8]) -> Result<f64> {
    let text = std::str::from_utf8(word).map_err(|_| "a number is not UTF-8")?;
    text.parse().map_err(|_| if text.is_empty() { "the value is missing" } else { "a value is not a number" })
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let replaced = match (byte, bytes.peek()) {
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(escaped @ (b'\\' | b'"'))) => Some(*escaped),
            _ => None,
        };
        match replaced {
            Some(byte) => {
                bytes.next();
                out.push(byte);
            }
            None => out.push(byte),
        }
    }
    out
}
