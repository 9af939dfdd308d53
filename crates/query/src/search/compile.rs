//! From what a search says to what it asks of a row.

use model::{Field, Order, Predicate, Scalar, Signal, Test, TextMatch};

use super::SearchError;
use super::ast::{Expr, FieldTest, Name, Value};
use super::names::{Kind, Target, message_of, resolve};
use super::value::{any_number, duration_ns, id, level_of, number, time_ns};

/// Compiles a search over the rows of a signal; `text` is for errors.
pub(super) fn compile(expr: &Expr, signal: Signal, text: &str) -> Result<Predicate, SearchError> {
    Compiler { signal, text }.expr(expr)
}

struct Compiler<'a> {
    signal: Signal,
    text: &'a str,
}

impl Compiler<'_> {
    fn expr(&self, expr: &Expr) -> Result<Predicate, SearchError> {
        match expr {
            Expr::Everything => Ok(Predicate::TRUE),
            Expr::All(parts) => Ok(Predicate::All(self.each(parts)?)),
            Expr::Any(parts) => Ok(merged(self.each(parts)?)),
            Expr::Not(inner) => Ok(Predicate::Not(Box::new(self.expr(inner)?))),
            Expr::Words(value, at) => self.words(message_of(self.signal), value, at.0),
            Expr::Field(name, test) => self.field(name, test),
        }
    }

    fn each(&self, parts: &[Expr]) -> Result<Vec<Predicate>, SearchError> {
        parts.iter().map(|part| self.expr(part)).collect()
    }

    /// Words inside a message, whatever their case.
    fn words(&self, field: Field, value: &Value, at: usize) -> Result<Predicate, SearchError> {
        let like = |how, text: &str| Test::Text { how, text: text.into(), ignore_case: true };
        let test = match value {
            Value::Quoted { text, prefix: false } => like(TextMatch::Phrase, text),
            Value::Quoted { text, prefix: true } => like(TextMatch::PhrasePrefix, text),
            Value::Word(texts) => match texts.as_slice() {
                [text] => like(TextMatch::Phrase, text),
                [text, end] if end.is_empty() && !text.is_empty() => like(TextMatch::PhrasePrefix, text),
                [a, text, b] if a.is_empty() && b.is_empty() && !text.is_empty() => {
                    like(TextMatch::Contains, text)
                }
                texts if texts.iter().all(String::is_empty) => Test::Exists,
                texts => {
                    let pattern: Vec<_> = texts.iter().map(|text| regex::escape(text)).collect();
                    // A star inside a word stands for what is not a blank; the ends are ends of words.
                    let start = texts.first().is_some_and(|text| starts_word(text));
                    let end = texts.last().is_some_and(|text| ends_word(text));
                    let edge = |there: bool| if there { r"\b" } else { "" };
                    like(TextMatch::Regex, &format!("{}{}{}", edge(start), pattern.join(r"\S*"), edge(end)))
                }
            },
        };
        self.checked(Predicate::Test(field, test), at)
    }

    fn field(&self, name: &Name, test: &FieldTest) -> Result<Predicate, SearchError> {
        let target = resolve(name, self.signal);
        match test {
            FieldTest::Is(value) => self.is(name, &target, value),
            FieldTest::Exactly(value) => self.exactly(name, &target, &plain(value)),
            FieldTest::Order(order, value) => self.ordered(name, &target, *order, &plain(value)),
            FieldTest::Regex(regex) => {
                if !matches!(target.kind, Kind::Any | Kind::Text | Kind::Message | Kind::OneOf(..)) {
                    return Err(self.error(
                        name,
                        "this field takes no regular expression",
                        remedy_of(target.kind),
                    ));
                }
                let test =
                    Test::Text { how: TextMatch::Regex, text: regex.as_str().into(), ignore_case: false };
                self.checked(Predicate::Test(target.field, test), name.at)
            }
            FieldTest::Range { low, low_inside, high, high_inside } => {
                let mut both = Vec::with_capacity(2);
                if let Some(low) = low {
                    let order = if *low_inside { Order::GreaterOrEqual } else { Order::Greater };
                    both.push(self.ordered(name, &target, order, &plain(low))?);
                }
                if let Some(high) = high {
                    let order = if *high_inside { Order::LessOrEqual } else { Order::Less };
                    both.push(self.ordered(name, &target, order, &plain(high))?);
                }
                if both.is_empty() {
                    both.push(Predicate::Test(target.field, Test::Exists));
                }
                Ok(if both.len() == 1 { both.remove(0) } else { Predicate::All(both) })
            }
        }
    }

    fn is(&self, name: &Name, target: &Target, value: &Value) -> Result<Predicate, SearchError> {
        if let Value::Word(texts) = value
            && texts.len() > 1
            && texts.iter().all(String::is_empty)
        {
            return Ok(Predicate::Test(target.field.clone(), Test::Exists));
        }
        if target.kind == Kind::Message {
            return self.words(target.field.clone(), value, name.at);
        }
        let like = |how, text: &str| {
            if matches!(target.kind, Kind::Any | Kind::Text | Kind::OneOf(..)) {
                let test = Test::Text { how, text: text.into(), ignore_case: false };
                Ok(Predicate::Test(target.field.clone(), test))
            } else {
                Err(self.error(name, "this field has no stars in its values", remedy_of(target.kind)))
            }
        };
        match value {
            Value::Quoted { text, prefix: true } => like(TextMatch::StartsWith, text),
            Value::Quoted { prefix: false, .. } => self.exactly(name, target, &plain(value)),
            Value::Word(texts) => match texts.as_slice() {
                [_] => self.exactly(name, target, &plain(value)),
                [text, end] if end.is_empty() => like(TextMatch::StartsWith, text),
                [a, text, b] if a.is_empty() && b.is_empty() => like(TextMatch::Contains, text),
                texts => {
                    let pattern: Vec<_> = texts.iter().map(|text| regex::escape(text)).collect();
                    let predicate = like(TextMatch::Regex, &format!("(?s)^{}$", pattern.join(".*")))?;
                    self.checked(predicate, name.at)
                }
            },
        }
    }

    /// The whole value.
    fn exactly(&self, name: &Name, target: &Target, value: &Plain<'_>) -> Result<Predicate, SearchError> {
        match target.kind {
            Kind::Level => {
                let (first, last) = self.level(name, value)?;
                Ok(Predicate::All(vec![
                    compare(target, Order::GreaterOrEqual, Scalar::Int(first)),
                    compare(target, Order::LessOrEqual, Scalar::Int(last)),
                ]))
            }
            _ => Ok(compare(target, Order::Equal, self.scalar(name, target.kind, value)?)),
        }
    }

    fn ordered(
        &self,
        name: &Name,
        target: &Target,
        order: Order,
        value: &Plain<'_>,
    ) -> Result<Predicate, SearchError> {
        match target.kind {
            Kind::Level => {
                let (first, last) = self.level(name, value)?;
                let end = if matches!(order, Order::Greater | Order::LessOrEqual) { last } else { first };
                Ok(compare(target, order, Scalar::Int(end)))
            }
            Kind::Id(_) | Kind::OneOf(..) => {
                Err(self.error(name, "values of this field have no order", remedy_of(target.kind)))
            }
            kind => Ok(compare(target, order, self.scalar(name, kind, value)?)),
        }
    }

    fn level(&self, name: &Name, value: &Plain<'_>) -> Result<(i64, i64), SearchError> {
        let problem = || format!("no level {:?}", cut(&value.text));
        level_of(&value.text).ok_or_else(|| self.error(name, &problem(), remedy_of(Kind::Level)))
    }

    fn scalar(&self, name: &Name, kind: Kind, value: &Plain<'_>) -> Result<Scalar, SearchError> {
        let text = value.text.as_ref();
        let found = match kind {
            Kind::Any if value.quoted => Some(Scalar::Text(text.into())),
            Kind::Any => number(text).or_else(|| Some(Scalar::Text(text.into()))),
            Kind::Text | Kind::Message => Some(Scalar::Text(text.into())),
            Kind::Number => any_number(text),
            Kind::Level => level_of(text).map(|level| Scalar::Int(level.0)),
            Kind::Time => time_ns(text).map(Scalar::Int),
            Kind::Duration => duration_ns(text).map(Scalar::Int),
            Kind::Id(bytes) => id(text, bytes),
            Kind::OneOf(words, _) => {
                let lower = text.to_ascii_lowercase();
                words.iter().find(|word| **word == lower).map(|word| Scalar::Text((*word).into()))
            }
        };
        found
            .ok_or_else(|| self.error(name, &format!("the field cannot be {:?}", cut(text)), remedy_of(kind)))
    }

    /// Refuses a regular expression that does not compile.
    fn checked(&self, predicate: Predicate, at: usize) -> Result<Predicate, SearchError> {
        if let Predicate::Test(_, Test::Text { how: TextMatch::Regex, text, .. }) = &predicate
            && let Err(error) = regex::RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build()
        {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim();
            let problem = format!("not a regular expression ({last})");
            let remedy = "correct it, or put the value in quotes";
            return Err(SearchError::new(self.text, at, problem, remedy));
        }
        Ok(predicate)
    }

    fn error(&self, name: &Name, problem: &str, remedy: impl Into<String>) -> SearchError {
        SearchError::new(self.text, name.at, problem, remedy)
    }
}

