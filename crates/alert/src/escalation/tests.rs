//! Policies on a clock of their own, and running ones on each kind of database.

use std::sync::Arc;

use db::testing::{Fixture, each_backend};
use model::TenantId;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Labels;
use crate::incident::{NewIncident, Operation, Origin};
use crate::severity::Severity;
use crate::tables::Tables;

const MINUTE: i64 = 60_000;

fn policy(spec: Value) -> EscalationSpec {
    let spec: EscalationSpec = serde_json::from_value(spec).expect("reads");
    spec.check().expect("good");
    spec
}

fn two_levels() -> EscalationSpec {
    policy(json!({
        "levels": [
            {"targets": [{"schedule": "primary"}]},
            {"after": "5m", "targets": [{"person": "b@x"}, {"channel": "ops"}]},
        ],
        "repeat": {"times": 1, "every": "10m"},
        "ack_timeout": "30m",
    }))
}

/// Minutes and levels of what a policy does, stepped each minute and kept as text in between, as over restarts.
fn run(policy: &EscalationSpec, minutes: i64, standing: impl Fn(i64) -> Standing) -> Vec<(i64, usize, u64)> {
    let mut kept = serde_json::to_string(&Escalation::start(policy, 0)).expect("text");
    let mut out = Vec::new();
    for minute in 0..minutes {
        let mut state: Escalation = serde_json::from_str(&kept).expect("reads");
        let step = state.step(policy, minute * MINUTE, standing(minute));
        out.extend(step.calls.into_iter().map(|call| (minute, call.level, call.number)));
        kept = serde_json::to_string(&state).expect("text");
    }
    out
}

#[test]
fn levels_are_called_in_turn_until_somebody_answers() {
    use Standing::{Acknowledged, Open, Resolved};
    let policy = two_levels();
    assert_eq!(run(&policy, 60, |_| Open), [(0, 1, 1), (5, 2, 2), (15, 1, 3), (20, 2, 4)]);
    // Acknowledged in the third minute: nobody else is called.
    let held = |minute| if minute < 3 { Open } else { Acknowledged(3 * MINUTE) };
    assert_eq!(run(&policy, 30, held), [(0, 1, 1)]);
    // It held too long: on with the next call, at once.
    assert_eq!(run(&policy, 45, held), [(0, 1, 1), (33, 2, 2), (43, 1, 3)]);
    // Left in the tenth minute: two minutes of the wait were left.
    let left = |minute| if (3..10).contains(&minute) { Acknowledged(3 * MINUTE) } else { Open };
    assert_eq!(run(&policy, 15, left), [(0, 1, 1), (12, 2, 2)]);
    // Left after everybody was called: once more from the first level.
    let late = |minute| if (30..40).contains(&minute) { Acknowledged(30 * MINUTE) } else { Open };
    let calls = run(&policy, 60, late);
    assert_eq!(calls[4..], [(40, 1, 5), (45, 2, 6)]);
    let over = |minute| if minute < 3 { Open } else { Resolved };
    assert_eq!(run(&policy, 60, over), [(0, 1, 1)]);
}

#[test]
fn a_level_is_called_again_before_the_next_and_levels_without_a_wait_together() {
    let policy = policy(json!({"levels": [
        {"after": "1m", "targets": [{"channel": "a"}], "repeat": {"times": 2, "every": "2m"}},
        {"after": "3m", "targets": [{"person": "b@x"}]},
        {"targets": [{"channel": "c"}]},
    ]}));
    let calls = run(&policy, 60, |_| Standing::Open);
    assert_eq!(calls, [(1, 1, 1), (3, 1, 2), (5, 1, 3), (8, 2, 4), (8, 3, 5)]);
}

#[test]
fn after_a_stop_the_next_level_is_called_and_the_one_behind_has_its_time() {
    let policy = two_levels();
    let mut state = Escalation::start(&policy, 0);
    let first = state.step(&policy, 0, Standing::Open);
    assert_eq!(first.next, Some(5 * MINUTE));
    let late = state.step(&policy, 60 * MINUTE, Standing::Open);
    assert_eq!(late.calls.iter().map(|call| call.level).collect::<Vec<_>>(), [2]);
    assert_eq!(late.next, Some(70 * MINUTE));
    // Stepped again at the same moment: nothing is said twice.
    assert_eq!(state.step(&policy, 60 * MINUTE, Standing::Open).calls, []);
    let shorter = EscalationSpec { levels: policy.levels[..1].to_vec(), repeat: None, ..policy };
    let mut cut = Escalation::start(&two_levels(), 0);
    cut.step(&two_levels(), 0, Standing::Open);
    let gone = cut.step(&shorter, 60 * MINUTE, Standing::Open);
    assert_eq!((gone.calls.len(), gone.next), (0, None));
}

