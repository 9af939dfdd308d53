//! Alerts and their groups; alerts that others send.

use std::collections::BTreeMap;

use alert::Labels;
use alert::engine::{RESOLVE_MS, ShownAlert, Suppression};
use alert::routing::{Alert, fingerprint};
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Refusal, filters, fits, switch};
use crate::app::SharedApp;
use crate::body;
use crate::chain::Identity;
use crate::error::Fault;
use crate::moment::Moment;
use crate::openapi::{Op, Param, Routes, choice, string};
use crate::prom::params::Params;

/// Bytes of one request with alerts.
const BYTES_MAX: usize = 16 << 20;
/// Alerts of one request.
const ALERTS_MAX: usize = 20_000;
/// Times before this are Go's zero time, which says nothing.
const ZERO_BEFORE_MS: i64 = -62_000_000_000_000;

const FILTERS: [Param; 6] = [
    string("filter", "Conditions on labels, such as `severity=\"critical\"`; all must hold.").repeated(),
    string("receiver", "An expression that the name of a receiver matches."),
    choice("active", &["true", "false"], "Those that people are told of; unless `false`."),
    choice("silenced", &["true", "false"], "Those that are silenced; unless `false`."),
    choice("inhibited", &["true", "false"], "Those that are inhibited; unless `false`."),
    choice("unprocessed", &["true", "false"], "Taken for the sake of clients: there are none."),
];

pub(super) fn routes() -> Routes {
    Routes::new("Alertmanager")
        .get(
            "/api/v2/alerts",
            list,
            Op::new("listAlertmanagerAlerts", "Alerts that go on")
                .params(&FILTERS)
                .gives::<Vec<GettableAlert>>(),
        )
        .get(
            "/api/v2/alerts/groups",
            groups,
            Op::new("listAlertmanagerGroups", "Alerts by group and receiver")
                .params(&FILTERS)
                .gives::<Vec<AlertGroup>>(),
        )
}

pub(super) fn intake_routes() -> Routes {
    Routes::new("Alertmanager").post(
        "/api/v2/alerts",
        post,
        Op::new("postAlertmanagerAlerts", "Takes alerts, as a Prometheus sends them")
            .takes::<Vec<PostableAlert>>()
            .gives_nothing(200)
            .refuses(&[422]),
    )
}

/// An alert.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GettableAlert {
    annotations: Labels,
    ends_at: Moment,
    /// A digest of its labels.
    fingerprint: String,
    receivers: Vec<Receiver>,
    starts_at: Moment,
    status: Status,
    updated_at: Moment,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    generator_url: String,
    labels: Labels,
}

/// Who is told.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[schemars(rename = "AlertmanagerReceiver")]
pub(super) struct Receiver {
    pub(super) name: String,
}

/// Whether anybody is told.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertmanagerAlertStatus")]
struct Status {
    /// Digests of alerts.
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
    /// Ids of silences.
    silenced_by: Vec<String>,
    /// `active` or `suppressed`.
    state: &'static str,
}

/// A group of alerts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlertmanagerAlertGroup")]
struct AlertGroup {
    alerts: Vec<GettableAlert>,
    labels: Labels,
    receiver: Receiver,
}

/// An alert as it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PostableAlert {
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Option<Moment>,
    ends_at: Option<Moment>,
    #[serde(rename = "generatorURL", default)]
    generator_url: String,
}

/// Which alerts are asked for.
struct Wanted {
    filters: Vec<alert::routing::Matcher>,
    receiver: Option<alert::routing::Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Fault> {
        let receiver = params.get("receiver").map(|text| {
            let read = alert::routing::Matcher::new("receiver", model::MatchOp::Regex, text);
            read.map_err(|error| {
                Fault::invalid("", format!("failed to parse receiver param: {}", error.reason))
            })
        });
        Ok(Self {
            filters: filters(params)?,
            receiver: receiver.transpose()?,
            active: switch(params, "active"),
            silenced: switch(params, "silenced"),
            inhibited: switch(params, "inhibited"),
        })
    }

    fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| receiver.matches_value(name))
    }

    fn takes(&self, alert: &Alert, suppression: Option<&Suppression>) -> bool {
        let shown = match suppression {
            None => self.active,
            Some(Suppression::Silenced(_)) => self.silenced,
            Some(Suppression::Inhibited(_)) => self.inhibited,
        };
        shown && fits(&self.filters, |name| alert.labels.get(name).map(String::as_str))
    }
}

fn gettable(
    alert: &Alert,
    receivers: &[String],
    suppression: Option<&Suppression>,
    now: i64,
) -> GettableAlert {
    let (mut silenced_by, mut inhibited_by) = (Vec::new(), Vec::new());
    match suppression {
        None => {}
        Some(Suppression::Silenced(ids)) => silenced_by.clone_from(ids),
        Some(Suppression::Inhibited(by)) => inhibited_by.push(format!("{by:016x}")),
    }
    GettableAlert {
        annotations: alert.annotations.clone(),
        ends_at: Moment(alert.ends_at.unwrap_or(now + RESOLVE_MS)),
        fingerprint: format!("{:016x}", fingerprint(&alert.labels)),
        receivers: receivers.iter().map(|name| Receiver { name: name.clone() }).collect(),
        starts_at: Moment(alert.starts_at),
        status: Status {
            inhibited_by,
            muted_by: Vec::new(),
            silenced_by,
            state: if suppression.is_some() { "suppressed" } else { "active" },
        },
        updated_at: Moment(alert.updated_at),
        generator_url: alert.generator_url.clone(),
        labels: alert.labels.clone(),
    }
}

