use hashbrown::HashSet;
use model::{Signal, TenantId};
use proptest::prelude::*;

use super::plan::{self, Job};
use crate::segment::{SegmentId, SegmentMeta};

const HOUR_MS: i64 = 3600 * 1000;

/// Sequence is the number; times in hours.
fn segment(id: u64, level: u8, from: i64, to: i64, megabytes: u64) -> SegmentMeta {
    SegmentMeta {
        id: SegmentId(id),
        tenant: TenantId::default_tenant(),
        signal: Signal::Metrics,
        day: from.div_euclid(24) as i32,
        level,
        min_t_ms: from * HOUR_MS,
        max_t_ms: to * HOUR_MS - 1,
        min_seq: id * 10,
        max_seq: id * 10 + 9,
        series: 1,
        samples: 1,
        bytes: megabytes << 20,
        created_ms: 0,
        tombstones_applied: 0,
    }
}

fn check(segments: &[SegmentMeta], now_hours: i64, want: Option<(&[u64], u8, usize)>) {
    let job = plan::next(segments, &HashSet::new(), now_hours * HOUR_MS);
    let got = job.as_ref().map(|Job { inputs, level, cuts }| {
        (inputs.iter().map(|id| id.0).collect::<Vec<_>>(), *level, cuts.len())
    });
    assert_eq!(got, want.map(|(inputs, level, cuts)| (inputs.to_vec(), level, cuts)));
}

fn heads(count: u64) -> Vec<SegmentMeta> {
    (0..count).map(|i| segment(i, 0, i as i64, i as i64 + 2, 5)).collect()
}

#[test]
fn flushed_heads_are_merged_when_there_are_four() {
    check(&heads(3), 10, None);
    check(&heads(4), 10, Some((&[0, 1, 2, 3], 1, 1)));
}

#[test]
fn a_merge_is_cut_at_midnight() {
    let mut segments = heads(8);
    segments[7] = segment(7, 0, 20, 50, 5);
    check(&segments, 60, Some((&[0, 1, 2, 3, 4, 5, 6, 7], 1, 3)));
}

#[test]
fn a_backfill_of_years_gets_few_slices() {
    let mut segments = heads(8);
    segments[3] = segment(3, 0, -24 * 365 * 50, 5, 5);
    let job = plan::next(&segments, &HashSet::new(), 0).expect("job");
    assert!(job.cuts.len() <= 64 && job.cuts.windows(2).all(|two| two[0].end_ms < two[1].end_ms));
}

#[test]
fn a_day_that_is_over_becomes_one_segment() {
    let pieces = [segment(1, 1, 0, 12, 50), segment(2, 1, 12, 24, 50)];
    check(&pieces, 25, None);
    check(&pieces, 26, Some((&[1, 2], 2, 1)));
    let large = [segment(1, 1, 0, 12, 250), segment(2, 1, 12, 24, 250)];
    check(&large, 26, Some((&[1, 2], 2, 3)));
}

#[test]
fn a_few_late_samples_do_not_pay_for_a_whole_day() {
    let mut segments = vec![segment(1, 2, 0, 24, 100), segment(2, 1, 3, 4, 1)];
    check(&segments, 30, None);
    segments.extend((3..10).map(|i| segment(i, 1, 3, 4, 1)));
    check(&segments, 30, Some((&[2, 3, 4, 5, 6, 7, 8, 9], 1, 1)));
    check(&[segment(1, 2, 0, 24, 100), segment(2, 1, 3, 4, 30)], 30, Some((&[1, 2], 2, 1)));
}

#[test]
fn small_days_of_a_week_that_is_over_are_merged() {
    let days: Vec<_> = (0..7).map(|day| segment(day, 2, day as i64 * 24, day as i64 * 24 + 24, 20)).collect();
    check(&days, 169, None);
    check(&days, 171, Some((&[0, 1, 2, 3, 4, 5, 6], 3, 1)));
    let large: Vec<_> = days.into_iter().map(|s| SegmentMeta { bytes: 100 << 20, ..s }).collect();
    check(&large, 171, None);
}

