//! Hosts that send metrics under node_exporter's names: this one, those with an agent, scraped ones; with the time
//! each was last heard of.

use std::collections::BTreeMap;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use model::{Labels, METRIC_NAME, MatchOp, Matcher, SampleColumns, TimeRange};
use serde_json::{Value, json};

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::realtime::timestamp;

/// Hosts that were not heard of for longer are left out.
const REACH_MS: i64 = 7 * 24 * 3600 * 1000;
/// A host is gone when it was not heard of for this long.
const GONE_MS: i64 = 60 * 1000;

struct Host {
    labels: Labels,
    seen_ms: i64,
}

/// Every host, by name.
pub(crate) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, ApiFault> {
    let deadline = app.query_deadline(&identity.tenant);
    let snapshot = app.metric_snapshot(&identity.reach(), deadline).await?;
    let now_ms = app.now_ms();
    let hosts = app
        .in_slot(&identity.tenant, "hosts", deadline, move || {
            let matcher = Matcher::new(METRIC_NAME, MatchOp::Equal, "node_uname_info")
                .map_err(|error| Fault::Internal(error.to_string()))?;
            let range = TimeRange { start_ms: now_ms - REACH_MS, end_ms: i64::MAX };
            let failed = |error: store::StoreError| Fault::Internal(error.to_string());
            let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
            for series in snapshot.select(&[matcher], range).map_err(failed)? {
                let mut columns = SampleColumns::default();
                series.read(range, &mut columns).map_err(failed)?;
                let Some(seen_ms) = columns.t_ms.last().copied() else { continue };
                let labels = series.labels().clone();
                let name = labels.get("instance").unwrap_or("unknown").to_owned();
                // A host that was upgraded has several; the last one counts.
                if hosts.get(&name).is_none_or(|known| known.seen_ms < seen_ms) {
                    hosts.insert(name, Host { labels, seen_ms });
                }
            }
            Ok(hosts)
        })
        .await?;
    let hosts: Vec<Value> = hosts
        .iter()
        .map(|(name, host)| {
            let label = |key: &str| host.labels.get(key).unwrap_or("");
            json!({
                "name": name,
                "last_seen": timestamp(host.seen_ms),
                "state": if now_ms - host.seen_ms > GONE_MS { "gone" } else { "up" },
                "system": label("sysname"),
                "release": label("release"),
                "machine": label("machine"),
                "job": label("job"),
            })
        })
        .collect();
    Ok(axum::Json(json!({ "hosts": hosts })).into_response())
}
