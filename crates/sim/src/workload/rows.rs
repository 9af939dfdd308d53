//! Rows that tenants send.

use model::{Field, Order, Predicate, Records, Scalar, Signal, Test, Value, record};
use rand::Rng;
use rand::rngs::StdRng;

use super::{Shape, time};
use crate::oracle::SentRow;

/// Groups that deletes name.
const GROUPS: u8 = 4;

/// Where the number of a row is: a fixed column of whole numbers.
pub(crate) fn number_field(signal: Signal) -> Field {
    let at = if signal == Signal::Traces { record::span::DURATION } else { record::log::OBSERVED_TIMESTAMP };
    Field::Fixed(at as u8)
}

/// Draws a write of rows; `number_next` numbers them.
pub(crate) fn rows(
    rng: &mut StdRng,
    shape: &Shape,
    signal: Signal,
    now_ms: i64,
    number_next: &mut i64,
) -> (Records, Vec<SentRow>) {
    let mut records = Records::new(signal);
    let mut sent = Vec::new();
    let service = records.push_text(format!("service-{}", rng.random_range(0..3)));
    records.push_attr("service.name", Value::Text(service));
    let resource = records.end_resource(0);
    for index in 0..rng.random_range(1..=shape.samples_max as u32) {
        let t_ns = time(rng, shape, now_ms) * 1_000_000 + rng.random_range(0..1_000_000);
        let row = SentRow { number: *number_next, t_ns, group: rng.random_range(0..GROUPS) };
        *number_next += 1;
        let mut fields = vec![Value::Null; record::columns(signal).len()];
        fields[0] = Value::Int(t_ns);
        let text = records.push_text(format!("row {} of group {}", row.number, row.group));
        if signal == Signal::Traces {
            fields[record::span::DURATION] = Value::Int(row.number);
            fields[record::span::NAME] = Value::Text(text);
            let id = records.push_text([row.group + 1; 16]);
            fields[record::span::TRACE_ID] = Value::Bytes(id);
        } else {
            fields[record::log::OBSERVED_TIMESTAMP] = Value::Int(row.number);
            fields[record::log::BODY] = Value::Text(text);
        }
        let first = records.attrs.len() as u32;
        let group = records.push_text(format!("group-{}", row.group));
        records.push_attr("group", Value::Text(group));
        // Keys come and go, and change their kind.
        let key = format!("key.{}", rng.random_range(0..shape.series));
        let value = if rng.random() { Value::Int(row.number) } else { Value::Text(group) };
        records.push_attr(key, value);
        records.push_row(index, resource, first, &fields);
        sent.push(row);
    }
    (records, sent)
}

/// The rows of a group.
pub(crate) fn of_group(group: u8) -> Predicate {
    let text = format!("group-{group}");
    Predicate::Test(Field::Key("group".into()), Test::Compare(Order::Equal, Scalar::Text(text.into())))
}
