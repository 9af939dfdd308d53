//! Who is told: alerts go in, groups speak, what they say is written down and handed to the queue.

mod keep; // what a start goes on from
mod open; // what a group opens
mod others; // alerts that others raise
mod speak; // what a group says

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use db::jobs::Jobs;
use model::TenantId;
use tokio::sync::{Mutex, Notify};

use super::message::Known;
use super::setup::Setup;
use super::{EngineError, is_open};
use crate::Labels;
use crate::number;
use crate::routing::{Alert, Bounds, Dispatcher, Flush, Inhibitor, LogEntry, Silence, Visit};
use crate::tables::{Event, Tables};

/// What is known of an alert that is over is kept this long, for a group that tells of it late.
const KNOWN_MS: i64 = 86_400_000;
/// How often it is looked for what was left behind.
const SWEEP_MS: i64 = 60_000;

/// After how long an alert of others that is not heard of again counts as resolved, unless a file says otherwise:
/// Alertmanager's `resolve_timeout`. A start gives them so long anew.
pub const RESOLVE_MS: i64 = 300_000;
/// Alerts of others that are held; further ones are refused.
const OTHERS_MAX: usize = 100_000;

/// Why nobody is told of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// These silences hold for it.
    Silenced(Vec<String>),
    /// The alert with this identity inhibits it.
    Inhibited(u64),
}

/// Who would be told of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// Every route that was asked, and what it answered.
    pub visits: Vec<Visit>,
    /// Names of the channels, in order.
    pub channels: Vec<String>,
    /// Why nobody is told after all.
    pub suppression: Option<Suppression>,
}

/// Who is told.
pub struct Desk {
    tenant: TenantId,
    pub(super) tables: Tables,
    jobs: Jobs,
    pub(super) inner: Mutex<Inner>,
    /// Woken when something came in that may be due before what was waited for.
    came: Notify,
    /// A group opened an incident, so that somebody may have to be called.
    opened: AtomicBool,
}

pub(super) struct Inner {
    setup: Setup,
    dispatcher: Dispatcher,
    /// What was last told, by group and receiver.
    told: BTreeMap<(String, String), LogEntry>,
    pub(super) silences: BTreeMap<String, Silence>,
    /// Alerts that go on, by identity.
    pub(super) active: BTreeMap<u64, Alert>,
    /// What only their events know, and since when they are over.
    known: HashMap<u64, (Known, Option<i64>)>,
    swept_at: i64,
}

/// An event as routing sees it.
pub(super) fn alert_of(event: &Event) -> Alert {
    Alert {
        identity: u64::from_str_radix(&event.fingerprint, 16).unwrap_or_default(),
        labels: event.labels.clone(),
        annotations: event.annotations.clone(),
        generator_url: String::new(),
        starts_at: event.fired_at,
        ends_at: event.ends_at,
        updated_at: event.updated_at,
    }
}

fn known_of(event: &Event) -> Known {
    let value = if event.value.is_nan() { String::new() } else { number::text(event.value) };
    Known { event: Some(event.id.clone()), value, runbook: event.runbook.clone() }
}

impl Desk {
    /// Channels and routes from now on.
    pub(super) async fn set_up(&self, setup: Setup, now: i64) -> Result<(), EngineError> {
        let mut inner = self.inner.lock().await;
        let snapshots = inner.dispatcher.snapshots();
        let before: Vec<String> = snapshots.iter().map(|snapshot| snapshot.key.clone()).collect();
        let (dispatcher, mut inserted) =
            Dispatcher::restore(setup.routing.clone(), Bounds::default(), snapshots, now);
        inner.dispatcher = dispatcher;
        inner.setup = setup;
        let active: Vec<Alert> = inner.active.values().cloned().collect();
        for alert in active {
            let more = inner.dispatcher.insert(alert, now);
            inserted.groups.extend(more.groups);
            inserted.alone.extend(more.alone);
        }
        inserted.groups.extend(before);
        self.keep_groups(&inner, &inserted.groups, now).await?;
        for flush in inserted.alone {
            self.speak(&mut inner, &flush).await?;
        }
        self.came.notify_one();
        Ok(())
    }

