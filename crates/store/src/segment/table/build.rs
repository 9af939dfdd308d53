//! Builds the series table and writes it as Parquet.
//!
//! A label name is a column of its own, `l.<name>`, up to [`LABEL_COLUMNS_MAX`] names; the labels with rarer
//! names share the column `labels_rest`, in packed form. Rows are kept as pairs of numbers until the end, so
//! memory follows the labels that there are, however many names they have between them.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::types::UInt32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use model::{Labels, METRIC_NAME};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::interner::Interner;

/// Label names that get a column of their own; a footer entry of some hundred bytes each.
const LABEL_COLUMNS_MAX: usize = 200;
/// Rows handed to the Parquet writer at once.
pub(super) const BATCH_ROWS: usize = 1 << 16;
/// Largest dictionary of one column; beyond it Parquet stores plain texts.
const DICTIONARY_BYTES_MAX: usize = 64 << 20;
const ZSTD_LEVEL: i32 = 6;

pub(super) const LABEL_PREFIX: &str = "l.";
pub(super) const REST: &str = "labels_rest";
pub(super) const KINDS: &str = "kinds";
pub(super) const SAMPLES: &str = "samples";
pub(super) const MIN_T: &str = "min_t";
pub(super) const MAX_T: &str = "max_t";
pub(super) const OFFSET: &str = "offset";
pub(super) const CHUNKS: &str = "chunks";

/// What the table says of a series beside its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFacts {
    /// Bit `1 << kind` for each kind of chunk that it has.
    pub(crate) kinds: u8,
    /// Float and histogram samples.
    pub(crate) samples: u64,
    /// First time in any of its chunks.
    pub(crate) min_t_ms: i64,
    /// Last time in any of its chunks; inclusive.
    pub(crate) max_t_ms: i64,
    /// Where its part of the `.chunks` file begins.
    pub(crate) offset: u64,
}

/// A series table in the making.
#[derive(Debug, Default)]
pub(crate) struct TableBuilder {
    names: Interner,
    /// By name: rows that have it, and its values.
    columns: Vec<(usize, Interner)>,
    /// Name and value of each label, row after row.
    labels: Vec<(u32, u32)>,
    label_ends: Vec<usize>,
    facts: Vec<RowFacts>,
    lists: Vec<u8>,
    list_ends: Vec<usize>,
}

impl TableBuilder {
    /// Rows so far.
    pub(crate) fn rows(&self) -> usize {
        self.facts.len()
    }

    /// Adds a row; `list` is the encoded list of its chunks.
    pub(crate) fn push(&mut self, labels: &Labels, facts: RowFacts, list: &[u8]) {
        for (name, value) in labels.iter() {
            let name = self.names.intern(name);
            if self.columns.len() <= name as usize {
                self.columns.push((0, Interner::default()));
            }
            let column = &mut self.columns[name as usize];
            column.0 += 1;
            self.labels.push((name, column.1.intern(value)));
        }
        self.label_ends.push(self.labels.len());
        self.facts.push(facts);
        self.lists.extend_from_slice(list);
        self.list_ends.push(self.lists.len());
    }

