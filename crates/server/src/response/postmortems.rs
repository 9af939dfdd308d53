//! Documents of incidents: a draft with the timeline filled in until somebody writes one.

use alert::postmortem::draft;
use axum::Json;
use axum::extract::{Extension, Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::incidents::seen;
use super::who;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::moment::Moment;
use crate::openapi::{Op, Routes};

/// Entries of a timeline that a draft is made of.
const ENTRIES_MAX: u32 = 1_000;

pub(super) fn routes() -> Routes {
    let path = "/api/v1/monitoring/incidents/{id}/postmortem";
    Routes::new("Incidents")
        .get(
            path,
            get,
            Op::new("getPostmortem", "The post-mortem of an incident")
                .about("Until somebody writes one, a draft of what is known, with version 0.")
                .gives::<PostmortemView>(),
        )
        .put(
            path,
            put,
            Op::new(
                "putPostmortem",
                "Writes the post-mortem, where it is still of the version that was read",
            )
            .takes::<PostmortemBody>()
            .gives::<PostmortemView>()
            .refuses(&[409]),
        )
}

/// A document.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Postmortem")]
struct PostmortemView {
    incident: String,
    /// 1, and one more with each change; 0 for a draft that nobody wrote yet.
    version: i64,
    /// Markdown.
    text: String,
    updated_by: Option<String>,
    updated_at: Option<Moment>,
}

/// What is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPostmortem")]
struct PostmortemBody {
    /// The version that was read; 0 where there was none.
    version: i64,
    /// Markdown.
    text: String,
}

async fn get(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<PostmortemView>, ApiFault> {
    let incident = seen(&app, &identity, &id).await?;
    let engine = app.engine_of(&identity.tenant).await?;
    let tables = engine.tables();
    if let Some(kept) = tables.postmortem(&id).await.map_err(Fault::from)? {
        return Ok(Json(PostmortemView {
            incident: kept.incident,
            version: kept.version,
            text: kept.text,
            updated_by: Some(kept.updated_by),
            updated_at: Some(Moment(kept.updated_at)),
        }));
    }
    let timeline = tables.timeline(&id, &[], 0, ENTRIES_MAX).await.map_err(Fault::from)?;
    let text = draft(&incident, &timeline);
    Ok(Json(PostmortemView { incident: id, version: 0, text, updated_by: None, updated_at: None }))
}

async fn put(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    body: Body<PostmortemBody>,
) -> Result<Json<PostmortemView>, ApiFault> {
    seen(&app, &identity, &id).await?;
    let PostmortemBody { version, text } = body.0;
    if version < 0 {
        return Err(Fault::invalid("version", "is below 0: write the version that was read").into());
    }
    let engine = app.engine_of(&identity.tenant).await?;
    let (by, now) = (who(&identity), app.now_ms());
    let written = engine.tables().put_postmortem(&id, &text, &by, version, now);
    let version = written.await.map_err(Fault::from)?;
    let (updated_by, updated_at) = (Some(by), Some(Moment(now)));
    Ok(Json(PostmortemView { incident: id, version, text, updated_by, updated_at }))
}
