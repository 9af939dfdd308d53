//! Histograms of which only count and sum are asked for.
//!
//! Below `histogram_count`, `histogram_sum` and `histogram_avg` buckets need not be copied, added up or kept.
//! What they tell about counter resets is found when a series is read, and left in the hints.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, SampleColumns};

use super::functions::InstantFunction;
use super::native::detect_reset;
use super::plan::{Plan, PlanKind, RangePlan, RangeSource, Selector};
use crate::syntax::ast::BinaryOp;

/// What the nodes above a selector ask of its histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Nothing in particular.
    Open,
    CountAndSum,
    /// The buckets too; whatever stands in between.
    Buckets,
}

/// Marks the selectors whose histograms need no buckets.
pub(crate) fn mark(plan: &mut Plan) {
    visit(plan, Asked::Open);
}

fn visit(plan: &mut Plan, asked: Asked) {
    match &mut plan.kind {
        PlanKind::Number(_) | PlanKind::String(_) => {}
        PlanKind::Negate(inner) => visit(inner, asked),
        PlanKind::Binary(binary) => {
            let asked = if compares_buckets(binary.op) { Asked::Buckets } else { asked };
            visit(&mut binary.lhs, asked);
            visit(&mut binary.rhs, asked);
        }
        PlanKind::Aggregate(aggregate) => {
            visit(&mut aggregate.expr, asked);
            aggregate.param.iter_mut().for_each(|param| visit(param, asked));
        }
        PlanKind::Selector(selector) => visit_selector(selector, asked),
        PlanKind::Range(range) => visit_range(range, asked),
        PlanKind::RangeCall(call) => {
            visit_range(&mut call.range, asked);
            call.scalars.iter_mut().for_each(|scalar| visit(scalar, asked));
        }
        PlanKind::Call(function, args) => {
            let asked = match function {
                _ if asked == Asked::Buckets => asked,
                InstantFunction::HistogramMap { buckets: false, .. } => Asked::CountAndSum,
                InstantFunction::HistogramMap { buckets: true, .. }
                | InstantFunction::HistogramQuantile
                | InstantFunction::HistogramQuantiles
                | InstantFunction::HistogramFraction => Asked::Buckets,
                _ => asked,
            };
            args.iter_mut().for_each(|arg| visit(arg, asked));
        }
    }
}

/// Operators that look at more of a histogram than its count and sum.
fn compares_buckets(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower | BinaryOp::Eql | BinaryOp::Neq)
}

fn visit_range(range: &mut RangePlan, asked: Asked) {
    match &mut range.source {
        RangeSource::Selector(selector) => visit_selector(selector, asked),
        // Resets between the steps of a subquery show in its buckets alone.
        RangeSource::Subquery { expr, .. } => visit(expr, Asked::Buckets),
    }
}

fn visit_selector(selector: &mut Selector, asked: Asked) {
    selector.stats_only = asked == Asked::CountAndSum;
}

/// Reduces the histograms of a series to hint, count and sum. A hint that was unknown is told from the
/// histogram before.
pub(crate) fn reduce(samples: &mut SampleColumns) {
    let mut before: Option<Arc<FloatHistogram>> = None;
    for h in &mut samples.histograms {
        if h.is_stale() {
            continue;
        }
        let hint = match (&before, h.counter_reset_hint) {
            (Some(before), CounterResetHint::Unknown) if detect_reset(h, before) => CounterResetHint::Reset,
            (Some(_), CounterResetHint::Unknown) => CounterResetHint::NotReset,
            (_, hint) => hint,
        };
        let reduced = FloatHistogram {
            counter_reset_hint: hint,
            count: h.count,
            sum: h.sum,
            // The kind of buckets stays known: what does not fit together still does not.
            schema: h.schema,
            custom_bounds: h.custom_bounds.clone(),
            ..FloatHistogram::default()
        };
        before = Some(std::mem::replace(h, Arc::new(reduced)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::prepare::Preparation;
    use crate::syntax::parse;

    #[test]
    fn buckets_are_left_out_only_where_nothing_needs_them() {
        let preparation = Preparation { start_ms: 0, end_ms: 0, step_ms: 0, subquery_step_ms: 60_000 };
        for (query, want) in [
            ("h", 0),
            ("histogram_count(h)", 1),
            ("histogram_sum(rate(h[5m]))", 1),
            ("histogram_avg(sum(h) / histogram_count(h))", 2),
            ("histogram_count(rate(h[5m:1m]))", 0),
            ("histogram_quantile(0.5, h unless histogram_count(h) == 0)", 0),
            ("histogram_count(h unless histogram_quantile(0.5, h) < 3)", 1),
            ("histogram_stddev(h)", 0),
            ("histogram_count(h </ 5)", 0),
        ] {
            let mut plan = preparation.plan(&parse(query).expect("parses")).expect("plans");
            mark(&mut plan);
            let marked = format!("{plan:?}").matches("stats_only: true").count();
            assert_eq!(marked, want, "{query}");
        }
    }
}
