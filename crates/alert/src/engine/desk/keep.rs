//! What a start goes on from.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;

use db::jobs::Jobs;
use model::TenantId;
use tokio::sync::{Mutex, Notify};

use super::super::EngineError;
use super::super::setup::Setup;
use super::{Desk, Inner, alert_of, known_of};
use crate::routing::{Bounds, Dispatcher};
use crate::tables::{EventFilter, EventState, PAGE_MAX, Tables};

impl Desk {
    pub(in super::super) async fn open(
        tenant: TenantId,
        tables: Tables,
        jobs: Jobs,
        now: i64,
        setup: Setup,
    ) -> Result<Self, EngineError> {
        let snapshots = tables.groups().await?;
        let before: Vec<String> = snapshots.iter().map(|snapshot| snapshot.key.clone()).collect();
        let (dispatcher, inserted) =
            Dispatcher::restore(setup.routing.clone(), Bounds::default(), snapshots, now);
        let told = tables.told(now).await?.into_iter();
        let silences = tables.silences().await?.into_iter();
        let mut inner = Inner {
            setup,
            dispatcher,
            told: told.map(|entry| ((entry.group.clone(), entry.receiver.clone()), entry)).collect(),
            silences: silences.map(|silence| (silence.id.clone(), silence)).collect(),
            active: BTreeMap::new(),
            known: HashMap::new(),
            // Anything left behind is handed over at the first tick.
            swept_at: i64::MIN,
        };
        let shared = Mutex::new(Self::empty(&inner));
        let (came, opened) = (Notify::new(), AtomicBool::new(false));
        let desk = Self { tenant, tables, jobs, inner: shared, came, opened };
        let mut alerts = Vec::new();
        let mut filter = EventFilter {
            states: vec![EventState::Firing, EventState::Acknowledged],
            ..EventFilter::default()
        };
        loop {
            let page = desk.tables.events(&filter, PAGE_MAX).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.fired_at, last.id.clone()));
            for event in &page {
                let mut alert = alert_of(event);
                if event.rule == super::others::RULE {
                    alert.ends_at = Some(now.saturating_add(super::RESOLVE_MS));
                }
                inner.known.insert(alert.identity, (known_of(event), None));
                alerts.push(alert);
            }
        }
        // Those that are there already do not change their groups by being heard of again.
        desk.insert(&mut inner, alerts, now).await?;
        desk.keep_groups(&inner, &before, now).await?;
        for flush in inserted.alone {
            desk.speak(&mut inner, &flush).await?;
        }
        *desk.inner.lock().await = inner;
        Ok(desk)
    }

    fn empty(like: &Inner) -> Inner {
        Inner {
            setup: like.setup.clone(),
            dispatcher: Dispatcher::new(like.setup.routing.clone(), Bounds::default()),
            told: BTreeMap::new(),
            silences: BTreeMap::new(),
            active: BTreeMap::new(),
            known: HashMap::new(),
            swept_at: i64::MIN,
        }
    }

    /// Writes groups as they are now; those that are gone are removed.
    pub(super) async fn keep_groups(
        &self,
        inner: &Inner,
        keys: &[String],
        now: i64,
    ) -> Result<(), EngineError> {
        let mut keys: Vec<&String> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let groups: Vec<_> =
            keys.into_iter().map(|key| (key.clone(), inner.dispatcher.snapshot(key))).collect();
        if groups.is_empty() {
            return Ok(());
        }
        Ok(self.tables.keep_groups(&groups, now).await?)
    }
}
