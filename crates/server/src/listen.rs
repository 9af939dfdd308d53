//! Listeners: bind with a clear error, serve HTTP/1.1 and HTTP/2 on one port, drain on shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use kit::Shutdown;
use kit::spawn::spawn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::app::SharedApp;
use crate::tls::{Accepted, Door};

/// How long a client may take to send the head of a request, and how long a connection may idle between two:
/// longer than the intervals at which senders use theirs, or they would meet closed ones.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// How long open requests may go on once shutdown began; a service has ten seconds to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// Streams one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 256;

/// An address that cannot be listened on, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error("{setting}: port {address} is taken by another process: stop it, or choose another address")]
    Taken {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Refused {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Binds, so that a taken port is known before anything starts.
pub async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { setting, address },
        _ => ListenError::Refused { setting, address, source },
    })
}

/// In the extensions of a request that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// Connections of a listener that are open, each for as long as it lives.
#[derive(Clone, Debug, Default)]
struct Open(Arc<AtomicU32>);

/// One of them.
#[derive(Debug)]
struct Place(Arc<AtomicU32>);

impl Open {
    /// A place for one more, unless there are as many as there may be.
    fn enter(&self, most: u32) -> Option<Place> {
        let more = |open: u32| (open < most).then(|| open + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves until `stop` or the end of the whole process is asked for, then lets open requests finish for a
/// while. At the end of the process all listeners do that at the same time.
pub(crate) async fn serve(app: SharedApp, listener: TcpListener, door: Door, router: Router, stop: Shutdown) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(STREAMS_MAX);
    let (graceful, end, open) = (GracefulShutdown::new(), app.shutdown(), Open::default());
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.requested() => break,
            () = end.requested() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most often: give others time to close theirs.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // Closed rather than left waiting: a client learns at once that it has to come again, and why is counted.
        let Some(place) = open.enter(app.settings().server.max_connections) else {
            app.telemetry().connection_refused();
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (builder, router, watcher) = (builder.clone(), router.clone(), graceful.watcher());
        let connection = Connection { builder, router, watcher, peer, place };
        let (app, door) = (app.clone(), door.clone());
        spawn("http connection", async move { connection.begin(&app, &door, stream).await });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still open after {DRAIN_TIMEOUT:?}");
    }
}

/// A connection to be served.
struct Connection {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    watcher: Watcher,
    peer: SocketAddr,
    place: Place,
}

impl Connection {
    async fn begin(self, app: &SharedApp, door: &Door, stream: TcpStream) {
        match door.open(stream, app.telemetry()).await {
            None => {}
            Some(Accepted::Plain(stream)) => self.serve(stream, None).await,
            Some(Accepted::Encrypted(stream)) => self.serve(stream, Some(OverTls)).await,
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, tls: Option<OverTls>) {
        let Self { builder, router, watcher, peer, place } = self;
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            if let Some(tls) = tls {
                request.extensions_mut().insert(tls);
            }
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, %peer, "connection ended");
        }
        drop(place);
    }
}

#[cfg(test)]
mod tests {
    use kit::ShutdownTrigger;
    use kit::config::settings::TlsMode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::routes;
    use crate::testing::Server;

    const ASK: &[u8] = b"GET /-/healthy HTTP/1.1\r\nhost: localhost\r\n\r\n";

    /// Whether a request is answered; a connection that is closed instead says nothing.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        if stream.write_all(ASK).await.is_err() {
            return false;
        }
        let mut answer = [0; 1024];
        matches!(stream.read(&mut answer).await, Ok(length) if answer[..length].starts_with(b"HTTP/1.1 200"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn above_the_bound_connections_are_closed_and_counted_and_others_go_on() {
        let server = Server::new(false, &["server.max_connections=2"]).await;
        let app = server.app.clone();
        let listener = bind("server.listen", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::new(TlsMode::Off, Arc::clone(&app.certificates().web));
        let (end, stop) = ShutdownTrigger::new();
        let served = tokio::spawn(serve(app.clone(), listener, door, routes::router(&app), stop));
        let connect = async || TcpStream::connect(address).await.unwrap();
        let refused = |n: u64| {
            let line = format!("bellwether_http_connections_refused_total {n}");
            app.own_metrics().lines().any(|found| found == line)
        };

        let (mut first, mut second) = (connect().await, connect().await);
        assert!(is_answered(&mut first).await && is_answered(&mut second).await);
        assert!(refused(0));
        assert!(!is_answered(&mut connect().await).await);
        assert!(!is_answered(&mut connect().await).await);
        assert!(refused(2), "{}", app.own_metrics());
        assert!(is_answered(&mut first).await, "who was there goes on");
        drop(second);
        let mut again = false;
        for _ in 0..200 {
            again = is_answered(&mut connect().await).await;
            if again {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(again, "there is room again");
        end.request();
        drop(first);
        served.await.unwrap();
    }
}
