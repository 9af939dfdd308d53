//! Binary operators between two vectors: elements find each other by labels, once for all steps.

use std::collections::HashMap;

use model::{Labels, LabelsBuilder};
use rayon::prelude::*;

use super::binary::{FloatOp, cells, changes_metric};
use super::bits::Bits;
use super::column::{Cell, Column, Grid, Series, filter_labels, is_metadata_label};
use super::context::Frame;
use super::error::QueryError;
use super::format::quote;
use super::plan::BinaryPlan;
use crate::syntax::ast::{BinaryOp, Cardinality, Pos, VectorMatching};

/// A series with the steps at which it has a value.
struct Member {
    series: Series,
    presence: Bits,
}

/// The elements of both sides that have the same signature. "Many" is the side that may have several at a
/// step, and lends the labels.
#[derive(Default)]
struct MatchGroup {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Both sides of an operator, in groups.
struct Matched {
    many: Vec<Member>,
    one: Vec<Member>,
    groups: Vec<MatchGroup>,
}

impl Matched {
    fn new(many: Vec<Series>, one: Vec<Series>, matching: &VectorMatching) -> Self {
        let mut matched = Self { many: members(many), one: members(one), groups: Vec::new() };
        let mut ordinals: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut names: Vec<&str> = matching.labels.iter().map(String::as_str).collect();
        names.sort_unstable();
        for is_many in [true, false] {
            let side = if is_many { &matched.many } else { &matched.one };
            for (i, member) in side.iter().enumerate() {
                let key = signature(&member.series.labels, matching.on, &names);
                let next = matched.groups.len();
                let ordinal = *ordinals.entry(key).or_insert(next);
                if ordinal == next {
                    matched.groups.push(MatchGroup::default());
                }
                let group = &mut matched.groups[ordinal];
                if is_many { group.many.push(i) } else { group.one.push(i) }
            }
        }
        matched
    }
}

fn members(series: Vec<Series>) -> Vec<Member> {
    series.into_iter().map(|series| Member { presence: series.column.presence(), series }).collect()
}

fn union_of<'a>(members: impl Iterator<Item = &'a Member>, len: usize) -> Bits {
    let mut union = Bits::none(len);
    for member in members {
        union.union(&member.presence);
    }
    union
}

/// What two elements must have in common, as bytes. `names` is sorted. Types and units are no part of it, as
/// little as names: one side may have lost them to an operator.
fn signature(labels: &Labels, on: bool, names: &[&str]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    let mut push = |text: &str| {
        key.extend_from_slice(&(text.len() as u32).to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    };
    if on {
        for name in names {
            push(labels.get(name).unwrap_or(""));
        }
    } else {
        for (name, value) in labels.iter() {
            if !is_metadata_label(name) && names.binary_search(&name).is_err() {
                push(name);
                push(value);
            }
        }
    }
    key
}

/// The labels that matching looks at.
fn matched_labels(labels: &Labels, matching: &VectorMatching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|l| l == name);
    filter_labels(
        labels,
        |name| if matching.on { listed(name) } else { !is_metadata_label(name) && !listed(name) },
    )
}

/// `{a="b", c="d"}`, the name among the others.
fn braces(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The labels of a result.
fn result_labels(many: &Labels, one: &Labels, op: BinaryOp, matching: &VectorMatching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|l| l == name);
    let labels = filter_labels(many, |name| {
        let kept = match matching.card {
            Cardinality::OneToOne => listed(name) == matching.on,
            _ => true,
        };
        kept && !(changes_metric(op) && is_metadata_label(name))
    });
    if matching.include.is_empty() {
        return labels;
    }
    let mut builder: LabelsBuilder = labels.to_builder();
    for name in &matching.include {
        match one.get(name) {
            Some(value) => builder.set(name, value),
            None => builder.remove(name),
        };
    }
    builder.build()
}

