//! Decoded rows as lines of text, so that tests are rows of data.

use model::record::columns;
use model::{Attr, Records, Value};

use crate::records::DecodedRecords;

/// Every row as `column=value … | attribute=value … | resource's attribute=value …`, without nulls and
/// without the time of arrival.
pub(crate) fn rows(decoded: &DecodedRecords) -> Vec<String> {
    let records = &decoded.records;
    (0..records.len()).map(|row| line(records, row)).collect()
}

/// Refusals as `index field reason items`.
pub(crate) fn refusals(decoded: &DecodedRecords) -> Vec<String> {
    let line = |r: &model::Refusal| format!("{} {} {} {}", r.index, r.field, r.reason, r.items);
    decoded.refusals.detailed().iter().map(line).collect()
}

fn line(records: &Records, row: usize) -> String {
    let columns = columns(records.signal).iter().zip(records.fields_of(row));
    let fields = columns
        .filter(|(column, value)| column.name != "observed_timestamp" && **value != Value::Null)
        .map(|(column, value)| format!("{}={}", column.name, shown(records, *value)));
    let fields: Vec<String> = fields.collect();
    let attrs = |attrs: &[Attr]| -> String {
        let pair = |attr: &Attr| {
            let key = std::str::from_utf8(attr.key.of(&records.text)).expect("UTF-8");
            format!("{key}={}", shown(records, attr.value))
        };
        attrs.iter().map(pair).collect::<Vec<_>>().join(" ")
    };
    let line = format!(
        "{} | {} | {}",
        fields.join(" "),
        attrs(records.attrs_of(row)),
        attrs(records.resource_of(row))
    );
    line.trim_end_matches([' ', '|']).to_owned()
}

fn shown(records: &Records, value: Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        Value::Text(_) => format!("{:?}", records.text_of(value).expect("UTF-8")),
        Value::Json(_) => records.text_of(value).expect("UTF-8").into(),
        Value::Bytes(id) => id.of(&records.text).iter().map(|b| format!("{b:02x}")).collect(),
    }
}
