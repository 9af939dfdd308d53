//! Results as CSV by RFC 4180, with CRLF and a header.
//!
//! A cell of text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return would be computed by a
//! spreadsheet; it gets an apostrophe before it, unless it is a number.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};

use super::json::texts;

/// The whole text.
pub(super) fn text(schema: &SchemaRef, batches: &[RecordBatch]) -> String {
    let mut out = String::new();
    for (i, field) in schema.fields().iter().enumerate() {
        separate(&mut out, i);
        push_cell(&mut out, field.name(), true);
    }
    out.push_str("\r\n");
    for batch in batches {
        let is_text: Vec<bool> = batch.columns().iter().map(|column| is_text(column.data_type())).collect();
        let columns: Vec<_> = batch.columns().iter().map(texts).collect();
        for row in 0..batch.num_rows() {
            for (i, column) in columns.iter().enumerate() {
                separate(&mut out, i);
                if let Some(cell) = &column[row] {
                    push_cell(&mut out, cell, is_text[i]);
                }
            }
            out.push_str("\r\n");
        }
    }
    out
}

/// Appends one record of cells that are texts, as far as they are not empty.
pub fn push_csv_record<'c>(out: &mut String, cells: impl IntoIterator<Item = &'c str>) {
    for (i, cell) in cells.into_iter().enumerate() {
        separate(out, i);
        push_cell(out, cell, true);
    }
    out.push_str("\r\n");
}

fn is_text(data_type: &DataType) -> bool {
    !(data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean)
}

fn separate(out: &mut String, column: usize) {
    if column > 0 {
        out.push(',');
    }
}

fn push_cell(out: &mut String, cell: &str, is_text: bool) {
    let starts_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = is_text && starts_formula && cell.parse::<f64>().is_err();
    let quote = cell.contains([',', '"', '\r', '\n']);
    if quote {
        out.push('"');
    }
    if guard {
        out.push('\'');
    }
    if quote {
        out.push_str(&cell.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(cell);
    }
}
