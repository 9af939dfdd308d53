//! Filters of SQL as predicates.
//!
//! SQL has three truths and a predicate has two, so each expression is translated twice over: to the rows for
//! which it is true, and to those for which it is false; rows for which it is unknown are in neither. A
//! translation accepts every row that it should; it is exact where it accepts no other. What cannot be
//! translated is left to the filter above the scan.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use model::{Field, FixedKind, Order, Predicate, Scalar, Signal, Test, TextMatch, record};
use store::rows::{Filter, ValueKind};

use super::columns::{Origin, RowColumns};

/// A translated expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pushed {
    pub(super) predicate: Predicate,
    /// Whether it accepts only rows that the expression does.
    pub(super) exact: bool,
}

/// Most nested expression that is translated.
const DEPTH_MAX: usize = 200;
/// Longest list of values that is translated.
const LIST_MAX: usize = 10_000;

/// The rows for which an expression is true; `None` where it cannot be told, or only by a filter that is too large.
pub(super) fn push(expr: &Expr, columns: &RowColumns) -> Option<Pushed> {
    let pushed = Translator { columns }.rows(expr, true, 0)?;
    Filter::new(columns.signal, &pushed.predicate, i64::MIN, i64::MAX).ok()?;
    Some(pushed)
}

struct Translator<'a> {
    columns: &'a RowColumns,
}

/// A column that can be tested.
struct Tested {
    field: Field,
    kind: Kind,
    /// Whether every value that a row has shows as a value of the column.
    total: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Time,
    Int,
    Double,
    Text,
    Id(usize),
}

