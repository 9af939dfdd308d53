//! Rooms, one per tenant: who listens, and what reaches them.
//!
//! Publishing never waits: a listener whose queue is full misses the message, and its next one says how
//! many it missed. Nothing is copied while a tenant has no listener.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Matcher, MetricBatch, SeriesRow, TenantId};
use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Messages that wait for one connection before it misses some.
const QUEUE_MAX: usize = 256;
/// Series in one message; a batch with more is cut and says so.
const SERIES_PER_MESSAGE_MAX: usize = 5_000;

/// What waits for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
    pub(crate) t_ms: i64,
}

/// All rooms.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    rooms: RwLock<HashMap<TenantId, Vec<Listener>>>,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct Listener {
    connection: u64,
    subscription: Arc<str>,
    interest: Interest,
    queue: mpsc::Sender<Message>,
    sequence: AtomicU64,
    missed: AtomicU64,
}

/// What a subscription wants.
#[derive(Debug)]
pub(crate) enum Interest {
    /// Samples of series that satisfy all matchers of any selector.
    Metrics(Vec<Vec<Matcher>>),
    /// Messages of one type.
    Kind(String),
}

impl Hub {
    /// A queue for a new connection, and the connection's number.
    pub(crate) fn connect(&self) -> (u64, mpsc::Sender<Message>, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        (self.next_id.fetch_add(1, Ordering::Relaxed), sender, receiver)
    }

    /// Adds a subscription of a connection, replacing one of the same id.
    pub(crate) fn subscribe(
        &self,
        tenant: &TenantId,
        connection: u64,
        id: &str,
        interest: Interest,
        queue: mpsc::Sender<Message>,
    ) {
        self.unsubscribe(tenant, connection, Some(id));
        self.rooms.write().entry(tenant.clone()).or_default().push(Listener {
            connection,
            subscription: id.into(),
            interest,
            queue,
            sequence: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        });
    }

    /// Removes one subscription of a connection, or all of them; an empty room goes.
    pub(crate) fn unsubscribe(&self, tenant: &TenantId, connection: u64, id: Option<&str>) {
        let mut rooms = self.rooms.write();
        let Some(room) = rooms.get_mut(tenant) else { return };
        room.retain(|l| l.connection != connection || id.is_some_and(|id| *l.subscription != *id));
        if room.is_empty() {
            rooms.remove(tenant);
        }
    }

    /// Subscriptions in all rooms.
    pub(crate) fn listeners(&self) -> usize {
        self.rooms.read().values().map(Vec::len).sum()
    }

    /// What a batch means to the tenant's listeners: to be taken before the batch is handed to the store, and
    /// delivered once it is durable. `None` when nobody listens.
    pub(crate) fn preview(
        &self,
        tenant: &TenantId,
        batch: &MetricBatch,
    ) -> Option<Vec<(u64, Arc<str>, Value)>> {
        let rooms = self.rooms.read();
        let room = rooms.get(tenant)?;
        let mut previews = Vec::new();
        for listener in room {
            let Interest::Metrics(selectors) = &listener.interest else { continue };
            let matching = batch.series.iter().filter(|row| selectors.iter().any(|s| selects(s, batch, row)));
            let series: Vec<Value> =
                matching.take(SERIES_PER_MESSAGE_MAX).map(|row| series_json(batch, row)).collect();
            if !series.is_empty() {
                previews.push((
                    listener.connection,
                    Arc::clone(&listener.subscription),
                    Value::Array(series),
                ));
            }
        }
        (!previews.is_empty()).then_some(previews)
    }

    /// Delivers what [`Self::preview`] took.
    pub(crate) fn deliver(&self, tenant: &TenantId, previews: Vec<(u64, Arc<str>, Value)>, t_ms: i64) {
        let rooms = self.rooms.read();
        let Some(room) = rooms.get(tenant) else { return };
        for (connection, subscription, series) in previews {
            let to = room.iter().find(|l| l.connection == connection && l.subscription == subscription);
            if let Some(listener) = to {
                listener.send("metrics_update", json!({ "series": series }), t_ms);
            }
        }
    }

    /// Sends a message of a type to everyone in the tenant's room who asked for that type.
    pub(crate) fn broadcast(&self, tenant: &TenantId, kind: &'static str, data: &Value, t_ms: i64) {
        let rooms = self.rooms.read();
        for listener in rooms.get(tenant).into_iter().flatten() {
            if matches!(&listener.interest, Interest::Kind(wanted) if wanted == kind) {
                listener.send(kind, data.clone(), t_ms);
            }
        }
    }
}

