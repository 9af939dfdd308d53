//! Predicates that find candidates: whatever a selector takes fulfils its predicate, not the other way round.

use std::sync::Arc;

use model::predicate::{Field, Order, Predicate, Scalar as Constant, Test, TextMatch};
use model::record::span;
use regex::Regex;

use super::ast::{AttributeScope, FieldExpr, FieldRef, Intrinsic, RelationMode, SpansetExpr, Stage};
use super::eval::{SCOPE_NAME, SCOPE_VERSION, as_comparison};
use super::value::{CompareOp, Value};
use crate::traces::{SERVICE_NAME, SpanKind, SpanStatus, parse_span_id, parse_trace_id};

const NEVER: Predicate = Predicate::Any(Vec::new());

/// What at least one span of a trace must fulfil for the pipeline to leave anything of the trace.
pub(super) fn necessary(stages: &[Stage]) -> Predicate {
    best(stages.iter().filter_map(|stage| match stage {
        Stage::Spans(expr) => Some(necessary_for(expr)),
        _ => None,
    }))
}

fn necessary_for(expr: &SpansetExpr) -> Predicate {
    match expr {
        SpansetExpr::Selector(expr) => {
            or_else(candidates(expr), || root_candidates(expr).unwrap_or(Predicate::TRUE))
        }
        SpansetExpr::Both(all) => best(all.iter().map(necessary_for)),
        SpansetExpr::Either(any) => either(any.iter().map(necessary_for)),
        SpansetExpr::Related { right, mode: RelationMode::Not, .. } => necessary_for(right),
        // The spans of the right side are the answer, so that they are what should lie in the range.
        SpansetExpr::Related { left, right, .. } => or_else(necessary_for(right), || necessary_for(left)),
        SpansetExpr::Pipeline(stages) => necessary(stages),
    }
}

/// Whether the span that [`necessary`] finds may be another one than those that come out of the pipeline, which are
/// those that must lie in the range.
pub(super) fn is_elsewhere(stages: &[Stage]) -> bool {
    stages.iter().any(|stage| matches!(stage, Stage::Spans(expr) if is_elsewhere_for(expr)))
}

fn is_elsewhere_for(expr: &SpansetExpr) -> bool {
    match expr {
        SpansetExpr::Selector(expr) => candidates(expr) == Predicate::TRUE && root_candidates(expr).is_some(),
        SpansetExpr::Both(_) | SpansetExpr::Related { mode: RelationMode::Union, .. } => true,
        SpansetExpr::Either(any) => any.iter().any(is_elsewhere_for),
        SpansetExpr::Related { right, mode: RelationMode::Not, .. } => is_elsewhere_for(right),
        SpansetExpr::Related { right, .. } => {
            is_elsewhere_for(right) || necessary_for(right) == Predicate::TRUE
        }
        SpansetExpr::Pipeline(stages) => is_elsewhere(stages),
    }
}

/// The predicate unless it tells nothing.
fn or_else(predicate: Predicate, other: impl FnOnce() -> Predicate) -> Predicate {
    if predicate == Predicate::TRUE { other() } else { predicate }
}

/// The one of several necessary conditions that likely finds the fewest.
fn best(conditions: impl Iterator<Item = Predicate>) -> Predicate {
    conditions.max_by_key(narrowness).unwrap_or(Predicate::TRUE)
}

fn narrowness(predicate: &Predicate) -> u32 {
    match predicate {
        Predicate::All(all) => all.iter().map(narrowness).sum(),
        Predicate::Any(any) => any.iter().map(narrowness).min().unwrap_or(1000),
        Predicate::Not(_) => 1,
        Predicate::Test(_, test) => match test {
            Test::Compare(Order::Equal, _) | Test::OneOf(_) => 10,
            Test::Text { how: TextMatch::Regex, .. } => 4,
            Test::Text { .. } => 8,
            Test::Compare(..) => 3,
            Test::Exists => 1,
        },
    }
}

fn either(any: impl Iterator<Item = Predicate>) -> Predicate {
    let any: Vec<Predicate> = any.filter(|one| *one != NEVER).collect();
    if any.contains(&Predicate::TRUE) { Predicate::TRUE } else { Predicate::Any(any) }
}

