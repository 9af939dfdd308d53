//! What the block filters are asked for a predicate.
//!
//! A probe never rules out a block with a row that the predicate accepts. Only texts and identifiers are in the
//! filters, so a probe of a key counts only where all its values are texts or lie in the overflow, whose values
//! are in the filters by the text that shows them.

use std::sync::Arc;

use model::record::{check, columns, event, log, span};
use model::{FixedKind, Order, Scalar, Signal, TextMatch};
use regex_syntax::hir::{Hir, HirKind};

use super::filter::{Node, Target};
use super::test::{OneOf, Tester, TextTester};
use super::tokens::{KeyTokens, lower, word_token, words_of_lower};
use super::value::unhex;

/// Tokens of one phrase that are looked up; the longest words are the rarest.
const WORDS_MAX: usize = 6;
/// Alternatives that are looked up one by one; with more, hardly a block would be ruled out.
const ALTERNATIVES_MAX: usize = 64;

/// A condition that a block must meet to have a row that passes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Probe {
    /// Filters cannot tell.
    Maybe,
    /// All must hold.
    All(Vec<Probe>),
    /// One must hold.
    Any(Vec<Probe>),
    /// The block has this token.
    Token(u64),
    /// The block has the attribute; the condition counts if the filters have all its values.
    Attr { key: Arc<str>, record: bool, resource: bool, inner: Box<Probe> },
}

/// Which tokens of a fixed column are in the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FixedTokens {
    /// None.
    None,
    /// Its words, without salt: the column that free text searches look at.
    Words,
    /// Whole values and words, like an attribute's.
    Attr(KeyTokens),
    /// Identifiers.
    Id(KeyTokens),
}

/// Which tokens of a fixed column are in the filters.
pub(crate) fn fixed_tokens(signal: Signal, index: usize) -> FixedTokens {
    let Some(column) = columns(signal).get(index) else { return FixedTokens::None };
    match (signal, index, column.kind) {
        (Signal::Logs, log::BODY, _)
        | (Signal::Traces, span::NAME, _)
        | (Signal::Events, event::NAME, _)
        | (Signal::Checks, check::MESSAGE, _) => FixedTokens::Words,
        (Signal::Traces, span::PARENT_SPAN_ID, _) => FixedTokens::None,
        (_, _, FixedKind::Text) => FixedTokens::Attr(KeyTokens::new(column.name)),
        (_, _, FixedKind::TraceId | FixedKind::SpanId) => FixedTokens::Id(KeyTokens::new(column.name)),
        _ => FixedTokens::None,
    }
}

/// The probe of a compiled predicate.
pub(crate) fn of_node(signal: Signal, node: &Node) -> Probe {
    match node {
        Node::All(parts) => all(parts.iter().map(|part| of_node(signal, part)).collect()),
        Node::Any(parts) => any(parts.iter().map(|part| of_node(signal, part)).collect()),
        Node::Not(_) => Probe::Maybe,
        Node::Test(Target::Fixed(index), tester) => of_test(fixed_tokens(signal, *index), tester),
        Node::Test(Target::Attr { key, record, resource }, tester) => Probe::Attr {
            key: key.clone(),
            record: *record,
            resource: *resource,
            inner: Box::new(of_test(FixedTokens::Attr(KeyTokens::new(key)), tester)),
        },
    }
}

