//! Each test is a table: the time in seconds, what is found, and what changes.

use super::*;
use crate::span::Span;

const S: i64 = 1_000;

fn policy() -> Policy {
    Policy {
        severity: Severity::Warning,
        hold_ms: 0,
        keep_firing_ms: 0,
        cooldown_ms: 0,
        no_data: NoData::Ok,
        escalate: None,
    }
}

fn labels(name: &str) -> Labels {
    Labels::from([("host".to_owned(), name.to_owned())])
}

fn found(name: &str, grade: Grade) -> Found {
    Found { labels: labels(name), value: 1.0, grade }
}

const FINE: Grade = Grade::Fine;
const HELD: Grade = Grade::Held;
const BREACH: Grade = Grade::Breach(None);

fn bad(severity: Severity) -> Grade {
    Grade::Breach(Some(severity))
}

/// Runs steps for one set of labels; `None` is an evaluation that finds nothing.
fn run(policy: &Policy, rows: &[(i64, Option<Grade>, &[&str])]) {
    let mut state = RuleState::default();
    for (at, grade, want) in rows {
        let found: Vec<Found> = grade.iter().map(|grade| found("a", *grade)).collect();
        let had_data = grade.is_some();
        let told = state.step(policy, found, had_data, at * S);
        assert_eq!(names(&told), *want, "at {at} s");
    }
}

fn names(transitions: &[Transition]) -> Vec<String> {
    let name = |transition: &Transition| match transition.change {
        Change::Pending => "pending".to_owned(),
        Change::Dropped => "dropped".to_owned(),
        Change::Fired => format!("fired {}", transition.alert.severity),
        Change::Escalated { from, unacknowledged: false } => {
            format!("{from}>{}", transition.alert.severity)
        }
        Change::Escalated { from, unacknowledged: true } => {
            format!("{from}>>{}", transition.alert.severity)
        }
        Change::Eased { from } => format!("{from}<{}", transition.alert.severity),
        Change::Resolved => "resolved".to_owned(),
    };
    transitions.iter().map(name).collect()
}

#[test]
fn without_for_a_breach_fires_at_once_and_resolves_at_once() {
    run(
        &policy(),
        &[
            (0, Some(FINE), &[]),
            (30, Some(BREACH), &["pending", "fired warning"]),
            (60, Some(BREACH), &[]),
            (90, Some(FINE), &["resolved"]),
            (120, Some(FINE), &[]),
            (150, Some(BREACH), &["pending", "fired warning"]),
            (180, None, &["resolved"]),
        ],
    );
}

#[test]
fn for_is_measured_from_the_first_breach_and_starts_anew_after_a_good_value() {
    let policy = Policy { hold_ms: 60 * S, ..policy() };
    run(
        &policy,
        &[
            (0, Some(BREACH), &["pending"]),
            (30, Some(FINE), &["dropped"]),
            (60, Some(BREACH), &["pending"]),
            (90, Some(BREACH), &[]),
            (119, Some(BREACH), &[]),
            (120, Some(BREACH), &["fired warning"]),
            (150, None, &["resolved"]),
        ],
    );
}

#[test]
fn keep_firing_for_lasts_from_the_end_of_the_breach() {
    let policy = Policy { keep_firing_ms: 60 * S, ..policy() };
    run(
        &policy,
        &[
            (0, Some(BREACH), &["pending", "fired warning"]),
            (30, None, &[]),
            (60, Some(BREACH), &[]),
            (90, None, &[]),
            (149, None, &[]),
            (150, None, &["resolved"]),
        ],
    );
}

#[test]
fn inside_the_cooldown_nothing_fires_again() {
    let policy = Policy { cooldown_ms: 300 * S, ..policy() };
    run(
        &policy,
        &[
            (0, Some(BREACH), &["pending", "fired warning"]),
            (30, Some(FINE), &["resolved"]),
            (60, Some(BREACH), &["pending"]),
            (90, Some(FINE), &["dropped"]),
            (120, Some(BREACH), &["pending"]),
            (299, Some(BREACH), &[]),
            (300, Some(BREACH), &["fired warning"]),
            (330, Some(FINE), &["resolved"]),
            (700, Some(BREACH), &["pending", "fired warning"]),
        ],
    );
}

#[test]
fn a_step_up_is_not_held_by_the_cooldown() {
    let policy = Policy { cooldown_ms: 300 * S, ..policy() };
    run(
        &policy,
        &[
            (0, Some(bad(Severity::Warning)), &["pending", "fired warning"]),
            (30, Some(FINE), &["resolved"]),
            (60, Some(bad(Severity::Warning)), &["pending"]),
            (90, Some(bad(Severity::Critical)), &["fired critical"]),
        ],
    );
}

#[test]
fn a_value_that_ramps_up_steps_through_the_severities() {
    run(
        &policy(),
        &[
            (0, Some(bad(Severity::Warning)), &["pending", "fired warning"]),
            (30, Some(bad(Severity::Error)), &["warning>error"]),
            (60, Some(bad(Severity::Critical)), &["error>critical"]),
            (90, Some(bad(Severity::Warning)), &["critical<warning"]),
            (120, Some(FINE), &["resolved"]),
        ],
    );
}

#[test]
fn between_threshold_and_recovery_what_fires_goes_on_and_nothing_begins() {
    run(
        &policy(),
        &[
            (0, Some(HELD), &[]),
            (30, Some(BREACH), &["pending", "fired warning"]),
            (60, Some(HELD), &[]),
            (90, Some(FINE), &["resolved"]),
            (120, Some(HELD), &[]),
        ],
    );
}

