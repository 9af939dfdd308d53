//! From a plan to its value over a grid: the walk over the tree.

use rayon::prelude::*;

use super::column::{Column, Grid, Series, histogram_size};
use super::context::Frame;
use super::error::QueryError;
use super::plan::{Plan, PlanKind};
use crate::syntax::ast::ValueType;

/// The value of a node over a grid.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A number per step.
    Scalar(Vec<f64>),
    Vector(Vec<Series>),
    String(String),
}

impl Frame<'_> {
    /// The value of a plan at every step. What does not depend on the step is computed once.
    pub(crate) fn evaluate(&self, plan: &Plan, grid: &Grid) -> Result<Outcome, QueryError> {
        self.check()?;
        let before = self.held();
        let outcome = if plan.invariant && grid.len > 1 {
            self.evaluate_at(plan, &grid.first())?.broadcast(grid.len)
        } else {
            self.evaluate_at(plan, grid)?
        };
        self.release_to(before);
        self.hold(outcome.weight())?;
        Ok(outcome)
    }

    fn evaluate_at(&self, plan: &Plan, grid: &Grid) -> Result<Outcome, QueryError> {
        match &plan.kind {
            PlanKind::Number(value) => Ok(Outcome::Scalar(vec![*value; grid.len])),
            PlanKind::String(text) => Ok(Outcome::String(text.clone())),
            PlanKind::Negate(inner) => Ok(self.evaluate(inner, grid)?.negate()),
            PlanKind::Binary(binary) => self.binary(binary, plan.pos, grid),
            PlanKind::Aggregate(aggregate) => Ok(Outcome::Vector(self.aggregate(aggregate, plan.pos, grid)?)),
            PlanKind::Selector(_) | PlanKind::RangeCall(_) => {
                let mut all = Vec::new();
                self.stream_leaf(plan, grid, &mut |part| self.keep(part, &mut all))?;
                Ok(Outcome::Vector(all))
            }
            PlanKind::Call(function, args) => {
                if grid.len > 1 {
                    self.note_sort_in_range(plan);
                }
                self.instant_call(*function, args, grid)
            }
            PlanKind::Range(_) => Err(QueryError::execution("cannot do range evaluation of matrix selector")),
        }
    }

    /// A plan whose type is scalar.
    pub(crate) fn scalar(&self, plan: &Plan, grid: &Grid) -> Result<Vec<f64>, QueryError> {
        match self.evaluate(plan, grid)? {
            Outcome::Scalar(values) => Ok(values),
            Outcome::Vector(_) | Outcome::String(_) => Err(type_error(ValueType::Scalar)),
        }
    }

    /// A plan whose type is instant vector.
    pub(crate) fn vector(&self, plan: &Plan, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        match self.evaluate(plan, grid)? {
            Outcome::Vector(series) => Ok(series),
            Outcome::Scalar(_) | Outcome::String(_) => Err(type_error(ValueType::Vector)),
        }
    }

    /// Gives the series of a plan in order, in parts that fit in memory where the plan allows it.
    pub(crate) fn stream(
        &self,
        plan: &Plan,
        grid: &Grid,
        sink: &mut dyn FnMut(Vec<Series>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match &plan.kind {
            PlanKind::Selector(_) | PlanKind::RangeCall(_) if !plan.invariant || grid.len <= 1 => {
                self.check()?;
                self.stream_leaf(plan, grid, sink)
            }
            _ => sink(self.vector(plan, grid)?),
        }
    }

    /// The same for the nodes that read series.
    fn stream_leaf(
        &self,
        plan: &Plan,
        grid: &Grid,
        sink: &mut dyn FnMut(Vec<Series>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match &plan.kind {
            PlanKind::Selector(selector) => self.stream_selector(selector, plan.pos, grid, sink),
            PlanKind::RangeCall(call) => self.stream_range_call(call, grid, sink),
            _ => sink(self.vector(plan, grid)?),
        }
    }
}

impl Outcome {
    /// Memory in samples: columns take their room whether or not a step has a value.
    fn weight(&self) -> u64 {
        match self {
            Self::Scalar(values) => values.len() as u64,
            Self::String(_) => 0,
            Self::Vector(series) => series.iter().map(|s| column_weight(&s.column)).sum(),
        }
    }

    /// A one-step value at every step of a longer grid.
    fn broadcast(self, len: usize) -> Self {
        match self {
            Self::Scalar(values) => Self::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); len]),
            Self::String(text) => Self::String(text),
            Self::Vector(mut series) => {
                for one in &mut series {
                    one.column = one.column.broadcast(len);
                }
                Self::Vector(series)
            }
        }
    }

    fn negate(self) -> Self {
        match self {
            Self::Scalar(values) => Self::Scalar(values.into_iter().map(|v| -v).collect()),
            Self::String(text) => Self::String(text),
            Self::Vector(mut series) => {
                series.par_iter_mut().for_each(|one| {
                    one.drop_name = true;
                    for value in &mut one.column.values {
                        *value = -*value;
                    }
                    for (_, h) in &mut one.column.histograms {
                        *h = super::native::scaled(h, -1.0);
                    }
                });
                Self::Vector(series)
            }
        }
    }
}

/// Samples that a column takes the memory of.
pub(crate) fn column_weight(column: &Column) -> u64 {
    column.len() as u64 + column.histograms.iter().map(|(_, h)| histogram_size(h)).sum::<u64>()
}

/// The parser checks types, so this is a fault of whoever built the tree by hand.
fn type_error(wanted: ValueType) -> QueryError {
    QueryError::execution(format!("expected type {}", wanted.as_str()))
}
