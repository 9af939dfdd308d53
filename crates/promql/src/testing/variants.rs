//! The same query at other times: pinned with `@` to its own instant, a query answers the same whenever it
//! is asked, unless it looks at the time itself.

use crate::syntax::ast::{At, DurationExpr, DurationValue, Expr, ExprKind, VectorSelector};

/// Functions whose value depends on when they are asked, whatever their arguments. `info` looks for labels
/// around that time.
const TIME_FUNCTIONS: [&str; 16] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "end",
    "hour",
    "info",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// The pinned query and the instants to ask it at; none when it depends on when it is asked.
pub(super) fn pinned(expr: &Expr, t_ms: i64) -> Option<(String, Vec<i64>)> {
    let mut expr = expr.clone();
    if !pin(&mut expr, t_ms) {
        return None;
    }
    let times = match t_ms {
        0 => vec![-1000, 0, 1000],
        t => vec![t.saturating_mul(-10), 0, t / 5, t, t.saturating_mul(10)],
    };
    Some((expr.to_string(), times))
}

/// True when the query asks for its own start, end, range or step, which differ in a range query.
pub(super) fn looks_at_query(expr: &Expr) -> bool {
    any(expr, &|expr| match &expr.kind {
        ExprKind::Call(call) => matches!(call.func.name, "start" | "end" | "range" | "step"),
        ExprKind::Vector(selector) => selector_looks(selector),
        ExprKind::Matrix(matrix) => selector_looks(&matrix.selector) || computed(Some(&matrix.range)),
        ExprKind::Subquery(subquery) => {
            matches!(subquery.at, Some(At::Start | At::End))
                || computed(subquery.offset.as_ref())
                || computed(Some(&subquery.range))
                || computed(subquery.step.as_ref())
        }
        _ => false,
    })
}

fn selector_looks(selector: &VectorSelector) -> bool {
    matches!(selector.at, Some(At::Start | At::End)) || computed(selector.offset.as_ref())
}

/// True for durations that name the query's step or range.
fn computed(duration: Option<&DurationValue>) -> bool {
    fn names(expr: &DurationExpr) -> bool {
        match expr {
            DurationExpr::Number(_) => false,
            DurationExpr::Step | DurationExpr::Range => true,
            DurationExpr::Unary { expr, .. } | DurationExpr::Paren(expr) => names(expr),
            DurationExpr::Binary { lhs, rhs, .. } => names(lhs) || names(rhs),
            DurationExpr::Min(a, b) | DurationExpr::Max(a, b) => names(a) || names(b),
        }
    }
    matches!(duration, Some(DurationValue::Expr(expr)) if names(expr))
}

/// Pins every selector and outermost subquery; false when a function looks at the time.
fn pin(expr: &mut Expr, t_ms: i64) -> bool {
    let pin_at = |at: &mut Option<At>| {
        if !matches!(at, Some(At::Time(_))) {
            *at = Some(At::Time(t_ms));
        }
    };
    match &mut expr.kind {
        ExprKind::Vector(selector) => pin_at(&mut selector.at),
        ExprKind::Matrix(matrix) => pin_at(&mut matrix.selector.at),
        ExprKind::Subquery(subquery) => {
            // What is inside follows the subquery's own times.
            pin_at(&mut subquery.at);
            return !any(&subquery.expr, &is_time_function);
        }
        _ => {}
    }
    if is_time_function(expr) {
        return false;
    }
    let mut pure = true;
    for_children(expr, &mut |child| pure &= pin(child, t_ms));
    pure
}

fn is_time_function(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(call) if TIME_FUNCTIONS.binary_search(&call.func.name).is_ok())
}

fn any(expr: &Expr, found: &dyn Fn(&Expr) -> bool) -> bool {
    if found(expr) {
        return true;
    }
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => false,
        ExprKind::Paren(inner) => any(inner, found),
        ExprKind::Unary(unary) => any(&unary.expr, found),
        ExprKind::Binary(binary) => any(&binary.lhs, found) || any(&binary.rhs, found),
        ExprKind::Aggregate(aggregate) => {
            any(&aggregate.expr, found) || aggregate.param.as_ref().is_some_and(|param| any(param, found))
        }
        ExprKind::Call(call) => call.args.iter().any(|arg| any(arg, found)),
        ExprKind::Subquery(subquery) => any(&subquery.expr, found),
    }
}

fn for_children(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => {}
        ExprKind::Paren(inner) => visit(inner),
        ExprKind::Unary(unary) => visit(&mut unary.expr),
        ExprKind::Binary(binary) => {
            visit(&mut binary.lhs);
            visit(&mut binary.rhs);
        }
        ExprKind::Aggregate(aggregate) => {
            visit(&mut aggregate.expr);
            if let Some(param) = &mut aggregate.param {
                visit(param);
            }
        }
        ExprKind::Call(call) => call.args.iter_mut().for_each(visit),
        ExprKind::Subquery(subquery) => visit(&mut subquery.expr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    #[test]
    fn selectors_and_outermost_subqueries_are_pinned() {
        for (query, want) in [
            ("a + rate(b[5m])", Some("a @ 60.000 + rate(b[5m] @ 60.000)")),
            ("a @ 5", Some("a @ 5.000")),
            ("sum_over_time(a[5m:1m])", Some("sum_over_time(a[5m:1m] @ 60.000)")),
            ("a @ end()", Some("a @ 60.000")),
            ("time() + a", None),
            ("max_over_time(time()[5m:])", None),
        ] {
            let query = query.replace("time()[", "vector(time())[");
            let got = pinned(&parse(&query).expect("parses"), 60_000).map(|(query, _)| query);
            assert_eq!(got.as_deref(), want, "{query}");
        }
    }

    #[test]
    fn queries_that_look_at_themselves_are_recognised() {
        for (query, want) in [
            ("a[5m]", false),
            ("a[step()]", true),
            ("a @ start()", true),
            ("start() + 1", true),
            ("sum(a)", false),
        ] {
            assert_eq!(looks_at_query(&parse(query).expect("parses")), want, "{query}");
        }
    }
}
