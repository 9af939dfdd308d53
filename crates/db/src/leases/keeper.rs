//! Renews leases in the background, and tells which were lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{BoxError, HealthStatus, Service, Shutdown};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::leases::{Lease, LeaseError, Leases};

/// Renewals within the time of a lease: two may fail before one is lost.
const RENEWALS_PER_TTL: u32 = 3;

/// How often names that nobody wants any more are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// Who keeps, and for how long at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperSettings {
    /// The node. Two keepers of the same name take each other's leases away.
    pub owner: String,
    /// A dead node's leases are free after this and [`crate::leases::SKEW_MAX`].
    pub ttl: Duration,
}

/// Keeps the leases of a node. Clones share it. As a service it renews them and, at the end, lets go of them.
#[derive(Clone)]
pub struct LeaseKeeper {
    shared: Arc<Shared>,
}

struct Shared {
    leases: Leases,
    settings: KeeperSettings,
    state: Mutex<State>,
    has_lost: Notify,
}

#[derive(Default)]
struct State {
    kept: BTreeMap<String, Kept>,
    /// Not yet told; at most one of each name.
    lost: BTreeMap<String, Lease>,
    trouble: Option<String>,
}

struct Kept {
    lease: Lease,
    /// Until when it is ours for certain, by the clock that does not go back: counted from before the request,
    /// so it is over here before it is over in the database.
    until: Duration,
}

impl fmt::Debug for LeaseKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseKeeper").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl LeaseKeeper {
    /// A keeper without leases.
    pub fn new(leases: Leases, settings: KeeperSettings) -> Self {
        let (state, has_lost) = (Mutex::default(), Notify::new());
        Self { shared: Arc::new(Shared { leases, settings, state, has_lost }) }
    }

    fn monotonic(&self) -> Duration {
        self.shared.leases.clock.monotonic()
    }

    /// Takes those of the names that nobody else holds, and keeps them. Names that are kept already stay as
    /// they are. Answers the new ones.
    pub async fn acquire(&self, names: &[String]) -> Result<Vec<Lease>, LeaseError> {
        let missing: Vec<String> = {
            let state = self.shared.state.lock();
            names.iter().filter(|name| !state.kept.contains_key(*name)).cloned().collect()
        };
        let KeeperSettings { owner, ttl } = &self.shared.settings;
        let until = self.monotonic().saturating_add(*ttl);
        let leases = self.shared.leases.acquire_all(&missing, owner, *ttl).await?;
        let mut state = self.shared.state.lock();
        for lease in &leases {
            state.lost.remove(&lease.name);
            state.kept.insert(lease.name.clone(), Kept { lease: lease.clone(), until });
        }
        Ok(leases)
    }

    /// The epoch under which a name is held at this moment; to be asked before each effect.
    pub fn epoch(&self, name: &str) -> Option<i64> {
        let now = self.monotonic();
        let state = self.shared.state.lock();
        state.kept.get(name).filter(|kept| now < kept.until).map(|kept| kept.lease.epoch)
    }

    /// What is held at this moment, in order of the names.
    pub fn held(&self) -> Vec<Lease> {
        let now = self.monotonic();
        let state = self.shared.state.lock();
        state.kept.values().filter(|kept| now < kept.until).map(|kept| kept.lease.clone()).collect()
    }

    /// Stops keeping these names, and lets others have them at once.
    pub async fn release(&self, names: &[String]) -> Result<(), LeaseError> {
        let leases: Vec<Lease> = {
            let mut state = self.shared.state.lock();
            names.iter().filter_map(|name| state.kept.remove(name)).map(|kept| kept.lease).collect()
        };
        self.shared.leases.release(&leases).await
    }

    /// Waits until leases were lost, and tells which. Each is told once, to one who waits.
    pub async fn lost(&self) -> Vec<Lease> {
        loop {
            let lost = std::mem::take(&mut self.shared.state.lock().lost);
            if !lost.is_empty() {
                return lost.into_values().collect();
            }
            // A permit is stored when nobody waits, so what is lost in between is not missed.
            self.shared.has_lost.notified().await;
        }
    }

    /// Renews all that is kept, and gives up what others took or what could not be renewed in time.
    pub async fn renew(&self) {
        let mine: Vec<Lease> = {
            let state = self.shared.state.lock();
            state.kept.values().map(|kept| kept.lease.clone()).collect()
        };
        if mine.is_empty() {
            self.shared.state.lock().trouble = None;
            return;
        }
        let ttl = self.shared.settings.ttl;
        let until = self.monotonic().saturating_add(ttl);
        let renewed = self.shared.leases.renew_all(&mine, ttl).await;
        let now = self.monotonic();
        let lost: Vec<Lease> = {
            let mut state = self.shared.state.lock();
            match renewed {
                Ok(held) => {
                    state.trouble = None;
                    let held: BTreeMap<&str, i64> = held.iter().map(|l| (l.name.as_str(), l.epoch)).collect();
                    for lease in &mine {
                        // What was released or taken anew meanwhile is another lease.
                        let Some(kept) = state.kept.get_mut(&lease.name) else { continue };
                        if kept.lease.epoch == lease.epoch {
                            let is_held = held.get(lease.name.as_str()) == Some(&lease.epoch);
                            kept.until = if is_held { until } else { Duration::ZERO };
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, leases = mine.len(), "leases cannot be renewed");
                    state.trouble = Some(error.to_string());
                }
            }
            let over = state.kept.extract_if(.., |_, kept| kept.until <= now);
            let over: Vec<Lease> = over.map(|(_, kept)| kept.lease).collect();
            for lease in &over {
                state.lost.insert(lease.name.clone(), lease.clone());
            }
            over
        };
        if !lost.is_empty() {
            tracing::warn!(leases = lost.len(), first = lost[0].name, "leases were lost");
            self.shared.has_lost.notify_one();
        }
    }
}

#[async_trait]
impl Service for LeaseKeeper {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        let mut swept_at = None::<Duration>;
        loop {
            let wait = self.shared.settings.ttl / RENEWALS_PER_TTL;
            tokio::select! {
                () = shutdown.requested() => break,
                () = self.shared.leases.clock.sleep(wait) => self.renew().await,
            }
            let now = self.monotonic();
            if swept_at.is_none_or(|at| now.saturating_sub(at) >= SWEEP_INTERVAL) {
                swept_at = Some(now);
                if let Err(error) = self.shared.leases.sweep().await {
                    tracing::warn!(%error, "old leases cannot be removed");
                }
            }
        }
        let names: Vec<String> = self.shared.state.lock().kept.keys().cloned().collect();
        self.release(&names).await?;
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(match &self.shared.state.lock().trouble {
            None => HealthStatus::healthy(),
            Some(trouble) => HealthStatus::unhealthy(format!("leases cannot be renewed: {trouble}")),
        })
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        vec![("leases_held".to_owned(), self.held().len() as f64)]
    }
}
