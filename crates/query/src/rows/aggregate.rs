//! A figure of the rows that a search finds, for each group of them: what alerts are about.
//!
//! Slices are looked at side by side, and only the columns of the groups and of the number are read. A group that
//! was let in when it was first met has all its rows in its figure; one that was not has none, and the answer
//! says so.

mod groups; // what is known of groups so far
mod values; // numbers of which a quantile is asked

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Float64Type;
use datafusion::arrow::array::{Array, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use model::{Field, FixedKind, Predicate, Signal, Test, record};
use store::rows::{Column, Cost, Slice, ValueKind};

use self::groups::{Groups, Part, push_key, values_of};
use super::view::View;
use super::{Ask, RowReader};
use crate::error::QueryFault;
use crate::search;

/// Fields by which rows may be grouped at once.
const BY_MAX: usize = 8;

/// How much an answer may have, and how much is kept in memory for it. What is kept of slices side by side comes
/// on top, bounded by their rows.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Groups of the answer.
    groups: usize,
    /// Groups that are told apart on the way.
    told_apart: usize,
    /// Bytes of their values.
    key_bytes: usize,
    /// Numbers of one group of which a quantile is exact.
    exact: usize,
    /// Numbers of all groups that are kept for quantiles; eight bytes each.
    cells: usize,
}

const BOUNDS: Bounds =
    Bounds { groups: 10_000, told_apart: 100_000, key_bytes: 32 << 20, exact: 100_000, cells: 4 << 20 };

/// What is asked of a group of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FigureKind {
    /// How many rows there are.
    Count,
    /// The sum of the numbers; infinite where it is more than a double holds.
    Sum,
    /// Their sum by how many there are.
    Avg,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
    /// The number that this part (0 to 1) of them do not exceed, between its neighbours in proportion as the
    /// `quantile` of PromQL has it.
    Quantile(f64),
}

/// A question about groups of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What is asked.
    pub kind: FigureKind,
    /// The field whose numbers are meant, named as in a search; none to count.
    ///
    /// Integers, doubles and texts that read as a finite number count, as doubles, in the unit in which a search
    /// compares them without one: `duration` of spans in nanoseconds, times in nanoseconds since the Unix epoch,
    /// `level` as OpenTelemetry's number of the severity. Rows without such a number are left out.
    pub field: Option<String>,
    /// At most eight fields, named as in a search: rows with the same texts in all of them are a group. All rows
    /// are one without any.
    pub by: Vec<String>,
}

/// A figure for each group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregated {
    /// Values of the fields in the order of [`Figure::by`], empty where rows have none, and the figure. Groups
    /// with most rows come first, then by value.
    ///
    /// Without fields there is one group: it is 0 when rows are counted and there are none. Otherwise there is no
    /// group without a row that counts.
    pub groups: Vec<(Vec<String>, f64)>,
    /// Whether groups are missing: of more than 10,000 those with most rows stay. Beyond 100,000 groups, or 32
    /// MiB of their values, those that were met first (from the newest slice back) are told apart; the others do
    /// not take part at all. The figures of those that stay are of all their rows.
    pub truncated: bool,
    /// Whether a quantile is one of a histogram, off by 0.8 % at most: it is exact up to 100,000 numbers a group
    /// and about four million in all.
    pub approximate: bool,
    /// What was looked at.
    pub cost: Cost,
}

impl RowReader {
    /// A figure of each group of the rows that are asked for.
    ///
    /// # Errors
    /// A figure without its field, a field that never holds numbers or a quantile outside 0 to 1 is invalid;
    /// more than eight fields, or quantiles of more groups than memory is given to, are beyond a limit. No answer
    /// leaves something out without saying so.
    pub fn aggregate(&self, ask: &Ask, figure: &Figure) -> Result<Aggregated, QueryFault> {
        self.aggregate_within(ask, figure, BOUNDS)
    }