    /// The Parquet file.
    pub(crate) fn finish(self, key_values: Vec<(String, String)>) -> Result<Vec<u8>, ParquetError> {
        let columns = self.label_columns();
        let has_rest = columns.len() < self.names.texts().len();
        let schema = self.schema(&columns, has_rest);
        let options = ArrowWriterOptions::new()
            .with_properties(properties(key_values))
            .with_skip_arrow_metadata(true)
            .with_schema_root("series".into());
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)?;
        let dictionaries: Vec<Arc<LargeStringArray>> = columns
            .iter()
            .map(|&name| Arc::new(self.columns[name as usize].1.texts().iter().map(Some).collect()))
            .collect();
        for start in (0..self.rows()).step_by(BATCH_ROWS) {
            let rows = start..self.rows().min(start + BATCH_ROWS);
            writer.write(&self.batch(rows, &columns, &dictionaries, has_rest, &schema)?)?;
        }
        writer.into_inner()
    }

    /// Numbers of the names with a column of their own, by name.
    fn label_columns(&self) -> Vec<u32> {
        let mut columns: Vec<u32> = (0..self.columns.len() as u32).collect();
        if columns.len() > LABEL_COLUMNS_MAX {
            columns.sort_by_key(|&name| std::cmp::Reverse(self.columns[name as usize].0));
            columns.truncate(LABEL_COLUMNS_MAX);
        }
        columns.sort_unstable_by_key(|&name| self.names.texts().get(name as usize));
        columns
    }

    fn schema(&self, columns: &[u32], has_rest: bool) -> SchemaRef {
        let text = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::LargeUtf8));
        let mut fields: Vec<Field> = columns
            .iter()
            .map(|&name| {
                let name = self.names.texts().get(name as usize);
                Field::new(format!("{LABEL_PREFIX}{name}"), text.clone(), true)
            })
            .collect();
        if has_rest {
            fields.push(Field::new(REST, DataType::Binary, true));
        }
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        for (name, kind) in [
            (KINDS, DataType::Int32),
            (SAMPLES, DataType::Int64),
            (MIN_T, time.clone()),
            (MAX_T, time),
            (OFFSET, DataType::Int64),
            (CHUNKS, DataType::Binary),
        ] {
            fields.push(Field::new(name, kind, false));
        }
        Arc::new(Schema::new(fields))
    }

    fn batch(
        &self,
        rows: std::ops::Range<usize>,
        columns: &[u32],
        dictionaries: &[Arc<LargeStringArray>],
        has_rest: bool,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let mut column_of = vec![usize::MAX; self.columns.len()];
        for (column, &name) in columns.iter().enumerate() {
            column_of[name as usize] = column;
        }
        let mut keys = vec![vec![None; rows.len()]; columns.len()];
        let mut rest = BinaryBuilder::new();
        let mut rest_pairs = Vec::new();
        for row in rows.clone() {
            rest_pairs.clear();
            for &(name, value) in &self.labels[range(&self.label_ends, row)] {
                match keys.get_mut(column_of[name as usize]) {
                    Some(column) => column[row - rows.start] = Some(value),
                    None => rest_pairs.push(self.pair(name, value)),
                }
            }
            let labels = (!rest_pairs.is_empty())
                .then(|| Labels::from_pairs(rest_pairs.iter().copied()).expect("a part of valid labels"));
            rest.append_option(labels.as_ref().map(Labels::packed));
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (keys, dictionary) in keys.into_iter().zip(dictionaries) {
            let keys = UInt32Array::from(keys);
            arrays.push(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, dictionary.clone())?));
        }
        if has_rest {
            arrays.push(Arc::new(rest.finish()));
        }
        let facts = &self.facts[rows.clone()];
        let time = |t: fn(&RowFacts) -> i64| {
            Arc::new(TimestampMillisecondArray::from_iter_values(facts.iter().map(t)).with_timezone("UTC"))
        };
        arrays.push(Arc::new(Int32Array::from_iter_values(facts.iter().map(|f| i32::from(f.kinds)))));
        arrays.push(Arc::new(Int64Array::from_iter_values(facts.iter().map(|f| f.samples as i64))));
        arrays.push(time(|f| f.min_t_ms));
        arrays.push(time(|f| f.max_t_ms));
        arrays.push(Arc::new(Int64Array::from_iter_values(facts.iter().map(|f| f.offset as i64))));
        let mut lists = BinaryBuilder::with_capacity(rows.len(), rows.len() * 32);
        for row in rows {
            lists.append_value(&self.lists[range(&self.list_ends, row)]);
        }
        arrays.push(Arc::new(lists.finish()));
        RecordBatch::try_new(schema.clone(), arrays)
    }

    fn pair(&self, name: u32, value: u32) -> (&str, &str) {
        (self.names.texts().get(name as usize), self.columns[name as usize].1.texts().get(value as usize))
    }
}

/// The part of a flat column that belongs to a row.
pub(super) fn range(ends: &[usize], row: usize) -> std::ops::Range<usize> {
    (if row == 0 { 0 } else { ends[row - 1] })..ends[row]
}

fn properties(key_values: Vec<(String, String)>) -> WriterProperties {
    let path = |name: &str| ColumnPath::new(vec![name.into()]);
    let mut properties = WriterProperties::builder()
        .set_created_by("bellwether".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).expect("a level of zstd")))
        // One row group, so that each label has one dictionary.
        .set_max_row_group_row_count(None)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_column_dictionary_enabled(path(OFFSET), false)
        .set_column_encoding(path(OFFSET), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(path(CHUNKS), false)
        .set_column_encoding(path(CHUNKS), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .set_column_dictionary_enabled(path(REST), false)
        .set_key_value_metadata(Some(
            key_values.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        ));
    for name in [MIN_T, MAX_T, &format!("{LABEL_PREFIX}{METRIC_NAME}")] {
        properties = properties.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
    }
    properties.build()
}
