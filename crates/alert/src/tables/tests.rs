//! On each kind of database.

use std::sync::Arc;

use db::testing::{Fixture, each_backend};
use model::TenantId;

use super::*;
use crate::Labels;
use crate::notify::{self, Message, Status};
use crate::rule::{Found, Grade, NoData};
use crate::severity::{Priority, Severity};
use crate::state::{Alert, Change, Phase, Policy, RuleState, Transition};

async fn tables(fixture: &Fixture) -> Tables {
    let tenant = TenantId::default_tenant();
    let scope = fixture.db.create_tenant(&tenant, &[&crate::schema::TENANT]).await.expect("a tenant's part");
    Tables::new(scope)
}

fn labels(host: &str) -> Labels {
    Labels::from([("alertname".to_owned(), "cpu".to_owned()), ("host".to_owned(), host.to_owned())])
}

fn event(id: &str, at: i64, state: EventState, severity: Severity) -> Event {
    Event {
        id: id.to_owned(),
        rule: "rule/cpu".to_owned(),
        name: "cpu".to_owned(),
        fingerprint: "0a".to_owned(),
        state,
        severity,
        priority: severity.priority(),
        value: f64::NAN,
        labels: labels("a\0b"),
        annotations: Labels::new(),
        runbook: None,
        channels: Vec::new(),
        source: "rule".to_owned(),
        starts_at: at,
        fired_at: at,
        ends_at: (state == EventState::Resolved).then_some(at + 1),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_by: None,
        updated_at: at,
    }
}

fn outcomes(transitions: Vec<Transition>, open: &mut Option<Event>) -> Vec<Outcome> {
    let outcome = |transition: Transition| {
        let alert = transition.alert;
        if transition.change == Change::Fired {
            *open = Some(event("evt_1", alert.active_at, EventState::Firing, alert.severity));
        }
        if let (Change::Resolved, Some(event)) = (transition.change, open.as_mut()) {
            (event.state, event.ends_at) = (EventState::Resolved, alert.resolved_at);
        }
        Outcome { fingerprint: "0a".to_owned(), change: transition.change, event: open.clone(), alert }
    };
    transitions.into_iter().map(outcome).collect()
}

fn policy() -> Policy {
    Policy {
        severity: Severity::Warning,
        hold_ms: 0,
        keep_firing_ms: 0,
        cooldown_ms: 300_000,
        no_data: NoData::Ok,
        escalate: None,
    }
}

#[tokio::test]
async fn what_an_evaluation_changes_is_there_after_a_restart() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        assert_eq!(tables.kept("rule/cpu").await.expect("answers"), None);
        let mut state = RuleState::default();
        let mut open = None;
        let breach = || vec![Found { labels: labels("a"), value: 97.0, grade: Grade::Breach(None) }];
        let told = state.step(&policy(), breach(), true, 1_000);
        tables.record("rule/cpu", 1_000, &outcomes(told, &mut open)).await.expect("written");

        let kept = tables.kept("rule/cpu").await.expect("answers").expect("kept");
        let alerts: Vec<Alert> = kept.alerts.iter().map(|(alert, _)| alert.clone()).collect();
        assert_eq!(alerts, state.alerts().cloned().collect::<Vec<_>>());
        assert_eq!(kept.alerts[0].1.as_deref(), Some("evt_1"));
        assert_eq!(kept.evaluated_at, 1_000);
        let fired = tables.event("evt_1").await.expect("fired");
        assert_eq!((fired.state, fired.severity), (EventState::Firing, Severity::Warning));

        let told = state.step(&policy(), vec![], true, 2_000);
        tables.record("rule/cpu", 2_000, &outcomes(told, &mut open)).await.expect("written");
        let over = tables.event("evt_1").await.expect("still there");
        assert_eq!((over.state, over.ends_at), (EventState::Resolved, Some(2_000)));
        let kept = tables.kept("rule/cpu").await.expect("answers").expect("kept");
        assert_eq!(
            (kept.alerts[0].0.phase, kept.alerts[0].1.clone()),
            (Phase::Resolved, None),
            "its cooldown lasts"
        );
        let what: Vec<String> =
            tables.event_log("evt_1").await.expect("a log").into_iter().map(|entry| entry.what).collect();
        assert_eq!(what, ["fired", "resolved"]);
    })
    .await;
}

#[tokio::test]
async fn an_event_is_acknowledged_once_and_not_after_its_end() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let mut tx = tables.begin().await.expect("begins");
        for (id, state) in [("evt_1", EventState::Firing), ("evt_2", EventState::Resolved)] {
            events::write_event(&mut tx, &event(id, 1, state, Severity::Error)).await.expect("written");
        }
        tx.commit().await.expect("commits");
        let first = tables.acknowledge("evt_1", "ann", Some("on it"), 10).await.expect("acknowledged");
        let second = tables.acknowledge("evt_1", "bob", None, 20).await.expect("as it is");
        assert_eq!(
            (first.acknowledged_at, &first.acknowledged_by),
            (second.acknowledged_at, &second.acknowledged_by)
        );
        assert_eq!((first.state, first.acknowledged_by.as_deref()), (EventState::Acknowledged, Some("ann")));
        assert_eq!(tables.event_log("evt_1").await.expect("a log").len(), 1);
        let over = tables.acknowledge("evt_2", "ann", None, 10).await;
        assert!(matches!(over, Err(TableError::State { state: "resolved", .. })), "{over:?}");
        let unknown = tables.acknowledge("evt_3", "ann", None, 10).await;
        assert!(matches!(unknown, Err(TableError::Missing { .. })), "{unknown:?}");
        assert_eq!(tables.unacknowledge("evt_1", "ann", 30).await.expect("back").state, EventState::Firing);
    })
    .await;
}