impl Frame<'_> {
    /// Arithmetic and comparisons.
    pub(crate) fn vectors(
        &self,
        plan: &BinaryPlan,
        pos: Pos,
        lhs: Vec<Series>,
        rhs: Vec<Series>,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let matching = plan.matching.clone().unwrap_or_else(default_matching);
        let swapped = matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let matched = Matched::new(many, one, &matching);
        let mut active = union_of(matched.many.iter(), grid.len);
        let ones = union_of(matched.one.iter(), grid.len);
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            active.union(&ones);
        } else {
            active.intersect(&ones);
        }
        let pairing =
            Pairing { frame: self, plan, pos, matching: &matching, matched: &matched, active, swapped };
        let parts: Vec<Result<Vec<Series>, QueryError>> =
            matched.groups.par_iter().map(|group| pairing.group(group)).collect();
        let mut merged = Merged::default();
        for part in parts {
            for series in part? {
                merged.push(series)?;
            }
        }
        Ok(merged.series)
    }

    /// `and`, `or`, `unless`.
    pub(crate) fn set_operation(
        &self,
        plan: &BinaryPlan,
        lhs: Vec<Series>,
        rhs: Vec<Series>,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let matching = plan.matching.clone().unwrap_or_else(default_matching);
        let mut matched = Matched::new(lhs, rhs, &matching);
        for group in &matched.groups {
            let ones = group.one.iter().map(|i| &matched.one[*i]);
            let right = union_of(ones, grid.len);
            let left = union_of(group.many.iter().map(|i| &matched.many[*i]), grid.len);
            for i in &group.many {
                match plan.op {
                    BinaryOp::And => matched.many[*i].presence.intersect(&right),
                    BinaryOp::Unless => matched.many[*i].presence.subtract(&right),
                    _ => {}
                }
            }
            for i in &group.one {
                matched.one[*i].presence.subtract(&left);
            }
        }
        let mut merged = Merged::default();
        let right = if plan.op == BinaryOp::Or { matched.one } else { Vec::new() };
        for mut member in matched.many.into_iter().chain(right) {
            self.check()?;
            member.series.column.retain_steps(&member.presence);
            merged.push(member.series)?;
        }
        Ok(merged.series)
    }
}

fn default_matching() -> VectorMatching {
    VectorMatching {
        card: Cardinality::OneToOne,
        labels: Vec::new(),
        on: false,
        include: Vec::new(),
        fill_left: None,
        fill_right: None,
    }
}

/// Series by labels; equal ones become one where they share no step.
#[derive(Default)]
pub(crate) struct Merged {
    pub(crate) series: Vec<Series>,
    index: HashMap<Labels, usize>,
}

impl Merged {
    pub(crate) fn push(&mut self, series: Series) -> Result<(), QueryError> {
        if series.column.is_empty() {
            return Ok(());
        }
        let next = self.series.len();
        let at = *self.index.entry(series.labels.clone()).or_insert(next);
        if at == next {
            self.series.push(series);
            return Ok(());
        }
        if self.series[at].column.absorb(series.column) { Ok(()) } else { Err(QueryError::same_labelset()) }
    }
}

/// An operator at work on groups.
struct Pairing<'a> {
    frame: &'a Frame<'a>,
    plan: &'a BinaryPlan,
    pos: Pos,
    matching: &'a VectorMatching,
    matched: &'a Matched,
    /// Steps at which the operator does anything at all.
    active: Bits,
    swapped: bool,
}

/// An operand: a column, or the same number at every step.
enum Operand<'a> {
    Column(&'a Column),
    Fill(f64),
}

impl Operand<'_> {
    fn cell(&self, step: usize) -> Option<Cell> {
        match self {
            Self::Column(column) => column.cell(step),
            Self::Fill(value) => Some(Cell::Float(*value)),
        }
    }

    fn floats(&self) -> Option<Floats<'_>> {
        match self {
            Self::Column(column) if column.histograms.is_empty() => Some(Floats::Slice(&column.values)),
            Self::Column(_) => None,
            Self::Fill(value) => Some(Floats::One(*value)),
        }
    }
}

enum Floats<'a> {
    Slice(&'a [f64]),
    One(f64),
}

impl Floats<'_> {
    fn get(&self, step: usize) -> f64 {
        match self {
            Self::Slice(values) => values[step],
            Self::One(value) => *value,
        }
    }
}

/// What the elements of a group have produced so far.
struct GroupState {
    series: Vec<Series>,
    /// Steps at which a "one" found its "many".
    matched: Bits,
    /// The same by the labels of the result, where several may match.
    by_labels: HashMap<Labels, Bits>,
}

