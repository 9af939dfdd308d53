//! On each kind of database.

use std::sync::Arc;

use db::testing::{Fixture, each_backend};
use model::TenantId;

use super::*;
use crate::tables::Tables;

const ANN: Option<&str> = Some("ann@x");

async fn tables(fixture: &Fixture) -> Tables {
    let tenant = TenantId::default_tenant();
    let scope = fixture.db.create_tenant(&tenant, &[&crate::schema::TENANT]).await.expect("a tenant's part");
    Tables::new(scope)
}

async fn fire(tables: &Tables, id: &str) {
    let mut tx = tables.begin().await.expect("begins");
    sqlx::query(
        r#"INSERT INTO "AlertEvent" ("id", "rule", "name", "fingerprint", "state", "severity", "priority", "labels",
           "annotations", "channels", "source", "startsAt", "firedAt", "updatedAt")
           VALUES ($1, 'rule/cpu', 'cpu', '0a', 'firing', 'error', 'high', '{}', '{}', '[]', 'rule', 1, 1, 1)"#,
    )
    .bind(id)
    .execute(&mut *tx)
    .await
    .expect("written");
    tx.commit().await.expect("commits");
}

fn new(key: Option<&str>, events: &[&str]) -> NewIncident {
    NewIncident {
        title: "cpu".to_owned(),
        severity: Severity::Error,
        key: key.map(str::to_owned),
        origin: Origin::Route("ops".to_owned()),
        events: events.iter().map(|id| (*id).to_owned()).collect(),
        labels: Labels::from([("service".to_owned(), "a\0pi".to_owned())]),
        escalation: None,
        auto_resolve: true,
    }
}

async fn kinds(tables: &Tables, id: &str) -> Vec<(EntryKind, Option<String>)> {
    let entries = tables.timeline(id, &[], 0, 100).await.expect("a timeline");
    assert!(entries.iter().zip(1..).all(|(entry, n)| entry.n == n), "{entries:?}");
    entries.into_iter().map(|entry| (entry.kind, entry.who)).collect()
}

#[tokio::test]
async fn alerts_of_one_key_make_one_incident_that_ends_with_the_last_of_them() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        for id in ["evt_1", "evt_2", "evt_3"] {
            fire(&tables, id).await;
        }
        let first = tables.open_incident(&new(Some("g"), &["evt_1"]), 10).await.expect("opens");
        assert!(first.is_new);
        let worse = NewIncident { severity: Severity::Critical, ..new(Some("g"), &["evt_1", "evt_2"]) };
        let second = tables.open_incident(&worse, 20).await.expect("joins");
        assert!(!second.is_new);
        assert_eq!((&second.incident.id, second.incident.number), (&first.incident.id, 1));
        assert_eq!((second.incident.severity, second.incident.events), (Severity::Critical, 2));
        let other = tables.open_incident(&new(None, &["evt_3"]), 20).await.expect("opens");
        assert_eq!((other.is_new, other.incident.number), (true, 2));
        let by_hand = NewIncident { origin: Origin::Person("ann@x".to_owned()), ..new(None, &["evt_9"]) };
        let unknown = tables.open_incident(&by_hand, 20).await;
        assert!(matches!(unknown, Err(IncidentError::Table(TableError::Missing { .. }))), "{unknown:?}");

        let id = &first.incident.id;
        let over = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let half = tables.events_over(&over(&["evt_1", "evt_9"]), 30).await.expect("written");
        assert_eq!((half.len(), half[0].status), (1, IncidentStatus::Open));
        assert_eq!(tables.incident_events(id, true, "", 10).await.expect("a list"), ["evt_2"]);
        let whole = tables.events_over(&over(&["evt_2", "evt_1"]), 40).await.expect("written");
        assert_eq!((whole[0].status, whole[0].resolved_at), (IncidentStatus::Resolved, Some(40)));
        assert!(tables.events_over(&over(&["evt_2"]), 50).await.expect("nothing").is_empty());
        assert_eq!(
            kinds(&tables, id).await.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>(),
            [
                EntryKind::Opened,
                EntryKind::EventJoined,
                EntryKind::Severity,
                EntryKind::EventJoined,
                EntryKind::EventOver,
                EntryKind::EventOver,
                EntryKind::Resolved
            ]
        );
        // The key is free again, and the one that is over cannot come back beside it.
        let next = tables.open_incident(&new(Some("g"), &[]), 60).await.expect("opens");
        assert_eq!((next.is_new, next.incident.number), (true, 3));
        let reopen = Operation::Reopen { reason: "again".to_owned() };
        let back = tables.change_incident(id, &reopen, ANN, 70).await;
        assert!(matches!(back, Err(IncidentError::Table(TableError::State { .. }))), "{back:?}");
        let end = Operation::Resolve { note: None };
        tables.change_incident(&next.incident.id, &end, ANN, 70).await.expect("ends");
        let back = tables.change_incident(id, &reopen, ANN, 80).await.expect("open again");
        assert_eq!((back.status, back.reopened, back.resolved_at), (IncidentStatus::Open, 1, None));
        let joined = tables.open_incident(&new(Some("g"), &["evt_3"]), 90).await.expect("joins");
        assert_eq!((&joined.incident.id, joined.is_new), (id, false));
    })
    .await;
}

