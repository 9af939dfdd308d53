//! Hosts that send metrics under node_exporter's names: this one, those with an agent, scraped ones; with the time
//! each was last heard of.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Extension, State};
use model::{Labels, METRIC_NAME, MatchOp, Matcher, SampleColumns, TimeRange};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::Moment;

/// Hosts that were not heard of for longer are left out.
const REACH_MS: i64 = 7 * 24 * 3600 * 1000;
/// A host is gone when it was not heard of for this long.
const GONE_MS: i64 = 60 * 1000;

/// Hosts by name.
#[derive(Serialize, JsonSchema)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
}

/// A host that sends metrics.
#[derive(Serialize, JsonSchema)]
struct Host {
    name: String,
    /// When a metric of it last came.
    last_seen: Moment,
    state: HostState,
    /// The operating system, such as `Linux`; empty where it is not known, as are the next ones.
    system: String,
    /// The release of the kernel.
    release: String,
    /// The kind of machine, such as `x86_64`.
    machine: String,
    /// What collects its metrics.
    job: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum HostState {
    /// It was heard of within the last minute.
    Up,
    Gone,
}

/// What is known of a host.
struct Known {
    labels: Labels,
    seen_ms: i64,
}

/// Every host, by name.
pub(super) async fn list(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Hosts>, ApiFault> {
    let deadline = app.query_deadline(&identity.tenant);
    let snapshot = app.metric_snapshot(&identity.reach(), deadline).await?;
    let now_ms = app.now_ms();
    let hosts = app
        .in_slot(&identity.tenant, "hosts", deadline, move || {
            let matcher = Matcher::new(METRIC_NAME, MatchOp::Equal, "node_uname_info")
                .map_err(|error| Fault::Internal(error.to_string()))?;
            let range = TimeRange { start_ms: now_ms - REACH_MS, end_ms: i64::MAX };
            let failed = |error: store::StoreError| Fault::Internal(error.to_string());
            let mut hosts: BTreeMap<String, Known> = BTreeMap::new();
            for series in snapshot.select(&[matcher], range).map_err(failed)? {
                let mut columns = SampleColumns::default();
                series.read(range, &mut columns).map_err(failed)?;
                let Some(seen_ms) = columns.t_ms.last().copied() else { continue };
                let labels = series.labels().clone();
                let name = labels.get("instance").unwrap_or("unknown").to_owned();
                // A host that was upgraded has several; the last one counts.
                if hosts.get(&name).is_none_or(|known| known.seen_ms < seen_ms) {
                    hosts.insert(name, Known { labels, seen_ms });
                }
            }
            Ok(hosts)
        })
        .await?;
    let hosts = hosts
        .into_iter()
        .map(|(name, known)| {
            let label = |key: &str| known.labels.get(key).unwrap_or("").to_owned();
            Host {
                name,
                last_seen: Moment(known.seen_ms),
                state: if now_ms - known.seen_ms > GONE_MS { HostState::Gone } else { HostState::Up },
                system: label("sysname"),
                release: label("release"),
                machine: label("machine"),
                job: label("job"),
            }
        })
        .collect();
    Ok(Json(Hosts { hosts }))
}
