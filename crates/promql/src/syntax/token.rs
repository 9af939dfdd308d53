//! Tokens and how messages describe them.

use super::ast::{AggregateOp, BinaryOp, Pos};
use super::literal::raw_byte;

/// A token's kind; its text is the piece of the query at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `{`
    LeftBrace,
    /// `}`
    RightBrace,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// `=`
    Assign,
    /// `=~`
    EqlRegex,
    /// `!~`
    NeqRegex,
    /// `@`
    At,
    /// A binary operator.
    Op(BinaryOp),
    /// An aggregation's name.
    Aggregate(AggregateOp),
    /// A reserved word.
    Keyword(Keyword),
    /// A word that means something only before `(`.
    Context(Context),
    /// A name without colons.
    Identifier,
    /// A name with colons.
    MetricIdentifier,
    /// A number.
    Number,
    /// A duration.
    Duration,
    /// A quoted text, quotes included.
    String,
    /// The end of the query.
    Eof,
    /// What no token begins with; the lexer holds the message.
    Error,
}

/// Reserved words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
}

/// Words that are calls of the query's context, or of duration arithmetic, when a parenthesis follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    Start,
    End,
    Step,
    Range,
    MinOf,
    MaxOf,
}

/// A token and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Where it stands.
    pub(crate) pos: Pos,
}

impl TokenKind {
    /// The kind of a reserved word, in any case.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        use AggregateOp as A;
        use Keyword as K;
        /// The longest reserved word; longer ones need no copy in lower case.
        const WORD_BYTES_MAX: usize = 12;
        if word.len() > WORD_BYTES_MAX {
            return None;
        }
        Some(match word.to_ascii_lowercase().as_str() {
            "and" => Self::Op(BinaryOp::And),
            "or" => Self::Op(BinaryOp::Or),
            "unless" => Self::Op(BinaryOp::Unless),
            "atan2" => Self::Op(BinaryOp::Atan2),
            "sum" => Self::Aggregate(A::Sum),
            "avg" => Self::Aggregate(A::Avg),
            "count" => Self::Aggregate(A::Count),
            "min" => Self::Aggregate(A::Min),
            "max" => Self::Aggregate(A::Max),
            "group" => Self::Aggregate(A::Group),
            "stddev" => Self::Aggregate(A::Stddev),
            "stdvar" => Self::Aggregate(A::Stdvar),
            "topk" => Self::Aggregate(A::Topk),
            "bottomk" => Self::Aggregate(A::Bottomk),
            "count_values" => Self::Aggregate(A::CountValues),
            "quantile" => Self::Aggregate(A::Quantile),
            "limitk" => Self::Aggregate(A::Limitk),
            "limit_ratio" => Self::Aggregate(A::LimitRatio),
            "offset" => Self::Keyword(K::Offset),
            "smoothed" => Self::Keyword(K::Smoothed),
            "anchored" => Self::Keyword(K::Anchored),
            "by" => Self::Keyword(K::By),
            "without" => Self::Keyword(K::Without),
            "on" => Self::Keyword(K::On),
            "ignoring" => Self::Keyword(K::Ignoring),
            "group_left" => Self::Keyword(K::GroupLeft),
            "group_right" => Self::Keyword(K::GroupRight),
            "fill" => Self::Keyword(K::Fill),
            "fill_left" => Self::Keyword(K::FillLeft),
            "fill_right" => Self::Keyword(K::FillRight),
            "bool" => Self::Keyword(K::Bool),
            "start" => Self::Context(Context::Start),
            "end" => Self::Context(Context::End),
            "step" => Self::Context(Context::Step),
            "range" => Self::Context(Context::Range),
            "min_of" => Self::Context(Context::MinOf),
            "max_of" => Self::Context(Context::MaxOf),
            "inf" | "nan" => Self::Number,
            _ => return None,
        })
    }

    /// True for the words that may name a metric where an expression is expected.
    pub(crate) fn names_metric(self) -> bool {
        use Keyword as K;
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) | Self::Context(_) => true,
            Self::Op(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless),
            Self::Keyword(word) => {
                !matches!(word, K::On | K::Ignoring | K::GroupLeft | K::GroupRight | K::Bool)
            }
            _ => false,
        }
    }

    /// True for the words that may name a label in `by (…)` and its like.
    pub(crate) fn names_label(self) -> bool {
        match self {
            Self::Keyword(_) | Self::Op(BinaryOp::Atan2) => true,
            _ => self.names_metric(),
        }
    }
}

/// What messages call a token, as upstream does.
pub(crate) fn describe(kind: TokenKind, text: &str) -> String {
    match kind {
        TokenKind::Eof => "end of input".into(),
        TokenKind::Error => "error".into(),
        TokenKind::Keyword(_) => format!("<{text}>"),
        TokenKind::Op(_) | TokenKind::EqlRegex | TokenKind::NeqRegex | TokenKind::At => {
            format!("<op:{text}>")
        }
        TokenKind::Aggregate(_) => format!("<aggr:{text}>"),
        TokenKind::Identifier => format!("identifier {}", quote(text)),
        TokenKind::MetricIdentifier => format!("metric identifier {}", quote(text)),
        TokenKind::Number => format!("number {}", quote_short(text)),
        TokenKind::Duration => format!("duration {}", quote_short(text)),
        TokenKind::String => format!("string {}", quote_short(text)),
        _ => quote_short(text),
    }
}

fn quote_short(text: &str) -> String {
    const CHARS_MAX: usize = 10;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", quote(&text[..end])),
        None => quote(text),
    }
}

/// A text in double quotes, with the escapes that PromQL reads back.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if let Some(byte) = raw_byte(c) => out.push_str(&format!("\\x{byte:02x}")),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A character in single quotes, as messages show it.
pub(crate) fn quote_char(c: char) -> String {
    match c {
        '\'' => "'\\''".into(),
        '"' => "'\"'".into(),
        c => {
            let quoted = quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}
