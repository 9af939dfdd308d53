//! Fields of spans, and expressions over them.

use std::sync::Arc;

use serde_json::Value as Json;

use super::ast::{AttributeScope, FieldExpr, FieldRef, Intrinsic};
use super::value::{CompareOp, Value};
use crate::traces::{Attributes, SpanData, SpanId, Trace, TreeNode, Want, hex};

/// What all spans of a trace share; computed once.
#[derive(Clone, Debug)]
pub(super) struct TraceFacts {
    duration_ns: i64,
    root_name: Value,
    root_service: Value,
}

impl TraceFacts {
    pub(super) fn of(trace: &Trace) -> Self {
        let text = |of: fn(&SpanData) -> &Arc<str>| {
            trace.root().map_or(Value::Nil, |root| Value::Text(Arc::clone(of(root))))
        };
        Self {
            duration_ns: trace.duration_ns(),
            root_name: text(|root| &root.name),
            root_service: text(|root| &root.service),
        }
    }
}

/// A span and where it stands. Fields that need its trace are nil without one.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) span: &'a SpanData,
    pub(super) trace: Option<(&'a TraceFacts, &'a [TreeNode], usize)>,
}

impl FieldExpr {
    /// True where the expression is.
    pub(super) fn holds(&self, subject: Subject<'_>) -> bool {
        self.value(subject) == Value::Bool(true)
    }

    /// The value of the expression for a span.
    pub(super) fn value(&self, subject: Subject<'_>) -> Value {
        let truth = match self {
            Self::Literal(value) => return value.clone(),
            Self::Field(field) => return field.value(subject),
            Self::Math(op, a, b) => return a.value(subject).math(*op, &b.value(subject)),
            Self::Negative(of) => {
                return Value::Int(0).math(super::value::MathOp::Subtract, &of.value(subject));
            }
            Self::Not(of) => !of.holds(subject),
            Self::All(all) => all.iter().all(|one| one.holds(subject)),
            Self::Any(any) => any.iter().any(|one| one.holds(subject)),
            Self::Compare(op, a, b) => a.value(subject).compare(*op, &b.value(subject)),
            Self::Missing(of) => of.value(subject) == Value::Nil,
            Self::Match { of, regex, negated, .. } => {
                let matches = |value: &Value| match value {
                    Value::Text(text) => regex.is_match(text) != *negated,
                    _ => false,
                };
                match of.value(subject) {
                    Value::Many(all) if *negated => !all.is_empty() && all.iter().all(matches),
                    Value::Many(all) => all.iter().any(matches),
                    one => matches(&one),
                }
            }
        };
        Value::Bool(truth)
    }

    /// Shows every field of the expression.
    pub(super) fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        match self {
            Self::Literal(_) => {}
            Self::Field(field) => visit(field),
            Self::Not(of) | Self::Negative(of) | Self::Missing(of) | Self::Match { of, .. } => {
                of.fields(visit)
            }
            Self::All(all) | Self::Any(all) => all.iter().for_each(|one| one.fields(visit)),
            Self::Compare(_, a, b) | Self::Math(_, a, b) => {
                a.fields(visit);
                b.fields(visit);
            }
        }
    }
}

impl FieldRef {
    /// The field of a span.
    pub(super) fn value(&self, subject: Subject<'_>) -> Value {
        let span = subject.span;
        match self {
            Self::Intrinsic(intrinsic) => intrinsic.value(subject),
            Self::Attribute(AttributeScope::Span, key) => attribute(&span.attributes, key),
            Self::Attribute(AttributeScope::Resource, key) => resource(span, key),
            Self::Attribute(AttributeScope::Any, key) => match attribute(&span.attributes, key) {
                Value::Nil => resource(span, key),
                value => value,
            },
            Self::Attribute(AttributeScope::Event, key) => {
                several(span.events.iter().map(|event| attribute(&event.attributes, key)))
            }
            Self::Attribute(AttributeScope::Link, key) => {
                several(span.links.iter().map(|link| attribute(&link.attributes, key)))
            }
        }
    }

    /// Asks for what the field needs.
    pub(super) fn want(&self, want: &mut Want) {
        match self {
            Self::Attribute(AttributeScope::Span, key) => want.attributes.add(key),
            Self::Attribute(AttributeScope::Resource, key) => want.resource.add(key),
            Self::Attribute(AttributeScope::Any, key) => {
                want.attributes.add(key);
                want.resource.add(key);
            }
            Self::Attribute(AttributeScope::Event, _) => want.events = true,
            Self::Attribute(AttributeScope::Link, _) => want.links = true,
            Self::Intrinsic(Intrinsic::EventName | Intrinsic::EventTimeSinceStart) => want.events = true,
            Self::Intrinsic(Intrinsic::LinkTraceId | Intrinsic::LinkSpanId) => want.links = true,
            Self::Intrinsic(Intrinsic::InstrumentationName) => want.attributes.add(&SCOPE_NAME.into()),
            Self::Intrinsic(Intrinsic::InstrumentationVersion) => want.attributes.add(&SCOPE_VERSION.into()),
            Self::Intrinsic(_) => {}
        }
    }

