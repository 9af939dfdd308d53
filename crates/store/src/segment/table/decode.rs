//! Reads a series table back from Parquet. The caller has checked the checksum of the file; what is checked
//! here is that the content keeps the rules that [`Table`] relies on.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType, UInt32Type};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use model::Labels;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::build::{BATCH_ROWS, CHUNKS, KINDS, LABEL_PREFIX, MAX_T, MIN_T, OFFSET, REST, SAMPLES};
use super::codes::Codes;
use super::interner::Interner;
use super::{LabelColumn, Table};
use crate::segment::layout::Directory;
use crate::segment::wire::{Damaged, Decoded};

/// Label values of one column as they come.
struct PartColumn {
    name: String,
    values: Interner,
    /// Number of the value plus one; 0 where absent.
    codes: Vec<u32>,
}

pub(super) fn decode(parquet: Vec<u8>, directory: Directory, chunks_end: u64) -> Decoded<Table> {
    let damaged = |_| Damaged("series table");
    let parquet = Bytes::from(parquet);
    let metadata = ArrowReaderMetadata::load(&parquet, ArrowReaderOptions::new()).map_err(damaged)?;
    let schema = schema_to_read(metadata.schema());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(parquet, options).map_err(damaged)?;
    let reader = reader.with_batch_size(BATCH_ROWS).build().map_err(damaged)?;
    let mut parts: Vec<PartColumn> = Vec::new();
    let mut table = Table {
        rows: 0,
        columns: Vec::new(),
        rest: Vec::new(),
        min_t_ms: Vec::new(),
        max_t_ms: Vec::new(),
        offsets: Vec::new(),
        lists: Vec::new(),
        list_ends: Vec::new(),
        vectors: directory.vectors,
        metadata: directory.metadata,
        chunks_end,
    };
    for batch in reader {
        let batch = batch.map_err(|_| Damaged("series table"))?;
        let schema = batch.schema();
        let mut part = 0;
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            if let Some(name) = field.name().strip_prefix(LABEL_PREFIX) {
                if parts.len() == part {
                    parts.push(PartColumn {
                        name: name.into(),
                        values: Interner::default(),
                        codes: Vec::new(),
                    });
                }
                push_labels(&mut parts[part], column)?;
                part += 1;
            } else {
                push_column(&mut table, field.name(), column)?;
            }
        }
        table.rows += batch.num_rows() as u32;
    }
    let rows = table.rows as usize;
    let lens = [table.min_t_ms.len(), table.max_t_ms.len(), table.offsets.len(), table.list_ends.len()];
    if lens.iter().any(|&len| len != rows) {
        return Err(Damaged("columns of the series table"));
    }
    table.columns = parts.into_iter().map(finish_column).collect();
    table.columns.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    check_names(&table)?;
    Ok(table)
}

/// Label columns keep their dictionaries; the rest is read as it is.
fn schema_to_read(stored: &Schema) -> Schema {
    let text = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::LargeUtf8));
    let fields = stored.fields().iter().map(|field| {
        if field.name().starts_with(LABEL_PREFIX) {
            Arc::new(Field::new(field.name(), text.clone(), field.is_nullable()))
        } else {
            field.clone()
        }
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn push_labels(part: &mut PartColumn, column: &ArrayRef) -> Decoded<()> {
    let column = column.as_dictionary_opt::<UInt32Type>().ok_or(Damaged("label column"))?;
    let values = column.values().as_string_opt::<i64>().ok_or(Damaged("label column"))?;
    // Most batches share one dictionary, whose texts are interned once per batch, not per row.
    let codes: Vec<u32> = values
        .iter()
        .map(|value| value.filter(|v| !v.is_empty()).map_or(0, |value| part.values.intern(value) + 1))
        .collect();
    for key in column.keys() {
        let code = key.map(|key| codes.get(key as usize).copied().ok_or(Damaged("label column")));
        part.codes.push(code.transpose()?.unwrap_or(0));
    }
    Ok(())
}

fn push_column(table: &mut Table, name: &str, column: &ArrayRef) -> Decoded<()> {
    let wrong = Damaged("columns of the series table");
    let times = |column: &ArrayRef| {
        column.as_primitive_opt::<TimestampMillisecondType>().map(|c| c.values().to_vec()).ok_or(wrong)
    };
    match name {
        MIN_T => table.min_t_ms.extend(times(column)?),
        MAX_T => table.max_t_ms.extend(times(column)?),
        OFFSET => {
            let offsets = column.as_primitive_opt::<Int64Type>().ok_or(wrong)?;
            table.offsets.extend(offsets.values().iter().map(|&o| o as u64));
        }
        CHUNKS => {
            let lists = column.as_binary_opt::<i32>().ok_or(wrong)?;
            for list in lists.iter() {
                table.lists.extend_from_slice(list.unwrap_or_default());
                table.list_ends.push(table.lists.len());
            }
        }
        REST => {
            let rest = column.as_binary_opt::<i32>().ok_or(wrong)?;
            for (i, packed) in rest.iter().enumerate() {
                let Some(packed) = packed else { continue };
                let packed = std::str::from_utf8(packed).map_err(|_| wrong)?;
                let labels = Labels::from_packed(packed).map_err(|_| wrong)?;
                table.rest.push((table.rows + i as u32, labels));
            }
        }
        // For readers other than us.
        KINDS | SAMPLES => {}
        // From a later minor version.
        _ => {}
    }
    Ok(())
}

fn finish_column(part: PartColumn) -> LabelColumn {
    let PartColumn { name, values, mut codes } = part;
    let (values, places) = values.into_sorted();
    for code in &mut codes {
        if *code > 0 {
            *code = places[*code as usize - 1] + 1;
        }
    }
    let is_sorted = codes.is_sorted();
    LabelColumn { name, codes: Codes::pack(&codes, values.len()), values, is_sorted }
}

/// Names must be distinct, between columns and within what the rest holds.
fn check_names(table: &Table) -> Decoded<()> {
    let repeated = table.columns.windows(2).any(|two| two[0].name == two[1].name);
    let empty = table.columns.first().is_some_and(|c| c.name.is_empty());
    let is_column = |name: &str| table.columns.binary_search_by(|c| c.name.as_str().cmp(name)).is_ok();
    let shared = table.rest.iter().any(|(_, labels)| labels.iter().any(|(name, _)| is_column(name)));
    if repeated || empty || shared { Err(Damaged("label names")) } else { Ok(()) }
}