proptest! {
    #[test]
    fn no_level_is_lost_or_repeated_however_it_is_stepped(gaps in proptest::collection::vec(0_i64..20, 1..60)) {
        let policy = two_levels();
        let mut state = Escalation::start(&policy, 0);
        let (mut now, mut calls) = (0, Vec::new());
        for gap in gaps {
            now += gap * MINUTE;
            let text = serde_json::to_string(&state).expect("text");
            state = serde_json::from_str(&text).expect("reads");
            calls.extend(state.step(&policy, now, Standing::Open).calls);
        }
        let numbers: Vec<u64> = calls.iter().map(|call| call.number).collect();
        prop_assert_eq!(&numbers, &(1..=calls.len() as u64).collect::<Vec<_>>());
        let order: Vec<(u32, usize)> = calls.iter().map(|call| (call.round, call.level)).collect();
        let whole = [(0, 1), (0, 2), (1, 1), (1, 2)];
        prop_assert_eq!(&order[..], &whole[..order.len()]);
    }
}

#[test]
fn a_policy_that_cannot_be_is_refused_with_its_place() {
    for (spec, field) in [
        (json!({"levels": []}), "levels"),
        (json!({"levels": [{"targets": []}]}), "levels[0].targets"),
        (json!({"levels": [{"targets": [{"person": "ann"}]}]}), "levels[0].targets[0].person"),
        (json!({"levels": [{"targets": [{"channel": ""}]}]}), "levels[0].targets[0].channel"),
        (json!({"levels": [{"after": "8d", "targets": [{"channel": "a"}]}]}), "levels[0].after"),
        (
            json!({"levels": [{"targets": [{"channel": "a"}], "repeat": {"times": 1, "every": "1s"}}]}),
            "levels[0].repeat.every",
        ),
        (
            json!({"levels": [{"targets": [{"channel": "a"}]}], "repeat": {"times": 101, "every": "1m"}}),
            "repeat.times",
        ),
        (json!({"levels": [{"targets": [{"channel": "a"}]}], "ack_timeout": 0}), "ack_timeout"),
    ] {
        let read: EscalationSpec = serde_json::from_value(spec.clone()).expect("reads");
        assert_eq!(read.check().expect_err("refused").field, field, "{spec}");
    }
}

fn incident() -> NewIncident {
    NewIncident {
        title: "disk".to_owned(),
        severity: Severity::Error,
        key: None,
        origin: Origin::Person("ann@x".to_owned()),
        events: Vec::new(),
        labels: Labels::new(),
        escalation: None,
        auto_resolve: false,
    }
}

#[tokio::test]
async fn of_two_servers_one_makes_the_call_and_a_restart_goes_on() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let scope = fixture
            .db
            .create_tenant(&TenantId::default_tenant(), &[&crate::schema::TENANT])
            .await
            .expect("a tenant's part");
        let tables = Tables::new(scope);
        let policy = two_levels();
        let mut tx = tables.begin().await.expect("begins");
        let opened = tables.open_incident_in(&mut tx, &incident(), 1_000).await.expect("opens");
        let id = opened.incident.id.as_str();
        let first = tables.start_escalation(&mut tx, id, ("p", &policy), 1_000).await.expect("starts");
        let again = tables.start_escalation(&mut tx, id, ("p", &policy), 2_000).await.expect("runs");
        tx.commit().await.expect("commits");
        assert_eq!(first, again);

        let mut due = tables.due_escalations(1_000, 10).await.expect("a list").remove(0);
        let mut other = tables.due_escalations(1_000, 10).await.expect("a list").remove(0);
        let step = due.state.step(&policy, 1_000, Standing::Open);
        assert_eq!(step.calls.len(), 1);
        let late = other.state.step(&policy, 1_000, Standing::Open);
        let mut tx = tables.begin().await.expect("begins");
        assert!(tables.write_escalation(&mut tx, &due, step.next, 1_000).await.expect("written"));
        tx.commit().await.expect("commits");
        let mut tx = tables.begin().await.expect("begins");
        assert!(!tables.write_escalation(&mut tx, &other, late.next, 1_000).await.expect("answers"));
        drop(tx);

        assert!(tables.due_escalations(1_001, 10).await.expect("a list").is_empty());
        assert_eq!(tables.next_escalation().await.expect("a time"), Some(1_000 + 5 * MINUTE));
        let acknowledge = Operation::Acknowledge { note: None };
        tables.change_incident(id, &acknowledge, Some("ann@x"), 2_000).await.expect("wakes it");
        let mut due = tables.due_escalations(2_000, 10).await.expect("a list").remove(0);
        let step = due.state.step(&policy, 2_000, Standing::Resolved);
        let mut tx = tables.begin().await.expect("begins");
        assert!(tables.write_escalation(&mut tx, &due, step.next, 2_000).await.expect("removed"));
        tx.commit().await.expect("commits");
        assert!(tables.escalations_of(id).await.expect("a list").is_empty());
        assert_eq!(tables.next_escalation().await.expect("nothing"), None);
    })
    .await;
}