#[test]
fn a_segment_between_that_overlaps_ends_the_run() {
    let segments = [segment(1, 1, 0, 12, 50), segment(2, 0, 5, 30, 1), segment(3, 1, 12, 24, 50)];
    check(&segments, 40, None);
    let beside = [segment(1, 1, 0, 12, 50), segment(2, 1, 30, 31, 1), segment(3, 1, 12, 24, 50)];
    check(&beside, 40, Some((&[1, 3], 2, 1)));
}

#[test]
fn what_is_set_aside_is_in_no_merge_and_ends_the_run_where_it_overlaps() {
    let mut segments = heads(9);
    let aside = HashSet::from_iter([SegmentId(2)]);
    let inputs = |segments: &[SegmentMeta]| {
        let job = plan::next(segments, &aside, 10 * HOUR_MS);
        job.map(|job| job.inputs.iter().map(|id| id.0).collect::<Vec<_>>())
    };
    assert_eq!(inputs(&segments), Some(vec![0, 1]));
    segments[2] = segment(2, 0, 90, 91, 5);
    assert_eq!(inputs(&segments), Some(vec![0, 1, 3, 4, 5, 6, 7, 8]));
}

proptest! {
    /// Carries out plans until there is none, on metadata alone.
    #[test]
    fn compaction_ends_and_keeps_later_writes_winning(
        spans in prop::collection::vec((0..200i64, 1..40i64, 1..300u64), 1..60)
    ) {
        let spans = spans.into_iter().zip(0..);
        let mut segments: Vec<_> =
            spans.map(|((from, len, mb), id)| segment(id, 0, from, from + len, mb)).collect();
        let now_ms = 400 * HOUR_MS;
        let mut id_next = 1000;
        for round in 0.. {
            prop_assert!(round < 300, "compaction goes on for ever");
            let Some(job) = plan::next(&segments, &HashSet::new(), now_ms) else { break };
            let (inputs, rest): (Vec<_>, Vec<_>) =
                segments.into_iter().partition(|s| job.inputs.contains(&s.id));
            prop_assert_eq!(inputs.len(), job.inputs.len());
            let (low, high) = (inputs[0].max_seq, inputs.iter().map(|s| s.max_seq).max().expect("some"));
            for other in rest.iter().filter(|s| s.max_seq > low && s.max_seq < high) {
                for input in &inputs {
                    prop_assert!(other.max_t_ms < input.min_t_ms || input.max_t_ms < other.min_t_ms);
                }
            }
            let bytes: u64 = inputs.iter().map(|s| s.bytes).sum();
            segments = rest;
            let mut start_ms = i64::MIN;
            for cut in &job.cuts {
                let inside: Vec<_> =
                    inputs.iter().filter(|s| s.min_t_ms < cut.end_ms && s.max_t_ms >= start_ms).collect();
                if !inside.is_empty() {
                    id_next += 1;
                    segments.push(SegmentMeta {
                        id: SegmentId(id_next),
                        level: job.level,
                        day: cut.day,
                        min_t_ms: inside.iter().map(|s| s.min_t_ms).min().expect("some").max(start_ms),
                        max_t_ms: inside.iter().map(|s| s.max_t_ms).max().expect("some").min(cut.end_ms - 1),
                        min_seq: inputs.iter().map(|s| s.min_seq).min().expect("some"),
                        max_seq: high,
                        bytes: bytes / job.cuts.len() as u64,
                        ..inputs[0].clone()
                    });
                }
                start_ms = cut.end_ms;
            }
            segments.sort_by_key(|s| (s.max_seq, s.id));
        }
        let left = segments.iter().filter(|s| s.level == 0).count();
        prop_assert!(left < 8, "{left} flushed heads are left");
    }
}
