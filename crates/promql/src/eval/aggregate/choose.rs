//! `topk`, `bottomk`, `limitk` and `limit_ratio`: some of the series of each group, step by step.

use model::Labels;
use rayon::prelude::*;

use super::{Groups, missing_param};
use crate::eval::annotations::Note;
use crate::eval::bits::Bits;
use crate::eval::column::{Grid, Series};
use crate::eval::context::Frame;
use crate::eval::error::QueryError;
use crate::eval::format::shortest;
use crate::eval::functions::{max_of, min_of};
use crate::eval::plan::AggregatePlan;
use crate::eval::xxh64::xxh64;
use crate::syntax::ast::{AggregateOp, Pos};

impl Frame<'_> {
    pub(crate) fn choose(
        &self,
        plan: &AggregatePlan,
        pos: Pos,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let param = plan.param.as_ref().ok_or_else(missing_param)?;
        let params = self.scalar(param, grid)?;
        let series = self.vector(&plan.expr, grid)?;
        let greatest = params.iter().copied().fold(f64::MIN, max_of);
        let least = params.iter().copied().fold(f64::MAX, min_of);
        let any_nan = params.iter().any(|p| p.is_nan());
        if plan.op == AggregateOp::LimitRatio {
            if greatest == 0.0 && least == 0.0 {
                return Ok(Vec::new());
            }
            if any_nan {
                return Err(QueryError::execution("Ratio value is NaN"));
            }
            if greatest > 1.0 {
                self.note(param.pos, Note::InvalidRatio { ratio: greatest, cap: 1.0 });
            }
            if least < -1.0 {
                self.note(param.pos, Note::InvalidRatio { ratio: least, cap: -1.0 });
            }
            return Ok(by_ratio(series, &params));
        }
        if greatest < 1.0 {
            return Ok(Vec::new());
        }
        check_count(any_nan, least, greatest)?;
        if matches!(plan.op, AggregateOp::Topk | AggregateOp::Bottomk)
            && series.iter().any(|one| !one.column.histograms.is_empty())
        {
            self.note(pos, Note::IgnoredInAggregation(plan.op.as_str()));
        }
        let mut groups = Groups::new(plan.grouping.iter().map(String::as_str).collect(), plan.without);
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (i, one) in series.iter().enumerate() {
            let group = groups.assign(&one.labels);
            if group == members.len() {
                members.push(Vec::new());
            }
            members[group].push(i);
        }
        let limit = |step: usize| (params[step] as i64).clamp(0, series.len() as i64) as usize;
        let chosen: Vec<Vec<Vec<usize>>> = members
            .par_iter()
            .map(|members| {
                (0..grid.len).map(|step| best(plan.op, &series, members, step, limit(step))).collect()
            })
            .collect();
        Ok(pick(series, &chosen, grid))
    }
}

