use model::{Signal, TenantId};

use super::plan::Job;
use super::rows_plan;
use crate::segment::{SegmentId, SegmentMeta};

const HOUR_MS: i64 = 3600 * 1000;

/// Times in hours, the end excluded.
fn segment(id: u64, level: u8, from: i64, to: i64, megabytes: u64) -> SegmentMeta {
    SegmentMeta {
        id: SegmentId(id),
        tenant: TenantId::default_tenant(),
        signal: Signal::Logs,
        day: from.div_euclid(24) as i32,
        level,
        min_t_ms: from * HOUR_MS,
        max_t_ms: to * HOUR_MS - 1,
        min_seq: id * 10,
        max_seq: id * 10 + 9,
        series: 0,
        samples: 1,
        bytes: megabytes << 20,
        created_ms: 0,
        tombstones_applied: 0,
    }
}

/// Inputs, level and number of outputs of the next merge.
fn check(segments: &[SegmentMeta], now_hours: i64, want: Option<(&[u64], u8, usize)>) {
    let job = rows_plan::next(segments, now_hours * HOUR_MS);
    let got = job.as_ref().map(|Job { inputs, level, cuts }| {
        (inputs.iter().map(|id| id.0).collect::<Vec<_>>(), *level, cuts.len())
    });
    assert_eq!(got, want.map(|(inputs, level, cuts)| (inputs.to_vec(), level, cuts)));
}

#[test]
fn flushed_heads_are_merged_when_there_are_four_or_they_are_large() {
    let heads: Vec<_> = (0..4).map(|i| segment(i, 0, i as i64, i as i64 + 1, 5)).collect();
    check(&heads[..3], 10, None);
    check(&heads, 10, Some((&[0, 1, 2, 3], 1, 1)));
    let large = [segment(0, 0, 0, 1, 90), segment(1, 0, 1, 2, 90)];
    check(&large, 10, Some((&[0, 1], 1, 1)));
}

#[test]
fn a_merge_is_cut_at_midnight() {
    let heads: Vec<_> = (0..4).map(|i| segment(i, 0, 20 + i as i64, 24 + i as i64, 5)).collect();
    check(&heads, 30, Some((&[0, 1, 2, 3], 1, 2)));
}

#[test]
fn a_merge_takes_a_bounded_number_of_bytes() {
    let heads: Vec<_> = (0..20).map(|i| segment(i, 0, 1, 2, 100)).collect();
    check(&heads, 10, Some((&[0, 1], 1, 1)));
}

#[test]
fn files_of_a_day_are_merged_with_others_of_their_size() {
    let mut files: Vec<_> = (0..3).map(|i| segment(i, 1, 0, 5, 10)).collect();
    files.push(segment(3, 1, 0, 5, 100));
    check(&files, 10, None);
    files.push(segment(4, 1, 0, 5, 10));
    check(&files, 10, Some((&[0, 1, 2, 4], 1, 1)));
}

#[test]
fn full_files_are_left_alone() {
    let files: Vec<_> = (0..8).map(|i| segment(i, 2, 0, 24, 130)).collect();
    check(&files, 100, None);
    check(&[segment(1, 0, 0, 5, 150)], 100, None);
}

#[test]
fn what_is_left_of_a_day_that_is_over_becomes_one_file() {
    let files = [segment(1, 1, 0, 12, 20), segment(2, 1, 12, 24, 50)];
    check(&files, 25, None);
    check(&files, 26, Some((&[1, 2], 2, 1)));
    check(&[segment(1, 2, 0, 24, 100), segment(2, 1, 3, 4, 1)], 30, None);
}

#[test]
fn every_merge_makes_fewer_files() {
    // One small flush a minute for three days: planned to the end, few files a day stay.
    let mut segments: Vec<SegmentMeta> = Vec::new();
    let (mut id_next, mut merged_bytes) = (0, 0);
    for minute in 0..3 * 24 * 60i64 {
        let now_ms = minute * 60_000;
        let head =
            SegmentMeta { min_t_ms: now_ms, max_t_ms: now_ms + 59_999, ..segment(id_next, 0, 0, 1, 1) };
        segments.push(head);
        id_next += 1;
        while let Some(job) = rows_plan::next(&segments, now_ms) {
            let inputs: Vec<_> = segments.extract_if(.., |s| job.inputs.contains(&s.id)).collect();
            let bytes: u64 = inputs.iter().map(|s| s.bytes).sum();
            merged_bytes += bytes;
            let (min_t_ms, max_t_ms) = (inputs[0].min_t_ms, inputs.iter().map(|s| s.max_t_ms).max());
            for (i, cut) in job.cuts.iter().enumerate() {
                let start_ms = if i == 0 { min_t_ms } else { job.cuts[i - 1].end_ms };
                let end_ms = (cut.end_ms - 1).min(max_t_ms.expect("inputs"));
                let bytes = bytes / job.cuts.len() as u64;
                let template = segment(id_next, job.level, 0, 1, 0);
                segments.push(SegmentMeta { min_t_ms: start_ms, max_t_ms: end_ms, bytes, ..template });
                id_next += 1;
            }
            assert!(job.cuts.len() < job.inputs.len());
        }
    }
    assert!(segments.len() < 60, "{}", segments.len());
    let written = (3 * 24 * 60) << 20;
    assert!(merged_bytes < 8 * written, "rewritten {} times", merged_bytes / written);
}
