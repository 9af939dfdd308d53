//! The newest or oldest rows, page by page.
//!
//! Rows are in order of their time, and those of one time in order of their hash, so that a cursor (the key of
//! the last row that was shown) means the same place whatever files the rows are in. Rows that say the same
//! share a key; the cursor counts how many of them were shown.

use std::cmp::Reverse;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::buffer::BooleanBuffer;
use model::Field;
use rayon::prelude::*;
use store::rows::{Column, Cost, Slice};

use super::ids::{self, Key};
use super::read::{self, Row};
use super::{Ask, RowReader, keep};
use crate::error::QueryFault;

/// Which rows come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
}

/// A place between two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) key: Key,
    /// How many rows of this key were shown.
    pub(super) shown: u32,
}

impl Cursor {
    /// Reads a cursor that a page gave.
    pub fn parse(text: &str) -> Result<Self, QueryFault> {
        let parsed = text
            .split_once('.')
            .and_then(|(key, shown)| Some(Self { key: Key::parse(key)?, shown: shown.parse().ok()? }));
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            QueryFault::Invalid(format!("cursor {shown:?} is not one: leave it out, or use `next` of a page"))
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.key.text(), self.shown)
    }
}

/// Some rows, and where the next ones are.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order asked for.
    pub rows: Vec<Row>,
    /// For the next page; none when this is the last one.
    pub next: Option<Cursor>,
    /// What was looked at.
    pub cost: Cost,
}

/// Rows of one slice that may be on the page.
struct Candidates {
    slice: usize,
    rows: BooleanBuffer,
    times: Vec<i64>,
}

/// Matching rows of a slice, their times, and what looking took.
type Matching = (BooleanBuffer, Vec<i64>, Cost);

/// Bytes of a page's rows above which it ends early, about.
pub const PAGE_BYTES_MAX: usize = 64 << 20;
/// Rows that are read before it is known how large they are.
const PIECE: usize = 200;
/// Rows beyond a page's own that are read at once; more have their keys compared first.
const SPARE: usize = 200;
/// Slices that are looked at side by side before it is decided whether more are needed: few at first, since the
/// first often are enough, and twice as many each time, since what is rare needs them all.
const WAVE: usize = 2;
/// At most so many.
const WAVE_MAX: usize = 32;

