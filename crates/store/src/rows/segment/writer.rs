//! Writes a segment of rows, slice by slice.
//!
//! Memory is bounded by one slice. Nothing counts as written until [`RowWriter::finish`] returns; a writer that
//! is dropped before removes its files.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use hashbrown::HashSet;
use model::record::{columns, span};
use model::{FixedKind, Signal};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::gather::{Gathered, gather, rows_by_time};
use super::layout::{self, Layout};
use super::pages::{self, Checksums};
use super::sidecar::{Footer, Header, MAGIC, SliceInfo};
use super::tokens;
use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::error::{Result, StoreError};
use crate::rows::bloom;
use crate::rows::chunk::{CHUNK_ROWS_MAX, Chunk};
use crate::rows::keys::{self, OverflowKeys};
use crate::rows::slice::BLOCK_ROWS;
use crate::segment::{SegmentMeta, SegmentSpec};

/// Bytes collected before they go to a file.
const WRITE_BYTES: usize = 1 << 20;
/// Rows of the first slice that say whether a column's values come again.
const SAMPLE_ROWS: usize = 8192;
/// Bytes of a page that never end it: blocks end at rows.
const PAGE_BYTES: usize = 1 << 30;

/// Writes the rows of chunks as one segment. It is durable when this returns; `None` without rows. On an error
/// nothing is left behind.
pub fn write_rows(disk: &dyn Disk, spec: &SegmentSpec, chunks: &[Arc<Chunk>]) -> Result<Option<SegmentMeta>> {
    let found = chunks.iter().flat_map(|chunk| keys::of_columns(chunk));
    let layout = Layout::new(spec.signal, found);
    let mut writer = RowWriter::new(disk, spec.clone(), layout);
    let rows = rows_by_time(chunks);
    let bytes: usize = chunks.iter().map(|chunk| chunk.bytes()).sum();
    for rows in rows.chunks(slice_rows(rows.len(), bytes)) {
        writer.push(chunks, rows)?;
    }
    writer.finish()
}

/// Bytes of a slice, about: far more than usual rows take, so that huge ones do not make huge pages.
const SLICE_BYTES: usize = 128 << 20;

/// Rows of a slice, for rows of this size together.
pub(crate) fn slice_rows(rows: usize, bytes: usize) -> usize {
    let row_bytes = bytes / rows.max(1) + 1;
    (SLICE_BYTES / row_bytes).clamp(1, CHUNK_ROWS_MAX)
}

/// A segment in the making.
pub(crate) struct RowWriter<'a> {
    disk: &'a dyn Disk,
    spec: SegmentSpec,
    parquet_path: String,
    filter_path: String,
    /// The files, from the first slice on.
    open: Option<Open>,
    header: Header,
    overflow: OverflowKeys,
}

