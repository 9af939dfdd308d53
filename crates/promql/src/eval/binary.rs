//! Binary operators on single elements, and between a vector and a scalar.

use std::sync::Arc;

use model::FloatHistogram;
use rayon::prelude::*;

use super::annotations::{HistogramOperation, Note};
use super::column::{Cell, Column, Grid, Series};
use super::context::Frame;
use super::error::QueryError;
use super::evaluate::Outcome;
use super::native;
use super::plan::BinaryPlan;
use crate::histogram::{trim_lower, trim_upper};
use crate::syntax::ast::{BinaryOp, Pos};

impl Frame<'_> {
    pub(crate) fn binary(&self, plan: &BinaryPlan, pos: Pos, grid: &Grid) -> Result<Outcome, QueryError> {
        let lhs = self.evaluate(&plan.lhs, grid)?;
        let rhs = self.evaluate(&plan.rhs, grid)?;
        match (lhs, rhs) {
            (Outcome::Scalar(a), Outcome::Scalar(b)) => {
                let values = a.iter().zip(&b).map(|(a, b)| scalars(plan.op, *a, *b)).collect();
                Ok(Outcome::Scalar(values))
            }
            (Outcome::Vector(series), Outcome::Scalar(scalar)) => {
                Ok(Outcome::Vector(self.with_scalar(plan, pos, series, &scalar, false)))
            }
            (Outcome::Scalar(scalar), Outcome::Vector(series)) => {
                Ok(Outcome::Vector(self.with_scalar(plan, pos, series, &scalar, true)))
            }
            (Outcome::Vector(lhs), Outcome::Vector(rhs)) => {
                if plan.op.is_set() {
                    Ok(Outcome::Vector(self.set_operation(plan, lhs, rhs, grid)?))
                } else {
                    Ok(Outcome::Vector(self.vectors(plan, pos, lhs, rhs, grid)?))
                }
            }
            (Outcome::String(_), _) | (_, Outcome::String(_)) => Err(QueryError::execution(
                "binary expression must contain only scalar and instant vector types",
            )),
        }
    }

    /// A vector and a scalar. `swapped` when the scalar is on the left.
    fn with_scalar(
        &self,
        plan: &BinaryPlan,
        pos: Pos,
        mut series: Vec<Series>,
        scalar: &[f64],
        swapped: bool,
    ) -> Vec<Series> {
        let op = FloatOp::of(plan.op);
        let drops_name = changes_metric(plan.op) || plan.return_bool;
        series.par_iter_mut().for_each(|one| {
            one.drop_name |= drops_name;
            let column = &mut one.column;
            self.floats_with_scalar(&op, plan, pos, column, scalar, swapped);
            if !column.histograms.is_empty() {
                let histograms = std::mem::take(&mut column.histograms);
                for (step, h) in histograms {
                    let number = Cell::Float(scalar[step as usize]);
                    let h = Cell::Histogram(h);
                    let (a, b) = if swapped { (number, h) } else { (h, number) };
                    match cells(plan.op, &a, &b) {
                        Ok((Cell::Histogram(h), true, _)) => column.histograms.push((step, h)),
                        Ok(_) => {}
                        Err(mismatch) => mismatch.note(self, plan.op, pos),
                    }
                }
            }
        });
        series.retain(|one| !one.column.is_empty());
        series
    }

    fn floats_with_scalar(
        &self,
        op: &FloatOp,
        plan: &BinaryPlan,
        pos: Pos,
        column: &mut Column,
        scalar: &[f64],
        swapped: bool,
    ) {
        match op {
            FloatOp::Arithmetic(op) => {
                for (value, scalar) in column.values.iter_mut().zip(scalar) {
                    *value = if swapped { op(*scalar, *value) } else { op(*value, *scalar) };
                }
            }
            FloatOp::Comparison(op) => {
                let holds = |value: f64, scalar: f64| {
                    if swapped { op(scalar, value) } else { op(value, scalar) }
                };
                for (step, (value, scalar)) in column.values.iter_mut().zip(scalar).enumerate() {
                    let holds = holds(*value, *scalar);
                    if plan.return_bool {
                        *value = f64::from(holds);
                    } else if !holds {
                        column.floats.clear(step);
                    }
                }
            }
            FloatOp::None => {
                if !column.floats.is_empty() {
                    Mismatch::Types("float", "float").note(self, plan.op, pos);
                    column.floats = super::bits::Bits::none(column.len());
                }
            }
        }
    }
}

/// What an operator does to two floats.
pub(crate) enum FloatOp {
    Arithmetic(fn(f64, f64) -> f64),
    Comparison(fn(f64, f64) -> bool),
    /// It is for histograms only.
    None,
}