impl Listener {
    fn send(&self, kind: &'static str, mut data: Value, t_ms: i64) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        data["subscription"] = json!(&*self.subscription);
        data["sequence"] = json!(self.sequence.fetch_add(1, Ordering::Relaxed) + 1);
        data["missed"] = json!(missed);
        if self.queue.try_send(Message { kind, data, t_ms }).is_err() {
            self.missed.fetch_add(missed + 1, Ordering::Relaxed);
        }
    }
}

fn label<'a>(batch: &'a MetricBatch, row: &SeriesRow, name: &str) -> &'a [u8] {
    let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
    labels.iter().find(|l| l.name.of(&batch.text) == name.as_bytes()).map_or(&[], |l| l.value.of(&batch.text))
}

fn selects(matchers: &[Matcher], batch: &MetricBatch, row: &SeriesRow) -> bool {
    matchers
        .iter()
        .all(|m| std::str::from_utf8(label(batch, row, &m.name)).is_ok_and(|value| m.matches(value)))
}

fn series_json(batch: &MetricBatch, row: &SeriesRow) -> Value {
    let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let map: serde_json::Map<String, Value> =
        labels.iter().map(|l| (text(l.name.of(&batch.text)), json!(text(l.value.of(&batch.text))))).collect();
    let points = &batch.points[row.points.start as usize..row.points.end as usize];
    // A value that JSON cannot say (NaN, infinities, the stale marker) is null.
    let points: Vec<Value> = points.iter().map(|p| json!([p.t_ms, p.value])).collect();
    json!({ "labels": map, "points": points })
}

#[cfg(test)]
mod tests {
    use model::{METRIC_NAME, MatchOp, Point};

    use super::*;

    fn by_name(name: &str) -> Vec<Matcher> {
        vec![Matcher::new(METRIC_NAME, MatchOp::Equal, name).unwrap()]
    }

    fn batch() -> MetricBatch {
        let mut batch = MetricBatch::default();
        batch.push_float([(METRIC_NAME, "up"), ("job", "a")], Point { t_ms: 1, value: 1.0 });
        batch.push_float([(METRIC_NAME, "down"), ("job", "a")], Point { t_ms: 1, value: f64::NAN });
        batch
    }

    #[tokio::test]
    async fn a_broadcast_reaches_only_the_tenants_room() {
        let hub = Hub::default();
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let (one, to_one, mut from_one) = hub.connect();
        let (two, to_two, mut from_two) = hub.connect();
        hub.subscribe(&a, one, "s", Interest::Metrics(vec![by_name("up")]), to_one);
        hub.subscribe(&b, two, "s", Interest::Metrics(vec![by_name("up")]), to_two);
        let previews = hub.preview(&a, &batch()).unwrap();
        hub.deliver(&a, previews, 5);
        let message = from_one.try_recv().unwrap();
        assert_eq!(message.kind, "metrics_update");
        assert_eq!(
            message.data["series"],
            json!([{"labels": {"__name__": "up", "job": "a"}, "points": [[1, 1.0]]}])
        );
        assert!(from_two.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let hub = Hub::default();
        let tenant = TenantId::default_tenant();
        let (one, to_one, mut from_one) = hub.connect();
        hub.subscribe(&tenant, one, "s", Interest::Kind("system_alert".into()), to_one);
        for _ in 0..QUEUE_MAX + 3 {
            hub.broadcast(&tenant, "system_alert", &json!({}), 0);
        }
        while from_one.try_recv().is_ok() {}
        hub.broadcast(&tenant, "system_alert", &json!({}), 0);
        assert_eq!(from_one.try_recv().unwrap().data["missed"], 3);
    }

    #[test]
    fn an_empty_room_is_removed_and_costs_nothing() {
        let hub = Hub::default();
        let tenant = TenantId::default_tenant();
        let (one, to_one, _keep) = hub.connect();
        hub.subscribe(&tenant, one, "s", Interest::Kind("x".into()), to_one);
        assert_eq!(hub.listeners(), 1);
        hub.unsubscribe(&tenant, one, None);
        assert_eq!(hub.listeners(), 0);
        assert!(hub.preview(&tenant, &batch()).is_none());
    }
}
