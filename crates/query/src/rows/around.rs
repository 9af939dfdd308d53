//! What stood around a row: the rows before and after it that came from the same sender.

use model::{Field, Order, Predicate, Scalar, Test};
use serde_json::Value;
use store::rows::Cost;

use super::ids::Key;
use super::page::{Cursor, Sort};
use super::read::Row;
use super::{Ask, RowReader};
use crate::error::QueryFault;

/// How far before and after a row is looked, nanoseconds: a day.
const REACH_NS: i64 = 86_400_000_000_000;
/// Attributes of a resource that must be the same.
const SAME_MAX: usize = 64;

/// A row and its neighbours.
#[derive(Clone, Debug)]
pub struct Around {
    /// Rows before it, oldest first.
    pub before: Vec<Row>,
    /// The row.
    pub record: Row,
    /// Rows after it, oldest first.
    pub after: Vec<Row>,
    /// What was looked at.
    pub cost: Cost,
}

impl RowReader {
    /// The row of an identifier; `None` when there is none (any more).
    pub fn row(&self, id: &str) -> Result<Option<Row>, QueryFault> {
        let key = Key::parse(id).ok_or_else(|| {
            let shown: String = id.chars().take(60).collect();
            QueryFault::Invalid(format!("id {shown:?} is not one: it has 32 hexadecimal digits"))
        })?;
        let end_ns = key.time_ns.saturating_add(1);
        let ask = Ask { predicate: Predicate::TRUE, start_ns: key.time_ns, end_ns };
        // The cursor stands before all rows of this key, so the first row behind it is one of them.
        let cursor = Cursor { key, shown: 0 };
        let page = self.page(&ask, Sort::Oldest, 1, Some(&cursor))?;
        Ok(page.rows.into_iter().next().filter(|row| row.id == key.text()))
    }

    /// The row of an identifier with at most so many rows before and after it from the same service and resource,
    /// at most a day away; `None` when there is no such row (any more).
    pub fn around(&self, id: &str, before: usize, after: usize) -> Result<Option<Around>, QueryFault> {
        let (Some(record), Some(key)) = (self.row(id)?, Key::parse(id)) else { return Ok(None) };
        let ask = Ask {
            predicate: same_sender(&record),
            start_ns: key.time_ns.saturating_sub(REACH_NS),
            end_ns: key.time_ns.saturating_add(REACH_NS),
        };
        // Rows that say the same as this one are all after it, so that none is on both sides.
        let (behind_all, behind_one) = (Cursor { key, shown: u32::MAX }, Cursor { key, shown: 1 });
        let earlier = self.page(&ask, Sort::Newest, before, Some(&behind_all))?;
        let later = self.page(&ask, Sort::Oldest, after, Some(&behind_one))?;
        let mut cost = earlier.cost;
        cost += later.cost;
        let before = earlier.rows.into_iter().rev().collect();
        Ok(Some(Around { before, record, after: later.rows, cost }))
    }
}

/// Rows of the same service and the same resource.
fn same_sender(row: &Row) -> Predicate {
    let mut all = Vec::new();
    if let Some(service) = &row.service {
        let test = Test::Compare(Order::Equal, Scalar::Text(service.as_str().into()));
        all.push(Predicate::Test(Field::Key("service.name".into()), test));
    }
    if let Ok(Value::Object(resource)) = serde_json::from_str(&row.resource) {
        for (key, value) in resource.iter().take(SAME_MAX) {
            let value = match value {
                Value::String(text) => Scalar::Text(text.as_str().into()),
                Value::Bool(value) => Scalar::Bool(*value),
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(int), _) => Scalar::Int(int),
                    (None, Some(double)) => Scalar::Double(double),
                    (None, None) => continue,
                },
                _ => continue,
            };
            let test = Test::Compare(Order::Equal, value);
            all.push(Predicate::Test(Field::Resource(key.as_str().into()), test));
        }
    }
    Predicate::All(all)
}