/// Largest compiled form of one expression, as the evaluator has it.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A value without stars.
struct Plain<'a> {
    text: std::borrow::Cow<'a, str>,
    quoted: bool,
}

fn plain(value: &Value) -> Plain<'_> {
    match value {
        Value::Quoted { text, .. } => Plain { text: text.into(), quoted: true },
        Value::Word(texts) => match texts.as_slice() {
            [text] => Plain { text: text.into(), quoted: false },
            texts => Plain { text: texts.join("*").into(), quoted: false },
        },
    }
}

fn compare(target: &Target, order: Order, value: Scalar) -> Predicate {
    Predicate::Test(target.field.clone(), Test::Compare(order, value))
}

/// One of several; equalities of one field become one test.
fn merged(parts: Vec<Predicate>) -> Predicate {
    let mut kept: Vec<Predicate> = Vec::with_capacity(parts.len());
    for part in parts {
        let Predicate::Test(field, Test::Compare(Order::Equal, value)) = part else {
            kept.push(part);
            continue;
        };
        let same = kept.iter_mut().find_map(|known| match known {
            Predicate::Test(of, Test::OneOf(values)) if *of == field => Some(values),
            _ => None,
        });
        match same {
            Some(values) => values.push(value),
            None => kept.push(Predicate::Test(field, Test::OneOf(vec![value]))),
        }
    }
    for part in &mut kept {
        if let Predicate::Test(_, test) = part
            && let Test::OneOf(values) = test
            && values.len() == 1
        {
            let value = values.remove(0);
            *test = Test::Compare(Order::Equal, value);
        }
    }
    if kept.len() == 1 { kept.remove(0) } else { Predicate::Any(kept) }
}

fn remedy_of(kind: Kind) -> String {
    match kind {
        Kind::Any | Kind::Text | Kind::Message => "write a value".into(),
        Kind::Number => "write a number".into(),
        Kind::Level => "write trace, debug, info, warn, error or fatal, or a number from 1 to 24".into(),
        Kind::Time => "write a time such as 2026-01-31T10:00:00Z, or an epoch".into(),
        Kind::Duration => "write a duration such as 300ms or 1.5s".into(),
        Kind::Id(bytes) => format!("write its {} hexadecimal digits", 2 * bytes),
        Kind::OneOf(words, hint) => format!("it is {}; {hint}", words.join(", ")),
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(64)).unwrap_or(text)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn starts_word(text: &str) -> bool {
    text.chars().next().is_some_and(is_word)
}

fn ends_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_word)
}