#[tokio::test]
async fn many_that_open_with_one_key_at_once_make_one_incident() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        for n in 0..8 {
            fire(&tables, &format!("evt_{n}")).await;
        }
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let tables = tables.clone();
                tokio::spawn(async move {
                    let new = new(Some("g"), &[&format!("evt_{n}")]);
                    tables.open_incident(&new, 10).await.expect("opens or joins").is_new
                })
            })
            .collect();
        let mut opened = 0;
        for task in tasks {
            opened += u32::from(task.await.expect("ends"));
        }
        assert_eq!(opened, 1);
        let all = tables.incidents(&IncidentFilter::default(), 10).await.expect("a list");
        assert_eq!((all.len(), all[0].events, all[0].entries), (1, 8, 9));

        // At once: all of them are over, and people write.
        let id = all[0].id.clone();
        let enders = (0..8).map(|n| {
            let tables = tables.clone();
            tokio::spawn(async move {
                tables.events_over(&[format!("evt_{n}")], 20).await.expect("written").len()
            })
        });
        let writers = (0..8).map(|n| {
            let (tables, id) = (tables.clone(), id.clone());
            tokio::spawn(async move {
                let note = Operation::Note(format!("note {n}"));
                tables.change_incident(&id, &note, ANN, 20).await.expect("written");
                0
            })
        });
        for task in enders.chain(writers).collect::<Vec<_>>() {
            task.await.expect("ends");
        }
        let end = tables.incident(&id).await.expect("there");
        assert_eq!((end.status, end.entries), (IncidentStatus::Resolved, 9 + 8 + 1 + 8));
        assert_eq!(kinds(&tables, &id).await.len(), 26);
    })
    .await;
}

