//! Rooms, one per tenant: who listens, and what reaches them.
//!
//! Publishing never waits: a listener whose queue is full misses the message, and its next one says how
//! many it missed. Nothing is copied while a tenant has no listener.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use kit::{Shutdown, ShutdownTrigger};
use model::{Matcher, MetricBatch, Records, SeriesRow, TenantId};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::tail::{Batch, Tail};
use crate::error::Fault;

/// Messages that wait for one connection before it misses some.
const QUEUE_MAX: usize = 256;
/// Bytes, about, that wait for one connection before it misses some.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// Series in one message; a batch with more is cut and says so.
const SERIES_PER_MESSAGE_MAX: usize = 5_000;

/// Connections of one tenant.
const CONNECTIONS_MAX: usize = 1_000;

/// What waits for a connection.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
    pub(crate) t_ms: i64,
}

/// What a batch means to one subscription.
#[derive(Debug)]
pub(crate) struct Preview {
    connection: u64,
    subscription: Arc<str>,
    series: Vec<Value>,
    bytes: usize,
}

/// The hub's end of a connection's queue, bounded by messages and by bytes.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    messages: mpsc::Sender<(Message, usize)>,
    bytes: Arc<AtomicUsize>,
}

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Waiting {
    messages: mpsc::Receiver<(Message, usize)>,
    bytes: Arc<AtomicUsize>,
    closing: Shutdown,
    _seat: Seat,
}

/// Where a tenant's connections come in: how many there are, and the end of all of them.
#[derive(Debug)]
struct Door {
    seats: Arc<AtomicUsize>,
    end: ShutdownTrigger,
}

/// Counts as a connection while it lives.
#[derive(Debug)]
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(of: &Arc<AtomicUsize>) -> Option<Self> {
        let seat = Self(Arc::clone(of));
        (of.fetch_add(1, Ordering::Relaxed) < CONNECTIONS_MAX).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    /// False when there is no room. A message on its own always fits.
    fn push(&self, message: Message, bytes: usize) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before.saturating_add(bytes) <= QUEUE_BYTES_MAX;
        let sent = fits && self.messages.try_send((message, bytes)).is_ok();
        if !sent {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        sent
    }
}

impl Waiting {
    /// The next message; `None` when the connection is to end, as when its tenant was suspended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let (message, bytes) = tokio::select! {
            biased;
            () = self.closing.requested() => return None,
            message = self.messages.recv() => message?,
        };
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(message)
    }

    #[cfg(test)]
    fn try_next(&mut self) -> Option<Message> {
        let (message, bytes) = self.messages.try_recv().ok()?;
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(message)
    }
}

/// All rooms.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    rooms: RwLock<HashMap<TenantId, Vec<Listener>>>,
    doors: Mutex<HashMap<TenantId, Door>>,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct Listener {
    connection: u64,
    subscription: Arc<str>,
    interest: Interest,
    queue: Queue,
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
    /// Rows of a signal that fulfil a search.
    Tail(Tail),
}

impl Hub {
    /// A queue for a new connection of a tenant, and the connection's number.
    pub(crate) fn connect(&self, tenant: &TenantId) -> Result<(u64, Queue, Waiting), Fault> {
        let (seat, closing) = {
            let mut doors = self.doors.lock();
            if !doors.contains_key(tenant) {
                doors.retain(|_, door| door.seats.load(Ordering::Relaxed) > 0);
            }
            let door = doors
                .entry(tenant.clone())
                .or_insert_with(|| Door { seats: Arc::default(), end: ShutdownTrigger::new().0 });
            (Seat::take(&door.seats), door.end.listener())
        };
        let seat = seat.ok_or_else(|| {
            Fault::TooMany(format!("the tenant has {CONNECTIONS_MAX} realtime connections: close some first"))
        })?;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let bytes = Arc::<AtomicUsize>::default();
        let queue = Queue { messages: sender, bytes: Arc::clone(&bytes) };
        let waiting = Waiting { messages: receiver, bytes, closing, _seat: seat };
        Ok((self.next_id.fetch_add(1, Ordering::Relaxed), queue, waiting))
    }

    /// Ends every connection of a tenant, as when it is suspended or deleted.
    pub(crate) fn close(&self, tenant: &TenantId) {
        // Dropping the trigger asks every connection to end.
        self.doors.lock().remove(tenant);
        self.rooms.write().remove(tenant);
    }

