//! What to merge next, from what the manifest knows of a shard's segments.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::segment::{SegmentId, SegmentMeta};

pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
const WEEK_DAYS: i64 = 7;

/// Flushed heads that are merged at once. Four make chunks of more than 1,000 samples at the usual sizes, where
/// the compact code pays; waiting for more would leave the newest hours in the bulky one.
const FLUSHED_MIN: usize = 4;
const FLUSHED_MAX: usize = 32;

/// Pieces of a day that are merged before the day is over.
const PIECES_MIN: usize = 8;

/// Size of an output, about. Two inputs of it, an output and the caches stay far from filling a disk.
const OUTPUT_BYTES: u64 = 192 << 20;

/// A week's days are merged only if that makes one file of a usual size.
const WEEK_BYTES_MAX: u64 = 256 << 20;

/// Time that late samples have before a day or week counts as over.
pub(super) const LATE_MS: i64 = 2 * 3600 * 1000;

/// Slices of one merge; a backfill of many years gets slices of several weeks.
const SLICES_MAX: i64 = 64;

/// Where an output ends, and the day whose folder it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) day: i32,
    pub(super) end_ms: i64,
}

/// Segments to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) inputs: Vec<SegmentId>,
    pub(super) level: u8,
    pub(super) cuts: Vec<Cut>,
}

/// The most useful merge among a shard's segments, which come in ascending sequence. Those of `aside` are in none.
pub(super) fn next(segments: &[SegmentMeta], aside: &HashSet<SegmentId>, now_ms: i64) -> Option<Job> {
    let usable: Vec<&SegmentMeta> = segments.iter().filter(|s| !aside.contains(&s.id)).collect();
    flushed(segments, &usable)
        .or_else(|| pieces(segments, &usable))
        .or_else(|| over(segments, &usable, now_ms))
}

/// One segment, written anew.
pub(super) fn rewrite(segment: &SegmentMeta) -> Job {
    let cuts = vec![Cut { day: segment.day, end_ms: i64::MAX }];
    Job { inputs: vec![segment.id], level: segment.level, cuts }
}

/// Flushed heads become pieces of days.
fn flushed(segments: &[SegmentMeta], usable: &[&SegmentMeta]) -> Option<Job> {
    let heads: Vec<_> = usable.iter().copied().filter(|s| s.level == 0).take(FLUSHED_MAX).collect();
    (heads.len() >= FLUSHED_MIN).then(|| job(segments, heads, 1)).flatten()
}

/// Many pieces of one day become fewer, so that a query of today opens few files.
fn pieces(segments: &[SegmentMeta], usable: &[&SegmentMeta]) -> Option<Job> {
    let days = by(usable.iter().copied().filter(|s| s.level == 1), 1);
    days.into_values().filter(|pieces| pieces.len() >= PIECES_MIN).find_map(|pieces| {
        let small = pieces.iter().map(|s| s.bytes).sum::<u64>() < OUTPUT_BYTES;
        small.then(|| job(segments, pieces, 1)).flatten()
    })
}

/// What belongs to a day or week that is over becomes one segment, or a few if it is large.
fn over(segments: &[SegmentMeta], usable: &[&SegmentMeta], now_ms: i64) -> Option<Job> {
    for (days, level, bytes_max) in [(1, 2, u64::MAX), (WEEK_DAYS, 3, WEEK_BYTES_MAX)] {
        for (bucket, members) in by(usable.iter().copied().filter(|s| s.level > 0), days) {
            let end_ms = (bucket + 1).saturating_mul(days * DAY_MS);
            let bytes: u64 = members.iter().map(|s| s.bytes).sum();
            let largest = members.iter().map(|s| s.bytes).max().unwrap_or(0);
            // A few late samples do not pay for rewriting a whole day, until there are many of them. What a
            // merge of this kind has made counts as one.
            let made = members.iter().filter(|s| s.level >= level).count();
            let few = made > 0 && members.len() - made < PIECES_MIN && (bytes - largest) * 4 < largest;
            let finished = members.iter().all(|s| s.level >= level);
            let is_over = end_ms.saturating_add(LATE_MS) <= now_ms;
            if is_over
                && members.len() > 1
                && bytes <= bytes_max
                && !few
                && !finished
                && let Some(job) = unfinished_job(segments, &members, level)
            {
                return Some(job);
            }
        }
    }
    None
}