#[tokio::test]
async fn whatever_is_done_is_in_the_timeline_once_with_who_did_it() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let origin = Origin::Person("ann@x".to_owned());
        let opened =
            tables.open_incident(&NewIncident { origin, ..new(None, &[]) }, 10).await.expect("opens");
        let id = opened.incident.id;
        let role = |person: Option<&str>| Operation::SetRole {
            role: "commander".to_owned(),
            person: person.map(str::to_owned),
        };
        let tick = |done| Operation::Tick { runbook: "restart".to_owned(), step: 1, done };
        let steps = vec!["look".to_owned(), "restart".to_owned()];
        let page = Publication {
            page: "main".to_owned(),
            title: "Slow".to_owned(),
            components: vec!["api".to_owned()],
            impact: Impact::Degraded,
        };
        let told = Operation::Update { phase: Phase::Identified, text: "it is the disk".to_owned() };
        let early = tables.change_incident(&id, &told, ANN, 11).await;
        assert!(matches!(early, Err(IncidentError::Table(TableError::State { .. }))), "{early:?}");
        // Each twice: the second changes nothing, but for what is said anew.
        for (operation, kind, again) in [
            (Operation::Acknowledge { note: Some("on it".to_owned()) }, EntryKind::Acknowledged, false),
            (Operation::Assign(Some("eve@x".to_owned())), EntryKind::Assigned, false),
            (role(Some("bob@x")), EntryKind::Role, false),
            (Operation::Note("a\nb".to_owned()), EntryKind::Note, true),
            (Operation::SetSeverity(Severity::Info), EntryKind::Severity, false),
            (Operation::LinkRunbook { name: "restart".to_owned(), steps }, EntryKind::Runbook, false),
            (tick(true), EntryKind::Step, false),
            (Operation::Publish(Some(page)), EntryKind::Published, false),
            (told, EntryKind::Update, true),
            (Operation::Rename("disk".to_owned()), EntryKind::Note, false),
            (Operation::Unacknowledge, EntryKind::Unacknowledged, false),
            (Operation::Resolve { note: None }, EntryKind::Resolved, false),
            (Operation::Reopen { reason: "not mended".to_owned() }, EntryKind::Reopened, false),
        ] {
            let before = kinds(&tables, &id).await.len();
            for times in 1..=2 {
                tables.change_incident(&id, &operation, Some("bob@x"), 20).await.expect("done");
                let all = kinds(&tables, &id).await;
                assert_eq!(all.len(), before + if again { times } else { 1 }, "{operation:?}");
                assert_eq!(all[all.len() - 1], (kind, Some("bob@x".to_owned())), "{operation:?}");
            }
        }
        let all = tables.incident(&id).await.expect("there");
        assert_eq!(all.runbooks[0].steps[1].done_by.as_deref(), Some("bob@x"));
        assert_eq!((all.first_acknowledged_at, all.acknowledged_at), (Some(20), None));
        assert_eq!(all.phase, Some(Phase::Investigating));
        for (operation, field) in [
            (Operation::Assign(Some("bob".to_owned())), "assignee"),
            (Operation::Note(" ".to_owned()), "text"),
            (Operation::Note("a\0".to_owned()), "text"),
            (Operation::Rename("a\nb".to_owned()), "title"),
            (Operation::Tick { runbook: "restart".to_owned(), step: 2, done: true }, "step"),
            (Operation::Note("a".repeat(20_000)), "text"),
        ] {
            let refused = tables.change_incident(&id, &operation, ANN, 30).await;
            assert!(
                matches!(&refused, Err(IncidentError::Invalid(fault)) if fault.field == field),
                "{refused:?}"
            );
        }
        assert_eq!(tables.incident(&id).await.expect("as it was"), all);
        let page = tables.timeline(&id, &[EntryKind::Update], 0, 1).await.expect("a page");
        assert_eq!(page[0].data["phase"], "identified");
        assert_eq!(tables.timeline(&id, &[EntryKind::Update], page[0].n, 9).await.expect("a page").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn incidents_are_listed_by_what_is_asked_page_by_page() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        fire(&tables, "evt_1").await;
        let mut ids = Vec::new();
        for n in 0..5_i64 {
            let severity = Severity::ALL[usize::try_from(n % 4).expect("small")];
            let events: &[&str] = if n == 2 { &["evt_1"] } else { &[] };
            let new = NewIncident { severity, ..new(None, events) };
            ids.push(tables.open_incident(&new, n / 2).await.expect("opens").incident.id);
        }
        let end = Operation::Resolve { note: None };
        tables.change_incident(&ids[4], &end, ANN, 9).await.expect("ends");
        let numbers = |filter: IncidentFilter, limit| {
            let tables = tables.clone();
            async move {
                let list = tables.incidents(&filter, limit).await.expect("a list");
                list.into_iter().map(|incident| incident.number).collect::<Vec<_>>()
            }
        };
        let all = IncidentFilter::default;
        let open = IncidentFilter { statuses: vec![IncidentStatus::Open], ..all() };
        assert_eq!(numbers(open, 10).await.len(), 4);
        let bad = IncidentFilter { severities: vec![Severity::Critical], ..all() };
        assert_eq!(numbers(bad, 10).await, [4]);
        let times = IncidentFilter { since: Some(2), until: Some(3), ..all() };
        assert_eq!(numbers(times, 10).await, [5]);
        assert_eq!(numbers(IncidentFilter { event: Some("evt_1".to_owned()), ..all() }, 10).await, [3]);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let filter = IncidentFilter { after: after.clone(), ..all() };
            let page = tables.incidents(&filter, 2).await.expect("a page");
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.id.clone()));
            seen.extend(page.into_iter().map(|incident| incident.number));
        }
        assert_eq!(seen[0], 5);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        assert_eq!(tables.sweep_incidents(10).await.expect("swept"), 1);
        assert!(tables.timeline(&ids[4], &[], 0, 10).await.expect("gone").is_empty());
    })
    .await;
}

#[test]
fn a_full_timeline_takes_the_end_and_nothing_that_can_be_left_out_stops_it() {
    let room = |kind: EntryKind| (kind.room(), kind.may_be_left_out());
    assert_eq!(room(EntryKind::EventJoined), (TIMELINE_MAX / 2, true));
    assert_eq!(room(EntryKind::Note), (TIMELINE_MAX - 1_000, false));
    assert_eq!(room(EntryKind::Reopened), (TIMELINE_MAX - 1_000, false));
    assert_eq!(room(EntryKind::Resolved), (TIMELINE_MAX, false));
}
