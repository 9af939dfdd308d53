//! Groups of Prometheus' rules over series in memory, with the tables behind.

use std::collections::BTreeMap;

use model::MetricBatch;
use promql::SampleValue;

use super::*;
use crate::prom::{self, Names, Sample, Server};

/// Hosts with their values, or why there are none.
type Said = Result<Vec<(&'static str, f64)>, &'static str>;

/// Samples by expression, as a test wrote them down, and what was written.
#[derive(Default)]
struct Given {
    answers: Mutex<BTreeMap<&'static str, Said>>,
    written: Mutex<Vec<String>>,
}

impl Given {
    fn say(&self, expression: &'static str, rows: &[(&'static str, f64)]) {
        self.answers.lock().insert(expression, Ok(rows.to_vec()));
    }

    fn fail(&self, expression: &'static str, why: &'static str) {
        self.answers.lock().insert(expression, Err(why));
    }

    /// What was written since the last call: `name{labels} value`, `stale` for an end.
    fn written(&self) -> Vec<String> {
        let mut written = std::mem::take(&mut *self.written.lock());
        written.sort();
        written
    }
}

#[async_trait]
impl Metrics for Given {
    async fn vector(&self, _: &TenantId, expression: &str, _: i64) -> Result<Vec<Sample>, AskError> {
        let answer = self.answers.lock().get(expression).cloned().unwrap_or(Ok(Vec::new()));
        let sample = |(host, value): (&str, f64)| {
            let labels = [("__name__", "m"), ("host", host)].map(|(n, v)| (n.to_owned(), v.to_owned()));
            Sample { labels: labels.into(), value: SampleValue::Float(value) }
        };
        Ok(answer.map_err(|why| AskError(why.to_owned()))?.into_iter().map(sample).collect())
    }

    async fn write(&self, _: &TenantId, batch: MetricBatch, _: bool) -> Result<usize, AskError> {
        for row in &batch.series {
            let text = |span: model::Span| String::from_utf8_lossy(span.of(&batch.text)).into_owned();
            let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
            let pairs: BTreeMap<String, String> =
                labels.iter().map(|l| (text(l.name), text(l.value))).collect();
            let name = pairs["__name__"].clone();
            let rest: Vec<String> =
                pairs.iter().filter(|(n, _)| *n != "__name__").map(|(n, v)| format!("{n}={v}")).collect();
            for point in &batch.points[row.points.start as usize..row.points.end as usize] {
                let value =
                    if model::is_stale(point.value) { "stale".to_owned() } else { point.value.to_string() };
                self.written.lock().push(format!("{name}{{{}}} {value}", rest.join(",")));
            }
        }
        Ok(0)
    }
}

fn groups(text: &str) -> Vec<Group> {
    let read = prom::parse("f.yml", text, Names::Utf8, &prom::expression).expect("a file");
    let server = Server { external_labels: Labels::new(), external_url: "https://bw.example".to_owned() };
    let of = |group| Group::of(group, "f.yml", Duration::from_secs(30), &server).expect("a group");
    read.rules.groups.iter().map(of).collect()
}

const FILE: &str = r#"
groups:
- name: g
  limit: 2
  labels: {team: web}
  rules:
  - record: r
    expr: up
    labels: {a: b}
  - alert: High
    expr: cpu
    for: 1m
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.host }} at {{ $value }} of {{ with query "most" }}{{ . | first | value }}{{ end }}'}
"#;

async fn step(world: &World, given: &Given) -> Vec<String> {
    let now = world.fixture.clock.now_ms();
    let changed =
        world.engine.evaluate_group(given, "f.yml;g", now).await.expect("evaluated").expect("there");
    changed.iter().map(|event| format!("{} {}", event.name, event.state.as_str())).collect()
}

fn error(world: &World, rule: usize) -> Option<String> {
    match &world.engine.groups()[0].rules[rule] {
        GroupRuleView::Recording(_, health) => health.error.clone(),
        GroupRuleView::Alerting(view) => view.health.error.clone(),
    }
}