    /// True when the span alone does not tell.
    pub(super) fn needs_trace(&self) -> bool {
        matches!(
            self,
            Self::Intrinsic(
                Intrinsic::ChildCount
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootServiceName
                    | Intrinsic::NestedSetParent
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
            )
        )
    }

    /// As it is written in full.
    pub fn text(&self) -> String {
        match self {
            Self::Intrinsic(intrinsic) => intrinsic.as_str().to_owned(),
            Self::Attribute(scope, key) => {
                let scope = match scope {
                    AttributeScope::Any => "",
                    AttributeScope::Span => "span",
                    AttributeScope::Resource => "resource",
                    AttributeScope::Event => "event",
                    AttributeScope::Link => "link",
                };
                format!("{scope}.{key}")
            }
        }
    }
}

/// Attributes in which a span keeps the library that made it.
pub(super) const SCOPE_NAME: &str = "otel.scope.name";
pub(super) const SCOPE_VERSION: &str = "otel.scope.version";

impl Intrinsic {
    fn value(self, subject: Subject<'_>) -> Value {
        let span = subject.span;
        let id = |id: &SpanId| Value::Text(hex(id).into());
        match self {
            Self::Duration => Value::Duration(span.duration_ns),
            Self::Name => Value::Text(Arc::clone(&span.name)),
            Self::Status => Value::Status(span.status),
            Self::StatusMessage => Value::Text(Arc::clone(&span.status_message)),
            Self::Kind => Value::Kind(span.kind),
            Self::SpanId => id(&span.span_id),
            Self::ParentId => span.parent_span_id.as_ref().map_or(Value::Nil, id),
            Self::TraceId => Value::Text(hex(&span.trace_id).into()),
            Self::EventName => {
                several(span.events.iter().map(|event| Value::Text(event.name.as_str().into())))
            }
            Self::EventTimeSinceStart => {
                let since = |time_ns: i64| Value::Duration(time_ns.saturating_sub(span.start_ns));
                several(span.events.iter().map(|event| since(event.time_ns)))
            }
            Self::LinkTraceId => {
                several(span.links.iter().map(|link| Value::Text(hex(&link.trace_id).into())))
            }
            Self::LinkSpanId => several(span.links.iter().map(|link| id(&link.span_id))),
            Self::InstrumentationName => attribute(&span.attributes, SCOPE_NAME),
            Self::InstrumentationVersion => attribute(&span.attributes, SCOPE_VERSION),
            Self::ChildCount
            | Self::TraceDuration
            | Self::RootName
            | Self::RootServiceName
            | Self::NestedSetParent
            | Self::NestedSetLeft
            | Self::NestedSetRight => self.value_in_trace(subject),
        }
    }

    fn value_in_trace(self, subject: Subject<'_>) -> Value {
        // Whether a span is a root, the span itself says.
        if self == Self::NestedSetParent && subject.span.parent_span_id.is_none() {
            return Value::Int(-1);
        }
        let Some((facts, nodes, at)) = subject.trace else { return Value::Nil };
        // Spans are numbered on the way down and again on the way up, from 1.
        let left = |at: usize| 2 * at as i64 + 1 - i64::from(nodes[at].depth);
        match self {
            Self::ChildCount => Value::Int(i64::from(nodes[at].children)),
            Self::TraceDuration => Value::Duration(facts.duration_ns),
            Self::RootName => facts.root_name.clone(),
            Self::RootServiceName => facts.root_service.clone(),
            Self::NestedSetParent => Value::Int(nodes[at].parent.map_or(0, |parent| left(parent as usize))),
            Self::NestedSetLeft => Value::Int(left(at)),
            Self::NestedSetRight => Value::Int(left(at) + 2 * (i64::from(nodes[at].end) - at as i64) - 1),
            _ => Value::Nil,
        }
    }
}

fn several(values: impl Iterator<Item = Value>) -> Value {
    let all: Vec<Value> = values.filter(|value| *value != Value::Nil).collect();
    if all.is_empty() { Value::Nil } else { Value::Many(all) }
}

fn resource(span: &SpanData, key: &str) -> Value {
    // The name of the service is always read.
    if key == crate::traces::SERVICE_NAME && !span.service.is_empty() {
        return Value::Text(Arc::clone(&span.service));
    }
    attribute(&span.resource, key)
}

fn attribute(attributes: &Attributes, key: &str) -> Value {
    attributes.get(key).map_or(Value::Nil, from_json)
}

fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => {
            n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Int)
        }
        Json::String(text) => Value::Text(text.as_str().into()),
        // What has no kind of its own here is compared by the text that shows it, as candidates are.
        Json::Array(_) | Json::Object(_) => Value::Text(json.to_string().into()),
    }
}

/// `Compare` of plain kinds, for the candidates' predicate.
pub(super) fn as_comparison(expr: &FieldExpr) -> Option<(CompareOp, &FieldRef, &Value)> {
    let FieldExpr::Compare(op, a, b) = expr else { return None };
    match (&**a, &**b) {
        (FieldExpr::Field(field), FieldExpr::Literal(value)) => Some((*op, field, value)),
        (FieldExpr::Literal(value), FieldExpr::Field(field)) => Some((op.flipped(), field, value)),
        _ => None,
    }
}
