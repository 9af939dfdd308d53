//! One compiled test of a field, for a value at a time.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::HashSet;
use memchr::memmem::Finder;
use model::{Order, Scalar, Test, TextMatch};
use regex::{Regex, RegexBuilder};

use super::filter::InvalidPredicate;
use super::tokens::{is_word_char, lower, lower_into};
use super::value::Val;

/// Bytes of a compiled regular expression at most, and what is tried first: most take less.
const REGEX_BYTES_MAX: usize = 1 << 20;
const REGEX_BYTES_MIN: usize = 16 << 10;

/// A compiled [`Test`].
#[derive(Debug)]
pub(crate) enum Tester {
    Exists,
    Compare(Order, Scalar),
    OneOf(OneOf),
    Text(Box<TextTester>),
}

/// Values of which one must be met.
#[derive(Debug)]
pub(crate) struct OneOf {
    /// The texts; other kinds are compared with them by the text that shows them.
    pub(crate) texts: HashSet<Arc<str>>,
    /// Identifiers.
    pub(crate) ids: HashSet<Arc<[u8]>>,
    /// Numbers and truth values.
    pub(crate) others: Vec<Scalar>,
}

/// A test of a text.
pub(crate) struct TextTester {
    pub(crate) how: TextMatch,
    /// In lower case where case does not matter.
    pub(crate) needle: Arc<str>,
    pub(crate) ignore_case: bool,
    finder: Finder<'static>,
    /// Whether the needle begins and ends with a character of a word.
    is_word_at: (bool, bool),
    regex: Option<Regex>,
}

impl std::fmt::Debug for TextTester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TextTester").field(&self.how).field(&self.needle).field(&self.ignore_case).finish()
    }
}

impl Tester {
    /// Compiles a test. `regex_bytes` is what regular expressions may still take.
    pub(crate) fn new(test: &Test, regex_bytes: &mut usize) -> Result<Self, InvalidPredicate> {
        Ok(match test {
            Test::Exists => Self::Exists,
            Test::Compare(order, wanted) => Self::Compare(*order, wanted.clone()),
            Test::OneOf(wanted) => Self::OneOf(OneOf::new(wanted)),
            Test::Text { how, text, ignore_case } => {
                Self::Text(Box::new(TextTester::new(*how, text, *ignore_case, regex_bytes)?))
            }
        })
    }

    /// What a value costs, about, in units of comparing a number.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::Exists | Self::Compare(_, Scalar::Bool(_) | Scalar::Int(_) | Scalar::Double(_)) => 1,
            Self::Compare(_, Scalar::Bytes(_)) => 1,
            Self::Compare(_, Scalar::Text(_)) => 2,
            Self::OneOf(_) => 3,
            Self::Text(text) if text.how == TextMatch::Regex => 30,
            Self::Text(text) if text.ignore_case => 12,
            Self::Text(_) => 6,
        }
    }

    /// True when the value passes.
    pub(crate) fn accepts(&self, value: &Val<'_>, scratch: &mut String) -> bool {
        match self {
            Self::Exists => true,
            Self::Compare(order, wanted) => holds(*order, value.order(wanted)),
            Self::OneOf(one_of) => one_of.accepts(value),
            Self::Text(text) => text.accepts(&value.shown(), scratch),
        }
    }
}

/// True when a comparison came out as an order asks.
pub(crate) fn holds(order: Order, found: Option<Ordering>) -> bool {
    found.is_some_and(|found| match order {
        Order::Equal => found.is_eq(),
        Order::Less => found.is_lt(),
        Order::LessOrEqual => found.is_le(),
        Order::Greater => found.is_gt(),
        Order::GreaterOrEqual => found.is_ge(),
    })
}

impl OneOf {
    fn new(wanted: &[Scalar]) -> Self {
        let mut one_of = Self { texts: HashSet::new(), ids: HashSet::new(), others: Vec::new() };
        for scalar in wanted {
            match scalar {
                Scalar::Text(text) => drop(one_of.texts.insert(text.clone())),
                Scalar::Bytes(id) => drop(one_of.ids.insert(id.clone())),
                Scalar::Bool(_) | Scalar::Int(_) | Scalar::Double(_) => one_of.others.push(scalar.clone()),
            }
        }
        one_of
    }

    /// True when nothing but an identifier can be met.
    pub(crate) fn has_ids_only(&self) -> bool {
        self.texts.is_empty() && self.others.is_empty()
    }

    pub(crate) fn accepts(&self, value: &Val<'_>) -> bool {
        let is_id = || match value {
            Val::Id(id) => self.ids.contains(*id),
            Val::Text(_) => {
                self.ids.iter().any(|id| value.order(&Scalar::Bytes(id.clone())) == Some(Ordering::Equal))
            }
            _ => false,
        };
        (!self.texts.is_empty() && self.texts.contains(&*value.shown()))
            || (!self.ids.is_empty() && is_id())
            || self.others.iter().any(|other| value.order(other) == Some(Ordering::Equal))
    }
}

