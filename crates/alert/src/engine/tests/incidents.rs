//! From an alert to the people who mend it, with restarts in between.

use super::*;
use crate::incident::{
    EntryKind, Impact, Incident, IncidentFilter, IncidentStatus, NewIncident, Operation, Origin, Phase,
    Publication,
};
use crate::oncall::{Schedule, ScheduleSpec};
use crate::runbook::{RunFilter, RunStatus};
use crate::status::{Subscriber, SubscriptionKind};
use crate::tables::EventState;

/// The route of critical alerts calls people: whoever is on call, then a second person and a channel.
fn manned() -> Setup {
    let route = |value: Value| -> RouteSpec { serde_json::from_value(value).expect("a route") };
    let objects = ObjectsSpec {
        routes: vec![NamedRoute {
            name: "grave".to_owned(),
            spec: route(json!({"channels": ["ops"], "escalation": "night", "group_by": ["alertname"],
                "group_wait": "1s", "group_interval": "1m"})),
        }],
        channels: ["ops".to_owned()].into(),
        escalations: ["night".to_owned()].into(),
        ..ObjectsSpec::default()
    };
    let policy = json!({"levels": [
        {"targets": [{"schedule": "primary"}]},
        {"after": "5m", "targets": [{"person": "bob@x"}, {"channel": "pager"}, {"channel": "gone"}]},
    ], "ack_timeout": "1h"});
    let schedule: ScheduleSpec = serde_json::from_value(json!({
        "layers": [{"people": ["ann@x"], "start": "1970-01-01", "rotation": "weekly"}]
    }))
    .expect("reads");
    let runbook = json!({"steps": [
        {"title": "look"},
        {"title": "restart", "action": {"command": "restart", "approval": "none", "automatic": true,
            "arguments": {"host": {"label": "host"}}, "limit": {"times": 2, "per": "1h"}}},
    ]});
    let read = |value: Value| serde_json::from_value(value).expect("reads");
    Setup {
        routing: Arc::new(objects.routing().expect("a routing")),
        escalations: [("night".to_owned(), Arc::new(serde_json::from_value(policy).expect("reads")))].into(),
        schedules: [("primary".to_owned(), Arc::new(Schedule::new(&schedule).expect("good")))].into(),
        runbooks: [("cpu".to_owned(), Arc::new(read(runbook)))].into(),
        ..setup()
    }
}

fn grave() -> Rule {
    rule(json!({"severity": "critical"}))
}

