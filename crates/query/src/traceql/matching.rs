//! Spans that come out of a query, one after the other, and what values their fields have.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::ast::{AttributeScope, FieldRef, Intrinsic, Query, SpansetExpr, Stage};
use super::eval::{Subject, TraceFacts};
use super::select::{candidates, necessary};
use super::spanset::evaluate;
use super::value::Value;
use crate::control::Control;
use crate::error::QueryFault;
use crate::traces::{
    CANDIDATES_MAX, Find, Scan, SpanData, SpanKind, SpanSource, SpanStatus, TraceOrder, Want, find_traces,
};

/// Spans looked at for the values of a field.
const LOOKED_AT_MAX: usize = 500_000;

/// What is done with a span; it may say that it has seen enough.
type Take<'a> = dyn FnMut(Subject<'_>) -> Result<ControlFlow<()>, QueryFault> + 'a;

/// Shows every span that comes out of the query's pipeline and begins in the range, newest slices first. `want`
/// has at least what the query speaks of; `field` is one more that is looked at.
pub(super) fn matching(
    source: &dyn SpanSource,
    query: &Query,
    (start_ns, end_ns): (i64, i64),
    want: &Want,
    control: &Control,
    field: Option<&FieldRef>,
    take: &mut Take<'_>,
) -> Result<(), QueryFault> {
    let mut needs_trace = field.is_some_and(FieldRef::needs_trace);
    query.fields(&mut |field| needs_trace |= field.needs_trace());
    match query.stages.as_slice() {
        // A span alone tells whether it counts.
        [Stage::Spans(SpansetExpr::Selector(expr)), rest @ ..]
            if !needs_trace && rest.iter().all(|stage| matches!(stage, Stage::Select(_))) =>
        {
            let predicate = candidates(expr);
            let scan = Scan { predicate: &predicate, start_ns, end_ns, want, control };
            source.scan(&scan, &mut |batch| {
                for span in &batch.spans {
                    let subject = Subject { span, trace: None };
                    if expr.holds(subject) && take(subject)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            })
        }
        stages => {
            let predicate = necessary(stages);
            let (order, limit) = (TraceOrder::Recent, usize::MAX);
            let find = Find { predicate: &predicate, start_ns, end_ns, want, order, limit, control };
            let (mut enough, mut traces) = (false, 0);
            find_traces(source, &find, &mut |trace| {
                traces += 1;
                if traces >= CANDIDATES_MAX {
                    return Err(QueryFault::Limit(format!(
                        "more than {CANDIDATES_MAX} traces to look at: ask for a shorter range or a narrower selector"
                    )));
                }
                if enough {
                    return Ok(None::<()>);
                }
                let facts = TraceFacts::of(&trace);
                for at in evaluate(stages, &trace).iter().flat_map(|set| &set.spans) {
                    let at = *at as usize;
                    let span = &trace.spans[at];
                    let subject = Subject { span, trace: Some((&facts, &trace.nodes, at)) };
                    let inside = (start_ns..end_ns).contains(&span.start_ns);
                    if inside && take(subject)?.is_break() {
                        enough = true;
                        break;
                    }
                }
                Ok(None)
            })?;
            Ok(())
        }
    }
}

/// Shows every span that comes out of the query's pipeline and begins in the range, without its attributes unless
/// the query speaks of them.
pub fn each_span(
    source: &dyn SpanSource,
    query: &Query,
    range_ns: (i64, i64),
    control: &Control,
    visit: &mut dyn FnMut(&SpanData),
) -> Result<(), QueryFault> {
    matching(source, query, range_ns, &query.want(), control, None, &mut |subject| {
        visit(subject.span);
        Ok(ControlFlow::Continue(()))
    })
}

/// Distinct values of a field of the spans that a query finds, most frequent first: all there are of what has few,
/// else what the newest spans have.
pub fn values(
    source: &dyn SpanSource,
    query: &Query,
    field: &FieldRef,
    range_ns: (i64, i64),
    limit: usize,
    control: &Control,
) -> Result<Vec<Value>, QueryFault> {
    match field {
        FieldRef::Intrinsic(Intrinsic::Status) => return Ok(SpanStatus::ALL.map(Value::Status).into()),
        FieldRef::Intrinsic(Intrinsic::Kind) => return Ok(SpanKind::ALL.map(Value::Kind).into()),
        _ => {}
    }
    let mut want = query.want();
    field.want(&mut want);
    let mut counts: HashMap<String, (u64, Value)> = HashMap::new();
    let mut looked_at = 0;
    matching(source, query, range_ns, &want, control, Some(field), &mut |subject| {
        looked_at += 1;
        let several = match field.value(subject) {
            Value::Nil => Vec::new(),
            Value::Many(all) => all,
            one => vec![one],
        };
        for value in several {
            let key = format!("{value:?}");
            let room = counts.len() < 10 * limit;
            if room || counts.contains_key(&key) {
                counts.entry(key).or_insert((0, value)).0 += 1;
            }
        }
        Ok(if looked_at < LOOKED_AT_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    let mut counted: Vec<(String, (u64, Value))> = counts.into_iter().collect();
    counted.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    Ok(counted.into_iter().take(limit).map(|(_, (_, value))| value).collect())
}

impl FieldRef {
    /// A field as tag lists name it: `name`, `span.http.method`, `.x`, or a bare key without scope.
    pub fn parse_tag(text: &str) -> Option<Self> {
        let attribute = |scope, key: &str| (!key.is_empty()).then(|| Self::Attribute(scope, key.into()));
        if let Some(intrinsic) = Intrinsic::parse(text) {
            return Some(Self::Intrinsic(intrinsic));
        }
        let scopes = [
            ("span.", AttributeScope::Span),
            ("resource.", AttributeScope::Resource),
            ("event.", AttributeScope::Event),
            ("link.", AttributeScope::Link),
            ("instrumentation.", AttributeScope::Span),
            (".", AttributeScope::Any),
        ];
        match scopes.iter().find_map(|(prefix, scope)| Some((scope, text.strip_prefix(prefix)?))) {
            Some((scope, key)) => attribute(*scope, key.trim_matches('"')),
            None => attribute(AttributeScope::Any, text),
        }
    }
}