#[tokio::test]
async fn a_group_records_fires_and_ends_series_and_goes_on_after_a_kill() {
    each_backend(|fixture| async move {
        let mut world = World::new(fixture).await;
        let given = Given::default();
        world.engine.set_groups(groups(FILE), &given).await.expect("groups");
        given.say("most", &[("x", 100.0)]);
        given.say("up", &[("a", 1.0), ("b", 2.0)]);
        given.say("cpu", &[("a", 90.0)]);
        assert!(step(&world, &given).await.is_empty(), "it pends");
        let active = world.fixture.clock.now_ms() / 1_000;
        let labels = "alertname=High,host=a,severity=critical,team=web";
        let pending = "alertname=High,alertstate=pending,host=a,severity=critical,team=web";
        assert_eq!(
            given.written(),
            [
                format!("ALERTS_FOR_STATE{{{labels}}} {active}"),
                format!("ALERTS{{{pending}}} 1"),
                "r{a=b,host=a,team=web} 1".to_owned(),
                "r{a=b,host=b,team=web} 2".to_owned(),
            ]
        );
        world.pass(60);
        given.say("up", &[("a", 1.0)]);
        assert_eq!(step(&world, &given).await, ["High firing"]);
        let written = given.written();
        assert!(written.contains(&format!("ALERTS{{{pending}}} stale")), "{written:?}");
        assert!(written.contains(&"r{a=b,host=b,team=web} stale".to_owned()), "{written:?}");
        let [event] = world
            .engine
            .tables()
            .events(&EventFilter::default(), 9)
            .await
            .expect("events")
            .try_into()
            .expect("one");
        assert_eq!((event.source.as_str(), event.severity), ("prometheus", Severity::Critical));
        assert_eq!(event.annotations["summary"], "a at 90 of 100");

        world.restart(Vec::new()).await;
        world.engine.set_groups(groups(FILE), &given).await.expect("groups");
        assert!(step(&world, &given).await.is_empty(), "it fires on");
        given.fail("cpu", "no answer");
        assert!(step(&world, &given).await.is_empty(), "a failure changes nothing");
        assert_eq!(error(&world, 1).as_deref(), Some("no answer"));
        given.say("cpu", &[]);
        assert_eq!(step(&world, &given).await, ["High resolved"]);
        assert_eq!(error(&world, 1), None);
    })
    .await;
}

#[tokio::test]
async fn limits_and_equal_series_are_errors_and_removed_rules_are_over() {
    each_backend(|fixture| async move {
        let world = World::new(fixture).await;
        let given = Given::default();
        let soon = FILE.replace("    for: 1m\n", "");
        world.engine.set_groups(groups(&soon), &given).await.expect("groups");
        let many = [("a", 1.0), ("b", 1.0), ("c", 1.0)];
        given.say("up", &many);
        given.say("cpu", &many[..2]);
        assert_eq!(step(&world, &given).await.len(), 2);
        assert_eq!(error(&world, 0).as_deref(), Some("exceeded limit of 2 with 3 series"));
        given.say("cpu", &many);
        assert_eq!(step(&world, &given).await, ["High resolved", "High resolved"]);
        assert_eq!(error(&world, 1).as_deref(), Some("exceeded limit of 2 with 3 alerts"));
        given.say("cpu", &[("a", 1.0), ("a", 2.0)]);
        step(&world, &given).await;
        assert!(error(&world, 1).expect("an error").contains("same labelset after applying alert labels"));
        given.say("cpu", &[("a", 1.0)]);
        assert_eq!(step(&world, &given).await, ["High firing"]);
        given.written();
        world.engine.set_groups(Vec::new(), &given).await.expect("no groups");
        assert!(given.written().iter().any(|line| line.starts_with("ALERTS{") && line.ends_with("stale")));
        let open = EventFilter { states: vec![EventState::Firing], ..EventFilter::default() };
        assert!(world.engine.tables().events(&open, 9).await.expect("events").is_empty());
    })
    .await;
}

#[test]
fn times_of_a_group_are_its_interval_apart_and_stay() {
    let group = &groups(FILE)[0];
    let first = group.slot(1_000_000_000);
    assert!((0..30_000).contains(&(1_000_000_000 - first)));
    assert_eq!(group.slot(first), first);
    assert_eq!(group.slot(first + 29_999), first);
    assert_eq!(group.slot(first + 30_000), first + 30_000);
}