impl RowReader {
    /// At most `limit` rows behind a cursor, fewer where they are large: what is left is behind the next cursor.
    pub fn page(
        &self,
        ask: &Ask,
        sort: Sort,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page, QueryFault> {
        self.page_within(ask, sort, limit, cursor, PAGE_BYTES_MAX)
    }

    fn page_within(
        &self,
        ask: &Ask,
        sort: Sort,
        limit: usize,
        cursor: Option<&Cursor>,
        bytes_max: usize,
    ) -> Result<Page, QueryFault> {
        let mut page = Page { next: cursor.copied(), ..Page::default() };
        let (mut size, mut bytes) = (limit.min(PIECE), 0);
        loop {
            let piece = self.piece(ask, sort, size, page.next.as_ref())?;
            bytes += piece.rows.iter().map(Row::bytes).sum::<usize>();
            page.rows.extend(piece.rows);
            page.next = piece.next;
            page.cost += piece.cost;
            let left = limit.saturating_sub(page.rows.len());
            if page.next.is_none() || left == 0 || bytes >= bytes_max {
                return Ok(page);
            }
            // As many as have room if they are as large as those so far; they may be larger, so step by step.
            let average = bytes / page.rows.len().max(1) + 1;
            size = left.min(3 * page.rows.len()).min((bytes_max - bytes) / average).max(1);
        }
    }

    /// At most `limit` rows behind a cursor, however large.
    fn piece(
        &self,
        ask: &Ask,
        sort: Sort,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page, QueryFault> {
        let mut ask = ask.clone();
        if let Some(cursor) = cursor {
            let time = cursor.key.time_ns;
            match sort {
                Sort::Newest => ask.end_ns = ask.end_ns.min(time.saturating_add(1)),
                Sort::Oldest => ask.start_ns = ask.start_ns.max(time),
            }
        }
        // One more than asked for tells whether there is a next page.
        let (slices, candidates, mut cost) = self.candidates(&ask, sort, limit + 1, cursor)?;
        let place = |key: &Key| match sort {
            Sort::Newest => (Reverse(key.time_ns), Reverse(key.hash), 0, 0),
            Sort::Oldest => (Reverse(i64::MIN), Reverse(u64::MIN), key.time_ns, key.hash),
        };
        let count: usize = candidates.iter().map(|c| c.times.len()).sum();
        let candidates = if count <= 2 * limit + SPARE {
            candidates
        } else {
            self.first_by_key(&slices, candidates, place, limit + 1, cursor, &mut cost)?
        };
        let mut rows = Vec::new();
        let read: Vec<Result<(Vec<Row>, Cost), QueryFault>> = candidates
            .par_iter()
            .map(|part| {
                self.control.check()?;
                let mut cost = Cost::default();
                Ok((read::rows(self.signal(), &slices[part.slice], &part.rows, &mut cost)?, cost))
            })
            .collect();
        for part in read {
            let (part, part_cost) = part?;
            rows.extend(part);
            cost += part_cost;
        }
        rows.sort_by_cached_key(|row| row.key().as_ref().map(place));
        if let Some(cursor) = cursor {
            let bound = place(&cursor.key);
            let mut skip = cursor.shown;
            rows.retain(|row| {
                let at = row.key().as_ref().map(place);
                let is_same = at == Some(bound);
                if is_same && skip > 0 {
                    skip -= 1;
                    return false;
                }
                is_same || at > Some(bound)
            });
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { next_cursor(&rows, cursor) } else { None };
        Ok(Page { rows, next, cost })
    }

    /// Rows of which the page is made: the first by time, and all that share the last one's time or the cursor's.
    fn candidates(
        &self,
        ask: &Ask,
        sort: Sort,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<(Vec<Slice>, Vec<Candidates>, Cost), QueryFault> {
        let (filter, mut slices) = self.prepare(ask)?;
        match sort {
            Sort::Newest => slices.sort_by_key(|slice| Reverse(slice.time_ns().1)),
            Sort::Oldest => slices.sort_by_key(|slice| slice.time_ns().0),
        }
        // Times as they sort, and the time of the cursor, whose rows may all have been shown.
        let rank = |time: i64| if sort == Sort::Newest { !time } else { time };
        let shown = cursor.map(|cursor| rank(cursor.key.time_ns));
        let (mut found, mut cost): (Vec<Candidates>, _) = (Vec::new(), Cost::default());
        let mut last = i64::MAX;
        let (mut at, mut wave) = (0, WAVE);
        while at < slices.len() {
            let part = &slices[at..(at + wave).min(slices.len())];
            let first = part.iter().map(|slice| match sort {
                Sort::Newest => !slice.time_ns().1,
                Sort::Oldest => slice.time_ns().0,
            });
            if first.min().is_some_and(|first| first > last) {
                break;
            }
            let matching: Vec<Result<Matching, QueryFault>> = part
                .par_iter()
                .map(|slice| {
                    let mut cost = Cost::default();
                    let rows = self.select(&filter, slice, &mut cost)?;
                    let times =
                        if rows.count_set_bits() > 0 { times(slice, &rows, &mut cost)? } else { Vec::new() };
                    Ok((rows, times, cost))
                })
                .collect();
            for (i, matching) in matching.into_iter().enumerate() {
                let (rows, times, part_cost) = matching?;
                cost += part_cost;
                if !times.is_empty() {
                    let ranks = times.into_iter().map(rank).collect();
                    found.push(Candidates { slice: at + i, rows, times: ranks });
                }
            }
            at += part.len();
            wave = (2 * wave).min(WAVE_MAX);
            last = bound(&found, limit, shown);
            for part in &mut found {
                let rows = keep(&part.rows, |i| part.times[i] <= last || Some(part.times[i]) == shown);
                part.times.retain(|time| *time <= last || Some(*time) == shown);
                part.rows = rows;
            }
        }
        found.retain(|part| !part.times.is_empty());
        Ok((slices, found, cost))
    }

    /// Of many candidates, those with the first keys.
    fn first_by_key<P: Ord>(
        &self,
        slices: &[Slice],
        candidates: Vec<Candidates>,
        place: impl Fn(&Key) -> P,
        limit: usize,
        cursor: Option<&Cursor>,
        cost: &mut Cost,
    ) -> Result<Vec<Candidates>, QueryFault> {
        let mut keys = Vec::new();
        for (part, candidate) in candidates.iter().enumerate() {
            self.control.check()?;
            let arrays = slices[candidate.slice].read(&ids::columns(self.signal()), &candidate.rows, cost)?;
            keys.extend(ids::keys(&arrays).into_iter().enumerate().map(|(i, key)| (key, part, i)));
        }
        let bound = cursor.map(|cursor| place(&cursor.key));
        keys.retain(|(key, ..)| bound.as_ref().is_none_or(|bound| place(key) >= *bound));
        keys.sort_by_cached_key(|(key, part, i)| (place(key), *part, *i));
        let at_cursor = keys.iter().take_while(|(key, ..)| Some(place(key)) == bound).count();
        keys.truncate(limit + cursor.map_or(0, |cursor| at_cursor.min(cursor.shown as usize)));
        let mut wanted: Vec<Vec<bool>> =
            candidates.iter().map(|part| vec![false; part.times.len()]).collect();
        keys.iter().for_each(|(_, part, i)| wanted[*part][*i] = true);
        Ok(candidates
            .into_iter()
            .zip(wanted)
            .map(|(part, wanted)| Candidates { rows: keep(&part.rows, |i| wanted[i]), ..part })
            .filter(|part| part.rows.count_set_bits() > 0)
            .collect())
    }
}

/// The last rank that can be on a page, not counting rows that may have been shown.
fn bound(found: &[Candidates], limit: usize, shown: Option<i64>) -> i64 {
    let all = found.iter().flat_map(|part| part.times.iter().copied());
    let mut ranks: Vec<i64> = all.filter(|rank| Some(*rank) != shown).collect();
    if ranks.len() < limit {
        return i64::MAX;
    }
    *ranks.select_nth_unstable(limit - 1).1
}

pub(super) fn times(slice: &Slice, rows: &BooleanBuffer, cost: &mut Cost) -> Result<Vec<i64>, QueryFault> {
    let arrays = slice.read(&[Column::Field(Field::Fixed(0))], rows, cost)?;
    let times = arrays.first().and_then(|array| array.as_primitive_opt::<Int64Type>());
    Ok(times.map_or_else(Vec::new, |times| times.values().to_vec()))
}

/// The cursor behind the last row of a page.
fn next_cursor(rows: &[Row], before: Option<&Cursor>) -> Option<Cursor> {
    let key = rows.last()?.key()?;
    let same = rows.iter().rev().take_while(|row| row.key() == Some(key)).count() as u32;
    let shown = before.filter(|before| before.key == key).map_or(0, |before| before.shown);
    Some(Cursor { key, shown: shown + same })
}