impl Pairing<'_> {
    fn group(&self, group: &MatchGroup) -> Result<Vec<Series>, QueryError> {
        self.frame.check()?;
        let (many, one) = (&self.matched.many, &self.matched.one);
        self.check_one_side(group)?;
        let ones = union_of(group.one.iter().map(|i| &one[*i]), self.active_len());
        let mut state = GroupState {
            series: Vec::new(),
            matched: Bits::none(self.active_len()),
            by_labels: HashMap::new(),
        };
        for m in group.many.iter().map(|i| &many[*i]) {
            let left = Operand::Column(&m.series.column);
            for o in group.one.iter().map(|i| &one[*i]) {
                let mut steps = m.presence.clone();
                steps.intersect(&o.presence);
                let right = Operand::Column(&o.series.column);
                self.pair(&mut state, (&m.series.labels, &left), (&o.series.labels, &right), steps)?;
            }
            if let Some(fill) = self.matching.fill_right {
                let mut steps = m.presence.clone();
                steps.subtract(&ones);
                let labels = matched_labels(&m.series.labels, self.matching);
                self.pair(&mut state, (&m.series.labels, &left), (&labels, &Operand::Fill(fill)), steps)?;
            }
        }
        if let Some(fill) = self.matching.fill_left {
            for o in group.one.iter().map(|i| &one[*i]) {
                let mut steps = o.presence.clone();
                steps.subtract(&state.matched);
                let labels = matched_labels(&o.series.labels, self.matching);
                let right = Operand::Column(&o.series.column);
                self.pair(&mut state, (&labels, &Operand::Fill(fill)), (&o.series.labels, &right), steps)?;
            }
        }
        Ok(state.series)
    }

    fn active_len(&self) -> usize {
        self.matched.many.first().or(self.matched.one.first()).map_or(0, |member| member.series.column.len())
    }

    /// Two elements on the "one" side at the same step cannot be told apart.
    fn check_one_side(&self, group: &MatchGroup) -> Result<(), QueryError> {
        let one = &self.matched.one;
        for (n, i) in group.one.iter().enumerate() {
            for j in &group.one[..n] {
                let mut both = one[*i].presence.clone();
                both.intersect(&one[*j].presence);
                if both.overlaps(&self.active) {
                    let side = if self.swapped { "left" } else { "right" };
                    let mut pair = [&one[*i].series.labels, &one[*j].series.labels];
                    pair.sort();
                    return Err(QueryError::Execution(format!(
                        "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                        braces(&matched_labels(pair[0], self.matching)),
                        braces(pair[0]),
                        braces(pair[1]),
                    )));
                }
            }
        }
        Ok(())
    }

    /// One element of the "many" side with one of the "one" side, at the given steps.
    fn pair(
        &self,
        state: &mut GroupState,
        many: (&Labels, &Operand<'_>),
        one: (&Labels, &Operand<'_>),
        mut steps: Bits,
    ) -> Result<(), QueryError> {
        steps.intersect(&self.active);
        if steps.is_empty() {
            return Ok(());
        }
        let (lhs, rhs) = if self.swapped { (one.1, many.1) } else { (many.1, one.1) };
        // `steps` becomes those with a result, before comparisons filter.
        let column = self.compute(lhs, rhs, &mut steps);
        let labels = result_labels(many.0, one.0, self.plan.op, self.matching);
        if self.matching.card == Cardinality::OneToOne {
            if state.matched.overlaps(&steps) {
                return Err(QueryError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
        } else {
            let seen = state.by_labels.entry(labels.clone()).or_insert_with(|| Bits::none(column.len()));
            if seen.overlaps(&steps) {
                return Err(QueryError::execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ));
            }
            seen.union(&steps);
        }
        state.matched.union(&steps);
        if !column.is_empty() {
            state.series.push(Series { labels, drop_name: self.plan.return_bool, column });
        }
        Ok(())
    }

    fn compute(&self, lhs: &Operand<'_>, rhs: &Operand<'_>, steps: &mut Bits) -> Column {
        if let (Some(a), Some(b)) = (lhs.floats(), rhs.floats()) {
            match FloatOp::of(self.plan.op) {
                FloatOp::Arithmetic(op) => {
                    return self.floats(steps, |step| Some(op(a.get(step), b.get(step))));
                }
                FloatOp::Comparison(op) if self.plan.return_bool => {
                    return self.floats(steps, |step| Some(f64::from(op(a.get(step), b.get(step)))));
                }
                FloatOp::Comparison(op) => {
                    return self.floats(steps, |step| op(a.get(step), b.get(step)).then(|| a.get(step)));
                }
                FloatOp::None => {}
            }
        }
        let mut column = Column::empty(self.active_len());
        for step in steps.clone().ones() {
            let (Some(a), Some(b)) = (lhs.cell(step), rhs.cell(step)) else { continue };
            match cells(self.plan.op, &a, &b) {
                Ok((cell, keep, note)) => {
                    if let Some(note) = note {
                        let collision = matches!(note, super::annotations::Note::CounterResetCollision(_));
                        self.frame.note(self.pos, note);
                        if collision {
                            steps.clear(step);
                            continue;
                        }
                    }
                    if self.plan.return_bool {
                        column.set_float(step, f64::from(keep));
                    } else if keep {
                        column.set(step, cell);
                    }
                }
                Err(mismatch) => {
                    steps.clear(step);
                    mismatch.note(self.frame, self.plan.op, self.pos);
                }
            }
        }
        column
    }

    fn floats(&self, steps: &Bits, value: impl Fn(usize) -> Option<f64>) -> Column {
        let mut column = Column::empty(self.active_len());
        for step in steps.ones() {
            if let Some(value) = value(step) {
                column.set_float(step, value);
            }
        }
        column
    }
}
