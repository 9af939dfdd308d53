//! A slice of rows that can be asked: a chunk in memory, or a row group of a segment.

use std::hash::{Hash, Hasher};
use std::ops::{AddAssign, Range};
use std::sync::{Arc, Weak};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use model::record::columns;
use model::{Field, Records, Signal};

use super::chunk::{AttrColumn, Chunk, Scope, ValueKind};
use super::filter::Filter;
use super::segment::{Group, RowSegment};
use super::{read, select};
use crate::error::Result;

/// What was looked at to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Rows of the blocks that were looked into.
    pub rows: u64,
    /// Bytes that were read from files or lay in the columns looked at.
    pub bytes: u64,
    /// Slices that were asked.
    pub slices: u64,
    /// Blocks that were looked into.
    pub blocks: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.slices += other.slices;
        self.blocks += other.blocks;
    }
}

/// A column to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// A field in its natural type: a fixed column's own; of an attribute the kind that the slice has (doubles
    /// where integers and doubles occur, texts where others mix or none occurs).
    Field(Field),
    /// A field as values of this kind; null where a value cannot be converted. Every value has a text.
    FieldAs(Field, ValueKind),
    /// All attributes of the row as a JSON object, sorted by key; never null.
    Attributes,
    /// All attributes of the resource as a JSON object, sorted by key; never null.
    ResourceAttributes,
}

/// A key that rows have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Whose attribute.
    pub scope: Scope,
    /// Its key.
    pub key: Arc<str>,
    /// Of which kind its values are.
    pub kind: ValueKind,
    /// Rows that have it.
    pub count: u64,
}

/// A column as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StoredColumn {
    /// A fixed column, by position.
    Fixed(usize),
    /// An attribute column, by position among them.
    Attr(usize),
    /// The attributes without a column.
    Overflow,
}

/// Rows of a block; the last one of a slice may have fewer.
pub(crate) const BLOCK_ROWS: usize = 4096;

/// Rows of a slice that were loaded, as ascending ranges that do not touch. Loaded arrays have these rows, one
/// range after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) ranges: Vec<Range<usize>>,
}

impl Loaded {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// True when it has all rows of the other.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let has = |range: &Range<usize>| {
            self.ranges.iter().any(|own| own.start <= range.start && range.end <= own.end)
        };
        other.ranges.iter().all(has)
    }

    /// Of bits of the slice those of the loaded rows.
    pub(crate) fn gather(&self, bits: &BooleanBuffer) -> BooleanBuffer {
        if let [range] = self.ranges.as_slice() {
            return bits.slice(range.start, range.len());
        }
        let mut out = BooleanBufferBuilder::new(self.rows());
        for range in &self.ranges {
            out.append_buffer(&bits.slice(range.start, range.len()));
        }
        out.finish()
    }

    /// Bits of the slice from bits of the loaded rows; the others are not set.
    pub(crate) fn scatter(&self, bits: &BooleanBuffer, rows: usize) -> BooleanBuffer {
        let mut out = BooleanBufferBuilder::new(rows);
        let mut at = 0;
        for range in &self.ranges {
            out.append_n(range.start - out.len(), false);
            out.append_buffer(&bits.slice(at, range.len()));
            at += range.len();
        }
        out.append_n(rows - out.len(), false);
        out.finish()
    }
}

/// Up to 65,536 rows of one signal. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Slice {
    source: Source,
    /// What deletes hide.
    hidden: Arc<[Arc<Filter>]>,
    /// What rows must fulfil to be seen at all.
    within: Option<Arc<Filter>>,
}

/// Where a slice's rows are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In memory.
    Chunk(Arc<Chunk>),
    /// In a file.
    Group(Group),
}

/// Names a slice whose rows never change, for what is remembered of it. It keeps none of its rows.
#[derive(Clone, Debug)]
pub struct SliceId(Origin);

#[derive(Clone, Debug)]
enum Origin {
    Chunk(Weak<Chunk>),
    Group(Weak<RowSegment>, usize),
}

impl SliceId {
    /// True when nobody can ask the slice any more.
    pub fn is_gone(&self) -> bool {
        match &self.0 {
            Origin::Chunk(chunk) => chunk.strong_count() == 0,
            Origin::Group(segment, _) => segment.strong_count() == 0,
        }
    }