    fn aggregate_within(&self, ask: &Ask, figure: &Figure, bounds: Bounds) -> Result<Aggregated, QueryFault> {
        let plan = Plan::new(figure, self.signal())?;
        if figure.kind == FigureKind::Count && figure.by.is_empty() {
            let (count, cost) = self.count(ask)?;
            return Ok(Aggregated {
                groups: vec![(Vec::new(), count as f64)],
                cost,
                ..Aggregated::default()
            });
        }
        let mut ask = ask.clone();
        if let Some(field) = &plan.number {
            // Rows without the field are not read.
            ask.predicate = ask.predicate.and(Predicate::Test(field.clone(), Test::Exists));
        }
        let each = |slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost| plan.part(slice, rows, cost);
        let (groups, cost) = self.try_over_slices(&ask, || Groups::new(bounds), each, Groups::add)?;
        let mut truncated = groups.is_truncated();
        let mut found: Vec<_> =
            groups.into_iter().map(|(key, tally)| (Reverse(tally.rows()), values_of(&key), tally)).collect();
        found.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        truncated |= found.len() > bounds.groups;
        found.truncate(bounds.groups);
        let approximate = found.iter().any(|(.., tally)| tally.is_approximate());
        let figures = found.into_iter().map(|(_, values, tally)| (values, tally.figure(figure.kind)));
        Ok(Aggregated { groups: figures.collect(), truncated, approximate, cost })
    }
}

/// What is read of rows.
struct Plan {
    by: Vec<View>,
    number: Option<Field>,
    is_quantile: bool,
    /// Those of the groups, then that of the number.
    columns: Vec<Column>,
}

impl Plan {
    fn new(figure: &Figure, signal: Signal) -> Result<Self, QueryFault> {
        if figure.by.len() > BY_MAX {
            let problem = format!("{} fields are more than the {BY_MAX} that group rows", figure.by.len());
            return Err(QueryFault::Limit(format!("{problem}: group by fewer")));
        }
        let quantile = match figure.kind {
            FigureKind::Quantile(q) => Some(q),
            _ => None,
        };
        if let Some(q) = quantile.filter(|q| !(0.0..=1.0).contains(q)) {
            let problem = format!("{q} is no quantile");
            return Err(QueryFault::Invalid(format!("{problem}: ask for one from 0 to 1, such as 0.95")));
        }
        let number = match (figure.kind, &figure.field) {
            (FigureKind::Count, None) => None,
            (FigureKind::Count, Some(name)) => {
                let problem = format!("a count of rows takes no field, not {:?}", cut(name));
                let remedy = "leave it out, and search for `field:*` to count the rows that have one";
                return Err(QueryFault::Invalid(format!("{problem}: {remedy}")));
            }
            (_, None) => {
                return Err(QueryFault::Invalid("no field whose numbers are meant: name one".into()));
            }
            (_, Some(name)) => Some(numeric(name, signal)?),
        };
        let by: Vec<View> = figure.by.iter().map(|name| View::new(name, signal)).collect();
        let mut columns: Vec<Column> = by.iter().map(View::column).collect();
        columns.extend(number.iter().map(|field| Column::FieldAs(field.clone(), ValueKind::Double)));
        Ok(Self { by, number, is_quantile: quantile.is_some(), columns })
    }

    /// What the selected rows of a slice add.
    fn part(&self, slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost) -> Result<Part, QueryFault> {
        let arrays = slice.read(&self.columns, rows, cost)?;
        let texts: Vec<Arc<StringViewArray>> =
            self.by.iter().zip(&arrays).map(|(view, array)| view.texts(array)).collect();
        let numbers = arrays.get(self.by.len()).and_then(|array| array.as_primitive_opt::<Float64Type>());
        let mut part = Part::default();
        let mut key = Vec::new();
        for row in 0..rows.count_set_bits() {
            let number = numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row));
            let number = number.filter(|number| number.is_finite());
            if self.number.is_some() && number.is_none() {
                continue;
            }
            key.clear();
            for texts in &texts {
                push_key(&mut key, if texts.is_valid(row) { texts.value(row) } else { "" });
            }
            let tally = part.entry_ref(key.as_slice()).or_default();
            tally.count_row();
            if let Some(number) = number {
                tally.take(number, self.is_quantile);
            }
        }
        Ok(part)
    }
}

/// The field of a name, unless it is one that never holds numbers.
fn numeric(name: &str, signal: Signal) -> Result<Field, QueryFault> {
    let (field, _) = search::field_of(name, signal);
    let kind = match &field {
        Field::Fixed(position) => record::columns(signal).get(usize::from(*position)).map(|c| c.kind),
        _ => None,
    };
    if matches!(kind, Some(FixedKind::TraceId | FixedKind::SpanId | FixedKind::Json)) {
        let problem = format!("{:?} holds no numbers", cut(name));
        return Err(QueryFault::Invalid(format!("{problem}: name a field that does, or count rows")));
    }
    Ok(field)
}

/// As much of a name as an error shows.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(64)]
}
