//! Runs of remediation: who asked, who let it, what came of it. Agents that poll outward claim commands and report;
//! webhooks are sent by the server. No command is ever run here.

use std::collections::BTreeMap;

use alert::engine::Engine;
use alert::notify::{Event, Link, Message, Status};
use alert::runbook::{Report, Run, RunFilter, RunKind, RunStatus};
use alert::severity::{Priority, Severity};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events::{place, words};
use super::setup::external_url;
use super::{Seat, send, who};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes, string};
use crate::outbound::Policy;
use crate::prom::params::Params;
use crate::tenants_api::Paging;

/// Webhooks sent in one go, so that a long queue does not keep the others waiting.
const WEBHOOKS_MAX: usize = 100;
/// Labels of an agent.
const LABELS_MAX: usize = 64;

const STATUSES: [RunStatus; 8] = [
    RunStatus::WaitingApproval,
    RunStatus::Approved,
    RunStatus::Sent,
    RunStatus::Running,
    RunStatus::Succeeded,
    RunStatus::Failed,
    RunStatus::TimedOut,
    RunStatus::Refused,
];
const WORDS: &str = "waiting_approval, approved, sent, running, succeeded, failed, timed_out, refused";

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/remediations";
    let one = &format!("{base}/{{id}}");
    let decide = |id, summary| Op::new(id, summary).gives::<RunView>().refuses(&[409]);
    Routes::new("Incidents")
        .get(
            base,
            list,
            Op::new("listRemediations", "Runs of remediation, the newest first")
                .params(&[
                    string("status", "`waiting_approval`, `approved`, `sent`, `running`, `succeeded`, `failed`, `timed_out` or `refused`, with commas between."),
                    string("incident", "Only those for this incident."),
                ])
                .gives_page::<RunView>(),
        )
        .get(one, get, Op::new("getRemediation", "A run with its output").gives::<RunDetail>())
        .post(&format!("{one}/approve"), approve, decide("approveRemediation", "Lets a run begin"))
        .post(&format!("{one}/refuse"), refuse, decide("refuseRemediation", "Says no to a run"))
}

/// For agents.
pub(super) fn agent_routes() -> Routes {
    let base = "/api/v1/monitoring/remediations";
    Routes::new("Incidents")
        .post(
            &format!("{base}/claim"),
            claim,
            Op::new("claimRemediation", "Gives an agent the command that waits the longest, each once")
                .takes::<Claim>()
                .gives::<RunView>()
                .gives_nothing(204),
        )
        .post(
            &format!("{base}/{{id}}/report"),
            report,
            Op::new("reportRemediation", "Takes what the agent that has a command says of it")
                .takes::<ReportBody>()
                .gives::<RunView>()
                .refuses(&[409]),
        )
}

/// A run.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Remediation")]
pub(super) struct RunView {
    id: String,
    /// `command` or `webhook`.
    kind: &'static str,
    /// Name of the command, or of the channel.
    action: String,
    runbook: String,
    /// Which step of it, from 0.
    step: usize,
    incident: Option<String>,
    arguments: BTreeMap<String, String>,
    /// `waiting_approval`, `approved`, `sent`, `running`, `succeeded`, `failed`, `timed_out` or `refused`.
    status: &'static str,
    /// How long it may take.
    timeout_ms: i64,
    requested_by: String,
    requested_at: Moment,
    /// Who let it, or said no.
    decided_by: Option<String>,
    decided_at: Option<Moment>,
    /// Who has it.
    agent: Option<String>,
    started_at: Option<Moment>,
    ended_at: Option<Moment>,
    exit_code: Option<i64>,
    error: Option<String>,
}

/// A run with what it wrote.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemediationDetail")]
struct RunDetail {
    #[serde(flatten)]
    run: RunView,
    /// At most 64 KiB; of a longer one the end.
    output: String,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            kind: run.kind.as_str(),
            action: run.action,
            runbook: run.runbook,
            step: run.step,
            incident: run.incident,
            arguments: run.arguments,
            status: run.status.as_str(),
            timeout_ms: run.timeout_ms,
            requested_by: run.requested_by,
            requested_at: Moment(run.requested_at),
            decided_by: run.decided_by,
            decided_at: run.decided_at.map(Moment),
            agent: run.agent,
            started_at: run.started_at.map(Moment),
            ended_at: run.ended_at.map(Moment),
            exit_code: run.exit_code,
            error: run.error,
        }
    }
}

/// Which agent asks, and what its own file allows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RemediationClaim")]
struct Claim {
    /// Its name, such as its host's.
    agent: String,
    /// What steps may name to choose an agent; `agent` is its name.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Names of commands that it may run.
    commands: Vec<String>,
}

/// What an agent says of the run that it has.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "RemediationReport")]
struct ReportBody {
    agent: String,
    state: Reported,
    /// What the command answered, where it ended.
    #[serde(default)]
    exit_code: Option<i64>,
    /// Why it could not be done.
    #[serde(default)]
    error: Option<String>,
    /// What it wrote.
    #[serde(default)]
    output: String,
}

