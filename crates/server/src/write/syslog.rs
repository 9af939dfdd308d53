//! Syslog over UDP, TCP and TLS. Syslog knows no answer, so a stream is read only as fast as it is stored, and
//! what arrives while the store refuses waits: on a stream in the sender, for datagrams in a bounded batch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ingest::DecodedRecords;
use ingest::syslog::{Batch, Framer};
use kit::config::settings::TlsMode;
use kit::{BoxError, Shutdown};
use model::{Reason, Refusal, Refusals, TenantId};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::rows::{append, context};
use crate::app::SharedApp;
use crate::error::Fault;
use crate::tls::{Accepted, Door};

/// Largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Connections open at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// What is gathered is written after this time at the latest.
const GATHER: Duration = Duration::from_millis(100);
/// What is gathered is written when it is this large.
const BATCH_BYTES: usize = 1 << 20;
/// Datagrams that wait for a store that refuses; beyond it the newest are lost and counted.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Time between attempts to store.
const RETRY: Duration = Duration::from_secs(1);
/// A connection silent for this long is closed.
const IDLE: Duration = Duration::from_secs(3600);

/// How a stream listener talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// In the clear.
    Tcp,
    /// With the certificate of `syslog.certificate_file`, or that of the web listeners.
    Tls,
}

/// Datagrams, until asked to stop; what was gathered is written before it ends.
pub(crate) async fn serve_udp(app: SharedApp, address: SocketAddr, stop: Shutdown) -> Result<(), BoxError> {
    let socket = UdpSocket::bind(address).await?;
    // One batch is being stored while the next is gathered.
    let (to_store, mut gathered) = mpsc::channel::<DecodedRecords>(1);
    let (of_store, of_stop) = (app.clone(), stop.clone());
    let storing = kit::spawn::spawn("store syslog", async move {
        while let Some(records) = gathered.recv().await {
            store(&of_store, records, &of_stop).await;
        }
    });
    let mut batch = Batch::default();
    let mut lost = 0;
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    let mut due = tokio::time::interval(GATHER);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let (length, _) = received?;
                if batch.bytes() < WAITING_BYTES_MAX {
                    batch.push(&datagram[..length], false, &context(&app));
                } else {
                    lost += 1;
                }
            }
            _ = due.tick(), if !batch.is_empty() => if let Ok(permit) = to_store.try_reserve() {
                permit.send(batch.take());
                if lost > 0 {
                    let refusals = overflow(std::mem::take(&mut lost));
                    app.telemetry().outcome(&TenantId::default_tenant(), "logs", "syslog", 0, &refusals);
                }
            },
            () = stop.requested() => {
                let _ = to_store.send(batch.take()).await;
                drop(to_store);
                let _ = storing.await;
                return Ok(());
            }
        }
    }
}

fn overflow(items: usize) -> Refusals {
    let mut refusals = Refusals::default();
    refusals.push(Refusal {
        index: 0,
        field: "datagram".into(),
        reason: Reason::Overload,
        message: format!("{items} datagrams came while {WAITING_BYTES_MAX} bytes waited for the store"),
        items,
    });
    refusals
}

/// Streams, until asked to stop.
pub(crate) async fn serve_stream(
    app: SharedApp,
    address: SocketAddr,
    transport: Transport,
    stop: Shutdown,
) -> Result<(), BoxError> {
    let mode = match transport {
        Transport::Tcp => TlsMode::Off,
        Transport::Tls => TlsMode::Required,
    };
    let door = Door::new(mode, Arc::clone(&app.certificates().syslog));
    let listener = TcpListener::bind(address).await?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.requested() => return Ok(()),
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: some connection must end first.
            tokio::time::sleep(GATHER).await;
            continue;
        };
        let (app, stop, door) = (app.clone(), stop.clone(), door.clone());
        kit::spawn::spawn("syslog connection", async move {
            let _slot = slot;
            match door.open(stream, app.telemetry()).await {
                None => {}
                Some(Accepted::Plain(stream)) => read(&app, stream, &stop).await,
                Some(Accepted::Encrypted(stream)) => read(&app, stream, &stop).await,
            }
        });
    }
}

