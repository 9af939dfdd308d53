//! `/api/v1/admin/tsdb/*`: deletion by matcher. Always needs a token.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::TimeRange;
use serde_json::json;

use super::metadata::selectors;
use super::params::Params;
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{Fault, PromFault};
use crate::openapi::{Op, Routes, string, time};

/// Deletion by matcher.
pub(super) fn routes() -> Routes {
    let of_delete = |id| {
        Op::new(id, "Deletes samples of the series that any selector finds")
            .params(&[
                string("match[]", "A selector of series.").repeated().required(),
                time("start", "First time: Unix seconds or RFC 3339. All time unless given."),
                time("end", "Last time, likewise."),
            ])
            .gives_nothing(204)
    };
    let of_clean = |id| Op::new(id, "Drops bytes of deleted samples soon").gives_nothing(204);
    let base = "/api/v1/admin/tsdb";
    let (delete, clean) = (&format!("{base}/delete_series"), &format!("{base}/clean_tombstones"));
    Routes::new("Prometheus")
        .post(delete, delete_series, of_delete("deleteSeries"))
        .put(delete, delete_series, of_delete("deleteSeriesByPut"))
        .post(clean, clean_tombstones, of_clean("cleanTombstones"))
        .put(clean, clean_tombstones, of_clean("cleanTombstonesByPut"))
}

/// Hides the samples of the matching series at once; their bytes go when their segments are next rewritten.
async fn delete_series(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<StatusCode, PromFault> {
    let sets = selectors(&params)?;
    if sets.is_empty() {
        return Err(Fault::invalid("match[]", "no match[] parameter provided").into());
    }
    let range = TimeRange {
        start_ms: params.time("start")?.unwrap_or(i64::MIN),
        end_ms: params.time("end")?.map_or(i64::MAX, |t| t.saturating_add(1)),
    };
    for matchers in sets {
        // Who sees a part deletes of that part.
        let matchers = identity.reach().narrow_series(matchers)?;
        app.delete_series(&identity.tenant, matchers, range).await?;
    }
    let detail = json!({
        "match": params.all("match[]").collect::<Vec<_>>(),
        "start": params.get("start"),
        "end": params.get("end"),
    });
    audited(&app, &identity, &identity.tenant, "data:delete", "metrics", &detail);
    Ok(StatusCode::NO_CONTENT)
}

/// Upstream's call to drop deleted bytes now; here compaction does it by itself within a day.
async fn clean_tombstones(State(app): State<SharedApp>) -> StatusCode {
    app.compact_soon();
    StatusCode::NO_CONTENT
}