/// How far it is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RemediationState")]
enum Reported {
    /// It began.
    Started,
    /// It ended by itself.
    Ended,
    /// It could not be done.
    Failed,
    /// It was stopped, since it took too long.
    TimedOut,
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Page<RunView>>, ApiFault> {
    identity.reach().need_whole("runs of remediation")?;
    let paging = Paging::read(&params)?;
    let status_of = |word: &str| STATUSES.into_iter().find(|status| status.as_str() == word);
    let filter = RunFilter {
        statuses: words(&params, "status", status_of, WORDS)?,
        incident: params.get("incident").map(str::to_owned),
        after: paging.after().map(place).transpose()?,
    };
    let engine = app.engine_of(&identity.tenant).await?;
    let found = engine.tables().runs(&filter, paging.limit()).await.map_err(Fault::from)?;
    Ok(paging.page(found, |run| format!("{}~{}", run.requested_at, run.id)))
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<RunDetail>, ApiFault> {
    identity.reach().need_whole("runs of remediation")?;
    let engine = app.engine_of(&identity.tenant).await?;
    let (run, output) = engine.tables().run(&id).await.map_err(Fault::from)?;
    Ok(Json(RunDetail { run: run.into(), output }))
}

async fn decided(
    app: &SharedApp,
    identity: &Identity,
    id: &str,
    yes: bool,
) -> Result<Json<RunView>, ApiFault> {
    let engine = app.engine_of(&identity.tenant).await?;
    Ok(Json(engine.decide_run(id, &who(identity), yes).await.map_err(Fault::from)?.into()))
}

async fn approve(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<RunView>, ApiFault> {
    decided(&app, &identity, &id, true).await
}

async fn refuse(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<RunView>, ApiFault> {
    decided(&app, &identity, &id, false).await
}

async fn claim(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Claim>,
) -> Result<Response, ApiFault> {
    let Claim { agent, labels, commands } = body.0;
    if labels.len() > LABELS_MAX {
        return Err(Fault::invalid("labels", format!("has more than {LABELS_MAX}")).into());
    }
    let engine = app.engine_of(&identity.tenant).await?;
    let claimed = engine.tables().claim_run(&agent, &labels, &commands, app.now_ms());
    Ok(match claimed.await.map_err(Fault::from)? {
        Some(run) => Json(RunView::from(run)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn report(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<ReportBody>,
) -> Result<Json<RunView>, ApiFault> {
    let ReportBody { agent, state, exit_code, error, output } = body.0;
    let report = match state {
        Reported::Started => Report::Started,
        Reported::Ended => {
            let exit_code =
                exit_code.ok_or_else(|| Fault::invalid("exitCode", "is missing: write what it answered"))?;
            Report::Ended { exit_code, output }
        }
        Reported::Failed => Report::Failed { error: error.unwrap_or_default(), output },
        Reported::TimedOut => Report::TimedOut { output },
    };
    let engine = app.engine_of(&identity.tenant).await?;
    let run = engine.tables().report_run(&id, &agent, &report, app.now_ms()).await.map_err(Fault::from)?;
    Ok(Json(run.into()))
}

/// Sends the webhooks that wait. One that a stop cut short is given up when its time is over, since it may have been
/// sent.
pub(super) async fn send_webhooks(app: &SharedApp, seat: &Seat) -> Result<(), Fault> {
    for _ in 0..WEBHOOKS_MAX {
        let tables = seat.engine.tables();
        let Some(run) = tables.claim_webhook(&app.hostname(), app.now_ms()).await? else { return Ok(()) };
        let report = send_one(app, &seat.engine, &run).await;
        tables.report_run(&run.id, &app.hostname(), &report, app.now_ms()).await?;
    }
    seat.engine.look_again();
    Ok(())
}

async fn send_one(app: &SharedApp, engine: &Engine, run: &Run) -> Report {
    debug_assert_eq!(run.kind, RunKind::Webhook);
    let failed = |error: &str| Report::Failed { error: error.to_owned(), output: String::new() };
    let Some(channel) = engine.desk().channel(&run.action).await else {
        return failed("there is no such channel any more");
    };
    if channel.kind != alert::notify::Kind::Webhook || !channel.is_active {
        return failed("the channel is no webhook, or is turned off");
    }
    let policy = Policy::of(engine.tenant(), app.outbound_ranges());
    let attempt = send::deliver(app, policy, &channel, &message(app, run)).await;
    let status = attempt.status_code.unwrap_or(-1);
    match (attempt.delivered, attempt.error) {
        (true, _) => Report::Ended { exit_code: 0, output: format!("answered {status}") },
        (false, Some(error)) => failed(&error),
        (false, None) => failed("it was not taken"),
    }
}

/// What a webhook is told: the arguments stand among the annotations, and what is to be done in `groupLabels`.
fn message(app: &SharedApp, run: &Run) -> Message {
    let external_url = external_url(app);
    let mut about = BTreeMap::from([("runbook".to_owned(), run.runbook.clone())]);
    about.insert("step".to_owned(), run.step.to_string());
    about.extend(run.incident.iter().map(|incident| ("incident".to_owned(), incident.clone())));
    let page = run.incident.as_ref().map(|id| format!("{external_url}/incidents/{id}"));
    Message {
        id: run.id.clone(),
        key: run.id.clone(),
        event: Event::Action,
        status: Status::Firing,
        severity: Severity::Info,
        priority: Priority::High,
        title: format!("Runbook {}: step {}", run.runbook, run.step),
        text: format!("{} asked for it.", run.requested_by),
        alerts: Vec::new(),
        alerts_left_out: 0,
        group_labels: about,
        common_labels: BTreeMap::new(),
        common_annotations: run.arguments.clone(),
        receiver: run.action.clone(),
        runbook: Some(run.runbook.clone()),
        links: page.into_iter().map(|url| Link { label: "Incident".to_owned(), url }).collect(),
        external_url,
        at: app.now_ms(),
    }
}