#[test]
fn unacknowledged_it_becomes_worse_and_an_acknowledgement_stops_that() {
    let after = Span::seconds(600);
    let policy = Policy { escalate: Some(Escalate { after, to: None }), ..policy() };
    let mut state = RuleState::default();
    let step =
        |state: &mut RuleState, at: i64| names(&state.step(&policy, vec![found("a", BREACH)], true, at * S));
    assert_eq!(step(&mut state, 0), ["pending", "fired warning"]);
    assert_eq!(step(&mut state, 599), Vec::<String>::new());
    assert_eq!(step(&mut state, 600), ["warning>>error"]);
    assert_eq!(step(&mut state, 1_000), Vec::<String>::new(), "a raised severity stays with the same value");
    assert!(state.acknowledge(&labels("a"), true));
    assert_eq!(step(&mut state, 2_000), Vec::<String>::new());
    assert!(state.acknowledge(&labels("a"), false));
    assert_eq!(step(&mut state, 2_030), ["error>>critical"]);
    assert_eq!(step(&mut state, 9_000), Vec::<String>::new(), "there is nothing worse");
    assert!(!state.acknowledge(&labels("b"), true));

    let straight =
        Policy { escalate: Some(Escalate { after, to: Some(Severity::Critical) }), ..policy.clone() };
    let mut state = RuleState::default();
    state.step(&straight, vec![found("a", BREACH)], true, 0);
    assert_eq!(names(&state.step(&straight, vec![found("a", BREACH)], true, 600 * S)), ["warning>>critical"]);
}

#[test]
fn missing_data_ends_keeps_or_is_an_alert() {
    let fires: (i64, Option<Grade>, &[&str]) = (0, Some(BREACH), &["pending", "fired warning"]);
    run(&policy(), &[fires, (30, None, &["resolved"])]);
    run(
        &Policy { no_data: NoData::Keep, ..policy() },
        &[fires, (30, None, &[]), (60, Some(FINE), &["resolved"])],
    );
    run(
        &Policy { no_data: NoData::Alert, ..policy() },
        &[(0, Some(FINE), &[]), (30, None, &["pending", "fired warning"]), (60, Some(FINE), &["resolved"])],
    );
}

#[test]
fn alerts_of_other_labels_go_their_own_way() {
    let mut state = RuleState::default();
    state.step(&policy(), vec![found("a", BREACH), found("b", BREACH)], true, 0);
    let told = state.step(&policy(), vec![found("a", FINE), found("b", BREACH), found("c", BREACH)], true, S);
    assert_eq!(names(&told), ["resolved", "pending", "fired warning"]);
    let firing: Vec<&str> = state.alerts().map(|alert| alert.labels["host"].as_str()).collect();
    assert_eq!(firing, ["b", "c"]);
}

#[test]
fn an_alert_ended_by_hand_fires_again_after_its_cooldown_only() {
    let policy = Policy { cooldown_ms: 100 * S, ..policy() };
    let mut state = RuleState::default();
    state.step(&policy, vec![found("a", BREACH)], true, 0);
    assert!(state.resolve(&labels("a"), 10 * S).is_some());
    assert!(state.resolve(&labels("a"), 10 * S).is_none());
    assert_eq!(names(&state.step(&policy, vec![found("a", BREACH)], true, 30 * S)), ["pending"]);
    assert_eq!(names(&state.step(&policy, vec![found("a", BREACH)], true, 100 * S)), ["fired warning"]);
}

#[test]
fn a_restart_goes_on_where_it_was_and_time_away_does_not_count() {
    let policy = Policy { hold_ms: 60 * S, ..policy() };
    let mut before = RuleState::default();
    before.step(&policy, vec![found("a", BREACH)], true, 0);
    before.step(&policy, vec![found("a", BREACH)], true, 30 * S);
    let kept: Vec<Alert> = before.alerts().cloned().collect();

    let mut soon = RuleState::restore(kept.clone(), 30 * S, 130 * S);
    assert_eq!(names(&soon.step(&policy, vec![found("a", BREACH)], true, 130 * S)), Vec::<String>::new());
    assert_eq!(names(&soon.step(&policy, vec![found("a", BREACH)], true, 160 * S)), ["fired warning"]);

    let late = 30 * S + OUTAGE_MS + 1;
    let mut anew = RuleState::restore(kept, 30 * S, late);
    assert_eq!(names(&anew.step(&policy, vec![found("a", BREACH)], true, late)), ["pending"]);

    let firing: Vec<Alert> = soon.alerts().cloned().collect();
    let mut later = RuleState::restore(firing, 160 * S, late);
    assert_eq!(names(&later.step(&policy, vec![found("a", BREACH)], true, late)), Vec::<String>::new());
    assert_eq!(names(&later.step(&policy, vec![], true, late + S)), ["resolved"]);
}

#[test]
fn a_rule_keeps_a_bounded_number_of_alerts_and_counts_the_rest() {
    let mut state = RuleState::default();
    let many = (0..ALERTS_MAX + 5).map(|n| found(&n.to_string(), BREACH)).collect();
    state.step(&policy(), many, true, 0);
    assert_eq!((state.alerts().count(), state.over()), (ALERTS_MAX, 5));
}
