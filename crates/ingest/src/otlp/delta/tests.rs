use model::{Point, STALE_NAN};
use proptest::prelude::*;

use super::*;

/// One delta row per (series name, start, time, value).
fn deltas(kind: DeltaKind, points: &[(&str, i64, i64, f64)]) -> Decoded {
    let mut decoded = Decoded::default();
    for (name, start_ms, t_ms, value) in points {
        let batch = &mut decoded.batch;
        let row = batch.begin_series([("__name__", *name)]);
        rows::push_point(batch, Point { t_ms: *t_ms, value: *value }, *start_ms);
        batch.end_series(row);
    }
    decoded.mark_delta(0, kind);
    decoded
}

/// Runs one batch and gives (time, total, start) of what is left.
fn run(state: &mut DeltaState, mut decoded: Decoded) -> (Vec<(i64, f64, i64)>, usize) {
    let _ = state.accumulate(&mut decoded, 1_000, |_| None);
    (points(&decoded), decoded.refusals.items())
}

fn points(decoded: &Decoded) -> Vec<(i64, f64, i64)> {
    let batch = &decoded.batch;
    let start = |i: usize| batch.starts_ms.get(i).copied().unwrap_or(0);
    batch
        .series
        .iter()
        .flat_map(|row| row.points.clone())
        .map(|i| i as usize)
        .map(|i| (batch.points[i].t_ms, batch.points[i].value, start(i)))
        .collect()
}

#[test]
fn intervals_add_up_from_one_stable_start() {
    let mut state = DeltaState::default();
    let batch = |points: &[_]| deltas(DeltaKind::Interval, points);
    assert_eq!(run(&mut state, batch(&[("a", 10, 20, 5.0)])), (vec![(20, 5.0, 10)], 0));
    assert_eq!(
        run(&mut state, batch(&[("a", 20, 30, 2.0), ("b", 20, 30, 1.0)])).0,
        [(30, 7.0, 10), (30, 1.0, 20)]
    );
    assert_eq!(run(&mut state, batch(&[("a", 30, 40, 0.5)])), (vec![(40, 7.5, 10)], 0));
}

#[test]
fn an_interval_counts_once() {
    let mut state = DeltaState::default();
    let sent = [("a", 10, 20, 5.0), ("b", 10, 20, 1.0)];
    let _ = run(&mut state, deltas(DeltaKind::Interval, &sent));
    let retried = [("a", 10, 20, 5.0), ("a", 20, 30, 1.0), ("a", 0, 10, 9.0)];
    let mut decoded = deltas(DeltaKind::Interval, &retried);
    let _ = state.accumulate(&mut decoded, 0, |_| None);
    assert_eq!(points(&decoded), [(30, 6.0, 10)]);
    assert_eq!(decoded.refusals.counts(), [(Reason::AlreadyCounted, 2)]);
    assert_eq!(decoded.refusals.detailed()[0].index, 0);
    assert_eq!(decoded.batch.series.len(), 1, "rows without samples are gone");
    assert_eq!((decoded.batch.labels.len(), decoded.batch.points.len()), (1, 1));
}

#[test]
fn events_always_count_and_never_go_back_in_time() {
    let mut state = DeltaState::default();
    let sent = [("a", 0, 20, 1.0), ("a", 0, 20, 1.0), ("a", 0, 10, 1.0)];
    let got = run(&mut state, deltas(DeltaKind::Event, &sent));
    assert_eq!(got, (vec![(20, 1.0, 0), (20, 2.0, 0), (20, 3.0, 0)], 0));
}

#[test]
fn stale_markers_pass_and_change_nothing() {
    let mut state = DeltaState::default();
    let _ = run(&mut state, deltas(DeltaKind::Interval, &[("a", 10, 20, 5.0)]));
    let mut decoded = deltas(DeltaKind::Interval, &[("a", 20, 30, STALE_NAN)]);
    let _ = state.accumulate(&mut decoded, 0, |_| None);
    assert!(is_stale(decoded.batch.points[0].value));
    assert_eq!(run(&mut state, deltas(DeltaKind::Interval, &[("a", 30, 40, 1.0)])).0, [(40, 6.0, 10)]);
}

