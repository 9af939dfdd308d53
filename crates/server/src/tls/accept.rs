//! From a socket to a stream, encrypted or not: within a time, and so many at once, since a handshake costs us
//! more than whoever asks for it.

use std::sync::Arc;
use std::time::Duration;

use kit::config::settings::TlsMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use super::Keeper;
use crate::telemetry::Telemetry;

/// Time for the first byte and the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at once, for each listener; whoever comes beyond them is hung up on.
const HANDSHAKES_MAX: usize = 1024;
/// The first byte of TLS: a record of a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Most of a plain request that is read before it is refused.
const PLAIN_BYTES: usize = 8 << 10;

const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 63\r\n\r\nThis port is encrypted: use https:// (tls.mode is \"required\").\n";

/// What lets connections of one listener in.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    mode: TlsMode,
    keeper: Arc<Keeper>,
    slots: Arc<Semaphore>,
}

/// A connection that was let in.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// Not encrypted.
    Plain(TcpStream),
    /// Encrypted.
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Door {
    pub(crate) fn new(mode: TlsMode, keeper: Arc<Keeper>) -> Self {
        Self { mode, keeper, slots: Arc::new(Semaphore::new(HANDSHAKES_MAX)) }
    }

    /// Lets a connection in, as the mode says; `None` for one that was refused or gave up.
    pub(crate) async fn open(&self, stream: TcpStream, telemetry: &Telemetry) -> Option<Accepted> {
        if self.mode == TlsMode::Off {
            return Some(Accepted::Plain(stream));
        }
        let (opened, outcome) = match Arc::clone(&self.slots).try_acquire_owned() {
            Err(_) => (None, "refused"),
            Ok(_slot) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.handshake(stream)).await {
                Ok(done) => done,
                Err(_) => (None, "timeout"),
            },
        };
        telemetry.handshake(outcome);
        opened
    }

    async fn handshake(&self, stream: TcpStream) -> (Option<Accepted>, &'static str) {
        let mut first = [0];
        if !matches!(stream.peek(&mut first).await, Ok(1)) {
            return (None, "failed");
        }
        if first[0] != TLS_HANDSHAKE {
            if self.mode == TlsMode::Optional {
                return (Some(Accepted::Plain(stream)), "plain");
            }
            refuse_plain(stream).await;
            return (None, "plain_refused");
        }
        let Some(acceptor) = self.keeper.acceptor() else { return (None, "failed") };
        match acceptor.accept(stream).await {
            Ok(stream) => (Some(Accepted::Encrypted(Box::new(stream))), "ok"),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                (None, "failed")
            }
        }
    }
}

/// Tells a client of HTTP/1 what is wrong. One of HTTP/2 would not understand, and is hung up on.
async fn refuse_plain(mut stream: TcpStream) {
    let mut request = vec![0; PLAIN_BYTES];
    let Ok(length) = stream.read(&mut request).await else { return };
    if request[..length].starts_with(b"PRI * HTTP/2") {
        return;
    }
    let _ = stream.write_all(REFUSAL).await;
    let _ = stream.shutdown().await;
    // What is still on its way would reset the connection before the answer is read.
    let drain = async { while matches!(stream.read(&mut request).await, Ok(length) if length > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
