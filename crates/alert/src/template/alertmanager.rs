//! What notifications of Alertmanager are rendered with.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::fields::zero_time;
use super::value::{ListKind, Map, MapKind, Object, Value};
use crate::Labels;

/// The Go type of a pair of a name and its value.
pub(super) const PAIR: &str = "template.Pair";

/// A group of alerts on its way to a receiver: `Data` in Alertmanager's reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Name of the receiver.
    pub receiver: String,
    /// `firing` while any alert fires, else `resolved`.
    pub status: String,
    /// In the order in which they are shown.
    pub alerts: Vec<NotifiedAlert>,
    /// Labels by which the alerts are grouped.
    pub group_labels: Labels,
    /// Labels that all alerts have alike.
    pub common_labels: Labels,
    /// Annotations that all alerts have alike.
    pub common_annotations: Labels,
    /// Where this server is found from outside.
    pub external_url: String,
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifiedAlert {
    /// `firing` or `resolved`.
    pub status: String,
    /// What tells it apart.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: Labels,
    /// When it began, in milliseconds since the epoch.
    pub starts_at_ms: i64,
    /// When it ended; `None` while it fires, which Go shows as the zero time.
    pub ends_at_ms: Option<i64>,
    /// Where it comes from.
    pub generator_url: String,
    /// A digest of its labels in hexadecimal.
    pub fingerprint: String,
}

impl Notification {
    /// A notification of some alerts, with the status and what they have in common worked out.
    pub fn new(receiver: &str, external_url: &str, group_labels: Labels, alerts: Vec<NotifiedAlert>) -> Self {
        let firing = alerts.iter().any(|alert| alert.status == "firing");
        let common_labels = common(alerts.iter().map(|alert| &alert.labels));
        let common_annotations = common(alerts.iter().map(|alert| &alert.annotations));
        Self {
            receiver: receiver.to_owned(),
            status: if firing { "firing" } else { "resolved" }.to_owned(),
            alerts,
            group_labels,
            common_labels,
            common_annotations,
            external_url: external_url.to_owned(),
        }
    }
}

/// What all of them have alike.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}

fn kv(labels: &Labels) -> Value {
    Value::Map(Arc::new(Map::of_labels(MapKind::Kv, labels)))
}

/// Beyond what a calendar holds, the zero time.
fn time(ms: Option<i64>) -> Value {
    let at = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_else(zero_time);
    Value::Time(Arc::new(at.to_zoned(TimeZone::UTC)))
}

impl From<&NotifiedAlert> for Value {
    fn from(alert: &NotifiedAlert) -> Self {
        let fields = vec![
            ("Status", Self::from(alert.status.as_str())),
            ("Labels", kv(&alert.labels)),
            ("Annotations", kv(&alert.annotations)),
            ("StartsAt", time(Some(alert.starts_at_ms))),
            ("EndsAt", time(alert.ends_at_ms)),
            ("GeneratorURL", Self::from(alert.generator_url.as_str())),
            ("Fingerprint", Self::from(alert.fingerprint.as_str())),
        ];
        Self::Object(Arc::new(Object::new("template.Alert", true, fields)))
    }
}

impl From<&Notification> for Value {
    fn from(data: &Notification) -> Self {
        let fields = vec![
            ("Receiver", Self::from(data.receiver.as_str())),
            ("Status", Self::from(data.status.as_str())),
            ("Alerts", Self::list(ListKind::Alerts, data.alerts.iter().map(Self::from).collect())),
            ("GroupLabels", kv(&data.group_labels)),
            ("CommonLabels", kv(&data.common_labels)),
            ("CommonAnnotations", kv(&data.common_annotations)),
            ("ExternalURL", Self::from(data.external_url.as_str())),
        ];
        Self::Object(Arc::new(Object::new("template.Data", true, fields)))
    }
}