struct Open {
    parquet: ArrowWriter<Out>,
    filters: Out,
    schema: Arc<Schema>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, spec: SegmentSpec, layout: Layout) -> Self {
        let [parquet_path, filter_path] = layout::paths(&spec.tenant, spec.signal, spec.day, spec.id);
        let header = Header {
            layout,
            slices: Vec::new(),
            overflow: Vec::new(),
            overflow_is_cut: false,
            checksums: Checksums::default(),
        };
        let overflow = OverflowKeys::default();
        Self { disk, spec, parquet_path, filter_path, open: None, header, overflow }
    }

    /// Adds a slice of rows, at least one and at most [`CHUNK_ROWS_MAX`].
    pub(crate) fn push(&mut self, chunks: &[Arc<Chunk>], rows: &[super::gather::RowRef]) -> Result<()> {
        let slice = gather(&self.header.layout, chunks, rows)
            .map_err(|e| StoreError::Refused(format!("rows do not make columns: {e}")))?;
        if self.open.is_none() {
            self.create(&slice)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let (lanes, filters) = bloom::encode(&tokens::of_blocks(&self.header.layout, &slice));
        let fixed = columns(self.spec.signal).len();
        let present = |array: &ArrayRef| (array.len() - array.null_count()) as u32;
        self.header.slices.push(SliceInfo {
            rows: slice.rows as u32,
            min_t_ns: slice.min_t_ns,
            max_t_ns: slice.max_t_ns,
            filter_offset: open.filters.len(),
            lanes,
            counts: slice.arrays[fixed..].iter().map(present).collect(),
        });
        open.filters.write_all(&filters).map_err(|e| StoreError::io("write", &self.filter_path, e))?;
        if let Some(overflow) = slice.arrays.last().and_then(|array| array.as_string_view_opt()) {
            self.overflow.add(overflow);
        }
        let written = file_batch(&open.schema, slice.arrays).and_then(|batch| {
            open.parquet.write(&batch)?;
            open.parquet.flush()
        });
        written.map_err(|e| failed("write", &self.parquet_path, e))
    }

    /// Completes the files and makes them durable.
    pub(crate) fn finish(mut self) -> Result<Option<SegmentMeta>> {
        let Some(open) = self.open.take() else { return Ok(None) };
        match self.seal(open) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) => {
                self.remove_files();
                Err(error)
            }
        }
    }

    fn seal(&mut self, open: Open) -> Result<SegmentMeta> {
        let Open { mut parquet, mut filters, .. } = open;
        parquet.finish().map_err(|e| failed("write", &self.parquet_path, e))?;
        let parquet = parquet.inner_mut();
        let parquet_len = parquet.seal(self.disk, &self.parquet_path)?;
        let checksums = pages::checksums(&parquet.file);
        self.header.checksums = checksums.map_err(|e| failed("read", &self.parquet_path, e))?;
        self.header.overflow = self.overflow.list();
        self.header.overflow_is_cut = self.overflow.is_cut;
        let header = self.header.encode();
        let too_large = |_| StoreError::TooLarge {
            what: "header of a segment",
            value: header.len() as u64,
            limit: u32::MAX.into(),
        };
        let footer = Footer {
            header_offset: filters.len(),
            header_len: u32::try_from(header.len()).map_err(too_large)?,
            header_crc: crc32c::crc32c(&header),
            parquet_len,
        };
        let written = filters.write_all(&header).and_then(|()| filters.write_all(&footer.encode()));
        written.map_err(|e| StoreError::io("write", &self.filter_path, e))?;
        let filter_len = filters.seal(self.disk, &self.filter_path)?;
        let spec = self.spec.clone();
        let slices = &self.header.slices;
        let ms = |ns: i64| ns.div_euclid(1_000_000);
        Ok(SegmentMeta {
            id: spec.id,
            tenant: spec.tenant,
            signal: spec.signal,
            day: spec.day,
            level: spec.level,
            min_t_ms: slices.iter().map(|slice| ms(slice.min_t_ns)).min().unwrap_or(0),
            max_t_ms: slices.iter().map(|slice| ms(slice.max_t_ns)).max().unwrap_or(0),
            min_seq: spec.min_seq,
            max_seq: spec.max_seq,
            series: 0,
            samples: slices.iter().map(|slice| u64::from(slice.rows)).sum(),
            bytes: parquet_len + filter_len,
            created_ms: spec.created_ms,
            tombstones_applied: spec.tombstones_applied,
        })
    }

    fn create(&mut self, first: &Gathered) -> Result<()> {
        durable::create_dir(self.disk, durable::parent(&self.parquet_path))?;
        let create = |path: &str| {
            let file = self.disk.create(path).map_err(|e| StoreError::io("create", path, e))?;
            Ok(Out { file: Arc::from(file), written: 0, pending: Vec::new() })
        };
        let schema = Arc::new(self.header.layout.schema());
        let properties = properties(&self.spec, &schema, first);
        let parquet = create(&self.parquet_path)?;
        let opened = create(&self.filter_path).and_then(|mut filters| {
            filters.write_all(MAGIC).map_err(|e| StoreError::io("write", &self.filter_path, e))?;
            let parquet = ArrowWriter::try_new(parquet, schema.clone(), Some(properties))
                .map_err(|e| failed("write", &self.parquet_path, e))?;
            Ok(Open { parquet, filters, schema })
        });
        match opened {
            Ok(open) => self.open = Some(open),
            Err(error) => {
                self.remove_files();
                return Err(error);
            }
        }
        Ok(())
    }

    fn remove_files(&self) {
        let paths = [self.parquet_path.as_str(), self.filter_path.as_str()];
        if let Err(error) = durable::remove_files(self.disk, paths) {
            tracing::warn!(%error, "an unfinished segment stays until the next start");
        }
    }
}

impl Drop for RowWriter<'_> {
    fn drop(&mut self) {
        if self.open.take().is_some() {
            self.remove_files();
        }
    }
}

