//! One WebSocket connection: reads subscriptions, writes messages, ends silent peers.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use futures::{SinkExt, StreamExt};
use model::{Matcher, Signal};
use query::search::Search;
use serde_json::{Value, json};

use super::envelope::{ClientMessage, Envelope, Subscribe, timestamp};
use super::guard::Guard;
use super::hub::{Interest, Message, Queue, Waiting};
use super::tail::Tail;
use crate::app::SharedApp;
use crate::error::Fault;
use crate::reach::Reach;

/// Subscriptions of one connection.
const SUBSCRIPTIONS_MAX: usize = 64;
/// Selectors of one subscription.
const SELECTORS_MAX: usize = 200;
/// A ping goes out this often; a peer silent for two of them is closed.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Longest reason of a close, as the protocol has it.
const CLOSE_BYTES_MAX: usize = 123;
/// Time between two messages of a tail.
const TAIL_INTERVAL: Duration = Duration::from_millis(100);

/// Serves a connection until it ends.
pub(super) async fn serve(
    app: SharedApp,
    guard: Guard,
    (connection, queue, mut messages): (u64, Queue, Waiting),
    socket: WebSocket,
) {
    let reach = guard.reach();
    let tenant = reach.tenant.clone();
    let (mut sink, mut stream) = socket.split();
    let mut subscriptions: Vec<String> = Vec::new();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut tails = tokio::time::interval(TAIL_INTERVAL);
    tails.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut silent_beats = 0;
    let stop = app.shutdown();
    let ended = guard.ended(&app);
    tokio::pin!(ended);
    let mut refused = None;
    loop {
        let reply = tokio::select! {
            () = stop.requested() => break,
            () = &mut ended => {
                refused = Some(Fault::Unauthorized);
                break;
            }
            _ = beat.tick() => {
                silent_beats += 1;
                if let Err(fault) = guard.check(&app).await {
                    refused = Some(fault);
                    break;
                }
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
                // Its tenant may be used no more, which the peer is told.
                None => {
                    refused = guard.check(&app).await.err();
                    break;
                }
            },
            frame = stream.next() => {
                silent_beats = 0;
                match frame {
                    Some(Ok(Frame::Text(text))) => {
                        let message = serde_json::from_str(&text);
                        if matches!(message, Ok(ClientMessage::Subscribe(_)))
                            && let Err(fault) = guard.check(&app).await
                        {
                            refused = Some(fault);
                            break;
                        }
                        let say = |kind, data| Message { kind, data, t_ms: app.now_ms() };
                        match message {
                            Ok(ClientMessage::Subscribe(wanted)) => match interest(&reach, &wanted, &subscriptions) {
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
    if let Some(fault) = refused {
        let reason: String = fault.message().chars().filter(char::is_ascii).take(CLOSE_BYTES_MAX).collect();
        let close = Frame::Close(Some(CloseFrame { code: close_code::POLICY, reason: reason.into() }));
        let _ = tokio::time::timeout(Duration::from_secs(1), sink.send(close)).await;
    }
    // A peer that does not read must not keep this task.
    let _ = tokio::time::timeout(Duration::from_secs(1), sink.close()).await;
}

fn selector(reach: &Reach, text: &str) -> Result<Vec<Matcher>, String> {
    let matchers = promql::syntax::parse_selector(text).map_err(|error| error.to_string())?;
    reach.narrow_series(matchers).map_err(words)
}

fn tail(reach: &Reach, wanted: &Subscribe) -> Result<Interest, String> {
    let signal = match wanted.signal.as_str() {
        "logs" | "" => Signal::Logs,
        "spans" | "traces" => Signal::Traces,
        "events" => Signal::Events,
        other => return Err(format!("signal {other:?} is none of logs, spans, events")),
    };
    let search = Search::parse(&wanted.query, signal).map_err(|e| e.to_string())?;
    let predicate = reach.narrow(signal, search.into_predicate()).map_err(words)?;
    Ok(Interest::Tail(Tail::new(signal, predicate)))
}

fn words(fault: Fault) -> String {
    fault.message()
}

fn interest(reach: &Reach, wanted: &Subscribe, open: &[String]) -> Result<Interest, String> {
    if open.len() >= SUBSCRIPTIONS_MAX && !open.contains(&wanted.id) {
        return Err(format!("a connection may have {SUBSCRIPTIONS_MAX} subscriptions: end one first"));
    }
    match wanted.channel.as_str() {
        "metrics" => {
            if wanted.selectors.is_empty() || wanted.selectors.len() > SELECTORS_MAX {
                return Err(format!("match must hold 1 to {SELECTORS_MAX} selectors"));
            }
            let selectors: Result<Vec<Vec<Matcher>>, String> =
                wanted.selectors.iter().map(|text| selector(reach, text)).collect();
            Ok(Interest::Metrics(selectors?))
        }
        // Both spellings of the seeds name the same stream.
        "metric_update" | "metrics_update" => {
            Ok(Interest::Metrics(vec![selector(reach, "{__name__!=\"\"}")?]))
        }
        "tail" => tail(reach, wanted),
        "dashboard_refresh" | "session_event" => Ok(Interest::Kind(wanted.channel.clone())),
        "alert" | "check" | "incident" | "user_activity" | "system_alert" => {
            reach.need_whole("these messages").map_err(words)?;
            Ok(Interest::Kind(wanted.channel.clone()))
        }
        other => Err(format!(
            "channel {other:?} is none of metrics, tail, metrics_update, alert, check, incident, dashboard_refresh, user_activity, system_alert, session_event"
        )),
    }
}

#[cfg(test)]
mod tests {
    use control::{Permission, Permissions, Principal};
    use model::record::log;
    use model::{METRIC_NAME, MetricBatch, Point, Records, Value as Field};

    use super::*;
    use crate::realtime::Hub;

    fn wanted(channel: &str, selectors: &[&str]) -> Subscribe {
        Subscribe {
            id: channel.to_owned(),
            channel: channel.to_owned(),
            selectors: selectors.iter().map(|text| (*text).to_owned()).collect(),
            signal: String::new(),
            query: String::new(),
        }
    }

    fn of_alpha() -> Reach {
        Reach::of(&Principal {
            permissions: Permissions::of(&[Permission::TelemetryRead]),
            selector: Some("{team=\"alpha\"}".to_owned()),
            ..Principal::system()
        })
    }

    #[tokio::test]
    async fn streams_show_what_the_role_shows() {
        let (hub, reach) = (Hub::default(), of_alpha());
        let (connection, queue, mut messages) = hub.connect(&reach.tenant).unwrap();
        for wanted in [wanted("metrics", &["up", "down"]), wanted("metrics_update", &[]), wanted("tail", &[])]
        {
            let interest = interest(&reach, &wanted, &[]).unwrap();
            hub.subscribe(&reach.tenant, connection, &wanted.id, interest, queue.clone());
        }
        let mut batch = MetricBatch::default();
        let mut records = Records::new(Signal::Logs);
        let resource = records.end_resource(0);
        for (n, team) in ["alpha", "bravo"].into_iter().enumerate() {
            batch.push_float([(METRIC_NAME, "up"), ("team", team)], Point { t_ms: 1, value: 1.0 });
            let mut fields = [Field::Null; 7];
            fields[log::TIMESTAMP] = Field::Int(1);
            fields[log::BODY] = Field::Text(records.push_text(team));
            let first = records.attrs.len() as u32;
            let value = Field::Text(records.push_text(team));
            records.push_attr("team", value);
            records.push_row(n as u32, resource, first, &fields);
        }
        hub.deliver(&reach.tenant, hub.preview(&reach.tenant, &batch).unwrap(), 1);
        hub.tail(&reach.tenant, records);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        hub.flush_tails(&reach.tenant, connection, 1);
        for _ in 0..3 {
            let message = messages.next().await.unwrap();
            let text = message.data.to_string();
            assert!(text.contains("alpha") && !text.contains("bravo"), "{text}");
        }
    }

    #[test]
    fn messages_that_cannot_be_narrowed_are_refused() {
        for (channel, allowed) in
            [("system_alert", false), ("user_activity", false), ("dashboard_refresh", true)]
        {
            assert_eq!(interest(&of_alpha(), &wanted(channel, &[]), &[]).is_ok(), allowed, "{channel}");
        }
    }
}