fn all(mut parts: Vec<Probe>) -> Probe {
    parts.retain(|part| *part != Probe::Maybe);
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Probe::All(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    match flat.len() {
        0 => Probe::Maybe,
        1 => flat.remove(0),
        _ => Probe::All(flat),
    }
}

fn any(mut parts: Vec<Probe>) -> Probe {
    if parts.contains(&Probe::Maybe) || parts.len() > ALTERNATIVES_MAX {
        return Probe::Maybe;
    }
    if parts.len() == 1 { parts.remove(0) } else { Probe::Any(parts) }
}

fn of_test(tokens: FixedTokens, tester: &Tester) -> Probe {
    match tester {
        Tester::Exists => Probe::Maybe,
        Tester::Compare(Order::Equal, wanted) => of_value(tokens, wanted),
        Tester::Compare(..) => Probe::Maybe,
        Tester::OneOf(one_of) => of_one(tokens, one_of),
        Tester::Text(text) => of_text(tokens, text),
    }
}

fn of_one(tokens: FixedTokens, one_of: &OneOf) -> Probe {
    let count = one_of.texts.len() + one_of.ids.len();
    if !one_of.others.is_empty() || count > ALTERNATIVES_MAX {
        return Probe::Maybe;
    }
    let texts = one_of.texts.iter().map(|text| of_value(tokens, &Scalar::Text(text.clone())));
    let ids = one_of.ids.iter().map(|id| of_value(tokens, &Scalar::Bytes(id.clone())));
    any(texts.chain(ids).collect())
}

fn of_value(tokens: FixedTokens, wanted: &Scalar) -> Probe {
    match (tokens, wanted) {
        (FixedTokens::Id(key), Scalar::Bytes(id)) => Probe::Token(key.value(id)),
        // A text that shows no identifier equals none.
        (FixedTokens::Id(key), Scalar::Text(text)) => {
            unhex(text).map_or(Probe::Any(Vec::new()), |id| Probe::Token(key.value(&id)))
        }
        (FixedTokens::Attr(key), Scalar::Text(text)) => Probe::Token(key.value(text.as_bytes())),
        (FixedTokens::Words, Scalar::Text(text)) => of_words(tokens, &lower(text), (true, true)),
        _ => Probe::Maybe,
    }
}

fn of_text(tokens: FixedTokens, text: &TextTester) -> Probe {
    match text.how {
        TextMatch::Equals if !text.ignore_case => of_value(tokens, &Scalar::Text(text.needle.clone())),
        TextMatch::Equals | TextMatch::Phrase => of_words(tokens, &lower(&text.needle), (true, true)),
        TextMatch::Contains => of_words(tokens, &lower(&text.needle), (false, false)),
        TextMatch::PhrasePrefix | TextMatch::StartsWith => {
            of_words(tokens, &lower(&text.needle), (true, false))
        }
        TextMatch::Regex => {
            let required = required_literals(&text.needle, text.ignore_case);
            all(required.iter().map(|literal| of_words(tokens, &lower(literal), (false, false))).collect())
        }
    }
}

/// The words of a text that must be inside. `is_whole` says whether a word at its beginning and one at its end
/// are whole words of what is searched.
fn of_words(tokens: FixedTokens, lowered: &str, is_whole: (bool, bool)) -> Probe {
    let token = |word: &str| match tokens {
        FixedTokens::Words => Some(Probe::Token(word_token(word))),
        FixedTokens::Attr(key) => Some(Probe::Token(key.word(word))),
        FixedTokens::Id(_) | FixedTokens::None => None,
    };
    let mut words = Vec::new();
    let base = lowered.as_ptr() as usize;
    words_of_lower(lowered, |word| {
        let start = word.as_ptr() as usize - base;
        let at_edge = (start == 0 && !is_whole.0) || (start + word.len() == lowered.len() && !is_whole.1);
        if !at_edge {
            words.push(word);
        }
    });
    words.sort_unstable_by_key(|word| (std::cmp::Reverse(word.len()), *word));
    words.dedup();
    all(words.into_iter().take(WORDS_MAX).filter_map(token).collect())
}

/// Texts that every match of an expression has inside: what stands in it outside of alternatives, classes and
/// whatever may be missing. None where the expression cannot be read.
fn required_literals(expression: &str, ignore_case: bool) -> Vec<String> {
    let mut parser = regex_syntax::ParserBuilder::new().case_insensitive(ignore_case).build();
    let mut literals = Literals::default();
    if let Ok(hir) = parser.parse(expression) {
        literals.add(&hir);
    }
    literals.end();
    literals.found
}

/// Runs of characters that a match must have.
#[derive(Default)]
struct Literals {
    found: Vec<String>,
    run: String,
}

impl Literals {
    fn add(&mut self, part: &Hir) {
        match part.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.run.push_str(text),
                Err(_) => self.end(),
            },
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.add(part)),
            HirKind::Repetition(repeated) => {
                self.end();
                if repeated.min > 0 {
                    self.add(&repeated.sub);
                    self.end();
                }
            }
            HirKind::Class(_) | HirKind::Look(_) | HirKind::Alternation(_) => self.end(),
        }
    }

    fn end(&mut self) {
        if !self.run.is_empty() {
            self.found.push(std::mem::take(&mut self.run));
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Field, Predicate, Test};
    use proptest::prelude::*;

    use super::super::filter::Filter;
    use super::*;

    fn probe(how: TextMatch, text: &str, ignore_case: bool) -> Probe {
        let test = Test::Text { how, text: text.into(), ignore_case };
        let predicate = Predicate::Test(Field::Fixed(log::BODY as u8), test);
        Filter::new(Signal::Logs, &predicate, 0, i64::MAX).expect("valid").probe
    }

    #[track_caller]
    fn check(how: TextMatch, text: &str, words: &[&str]) {
        let found = match probe(how, text, false) {
            Probe::Maybe => vec![],
            Probe::All(parts) => parts,
            one => vec![one],
        };
        let want: Vec<Probe> = words.iter().map(|word| Probe::Token(word_token(word))).collect();
        assert_eq!(found, want, "{how:?} {text:?}");
    }

    #[test]
    fn only_whole_words_are_looked_up() {
        check(TextMatch::Phrase, "Timed out", &["timed", "out"]);
        check(TextMatch::PhrasePrefix, "Timed ou", &["timed"]);
        check(TextMatch::Contains, "med out of", &["out"]);
        check(TextMatch::Contains, " out ", &["out"]);
        check(TextMatch::Contains, "out", &[]);
        check(TextMatch::StartsWith, "GET /api/", &["api", "get"]);
        check(TextMatch::Equals, "GET /api", &["api", "get"]);
    }

    #[test]
    fn literals_that_an_expression_requires_are_looked_up() {
        check(TextMatch::Regex, r"took \d+ ms at (node 7 )+", &["at", "ms", "7"]);
        check(TextMatch::Regex, r" pool .* exhausted ", &["pool", "exhausted"]);
        check(TextMatch::Regex, r" a\.b x? c{0,3} d[ef ]", &["a", "b"]);
        check(TextMatch::Regex, "a|b", &[]);
        check(TextMatch::Regex, r"( x )?", &[]);
        check(TextMatch::Regex, r"(?i) x ", &[]);
        check(TextMatch::Regex, r" x [^]]* y ", &["x", "y"]);
        check(TextMatch::Regex, r" \x41 ", &["a"]);
        check(TextMatch::Regex, r" x+* y ", &["y"]);
        check(TextMatch::Regex, r" x(?: y )+* z ", &["z"]);
        check(TextMatch::Regex, r"\<x y z\>", &["y"]);
    }

    proptest! {
        #[test]
        fn what_an_expression_requires_is_in_every_match(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b", " ", " a ", "s", "_", "É", "K", r"\.", ".", "*", "+", "?", "{0,2}", "{2}", "(", ")",
                    "(?:", "(?i)", "|", "[ab ]", "[^a]", r"\<", r"\>", r"\b", r"\B", "^", "$", r"\w", r"\s",
                ]),
                1..9,
            ),
            ignore_case: bool,
            texts in prop::collection::vec("[abs_ .ÉékKKſ\n]{0,12}", 40),
        ) {
            let expression = parts.concat();
            let Ok(regex) = regex::RegexBuilder::new(&expression).case_insensitive(ignore_case).build() else {
                return Ok(());
            };
            let required = required_literals(&expression, ignore_case);
            for text in texts.iter().filter(|text| regex.is_match(text)) {
                let text = lower(text);
                let mut words = Vec::new();
                words_of_lower(&text, |word| words.push(word_token(word)));
                for literal in &required {
                    let probe = of_words(FixedTokens::Words, &lower(literal), (false, false));
                    let wanted = match probe {
                        Probe::All(parts) => parts,
                        one => vec![one],
                    };
                    for want in wanted {
                        let is_there = match want {
                            Probe::Token(token) => words.contains(&token),
                            other => other == Probe::Maybe,
                        };
                        prop_assert!(is_there, "{expression:?} finds {text:?} without {literal:?}");
                    }
                }
            }
        }
    }
}