async fn only(world: &World) -> Incident {
    let mut all = world.engine.tables().incidents(&IncidentFilter::default(), 10).await.expect("a list");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn kinds(world: &World, id: &str) -> Vec<EntryKind> {
    let entries = world.engine.tables().timeline(id, &[], 0, 100).await.expect("a timeline");
    entries.into_iter().map(|entry| entry.kind).collect()
}

/// Ids of notifications that were looked at.
type Seen = std::collections::BTreeSet<String>;

/// What was told since the last call, by channel.
async fn fresh(world: &World, seen: &mut Seen) -> Vec<Notification> {
    world.engine.tick().await.expect("a tick");
    let mut all = world.engine.tables().notifications(1_000).await.expect("a list");
    all.retain(|one| seen.insert(one.id.clone()));
    all.sort_by(|a, b| a.channel.cmp(&b.channel));
    all
}

/// Who was told of incidents since the last call, with the state.
async fn called(world: &World, seen: &mut Seen) -> Vec<String> {
    let told = fresh(world, seen).await;
    let mine = told.iter().filter(|one| one.message.event == crate::notify::Event::Escalation);
    let mut lines: Vec<String> =
        mine.map(|one| format!("{} {}", one.channel, one.message.status.as_str())).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn people_are_called_level_by_level_until_somebody_answers_over_every_restart() {
    each_backend(|fixture| async move {
        let mut world = World::with(fixture, manned()).await;
        world.engine.set_rules(vec![grave()]).await.expect("rules");
        let mut seen = Seen::new();
        world.evaluate(&[("a", 99.0)]).await;
        world.pass(2);
        world.restart(vec![grave()]).await;
        // The group speaks after the restart: its channel is told, the incident opens, the first level is called.
        let told = fresh(&world, &mut seen).await;
        let lines: Vec<&str> = told.iter().map(|one| one.channel.as_str()).collect();
        assert_eq!(lines, ["mail:ann@x", "ops"]);
        let incident = only(&world).await;
        assert_eq!((incident.status, incident.severity), (IncidentStatus::Open, Severity::Critical));
        assert_eq!((incident.title.as_str(), incident.number), ("cpu: a is at 99", 1));
        assert_eq!(incident.origin, Origin::Route("grave".to_owned()));
        assert!(told[1].message.links.iter().any(|link| link.url.ends_with(&incident.id)), "{told:?}");
        assert!(told[0].message.title.contains("Incident 1 (critical)"), "{told:?}");

        world.restart(vec![grave()]).await;
        assert!(called(&world, &mut seen).await.is_empty(), "a restart calls nobody again");
        // A second alert of the group joins the same incident.
        world.evaluate(&[("a", 99.0), ("b", 99.0)]).await;
        world.pass(61);
        assert!(called(&world, &mut seen).await.is_empty());
        assert_eq!(only(&world).await.events, 2);
        // Down while the second level was due: it is called at the start.
        world.pass(3_600);
        world.restart(vec![grave()]).await;
        assert_eq!(called(&world, &mut seen).await, ["mail:bob@x firing", "pager firing"]);

        // Somebody acknowledges one of the alerts, as the message's link leads to.
        let events = world.engine.tables().events(&EventFilter::default(), 10).await.expect("a list");
        world.engine.acknowledge(&events[0].id, "bob@x", None).await.expect("acknowledged");
        let taken = only(&world).await;
        assert_eq!(
            (taken.status, taken.acknowledged_by.as_deref()),
            (IncidentStatus::Acknowledged, Some("bob@x"))
        );
        world.pass(600);
        assert!(called(&world, &mut seen).await.is_empty());
        // Held too long: it is open again, and the last round is done once more.
        world.pass(3_600);
        assert_eq!(called(&world, &mut seen).await, ["mail:ann@x firing"]);
        assert_eq!(only(&world).await.status, IncidentStatus::Open);

        world.pass(1);
        world.evaluate(&[("a", 1.0), ("b", 1.0)]).await;
        world.restart(vec![grave()]).await;
        let mut ended = called(&world, &mut seen).await;
        world.pass(1);
        ended.extend(called(&world, &mut seen).await);
        assert_eq!(ended, ["mail:ann@x resolved", "mail:bob@x resolved", "pager resolved"]);
        let over = only(&world).await;
        assert_eq!((over.status, over.resolved_by), (IncidentStatus::Resolved, None));
        let kinds = kinds(&world, &over.id).await;
        for kind in [
            EntryKind::Opened,
            EntryKind::Called,
            EntryKind::Acknowledged,
            EntryKind::Unacknowledged,
            EntryKind::EventOver,
        ] {
            assert!(kinds.contains(&kind), "{kind:?} in {kinds:?}");
        }
        assert_eq!(kinds.last(), Some(&EntryKind::Resolved));
    })
    .await;
}

#[tokio::test]
async fn whoever_ends_an_incident_ends_its_alerts_and_who_takes_it_takes_them() {
    each_backend(|fixture| async move {
        let world = World::with(fixture, manned()).await;
        world.engine.set_rules(vec![grave()]).await.expect("rules");
        let mut seen = Seen::new();
        world.evaluate(&[("a", 99.0), ("b", 99.0)]).await;
        world.pass(2);
        called(&world, &mut seen).await;
        let id = only(&world).await.id;
        let states = || async {
            let events = world.engine.tables().events(&EventFilter::default(), 10).await.expect("a list");
            events.into_iter().map(|event| event.state).collect::<Vec<_>>()
        };
        let take = Operation::Acknowledge { note: Some("on it".to_owned()) };
        world.engine.change_incident(&id, &take, "ann@x").await.expect("taken");
        assert_eq!(states().await, [EventState::Acknowledged, EventState::Acknowledged]);
        world.pass(600);
        assert!(called(&world, &mut seen).await.is_empty());
        let end = Operation::Resolve { note: None };
        let over = world.engine.change_incident(&id, &end, "ann@x").await.expect("ended");
        assert_eq!((over.status, over.resolved_by.as_deref()), (IncidentStatus::Resolved, Some("ann@x")));
        assert_eq!(states().await, [EventState::Resolved, EventState::Resolved]);
        assert_eq!(called(&world, &mut seen).await, ["mail:ann@x resolved"]);

        // Opened again: people are called again, from the first level.
        let again = Operation::Reopen { reason: "not over".to_owned() };
        world.engine.change_incident(&id, &again, "ann@x").await.expect("open again");
        assert_eq!(called(&world, &mut seen).await, ["mail:ann@x firing"]);
    })
    .await;
}

#[tokio::test]
async fn a_rules_runbook_comes_with_its_incident_and_asks_for_what_it_does_by_itself() {
    each_backend(|fixture| async move {
        let world = World::with(fixture, manned()).await;
        world.engine.set_rules(vec![grave()]).await.expect("rules");
        let mut seen = Seen::new();
        for round in 0..3 {
            world.evaluate(&[("a", 99.0)]).await;
            world.pass(61);
            called(&world, &mut seen).await;
            world.evaluate(&[("a", 1.0)]).await;
            world.pass(61);
            called(&world, &mut seen).await;
            let all = world.engine.tables().incidents(&IncidentFilter::default(), 10).await.expect("a list");
            assert_eq!((all.len(), all[0].status), (round + 1, IncidentStatus::Resolved), "round {round}");
            assert_eq!(all[0].runbooks[0].steps.len(), 2);
        }
        let runs = world.engine.tables().runs(&RunFilter::default(), 10).await.expect("a list");
        assert_eq!(runs.len(), 2, "the third one is beyond the limit");
        assert!(runs.iter().all(|run| run.status == RunStatus::Approved && run.arguments["host"] == "a"));
        let all = world.engine.tables().incidents(&IncidentFilter::default(), 1).await.expect("a list");
        let told =
            world.engine.tables().timeline(&all[0].id, &[EntryKind::Action], 0, 10).await.expect("entries");
        assert!(told[0].text.contains("restart: not asked for"), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn an_incident_opened_by_hand_calls_people_without_any_alert() {
    each_backend(|fixture| async move {
        let mut world = World::with(fixture, manned()).await;
        let mut seen = Seen::new();
        let new = NewIncident {
            title: "the shop is slow".to_owned(),
            severity: Severity::Error,
            key: None,
            origin: Origin::Person("ann@x".to_owned()),
            events: Vec::new(),
            labels: Labels::new(),
            escalation: Some("night".to_owned()),
            auto_resolve: false,
        };
        let opened = world.engine.open_incident(&new, &["cpu".to_owned()]).await.expect("opens");
        // Cut short before anybody was called.
        world.restart(Vec::new()).await;
        assert_eq!(called(&world, &mut seen).await, ["mail:ann@x firing"]);
        // The policy is removed while it runs: that is said, and nobody else is called.
        world.setup.escalations.clear();
        world.restart(Vec::new()).await;
        world.pass(600);
        assert!(called(&world, &mut seen).await.is_empty());
        let told =
            world.engine.tables().timeline(&opened.id, &[EntryKind::Called], 0, 10).await.expect("entries");
        assert!(told[1].text.contains("was removed"), "{told:?}");
        let labels =
            world.engine.tables().timeline(&opened.id, &[EntryKind::Action], 0, 10).await.expect("entries");
        assert!(labels[0].text.contains("no label \"host\""), "{labels:?}");
    })
    .await;
}

#[tokio::test]
async fn who_subscribed_to_a_page_is_told_what_the_public_is_told() {
    each_backend(|fixture| async move {
        let world = World::with(fixture, manned()).await;
        let mut seen = Seen::new();
        let ann = Subscriber { page: "main", kind: SubscriptionKind::Email, address: "Ann@x.example" };
        let confirm = |token: &str| format!("https://bw.example/c/{token}");
        for _ in 0..2 {
            world.engine.subscribe(&ann, "Ours", &confirm).await.expect("asked");
        }
        let asked = fresh(&world, &mut seen).await;
        assert_eq!(lines(&asked), ["mail:ann@x.example firing 0"], "asked once, in small letters");
        let url = &asked[0].message.links[0].url;
        let token = url.strip_prefix("https://bw.example/c/").expect("the link");
        let tables = world.engine.tables();
        let now = world.fixture.clock.now_ms();
        tables.confirm_subscription(token, now).await.expect("answers").expect("confirmed");

        let new = NewIncident {
            title: "inner words".to_owned(),
            severity: Severity::Error,
            key: None,
            origin: Origin::Person("ann@x".to_owned()),
            events: Vec::new(),
            labels: Labels::new(),
            escalation: None,
            auto_resolve: false,
        };
        let id = world.engine.open_incident(&new, &[]).await.expect("opens").id;
        let leave = |id: &str| format!("https://bw.example/leave/{id}");
        let tell =
            |text: &'static str| world.engine.tell_public(&id, (Phase::Identified, text), "ann@x", &leave);
        assert!(tell("early").await.is_err(), "it is on no page");
        let page = Publication {
            page: "main".to_owned(),
            title: "Slow".to_owned(),
            components: Vec::new(),
            impact: Impact::Degraded,
        };
        world.engine.change_incident(&id, &Operation::Publish(Some(page)), "ann@x").await.expect("on it");
        tell("it is the disk").await.expect("told");
        let told = fresh(&world, &mut seen).await;
        assert_eq!(lines(&told), ["mail:ann@x.example firing 0"]);
        let message = &told[0].message;
        assert_eq!((message.title.as_str(), message.text.as_str()), ("Slow: identified", "it is the disk"));
        assert!(message.links[0].url.starts_with("https://bw.example/leave/sub_"), "{message:?}");
        assert!(!serde_json::to_string(message).expect("text").contains("inner words"));
        assert!(world.engine.desk().channel("mail:ann@x.example").await.is_some());
        assert!(world.engine.desk().channel("mail:not an address").await.is_none());
    })
    .await;
}
