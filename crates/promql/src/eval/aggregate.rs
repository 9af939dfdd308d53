//! Aggregations: series fall into groups by labels once, then columns are accumulated step by step.

mod accumulate; // one group's floats
mod choose; // topk, bottomk, limitk, limit_ratio
mod count_values; // count_values
mod histograms; // one group's histograms

use std::collections::HashMap;

use model::{Labels, METRIC_NAME};
use rayon::prelude::*;

use self::accumulate::Accumulator;
use super::annotations::Note;
use super::column::{Column, Grid, Series, filter_labels};
use super::context::Frame;
use super::error::QueryError;
use super::plan::AggregatePlan;
use super::quantile::quantile;
use crate::syntax::ast::{AggregateOp, Pos};

/// Series put into groups.
struct Groups<'a> {
    names: Vec<&'a str>,
    without: bool,
    index: HashMap<Vec<u8>, usize>,
    labels: Vec<Labels>,
    key: Vec<u8>,
}

impl<'a> Groups<'a> {
    /// `names` is sorted.
    fn new(names: Vec<&'a str>, without: bool) -> Self {
        Self { names, without, index: HashMap::new(), labels: Vec::new(), key: Vec::new() }
    }

    /// The group of a series. A group's labels are those that its members have in common by definition.
    fn assign(&mut self, labels: &Labels) -> usize {
        let Self { names, without, index, labels: all, key } = self;
        key.clear();
        let mut push = |text: &str| {
            key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        };
        let dropped = |name: &str| name == METRIC_NAME || names.binary_search(&name).is_ok();
        if *without {
            for (name, value) in labels.iter().filter(|(name, _)| !dropped(name)) {
                push(name);
                push(value);
            }
        } else {
            names.iter().for_each(|name| push(labels.get(name).unwrap_or("")));
        }
        if let Some(group) = index.get(key.as_slice()) {
            return *group;
        }
        let group = all.len();
        index.insert(key.clone(), group);
        all.push(filter_labels(labels, |name| {
            if *without { !dropped(name) } else { names.binary_search(&name).is_ok() }
        }));
        group
    }
}

impl Frame<'_> {
    pub(crate) fn aggregate(
        &self,
        plan: &AggregatePlan,
        pos: Pos,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        match plan.op {
            AggregateOp::CountValues => self.count_values(plan, grid),
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                self.choose(plan, pos, grid)
            }
            AggregateOp::Quantile => self.quantiles(plan, grid),
            AggregateOp::Avg
            | AggregateOp::Count
            | AggregateOp::Group
            | AggregateOp::Max
            | AggregateOp::Min
            | AggregateOp::Stddev
            | AggregateOp::Stdvar
            | AggregateOp::Sum => self.accumulate(plan, grid),
        }
    }

    /// The operators that give a series per group and need to see a sample only once.
    fn accumulate(&self, plan: &AggregatePlan, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let mut groups = Groups::new(plan.grouping.iter().map(String::as_str).collect(), plan.without);
        let mut accumulators: Vec<Accumulator> = Vec::new();
        self.stream(&plan.expr, grid, &mut |part| {
            self.check()?;
            let mut members: Vec<Vec<Series>> = accumulators.iter().map(|_| Vec::new()).collect();
            for series in part {
                let group = groups.assign(&series.labels);
                if group == accumulators.len() {
                    self.hold(2 * grid.len as u64)?;
                    accumulators.push(Accumulator::new(plan.op, grid.len));
                    members.push(Vec::new());
                }
                members[group].push(series);
            }
            accumulators.par_iter_mut().zip(members).for_each(|(accumulator, members)| {
                for series in &members {
                    accumulator.add(series, &|note| self.note(plan.expr.pos, note));
                }
            });
            Ok(())
        })?;
        let finished: Vec<Series> = accumulators
            .into_par_iter()
            .zip(groups.labels)
            .map(|(accumulator, labels)| {
                let (column, drop_name) = accumulator.finish(&|note| self.note(plan.expr.pos, note));
                Series { labels, drop_name, column }
            })
            .collect();
        Ok(finished.into_iter().filter(|series| !series.column.is_empty()).collect())
    }

    fn quantiles(&self, plan: &AggregatePlan, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let param = plan.param.as_ref().ok_or_else(missing_param)?;
        let qs = self.scalar(param, grid)?;
        if qs.iter().any(|q| q.is_nan()) {
            self.note(param.pos, Note::InvalidQuantile(f64::NAN));
        }
        let greatest = qs.iter().copied().fold(f64::MIN, super::functions::max_of);
        let least = qs.iter().copied().fold(f64::MAX, super::functions::min_of);
        if greatest > 1.0 {
            self.note(param.pos, Note::InvalidQuantile(greatest));
        }
        if least < 0.0 {
            self.note(param.pos, Note::InvalidQuantile(least));
        }
        let series = self.vector(&plan.expr, grid)?;
        let mut groups = Groups::new(plan.grouping.iter().map(String::as_str).collect(), plan.without);
        let mut members: Vec<Vec<&Series>> = Vec::new();
        for one in &series {
            let group = groups.assign(&one.labels);
            if group == members.len() {
                members.push(Vec::new());
            }
            members[group].push(one);
            if !one.column.histograms.is_empty() {
                self.note(plan.expr.pos, Note::IgnoredInAggregation("quantile"));
            }
        }
        let columns: Vec<Column> = members
            .par_iter()
            .map(|members| {
                let mut column = Column::empty(grid.len);
                let mut values = Vec::with_capacity(members.len());
                for (step, q) in qs.iter().enumerate() {
                    values.clear();
                    values.extend(members.iter().filter_map(|one| one.column.float(step)));
                    if !values.is_empty() {
                        column.set_float(step, quantile(*q, &mut values));
                    }
                }
                column
            })
            .collect();
        let finished = groups.labels.into_iter().zip(columns).zip(members);
        Ok(finished
            .filter(|((_, column), _)| !column.is_empty())
            .map(|((labels, column), members)| {
                let drop_name = members.iter().any(|one| one.drop_name);
                Series { labels, drop_name, column }
            })
            .collect())
    }
}

/// The parser has checked that the parameter is there.
fn missing_param() -> QueryError {
    QueryError::execution("the aggregation needs a parameter")
}
