//! Pages, days and subscriptions.

use std::sync::Arc;

use db::testing::{Fixture, each_backend};
use model::TenantId;
use serde_json::{Map, Value, json};

use super::*;
use crate::Labels;
use crate::incident::{EntryKind, Incident, Phase, TimelineEntry};
use crate::tables::Tables;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_893_456_000_000 + DAY / 2;

fn page(more: Value) -> StatusPageSpec {
    let mut spec = json!({"title": "Ours", "public": true, "components": [
        {"name": "api", "checks": ["api-1", "api-2"]},
        {"name": "web", "matchers": ["service=\"web\"", "env=\"prod\""]},
        {"name": "none"},
    ]});
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).expect("reads")
}

fn incident(status: &str, page: &str, component: &str, impact: &str) -> Incident {
    let incident = json!({
        "id": "inc_1", "number": 7, "title": "inner words", "severity": "critical", "status": status,
        "origin": {"kind": "person", "name": "ann@x"}, "labels": {"secret": "x"}, "autoResolve": false,
        "roles": {}, "runbooks": [], "createdAt": 1, "reopened": 0, "entries": 2, "events": 1,
        "eventsLeftOut": 0, "updatedAt": 0, "phase": "identified",
        "publication": {"page": page, "title": "Slow", "components": [component], "impact": impact},
    });
    serde_json::from_value(incident).expect("reads")
}

#[test]
fn components_are_as_their_checks_and_incidents_say() {
    use CheckState::{Degraded, Down, Unknown, Up};
    let spec = page(json!({}));
    let web = |env: &str| Labels::from([("service".into(), "web".into()), ("env".into(), env.into())]);
    let (prod, test, none) = (web("prod"), web("test"), Labels::new());
    // (api-1, api-2, web in prod, web in test, api, web)
    let rows = [
        (Up, Up, Up, Down, ComponentState::Operational, ComponentState::Operational),
        (Up, Down, Degraded, Up, ComponentState::Degraded, ComponentState::Degraded),
        (Down, Down, Down, Up, ComponentState::Outage, ComponentState::Outage),
        (Down, Unknown, Unknown, Up, ComponentState::Outage, ComponentState::Operational),
    ];
    for (one, two, three, four, api, website) in rows {
        let seen = |name, labels, state| CheckSeen { name, labels, state };
        let checks = [
            seen("api-1", &none, one),
            seen("api-2", &none, two),
            seen("a", &prod, three),
            seen("b", &test, four),
        ];
        let shown = Page::new("main", &spec).components(&checks, &[], NOW);
        let states: Vec<ComponentState> = shown.iter().map(|component| component.state).collect();
        assert_eq!(states, [api, website, ComponentState::Operational], "{checks:?}");
        assert_eq!(Page::overall(&shown), api.max(website));
        assert_eq!(Page::new("main", &spec).checks_of(1, &checks).into_iter().collect::<Vec<_>>(), ["a"]);
    }
    for (incident, want) in [
        (incident("open", "main", "api", "outage"), ComponentState::Outage),
        (incident("acknowledged", "main", "api", "degraded"), ComponentState::Degraded),
        (incident("resolved", "main", "api", "outage"), ComponentState::Operational),
        (incident("open", "other", "api", "outage"), ComponentState::Operational),
        (incident("open", "main", "web", "outage"), ComponentState::Operational),
        (incident("open", "main", "api", "none"), ComponentState::Operational),
    ] {
        assert_eq!(Page::new("main", &spec).components(&[], &[incident], NOW)[0].state, want);
    }
    let by_hand = page(json!({"components": [{"name": "api", "checks": ["api-1"], "state": "degraded"}]}));
    let none = Labels::new();
    let checks = [CheckSeen { name: "api-1", labels: &none, state: Down }];
    for (incidents, want) in [
        (Vec::new(), ComponentState::Degraded),
        (vec![incident("open", "main", "api", "outage")], ComponentState::Outage),
    ] {
        assert_eq!(Page::new("main", &by_hand).components(&checks, &incidents, NOW)[0].state, want);
    }
    let work = json!({"maintenances": [{"title": "move", "components": ["api"],
        "from": "2030-01-01T11:00:00Z", "until": "2030-01-01T13:00:00Z"}]});
    let spec = page(work);
    let bad = [incident("open", "main", "api", "outage")];
    let shown = Page::new("main", &spec).components(&[], &bad, NOW);
    assert_eq!(
        (shown[0].state, Page::overall(&shown)),
        (ComponentState::Maintenance, ComponentState::Maintenance)
    );
    assert_eq!(Page::new("main", &spec).components(&[], &bad, NOW + DAY)[0].state, ComponentState::Outage);
}

#[test]
fn days_show_what_share_of_what_is_known_was_well() {
    let midnight = NOW - DAY / 2;
    let down = |from: i64, until: i64, state| Downtime { from, until, state };
    let hour = DAY / 24;
    let spans = [
        // Yesterday: 6 h of outage, 2 h of which twice, 1 h of which was planned; an hour of degraded beside it.
        down(midnight - DAY, midnight - DAY + 4 * hour, ComponentState::Outage),
        down(midnight - DAY + 2 * hour, midnight - DAY + 6 * hour, ComponentState::Outage),
        down(midnight - DAY + 5 * hour, midnight - DAY + 6 * hour, ComponentState::Maintenance),
        down(midnight - DAY + 3 * hour, midnight - DAY + 7 * hour, ComponentState::Degraded),
        // Since 9 hours, still.
        down(NOW - 9 * hour, i64::MAX, ComponentState::Outage),
    ];
    let since = midnight - 2 * DAY + 12 * hour;
    let days = days(&spans, since, NOW);
    assert_eq!((days.len(), days[DAYS - 1].from), (DAYS, midnight));
    assert_eq!(days[..DAYS - 3].iter().filter(|day| day.uptime.is_some()).count(), 0);
    assert_eq!(days[DAYS - 3].uptime, Some(1.0));
    let yesterday = days[DAYS - 2];
    assert_eq!(
        (yesterday.outage_ms, yesterday.degraded_ms, yesterday.maintenance_ms),
        (5 * hour, hour, hour)
    );
    assert_eq!(yesterday.uptime, Some(1.0 - 5.0 / 23.0));
    assert_eq!(days[DAYS - 1].uptime, Some(1.0 - 9.0 / 12.0));
}

