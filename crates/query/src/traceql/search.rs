//! Traces that match a query.

use std::sync::Arc;

use super::ast::{FieldExpr, FieldRef, Function, MetricsQuery, Query, Scalar, SpansetExpr, Stage};
use super::eval::{Subject, TraceFacts};
use super::select::{is_elsewhere, necessary};
use super::spanset::evaluate;
use super::value::Value;
use crate::control::Control;
use crate::error::QueryFault;
use crate::traces::{AROUND_NS, Find, SpanId, SpanSource, Summary, Trace, TraceOrder, Want, find_traces};

/// What to answer.
#[derive(Clone, Debug)]
pub struct SearchSpec<'a> {
    /// The query; its functions over time are not looked at.
    pub query: &'a Query,
    /// A span that matches begins at this time or later, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// It begins before this time.
    pub end_ns: i64,
    /// Shortest and longest duration of the traces, nanoseconds.
    pub duration_ns: (i64, i64),
    /// Which come first.
    pub order: TraceOrder,
    /// How many traces.
    pub limit: usize,
    /// How many spans of every list are shown.
    pub spans: usize,
    /// When to stop.
    pub control: &'a Control,
}

/// A trace that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundTrace {
    /// The trace.
    pub summary: Summary,
    /// Lists of spans that came out of the pipeline.
    pub spansets: Vec<FoundSpanset>,
}

/// Spans that came out together.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundSpanset {
    /// How many there are.
    pub matched: usize,
    /// By what they were put together.
    pub by: Vec<(String, Value)>,
    /// The first of them.
    pub spans: Vec<FoundSpan>,
}

/// A span that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundSpan {
    /// The span.
    pub span_id: SpanId,
    /// The operation.
    pub name: Arc<str>,
    /// When it began, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// How long it took.
    pub duration_ns: i64,
    /// The fields that the query speaks of, where the span has them.
    pub fields: Vec<(String, Value)>,
}

/// Finds traces: candidates by predicate, then every one exactly.
pub fn search(source: &dyn SpanSource, spec: &SearchSpec<'_>) -> Result<Vec<FoundTrace>, QueryFault> {
    let predicate = necessary(&spec.query.stages);
    let (want, fields) = (spec.query.want(), spec.query.shown());
    // The span by which a trace is found may lie as far from those that count as others of a trace do.
    let around_ns = if is_elsewhere(&spec.query.stages) { AROUND_NS } else { 0 };
    let find = Find {
        predicate: &predicate,
        start_ns: spec.start_ns.saturating_sub(around_ns),
        end_ns: spec.end_ns.saturating_add(around_ns),
        want: &want,
        order: spec.order,
        limit: spec.limit,
        control: spec.control,
    };
    find_traces(source, &find, &mut |trace| {
        let (min_ns, max_ns) = spec.duration_ns;
        if !(min_ns..=max_ns).contains(&trace.duration_ns()) {
            return Ok(None);
        }
        let spansets = evaluate(&spec.query.stages, &trace);
        let starts = spansets.iter().flat_map(|set| &set.spans).map(|at| trace.spans[*at as usize].start_ns);
        if !starts.into_iter().any(|start_ns| (spec.start_ns..spec.end_ns).contains(&start_ns)) {
            return Ok(None);
        }
        let facts = TraceFacts::of(&trace);
        let shown = spansets.into_iter().map(|set| FoundSpanset {
            matched: set.spans.len(),
            by: set.by,
            spans: set.spans.iter().take(spec.spans).map(|at| show(&trace, &facts, *at, &fields)).collect(),
        });
        Ok(Some(FoundTrace { spansets: shown.collect(), summary: Summary::of(&trace) }))
    })
}

fn show(trace: &Trace, facts: &TraceFacts, at: u32, fields: &[FieldRef]) -> FoundSpan {
    let span = &trace.spans[at as usize];
    let subject = Subject { span, trace: Some((facts, &trace.nodes, at as usize)) };
    let fields = fields.iter().map(|field| (field.label(), field.value(subject)));
    FoundSpan {
        span_id: span.span_id,
        name: Arc::clone(&span.name),
        start_ns: span.start_ns,
        duration_ns: span.duration_ns,
        fields: fields.filter(|(_, value)| *value != Value::Nil).collect(),
    }
}

impl FieldRef {
    /// The name that lists show: the key alone of an attribute.
    fn label(&self) -> String {
        match self {
            Self::Intrinsic(intrinsic) => intrinsic.as_str().to_owned(),
            Self::Attribute(_, key) => key.to_string(),
        }
    }
}

impl Query {
    /// Shows every field that the query speaks of.
    pub(super) fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        self.stages.iter().for_each(|stage| stage.fields(visit));
        if let Some(metrics) = &self.metrics {
            metrics.fields(visit);
        }
    }

    /// What must be read of spans.
    pub(super) fn want(&self) -> Want {
        let mut want = Want::default();
        self.fields(&mut |field| field.want(&mut want));
        want
    }

    /// Fields that lists show, each once.
    fn shown(&self) -> Vec<FieldRef> {
        let mut fields = Vec::new();
        self.fields(&mut |field| {
            // Every list has these anyway.
            let own = matches!(field.label().as_str(), "name" | "duration" | "trace:id" | "span:id");
            if !own && !fields.contains(field) {
                fields.push(field.clone());
            }
        });
        fields
    }
}

impl MetricsQuery {
    fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        self.by.iter().for_each(&mut *visit);
        match &self.function {
            Function::Rate | Function::CountOverTime => {}
            Function::MinOverTime(expr)
            | Function::MaxOverTime(expr)
            | Function::AvgOverTime(expr)
            | Function::SumOverTime(expr)
            | Function::QuantileOverTime(expr, _)
            | Function::HistogramOverTime(expr) => expr.fields(visit),
        }
    }
}

impl Stage {
    fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        match self {
            Self::Spans(expr) => expr.fields(visit),
            Self::Scalar(left, _, right) => {
                left.fields(visit);
                right.fields(visit);
            }
            Self::By(expr) => expr.fields(visit),
            Self::Coalesce => {}
            Self::Select(fields) => fields.iter().for_each(visit),
        }
    }
}

impl SpansetExpr {
    fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        match self {
            Self::Selector(expr) => expr.fields(visit),
            Self::Both(all) | Self::Either(all) => all.iter().for_each(|one| one.fields(visit)),
            Self::Related { left, right, .. } => {
                left.fields(visit);
                right.fields(visit);
            }
            Self::Pipeline(stages) => stages.iter().for_each(|stage| stage.fields(visit)),
        }
    }
}

impl Scalar {
    fn fields(&self, visit: &mut dyn FnMut(&FieldRef)) {
        match self {
            Self::Literal(_) => {}
            Self::Aggregate(_, expr) => {
                if let Some(expr) = expr {
                    FieldExpr::fields(expr, visit);
                }
            }
            Self::Math(_, left, right) => {
                left.fields(visit);
                right.fields(visit);
            }
        }
    }
}