    /// Takes alerts of our rules, as they are now.
    pub(super) async fn take(&self, alerts: Vec<Alert>, now: i64) -> Result<(), EngineError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let mut inner = self.inner.lock().await;
        for alert in &alerts {
            // The newest event of this identity is the one that changed.
            let event = self.tables.latest_event(alert.identity).await?;
            if let Some(event) = event {
                let over = (!is_open(&event)).then_some(now);
                inner.known.insert(alert.identity, (known_of(&event), over));
            }
        }
        self.insert(&mut inner, alerts, now).await
    }

    async fn insert(&self, inner: &mut Inner, alerts: Vec<Alert>, now: i64) -> Result<(), EngineError> {
        let (mut groups, mut alone) = (Vec::new(), Vec::new());
        for alert in alerts {
            match alert.is_resolved(now) {
                true => drop(inner.active.remove(&alert.identity)),
                false => drop(inner.active.insert(alert.identity, alert.clone())),
            }
            let inserted = inner.dispatcher.insert(alert, now);
            groups.extend(inserted.groups);
            alone.extend(inserted.alone);
        }
        self.keep_groups(inner, &groups, now).await?;
        for flush in alone {
            self.speak(inner, &flush).await?;
        }
        self.came.notify_one();
        Ok(())
    }

    /// Lets groups speak that are due. Answers when there is next something to do, and events that ended since they were
    /// not heard of again.
    pub(super) async fn tick(&self, now: i64) -> Result<(Option<i64>, Vec<Event>), EngineError> {
        let mut inner = self.inner.lock().await;
        let ended = self.end_unheard(&mut inner, now).await?;
        for flush in inner.dispatcher.tick(now) {
            self.speak(&mut inner, &flush).await?;
        }
        if now.saturating_sub(inner.swept_at) >= SWEEP_MS {
            inner.swept_at = now;
            self.sweep(&mut inner, now).await?;
        }
        let ends = inner.active.values().filter_map(|alert| alert.ends_at).min();
        let next = [inner.dispatcher.deadline(), ends, Some(now + SWEEP_MS)].into_iter().flatten().min();
        Ok((next, ended))
    }

    /// Whether a group opened an incident since the last call.
    pub(super) fn has_opened(&self) -> bool {
        self.opened.swap(false, Ordering::Relaxed)
    }

    /// Whether no group holds an alert; false while somebody works on them.
    pub(super) fn is_idle(&self) -> bool {
        self.inner.try_lock().is_ok_and(|inner| inner.dispatcher.groups().next().is_none())
    }

    /// Resolves when something came in since the last call.
    pub async fn came(&self) {
        self.came.notified().await;
    }

    /// Who would be told of an alert with these labels now.
    pub async fn reach(&self, labels: &Labels, now: i64) -> Reached {
        let inner = self.inner.lock().await;
        let routing = inner.dispatcher.routing();
        let mut channels: Vec<String> = Vec::new();
        for route in routing.matching(labels) {
            if routing.muted(route, now).is_some() {
                continue;
            }
            for receiver in &routing.routes()[route].options.receivers {
                let named = inner.setup.receivers.get(receiver).into_iter().flatten();
                channels.extend(named.map(|(name, _)| name.clone()));
            }
        }
        channels.sort();
        channels.dedup();
        let inhibitor = Inhibitor::new(&routing.inhibitions, inner.active.values());
        let suppression = suppression(&inner, &inhibitor, labels, now);
        Reached { visits: routing.explain(labels), channels, suppression }
    }

    /// The groups that hold alerts: key, receivers, labels and their alerts, each with why nobody is told of it.
    pub async fn groups(&self, now: i64) -> Vec<ShownGroup> {
        let inner = self.inner.lock().await;
        let routing = inner.dispatcher.routing();
        let inhibitor = Inhibitor::new(&routing.inhibitions, inner.active.values());
        let group = |group: crate::routing::GroupView<'_>| ShownGroup {
            key: group.key.to_owned(),
            receivers: routing.routes()[group.route].options.receivers.clone(),
            labels: group.labels.clone(),
            alerts: group
                .alerts
                .iter()
                .map(|alert| ((*alert).clone(), suppression(&inner, &inhibitor, &alert.labels, now)))
                .collect(),
        };
        inner.dispatcher.groups().map(group).collect()
    }

    /// The alerts that go on, each with who is told of it by the routes, and why nobody is.
    pub async fn alerts(&self, now: i64) -> Vec<ShownAlert> {
        let inner = self.inner.lock().await;
        let routing = inner.dispatcher.routing();
        let inhibitor = Inhibitor::new(&routing.inhibitions, inner.active.values());
        let shown = |alert: &Alert| {
            let mut receivers: Vec<String> = Vec::new();
            for route in routing.matching(&alert.labels) {
                for name in &routing.routes()[route].options.receivers {
                    if !receivers.contains(name) {
                        receivers.push(name.clone());
                    }
                }
            }
            let suppression = suppression(&inner, &inhibitor, &alert.labels, now);
            ShownAlert { alert: alert.clone(), receivers, suppression }
        };
        inner.active.values().filter(|alert| !alert.is_resolved(now)).map(shown).collect()
    }

    /// The routes in force.
    pub async fn routing(&self) -> std::sync::Arc<crate::routing::Routing> {
        self.inner.lock().await.setup.routing.clone()
    }

    /// Names of the receivers, in order.
    pub async fn receivers(&self) -> Vec<String> {
        self.inner.lock().await.setup.receivers.keys().cloned().collect()
    }

    /// Settings of a channel that a notification names.
    pub async fn channel(&self, name: &str) -> Option<std::sync::Arc<crate::notify::ChannelSpec>> {
        self.inner.lock().await.setup.channel(name)
    }

    /// Channels, routes and people as they are set up.
    pub async fn setup(&self) -> Setup {
        self.inner.lock().await.setup.clone()
    }

    /// The nearest channel above the route of a group that the route itself does not tell: who hears of what its channels
    /// refuse.
    pub async fn channel_above(&self, group_key: &str, refused: &str) -> Option<String> {
        let inner = self.inner.lock().await;
        let routes = inner.dispatcher.routing().routes();
        let named = |key: &str| group_key.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        // Keys of routes hold colons, so the longest that fits is the route's.
        let own = routes.iter().filter(|route| named(&route.key)).max_by_key(|route| route.key.len())?;
        let mut above = own.parent;
        while let Some(index) = above {
            let route = &routes[index];
            for receiver in route.options.receivers.iter().filter(|r| !own.options.receivers.contains(r)) {
                let mut channels = inner.setup.receivers.get(receiver).into_iter().flatten();
                if let Some((name, _)) = channels.find(|(name, spec)| spec.is_active && name != refused) {
                    return Some(name.clone());
                }
            }
            above = route.parent;
        }
        None
    }

    /// Where people find this server.
    pub async fn external_url(&self) -> String {
        self.inner.lock().await.setup.external_url.clone()
    }

    async fn sweep(&self, inner: &mut Inner, now: i64) -> Result<(), EngineError> {
        inner.known.retain(|_, (_, over)| over.is_none_or(|at| now < at.saturating_add(KNOWN_MS)));
        let expired: Vec<(String, String)> = inner
            .told
            .iter()
            .filter(|(_, entry)| entry.expires_at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        if !expired.is_empty() {
            self.tables.forget_told(now).await?;
            expired.iter().for_each(|key| drop(inner.told.remove(key)));
        }
        self.publish_pending().await
    }
}

/// An alert as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownAlert {
    /// The alert.
    pub alert: Alert,
    /// Who is told by the routes.
    pub receivers: Vec<String>,
    /// Why nobody is told after all.
    pub suppression: Option<Suppression>,
}

/// A group as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownGroup {
    /// Its key.
    pub key: String,
    /// Who is told.
    pub receivers: Vec<String>,
    /// What its alerts have in common.
    pub labels: Labels,
    /// Its alerts, each with why nobody is told of it.
    pub alerts: Vec<(Alert, Option<Suppression>)>,
}

fn suppression(inner: &Inner, inhibitor: &Inhibitor, labels: &Labels, now: i64) -> Option<Suppression> {
    let silences: Vec<String> = inner
        .silences
        .values()
        .filter(|silence| silence.silences(labels, now))
        .map(|s| s.id.clone())
        .collect();
    if !silences.is_empty() {
        return Some(Suppression::Silenced(silences));
    }
    inhibitor.inhibited(labels, now).map(|inhibited| Suppression::Inhibited(inhibited.by))
}

/// Whether a flush tells anybody anything at this moment.
fn is_muted(inner: &Inner, flush: &Flush) -> bool {
    inner.dispatcher.routing().muted(flush.route, flush.at).is_some()
}
