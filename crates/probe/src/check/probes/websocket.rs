//! WebSockets: the handshake, and a word each way.

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig as Limits;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::http::add_headers;
use super::stream;
use crate::check::spec::{Target, WebSocketConfig, endpoint_of};
use crate::check::trace::{Fault, Trace};

/// Messages that are looked at.
const MESSAGES_MAX: usize = 100;

/// Largest message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

pub(super) async fn probe(trace: &mut Trace<'_>, config: &WebSocketConfig) -> Result<(), Fault> {
    let Target::Url(url) = &trace.check.target else {
        return Err(Fault::unknown("the target is no URL"));
    };
    let endpoint = endpoint_of(url).map_err(Fault::unhealthy)?;
    let io = stream::open(trace, &endpoint, &config.tls, &[]).await?;
    let mut request = url.as_str().into_client_request().map_err(|e| Fault::unknown(e.to_string()))?;
    add_headers(request.headers_mut(), config.headers.iter(), false)?;
    let limits =
        Limits::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let sent = trace.begin("waiting for the handshake");
    let (mut socket, response) =
        client_async_with_config(request, io, Some(limits)).await.map_err(|error| match error {
            Error::Http(response) => {
                Fault::unhealthy(format!("it is no WebSocket: the status is {}", response.status()))
            }
            error => Fault::unhealthy(format!("the handshake failed: {error}")),
        })?;
    trace.details.timings.first_byte = Some(trace.since(sent));
    trace.details.http_status = Some(response.status().as_u16());
    let broken = |error: Error| Fault::unhealthy(format!("the connection broke: {error}"));
    if let Some(text) = &config.send {
        socket.send(Message::text(text.clone())).await.map_err(broken)?;
    }
    if let Some(expected) = &config.expect {
        trace.begin("waiting for the expected message");
        let mut seen = 0;
        loop {
            let message = socket.next().await.transpose().map_err(broken)?;
            let Some(message) = message.filter(|message| !message.is_close()) else {
                return Err(Fault::unhealthy("it was closed before the expected message"));
            };
            let found = match &message {
                Message::Text(text) => text.contains(expected.as_str()),
                Message::Binary(bytes) => String::from_utf8_lossy(bytes).contains(expected.as_str()),
                _ => false,
            };
            if found {
                break;
            }
            seen += 1;
            if seen == MESSAGES_MAX {
                return Err(Fault::unhealthy(format!(
                    "none of {MESSAGES_MAX} messages holds the expected text"
                )));
            }
        }
    }
    // What was wanted is known; a server that does not hear the farewell loses nothing.
    let _ = socket.close(None).await;
    Ok(())
}