fn check_count(any_nan: bool, least: f64, greatest: f64) -> Result<(), QueryError> {
    if any_nan {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if least <= i64::MIN as f64 {
        return Err(QueryError::Execution(format!("Scalar value {} underflows int64", shortest(least))));
    }
    if greatest >= i64::MAX as f64 {
        return Err(QueryError::Execution(format!("Scalar value {} overflows int64", shortest(greatest))));
    }
    Ok(())
}

/// The members of a group that a step chooses, best first.
fn best(op: AggregateOp, series: &[Series], members: &[usize], step: usize, k: usize) -> Vec<usize> {
    if k == 0 {
        return Vec::new();
    }
    if op == AggregateOp::Limitk {
        let present = members.iter().copied().filter(|i| series[*i].column.is_present(step));
        return present.take(k).collect();
    }
    let mut heap = Heap { items: Vec::with_capacity(k.min(members.len())), top: op == AggregateOp::Topk };
    for i in members {
        if let Some(value) = series[*i].column.float(step) {
            heap.offer(value, *i, k);
        }
    }
    heap.into_sorted()
}

/// The best so far, the worst of them on top. The shape and the comparisons are those of upstream's heap, so
/// that among equal values the same ones stay.
struct Heap {
    items: Vec<(f64, usize)>,
    top: bool,
}

impl Heap {
    /// True when `a` is worse, with NaN the worst of all.
    fn worse(&self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.top { a < b } else { a > b }
    }

    fn offer(&mut self, value: f64, i: usize, k: usize) {
        if self.items.len() < k {
            self.items.push((value, i));
            self.up(self.items.len() - 1);
            return;
        }
        let worst = self.items[0].0;
        let better = if self.top { worst < value } else { worst > value };
        if better || (worst.is_nan() && !value.is_nan()) {
            self.items[0] = (value, i);
            self.down(0);
        }
    }

    fn up(&mut self, mut i: usize) {
        while i > 0 {
            let parent = (i - 1) / 2;
            if !self.worse(self.items[i].0, self.items[parent].0) {
                break;
            }
            self.items.swap(i, parent);
            i = parent;
        }
    }

    fn down(&mut self, mut i: usize) {
        loop {
            let left = 2 * i + 1;
            if left >= self.items.len() {
                break;
            }
            let right = left + 1;
            let right_is_worse =
                right < self.items.len() && self.worse(self.items[right].0, self.items[left].0);
            let child = if right_is_worse { right } else { left };
            if !self.worse(self.items[child].0, self.items[i].0) {
                break;
            }
            self.items.swap(i, child);
            i = child;
        }
    }

    fn into_sorted(self) -> Vec<usize> {
        let top = self.top;
        let mut items = self.items;
        items.sort_by(|(a, _), (b, _)| {
            let order = crate::eval::quantile::nan_first(a, b);
            match (a.is_nan(), b.is_nan()) {
                (false, false) if top => order.reverse(),
                (false, false) => order,
                _ => order.reverse(),
            }
        });
        items.into_iter().map(|(_, i)| i).collect()
    }
}

/// The chosen series: for one step in the order they were chosen, else with the steps at which they were.
fn pick(series: Vec<Series>, chosen: &[Vec<Vec<usize>>], grid: &Grid) -> Vec<Series> {
    if grid.len == 1 {
        let mut series: Vec<Option<Series>> = series.into_iter().map(Some).collect();
        return chosen.iter().flatten().flatten().filter_map(|i| series[*i].take()).collect();
    }
    let mut steps: Vec<Bits> = series.iter().map(|_| Bits::none(grid.len)).collect();
    for group in chosen {
        for (step, picks) in group.iter().enumerate() {
            picks.iter().for_each(|i| steps[*i].set(step));
        }
    }
    retain(series, &steps)
}

fn retain(mut series: Vec<Series>, steps: &[Bits]) -> Vec<Series> {
    series.par_iter_mut().zip(steps).for_each(|(one, keep)| one.column.retain_steps(keep));
    series.retain(|one| !one.column.is_empty());
    series
}

/// A share of the series, the same ones at every step: those whose place between 0 and 1, given by a hash of
/// the labels, is below the ratio; a negative ratio takes the complement.
fn by_ratio(series: Vec<Series>, ratios: &[f64]) -> Vec<Series> {
    let steps: Vec<Bits> = series
        .iter()
        .map(|one| {
            let place = label_hash(&one.labels) as f64 / u64::MAX as f64;
            let mut keep = Bits::none(ratios.len());
            for (step, ratio) in ratios.iter().enumerate() {
                let ratio = ratio.clamp(-1.0, 1.0);
                if (ratio >= 0.0 && place < ratio) || (ratio < 0.0 && place >= 1.0 + ratio) {
                    keep.set(step);
                }
            }
            keep
        })
        .collect();
    retain(series, &steps)
}

/// The hash that upstream gives a label set, so that both choose the same series.
fn label_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(labels.bytes() + 16);
    for (name, value) in labels.iter() {
        for text in [name, value] {
            match text.len() {
                len @ 0..255 => bytes.push(len as u8),
                len => bytes.extend_from_slice(&[255, len as u8, (len >> 8) as u8, (len >> 16) as u8]),
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_nan_last() {
        let nan = f64::NAN;
        for (top, k, values, want) in [
            (true, 2, &[1.0, 3.0, 2.0][..], &[1usize, 2][..]),
            (false, 2, &[1.0, 3.0, 2.0], &[0, 2]),
            (true, 2, &[nan, 1.0, nan], &[1, 0]),
            (false, 1, &[nan, 1.0], &[1]),
            (true, 1, &[5.0, 5.0], &[0]),
        ] {
            let mut heap = Heap { items: Vec::new(), top };
            values.iter().enumerate().for_each(|(i, v)| heap.offer(*v, i, k));
            assert_eq!(heap.into_sorted(), want, "{values:?}");
        }
    }
}
