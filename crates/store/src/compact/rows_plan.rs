//! Which files of rows to merge next, from what the manifest knows of them.
//!
//! Flushed heads become files of at most one day each. Files of a day are merged with others of about their
//! size, so that a row is rewritten a few times, and with any once the day is over; what has reached its size
//! is left alone.

use std::collections::BTreeMap;

use super::plan::{Cut, DAY_MS, Job, LATE_MS, cuts};
use crate::segment::SegmentMeta;

/// A file of as many bytes is not merged any more.
const FULL_BYTES: u64 = 128 << 20;

/// Files of a merge. A flush is small compared with what these add up to.
const INPUTS_MIN: usize = 4;
const INPUTS_MAX: usize = 32;

/// Bytes that a merge reads, and so the largest file that it makes.
const INPUT_BYTES_MAX: u64 = 2 * FULL_BYTES;

/// Files below this count as of one size.
const SMALL_BYTES: u64 = 1 << 20;

/// The most useful merge among a shard's segments.
pub(super) fn next(segments: &[SegmentMeta], now_ms: i64) -> Option<Job> {
    flushed(segments).or_else(|| of_a_day(segments, now_ms))
}

/// One segment, written anew.
pub(super) fn rewrite(segment: &SegmentMeta) -> Job {
    let cuts = vec![Cut { day: segment.day, end_ms: i64::MAX }];
    Job { inputs: vec![segment.id], level: segment.level.max(1), cuts }
}

/// Flushed heads become pieces of days.
fn flushed(segments: &[SegmentMeta]) -> Option<Job> {
    let unfinished = |s: &&SegmentMeta| s.level == 0 && (s.bytes < FULL_BYTES || day_of(s).is_none());
    let heads: Vec<&SegmentMeta> = bounded(segments.iter().filter(unfinished));
    let is_worth_it = heads.len() >= INPUTS_MIN || heads.iter().map(|s| s.bytes).sum::<u64>() >= FULL_BYTES;
    is_worth_it.then(|| job(&heads, 1))
}

/// Files of one day become fewer.
fn of_a_day(segments: &[SegmentMeta], now_ms: i64) -> Option<Job> {
    let mut days: BTreeMap<i64, Vec<&SegmentMeta>> = BTreeMap::new();
    for segment in segments.iter().filter(|s| s.bytes < FULL_BYTES) {
        if let Some(day) = day_of(segment).filter(|_| segment.level > 0) {
            days.entry(day).or_default().push(segment);
        }
    }
    days.into_iter().find_map(|(day, mut files)| {
        files.sort_by_key(|s| (s.bytes, s.id));
        let is_over = (day + 1).saturating_mul(DAY_MS).saturating_add(LATE_MS) <= now_ms;
        let mut sum = 0;
        // A file much larger than all before it together waits for others of its size.
        let similar = files.iter().take_while(|s| {
            let fits = sum == 0 || s.bytes <= SMALL_BYTES.max(2 * sum);
            sum += s.bytes;
            fits
        });
        let mut inputs: Vec<&SegmentMeta> = bounded(similar.copied());
        if inputs.len() < INPUTS_MIN && is_over {
            inputs = bounded(files.iter().copied());
            let largest = inputs.last().map_or(0, |s| s.bytes);
            let rest: u64 = inputs.iter().map(|s| s.bytes).sum::<u64>() - largest;
            // A few late rows do not pay for rewriting a large file.
            let is_worth_it = inputs.len() > 1 && (rest * 4 >= largest || largest < SMALL_BYTES);
            return is_worth_it.then(|| job(&inputs, 2));
        }
        (inputs.len() >= INPUTS_MIN).then(|| job(&inputs, if is_over { 2 } else { 1 }))
    })
}

/// As many files as one merge takes.
fn bounded<'a>(segments: impl Iterator<Item = &'a SegmentMeta>) -> Vec<&'a SegmentMeta> {
    let mut bytes = 0;
    let fits = |s: &&SegmentMeta| {
        let is_first = bytes == 0;
        bytes += s.bytes;
        is_first || bytes <= INPUT_BYTES_MAX
    };
    segments.take(INPUTS_MAX).take_while(fits).collect()
}

fn job(inputs: &[&SegmentMeta], level: u8) -> Job {
    Job { inputs: inputs.iter().map(|s| s.id).collect(), level, cuts: cuts(inputs, level) }
}

/// The day that holds all rows of a segment.
fn day_of(segment: &SegmentMeta) -> Option<i64> {
    let day = segment.min_t_ms.div_euclid(DAY_MS);
    (day == segment.max_t_ms.div_euclid(DAY_MS)).then_some(day)
}