    /// An address stays taken for as long as someone points to it, weakly too, so no two slices share one.
    fn address(&self) -> (usize, usize) {
        match &self.0 {
            Origin::Chunk(chunk) => (chunk.as_ptr().addr(), usize::MAX),
            Origin::Group(segment, index) => (segment.as_ptr().addr(), *index),
        }
    }
}

impl PartialEq for SliceId {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for SliceId {}

impl Hash for SliceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl Slice {
    /// What it is known by; `None` where some of its rows are hidden.
    pub fn id(&self) -> Option<SliceId> {
        let origin = match &self.source {
            _ if !self.hidden.is_empty() || self.within.is_some() => return None,
            Source::Chunk(chunk) => Origin::Chunk(Arc::downgrade(chunk)),
            Source::Group(group) => Origin::Group(Arc::downgrade(group.owner()), group.index()),
        };
        Some(SliceId(origin))
    }

    pub(crate) fn new(source: Source, hidden: Arc<[Arc<Filter>]>) -> Self {
        Self { source, hidden, within: None }
    }

    /// The rows of a chunk, less what filters hide.
    pub fn of_chunk(chunk: Arc<Chunk>, hidden: Arc<[Arc<Filter>]>) -> Self {
        Self { source: Source::Chunk(chunk), hidden, within: None }
    }

    /// The same rows, less those that a filter does not accept.
    #[must_use]
    pub fn within(self, filter: Arc<Filter>) -> Self {
        Self { within: Some(filter), ..self }
    }

    /// Decoded rows, as many as there are.
    pub fn of_records(records: &Records) -> Self {
        Self::of_chunk(Arc::new(Chunk::from_records(records)), Arc::default())
    }

    /// Which table the rows are of.
    pub fn signal(&self) -> Signal {
        self.source.signal()
    }

    /// Number of rows, those that are hidden included.
    pub fn rows(&self) -> usize {
        self.source.rows()
    }

    /// Time of the first and the last row, nanoseconds, both inclusive.
    pub fn time_ns(&self) -> (i64, i64) {
        self.source.time_ns()
    }

    /// The rows that the filter accepts and that are not hidden, one bit a row.
    pub fn select(&self, filter: &Filter, cost: &mut Cost) -> Result<BooleanBuffer> {
        cost.slices += 1;
        select::select(&self.source, filter, self.within.as_deref(), &self.hidden, cost)
    }

    /// Values of the rows whose bit is set, in the order of the slice, one array a column.
    pub fn read(&self, columns: &[Column], rows: &BooleanBuffer, cost: &mut Cost) -> Result<Vec<ArrayRef>> {
        read::read(&self.source, columns, rows, cost)
    }

    /// All columns of the rows whose bit is set, in the order of the slice.
    pub fn chunk(&self, rows: &BooleanBuffer) -> Result<Chunk> {
        if let Source::Chunk(chunk) = &self.source
            && rows.count_set_bits() == chunk.rows
        {
            return Ok((**chunk).clone());
        }
        let attrs = self.source.attrs();
        let fixed = columns(self.signal()).len();
        let mut stored: Vec<StoredColumn> = (0..fixed).map(StoredColumn::Fixed).collect();
        stored.extend(attrs.iter().map(|(at, ..)| StoredColumn::Attr(*at)));
        stored.push(StoredColumn::Overflow);
        let (mut arrays, count) = read::stored(&self.source, &stored, rows, &mut Cost::default())?;
        let overflow = arrays.pop().and_then(|array| array.as_string_view_opt().cloned());
        let values = arrays.split_off(fixed);
        let attrs = attrs.into_iter().zip(values);
        let attrs =
            attrs.map(|((_, scope, key, kind), values)| AttrColumn { scope, key: key.clone(), kind, values });
        let overflow = overflow.filter(|overflow| overflow.null_count() < overflow.len());
        Ok(Chunk::with_times(self.signal(), count, arrays, attrs.collect(), overflow))
    }

    /// The keys of the rows' attributes, each scope and kind apart. Keys in the overflow are among them, as far
    /// as they are known without reading rows. Where rows must fulfil a filter to be seen, those are read, and
    /// only their keys are named.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        let Some(within) = &self.within else { return self.source.keys() };
        let rows = select::select(&self.source, within, None, &self.hidden, &mut Cost::default())?;
        match rows.count_set_bits() {
            0 => Ok(Vec::new()),
            count if count == self.rows() => self.source.keys(),
            _ => Ok(super::keys::of_chunk(&self.chunk(&rows)?)),
        }
    }