impl Translator<'_> {
    fn rows(&self, expr: &Expr, truth: bool, depth: usize) -> Option<Pushed> {
        if depth > DEPTH_MAX {
            return None;
        }
        match expr {
            Expr::Not(inner) => self.rows(inner, !truth, depth + 1),
            Expr::BinaryExpr(binary) => self.binary(binary, truth, depth),
            Expr::IsNotNull(inner) => self.exists(inner, truth),
            Expr::IsNull(inner) => self.exists(inner, !truth),
            Expr::Between(between) => self.between(between, truth),
            Expr::InList(list) => self.in_list(list, truth),
            Expr::Like(like) => self.like(like, truth),
            Expr::ScalarFunction(function) => self.function(function, truth),
            Expr::Literal(ScalarValue::Boolean(value), _) => Some(exact(match value {
                Some(value) if *value == truth => Predicate::TRUE,
                _ => Predicate::Any(Vec::new()),
            })),
            _ => None,
        }
    }

    fn binary(&self, binary: &BinaryExpr, truth: bool, depth: usize) -> Option<Pushed> {
        let BinaryExpr { left, op, right } = binary;
        match op {
            Operator::And | Operator::Or => {
                let parts = (self.rows(left, truth, depth + 1), self.rows(right, truth, depth + 1));
                // What must hold of both sides for the whole to be false must hold of one for it to be true.
                if (*op == Operator::And) == truth {
                    match parts {
                        (Some(a), Some(b)) => Some(Pushed {
                            predicate: a.predicate.and(b.predicate),
                            exact: a.exact && b.exact,
                        }),
                        (Some(one), None) | (None, Some(one)) => Some(Pushed { exact: false, ..one }),
                        (None, None) => None,
                    }
                } else {
                    let (Some(a), Some(b)) = parts else { return None };
                    let exact = a.exact && b.exact;
                    Some(Pushed { predicate: any(a.predicate, b.predicate), exact })
                }
            }
            Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch => {
                let ignore_case = matches!(op, Operator::RegexIMatch | Operator::RegexNotIMatch);
                let negated = matches!(op, Operator::RegexNotMatch | Operator::RegexNotIMatch);
                let column = self.text_column(left)?;
                self.regex(column, text_of(right)?, ignore_case, truth != negated)
            }
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq => {
                let (column, literal, op) = match (self.column(left), self.column(right)) {
                    (Some(column), None) => (column, right, *op),
                    (None, Some(column)) => (column, left, op.swap()?),
                    _ => return None,
                };
                let Expr::Literal(value, _) = &**literal else { return None };
                // A comparison that is false is the opposite one that is true.
                let op = if truth { op } else { op.negate()? };
                self.compare(&column, op, value)
            }
            _ => None,
        }
    }

    fn compare(&self, column: &Tested, op: Operator, value: &ScalarValue) -> Option<Pushed> {
        if value.is_null() {
            return Some(exact(Predicate::Any(Vec::new())));
        }
        let value = scalar(column.kind, value)?;
        let test = |order, value: &Scalar| {
            Predicate::Test(column.field.clone(), Test::Compare(order, value.clone()))
        };
        let exists = || Predicate::Test(column.field.clone(), Test::Exists);
        if column.kind == Kind::Double {
            // SQL has NaN above all numbers; a predicate has it nowhere.
            let or_above = |order| {
                Some(Pushed {
                    predicate: exists().and(Predicate::Not(Box::new(test(order, &value)))),
                    exact: false,
                })
            };
            return match op {
                Operator::Eq => Some(Pushed { predicate: test(Order::Equal, &value), exact: column.total }),
                Operator::Lt => Some(Pushed { predicate: test(Order::Less, &value), exact: column.total }),
                Operator::LtEq => {
                    Some(Pushed { predicate: test(Order::LessOrEqual, &value), exact: column.total })
                }
                Operator::Gt => or_above(Order::LessOrEqual),
                Operator::GtEq => or_above(Order::Less),
                _ => or_above(Order::Equal),
            };
        }
        let order = match op {
            Operator::Eq => Order::Equal,
            Operator::Lt => Order::Less,
            Operator::LtEq => Order::LessOrEqual,
            Operator::Gt => Order::Greater,
            Operator::GtEq => Order::GreaterOrEqual,
            Operator::NotEq => {
                let other = exists().and(Predicate::Not(Box::new(test(Order::Equal, &value))));
                return Some(Pushed { predicate: other, exact: column.total });
            }
            _ => return None,
        };
        if order != Order::Equal && matches!(column.kind, Kind::Id(_)) {
            return None;
        }
        // A number that the column cannot show, such as 1.5 among integers, is compared all the same.
        Some(Pushed { predicate: test(order, &value), exact: column.total })
    }

    fn between(&self, between: &Between, truth: bool) -> Option<Pushed> {
        let column = self.column(&between.expr)?;
        let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&*between.low, &*between.high) else {
            return None;
        };
        if low.is_null() || high.is_null() {
            return None;
        }
        if between.negated == truth {
            let below = self.compare(&column, Operator::Lt, low)?;
            let above = self.compare(&column, Operator::Gt, high)?;
            let exact = below.exact && above.exact;
            Some(Pushed { predicate: Predicate::Any(vec![below.predicate, above.predicate]), exact })
        } else {
            let low = self.compare(&column, Operator::GtEq, low)?;
            let high = self.compare(&column, Operator::LtEq, high)?;
            Some(Pushed { exact: low.exact && high.exact, predicate: low.predicate.and(high.predicate) })
        }
    }

    fn in_list(&self, list: &InList, truth: bool) -> Option<Pushed> {
        let column = self.column(&list.expr)?;
        if list.list.len() > LIST_MAX {
            return None;
        }
        let mut values = Vec::with_capacity(list.list.len());
        for value in &list.list {
            let Expr::Literal(value, _) = value else { return None };
            if value.is_null() {
                return None;
            }
            values.push(scalar(column.kind, value)?);
        }
        let test = Predicate::Test(column.field.clone(), Test::OneOf(values));
        Some(self.truth_of(&column, test, truth != list.negated))
    }

    /// The rows for which a test is true, or those for which it is false.
    fn truth_of(&self, column: &Tested, test: Predicate, truth: bool) -> Pushed {
        if truth {
            return Pushed { predicate: test, exact: column.total };
        }
        let exists = Predicate::Test(column.field.clone(), Test::Exists);
        Pushed { predicate: exists.and(Predicate::Not(Box::new(test))), exact: column.total }
    }

    fn exists(&self, inner: &Expr, truth: bool) -> Option<Pushed> {
        let column = self.column(inner)?;
        let test = Predicate::Test(column.field, Test::Exists);
        if truth {
            Some(Pushed { predicate: test, exact: column.total })
        } else {
            // A value that the column cannot show is null too.
            column.total.then(|| exact(Predicate::Not(Box::new(test))))
        }
    }

    fn like(&self, like: &Like, truth: bool) -> Option<Pushed> {
        let column = self.text_column(&like.expr)?;
        if like.escape_char.is_some_and(|c| c != '\\') {
            return None;
        }
        let pattern = text_of(&like.pattern)?;
        // What is the same in another case differs in small ways beyond ASCII.
        if like.case_insensitive && !pattern.is_ascii() {
            return None;
        }
        let (how, text) = like_test(pattern);
        let test = Test::Text { how, text: text.into(), ignore_case: like.case_insensitive };
        let predicate = Predicate::Test(column.field.clone(), test);
        if !like.case_insensitive {
            return Some(self.truth_of(&column, predicate, truth != like.negated));
        }
        // Two letters beyond ASCII are the same as one of ASCII in another case; texts with them are left to the
        // filter above.
        let has = |letter: char| pattern.contains([letter, letter.to_ascii_uppercase()]);
        let folded = [('s', "\u{17f}"), ('k', "\u{212a}")].into_iter().filter(|(letter, _)| has(*letter));
        let found = folded.fold(predicate, |found, (_, other)| {
            let test = Test::Text { how: TextMatch::Contains, text: other.into(), ignore_case: false };
            any(found, Predicate::Test(column.field.clone(), test))
        });
        (truth != like.negated).then_some(Pushed { predicate: found, exact: false })
    }

    fn regex(&self, column: Tested, regex: &str, ignore_case: bool, truth: bool) -> Option<Pushed> {
        regex::RegexBuilder::new(regex).size_limit(1 << 20).build().ok()?;
        let test = Test::Text { how: TextMatch::Regex, text: regex.into(), ignore_case };
        let predicate = Predicate::Test(column.field.clone(), test);
        Some(self.truth_of(&column, predicate, truth))
    }

    fn function(&self, function: &ScalarFunction, truth: bool) -> Option<Pushed> {
        let [column, text] = function.args.as_slice() else { return None };
        let column = self.text_column(column)?;
        let text = text_of(text)?;
        let how = match function.func.name() {
            "starts_with" => TextMatch::StartsWith,
            "contains" => TextMatch::Contains,
            "regexp_like" => return self.regex(column, text, false, truth),
            _ => return None,
        };
        let test = Test::Text { how, text: text.into(), ignore_case: false };
        let predicate = Predicate::Test(column.field.clone(), test);
        Some(self.truth_of(&column, predicate, truth))
    }

    fn text_column(&self, expr: &Expr) -> Option<Tested> {
        self.column(expr).filter(|column| column.kind == Kind::Text)
    }

    fn column(&self, expr: &Expr) -> Option<Tested> {
        let Expr::Column(column) = expr else { return None };
        let signal = self.columns.signal;
        Some(match self.columns.origin(&column.name)? {
            Origin::Fixed(position) => {
                let kind = fixed_kind(signal, *position)?;
                Tested { field: Field::Fixed(*position as u8), kind, total: true }
            }
            Origin::Key(field, kind) => {
                let (kind, total) = match kind {
                    ValueKind::Int => (Kind::Int, false),
                    ValueKind::Double => (Kind::Double, false),
                    ValueKind::Text => (Kind::Text, true),
                    ValueKind::Bool | ValueKind::Json => return None,
                };
                Tested { field: field.clone(), kind, total }
            }
            Origin::Attributes | Origin::ResourceAttributes | Origin::RowId => return None,
        })
    }
}

