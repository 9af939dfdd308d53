//! Silences.

use alert::engine::{EngineError, SilenceFault};
use alert::routing::{Matcher, Matchers, Silence, SilenceDraft, SilenceError, SilenceState};
use alert::tables::TableError;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use model::MatchOp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refusal, filters, fits, matchers_json};
use crate::app::SharedApp;
use crate::body;
use crate::chain::Identity;
use crate::error::Fault;
use crate::moment::Moment;
use crate::openapi::{Op, Routes, string};
use crate::prom::params::Params;

/// Bytes of one silence.
const BYTES_MAX: usize = 1 << 20;

pub(super) fn routes() -> Routes {
    Routes::new("Alertmanager")
        .get(
            "/api/v2/silences",
            list,
            Op::new("listAlertmanagerSilences", "Silences, those over included")
                .params(&[string("filter", "Conditions that the silence's own satisfy.").repeated()])
                .gives::<Vec<GettableSilence>>(),
        )
        .get(
            "/api/v2/silence/{id}",
            get,
            Op::new("getAlertmanagerSilence", "A silence").gives::<GettableSilence>().gives_nothing(404),
        )
}

pub(super) fn change_routes() -> Routes {
    Routes::new("Alertmanager")
        .post(
            "/api/v2/silences",
            post,
            Op::new(
                "postAlertmanagerSilence",
                "Makes a silence, or changes the one with the id that is given",
            )
            .takes::<PostableSilence>()
            .gives::<Made>()
            .refuses(&[404, 409, 422]),
        )
        .delete(
            "/api/v2/silence/{id}",
            delete,
            Op::new("deleteAlertmanagerSilence", "Ends a silence").gives_nothing(200).gives_nothing(404),
        )
}

/// A condition.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertmanagerMatcher")]
struct MatcherJson {
    name: String,
    value: String,
    is_regex: bool,
    /// False turns it round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_equal: Option<bool>,
}

/// A silence as it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PostableSilence {
    id: Option<String>,
    matchers: Option<Vec<MatcherJson>>,
    starts_at: Option<Moment>,
    ends_at: Option<Moment>,
    created_by: Option<String>,
    comment: Option<String>,
}

/// The silence that holds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlertmanagerSilenceMade")]
struct Made {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

/// A silence.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GettableSilence {
    id: String,
    /// `{"state": …}`: `pending`, `active` or `expired`.
    status: Value,
    updated_at: Moment,
    comment: String,
    created_by: String,
    ends_at: Moment,
    #[schemars(with = "Vec<MatcherJson>")]
    matchers: Value,
    starts_at: Moment,
}

fn gettable(silence: Silence, now: i64) -> GettableSilence {
    let state = match silence.state(now) {
        SilenceState::Pending => "pending",
        SilenceState::Active => "active",
        SilenceState::Expired => "expired",
    };
    GettableSilence {
        status: json!({ "state": state }),
        matchers: matchers_json(&silence.matchers),
        id: silence.id,
        updated_at: Moment(silence.updated_at),
        comment: silence.comment,
        created_by: silence.created_by,
        ends_at: Moment(silence.ends_at),
        starts_at: Moment(silence.starts_at),
    }
}

/// Those that hold by their end, those to come by their start, those over by their end, the last first.
fn order(silences: &mut [Silence], now: i64) {
    silences.sort_by_key(|silence| match silence.state(now) {
        SilenceState::Active => (0, silence.ends_at),
        SilenceState::Pending => (1, silence.starts_at),
        SilenceState::Expired => (2, silence.ends_at.saturating_neg()),
    });
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Vec<GettableSilence>>, Refusal> {
    let (filters, now) = (filters(&params)?, app.now_ms());
    let mut silences = app.engine_of(&identity.tenant).await?.silences().await;
    silences.retain(|silence| {
        let of = |name: &str| silence.matchers.as_slice().iter().rev().find(|matcher| matcher.name == name);
        fits(&filters, |name| of(name).map(|matcher| matcher.value.as_str()))
    });
    order(&mut silences, now);
    Ok(Json(silences.into_iter().map(|silence| gettable(silence, now)).collect()))
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<GettableSilence>, Refusal> {
    let silences = app.engine_of(&identity.tenant).await?.silences().await;
    let found = silences.into_iter().find(|silence| silence.id == id).ok_or(Refusal::Missing)?;
    Ok(Json(gettable(found, app.now_ms())))
}

async fn post(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body,
) -> Result<Json<Made>, Refusal> {
    let bytes = body::read(body, BYTES_MAX).await?;
    let sent: PostableSilence = crate::json::parse(&bytes)?;
    let id = sent.id.clone().filter(|id| !id.is_empty());
    let draft = read(sent)?;
    let engine = app.engine_to_change(&identity.tenant).await?;
    let silence = engine.silence(id.as_deref(), draft).await.map_err(|fault| match fault {
        SilenceFault::Engine(EngineError::Table(TableError::Missing { .. })) => {
            Fault::NotFound("silence not found".to_owned())
        }
        SilenceFault::Asked(error) => {
            let said = match error {
                SilenceError::EndBeforeStart => "start time must be before end time".to_owned(),
                SilenceError::InThePast => "end time can't be in the past".to_owned(),
                other => other.to_string(),
            };
            Fault::invalid("", format!("Failed to create silence: {said}"))
        }
        other => other.into(),
    })?;
    Ok(Json(Made { silence_id: silence.id }))
}

fn read(sent: PostableSilence) -> Result<SilenceDraft, Refusal> {
    fn needed<T>(name: &str, value: Option<T>) -> Result<T, Refusal> {
        value.ok_or_else(|| Refusal::Unfit(format!("{name} in body is required")))
    }
    let comment = needed("comment", sent.comment)?;
    let created_by = needed("createdBy", sent.created_by)?;
    let ends_at = needed("endsAt", sent.ends_at)?.0;
    let given = needed("matchers", sent.matchers)?;
    let starts_at = needed("startsAt", sent.starts_at)?.0;
    if given.is_empty() {
        return Err(Refusal::Unfit("matchers in body should have at least 1 items".to_owned()));
    }
    let mut matchers = Vec::with_capacity(given.len());
    for one in given {
        let op = match (one.is_regex, one.is_equal.unwrap_or(true)) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        let read = Matcher::new(&one.name, op, &one.value);
        matchers.push(read.map_err(|error| {
            Fault::invalid("", format!("Failed to create silence: invalid label matcher: {error}"))
        })?);
    }
    Ok(SilenceDraft { matchers: Matchers::new(matchers), starts_at, ends_at, created_by, comment })
}

async fn delete(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let engine = app.engine_to_change(&identity.tenant).await?;
    match engine.end_silence(&id).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(SilenceFault::Engine(EngineError::Table(TableError::Missing { .. }))) => Err(Refusal::Missing),
        // Alertmanager answers the same for one that is over.
        Err(SilenceFault::Asked(SilenceError::Expired { .. })) => Ok(StatusCode::OK),
        Err(fault) => Err(Fault::from(fault).into()),
    }
}