/// What every span fulfils for which the expression is true.
pub(super) fn candidates(expr: &FieldExpr) -> Predicate {
    match expr {
        FieldExpr::Literal(Value::Bool(true)) => Predicate::TRUE,
        FieldExpr::Literal(_) | FieldExpr::Math(..) | FieldExpr::Negative(_) => NEVER,
        FieldExpr::Field(field) => compared(CompareOp::Equal, field, &Value::Bool(true)),
        FieldExpr::All(all) => all.iter().map(candidates).fold(Predicate::TRUE, Predicate::and),
        FieldExpr::Any(any) => either(any.iter().map(candidates)),
        FieldExpr::Not(of) => match &**of {
            FieldExpr::Missing(of) => match &**of {
                FieldExpr::Field(field) => existing(field),
                _ => Predicate::TRUE,
            },
            _ => Predicate::TRUE,
        },
        // A span with events or links may have none with the attribute.
        FieldExpr::Missing(of) => match &**of {
            FieldExpr::Field(FieldRef::Attribute(
                AttributeScope::Any | AttributeScope::Span | AttributeScope::Resource,
                _,
            ))
            | FieldExpr::Field(FieldRef::Intrinsic(Intrinsic::ParentId)) => {
                match of.as_field().map(existing) {
                    Some(Predicate::Test(field, Test::Exists)) => missing(field),
                    _ => Predicate::TRUE,
                }
            }
            _ => Predicate::TRUE,
        },
        FieldExpr::Compare(..) => match as_comparison(expr) {
            Some((op, field, value)) => compared(op, field, value),
            None => Predicate::TRUE,
        },
        FieldExpr::Match { of, pattern, regex, negated } => match of.as_field() {
            Some(field) => matched(field, pattern, regex, *negated),
            None => Predicate::TRUE,
        },
    }
}

impl FieldExpr {
    fn as_field(&self) -> Option<&FieldRef> {
        match self {
            Self::Field(field) => Some(field),
            _ => None,
        }
    }
}

fn missing(field: Field) -> Predicate {
    Predicate::Not(Box::new(Predicate::Test(field, Test::Exists)))
}

fn fixed(column: usize) -> Field {
    Field::Fixed(column as u8)
}

/// The attribute of a row that holds an attribute of the language.
fn attribute(field: &FieldRef) -> Option<Field> {
    match field {
        FieldRef::Attribute(AttributeScope::Any, key) => Some(Field::Key(Arc::clone(key))),
        FieldRef::Attribute(AttributeScope::Span, key) => Some(Field::Record(Arc::clone(key))),
        FieldRef::Attribute(AttributeScope::Resource, key) => Some(Field::Resource(Arc::clone(key))),
        FieldRef::Intrinsic(Intrinsic::InstrumentationName) => Some(Field::Record(SCOPE_NAME.into())),
        FieldRef::Intrinsic(Intrinsic::InstrumentationVersion) => Some(Field::Record(SCOPE_VERSION.into())),
        _ => None,
    }
}

/// The column that must have something in it for the field to be there at all.
fn existing(field: &FieldRef) -> Predicate {
    let column = match field {
        FieldRef::Attribute(AttributeScope::Event, _)
        | FieldRef::Intrinsic(Intrinsic::EventName | Intrinsic::EventTimeSinceStart) => span::EVENTS,
        FieldRef::Attribute(AttributeScope::Link, _)
        | FieldRef::Intrinsic(Intrinsic::LinkTraceId | Intrinsic::LinkSpanId) => span::LINKS,
        FieldRef::Intrinsic(Intrinsic::ParentId) => span::PARENT_SPAN_ID,
        _ => return attribute(field).map_or(Predicate::TRUE, |field| Predicate::Test(field, Test::Exists)),
    };
    Predicate::Test(fixed(column), Test::Exists)
}

fn compared(op: CompareOp, field: &FieldRef, value: &Value) -> Predicate {
    if let Some(field) = attribute(field) {
        return constant(value).map_or(NEVER, |constant| ordered(op, field, constant));
    }
    let FieldRef::Intrinsic(intrinsic) = field else { return existing(field) };
    match (intrinsic, value) {
        (Intrinsic::Duration, value) => match constant(value).filter(|_| value.number().is_some()) {
            Some(constant) => ordered(op, fixed(span::DURATION), constant),
            None => NEVER,
        },
        (Intrinsic::Name, value) => text_compared(op, span::NAME, value),
        (Intrinsic::StatusMessage, value) => text_compared(op, span::STATUS_MESSAGE, value),
        (Intrinsic::Status, _) => {
            let holds = |status: &SpanStatus| Value::Status(*status).compare(op, value);
            let words = SpanStatus::ALL.iter().filter(|status| holds(status)).map(|status| status.as_str());
            words_or_default(span::STATUS_CODE, words.collect(), SpanStatus::default().as_str())
        }
        (Intrinsic::Kind, _) => {
            let holds = |kind: &SpanKind| Value::Kind(*kind).compare(op, value);
            let words = SpanKind::ALL.iter().filter(|kind| holds(kind)).map(|kind| kind.as_str());
            words_or_default(span::KIND, words.collect(), SpanKind::default().as_str())
        }
        (Intrinsic::SpanId, value) => {
            identified(op, span::SPAN_ID, value, |text| parse_span_id(text).map(Vec::from))
        }
        (Intrinsic::ParentId, value) => {
            identified(op, span::PARENT_SPAN_ID, value, |text| parse_span_id(text).map(Vec::from))
        }
        (Intrinsic::TraceId, value) => {
            identified(op, span::TRACE_ID, value, |text| parse_trace_id(text).map(Vec::from))
        }
        (Intrinsic::NestedSetParent, value) => {
            // Roots have -1, spans without their parent 0, others more.
            let holds = |n: i64| Value::Int(n).compare(op, value);
            match (holds(-1), holds(0), holds(1) || holds(i64::MAX)) {
                (true, false, false) => missing(fixed(span::PARENT_SPAN_ID)),
                (false, _, _) => Predicate::Test(fixed(span::PARENT_SPAN_ID), Test::Exists),
                _ => Predicate::TRUE,
            }
        }
        _ => existing(field),
    }
}

