//! Bytes of telemetry that tenants have on disk, and what is refused over the limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::Mutex;

use super::{Limit, State};
use crate::app::App;
use crate::error::Fault;

/// How long a look at all segments is good for. Heads, which grow with every write, are looked at each time.
const FRESH: Duration = Duration::from_secs(3);

/// Bytes of every tenant's segments, as of a moment on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Stored(Mutex<Option<Seen>>);

#[derive(Clone, Debug)]
struct Seen {
    at: Duration,
    bytes: Arc<BTreeMap<TenantId, u64>>,
}

impl Stored {
    fn segments(&self, engine: &store::Engine, now: Duration) -> Arc<BTreeMap<TenantId, u64>> {
        let mut seen = self.0.lock();
        if let Some(seen) = seen.as_ref().filter(|seen| now.saturating_sub(seen.at) < FRESH) {
            return Arc::clone(&seen.bytes);
        }
        let bytes = Arc::new(engine.segment_bytes());
        *seen = Some(Seen { at: now, bytes: Arc::clone(&bytes) });
        bytes
    }
}

impl App {
    /// Refuses a write of a tenant that has as many bytes on disk as it may. Costs nothing without that limit.
    pub(crate) fn check_stored_bytes(&self, state: &State) -> Result<(), Fault> {
        let Some(most) = state.limits().stored_bytes else { return Ok(()) };
        let (store, tenant) = (self.store()?, state.tenant());
        let segments = self.tenant_limits().stored.segments(store.engine(), self.clock().monotonic());
        let used = segments.get(&tenant).copied().unwrap_or(0) + store.engine().head_bytes(&tenant);
        if used < most {
            return Ok(());
        }
        self.count_refused(state, Limit::StoredBytes, 1);
        Err(Fault::TooMany(format!(
            "{used} bytes of telemetry are stored and {most} may be (limits.stored_bytes of the tenant): delete some, keep \
             it for less long, or ask for a higher limit"
        )))
    }

    /// The same for what comes without a request.
    pub(crate) async fn check_room(&self, tenant: &TenantId) -> Result<(), Fault> {
        match self.tenant_state(tenant).await {
            Some(state) => self.check_stored_bytes(&state),
            None => Ok(()),
        }
    }
}