/// One of two, without nesting lists of alternatives.
fn any(a: Predicate, b: Predicate) -> Predicate {
    let parts = |predicate| match predicate {
        Predicate::Any(parts) => parts,
        other => vec![other],
    };
    let mut all = parts(a);
    all.extend(parts(b));
    Predicate::Any(all)
}

fn exact(predicate: Predicate) -> Pushed {
    Pushed { predicate, exact: true }
}

fn fixed_kind(signal: Signal, position: usize) -> Option<Kind> {
    Some(match record::columns(signal).get(position)?.kind {
        FixedKind::Timestamp => Kind::Time,
        FixedKind::Int => Kind::Int,
        FixedKind::Double => Kind::Double,
        FixedKind::Text | FixedKind::Json => Kind::Text,
        FixedKind::TraceId => Kind::Id(16),
        FixedKind::SpanId => Kind::Id(8),
    })
}

/// A literal as a column of this kind compares with it; `None` for a literal of another kind.
fn scalar(kind: Kind, value: &ScalarValue) -> Option<Scalar> {
    match (kind, value) {
        (Kind::Time, ScalarValue::TimestampNanosecond(Some(ns), _)) => Some(Scalar::Int(*ns)),
        (Kind::Int, ScalarValue::Int64(Some(value))) => Some(Scalar::Int(*value)),
        (Kind::Double, ScalarValue::Float64(Some(value))) if value.is_finite() => {
            Some(Scalar::Double(*value))
        }
        (Kind::Text, value) => utf8(value).map(|text| Scalar::Text(text.into())),
        (Kind::Id(bytes), value) => utf8(value).map(|text| {
            // A text that is no identifier is equal to none: a text is never equal to bytes.
            unhex(text, bytes).map_or(Scalar::Bytes([].into()), |id| Scalar::Bytes(id.into()))
        }),
        _ => None,
    }
}

