//! From the syntax tree to a plan for one query.

use super::durations::DurationScope;
use super::error::QueryError;
use super::functions::{ANCHORED, InstantFunction, RangeFunction, SMOOTHED};
use super::plan::{
    AggregatePlan, BinaryPlan, Plan, PlanKind, RangeCall, RangePlan, RangeSource, Selector, When,
};
use crate::syntax::ast::{
    AggregateExpr, At, BinaryExpr, Call, DurationValue, Expr, ExprKind, MatrixSelector, Pos, SubqueryExpr,
    ValueType, VectorSelector,
};

/// The instants of the whole query, which `@ start()`, `step()` and their like refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparation {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// 0 for an instant query.
    pub(crate) step_ms: i64,
    /// Step of subqueries that state none.
    pub(crate) subquery_step_ms: i64,
}

impl Preparation {
    pub(crate) fn plan(&self, expr: &Expr) -> Result<Plan, QueryError> {
        let pos = expr.pos;
        match &expr.kind {
            ExprKind::Paren(inner) => self.plan(inner),
            ExprKind::Number(number) => Ok(number_plan(number.value, pos)),
            ExprKind::String(text) => Ok(Plan {
                kind: PlanKind::String(text.clone()),
                pos,
                value_type: ValueType::String,
                invariant: true,
            }),
            ExprKind::Unary(unary) => {
                let inner = self.plan(&unary.expr)?;
                if !unary.negative {
                    return Ok(inner);
                }
                let (value_type, invariant) = (inner.value_type, inner.invariant);
                Ok(Plan { kind: PlanKind::Negate(Box::new(inner)), pos, value_type, invariant })
            }
            ExprKind::Binary(binary) => self.binary(binary, pos),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, pos),
            ExprKind::Call(call) => self.call(call, pos),
            ExprKind::Vector(selector) => {
                let selector = self.selector(selector, pos)?;
                let invariant = selector.when.at_ms.is_some();
                Ok(Plan { kind: PlanKind::Selector(selector), pos, value_type: ValueType::Vector, invariant })
            }
            ExprKind::Matrix(matrix) => Ok(range_plan(self.matrix(matrix, pos)?, pos)),
            ExprKind::Subquery(subquery) => Ok(range_plan(self.subquery(subquery, pos)?, pos)),
        }
    }

    fn binary(&self, binary: &BinaryExpr, pos: Pos) -> Result<Plan, QueryError> {
        let (lhs, rhs) = (self.plan(&binary.lhs)?, self.plan(&binary.rhs)?);
        let scalars = lhs.value_type == ValueType::Scalar && rhs.value_type == ValueType::Scalar;
        let value_type = if scalars { ValueType::Scalar } else { ValueType::Vector };
        let invariant = lhs.invariant && rhs.invariant;
        let matching = binary.matching.clone();
        let kind = PlanKind::Binary(Box::new(BinaryPlan {
            op: binary.op,
            lhs,
            rhs,
            matching,
            return_bool: binary.return_bool,
        }));
        Ok(Plan { kind, pos, value_type, invariant })
    }

    fn aggregate(&self, aggregate: &AggregateExpr, pos: Pos) -> Result<Plan, QueryError> {
        let expr = self.plan(&aggregate.expr)?;
        let param = aggregate.param.as_ref().map(|p| self.plan(p)).transpose()?;
        let invariant = expr.invariant && param.as_ref().is_none_or(|p| p.invariant);
        let mut grouping = aggregate.grouping.clone();
        grouping.sort_unstable();
        let kind = PlanKind::Aggregate(Box::new(AggregatePlan {
            op: aggregate.op,
            expr,
            param,
            grouping,
            without: aggregate.without,
        }));
        Ok(Plan { kind, pos, value_type: ValueType::Vector, invariant })
    }

    fn call(&self, call: &Call, pos: Pos) -> Result<Plan, QueryError> {
        let name = call.func.name;
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let folded = match name {
            "pi" => Some(std::f64::consts::PI),
            "start" => Some(seconds(self.start_ms)),
            "end" => Some(seconds(self.end_ms)),
            "range" => Some(seconds(self.end_ms.saturating_sub(self.start_ms))),
            "step" => Some(if self.start_ms == self.end_ms { 0.0 } else { seconds(self.step_ms) }),
            _ => None,
        };
        if let Some(value) = folded {
            return Ok(number_plan(value, pos));
        }
        if let Some(function) = RangeFunction::from_name(name) {
            return self.range_call(function, call, pos);
        }
        let function = InstantFunction::from_name(name)
            .ok_or_else(|| QueryError::execution(format!("unknown function with name {name:?}")))?;
        let args = call.args.iter().map(|arg| self.plan(arg)).collect::<Result<Vec<_>, _>>()?;
        let invariant = !function.depends_on_instant() && args.iter().all(|arg| arg.invariant);
        let value_type = call.func.returns;
        Ok(Plan { kind: PlanKind::Call(function, args), pos, value_type, invariant })
    }

    fn range_call(&self, function: RangeFunction, call: &Call, pos: Pos) -> Result<Plan, QueryError> {
        let mut range = None;
        let mut scalars = Vec::new();
        let mut first_pos = None;
        for arg in &call.args {
            let plan = self.plan(arg)?;
            first_pos.get_or_insert(plan.pos);
            match plan.kind {
                PlanKind::Range(inner) => range = Some((*inner, plan.invariant)),
                _ => scalars.push(plan),
            }
        }
        let name = call.func.name;
        let Some((range, range_invariant)) = range else {
            return Err(QueryError::execution(format!("{name} needs a range vector")));
        };
        if let Some(selector) = range.selector() {
            check_modifier("anchored", selector.anchored, &ANCHORED, name)?;
            check_modifier("smoothed", selector.smoothed, &SMOOTHED, name)?;
        }
        let first_pos = first_pos.unwrap_or(pos);
        let invariant =
            !function.depends_on_instant() && range_invariant && scalars.iter().all(|s| s.invariant);
        let kind = PlanKind::RangeCall(Box::new(RangeCall { function, range, scalars, first_pos }));
        Ok(Plan { kind, pos, value_type: ValueType::Vector, invariant })
    }

    fn selector(&self, selector: &VectorSelector, pos: Pos) -> Result<Selector, QueryError> {
        Ok(Selector {
            matchers: selector.matchers.clone(),
            when: self.when(selector.offset.as_ref(), selector.at, pos)?,
            anchored: selector.anchored,
            smoothed: selector.smoothed,
            stats_only: false,
        })
    }

    fn when(&self, offset: Option<&DurationValue>, at: Option<At>, pos: Pos) -> Result<When, QueryError> {
        let offset_ms = offset.map_or(Ok(0), |offset| self.scope().signed(offset, pos))?;
        let at_ms = at.map(|at| match at {
            At::Time(t_ms) => t_ms,
            At::Start => self.start_ms,
            At::End => self.end_ms,
        });
        Ok(When { offset_ms, at_ms })
    }

    fn matrix(&self, matrix: &MatrixSelector, pos: Pos) -> Result<RangePlan, QueryError> {
        let range_pos = Pos { start: matrix.selector_pos.end + 1, end: pos.end.saturating_sub(1) };
        Ok(RangePlan {
            range_ms: self.scope().positive(&matrix.range, range_pos)?,
            source: RangeSource::Selector(self.selector(&matrix.selector, pos)?),
        })
    }

    fn subquery(&self, subquery: &SubqueryExpr, pos: Pos) -> Result<RangePlan, QueryError> {
        let scope = self.scope();
        let range_pos = Pos { start: subquery.expr.pos.end + 1, end: pos.end.saturating_sub(1) };
        let stated = subquery.step.as_ref().map(|step| scope.positive(step, range_pos)).transpose()?;
        let step_ms = stated.filter(|step| *step > 0).unwrap_or(self.subquery_step_ms).max(1);
        Ok(RangePlan {
            range_ms: scope.positive(&subquery.range, range_pos)?,
            source: RangeSource::Subquery {
                expr: self.plan(&subquery.expr)?,
                step_ms,
                when: self.when(subquery.offset.as_ref(), subquery.at, pos)?,
            },
        })
    }

    fn scope(&self) -> DurationScope {
        DurationScope { step_ms: self.step_ms, range_ms: self.end_ms.saturating_sub(self.start_ms) }
    }
}

fn number_plan(value: f64, pos: Pos) -> Plan {
    Plan { kind: PlanKind::Number(value), pos, value_type: ValueType::Scalar, invariant: true }
}

fn range_plan(range: RangePlan, pos: Pos) -> Plan {
    let invariant = range.when().at_ms.is_some();
    Plan { kind: PlanKind::Range(Box::new(range)), pos, value_type: ValueType::Matrix, invariant }
}

fn check_modifier(modifier: &str, used: bool, allowed: &[&str], name: &str) -> Result<(), QueryError> {
    if used && !allowed.contains(&name) {
        let allowed = allowed.join(", ");
        return Err(QueryError::execution(format!(
            "{modifier} modifier can only be used with: {allowed} - not with {name}"
        )));
    }
    Ok(())
}
