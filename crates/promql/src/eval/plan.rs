//! A query made ready: durations and times are numbers, parentheses are gone, and every node knows whether
//! its value depends on the instant of the evaluation.

use model::Matcher;

use super::functions::{InstantFunction, RangeFunction};
use crate::syntax::ast::{AggregateOp, BinaryOp, Pos, ValueType, VectorMatching};

/// A node with its place in the text.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: PlanKind,
    pub(crate) pos: Pos,
    pub(crate) value_type: ValueType,
    /// The value is the same at every instant, so that one evaluation is enough.
    pub(crate) invariant: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum PlanKind {
    Number(f64),
    String(String),
    Negate(Box<Plan>),
    Binary(Box<BinaryPlan>),
    Aggregate(Box<AggregatePlan>),
    Selector(Selector),
    /// Only as the argument of a range function, or as the whole of an instant query.
    Range(Box<RangePlan>),
    RangeCall(Box<RangeCall>),
    Call(InstantFunction, Vec<Plan>),
}

#[derive(Clone, Debug)]
pub(crate) struct BinaryPlan {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Plan,
    pub(crate) rhs: Plan,
    pub(crate) matching: Option<VectorMatching>,
    pub(crate) return_bool: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct AggregatePlan {
    pub(crate) op: AggregateOp,
    pub(crate) expr: Plan,
    pub(crate) param: Option<Plan>,
    /// Sorted.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

/// Series by matchers, and where in time to look.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) when: When,
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
    /// Of histograms only count and sum are asked for.
    pub(crate) stats_only: bool,
}

/// The shift from the instant of an evaluation to the instant looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct When {
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
}

impl When {
    /// The instant looked at.
    pub(crate) fn resolve(&self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms).saturating_sub(self.offset_ms)
    }
}

/// A range vector: raw samples, or an expression evaluated on a grid of its own.
#[derive(Clone, Debug)]
pub(crate) struct RangePlan {
    pub(crate) range_ms: i64,
    pub(crate) source: RangeSource,
}

#[derive(Clone, Debug)]
pub(crate) enum RangeSource {
    Selector(Selector),
    Subquery { expr: Plan, step_ms: i64, when: When },
}

impl RangePlan {
    pub(crate) fn when(&self) -> When {
        match &self.source {
            RangeSource::Selector(selector) => selector.when,
            RangeSource::Subquery { when, .. } => *when,
        }
    }

    pub(crate) fn selector(&self) -> Option<&Selector> {
        match &self.source {
            RangeSource::Selector(selector) => Some(selector),
            RangeSource::Subquery { .. } => None,
        }
    }
}

/// A function over a range vector.
#[derive(Clone, Debug)]
pub(crate) struct RangeCall {
    pub(crate) function: RangeFunction,
    pub(crate) range: RangePlan,
    /// The scalar arguments in order.
    pub(crate) scalars: Vec<Plan>,
    /// The place of the first argument, whichever it is: annotations name it.
    pub(crate) first_pos: Pos,
}
