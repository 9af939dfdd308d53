//! Which of several servers does the alerting of a tenant: the one that holds its lease. Its rules, groups of rules and
//! groups of alerts go together, since alerts of all of them are gathered in one place.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use db::leases::{KeeperSettings, LeaseKeeper, Leases};
use model::TenantId;

use super::Seat;
use crate::app::{App, SharedApp};
use crate::error::Fault;

/// How long the tenants of a server that died rest.
const TTL: Duration = Duration::from_secs(15);
/// How often a server in reserve tries.
const RETRY_MS: i64 = 5_000;

/// What is held for a tenant.
fn name(tenant: &TenantId) -> String {
    format!("alerting/{tenant}")
}

/// The keeper of this server's leases.
pub(crate) fn keeper(app: &App, leases: Leases) -> LeaseKeeper {
    // Two servers of one machine listen on different ports; one that starts again has its name.
    let owner = format!("{} {}", app.hostname(), app.settings().server.listen);
    LeaseKeeper::new(leases, KeeperSettings { owner: owner.chars().take(100).collect(), ttl: TTL })
}

/// Whether this server does the alerting of a tenant now. One that it takes over is read anew first, and is its own from
/// the next time on.
pub(super) async fn is_ours(app: &SharedApp, seat: &Arc<Seat>, now: i64) -> Result<bool, Fault> {
    let keeper = app.response().keeper()?;
    let name = name(&seat.tenant);
    if keeper.epoch(&name).is_some() {
        return Ok(!seat.was_others.load(Ordering::Relaxed) || reopen(app, seat).await?);
    }
    if now.saturating_sub(seat.asked_at.load(Ordering::Relaxed)) < RETRY_MS {
        return Ok(false);
    }
    let first = seat.asked_at.swap(now, Ordering::Relaxed) == i64::MIN;
    let taken = keeper.acquire(&[name]).await.map_err(|error| Fault::Unavailable(error.to_string()))?;
    if taken.is_empty() {
        seat.was_others.store(true, Ordering::Relaxed);
        return Ok(false);
    }
    // A seat that stood while another server had the tenant does not know what that one did.
    if first { Ok(true) } else { reopen(app, seat).await }
}

async fn reopen(app: &SharedApp, seat: &Seat) -> Result<bool, Fault> {
    app.response().forget(&seat.tenant);
    app.seat_of(&seat.tenant).await?;
    Ok(false)
}

impl App {
    /// The alerting of a tenant, to change something of it: only on the server that does it.
    pub(crate) async fn engine_to_change(
        self: &SharedApp,
        tenant: &TenantId,
    ) -> Result<alert::engine::Engine, Fault> {
        for _ in 0..2 {
            let seat = self.seat_of(tenant).await?;
            seat.asked_at.fetch_min(i64::MIN + 1, Ordering::Relaxed);
            if is_ours(self, &seat, self.now_ms()).await? {
                return Ok(seat.engine.clone());
            }
            if self.response().keeper()?.epoch(&name(tenant)).is_none() {
                break;
            }
        }
        let text = "another server does the alerting of this tenant: send it there, or try again in a moment";
        Err(Fault::Unavailable(text.to_owned()))
    }
}