fn utf8(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text),
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => utf8(value),
        _ => None,
    }
}

/// Bytes of lower-case hexadecimal digits, as SQL shows identifiers.
fn unhex(text: &str, bytes: usize) -> Option<Vec<u8>> {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if text.len() != 2 * bytes || !text.bytes().all(is_digit) {
        return None;
    }
    (0..bytes).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()).collect()
}

/// The test that a pattern of LIKE is.
fn like_test(pattern: &str) -> (TextMatch, String) {
    // Texts between percent signs, and whether a single-character wildcard is among them.
    let mut texts = vec![String::new()];
    let mut regex = String::from("(?s)^");
    let mut single = false;
    let mut chars = pattern.chars();
    let plain = |texts: &mut Vec<String>, regex: &mut String, c: char| {
        if let Some(text) = texts.last_mut() {
            text.push(c);
        }
        regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    };
    while let Some(c) = chars.next() {
        match c {
            '%' => {
                texts.push(String::new());
                regex.push_str(".*");
            }
            '_' => {
                single = true;
                regex.push('.');
            }
            '\\' => plain(&mut texts, &mut regex, chars.next().unwrap_or('\\')),
            c => plain(&mut texts, &mut regex, c),
        }
    }
    regex.push('$');
    match (single, texts.as_mut_slice()) {
        (false, [text]) => (TextMatch::Equals, std::mem::take(text)),
        (false, [text, end]) if end.is_empty() => (TextMatch::StartsWith, std::mem::take(text)),
        (false, [start, text, end]) if start.is_empty() && end.is_empty() => {
            (TextMatch::Contains, std::mem::take(text))
        }
        _ => (TextMatch::Regex, regex),
    }
}

/// The range of time inside which a predicate can hold: nanoseconds, the end outside.
pub(super) fn time_bounds(predicate: &Predicate, bounds: (i64, i64)) -> (i64, i64) {
    match predicate {
        Predicate::All(parts) => parts.iter().fold(bounds, |bounds, part| time_bounds(part, bounds)),
        Predicate::Test(Field::Fixed(0), Test::Compare(order, Scalar::Int(ns))) => {
            let (start, end) = bounds;
            match order {
                Order::Equal => (start.max(*ns), end.min(ns.saturating_add(1))),
                Order::Less => (start, end.min(*ns)),
                Order::LessOrEqual => (start, end.min(ns.saturating_add(1))),
                Order::Greater => (start.max(ns.saturating_add(1)), end),
                Order::GreaterOrEqual => (start.max(*ns), end),
            }
        }
        _ => bounds,
    }
}