async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Vec<GettableAlert>>, Refusal> {
    identity.reach().need_whole("alerts")?;
    let wanted = Wanted::read(&params)?;
    let (engine, now) = (app.engine_of(&identity.tenant).await?, app.now_ms());
    let mut found = Vec::new();
    for ShownAlert { alert, receivers, suppression } in engine.desk().alerts(now).await {
        let told = wanted.receiver.is_none() || receivers.iter().any(|name| wanted.takes_receiver(name));
        if told && wanted.takes(&alert, suppression.as_ref()) {
            found.push(gettable(&alert, &receivers, suppression.as_ref(), now));
        }
    }
    found.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    Ok(Json(found))
}

async fn groups(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Json<Vec<AlertGroup>>, Refusal> {
    identity.reach().need_whole("alerts")?;
    let wanted = Wanted::read(&params)?;
    let (engine, now) = (app.engine_of(&identity.tenant).await?, app.now_ms());
    let told: BTreeMap<u64, Vec<String>> =
        engine.desk().alerts(now).await.into_iter().map(|one| (one.alert.identity, one.receivers)).collect();
    let mut found = Vec::new();
    for group in engine.desk().groups(now).await {
        for receiver in group.receivers.iter().filter(|name| wanted.takes_receiver(name)) {
            let mut alerts = Vec::new();
            for (alert, suppression) in &group.alerts {
                if !alert.is_resolved(now) && wanted.takes(alert, suppression.as_ref()) {
                    let receivers = told.get(&alert.identity).map(Vec::as_slice).unwrap_or_default();
                    alerts.push(gettable(alert, receivers, suppression.as_ref(), now));
                }
            }
            if !alerts.is_empty() {
                alerts.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
                let receiver = Receiver { name: receiver.clone() };
                found.push(AlertGroup { alerts, labels: group.labels.clone(), receiver });
            }
        }
    }
    found.sort_by(|a, b| a.labels.cmp(&b.labels).then_with(|| a.receiver.cmp(&b.receiver)));
    Ok(Json(found))
}

async fn post(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let bytes = body::read(body, BYTES_MAX).await?;
    let sent: Vec<PostableAlert> = crate::json::parse(&bytes)?;
    if sent.len() > ALERTS_MAX {
        let text = format!("{} alerts in one request: send at most {ALERTS_MAX}", sent.len());
        return Err(Fault::TooLarge(text).into());
    }
    if let Some(n) = sent.iter().position(|alert| alert.labels.is_none()) {
        return Err(Refusal::Unfit(format!("{n}.labels in body is required")));
    }
    let now = app.now_ms();
    let resolve_ms = app.resolve_timeout_ms(&identity.tenant).await?;
    let (mut good, mut wrong) = (Vec::with_capacity(sent.len()), Vec::new());
    for alert in sent {
        match read(alert, now, resolve_ms) {
            Ok(alert) => good.push(alert),
            Err(text) => wrong.push(text),
        }
    }
    if !good.is_empty() {
        app.receive_alerts(&identity.tenant, good).await?;
    }
    match wrong.is_empty() {
        true => Ok(StatusCode::OK),
        false => Err(Fault::invalid("", wrong.join("; ")).into()),
    }
}

/// An alert as it is taken: with a start, and an end that comes unless it is heard of again.
fn read(sent: PostableAlert, now: i64, resolve_ms: i64) -> Result<Alert, String> {
    let given = |at: Option<Moment>| at.map(|at| at.0).filter(|at| *at > ZERO_BEFORE_MS);
    let (starts, ends) = (given(sent.starts_at), given(sent.ends_at));
    let starts_at = starts.or(ends).unwrap_or(now);
    let ends_at = ends.unwrap_or(now.saturating_add(resolve_ms));
    let mut labels = sent.labels.unwrap_or_default();
    labels.retain(|_, value| !value.is_empty());
    if labels.is_empty() {
        return Err("at least one label pair required".to_owned());
    }
    for (name, _) in labels.iter().chain(&sent.annotations) {
        if name.is_empty() || name.len() > 1_024 {
            return Err(format!(
                "invalid label set: invalid name {:?}",
                name.chars().take(80).collect::<String>()
            ));
        }
    }
    if starts_at > ends_at {
        return Err("start time must be before end time".to_owned());
    }
    let identity = fingerprint(&labels);
    let (annotations, generator_url) = (sent.annotations, sent.generator_url);
    Ok(Alert {
        identity,
        labels,
        annotations,
        generator_url,
        starts_at,
        ends_at: Some(ends_at),
        updated_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_taken_as_alertmanager_takes_them() {
        let at = |text: &str| serde_json::from_str::<PostableAlert>(text).expect(text);
        /// What is sent, and its start and end or what is said.
        type Row = (&'static str, Result<(i64, i64), &'static str>);
        let rows: [Row; 7] = [
            (r#"{"labels":{"a":"b"}}"#, Ok((1_000, 301_000))),
            (r#"{"labels":{"a":"b"},"endsAt":"0001-01-01T00:00:00Z"}"#, Ok((1_000, 301_000))),
            (r#"{"labels":{"a":"b"},"startsAt":"1970-01-01T00:00:00.5Z"}"#, Ok((500, 301_000))),
            (r#"{"labels":{"a":"b"},"endsAt":"1970-01-01T00:00:00.7Z"}"#, Ok((700, 700))),
            (r#"{"labels":{"a":""}}"#, Err("at least one label pair required")),
            (r#"{"labels":{}}"#, Err("at least one label pair required")),
            (
                r#"{"labels":{"a":"b"},"startsAt":"1970-01-01T00:00:09Z","endsAt":"1970-01-01T00:00:08Z"}"#,
                Err("start time must be before end time"),
            ),
        ];
        for (text, want) in rows {
            let got =
                read(at(text), 1_000, RESOLVE_MS).map(|alert| (alert.starts_at, alert.ends_at.unwrap_or(0)));
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }
}