impl FloatOp {
    pub(crate) fn of(op: BinaryOp) -> Self {
        match op {
            BinaryOp::Add => Self::Arithmetic(|a, b| a + b),
            BinaryOp::Sub => Self::Arithmetic(|a, b| a - b),
            BinaryOp::Mul => Self::Arithmetic(|a, b| a * b),
            BinaryOp::Div => Self::Arithmetic(|a, b| a / b),
            BinaryOp::Mod => Self::Arithmetic(|a, b| a % b),
            BinaryOp::Pow => Self::Arithmetic(f64::powf),
            BinaryOp::Atan2 => Self::Arithmetic(f64::atan2),
            BinaryOp::Eql => Self::Comparison(|a, b| a == b),
            BinaryOp::Neq => Self::Comparison(|a, b| a != b),
            BinaryOp::Gtr => Self::Comparison(|a, b| a > b),
            BinaryOp::Lss => Self::Comparison(|a, b| a < b),
            BinaryOp::Gte => Self::Comparison(|a, b| a >= b),
            BinaryOp::Lte => Self::Comparison(|a, b| a <= b),
            BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                Self::None
            }
        }
    }
}

/// Two scalars; comparisons give 0 or 1.
fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    match FloatOp::of(op) {
        FloatOp::Arithmetic(op) => op(a, b),
        FloatOp::Comparison(op) => f64::from(op(a, b)),
        FloatOp::None => f64::NAN,
    }
}

/// True when the result is no longer a value of the metric.
pub(crate) fn changes_metric(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Atan2
    )
}

/// Why two elements have no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The operator is not defined for these kinds of sample.
    Types(&'static str, &'static str),
    /// Exponential and custom buckets.
    Layout,
}

impl Mismatch {
    pub(crate) fn note(self, frame: &Frame<'_>, op: BinaryOp, pos: Pos) {
        let op = op.as_str();
        frame.note(
            pos,
            match self {
                Self::Types(left, right) => Note::IncompatibleTypes { left, op, right },
                Self::Layout => Note::IncompatibleBucketLayout(op),
            },
        );
    }
}

/// One element with another: the value, whether a comparison keeps it, and notes about histograms.
pub(crate) fn cells(
    op: BinaryOp,
    a: &Cell,
    b: &Cell,
) -> Result<(Cell, bool, Option<Note<'static>>), Mismatch> {
    let kind = |cell: &Cell| match cell {
        Cell::Float(_) => "float",
        Cell::Histogram(_) => "histogram",
    };
    let mismatch = Err(Mismatch::Types(kind(a), kind(b)));
    match (a, b) {
        (Cell::Float(x), Cell::Float(y)) => match FloatOp::of(op) {
            FloatOp::Arithmetic(op) => Ok((Cell::Float(op(*x, *y)), true, None)),
            FloatOp::Comparison(op) => Ok((Cell::Float(*x), op(*x, *y), None)),
            FloatOp::None => mismatch,
        },
        (Cell::Float(x), Cell::Histogram(h)) => match op {
            BinaryOp::Mul => Ok((changed(h, |h| native::mul(h, *x)), true, None)),
            _ => mismatch,
        },
        (Cell::Histogram(h), Cell::Float(y)) => match op {
            BinaryOp::Mul => Ok((changed(h, |h| native::mul(h, *y)), true, None)),
            BinaryOp::Div => Ok((changed(h, |h| native::div(h, *y)), true, None)),
            BinaryOp::TrimUpper => Ok((changed(h, |h| trim_upper(h, *y)), true, None)),
            BinaryOp::TrimLower => Ok((changed(h, |h| trim_lower(h, *y)), true, None)),
            _ => mismatch,
        },
        (Cell::Histogram(x), Cell::Histogram(y)) => match op {
            BinaryOp::Add => combined(x, y, HistogramOperation::Addition),
            BinaryOp::Sub => combined(x, y, HistogramOperation::Subtraction),
            BinaryOp::Eql => Ok((a.clone(), native::equals(x, y), None)),
            BinaryOp::Neq => Ok((a.clone(), !native::equals(x, y), None)),
            _ => mismatch,
        },
    }
}

fn changed(h: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> Cell {
    let mut h = h.clone();
    change(&mut h);
    native::compact(&mut h);
    Cell::Histogram(Arc::new(h))
}

fn combined(
    x: &FloatHistogram,
    y: &FloatHistogram,
    operation: HistogramOperation,
) -> Result<(Cell, bool, Option<Note<'static>>), Mismatch> {
    let mut result = x.clone();
    let subtract = matches!(operation, HistogramOperation::Subtraction);
    let combined = if subtract { native::sub(&mut result, y) } else { native::add(&mut result, y) };
    let combined = combined.map_err(|_| Mismatch::Layout)?;
    if subtract {
        result.counter_reset_hint = model::CounterResetHint::Gauge;
    }
    native::compact(&mut result);
    let note = if combined.reset_collision {
        Some(Note::CounterResetCollision(operation))
    } else {
        combined.bounds_reconciled.then_some(Note::MismatchedCustomBuckets(operation))
    };
    Ok((Cell::Histogram(Arc::new(result)), true, note))
}