#[tokio::test]
async fn events_are_listed_by_what_is_asked_page_by_page() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let mut tx = tables.begin().await.expect("begins");
        for n in 0..5_i64 {
            let state = if n % 2 == 0 { EventState::Firing } else { EventState::Resolved };
            let severity = Severity::ALL[usize::try_from(n % 4).expect("small")];
            // Two at the same time.
            events::write_event(&mut tx, &event(&format!("evt_{n}"), n / 2, state, severity))
                .await
                .expect("written");
        }
        tx.commit().await.expect("commits");
        let ids = |events: Vec<Event>| events.into_iter().map(|event| event.id).collect::<Vec<_>>();
        let all = EventFilter::default();
        assert_eq!(
            ids(tables.events(&all, 10).await.expect("a list")),
            ["evt_4", "evt_2", "evt_3", "evt_0", "evt_1"]
        );
        let page = EventFilter { after: Some((1, "evt_2".to_owned())), ..EventFilter::default() };
        assert_eq!(ids(tables.events(&page, 2).await.expect("a list")), ["evt_3", "evt_0"]);
        let firing = EventFilter { states: vec![EventState::Firing], ..EventFilter::default() };
        assert_eq!(ids(tables.events(&firing, 10).await.expect("a list")), ["evt_4", "evt_2", "evt_0"]);
        let bad = EventFilter { severities: vec![Severity::Critical], ..EventFilter::default() };
        assert_eq!(ids(tables.events(&bad, 10).await.expect("a list")), ["evt_3"]);
        assert_eq!(tables.sweep_events(2).await.expect("swept"), 1, "over at 1");
        let ended = tables.forget_rule("rule/cpu", "the rule was deleted", 9).await.expect("ended");
        assert_eq!(ended.len(), 3);
        assert!(tables.events(&firing, 10).await.expect("a list").is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_notification_and_its_attempts_are_on_record() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let message = Message {
            id: "ntf_1".to_owned(),
            key: "g".to_owned(),
            event: notify::Event::Alert,
            status: Status::Firing,
            severity: Severity::Error,
            priority: Priority::High,
            title: "cpu".to_owned(),
            text: String::new(),
            alerts: Vec::new(),
            alerts_left_out: 0,
            group_labels: Labels::new(),
            common_labels: Labels::new(),
            common_annotations: Labels::new(),
            receiver: "ops".to_owned(),
            runbook: None,
            links: Vec::new(),
            external_url: String::new(),
            at: 5,
        };
        let one = Notification {
            id: "ntf_1".to_owned(),
            group_key: "g".to_owned(),
            channel: "ops".to_owned(),
            event: notify::Event::Alert,
            status: NotificationStatus::Pending,
            priority: Priority::High,
            message,
            attempts: 0,
            error: None,
            created_at: 5,
            ended_at: None,
        };
        let mut tx = tables.begin().await.expect("begins");
        events::write_event(&mut tx, &event("evt_1", 1, EventState::Firing, Severity::Error))
            .await
            .expect("written");
        tables
            .write_notifications(&mut tx, std::slice::from_ref(&one), &["evt_1".to_owned()])
            .await
            .expect("written");
        // A second time, as after a stop: nothing changes.
        tables
            .write_notifications(&mut tx, std::slice::from_ref(&one), &["evt_1".to_owned()])
            .await
            .expect("written");
        tx.commit().await.expect("commits");
        assert_eq!(tables.pending_notifications(10).await.expect("a list"), std::slice::from_ref(&one));
        tables.queued(&["ntf_1".to_owned()]).await.expect("queued");
        assert!(tables.pending_notifications(10).await.expect("a list").is_empty());

        let failed = Delivery {
            attempt: 1,
            channel: "ops".to_owned(),
            at: 10,
            duration_ms: 3,
            delivered: false,
            status_code: Some(500),
            error: Some("answered 500".to_owned()),
        };
        tables.record_delivery("ntf_1", &failed, NotificationStatus::Queued).await.expect("written");
        let sent = Delivery {
            attempt: 2,
            at: 20,
            delivered: true,
            status_code: Some(200),
            error: None,
            ..failed.clone()
        };
        tables.record_delivery("ntf_1", &sent, NotificationStatus::Sent).await.expect("written");
        assert_eq!(tables.deliveries("ntf_1").await.expect("a list"), [failed, sent]);
        let told = tables.notifications_of("evt_1").await.expect("a list");
        assert_eq!(
            (told[0].status, told[0].attempts, told[0].ended_at),
            (NotificationStatus::Sent, 2, Some(23))
        );
        assert_eq!(tables.sweep_notifications(24).await.expect("swept"), 1);
        assert!(tables.deliveries("ntf_1").await.expect("a list").is_empty());
    })
    .await;
}
