//! Two columns of rows in order of time: what uptime is made of.

use std::collections::HashMap;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::{Float64Type, Int64Type};
use datafusion::arrow::array::{Array, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use model::Field;
use store::rows::{Column, Cost, Slice, ValueKind};

use super::{Ask, RowReader};
use crate::error::QueryFault;

/// Points of one timeline.
const POINTS_MAX: usize = 2_000_000;

/// Different texts of one timeline; further ones are left out, as if the rows had none.
const TEXTS_MAX: usize = 256;

/// A text and a number of each row, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// The texts that occur.
    pub texts: Vec<String>,
    /// Time in nanoseconds since the Unix epoch, position in `texts`, number; NaN where a row has none.
    pub points: Vec<(i64, u8, f64)>,
}

type Part = Vec<(i64, String, f64)>;

impl RowReader {
    /// The fixed columns `text` and `number` of the rows that are asked for. Rows without a text are left out.
    ///
    /// # Errors
    /// More than two million rows are beyond a limit.
    pub fn timeline(&self, ask: &Ask, text: usize, number: usize) -> Result<(Timeline, Cost), QueryFault> {
        let fixed = |position: usize| Field::Fixed(position as u8);
        let columns = [
            Column::Field(fixed(0)),
            Column::FieldAs(fixed(text), ValueKind::Text),
            Column::FieldAs(fixed(number), ValueKind::Double),
        ];
        let each = |slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost| {
            let arrays = slice.read(&columns, rows, cost)?;
            Ok(part(&arrays))
        };
        let add = |all: &mut Part, part: Part| {
            if all.len() + part.len() > POINTS_MAX {
                let problem = format!("there are more than {POINTS_MAX} rows");
                return Err(QueryFault::Limit(format!("{problem}: ask for a shorter time")));
            }
            all.extend(part);
            Ok(())
        };
        let (mut found, cost) = self.try_over_slices(ask, Vec::new, each, add)?;
        found.sort_unstable_by_key(|(time, ..)| *time);
        let mut timeline = Timeline::default();
        let mut known: HashMap<String, u8> = HashMap::new();
        for (time, text, number) in found {
            let position = match known.get(&text) {
                Some(position) => *position,
                None if known.len() < TEXTS_MAX => {
                    let position = known.len() as u8;
                    timeline.texts.push(text.clone());
                    known.insert(text, position);
                    position
                }
                None => continue,
            };
            timeline.points.push((time, position, number));
        }
        Ok((timeline, cost))
    }
}

fn part(arrays: &[std::sync::Arc<dyn Array>]) -> Part {
    let (Some(times), Some(texts)) =
        (arrays[0].as_primitive_opt::<Int64Type>(), arrays[1].as_any().downcast_ref::<StringViewArray>())
    else {
        return Vec::new();
    };
    let numbers = arrays[2].as_primitive_opt::<Float64Type>();
    let number = |row: usize| match numbers {
        Some(numbers) if numbers.is_valid(row) => numbers.value(row),
        _ => f64::NAN,
    };
    let rows = (0..times.len()).filter(|row| texts.is_valid(*row));
    rows.map(|row| (times.value(row), texts.value(row).to_owned(), number(row))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::record::check;
    use model::{Predicate, Records, Signal, Value, record};

    use super::*;
    use crate::control::Control;
    use crate::rows::Slices;

    #[test]
    fn rows_of_all_slices_come_in_order_of_time_with_what_they_lack_left_open() {
        let slice = |rows: &[(i64, Option<&str>, Option<f64>)]| {
            let mut records = Records::new(Signal::Checks);
            let resource = records.end_resource(0);
            for (index, (time, status, latency)) in rows.iter().enumerate() {
                let mut fields = [Value::Null; record::columns(Signal::Checks).len()];
                fields[check::TIMESTAMP] = Value::Int(*time);
                if let Some(status) = status {
                    fields[check::STATUS] = Value::Text(records.push_text(status));
                }
                if let Some(latency) = latency {
                    fields[check::LATENCY_MS] = Value::Double(*latency);
                }
                let attrs = records.attrs.len() as u32;
                records.push_row(index as u32, resource, attrs, &fields);
            }
            records
        };
        let reader =
            |records: &Records| RowReader::new(Arc::new(Slices::of_records(records)), Control::default());
        let records = slice(&[
            (30, Some("down"), Some(2.5)),
            (10, Some("up"), None),
            (20, None, Some(1.0)),
            (40, Some("up"), Some(3.0)),
            (50, Some("up"), Some(4.0)),
        ]);
        let ask = Ask { predicate: Predicate::TRUE, start_ns: 0, end_ns: 50 };
        let (found, _) = reader(&records).timeline(&ask, check::STATUS, check::LATENCY_MS).unwrap();
        assert_eq!(found.texts, ["up", "down"]);
        let points: Vec<(i64, u8)> = found.points.iter().map(|(time, text, _)| (*time, *text)).collect();
        assert_eq!(points, [(10, 0), (30, 1), (40, 0)]);
        assert!(found.points[0].2.is_nan() && found.points[1].2 == 2.5);
    }
}