/// One connection: read, cut into messages, write; nothing further is read until that is durable.
async fn read(app: &SharedApp, mut stream: impl AsyncRead + Unpin, stop: &Shutdown) {
    let mut framer = Framer::default();
    let mut batch = Batch::default();
    let mut buffer = vec![0; 64 << 10];
    // A batch is due so long after its first message, however its sender goes on.
    let mut due = Instant::now() + IDLE;
    loop {
        let received = tokio::select! {
            received = tokio::time::timeout_at(due, stream.read(&mut buffer)) => received,
            () = stop.requested() => Ok(Ok(0)),
        };
        match received {
            Ok(Ok(length)) if length > 0 => {
                let (was_empty, context, cut) = (batch.is_empty(), context(app), framer.truncated());
                framer.push(&buffer[..length], |message, cut| batch.push(message, cut, &context));
                app.telemetry().syslog_truncated(framer.truncated() - cut);
                if batch.is_empty() {
                    due = Instant::now() + IDLE;
                } else if was_empty {
                    due = Instant::now() + GATHER;
                }
                if batch.bytes() < BATCH_BYTES && Instant::now() < due {
                    continue;
                }
            }
            Err(_) if !batch.is_empty() => {}
            // The end of the stream, an error, or a silent peer.
            _ => {
                let (context, cut) = (context(app), framer.truncated());
                framer.finish(|message, cut| batch.push(message, cut, &context));
                app.telemetry().syslog_truncated(framer.truncated() - cut);
                store(app, batch.take(), stop).await;
                return;
            }
        }
        store(app, batch.take(), stop).await;
        due = Instant::now() + IDLE;
    }
}

/// Writes, and waits while the store refuses for the moment.
async fn store(app: &SharedApp, records: DecodedRecords, stop: &Shutdown) {
    while !records.records.is_empty() {
        let stored = append(app, &TenantId::default_tenant(), "syslog", records.clone()).await;
        let Err(fault) = stored else { return };
        if stop.is_requested() || !matches!(fault, Fault::Unavailable(_) | Fault::TooMany(_)) {
            let lost = records.records.len();
            tracing::error!(reason = fault.message(), lost, "syslog messages were lost");
            return;
        }
        tracing::warn!(reason = fault.message(), "syslog messages wait for the store");
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use kit::ShutdownTrigger;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::testing::Server;

    /// How many logs a search finds.
    async fn found(server: &Server, search: &str) -> i64 {
        let body = serde_json::json!({ "search": search, "count": true }).to_string();
        let json = [("content-type", "application/json")];
        let answer = server.ask("POST /api/v1/sql", &json, body).await.json();
        answer["rows"][0][0].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sender_that_never_pauses_is_stored_all_the_same() {
        let server = Server::new(true, &[]).await;
        let (_end, stop) = ShutdownTrigger::new();
        let (mut sender, stream) = tokio::io::duplex(1 << 20);
        let app = server.app.clone();
        let reading = kit::spawn::spawn("read", async move { read(&app, stream, &stop).await });
        for _ in 0..30 {
            sender.write_all(b"<14>tick\n").await.expect("written");
            tokio::time::sleep(GATHER / 5).await;
        }
        assert!(found(&server, "tick").await >= 5);
        drop(sender);
        reading.await.expect("ends");
        assert_eq!(found(&server, "tick").await, 30);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_message_that_is_cut_says_so_and_is_counted() {
        let server = Server::new(true, &[]).await;
        let (_end, stop) = ShutdownTrigger::new();
        let long = format!("<14>{}\n<14>short\n", "x".repeat(2 * Framer::MESSAGE_BYTES_MAX));
        read(&server.app, long.as_bytes(), &stop).await;
        assert_eq!((found(&server, "log.truncated:true").await, found(&server, "short").await), (1, 1));
        assert!(server.app.own_metrics().contains("bellwether_syslog_truncated_total 1"));
    }
}