    /// Like [`Self::keys`], of hidden rows too: to decide how rows are read, never to be shown.
    pub fn stored_keys(&self) -> Result<Vec<KeyInfo>> {
        self.source.keys()
    }
}

impl Source {
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Self::Chunk(chunk) => chunk.signal,
            Self::Group(group) => group.segment().meta().signal,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.rows,
            Self::Group(group) => group.info().rows as usize,
        }
    }

    pub(crate) fn time_ns(&self) -> (i64, i64) {
        match self {
            Self::Chunk(chunk) => (chunk.min_t_ns, chunk.max_t_ns),
            Self::Group(group) => (group.info().min_t_ns, group.info().max_t_ns),
        }
    }

    fn keys(&self) -> Result<Vec<KeyInfo>> {
        match self {
            Self::Chunk(chunk) => Ok(super::keys::of_chunk(chunk)),
            Self::Group(group) => Ok(group.keys()),
        }
    }

    /// All attribute columns: position, whose, key and kind.
    pub(crate) fn attrs(&self) -> Vec<(usize, Scope, &Arc<str>, ValueKind)> {
        match self {
            Self::Chunk(chunk) => {
                let attrs = chunk.attrs.iter().enumerate();
                attrs.map(|(at, attr)| (at, attr.scope, &attr.key, attr.kind)).collect()
            }
            Self::Group(group) => group.attrs().collect(),
        }
    }

    /// The attribute columns of a key.
    pub(crate) fn attrs_of(&self, scope: Scope, key: &str) -> Vec<(usize, ValueKind)> {
        match self {
            Self::Chunk(chunk) => {
                let attrs = chunk.attrs.iter().enumerate();
                let own = attrs.filter(|(_, attr)| attr.scope == scope && *attr.key == *key);
                own.map(|(at, attr)| (at, attr.kind)).collect()
            }
            Self::Group(group) => group.attr_of(scope, key).into_iter().collect(),
        }
    }

    /// True where a row's overflow may have the key; `None` asks for any.
    pub(crate) fn overflow_may_have(&self, key: Option<(Scope, &str)>) -> bool {
        match self {
            Self::Chunk(chunk) => chunk.overflow.as_ref().is_some_and(|o| o.null_count() < o.len()),
            Self::Group(group) => group.overflow_may_have(key),
        }
    }

    /// The rows that block filters cannot rule out.
    pub(crate) fn candidates(&self, filter: &Filter, cost: &mut Cost) -> Result<BooleanBuffer> {
        match self {
            Self::Chunk(chunk) => Ok(BooleanBuffer::new_set(chunk.rows)),
            Self::Group(group) => group.candidates(filter, cost),
        }
    }

    /// The rows that are loaded to have these: whole blocks.
    pub(crate) fn to_load(&self, rows: &BooleanBuffer) -> Loaded {
        match self {
            // Everything is there already.
            #[expect(clippy::single_range_in_vec_init, reason = "one range of rows is meant")]
            Self::Chunk(chunk) => Loaded { ranges: vec![0..chunk.rows] },
            Self::Group(group) => group.to_load(rows),
        }
    }

    /// Arrays of stored columns with the rows of `loaded`, which comes from [`Self::to_load`].
    pub(crate) fn load(
        &self,
        columns: &[StoredColumn],
        loaded: &Loaded,
        cost: &mut Cost,
    ) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Chunk(chunk) => {
                let arrays = columns.iter().map(|column| column_of(chunk, *column));
                let arrays: Vec<ArrayRef> = arrays.collect();
                cost.bytes += arrays.iter().map(|array| array.get_buffer_memory_size() as u64).sum::<u64>();
                Ok(arrays)
            }
            Self::Group(group) => group.load(columns, loaded, cost),
        }
    }
}

fn column_of(chunk: &Chunk, column: StoredColumn) -> ArrayRef {
    match column {
        StoredColumn::Fixed(at) => Arc::clone(&chunk.fixed[at]),
        StoredColumn::Attr(at) => Arc::clone(&chunk.attrs[at].values),
        StoredColumn::Overflow => match &chunk.overflow {
            Some(overflow) => Arc::new(overflow.clone()),
            None => Arc::new(arrow_array::StringViewArray::new_null(chunk.rows)),
        },
    }
}