/// A merge of members of which one at least has not reached the level, so that every merge is progress.
fn unfinished_job(segments: &[SegmentMeta], members: &[&SegmentMeta], level: u8) -> Option<Job> {
    let unfinished = |id: &SegmentId| members.iter().any(|s| s.id == *id && s.level < level);
    let mut jobs = (0..members.len()).filter_map(|skip| job(segments, members[skip..].to_vec(), level));
    jobs.find(|job| job.inputs.iter().any(unfinished))
}

/// Segments by the bucket of `days` that holds them whole.
fn by<'a>(segments: impl Iterator<Item = &'a SegmentMeta>, days: i64) -> BTreeMap<i64, Vec<&'a SegmentMeta>> {
    let mut buckets: BTreeMap<i64, Vec<&SegmentMeta>> = BTreeMap::new();
    let bucket = |t_ms: i64| t_ms.div_euclid(days * DAY_MS);
    for segment in segments.filter(|s| bucket(s.min_t_ms) == bucket(s.max_t_ms)) {
        buckets.entry(bucket(segment.min_t_ms)).or_default().push(segment);
    }
    buckets
}

/// The merge of the longest run of members that keeps later writes winning; `None` where that is fewer
/// than two.
fn job(segments: &[SegmentMeta], members: Vec<&SegmentMeta>, level: u8) -> Option<Job> {
    let mut run: Vec<&SegmentMeta> = Vec::new();
    for member in members {
        let (first_seq, is_member) = (run.first().map_or(u64::MAX, |s| s.max_seq), |s: &SegmentMeta| {
            s.id == member.id || run.iter().any(|r| r.id == s.id)
        });
        let between = segments.iter().filter(|s| !is_member(s));
        let mut between = between.filter(|s| s.max_seq >= first_seq && s.min_seq <= member.max_seq);
        if between.any(|s| overlaps(s, member) || run.iter().any(|r| overlaps(s, r))) {
            break;
        }
        run.push(member);
    }
    (run.len() > 1).then(|| Job {
        inputs: run.iter().map(|s| s.id).collect(),
        level,
        cuts: cuts(&run, level),
    })
}

fn overlaps(a: &SegmentMeta, b: &SegmentMeta) -> bool {
    a.min_t_ms <= b.max_t_ms && b.min_t_ms <= a.max_t_ms
}

/// Slices at the ends of days or weeks, and inside a day where it is large.
pub(super) fn cuts(inputs: &[&SegmentMeta], level: u8) -> Vec<Cut> {
    let min_ms = inputs.iter().map(|s| s.min_t_ms).min().unwrap_or(0);
    let max_ms = inputs.iter().map(|s| s.max_t_ms).max().unwrap_or(0);
    let bytes: u64 = inputs.iter().map(|s| s.bytes).sum();
    let mut slice_ms = if level >= 3 { WEEK_DAYS * DAY_MS } else { DAY_MS };
    let count = |slice_ms: i64| max_ms.div_euclid(slice_ms).saturating_sub(min_ms.div_euclid(slice_ms)) + 1;
    if count(slice_ms) > SLICES_MAX {
        slice_ms = WEEK_DAYS * DAY_MS;
    }
    while count(slice_ms) > SLICES_MAX {
        slice_ms *= 2;
    }
    let per_slice = bytes / count(slice_ms).unsigned_abs().max(1);
    let parts = i64::try_from(per_slice.div_ceil(OUTPUT_BYTES)).unwrap_or(1).clamp(1, 16);
    if level >= 3 {
        slice_ms = slice_ms.max(DAY_MS);
    } else {
        slice_ms /= parts;
    }
    let (first, last) = (min_ms.div_euclid(slice_ms), max_ms.div_euclid(slice_ms));
    let cut = |slice: i64| {
        let start_ms = slice.saturating_mul(slice_ms).max(min_ms);
        let day = i32::try_from(start_ms.div_euclid(DAY_MS)).unwrap_or(if start_ms < 0 {
            i32::MIN
        } else {
            i32::MAX
        });
        Cut { day, end_ms: (slice + 1).saturating_mul(slice_ms) }
    };
    (first..=last).map(cut).collect()
}
