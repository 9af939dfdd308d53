//! Runs on each kind of database.

use std::sync::Arc;

use db::testing::{Fixture, each_backend};
use model::TenantId;
use serde_json::{Value, json};

use super::*;
use crate::Labels;
use crate::incident::{EntryKind, NewIncident, Origin};
use crate::severity::Severity;
use crate::tables::Tables;

const SECOND: i64 = 1_000;

async fn tables(fixture: &Fixture) -> Tables {
    let tenant = TenantId::default_tenant();
    let scope = fixture.db.create_tenant(&tenant, &[&crate::schema::TENANT]).await.expect("a tenant's part");
    Tables::new(scope)
}

fn runbook(action: Value) -> RunbookSpec {
    let spec = json!({"description": "# When", "steps": [{"title": "do", "action": action}], "tags": ["db"]});
    let spec: RunbookSpec = serde_json::from_value(spec).expect("reads");
    spec.check().expect("good");
    spec
}

fn request<'a>(spec: &'a RunbookSpec, labels: &'a Labels, incident: Option<&'a str>) -> RunRequest<'a> {
    let action = spec.steps[0].action.as_ref().expect("has one");
    RunRequest { runbook: "restart", step: 0, action, incident, labels, who: "ann@x" }
}

fn labels(host: &str) -> Labels {
    Labels::from([("host".to_owned(), host.to_owned())])
}

fn commands(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_command_is_approved_by_another_taken_by_one_agent_and_put_on_record() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let new = NewIncident {
            title: "web".to_owned(),
            severity: Severity::Error,
            key: None,
            origin: Origin::Person("ann@x".to_owned()),
            events: Vec::new(),
            labels: labels("web-1"),
            escalation: None,
            auto_resolve: false,
        };
        let incident = tables.open_incident(&new, 1).await.expect("opens").incident;
        let spec = runbook(json!({
            "command": "restart-nginx", "approval": "other", "agents": ["host=\"web-1\""],
            "arguments": {"host": {"label": "host"}, "how": "-f; rm"},
        }));
        let labels_of = labels("web-1");
        let run =
            tables.request_run(&request(&spec, &labels_of, Some(&incident.id)), 10).await.expect("asked");
        assert_eq!(run.status, RunStatus::WaitingApproval);
        // A text of the runbook is one argument whatever it holds; a label is a plain word.
        assert_eq!((run.arguments["host"].as_str(), run.arguments["how"].as_str()), ("web-1", "-f; rm"));
        let may = commands(&["restart-nginx"]);
        assert_eq!(tables.claim_run("a", &labels("web-1"), &may, 11).await.expect("none yet"), None);
        let own = tables.approve_run(&run.id, "Ann@x", 12).await;
        assert!(matches!(own, Err(RunError::OwnRun { .. })), "{own:?}");
        tables.approve_run(&run.id, "bob@x", 13).await.expect("approved");

        for (host, allowed) in [("web-2", "restart-nginx"), ("web-1", "other")] {
            let none = tables.claim_run("a", &labels(host), &commands(&[allowed]), 14).await;
            assert_eq!(none.expect("answers"), None, "{host} {allowed}");
        }
        let claims: Vec<_> = (0..6)
            .map(|n| {
                let (tables, may) = (tables.clone(), may.clone());
                tokio::spawn(async move {
                    tables
                        .claim_run(&format!("agent-{n}"), &labels("web-1"), &may, 15)
                        .await
                        .expect("answers")
                })
            })
            .collect();
        let mut taken = Vec::new();
        for claim in claims {
            taken.extend(claim.await.expect("ends"));
        }
        assert_eq!(taken.len(), 1, "one agent has it");
        let agent = taken[0].agent.clone().expect("by name");

        let stranger = tables.report_run(&run.id, "stranger", &Report::Started, 16).await;
        assert!(stranger.is_err());
        tables.report_run(&run.id, &agent, &Report::Started, 17).await.expect("runs");
        let output = format!("{}\0the end", "x".repeat(OUTPUT_BYTES_MAX));
        let end = Report::Ended { exit_code: 0, output };
        let ended = tables.report_run(&run.id, &agent, &end, 20).await.expect("ended");
        assert_eq!(
            (ended.status, ended.exit_code, ended.ended_at),
            (RunStatus::Succeeded, Some(0), Some(20))
        );
        // Said again, as after a lost answer.
        let other = Report::Ended { exit_code: 1, output: String::new() };
        assert_eq!(tables.report_run(&run.id, &agent, &other, 30).await.expect("as it is"), ended);
        let (kept, output) = tables.run(&run.id).await.expect("there");
        assert_eq!(kept, ended);
        assert!(output.len() <= OUTPUT_BYTES_MAX && output.ends_with("\u{fffd}the end"));
        let told = tables.timeline(&incident.id, &[EntryKind::Action], 0, 10).await.expect("a timeline");
        let told: Vec<&str> = told.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(
            told,
            [
                "restart-nginx: asked for".to_owned(),
                "restart-nginx: approved".to_owned(),
                format!("restart-nginx: sent to {agent}"),
                "restart-nginx: succeeded".to_owned(),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn an_action_runs_no_more_often_than_it_may() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let spec = runbook(json!({"command": "c", "limit": {"times": 3, "per": "1h"}, "approval": "none"}));
        let none = Labels::new();
        // More at once than it may.
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (tables, spec) = (tables.clone(), spec.clone());
                tokio::spawn(async move {
                    let none = Labels::new();
                    tables.request_run(&request(&spec, &none, None), 1_000).await.is_ok()
                })
            })
            .collect();
        let mut asked = 0;
        for task in tasks {
            asked += u32::from(task.await.expect("ends"));
        }
        assert_eq!(asked, 3);
        let fourth = tables.request_run(&request(&spec, &none, None), 2_000).await;
        assert!(matches!(fourth, Err(RunError::TooOften { retry_at: 3_601_000, .. })), "{fourth:?}");
        tables.request_run(&request(&spec, &none, None), 3_601_000).await.expect("an hour later");
        // Another action has its own.
        let other = runbook(json!({"webhook": "c", "limit": {"times": 1, "per": "1h"}, "approval": "none"}));
        tables.request_run(&request(&other, &none, None), 2_000).await.expect("asked");
        let mine = tables.claim_webhook("server", 2_001).await.expect("answers").expect("one");
        assert_eq!(mine.kind, RunKind::Webhook);
        assert_eq!(tables.claim_webhook("server", 2_002).await.expect("answers"), None);
    })
    .await;
}

