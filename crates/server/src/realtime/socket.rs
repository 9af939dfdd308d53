//! One WebSocket connection: reads subscriptions, writes messages, ends silent peers.

use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket};
use futures::{SinkExt, StreamExt};
use model::{Matcher, Signal, TenantId};
use query::search::Search;
use serde_json::{Value, json};

use super::envelope::{ClientMessage, Envelope, Subscribe, timestamp};
use super::hub::{Interest, Message, Queue, Waiting};
use super::tail::Tail;
use crate::app::SharedApp;

/// Subscriptions of one connection.
const SUBSCRIPTIONS_MAX: usize = 64;
/// Selectors of one subscription.
const SELECTORS_MAX: usize = 200;
/// A ping goes out this often; a peer silent for two of them is closed.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Time between two messages of a tail.
const TAIL_INTERVAL: Duration = Duration::from_millis(100);

/// Serves a connection until it ends.
pub(crate) async fn serve(
    app: SharedApp,
    tenant: TenantId,
    (connection, queue, mut messages): (u64, Queue, Waiting),
    socket: WebSocket,
) {
    let (mut sink, mut stream) = socket.split();
    let mut subscriptions: Vec<String> = Vec::new();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut tails = tokio::time::interval(TAIL_INTERVAL);
    tails.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut silent_beats = 0;
    let stop = app.shutdown();
    loop {
        let reply = tokio::select! {
            () = stop.requested() => break,
            _ = beat.tick() => {
                silent_beats += 1;
                let ping = tokio::time::timeout(HEARTBEAT, sink.send(Frame::Ping(Vec::new().into())));
                if silent_beats > 2 || !matches!(ping.await, Ok(Ok(()))) {
                    break;
                }
                continue;
            }
            _ = tails.tick(), if !subscriptions.is_empty() => {
                app.hub().flush_tails(&tenant, connection, app.now_ms());
                continue;
            }
            message = messages.next() => match message {
                Some(message) => message,
                None => break,
            },
            frame = stream.next() => {
                silent_beats = 0;
                match frame {
                    Some(Ok(Frame::Text(text))) => {
                        let say = |kind, data| Message { kind, data, t_ms: app.now_ms() };
                        match serde_json::from_str(&text) {
                            Ok(ClientMessage::Subscribe(wanted)) => match interest(&wanted, &subscriptions) {
                                Ok(interest) => {
                                    app.hub().subscribe(&tenant, connection, &wanted.id, interest, queue.clone());
                                    if !subscriptions.contains(&wanted.id) {
                                        subscriptions.push(wanted.id.clone());
                                    }
                                    say("subscribed", json!({ "subscription": wanted.id }))
                                }
                                Err(why) => say("error", json!({ "subscription": wanted.id, "message": why })),
                            },
                            Ok(ClientMessage::Unsubscribe { id }) => {
                                app.hub().unsubscribe(&tenant, connection, Some(&id));
                                subscriptions.retain(|s| *s != id);
                                say("unsubscribed", json!({ "subscription": id }))
                            }
                            Ok(ClientMessage::Ping {}) => say("pong", Value::Null),
                            Err(error) => say("error", json!({ "message": format!("cannot read the message: {error}") })),
                        }
                    }
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => continue,
                }
            }
        };
        let envelope = Envelope {
            kind: reply.kind,
            data: reply.data,
            timestamp: timestamp(reply.t_ms),
            tenant_id: tenant.as_str(),
        };
        // A peer that does not read holds only its own task; its queue overflows and says so.
        let sent = tokio::time::timeout(HEARTBEAT, sink.send(Frame::Text(envelope.to_text().into()))).await;
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    app.hub().unsubscribe(&tenant, connection, None);
    // A peer that does not read must not keep this task.
    let _ = tokio::time::timeout(Duration::from_secs(1), sink.close()).await;
}

fn tail(wanted: &Subscribe) -> Result<Interest, String> {
    let signal = match wanted.signal.as_str() {
        "logs" | "" => Signal::Logs,
        "spans" | "traces" => Signal::Traces,
        "events" => Signal::Events,
        other => return Err(format!("signal {other:?} is none of logs, spans, events")),
    };
    let search = Search::parse(&wanted.query, signal).map_err(|e| e.to_string())?;
    Ok(Interest::Tail(Tail::new(signal, search.into_predicate())))
}

fn interest(wanted: &Subscribe, open: &[String]) -> Result<Interest, String> {
    if open.len() >= SUBSCRIPTIONS_MAX && !open.contains(&wanted.id) {
        return Err(format!("a connection may have {SUBSCRIPTIONS_MAX} subscriptions: end one first"));
    }
    match wanted.channel.as_str() {
        "metrics" => {
            if wanted.selectors.is_empty() || wanted.selectors.len() > SELECTORS_MAX {
                return Err(format!("match must hold 1 to {SELECTORS_MAX} selectors"));
            }
            let selectors: Result<Vec<Vec<Matcher>>, String> = wanted
                .selectors
                .iter()
                .map(|s| promql::syntax::parse_selector(s).map_err(|e| e.to_string()))
                .collect();
            Ok(Interest::Metrics(selectors?))
        }
        // Both spellings of the seeds name the same stream.
        "metric_update" | "metrics_update" => {
            let all = promql::syntax::parse_selector("{__name__!=\"\"}").map_err(|e| e.to_string())?;
            Ok(Interest::Metrics(vec![all]))
        }
        "tail" => tail(wanted),
        "dashboard_refresh" | "user_activity" | "system_alert" | "session_event" => {
            Ok(Interest::Kind(wanted.channel.clone()))
        }
        other => Err(format!(
            "channel {other:?} is none of metrics, tail, metrics_update, dashboard_refresh, user_activity, system_alert, session_event"
        )),
    }
}