    /// Adds a subscription of a connection, replacing one of the same id.
    pub(crate) fn subscribe(
        &self,
        tenant: &TenantId,
        connection: u64,
        id: &str,
        interest: Interest,
        queue: Queue,
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
    pub(crate) fn preview(&self, tenant: &TenantId, batch: &MetricBatch) -> Option<Vec<Preview>> {
        let rooms = self.rooms.read();
        let room = rooms.get(tenant)?;
        let mut previews = Vec::new();
        for listener in room {
            let Interest::Metrics(selectors) = &listener.interest else { continue };
            let matching = batch.series.iter().filter(|row| selectors.iter().any(|s| selects(s, batch, row)));
            let (mut series, mut bytes) = (Vec::new(), 0);
            for row in matching.take(SERIES_PER_MESSAGE_MAX) {
                bytes += series_bytes(batch, row);
                if bytes > QUEUE_BYTES_MAX {
                    break;
                }
                series.push(series_json(batch, row));
            }
            if !series.is_empty() {
                let (connection, subscription) = (listener.connection, Arc::clone(&listener.subscription));
                previews.push(Preview { connection, subscription, series, bytes });
            }
        }
        (!previews.is_empty()).then_some(previews)
    }

    /// Delivers what [`Self::preview`] took.
    pub(crate) fn deliver(&self, tenant: &TenantId, previews: Vec<Preview>, t_ms: i64) {
        let rooms = self.rooms.read();
        let Some(room) = rooms.get(tenant) else { return };
        for Preview { connection, subscription, series, bytes } in previews {
            let to = room.iter().find(|l| l.connection == connection && l.subscription == subscription);
            if let Some(listener) = to {
                listener.send("metrics_update", json!({ "series": series }), bytes, t_ms);
            }
        }
    }

    /// Sends a message of a type to everyone in the tenant's room who asked for that type.
    pub(crate) fn broadcast(&self, tenant: &TenantId, kind: &'static str, data: &Value, t_ms: i64) {
        let rooms = self.rooms.read();
        for listener in rooms.get(tenant).into_iter().flatten() {
            if matches!(&listener.interest, Interest::Kind(wanted) if wanted == kind) {
                listener.send(kind, data.clone(), 0, t_ms);
            }
        }
    }
}

impl Hub {
    /// Hands just stored rows to whoever tails them, without waiting. Costs a look while nobody does.
    pub(crate) fn tail(&self, tenant: &TenantId, records: Records) {
        let rooms = self.rooms.read();
        let tails = rooms.get(tenant).into_iter().flatten().filter_map(|listener| match &listener.interest {
            Interest::Tail(tail) if tail.signal() == records.signal => Some(tail),
            _ => None,
        });
        let tails: Vec<&Tail> = tails.collect();
        if tails.is_empty() {
            return;
        }
        let batch = Arc::new(Batch::new(records));
        tails.into_iter().for_each(|tail| tail.offer(&batch));
    }