#[tokio::test]
async fn what_nobody_approves_takes_or_ends_is_over_in_time() {
    each_backend(|fixture: Arc<Fixture>| async move {
        let tables = tables(&fixture).await;
        let none = Labels::new();
        let ask = |approval: &str| {
            let action = json!({"command": "c", "approval": approval, "expires": "10s", "timeout": "5s"});
            runbook(action)
        };
        let (waits, goes) = (ask("anyone"), ask("none"));
        let waiting = tables.request_run(&request(&waits, &none, None), 0).await.expect("asked");
        let lost = tables.request_run(&request(&goes, &none, None), 1).await.expect("asked");
        let taken = tables.claim_run("a", &none, &commands(&["c"]), 2).await.expect("answers").expect("one");
        assert_eq!(taken.id, lost.id);
        let alone = tables.request_run(&request(&goes, &none, None), 3).await.expect("asked");
        assert!(tables.expire_runs(9 * SECOND).await.expect("none").is_empty());
        let late = tables.approve_run(&waiting.id, "ann@x", 10 * SECOND).await;
        assert!(late.is_err(), "its time is over, though nobody wrote that down yet");
        let over = tables.expire_runs(60 * SECOND).await.expect("some");
        let over: Vec<(String, RunStatus)> = over.into_iter().map(|run| (run.id, run.status)).collect();
        assert_eq!(
            over,
            [
                (waiting.id.clone(), RunStatus::Refused),
                (alone.id.clone(), RunStatus::TimedOut),
                (lost.id.clone(), RunStatus::TimedOut),
            ]
        );
        assert!(tables.expire_runs(60 * SECOND).await.expect("none").is_empty());
        assert_eq!(tables.claim_run("a", &none, &commands(&["c"]), 61 * SECOND).await.expect("none"), None);
        // The agent was cut off and did it all the same.
        let report = Report::Ended { exit_code: 3, output: "o".to_owned() };
        let late = tables.report_run(&lost.id, "a", &report, 70 * SECOND).await.expect("taken");
        assert_eq!((late.status, late.exit_code), (RunStatus::Failed, Some(3)));
        let failed = RunFilter { statuses: vec![RunStatus::Failed], ..RunFilter::default() };
        assert_eq!(tables.runs(&failed, 10).await.expect("a list").len(), 1);
        assert_eq!(tables.sweep_runs(65 * SECOND).await.expect("swept"), 2);
    })
    .await;
}

#[test]
fn labels_that_are_more_than_words_do_not_reach_a_command() {
    let spec = runbook(json!({"command": "c", "arguments": {"host": {"label": "host"}}}));
    for (value, good) in [
        ("web-1.example:80", true),
        ("a@b_c", true),
        ("-rf", false),
        ("../x", false),
        ("a b", false),
        ("$(id)", false),
        ("a;b", false),
        ("a\nb", false),
        ("", false),
        ("ä", false),
    ] {
        let labels = labels(value);
        let run = Run::new("run_1".to_owned(), &request(&spec, &labels, None), 0);
        assert_eq!(run.is_ok(), good, "{value:?}");
    }
    let none = Labels::new();
    assert!(Run::new("run_1".to_owned(), &request(&spec, &none, None), 0).is_err());
}

#[test]
fn a_runbook_that_cannot_be_is_refused_with_its_place() {
    for (action, field) in [
        (json!({}), ""),
        (json!({"command": "a", "webhook": "b"}), ""),
        (json!({"command": "rm -rf /"}), ".command"),
        (json!({"webhook": "b", "agents": ["a=\"b\""]}), ".agents"),
        (json!({"command": "a", "agents": ["=~("]}), ".agents[0]"),
        (json!({"command": "a", "arguments": {"a b": "x"}}), ".arguments.a b"),
        (json!({"command": "a", "arguments": {"a": "x".repeat(2_000)}}), ".arguments.a"),
        (json!({"command": "a", "arguments": {"a": {"label": ""}}}), ".arguments.a.label"),
        (json!({"command": "a", "timeout": "2h"}), ".timeout"),
        (json!({"command": "a", "expires": 0}), ".expires"),
        (json!({"command": "a", "limit": {"times": 0, "per": "1h"}}), ".limit.times"),
    ] {
        let spec = json!({"steps": [{"title": "do", "action": action}]});
        let read: RunbookSpec = serde_json::from_value(spec.clone()).expect("reads");
        assert_eq!(read.check().expect_err("refused").field, format!("steps[0].action{field}"), "{spec}");
    }
    let unknown = json!({"steps": [{"title": "do", "action": {"shell": "rm"}}]});
    assert!(serde_json::from_value::<RunbookSpec>(unknown).is_err());
}