fn constant(value: &Value) -> Option<Constant> {
    Some(match value {
        Value::Bool(b) => Constant::Bool(*b),
        Value::Int(n) | Value::Duration(n) => Constant::Int(*n),
        Value::Float(n) => Constant::Double(*n),
        Value::Text(text) => Constant::Text(Arc::clone(text)),
        Value::Nil | Value::Status(_) | Value::Kind(_) | Value::Many(_) => return None,
    })
}

fn ordered(op: CompareOp, field: Field, constant: Constant) -> Predicate {
    let order = match op {
        CompareOp::Equal => Order::Equal,
        CompareOp::Less => Order::Less,
        CompareOp::LessOrEqual => Order::LessOrEqual,
        CompareOp::Greater => Order::Greater,
        CompareOp::GreaterOrEqual => Order::GreaterOrEqual,
        CompareOp::NotEqual => {
            let equal = Predicate::Test(field.clone(), Test::Compare(Order::Equal, constant));
            return Predicate::Test(field, Test::Exists).and(Predicate::Not(Box::new(equal)));
        }
    };
    Predicate::Test(field, Test::Compare(order, constant))
}

/// A text column that is an empty text where it has nothing.
fn text_compared(op: CompareOp, column: usize, value: &Value) -> Predicate {
    let Value::Text(text) = value else { return NEVER };
    let found = ordered(op, fixed(column), Constant::Text(Arc::clone(text)));
    or_missing(found, column, Value::Text("".into()).compare(op, value))
}

fn or_missing(found: Predicate, column: usize, missing_too: bool) -> Predicate {
    if missing_too { Predicate::Any(vec![found, missing(fixed(column))]) } else { found }
}

fn words_or_default(column: usize, words: Vec<&'static str>, default: &str) -> Predicate {
    if words.is_empty() {
        return NEVER;
    }
    let missing_too = words.contains(&default);
    let words = words.into_iter().map(|word| Constant::Text(word.into())).collect();
    or_missing(Predicate::Test(fixed(column), Test::OneOf(words)), column, missing_too)
}

fn identified(
    op: CompareOp,
    column: usize,
    value: &Value,
    parse: impl Fn(&str) -> Option<Vec<u8>>,
) -> Predicate {
    let Value::Text(text) = value else { return NEVER };
    match (op, parse(text)) {
        (CompareOp::Equal, None) => NEVER,
        (CompareOp::Equal, Some(id)) => {
            Predicate::Test(fixed(column), Test::Compare(Order::Equal, Constant::Bytes(id.into())))
        }
        _ => Predicate::Test(fixed(column), Test::Exists),
    }
}

fn matched(field: &FieldRef, pattern: &str, regex: &Regex, negated: bool) -> Predicate {
    let (field, default) = match field {
        FieldRef::Intrinsic(Intrinsic::Name) => (fixed(span::NAME), Some(span::NAME)),
        FieldRef::Intrinsic(Intrinsic::StatusMessage) => {
            (fixed(span::STATUS_MESSAGE), Some(span::STATUS_MESSAGE))
        }
        field => match attribute(field) {
            Some(field) => (field, None),
            None => return existing(field),
        },
    };
    let found = if negated {
        Predicate::Test(field, Test::Exists)
    } else {
        let text = format!("^(?:{pattern})$").into();
        Predicate::Test(field, Test::Text { how: TextMatch::Regex, text, ignore_case: false })
    };
    match default {
        Some(column) => or_missing(found, column, regex.is_match("") != negated),
        None => found,
    }
}

/// What the root of a trace fulfils when the expression asks something of it and nothing else that helps.
fn root_candidates(expr: &FieldExpr) -> Option<Predicate> {
    let of_root = |field: &FieldRef| match field {
        FieldRef::Intrinsic(Intrinsic::RootName) => Some(FieldRef::Intrinsic(Intrinsic::Name)),
        FieldRef::Intrinsic(Intrinsic::RootServiceName) => {
            Some(FieldRef::Attribute(AttributeScope::Resource, SERVICE_NAME.into()))
        }
        _ => None,
    };
    let found = match expr {
        FieldExpr::All(all) => return all.iter().find_map(root_candidates),
        FieldExpr::Compare(..) => {
            let (op, field, value) = as_comparison(expr)?;
            compared(op, &of_root(field)?, value)
        }
        FieldExpr::Match { of, pattern, regex, negated } => {
            matched(&of_root(of.as_field()?)?, pattern, regex, *negated)
        }
        _ => return None,
    };
    Some(missing(fixed(span::PARENT_SPAN_ID)).and(found))
}