/// The arrays in the types of the file.
fn file_batch(schema: &Arc<Schema>, arrays: Vec<ArrayRef>) -> Result<RecordBatch, ParquetError> {
    let arrays = arrays.into_iter().zip(schema.fields()).map(|(array, field)| match field.data_type() {
        DataType::Timestamp(..) => match array.as_primitive_opt::<Int64Type>() {
            Some(times) => {
                Arc::new(times.reinterpret_cast::<TimestampNanosecondType>().with_timezone("UTC")) as ArrayRef
            }
            None => array,
        },
        _ => array,
    });
    RecordBatch::try_new(schema.clone(), arrays.collect()).map_err(ParquetError::from)
}

fn properties(spec: &SegmentSpec, schema: &Schema, first: &Gathered) -> WriterProperties {
    let level = ZstdLevel::try_new(if spec.level == 0 { 1 } else { 3 }).expect("zstd has these levels");
    let mut builder = WriterProperties::builder()
        .set_created_by("bellwether".into())
        .set_max_row_group_row_count(Some(CHUNK_ROWS_MAX))
        .set_data_page_row_count_limit(BLOCK_ROWS)
        .set_write_batch_size(BLOCK_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(level));
    let kinds = columns(spec.signal);
    for (at, (field, array)) in schema.fields().iter().zip(&first.arrays).enumerate() {
        let path = ColumnPath::new(vec![field.name().clone()]);
        match field.data_type() {
            // Only the spans of a trace, which lie together, repeat an identifier.
            DataType::FixedSizeBinary(_) if (spec.signal, at) != (Signal::Traces, span::TRACE_ID) => {
                builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
            }
            DataType::Timestamp(..) => {
                builder = builder
                    .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                    .set_column_statistics_enabled(path, EnabledStatistics::Chunk);
            }
            DataType::Int64 | DataType::Float64 => {
                builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
                if repeats(array) {
                    builder = builder.set_column_dictionary_enabled(path, true);
                } else if *field.data_type() == DataType::Int64 {
                    builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
                }
            }
            DataType::Utf8View => {
                let is_json = kinds.get(at).is_some_and(|column| column.kind == FixedKind::Json);
                if !is_json && repeats(array) {
                    builder = builder.set_column_dictionary_enabled(path, true);
                }
            }
            _ => {}
        }
    }
    builder.build()
}

/// True when the values of a column are few enough for a dictionary to pay.
fn repeats(array: &ArrayRef) -> bool {
    let rows = array.len().min(SAMPLE_ROWS);
    let mut distinct: HashSet<u64> = HashSet::new();
    let mut present = 0;
    let hash = |row: usize| match array.data_type() {
        DataType::Int64 => Some(array.as_primitive_opt::<Int64Type>()?.value(row) as u64),
        DataType::Float64 => {
            Some(array.as_primitive_opt::<arrow_array::types::Float64Type>()?.value(row).to_bits())
        }
        _ => Some(xxhash_rust::xxh3::xxh3_64(array.as_string_view_opt()?.value(row).as_bytes())),
    };
    for row in (0..rows).filter(|row| array.is_valid(*row)) {
        present += 1;
        distinct.extend(hash(row));
    }
    distinct.len() * 3 < present + 3
}

/// Wraps what the Parquet writer says; it passes on what the disk said.
fn failed(action: &'static str, path: &str, error: ParquetError) -> StoreError {
    let source = match error {
        ParquetError::External(source) => {
            source.downcast::<io::Error>().map_or_else(io::Error::other, |source| *source)
        }
        other => io::Error::other(other),
    };
    StoreError::io(action, path, source)
}

/// A file that grows.
struct Out {
    file: Arc<dyn DiskFile>,
    /// Bytes that are in the file.
    written: u64,
    /// Bytes that follow them.
    pending: Vec<u8>,
}

impl Out {
    fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn write_pending(&mut self) -> io::Result<()> {
        self.file.write_at(self.written, &self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is left and makes the file durable. Returns its length.
    fn seal(&mut self, disk: &dyn Disk, path: &str) -> Result<u64> {
        self.write_pending().map_err(|e| StoreError::io("write", path, e))?;
        durable::seal(disk, path, &*self.file)?;
        Ok(self.written)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= WRITE_BYTES {
            self.write_pending()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