    /// Sends what a connection's tails gathered.
    pub(crate) fn flush_tails(&self, tenant: &TenantId, connection: u64, t_ms: i64) {
        let rooms = self.rooms.read();
        for listener in rooms.get(tenant).into_iter().flatten().filter(|l| l.connection == connection) {
            let Interest::Tail(tail) = &listener.interest else { continue };
            let Some((rows, missed, bytes)) = tail.take() else { continue };
            let lost = rows.len() as u64 + missed;
            let data = json!({
                "subscription": &*listener.subscription,
                "sequence": listener.sequence.fetch_add(1, Ordering::Relaxed) + 1,
                "rows": rows,
                "missed": missed,
            });
            if !listener.queue.push(Message { kind: "tail", data, t_ms }, bytes) {
                tail.miss(lost);
            }
        }
    }
}

impl Listener {
    fn send(&self, kind: &'static str, mut data: Value, bytes: usize, t_ms: i64) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        data["subscription"] = json!(&*self.subscription);
        data["sequence"] = json!(self.sequence.fetch_add(1, Ordering::Relaxed) + 1);
        data["missed"] = json!(missed);
        if !self.queue.push(Message { kind, data, t_ms }, bytes) {
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

/// What a series takes in memory as JSON, about: every name and value is a text of its own.
fn series_bytes(batch: &MetricBatch, row: &SeriesRow) -> usize {
    let labels = &batch.labels[row.labels.start as usize..row.labels.end as usize];
    let text: usize =
        labels.iter().map(|l| l.name.of(&batch.text).len() + l.value.of(&batch.text).len()).sum();
    256 + text + 128 * labels.len() + 160 * row.points.len()
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
        let (one, to_one, mut from_one) = hub.connect(&a).unwrap();
        let (two, to_two, mut from_two) = hub.connect(&b).unwrap();
        hub.subscribe(&a, one, "s", Interest::Metrics(vec![by_name("up")]), to_one);
        hub.subscribe(&b, two, "s", Interest::Metrics(vec![by_name("up")]), to_two);
        let previews = hub.preview(&a, &batch()).unwrap();
        hub.deliver(&a, previews, 5);
        let message = from_one.try_next().unwrap();
        assert_eq!(message.kind, "metrics_update");
        assert_eq!(
            message.data["series"],
            json!([{"labels": {"__name__": "up", "job": "a"}, "points": [[1, 1.0]]}])
        );
        assert!(from_two.try_next().is_none());
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let hub = Hub::default();
        let tenant = TenantId::default_tenant();
        let (one, to_one, mut from_one) = hub.connect(&tenant).unwrap();
        hub.subscribe(&tenant, one, "s", Interest::Kind("system_alert".into()), to_one);
        for _ in 0..QUEUE_MAX + 3 {
            hub.broadcast(&tenant, "system_alert", &json!({}), 0);
        }
        while from_one.try_next().is_some() {}
        hub.broadcast(&tenant, "system_alert", &json!({}), 0);
        assert_eq!(from_one.try_next().unwrap().data["missed"], 3);
    }

    #[tokio::test]
    async fn large_messages_wait_only_up_to_the_bound_of_bytes() {
        let hub = Hub::default();
        let tenant = TenantId::default_tenant();
        let (one, to_one, mut from_one) = hub.connect(&tenant).unwrap();
        hub.subscribe(&tenant, one, "s", Interest::Metrics(vec![by_name("up")]), to_one);
        let mut large = MetricBatch::default();
        let text = "x".repeat(1 << 20);
        large.push_float([(METRIC_NAME, "up"), ("text", &text)], Point { t_ms: 1, value: 1.0 });
        for _ in 0..20 {
            let previews = hub.preview(&tenant, &large).unwrap();
            hub.deliver(&tenant, previews, 0);
        }
        let mut waited = 0;
        while from_one.try_next().is_some() {
            waited += 1;
        }
        assert_eq!(waited, 7);
        hub.deliver(&tenant, hub.preview(&tenant, &large).unwrap(), 0);
        assert_eq!(from_one.try_next().unwrap().data["missed"], 13);
    }

    #[tokio::test]
    async fn a_tenant_has_so_many_connections_and_all_end_with_it() {
        let hub = Hub::default();
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let mut open: Vec<_> = (0..CONNECTIONS_MAX).map(|_| hub.connect(&a).unwrap()).collect();
        assert!(matches!(hub.connect(&a), Err(Fault::TooMany(_))));
        let (other, to_other, mut from_other) = hub.connect(&b).unwrap();
        hub.subscribe(&b, other, "s", Interest::Kind("system_alert".into()), to_other);
        open.pop();
        let (_, _keep, mut waiting) = hub.connect(&a).unwrap();
        hub.close(&a);
        assert!(waiting.next().await.is_none());
        hub.broadcast(&b, "system_alert", &json!({}), 0);
        assert!(from_other.next().await.is_some(), "others go on");
        assert!(hub.connect(&a).is_ok(), "those that ended do not count");
    }

    #[test]
    fn an_empty_room_is_removed_and_costs_nothing() {
        let hub = Hub::default();
        let tenant = TenantId::default_tenant();
        let (one, to_one, _keep) = hub.connect(&tenant).unwrap();
        hub.subscribe(&tenant, one, "s", Interest::Kind("x".into()), to_one);
        assert_eq!(hub.listeners(), 1);
        hub.unsubscribe(&tenant, one, None);
        assert_eq!(hub.listeners(), 0);
        assert!(hub.preview(&tenant, &batch()).is_none());
    }
}
