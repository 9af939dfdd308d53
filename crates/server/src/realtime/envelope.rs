//! The envelope of every realtime message: exactly `type`, `data`, `timestamp`, `tenant_id`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message. What belongs to a subscription (its id, a sequence) is inside `data`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Envelope<'a> {
    /// Such as `metrics_update`.
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    /// What it says.
    pub(crate) data: Value,
    /// RFC 3339, UTC.
    pub(crate) timestamp: String,
    /// Whose it is.
    pub(crate) tenant_id: &'a str,
}

impl Envelope<'_> {
    /// As text on the wire.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("an envelope is plain data")
    }
}

/// What a client says. Its `timestamp` and `tenant_id` are not needed and not believed.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum ClientMessage {
    /// Start a stream.
    Subscribe(Subscribe),
    /// End a stream.
    Unsubscribe {
        /// The stream's id.
        id: String,
    },
    /// Keep the connection open through proxies.
    Ping {},
}

/// A stream that a client asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscribe {
    /// Chosen by the client, unique on its connection.
    pub(crate) id: String,
    /// `metrics`, `tail`, or a message type such as `system_alert`.
    #[serde(alias = "topic")]
    pub(crate) channel: String,
    /// For `metrics`: selectors, any of which must match.
    #[serde(default, rename = "match")]
    pub(crate) selectors: Vec<String>,
    /// For `tail`: `logs`, `spans` or `events`.
    #[serde(default)]
    pub(crate) signal: String,
    /// For `tail`: a search; empty means every row.
    #[serde(default)]
    pub(crate) query: String,
}

/// RFC 3339 with milliseconds.
pub(crate) fn timestamp(t_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(t_ms).map(|t| format!("{t:.3}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_exactly_four_keys() {
        let text = Envelope {
            kind: "metrics_update",
            data: Value::Null,
            timestamp: timestamp(0),
            tenant_id: "default",
        }
        .to_text();
        assert_eq!(
            text,
            r#"{"type":"metrics_update","data":null,"timestamp":"1970-01-01T00:00:00.000Z","tenant_id":"default"}"#
        );
    }

    #[test]
    fn clients_may_repeat_the_envelope() {
        let text = r#"{"type":"subscribe","data":{"id":"a","channel":"metrics","match":["up"]},"timestamp":"x","tenant_id":"y"}"#;
        assert!(
            matches!(serde_json::from_str(text), Ok(ClientMessage::Subscribe(s)) if s.selectors == ["up"])
        );
        assert!(serde_json::from_str::<ClientMessage>(r#"{"type":"subscribe","data":{"id":"a"}}"#).is_err());
    }
}
