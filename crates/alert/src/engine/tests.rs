//! The whole way from a rule to the queue, on each kind of database, with restarts in between.

mod groups;

use std::sync::Arc;
use std::time::Duration;

use db::jobs::Jobs;
use db::testing::{Fixture, each_backend};
use kit::Clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

mod incidents; // what people mend together

use crate::notify::{ChannelSpec, Status};
use crate::routing::{Alert as Routed, Matchers, NamedRoute, ObjectsSpec, RouteSpec, SilenceDraft};
use crate::rule::RuleSpec;
use crate::severity::Severity;
use crate::tables::{EventFilter, Notification, NotificationStatus};

/// Answers every question with what a test wrote down.
struct Script(Mutex<Result<Vec<(&'static str, f64)>, String>>);

impl Script {
    fn say(&self, rows: &[(&'static str, f64)]) {
        *self.0.lock() = Ok(rows.to_vec());
    }
}

#[async_trait]
impl Ask for Script {
    async fn ask(&self, _: &TenantId, _: &Asked, _: i64) -> Result<Vec<Answer>, AskError> {
        let rows = self.0.lock().clone().map_err(AskError)?;
        let answer = |(host, value): (&str, f64)| Answer {
            labels: Labels::from([("host".to_owned(), host.to_owned())]),
            value,
            history: Vec::new(),
        };
        Ok(rows.into_iter().map(answer).collect())
    }

    async fn ask_range(
        &self,
        _: &TenantId,
        _: &Asked,
        _: Grid,
    ) -> Result<Vec<(Labels, Vec<Point>)>, AskError> {
        Err(AskError("no past".to_owned()))
    }
}

struct World {
    fixture: Arc<Fixture>,
    setup: Setup,
    script: Script,
    engine: Engine,
    jobs: Jobs,
}

const CPU: &str = "rule/cpu";

fn rule(change: Value) -> Rule {
    let mut spec = json!({
        "type": "threshold", "severity": "warning", "cooldown": 0,
        "condition": {"metric": "cpu", "operator": ">", "threshold": 80},
        "annotations": {"summary": "{{ $labels.host }} is at {{ $value }}"},
        "runbook": "cpu",
    });
    for (name, value) in change.as_object().expect("an object") {
        spec[name] = value.clone();
    }
    let spec: RuleSpec = serde_json::from_value(spec).expect("a rule");
    Rule::of("cpu", &spec, "https://bw.example").expect("compiles")
}

/// Everything goes to one channel; critical alerts also to a pager.
fn setup() -> Setup {
    let route = |value: Value| -> RouteSpec { serde_json::from_value(value).expect("a route") };
    let pager = route(json!({"severity": ["critical"], "channels": ["pager"], "group_by": ["alertname"],
        "group_wait": "1s", "group_interval": "1m", "continue": true}));
    let all = route(
        json!({"channels": ["ops"], "group_by": ["alertname"], "group_wait": "5s", "group_interval": "1m"}),
    );
    let objects = ObjectsSpec {
        routes: vec![
            NamedRoute { name: "pager".to_owned(), spec: pager },
            NamedRoute { name: "all".to_owned(), spec: all },
        ],
        channels: ["ops", "pager"].map(str::to_owned).into(),
        ..ObjectsSpec::default()
    };
    let channel = |name: &str| {
        let config = json!({"url": format!("https://hooks.example/{name}")});
        let spec =
            ChannelSpec::inline("webhook", config.as_object().expect("an object").clone()).expect("good");
        (name.to_owned(), vec![(name.to_owned(), Arc::new(spec))])
    };
    Setup {
        routing: Arc::new(objects.routing().expect("a routing")),
        receivers: [channel("ops"), channel("pager")].into(),
        external_url: "https://bw.example".to_owned(),
        escalations: BTreeMap::new(),
        schedules: BTreeMap::new(),
        runbooks: BTreeMap::new(),
    }
}

impl World {
    async fn new(fixture: Arc<Fixture>) -> Self {
        Self::with(fixture, setup()).await
    }

    async fn with(fixture: Arc<Fixture>, setup: Setup) -> Self {
        let clock = fixture.shared_clock();
        fixture.db.control().migrate(&db::jobs::TABLES, &*clock).await.expect("tables of the queue");
        let tenant = TenantId::default_tenant();
        fixture.db.create_tenant(&tenant, &[&crate::schema::TENANT]).await.expect("a tenant's part");
        let jobs = Jobs::new(fixture.db.clone(), clock);
        let engine = Self::open(&fixture, &jobs, setup.clone()).await;
        Self { fixture, setup, script: Script(Mutex::new(Ok(Vec::new()))), engine, jobs }
    }

    async fn open(fixture: &Fixture, jobs: &Jobs, setup: Setup) -> Engine {
        let tenant = TenantId::default_tenant();
        let tables = Tables::new(fixture.db.tenant(&tenant).await.expect("a tenant's part"));
        Engine::open(tenant, tables, jobs.clone(), fixture.shared_clock(), setup).await.expect("opens")
    }

    /// As after a kill: only what was written is left.
    async fn restart(&mut self, rules: Vec<Rule>) {
        self.engine = Self::open(&self.fixture, &self.jobs, self.setup.clone()).await;
        self.engine.set_rules(rules).await.expect("rules");
    }

    fn pass(&self, seconds: u64) {
        self.fixture.clock.advance(Duration::from_secs(seconds));
    }

    async fn evaluate(&self, rows: &[(&'static str, f64)]) -> Vec<Event> {
        self.script.say(rows);
        let now = self.fixture.clock.now_ms();
        self.engine.evaluate(&self.script, CPU, now).await.expect("evaluated")
    }

    /// What was told since the last call, as `channel status title`.
    async fn told(&self, seen: &mut usize) -> Vec<Notification> {
        self.engine.tick().await.expect("a tick");
        let mut all = self.engine.tables().notifications(1_000).await.expect("a list");
        all.sort_by_key(|one| one.created_at);
        let new = all.split_off(*seen);
        *seen += new.len();
        new
    }

    async fn waiting_jobs(&self) -> u64 {
        let depths = self.jobs.depths().await.expect("depths");
        depths.iter().map(|depth| depth.waiting).sum()
    }
}

fn lines(told: &[Notification]) -> Vec<String> {
    told.iter()
        .map(|one| format!("{} {} {}", one.channel, one.message.status.as_str(), one.message.alerts.len()))
        .collect()
}

#[tokio::test]
async fn a_breach_is_told_once_and_its_end_too() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        let mut seen = 0;
        assert!(world.evaluate(&[("a", 79.0)]).await.is_empty());
        let fired = world.evaluate(&[("a", 81.0)]).await;
        assert_eq!((fired.len(), fired[0].severity), (1, Severity::Warning));
        assert_eq!(fired[0].annotations["summary"], "a is at 81");
        assert!(world.told(&mut seen).await.is_empty(), "the group waits for more");
        world.pass(6);
        let told = world.told(&mut seen).await;
        assert_eq!(lines(&told), ["ops firing 1"]);
        assert_eq!(told[0].status, NotificationStatus::Queued);
        assert_eq!(told[0].message.title, "cpu (warning): a is at 81");
        assert_eq!(told[0].message.links[0].url, format!("https://bw.example/alerts/{}", fired[0].id));
        assert_eq!(told[0].message.runbook.as_deref(), Some("cpu"));
        assert_eq!(world.waiting_jobs().await, 1);
        world.pass(30);
        world.evaluate(&[("a", 85.0)]).await;
        assert!(world.told(&mut seen).await.is_empty(), "nothing new");
        world.pass(31);
        let over = world.evaluate(&[("a", 10.0)]).await;
        assert_eq!(over[0].ends_at, Some(world.fixture.clock.now_ms()));
        world.pass(60);
        let told = world.told(&mut seen).await;
        assert_eq!(lines(&told), ["ops resolved 1"]);
        assert_eq!(told[0].message.status, Status::Resolved);
        let of_event = world.engine.tables().notifications_of(&fired[0].id).await.expect("a list");
        assert_eq!(of_event.len(), 2, "both belong to the event");
    })
    .await;
}

#[tokio::test]
async fn ten_hosts_are_one_message() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        let hosts = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let rows: Vec<(&'static str, f64)> = hosts.into_iter().map(|host| (host, 99.0)).collect();
        assert_eq!(world.evaluate(&rows).await.len(), 10);
        world.pass(6);
        assert_eq!(lines(&world.told(&mut 0).await), ["ops firing 10"]);
    })
    .await;
}

#[tokio::test]
async fn a_step_up_is_told_at_once_and_reaches_the_pager() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        let steps = json!({"condition": {"metric": "cpu", "thresholds": [
            {"severity": "warning", "value": 70}, {"severity": "critical", "value": 95}]}});
        world.engine.set_rules(vec![rule(steps)]).await.expect("rules");
        let mut seen = 0;
        world.evaluate(&[("a", 75.0)]).await;
        world.pass(6);
        assert_eq!(lines(&world.told(&mut seen).await), ["ops firing 1"]);
        world.pass(10);
        let worse = world.evaluate(&[("a", 96.0)]).await;
        assert_eq!(
            (worse[0].severity, worse[0].labels["severity"].as_str()),
            (Severity::Critical, "critical")
        );
        let mut told = lines(&world.told(&mut seen).await);
        told.sort();
        assert_eq!(told, ["ops firing 1", "pager firing 1"]);
    })
    .await;
}

