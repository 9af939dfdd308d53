//! One change of the manifest, and its bytes.

use std::sync::Arc;

use model::{MatchOp, Matcher, Signal, TenantId, TimeRange};

use crate::codec::{Reader, put_bytes, put_varint, put_zigzag};
use crate::rows::{RowTombstone, predicate};
use crate::segment::{SegmentId, SegmentMeta};
use crate::tombstone::Tombstone;
use crate::wal::ShardKey;

/// The first version with deletes of rows.
const WITH_ROW_TOMBSTONES: u32 = 2;

/// What one commit changes. All of it becomes visible, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// True for the first edit of a file, which holds the whole state.
    pub(crate) is_checkpoint: bool,
    pub(crate) add: Vec<SegmentMeta>,
    pub(crate) remove: Vec<SegmentId>,
    /// Sequences up to which shards are flushed.
    pub(crate) flushed: Vec<(ShardKey, u64)>,
    pub(crate) add_tombstones: Vec<(ShardKey, Tombstone)>,
    pub(crate) add_row_tombstones: Vec<(ShardKey, Arc<RowTombstone>)>,
    /// Of either kind.
    pub(crate) remove_tombstones: Vec<u64>,
    /// Segment and tombstone numbers below this are taken.
    pub(crate) id_next: u64,
}

pub(super) fn encode(edit: &Edit, out: &mut Vec<u8>) {
    out.push(u8::from(edit.is_checkpoint));
    put_varint(out, edit.id_next);
    put_varint(out, edit.add.len() as u64);
    for meta in &edit.add {
        put_segment(out, meta);
    }
    put_varint(out, edit.remove.len() as u64);
    for id in &edit.remove {
        put_varint(out, id.0);
    }
    put_varint(out, edit.flushed.len() as u64);
    for (shard, seq) in &edit.flushed {
        put_shard(out, shard);
        put_varint(out, *seq);
    }
    put_varint(out, edit.add_tombstones.len() as u64);
    for (shard, tombstone) in &edit.add_tombstones {
        put_shard(out, shard);
        put_tombstone(out, tombstone);
    }
    put_varint(out, edit.remove_tombstones.len() as u64);
    for id in &edit.remove_tombstones {
        put_varint(out, *id);
    }
    put_varint(out, edit.add_row_tombstones.len() as u64);
    for (shard, tombstone) in &edit.add_row_tombstones {
        put_shard(out, shard);
        put_row_tombstone(out, tombstone);
    }
}

/// Reads an edit of a file of this version.
pub(super) fn decode(bytes: &[u8], version: u32) -> Option<Edit> {
    let mut reader = Reader::new(bytes);
    let r = &mut reader;
    let mut edit = Edit {
        is_checkpoint: r.u8()? != 0,
        id_next: r.varint()?,
        add: many(r, segment)?,
        remove: many(r, |r| r.varint().map(SegmentId))?,
        flushed: many(r, |r| Some((shard(r)?, r.varint()?)))?,
        add_tombstones: many(r, |r| Some((shard(r)?, tombstone(r)?)))?,
        remove_tombstones: many(r, Reader::varint)?,
        add_row_tombstones: Vec::new(),
    };
    if version >= WITH_ROW_TOMBSTONES {
        edit.add_row_tombstones = many(r, |r| {
            let shard = shard(r)?;
            let tombstone = row_tombstone(r, shard.signal)?;
            Some((shard, Arc::new(tombstone)))
        })?;
    }
    r.is_empty().then_some(edit)
}

fn many<'a, T>(r: &mut Reader<'a>, mut one: impl FnMut(&mut Reader<'a>) -> Option<T>) -> Option<Vec<T>> {
    (0..r.count()?).map(|_| one(r)).collect()
}

fn put_shard(out: &mut Vec<u8>, shard: &ShardKey) {
    out.push(shard.signal.code());
    put_bytes(out, shard.tenant.as_str().as_bytes());
}

fn shard(r: &mut Reader<'_>) -> Option<ShardKey> {
    let signal = Signal::from_code(r.u8()?)?;
    Some(ShardKey { signal, tenant: TenantId::new(r.text()?).ok()? })
}

fn put_segment(out: &mut Vec<u8>, meta: &SegmentMeta) {
    put_varint(out, meta.id.0);
    put_shard(out, &ShardKey { tenant: meta.tenant.clone(), signal: meta.signal });
    put_zigzag(out, meta.day.into());
    out.push(meta.level);
    for time in [meta.min_t_ms, meta.max_t_ms, meta.created_ms] {
        put_zigzag(out, time);
    }
    for number in [meta.min_seq, meta.max_seq, meta.series, meta.samples, meta.bytes, meta.tombstones_applied]
    {
        put_varint(out, number);
    }
}

fn segment(r: &mut Reader<'_>) -> Option<SegmentMeta> {
    let id = SegmentId(r.varint()?);
    let ShardKey { tenant, signal } = shard(r)?;
    Some(SegmentMeta {
        id,
        tenant,
        signal,
        day: r.zigzag()?.try_into().ok()?,
        level: r.u8()?,
        min_t_ms: r.zigzag()?,
        max_t_ms: r.zigzag()?,
        created_ms: r.zigzag()?,
        min_seq: r.varint()?,
        max_seq: r.varint()?,
        series: r.varint()?,
        samples: r.varint()?,
        bytes: r.varint()?,
        tombstones_applied: r.varint()?,
    })
}

const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

fn put_tombstone(out: &mut Vec<u8>, tombstone: &Tombstone) {
    put_varint(out, tombstone.id);
    put_varint(out, tombstone.seq);
    for time in [tombstone.range.start_ms, tombstone.range.end_ms, tombstone.created_ms] {
        put_zigzag(out, time);
    }
    put_varint(out, tombstone.matchers.len() as u64);
    for matcher in &tombstone.matchers {
        out.push(OPS.iter().position(|op| *op == matcher.op).unwrap_or(0) as u8);
        put_bytes(out, matcher.name.as_bytes());
        put_bytes(out, matcher.value.as_bytes());
    }
}

fn tombstone(r: &mut Reader<'_>) -> Option<Tombstone> {
    let (id, seq) = (r.varint()?, r.varint()?);
    let range = TimeRange { start_ms: r.zigzag()?, end_ms: r.zigzag()? };
    let created_ms = r.zigzag()?;
    let matchers = many(r, |r| {
        let op = *OPS.get(usize::from(r.u8()?))?;
        Matcher::new(r.text()?, op, r.text()?).ok()
    })?;
    Some(Tombstone { id, matchers, range, seq, created_ms })
}

fn put_row_tombstone(out: &mut Vec<u8>, tombstone: &RowTombstone) {
    put_varint(out, tombstone.id);
    put_varint(out, tombstone.seq);
    for time in [tombstone.start_ns, tombstone.end_ns, tombstone.created_ms] {
        put_zigzag(out, time);
    }
    predicate::put(out, &tombstone.predicate);
}

fn row_tombstone(r: &mut Reader<'_>, signal: Signal) -> Option<RowTombstone> {
    let (id, seq) = (r.varint()?, r.varint()?);
    let (start_ns, end_ns, created_ms) = (r.zigzag()?, r.zigzag()?, r.zigzag()?);
    let tombstone = RowTombstone::new(signal, predicate::get(r)?, start_ns, end_ns).ok()?;
    Some(RowTombstone { id, seq, created_ms, ..tombstone })
}
