//! Trying a channel out, and asking who would be told.

use std::collections::BTreeMap;

use alert::engine::Suppression;
use alert::notify::{AlertView, ChannelSpec, Event, Link, Message, Status};
use alert::rule::{ChannelRef, InlineChannel};
use alert::severity::Severity;
use alert::tables::new_id;
use axum::Json;
use axum::extract::{Extension, State};
use control::ObjectKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{send, setup, who};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::json::Body;
use crate::openapi::{Op, Routes};
use crate::outbound::Policy;

pub(super) fn routes() -> Routes {
    Routes::new("Alerts")
        .post(
            "/api/v1/monitoring/channels/test",
            test,
            Op::new("testChannel", "Sends a marked test message and says how it went")
                .takes::<Tried>()
                .gives::<Outcome>()
                .refuses(&[404]),
        )
        .post(
            "/api/v1/monitoring/routes/preview",
            preview,
            Op::new("previewRoutes", "Who would be told of an alert with these labels now")
                .takes::<Labelled>()
                .gives::<Reach>(),
        )
}

/// Which channel.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChannelTest")]
struct Tried {
    /// The name of one that is set up, or one written out.
    channel: ChannelRef,
}

/// How it went.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ChannelTestOutcome")]
struct Outcome {
    delivered: bool,
    /// Status of the answer over HTTP.
    status_code: Option<i64>,
    error: Option<String>,
    duration_ms: i64,
}

/// Labels of an alert.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RoutePreviewRequest")]
struct Labelled {
    labels: BTreeMap<String, String>,
}

/// Who would be told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RoutePreview")]
struct Reach {
    channels: Vec<String>,
    /// Why nobody is told after all.
    suppressed: Option<String>,
    /// Every route that was asked, in order.
    routes: Vec<Visited>,
}

/// A route and what it answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteVisit")]
struct Visited {
    /// Its object; `null` for the root.
    name: Option<String>,
    depth: usize,
    matched: bool,
    /// The condition that did not hold.
    failed: Option<String>,
    /// Whether this route takes the alert.
    takes: bool,
}

async fn test(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Tried>,
) -> Result<Json<Outcome>, ApiFault> {
    let (name, spec) = match &body.0.channel {
        ChannelRef::Named(name) => {
            let object = app.control()?.object(&identity.tenant, ObjectKind::Channel, name).await?;
            let spec: ChannelSpec = serde_json::from_value(object.spec)
                .map_err(|error| Fault::invalid("channel", error.to_string()))?;
            (name.clone(), spec)
        }
        ChannelRef::Inline(inline) => ("test".to_owned(), written(&app, &identity, inline)?),
    };
    let id = new_id("ntf_").map_err(Fault::from)?;
    let message = message(&app, &identity, id, &name);
    let policy = Policy::of(&identity.tenant, app.outbound_ranges());
    let started = app.clock().monotonic();
    let attempt = send::deliver(&app, policy, &spec, &message).await;
    let took = app.clock().monotonic().saturating_sub(started);
    Ok(Json(Outcome {
        delivered: attempt.delivered,
        status_code: attempt.status_code,
        error: attempt.error,
        duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
    }))
}

fn written(app: &SharedApp, identity: &Identity, inline: &InlineChannel) -> Result<ChannelSpec, Fault> {
    let spec = send::inline(inline)?;
    let value = serde_json::to_value(&spec).map_err(|error| Fault::invalid("channel", error.to_string()))?;
    setup::check(app, &identity.tenant, ObjectKind::Channel, "test", &value)?;
    Ok(spec)
}

fn message(app: &SharedApp, identity: &Identity, id: String, receiver: &str) -> Message {
    let external_url = setup::external_url(app);
    let labels = BTreeMap::from([("alertname".to_owned(), "Test".to_owned())]);
    let text = format!("This is a test that {} asked for. Nothing is wrong.", who(identity));
    let alert = AlertView {
        status: Status::Firing,
        severity: Severity::Info,
        labels: labels.clone(),
        annotations: BTreeMap::from([("summary".to_owned(), text.clone())]),
        value: "1".to_owned(),
        starts_at: app.now_ms(),
        ends_at: None,
        generator_url: format!("{external_url}/alerts"),
        fingerprint: format!("{:016x}", alert::routing::fingerprint(&labels)),
    };
    Message {
        key: format!("test/{id}"),
        id,
        event: Event::Test,
        status: Status::Firing,
        severity: Severity::Info,
        priority: Severity::Info.priority(),
        title: "[TEST] Bellwether can reach this channel".to_owned(),
        text,
        alerts: vec![alert],
        alerts_left_out: 0,
        group_labels: labels.clone(),
        common_labels: labels,
        common_annotations: BTreeMap::new(),
        receiver: receiver.to_owned(),
        runbook: None,
        links: vec![Link { label: "Open Bellwether".to_owned(), url: external_url.clone() }],
        external_url,
        at: app.now_ms(),
    }
}

async fn preview(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body<Labelled>,
) -> Result<Json<Reach>, ApiFault> {
    let engine = app.engine_of(&identity.tenant).await?;
    let reached = engine.desk().reach(&body.0.labels, app.now_ms()).await;
    let suppressed = reached.suppression.map(|why| match why {
        Suppression::Silenced(ids) => format!("silenced by {}", ids.join(", ")),
        Suppression::Inhibited(by) => format!("inhibited by the alert {by:016x}"),
    });
    let routes = reached.visits.into_iter().map(|visit| Visited {
        name: visit.name,
        depth: visit.depth,
        matched: visit.matched,
        failed: visit.failed,
        takes: visit.takes,
    });
    Ok(Json(Reach { channels: reached.channels, suppressed, routes: routes.collect() }))
}
