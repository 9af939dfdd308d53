//! Which buckets a histogram has: runs of consecutive indexes, and lists of single ones.

use model::{FloatHistogram, HistogramSpan};

/// The buckets of one side as index and count, ascending by index.
pub(super) type Indexed = Vec<(i32, f64)>;

/// Walks the buckets of one side.
pub(super) fn indexed<'a>(
    spans: &'a [HistogramSpan],
    buckets: &'a [f64],
) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0i32;
    let indexes = spans.iter().flat_map(move |span| {
        let start = next.wrapping_add(span.offset);
        next = start.wrapping_add_unsigned(span.length);
        (0..span.length).map(move |i| start.wrapping_add_unsigned(i))
    });
    indexes.zip(buckets.iter().copied())
}

/// The spans and counts of a list of buckets.
pub(super) fn from_indexed(list: &[(i32, f64)]) -> (Vec<HistogramSpan>, Vec<f64>) {
    let mut spans: Vec<HistogramSpan> = Vec::new();
    let mut next = 0i64;
    for (index, _) in list {
        let offset = i64::from(*index) - next;
        match spans.last_mut() {
            Some(span) if offset == 0 => span.length += 1,
            _ => spans.push(HistogramSpan { offset: clamp(offset), length: 1 }),
        }
        next = i64::from(*index) + 1;
    }
    (spans, list.iter().map(|(_, count)| *count).collect())
}

fn clamp(offset: i64) -> i32 {
    offset.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// The index of the bucket that holds this one when the resolution is lowered by `shift` schemas.
pub(super) fn lower_resolution(index: i32, shift: u32) -> i32 {
    (index.wrapping_sub(1) >> shift.min(31)).wrapping_add(1)
}

/// Joins the buckets that fall together when the resolution is lowered by `shift` schemas.
pub(super) fn reduce(list: impl IntoIterator<Item = (i32, f64)>, shift: u32) -> Indexed {
    let mut out: Indexed = Vec::new();
    for (index, count) in list {
        let index = lower_resolution(index, shift);
        match out.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => out.push((index, count)),
        }
    }
    out
}

/// Walks two lists side by side; an index that one of them lacks has no count there.
pub(super) fn merge(a: &[(i32, f64)], b: &[(i32, f64)], join: impl Fn(f64, f64) -> f64) -> Indexed {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        match (a.get(i), b.get(j)) {
            (Some(left), Some(right)) if left.0 == right.0 => {
                out.push((left.0, join(left.1, right.1)));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), Some(right)) if left.0 < right.0 => {
                out.push((left.0, join(left.1, 0.0)));
                i += 1;
            }
            (Some(left), None) => {
                out.push((left.0, join(left.1, 0.0)));
                i += 1;
            }
            (_, Some(right)) => {
                out.push((right.0, join(0.0, right.1)));
                j += 1;
            }
            (None, None) => {}
        }
    }
    out
}

/// Drops empty buckets, but keeps runs of up to `empty_max` of them between others, where a run costs less
/// than the gap that would replace it.
pub fn compact(h: &mut FloatHistogram, empty_max: usize) {
    compact_side(&mut h.positive_spans, &mut h.positive_buckets, empty_max);
    compact_side(&mut h.negative_spans, &mut h.negative_buckets, empty_max);
}

fn compact_side(spans: &mut Vec<HistogramSpan>, buckets: &mut Vec<f64>, empty_max: usize) {
    if buckets.is_empty() && spans.is_empty() {
        return;
    }
    let mut out: Indexed = Vec::with_capacity(buckets.len());
    for (index, count) in indexed(spans, buckets).filter(|(_, count)| *count != 0.0) {
        if let Some((last, _)) = out.last() {
            let gap = i64::from(index) - i64::from(*last) - 1;
            if gap > 0 && usize::try_from(gap).is_ok_and(|gap| gap <= empty_max) {
                let from = *last;
                out.extend((1..=gap as i32).map(|i| (from + i, 0.0)));
            }
        }
        out.push((index, count));
    }
    (*spans, *buckets) = from_indexed(&out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(spans: &[(i32, u32)], buckets: &[f64]) -> (Vec<HistogramSpan>, Vec<f64>) {
        let spans = spans.iter().map(|&(offset, length)| HistogramSpan { offset, length }).collect();
        (spans, buckets.to_vec())
    }

    #[test]
    fn compacting_drops_empty_buckets_and_keeps_short_gaps() {
        type Side<'a> = (&'a [(i32, u32)], &'a [f64]);
        let rows: [(Side<'_>, usize, Side<'_>); 5] = [
            ((&[(-2, 3)], &[0.0, 1.0, 0.0]), 0, (&[(-1, 1)], &[1.0])),
            ((&[(0, 4)], &[1.0, 0.0, 0.0, 2.0]), 0, (&[(0, 1), (2, 1)], &[1.0, 2.0])),
            ((&[(0, 4)], &[1.0, 0.0, 0.0, 2.0]), 2, (&[(0, 4)], &[1.0, 0.0, 0.0, 2.0])),
            ((&[(0, 1), (1, 0), (0, 1)], &[1.0, 2.0]), 0, (&[(0, 1), (1, 1)], &[1.0, 2.0])),
            ((&[(5, 2)], &[0.0, 0.0]), 9, (&[], &[])),
        ];
        for ((spans, buckets), empty_max, want) in rows {
            let (mut spans, mut buckets) = side(spans, buckets);
            compact_side(&mut spans, &mut buckets, empty_max);
            assert_eq!((spans, buckets), side(want.0, want.1));
        }
    }

    #[test]
    fn lower_resolutions_join_neighbours() {
        let list = [(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)];
        assert_eq!(reduce(list, 1), [(0, 3.0), (1, 12.0), (2, 16.0)]);
        assert_eq!(reduce(list, 0), list);
    }

    #[test]
    fn far_indexes_do_not_overflow() {
        let list = [(i32::MIN, 1.0), (i32::MAX, 2.0)];
        let (spans, buckets) = from_indexed(&list);
        assert_eq!(indexed(&spans, &buckets).count(), 2);
    }
}