impl TextTester {
    fn new(
        how: TextMatch,
        text: &str,
        ignore_case: bool,
        regex_bytes: &mut usize,
    ) -> Result<Self, InvalidPredicate> {
        let regex = match how {
            TextMatch::Regex => Some(compile(text, ignore_case, regex_bytes)?),
            _ => None,
        };
        let needle = if ignore_case && regex.is_none() { lower(text) } else { text.to_owned() };
        let first = needle.chars().next().is_some_and(is_word_char);
        let last = needle.chars().next_back().is_some_and(is_word_char);
        Ok(Self {
            how,
            ignore_case,
            finder: Finder::new(needle.as_bytes()).into_owned(),
            is_word_at: (first, last),
            needle: needle.into(),
            regex,
        })
    }

    /// True when the text is as wanted. `scratch` is for its lower case.
    pub(crate) fn accepts(&self, text: &str, scratch: &mut String) -> bool {
        if let Some(regex) = &self.regex {
            return regex.is_match(text);
        }
        let text = if self.ignore_case {
            lower_into(text, scratch);
            scratch.as_str()
        } else {
            text
        };
        match self.how {
            TextMatch::Equals => *text == *self.needle,
            TextMatch::StartsWith => text.starts_with(&*self.needle),
            TextMatch::Contains | TextMatch::Regex => self.finder.find(text.as_bytes()).is_some(),
            TextMatch::Phrase => self.has_phrase(text, self.is_word_at.1),
            TextMatch::PhrasePrefix => self.has_phrase(text, false),
        }
    }

    fn has_phrase(&self, text: &str, ends_a_word: bool) -> bool {
        let mut from = 0;
        while let Some(at) = self.finder.find(&text.as_bytes()[from..]) {
            let at = from + at;
            let end = at + self.needle.len();
            let before = || text[..at].chars().next_back().is_some_and(is_word_char);
            let behind = || text[end..].chars().next().is_some_and(is_word_char);
            if !(self.is_word_at.0 && before() || ends_a_word && behind()) {
                return true;
            }
            // The next match begins at a character too, because the needle does.
            from = at + 1;
        }
        false
    }
}

/// Compiles an expression, and takes about as much as it needs from what is left.
fn compile(text: &str, ignore_case: bool, left: &mut usize) -> Result<Regex, InvalidPredicate> {
    let refused = |reason: String| {
        let shown: String = text.chars().take(100).collect();
        InvalidPredicate(format!("regular expression {shown:?} is not usable: {reason}"))
    };
    let mut bytes = REGEX_BYTES_MIN;
    loop {
        if bytes > *left {
            return Err(refused(
                "all of the filter together take too much memory; ask for less at once".into(),
            ));
        }
        let regex = RegexBuilder::new(text)
            .case_insensitive(ignore_case)
            .size_limit(bytes)
            .dfa_size_limit(2 * REGEX_BYTES_MAX)
            .build();
        match regex {
            Ok(regex) => {
                *left -= bytes;
                return Ok(regex);
            }
            Err(regex::Error::CompiledTooBig(_)) if bytes < REGEX_BYTES_MAX => bytes *= 4,
            Err(error) => return Err(refused(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(how: TextMatch, needle: &str, ignore_case: bool, text: &str, want: bool) {
        let tester = TextTester::new(how, needle, ignore_case, &mut (1 << 20)).expect("valid");
        assert_eq!(tester.accepts(text, &mut String::new()), want, "{how:?} {needle:?} in {text:?}");
    }

    #[test]
    fn a_phrase_is_not_continued_by_letters_digits_or_underscores() {
        use TextMatch::{Phrase, PhrasePrefix};
        check(Phrase, "timed out", true, "request TIMED OUT after 3s", true);
        check(Phrase, "timed out", true, "request timed outside", false);
        check(PhrasePrefix, "timed out", true, "request timed outside", true);
        check(PhrasePrefix, "imed out", true, "request timed outside", false);
        check(Phrase, "err", false, "errors err_1 err", true);
        check(Phrase, "err", false, "errors err_1 xerr", false);
        check(Phrase, "/api/", false, "x/api/y", true);
        check(Phrase, "größe", true, "die GRÖSSE, die GRÖßE", true);
        check(Phrase, "aa", false, "aaa", false);
        check(Phrase, "", false, "anything", true);
        check(Phrase, "日本", false, "日本語", false);
    }

    #[test]
    fn case_counts_only_where_it_shall() {
        use TextMatch::{Contains, Equals, Regex, StartsWith};
        check(Contains, "Err", false, "an error", false);
        check(Contains, "Err", true, "an error", true);
        check(Equals, "É", true, "é", true);
        check(StartsWith, "GET ", true, "get /", true);
        check(Regex, "^e.r$", true, "EXR", true);
        check(Regex, "^e.r$", false, "EXR", false);
    }

    #[test]
    fn expressions_that_would_take_much_memory_are_refused() {
        let error = TextTester::new(TextMatch::Regex, r"(\w{100}){100}", false, &mut (16 << 20))
            .expect_err("too large");
        assert!(error.to_string().contains("regular expression"), "{error}");
        TextTester::new(TextMatch::Regex, "(", false, &mut (1 << 20)).expect_err("malformed");
        let mut left = 40 << 10;
        let mut fits = |text| TextTester::new(TextMatch::Regex, text, false, &mut left).is_ok();
        assert_eq!([fits("a.b"), fits("c+d"), fits("e")], [true, true, false]);
    }
}
