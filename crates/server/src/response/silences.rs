//! Asked for quiet: silences, and which alerts one would hold for.

use std::collections::BTreeMap;

use alert::routing::{Matcher, Matchers, Silence, SilenceDraft, SilenceState};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::who;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes};

/// Alerts that a preview names.
const PREVIEW_MAX: usize = 100;

pub(super) fn routes() -> Routes {
    let base = "/api/v1/monitoring/silences";
    let one = &format!("{base}/{{id}}");
    Routes::new("Alerts")
        .get(
            base,
            list,
            Op::new("listSilences", "Silences, those over included").gives::<Page<SilenceView>>(),
        )
        .post(
            base,
            create,
            Op::new("createSilence", "Nobody is told of some alerts for a time")
                .takes::<NewSilence>()
                .creates::<SilenceView>()
                .refuses(&[409]),
        )
        .put(
            one,
            change,
            Op::new("changeSilence", "Changes a silence; other matchers make a new one")
                .takes::<NewSilence>()
                .gives::<SilenceView>()
                .refuses(&[409]),
        )
        .delete(one, end, Op::new("endSilence", "Ends a silence now").gives_nothing(204))
        .post(
            &format!("{base}/preview"),
            preview,
            Op::new("previewSilence", "Which alerts that go on a silence would hold for")
                .takes::<Asked>()
                .gives::<Preview>(),
        )
}

/// What is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewSilence {
    /// Conditions on labels, such as `service="api"`; all must hold.
    matchers: Vec<String>,
    /// Now unless given.
    starts_at: Option<Moment>,
    ends_at: Moment,
    /// Why.
    comment: String,
}

/// Conditions on labels.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SilenceMatchers")]
struct Asked {
    matchers: Vec<String>,
}

/// Which alerts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SilencePreview")]
struct Preview {
    /// How many.
    total: usize,
    /// Labels of the first 100.
    alerts: Vec<BTreeMap<String, String>>,
}

/// A silence.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Silence")]
struct SilenceView {
    id: String,
    matchers: Vec<String>,
    /// `pending`, `active` or `expired`.
    state: String,
    starts_at: Moment,
    ends_at: Moment,
    created_by: String,
    comment: String,
    updated_at: Moment,
}

impl SilenceView {
    fn of(silence: Silence, now: i64) -> Self {
        let state = match silence.state(now) {
            SilenceState::Pending => "pending",
            SilenceState::Active => "active",
            SilenceState::Expired => "expired",
        };
        Self {
            matchers: silence.matchers.as_slice().iter().map(ToString::to_string).collect(),
            state: state.to_owned(),
            id: silence.id,
            starts_at: Moment(silence.starts_at),
            ends_at: Moment(silence.ends_at),
            created_by: silence.created_by,
            comment: silence.comment,
            updated_at: Moment(silence.updated_at),
        }
    }
}

fn matchers(texts: &[String]) -> Result<Matchers, Fault> {
    let mut all = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let wrong = |error: String| Fault::invalid(&format!("matchers[{n}]"), error);
        all.extend(Matcher::parse_list(text).map_err(|error| wrong(error.to_string()))?);
    }
    match all.is_empty() {
        true => Err(Fault::invalid("matchers", "is empty: write a condition such as service=\"api\"")),
        false => Ok(Matchers::new(all)),
    }
}

fn draft(app: &SharedApp, identity: &Identity, asked: NewSilence) -> Result<SilenceDraft, Fault> {
    Ok(SilenceDraft {
        matchers: matchers(&asked.matchers)?,
        starts_at: asked.starts_at.map_or(app.now_ms(), |at| at.0),
        ends_at: asked.ends_at.0,
        created_by: who(identity),
        comment: asked.comment,
    })
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Page<SilenceView>>, ApiFault> {
    let now = app.now_ms();
    let silences = app.engine_of(&identity.tenant).await?.silences().await;
    Ok(Json(Page::whole(silences.into_iter().map(|silence| SilenceView::of(silence, now)).collect())))
}

async fn create(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<NewSilence>,
) -> Result<(StatusCode, Json<SilenceView>), ApiFault> {
    let draft = draft(&app, &identity, body.0)?;
    let engine = app.engine_of(&identity.tenant).await?;
    let silence = engine.silence(None, draft).await.map_err(Fault::from)?;
    Ok((StatusCode::CREATED, Json(SilenceView::of(silence, app.now_ms()))))
}

async fn change(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<NewSilence>,
) -> Result<Json<SilenceView>, ApiFault> {
    let draft = draft(&app, &identity, body.0)?;
    let engine = app.engine_of(&identity.tenant).await?;
    let silence = engine.silence(Some(&id), draft).await.map_err(Fault::from)?;
    Ok(Json(SilenceView::of(silence, app.now_ms())))
}

async fn end(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiFault> {
    app.engine_of(&identity.tenant).await?.end_silence(&id).await.map_err(Fault::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn preview(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Asked>,
) -> Result<Json<Preview>, ApiFault> {
    identity.reach().need_whole("alerts that a silence holds for")?;
    let matchers = matchers(&body.0.matchers)?;
    let engine = app.engine_of(&identity.tenant).await?;
    let (total, alerts) = engine.preview_silence(&matchers, PREVIEW_MAX).await;
    Ok(Json(Preview { total, alerts }))
}
