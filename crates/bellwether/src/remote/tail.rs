//! `bellwether tail`: rows as they come, over the server's WebSocket.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::args::{Output, TailArguments};
use crate::compose::Failure;

/// Time between attempts to reach a server that went away.
const RECONNECT: Duration = Duration::from_secs(2);

pub(super) async fn run(arguments: &TailArguments) -> Result<(), Failure> {
    // The first connection must succeed; later ones are tried until they do.
    follow(arguments).await?;
    loop {
        eprintln!("bellwether: the connection ended; trying again");
        tokio::time::sleep(RECONNECT).await;
        if let Err(error) = follow(arguments).await {
            eprintln!("bellwether: {error}");
        }
    }
}

/// One connection, until it ends.
async fn follow(arguments: &TailArguments) -> Result<(), Failure> {
    let base = arguments.remote.url.trim_end_matches('/');
    let address = base.replacen("http", "ws", 1) + "/api/v1/ws";
    let mut request = address.as_str().into_client_request()?;
    if let Some(key) = &arguments.remote.key {
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse()?);
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.map_err(|error| {
        format!("cannot tail {base}: {error}; name the server with --url and give a key with --key")
    })?;
    let wanted = json!({ "id": "tail", "channel": "tail", "signal": arguments.table.as_str(), "query": arguments.query });
    let subscribe = json!({ "type": "subscribe", "data": wanted });
    socket.send(Message::text(subscribe.to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let message: Value = serde_json::from_str(&text)?;
        match message["type"].as_str() {
            Some("tail") => show(&message["data"], arguments.output),
            Some("error") => {
                return Err(message["data"]["message"].as_str().unwrap_or("the server refused").into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn show(data: &Value, output: Output) {
    for row in data["rows"].as_array().into_iter().flatten() {
        match output {
            Output::Table => println!("{}", line(row)),
            _ => println!("{row}"),
        }
    }
    if let Some(missed) = data["missed"].as_u64().filter(|missed| *missed > 0) {
        eprintln!("bellwether: {missed} matching rows came faster than they could be shown");
    }
}

/// One row on one line: time, level or duration, service, what happened.
fn line(row: &Value) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or("");
    let body: String = if row["name"].is_string() { text("name") } else { text("body") }
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match row["duration_ns"].as_f64() {
        Some(ns) => format!(
            "{} {:>10.3} ms {:<5} {} {body} trace={}",
            text("start"),
            ns / 1e6,
            text("status_code"),
            text("service"),
            text("trace_id")
        ),
        None => format!("{} {:<5} {} {body}", text("timestamp"), text("level"), text("service")),
    }
}