#[tokio::test]
async fn a_restart_neither_repeats_nor_loses() {
    each_backend(|fixture| async move {
        let mut world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        let mut seen = 0;
        let fired = world.evaluate(&[("a", 81.0)]).await;
        // Before the group spoke.
        world.restart(vec![rule(json!({}))]).await;
        world.pass(6);
        assert_eq!(lines(&world.told(&mut seen).await), ["ops firing 1"]);
        // After it spoke.
        world.restart(vec![rule(json!({}))]).await;
        world.pass(90);
        assert!(world.evaluate(&[("a", 81.0)]).await.is_empty(), "it fires already");
        assert!(world.told(&mut seen).await.is_empty());
        // Over, and killed before that was told.
        world.evaluate(&[("a", 1.0)]).await;
        world.restart(vec![rule(json!({}))]).await;
        world.pass(60);
        let told = world.told(&mut seen).await;
        assert_eq!(lines(&told), ["ops resolved 1"]);
        assert!(told[0].message.links[0].url.ends_with(&fired[0].id), "it still knows its event");
        world.pass(60);
        assert!(world.told(&mut seen).await.is_empty());
        assert_eq!(world.waiting_jobs().await, 2, "one job for each notification");
    })
    .await;
}

#[tokio::test]
async fn an_event_whose_dispatch_was_never_written_is_dispatched_at_the_start() {
    each_backend(|fixture| async move {
        let mut world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        world.evaluate(&[("a", 81.0)]).await;
        // As if the kill had come between the two transactions.
        let tables = world.engine.tables().clone();
        let groups: Vec<_> =
            tables.groups().await.expect("groups").into_iter().map(|g| (g.key, None)).collect();
        tables.keep_groups(&groups, 0).await.expect("removed");
        world.restart(vec![rule(json!({}))]).await;
        world.pass(6);
        assert_eq!(lines(&world.told(&mut 0).await), ["ops firing 1"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_silenced_is_an_event_and_no_message() {
    each_backend(|fixture| async move {
        let mut world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        let now = world.fixture.clock.now_ms();
        let draft = |ends_at: i64| SilenceDraft {
            matchers: Matchers::new(crate::routing::Matcher::parse_list(r#"{host="a"}"#).expect("a matcher")),
            starts_at: now,
            ends_at,
            created_by: "ann".to_owned(),
            comment: "maintenance".to_owned(),
        };
        let silence = world.engine.silence(None, draft(now + 3_600_000)).await.expect("silent");
        assert_eq!(world.evaluate(&[("a", 99.0), ("b", 99.0)]).await.len(), 2);
        world.restart(vec![rule(json!({}))]).await;
        world.pass(6);
        let mut seen = 0;
        assert_eq!(lines(&world.told(&mut seen).await), ["ops firing 1"], "b alone");
        let (total, shown) = world.engine.preview_silence(&silence.matchers, 10).await;
        assert_eq!((total, shown[0]["host"].as_str()), (1, "a"));
        world.engine.end_silence(&silence.id).await.expect("over");
        world.pass(60);
        assert_eq!(lines(&world.told(&mut seen).await), ["ops firing 2"]);
        let reached = world
            .engine
            .desk()
            .reach(&Labels::from([("host".into(), "a".into())]), world.fixture.clock.now_ms())
            .await;
        assert_eq!((reached.channels, reached.suppression), (vec!["ops".to_owned()], None));
    })
    .await;
}

#[tokio::test]
async fn an_acknowledgement_stops_the_escalation_and_survives_a_restart() {
    each_backend(|fixture| async move {
        let mut world = World::new(fixture).await;
        let rules = || vec![rule(json!({"escalate": {"after": "10m"}}))];
        world.engine.set_rules(rules()).await.expect("rules");
        let fired = world.evaluate(&[("a", 99.0)]).await;
        let event = world.engine.acknowledge(&fired[0].id, "ann", None).await.expect("acknowledged");
        assert_eq!(event.state, EventState::Acknowledged);
        world.restart(rules()).await;
        world.pass(700);
        assert!(world.evaluate(&[("a", 99.0)]).await.is_empty(), "somebody takes care of it");
        world.engine.unacknowledge(&fired[0].id, "ann").await.expect("back");
        let worse = world.evaluate(&[("a", 99.0)]).await;
        assert_eq!(worse[0].severity, Severity::Error);
        let over = world.engine.resolve(&fired[0].id, "ann").await.expect("over");
        assert_eq!((over.state, over.resolved_by.as_deref()), (EventState::Resolved, Some("ann")));
        assert!(world.engine.resolve(&fired[0].id, "ann").await.is_err(), "over already");
    })
    .await;
}

#[tokio::test]
async fn what_fires_of_a_rule_that_is_gone_is_over() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        let fired = world.evaluate(&[("a", 99.0)]).await;
        world.engine.set_rules(vec![rule(json!({"severity": "error"}))]).await.expect("rules");
        assert_eq!(world.engine.rule(CPU).expect("there").alerts.len(), 1, "a changed rule keeps its alerts");
        let ends = world.engine.set_rules(Vec::new()).await.expect("none");
        assert!(ends.is_empty(), "nothing was written of it");
        let over = world.engine.tables().event(&fired[0].id).await.expect("there");
        assert_eq!(over.state, EventState::Resolved);
        assert!(world.engine.evaluate(&world.script, CPU, 0).await.is_err(), "no such rule");
    })
    .await;
}

#[tokio::test]
async fn a_question_without_an_answer_changes_nothing_and_is_shown() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        world.engine.set_rules(vec![rule(json!({}))]).await.expect("rules");
        world.evaluate(&[("a", 99.0)]).await;
        *world.script.0.lock() = Err("the store is away".to_owned());
        let now = world.fixture.clock.now_ms();
        world.engine.evaluate(&world.script, CPU, now).await.expect_err("no answer");
        let view = world.engine.rule(CPU).expect("there");
        assert_eq!(view.health.error.as_deref(), Some("condition.metric: the store is away"));
        assert_eq!(view.alerts.len(), 1, "what fires goes on");
    })
    .await;
}

#[tokio::test]
async fn alerts_of_others_last_until_they_are_not_heard_of() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        let now = world.fixture.clock.now_ms();
        let labels = Labels::from([("alertname".into(), "Down".into()), ("severity".into(), "warn".into())]);
        let report = |at: i64| Routed {
            ends_at: Some(at + 300_000),
            updated_at: at,
            ..Routed::firing(labels.clone(), now)
        };
        let fired = world.engine.receive(vec![report(now)], "api").await.expect("taken");
        assert_eq!((fired.len(), fired[0].severity), (1, Severity::Warning));
        world.pass(120);
        let again = world.engine.receive(vec![report(now + 120_000)], "api").await.expect("taken");
        assert!(again.is_empty(), "the same alert");
        let mut seen = 0;
        assert_eq!(lines(&world.told(&mut seen).await), ["ops firing 1"]);
        world.pass(300);
        let (_, ended) = world.engine.tick().await.expect("a tick");
        assert_eq!(ended[0].id, fired[0].id);
        world.pass(60);
        assert_eq!(lines(&world.told(&mut seen).await), ["ops resolved 1"]);
        let open = EventFilter { states: vec![EventState::Firing], ..EventFilter::default() };
        assert!(world.engine.tables().events(&open, 10).await.expect("a list").is_empty());
    })
    .await;
}
