//! Programs that report by themselves: `/api/v1/monitoring/heartbeat/{token}`.
//!
//! The token names tenant and check and is signed by the server's key, so nothing has to be looked up to refuse one,
//! and a check that is removed takes its token along. It can do nothing but report.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::TenantId;
use probe::check::{CheckResult, CheckStatus, CheckType, Details, Report};
use schemars::JsonSchema;
use serde::Serialize;

use super::run;
use crate::app::SharedApp;
use crate::error::{ApiFault, Fault};
use crate::openapi::{Op, Param, Routes, choice, string};
use crate::prom::params::Params;

const PURPOSE: &str = "heartbeat";
/// Bytes of the code in a token: as many as nobody guesses.
const CODE_BYTES: usize = 18;

const SAID: [Param; 2] = [
    choice("status", &["up", "down"], "`down` reports a failure."),
    string("msg", "What failed; the first 500 bytes are kept."),
];

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/heartbeat/{token}";
    let about = "Without sign-in: whoever knows the address, the `pushUrl` of a heartbeat, may report.";
    let op = |id, summary| {
        Op::new(id, summary).about(about).params(&SAID).gives::<Reported>().refuses(&[404, 409])
    };
    let outcome = &format!("{base}/{{outcome}}");
    Routes::new("Health checks")
        .get(base, report, op("getHeartbeat", "A program reports that it ran"))
        .post(base, report, op("postHeartbeat", "A program reports that it ran"))
        .get(
            outcome,
            report_outcome,
            op("getHeartbeatOutcome", "How it ran: `start`, `success`, `fail` or an exit status"),
        )
        .post(
            outcome,
            report_outcome,
            op("postHeartbeatOutcome", "How it ran: `start`, `success`, `fail` or an exit status"),
        )
}

/// A report was taken: it outlives the server.
#[derive(Serialize, JsonSchema)]
struct Reported {
    ok: bool,
}

/// What is reported.
enum Said {
    Start,
    Success,
    Failure(String),
}

/// The address that a program reports to.
pub(super) fn url(app: &SharedApp, tenant: &TenantId, id: &str) -> Result<String, Fault> {
    let words = format!("{tenant}.{id}");
    let code = app.control()?.keyring().sign(PURPOSE, &words);
    let token = format!("{words}.{}", URL_SAFE_NO_PAD.encode(&code[..CODE_BYTES]));
    Ok(format!("{}/api/v1/monitoring/heartbeat/{token}", crate::response::external_url(app)))
}

async fn report(
    State(app): State<SharedApp>,
    Path(token): Path<String>,
    params: Params,
) -> Result<Json<Reported>, ApiFault> {
    take(&app, &token, said("success", &params)?).await
}

async fn report_outcome(
    State(app): State<SharedApp>,
    Path((token, outcome)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Reported>, ApiFault> {
    take(&app, &token, said(&outcome, &params)?).await
}

fn said(outcome: &str, params: &Params) -> Result<Said, Fault> {
    let message = params.get("msg").filter(|text| !text.is_empty());
    let failure = |otherwise: String| Said::Failure(message.map_or(otherwise, str::to_owned));
    Ok(match (outcome, params.get("status")) {
        ("start", _) => Said::Start,
        ("success", Some("down")) | ("fail", _) => failure("without a message".to_owned()),
        ("success" | "0", _) => Said::Success,
        (other, _) => match other.parse::<u8>() {
            Ok(code) => failure(format!("exit status {code}")),
            Err(_) => {
                let text = format!("{other:?} is none of start, success, fail and an exit status up to 255");
                return Err(Fault::invalid("outcome", text));
            }
        },
    })
}

async fn take(app: &SharedApp, token: &str, said: Said) -> Result<Json<Reported>, ApiFault> {
    let unknown =
        || Fault::NotFound("there is no such heartbeat: copy the address of the check again".into());
    let (words, code) = token.rsplit_once('.').ok_or_else(unknown)?;
    let code = URL_SAFE_NO_PAD.decode(code).map_err(|_| unknown())?;
    let (tenant, id) = words.split_once('.').ok_or_else(unknown)?;
    if code.len() != CODE_BYTES || !app.control()?.keyring().verify(PURPOSE, words, &code) {
        return Err(unknown().into());
    }
    let tenant = TenantId::new(tenant).map_err(|_| unknown())?;
    let seat = app.checks_of(&tenant).await?;
    let entry = seat.by_id(id).filter(|entry| entry.check.spec().kind == CheckType::Heartbeat);
    let entry = entry.ok_or_else(unknown)?;
    let at = app.now_ms();
    let failed = match said {
        Said::Start => {
            seat.tables.put_started(id, at).await.map_err(control::ControlError::from)?;
            entry.started(at);
            return Ok(Json(Reported { ok: true }));
        }
        Said::Success => None,
        Said::Failure(message) => Some(message),
    };
    let report = Report { at, failed };
    seat.tables.put_report(id, &report).await.map_err(control::ControlError::from)?;
    let took = entry.reported(report.clone()).map_or(0, |started| at.saturating_sub(started));
    if entry.is_active() {
        let result = CheckResult {
            at,
            status: if report.failed.is_none() { CheckStatus::Healthy } else { CheckStatus::Unhealthy },
            latency_ms: took as f64,
            attempts: 1,
            message: report.failed.map(|text| format!("it reported a failure: {text}")),
            details: Details::default(),
        };
        run::conclude(app, &seat, &entry, result);
    }
    Ok(Json(Reported { ok: true }))
}
