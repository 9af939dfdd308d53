//! `count_values`: how many series of a group have each value.

use std::collections::HashMap;

use model::Labels;

use super::{Groups, missing_param};
use crate::eval::column::{Cell, Column, Grid, Series};
use crate::eval::context::Frame;
use crate::eval::error::QueryError;
use crate::eval::format::{plain, quote};
use crate::eval::plan::{AggregatePlan, PlanKind};
use crate::histogram::to_text;
use crate::syntax::holds_raw_bytes;

impl Frame<'_> {
    pub(crate) fn count_values(&self, plan: &AggregatePlan, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let Some(PlanKind::String(value_label)) = plan.param.as_ref().map(|param| &param.kind) else {
            return Err(missing_param());
        };
        if value_label.is_empty() || holds_raw_bytes(value_label) {
            return Err(QueryError::Execution(format!("invalid label name {}", quote(value_label))));
        }
        let mut names: Vec<&str> = plan.grouping.iter().map(String::as_str).collect();
        if !plan.without && !names.contains(&value_label.as_str()) {
            names.push(value_label);
            names.sort_unstable();
        }
        let mut groups = Groups::new(names, plan.without);
        let mut columns: Vec<Column> = Vec::new();
        for one in self.vector(&plan.expr, grid)? {
            self.check()?;
            // A series has few values, so the group of each is looked up once.
            let mut known: HashMap<String, usize> = HashMap::new();
            for step in one.column.presence().ones() {
                let text = match one.column.cell(step) {
                    Some(Cell::Float(value)) => plain(value),
                    Some(Cell::Histogram(h)) => to_text(&h),
                    None => continue,
                };
                let group = match known.get(&text) {
                    Some(group) => *group,
                    None => {
                        let group = groups.assign(&with_label(&one.labels, value_label, &text));
                        known.insert(text, group);
                        group
                    }
                };
                if group == columns.len() {
                    self.hold(grid.len as u64)?;
                    columns.push(Column::empty(grid.len));
                }
                let count = columns[group].float(step).unwrap_or(0.0);
                columns[group].set_float(step, count + 1.0);
            }
        }
        let series = groups.labels.into_iter().zip(columns);
        Ok(series.map(|(labels, column)| Series { labels, drop_name: false, column }).collect())
    }
}

fn with_label(labels: &Labels, name: &str, value: &str) -> Labels {
    labels.to_builder().set(name, value).build()
}