#[test]
fn a_series_that_is_not_known_goes_on_from_the_store() {
    let last = Last { total: Total::Float(100.0), t_ms: 50, start_ms: 7 };
    let mut state = DeltaState::default();
    let mut decoded =
        deltas(DeltaKind::Interval, &[("a", 40, 50, 5.0), ("a", 50, 60, 5.0), ("b", 50, 60, 1.0)]);
    let mut asked = Vec::new();
    let _ = state.accumulate(&mut decoded, 0, |labels| {
        asked.push(labels.to_string());
        (labels.metric_name() == Some("a")).then(|| last.clone())
    });
    assert_eq!(points(&decoded), [(60, 105.0, 7), (60, 1.0, 50)]);
    assert_eq!(decoded.refusals.items(), 1, "the interval that the store has counted");
    assert_eq!(asked, ["a", "b"]);
}

#[test]
fn seeds_are_found_by_the_hash_of_their_labels() {
    let labels = Labels::from_pairs([("__name__", "a")]).expect("valid");
    let mut state = DeltaState::default();
    state.seed(series_hash(&labels), Last { total: Total::Float(3.0), t_ms: 5, start_ms: 1 });
    assert_eq!(run(&mut state, deltas(DeltaKind::Interval, &[("a", 5, 6, 1.0)])).0, [(6, 4.0, 1)]);
    let exported: Vec<_> = state.export().map(|(_, last)| last.clone()).collect();
    assert_eq!(exported, [Last { total: Total::Float(4.0), t_ms: 6, start_ms: 1 }]);
}

#[test]
fn a_batch_that_could_not_be_stored_is_taken_back() {
    let mut state = DeltaState::default();
    let _ = run(&mut state, deltas(DeltaKind::Interval, &[("a", 10, 20, 5.0)]));
    let mut failed =
        deltas(DeltaKind::Interval, &[("a", 20, 30, 2.0), ("a", 30, 40, 2.0), ("new", 20, 30, 1.0)]);
    let changes = state.accumulate(&mut failed, 0, |_| None);
    state.undo(changes);
    assert_eq!(state.len(), 1);
    assert_eq!(run(&mut state, deltas(DeltaKind::Interval, &[("a", 20, 30, 2.0)])).0, [(30, 7.0, 10)]);
}

#[test]
fn undoing_below_a_later_batch_forgets_the_series() {
    let mut state = DeltaState::default();
    let mut failed = deltas(DeltaKind::Interval, &[("a", 20, 30, 2.0)]);
    let changes = state.accumulate(&mut failed, 0, |_| None);
    let _ = run(&mut state, deltas(DeltaKind::Interval, &[("a", 30, 40, 2.0)]));
    state.undo(changes);
    assert!(state.is_empty());
}

#[test]
fn the_state_is_bounded_and_forgets_the_idle() {
    let mut state = DeltaState::new(DeltaLimits { series_max: 10, idle_ms: 100 });
    for i in 0..100i64 {
        let mut decoded = deltas(DeltaKind::Interval, &[(&format!("s{i}"), 0, 1, 1.0)]);
        let _ = state.accumulate(&mut decoded, i, |_| None);
        assert!(state.len() <= 10);
    }
    let _ = state.accumulate(&mut Decoded::default(), 1_000, |_| None);
    assert!(state.is_empty());
}

#[test]
fn labels_that_are_not_valid_are_left_to_the_store() {
    let mut decoded = Decoded::default();
    let row = decoded.batch.begin_series([("a", "1"), ("a", "2")]);
    rows::push_point(&mut decoded.batch, Point { t_ms: 1, value: 1.0 }, 0);
    decoded.batch.end_series(row);
    decoded.mark_delta(0, DeltaKind::Interval);
    let mut state = DeltaState::default();
    let _ = state.accumulate(&mut decoded, 0, |_| panic!("not asked"));
    assert_eq!((state.len(), decoded.batch.series.len()), (0, 1));
}

proptest! {
    #[test]
    fn the_last_total_is_the_sum_of_what_was_sent(values in proptest::collection::vec(0u32..1000, 1..50)) {
        let mut state = DeltaState::default();
        let mut last = 0.0;
        for (i, value) in values.iter().enumerate() {
            let t = i as i64;
            let sent = deltas(DeltaKind::Interval, &[("a", t, t + 1, f64::from(*value))]);
            let (points, refused) = run(&mut state, sent);
            prop_assert_eq!(refused, 0);
            last = points[0].1;
        }
        prop_assert_eq!(last, f64::from(values.iter().sum::<u32>()));
    }
}