#[test]
fn the_public_sees_what_was_written_for_it_and_nothing_else() {
    let entry = |n, kind, text: &str, phase: Option<Phase>| TimelineEntry {
        n,
        at: n,
        kind,
        who: Some("ann@x".to_owned()),
        text: text.to_owned(),
        data: phase
            .map(|phase| ("phase".to_owned(), phase.as_str().into()))
            .into_iter()
            .collect::<Map<_, _>>(),
    };
    let timeline = [
        entry(1, EntryKind::Opened, "inner words", None),
        entry(2, EntryKind::Update, "we look", Some(Phase::Investigating)),
        entry(3, EntryKind::Note, "inner words", None),
        entry(4, EntryKind::Update, "the disk", Some(Phase::Identified)),
    ];
    let incident = incident("open", "main", "api", "outage");
    let shown = public_incident(&incident, &timeline, "main").expect("on it");
    assert_eq!((shown.title.as_str(), shown.phase), ("Slow", Phase::Identified));
    let told: Vec<&str> = shown.updates.iter().map(|update| update.text.as_str()).collect();
    assert_eq!(told, ["the disk", "we look"]);
    let text = serde_json::to_string(&shown).expect("text");
    assert!(!text.contains("inner words") && !text.contains("ann@x") && !text.contains("secret"), "{text}");
    assert_eq!(public_incident(&incident, &timeline, "other"), None);
}

#[test]
fn a_page_that_cannot_be_is_refused_with_its_place() {
    let component = |value: Value| json!({"components": [value]});
    let work = |from: &str, until: &str, name: &str| json!({"maintenances": [{"title": "w", "from": from, "until": until, "components": [name]}]});
    for (more, field) in [
        (json!({"title": ""}), "title"),
        (component(json!({"name": "a", "matchers": ["=~("]})), "components[0].matchers[0]"),
        (json!({"components": [{"name": "a"}, {"name": "a"}]}), "components[1].name"),
        (work("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "api"), "maintenances[0].until"),
        (work("soon", "2030-01-01T00:00:00Z", "api"), "maintenances[0].from"),
        (work("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", "x"), "maintenances[0].components[0]"),
    ] {
        assert_eq!(page(more.clone()).check().expect_err("refused").field, field, "{more}");
    }
    page(json!({})).check().expect("good");
}

#[tokio::test]
async fn who_confirms_is_told_until_they_leave() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tenant = TenantId::default_tenant();
        let scope =
            fixture.db.create_tenant(&tenant, &[&crate::schema::TENANT]).await.expect("a tenant's part");
        let tables = Tables::new(scope);
        let ann = Subscriber { page: "main", kind: SubscriptionKind::Email, address: "Ann@x" };
        let asked = tables.subscribe(&ann, 0).await.expect("asked");
        let Asked::Confirm { token: first } = asked else { panic!("{asked:?}") };
        // Asked again at once: no second letter. An hour later: another one, and only its token counts.
        assert_eq!(tables.subscribe(&ann, 10).await.expect("asked"), Asked::Known);
        let again = tables.subscribe(&ann, 3_600_000).await.expect("asked");
        let Asked::Confirm { token } = again else { panic!("{again:?}") };
        assert!(tables.subscriptions("main", "", 10).await.expect("a list").is_empty());
        assert_eq!(tables.confirm_subscription(&first, 3_600_001).await.expect("answers"), None);
        let mine = tables.confirm_subscription(&token, 3_600_001).await.expect("answers").expect("confirmed");
        assert_eq!((mine.address.as_str(), mine.page.as_str()), ("ann@x", "main"));
        assert_eq!(tables.confirm_subscription(&token, 3_600_002).await.expect("answers"), None);
        assert_eq!(tables.subscribe(&ann, DAY).await.expect("asked"), Asked::Known);
        assert_eq!(tables.subscriptions("main", "", 10).await.expect("a list"), std::slice::from_ref(&mine));

        let hook = Subscriber { kind: SubscriptionKind::Webhook, address: "https://x/hook", ..ann.clone() };
        let Asked::Confirm { token: late } = tables.subscribe(&hook, 0).await.expect("asked") else {
            panic!("is new")
        };
        assert_eq!(tables.confirm_subscription(&late, DAY + 1).await.expect("answers"), None, "too late");
        for address in ["ftp://x", "nothing", "javascript:alert(1)"] {
            assert!(tables.subscribe(&Subscriber { address, ..hook.clone() }, 0).await.is_err(), "{address}");
        }
        assert!(tables.unsubscribe(&mine.id).await.expect("answers"));
        assert!(!tables.unsubscribe(&mine.id).await.expect("answers"));
        assert!(tables.subscriptions("main", "", 10).await.expect("a list").is_empty());
    })
    .await;
}
