//! Pipelines on one trace.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::ast::{Aggregate, FieldExpr, Relation, RelationMode, Scalar, SpansetExpr, Stage};
use super::eval::{Subject, TraceFacts};
use super::value::Value;
use crate::traces::Trace;

/// Spans of a trace that come out of a pipeline together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spanset {
    /// Their positions in the trace, ascending. Never empty.
    pub spans: Vec<u32>,
    /// By what they were put together.
    pub by: Vec<(String, Value)>,
}

/// Sends a trace through a pipeline. Nothing comes out where the trace does not match.
pub fn evaluate(stages: &[Stage], trace: &Trace) -> Vec<Spanset> {
    let run = Run { trace, facts: TraceFacts::of(trace) };
    let all = Spanset { spans: (0..trace.spans.len() as u32).collect(), by: Vec::new() };
    run.stages(stages, all)
}

struct Run<'a> {
    trace: &'a Trace,
    facts: TraceFacts,
}

impl Run<'_> {
    fn subject(&self, at: u32) -> Subject<'_> {
        let at = at as usize;
        Subject { span: &self.trace.spans[at], trace: Some((&self.facts, &self.trace.nodes, at)) }
    }

    fn stages(&self, stages: &[Stage], input: Spanset) -> Vec<Spanset> {
        let mut sets = vec![input];
        sets.retain(|set| !set.spans.is_empty());
        for stage in stages {
            sets = self.stage(stage, sets);
        }
        sets
    }

    fn stage(&self, stage: &Stage, mut sets: Vec<Spanset>) -> Vec<Spanset> {
        match stage {
            Stage::Spans(expr) => {
                for set in &mut sets {
                    set.spans = self.select(expr, &set.spans);
                }
                sets.retain(|set| !set.spans.is_empty());
                sets
            }
            Stage::Scalar(left, op, right) => {
                sets.retain(|set| self.scalar(left, set).compare(*op, &self.scalar(right, set)));
                sets
            }
            Stage::By(expr) => sets.into_iter().flat_map(|set| self.split(expr, set)).collect(),
            Stage::Coalesce => {
                let spans: BTreeSet<u32> = sets.into_iter().flat_map(|set| set.spans).collect();
                let joined = Spanset { spans: spans.into_iter().collect(), by: Vec::new() };
                if joined.spans.is_empty() { Vec::new() } else { vec![joined] }
            }
            Stage::Select(_) => sets,
        }
    }

    fn split(&self, expr: &FieldExpr, set: Spanset) -> Vec<Spanset> {
        let mut groups: Vec<(Value, Vec<u32>)> = Vec::new();
        // Equal values read the same; few others do.
        let mut by_text: HashMap<String, Vec<usize>> = HashMap::new();
        for at in set.spans {
            let value = expr.value(self.subject(at));
            let alike = by_text.entry(value.text().unwrap_or_default()).or_default();
            match alike.iter().find(|group| groups[**group].0 == value) {
                Some(group) => groups[*group].1.push(at),
                None => {
                    alike.push(groups.len());
                    groups.push((value, vec![at]));
                }
            }
        }
        let label = match expr {
            FieldExpr::Field(field) => format!("by({})", field.text()),
            _ => "by(…)".to_owned(),
        };
        let with = |value| set.by.iter().cloned().chain([(label.clone(), value)]).collect();
        groups.into_iter().map(|(value, spans)| Spanset { spans, by: with(value) }).collect()
    }

    fn scalar(&self, scalar: &Scalar, set: &Spanset) -> Value {
        match scalar {
            Scalar::Literal(value) => value.clone(),
            Scalar::Math(op, left, right) => self.scalar(left, set).math(*op, &self.scalar(right, set)),
            Scalar::Aggregate(_, None) => Value::Int(set.spans.len() as i64),
            Scalar::Aggregate(of, Some(expr)) => {
                let values = set.spans.iter().map(|at| expr.value(self.subject(*at)));
                let (mut count, mut sum, mut is_duration) = (0u64, 0.0, false);
                let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
                for value in values {
                    if let Some(number) = value.number() {
                        is_duration |= matches!(value, Value::Duration(_));
                        count += 1;
                        sum += number;
                        min = min.min(number);
                        max = max.max(number);
                    }
                }
                let number = match of {
                    _ if count == 0 => return Value::Nil,
                    Aggregate::Count => count as f64,
                    Aggregate::Min => min,
                    Aggregate::Max => max,
                    Aggregate::Sum => sum,
                    Aggregate::Avg => sum / count as f64,
                };
                let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
                if is_duration && is_whole { Value::Duration(number as i64) } else { Value::Float(number) }
            }
        }
    }

    fn select(&self, expr: &SpansetExpr, input: &[u32]) -> Vec<u32> {
        match expr {
            SpansetExpr::Selector(expr) => {
                input.iter().copied().filter(|at| expr.holds(self.subject(*at))).collect()
            }
            SpansetExpr::Both(all) => {
                let sides: Vec<Vec<u32>> = all.iter().map(|one| self.select(one, input)).collect();
                if sides.iter().any(Vec::is_empty) { Vec::new() } else { union(sides) }
            }
            SpansetExpr::Either(any) => union(any.iter().map(|one| self.select(one, input))),
            SpansetExpr::Related { left, relation, mode, right } => {
                let (left, right) = (self.select(left, input), self.select(right, input));
                let (is_left, is_right) = (self.mask(&left), self.mask(&right));
                let related = self.related(&is_left, &is_right, *relation);
                match mode {
                    RelationMode::Plain => right.into_iter().filter(|at| related[*at as usize]).collect(),
                    RelationMode::Not => right.into_iter().filter(|at| !related[*at as usize]).collect(),
                    RelationMode::Union => {
                        let inverse = self.related(&is_right, &is_left, relation.inverse());
                        union([
                            right.into_iter().filter(|at| related[*at as usize]).collect(),
                            left.into_iter().filter(|at| inverse[*at as usize]).collect(),
                        ])
                    }
                }
            }
            SpansetExpr::Pipeline(stages) => {
                let input = Spanset { spans: input.to_vec(), by: Vec::new() };
                union(self.stages(stages, input).into_iter().map(|set| set.spans))
            }
        }
    }

    fn mask(&self, spans: &[u32]) -> Vec<bool> {
        let mut mask = vec![false; self.trace.spans.len()];
        spans.iter().for_each(|at| mask[*at as usize] = true);
        mask
    }

    /// Which spans of the right stand in the relation to any of the left. Parents come before their children, so
    /// that one pass forward tells of all ancestors, and one pass back of all descendants.
    fn related(&self, left: &[bool], right: &[bool], relation: Relation) -> Vec<bool> {
        let nodes = &self.trace.nodes;
        let parent = |at: usize| nodes[at].parent.map(|parent| parent as usize);
        let mut related = vec![false; nodes.len()];
        match relation {
            Relation::Child => {
                (0..nodes.len()).for_each(|at| related[at] = parent(at).is_some_and(|parent| left[parent]));
            }
            Relation::Descendant => {
                for at in 0..nodes.len() {
                    related[at] = parent(at).is_some_and(|parent| left[parent] || related[parent]);
                }
            }
            Relation::Parent => {
                (0..nodes.len()).filter(|at| left[*at]).filter_map(parent).for_each(|at| related[at] = true);
            }
            Relation::Ancestor => {
                for at in (0..nodes.len()).rev() {
                    if let Some(parent) = parent(at).filter(|_| left[at] || related[at]) {
                        related[parent] = true;
                    }
                }
            }
            Relation::Sibling => {
                let mut of_parent = vec![0u32; nodes.len()];
                (0..nodes.len()).filter(|at| left[*at]).filter_map(parent).for_each(|at| of_parent[at] += 1);
                for at in 0..nodes.len() {
                    related[at] = parent(at).is_some_and(|parent| of_parent[parent] > u32::from(left[at]));
                }
            }
        }
        related.iter_mut().zip(right).for_each(|(related, right)| *related &= right);
        related
    }
}

impl Relation {
    fn inverse(self) -> Self {
        match self {
            Self::Child => Self::Parent,
            Self::Parent => Self::Child,
            Self::Descendant => Self::Ancestor,
            Self::Ancestor => Self::Descendant,
            Self::Sibling => Self::Sibling,
        }
    }
}

fn union(sides: impl IntoIterator<Item = Vec<u32>>) -> Vec<u32> {
    let mut all: Vec<u32> = sides.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}
