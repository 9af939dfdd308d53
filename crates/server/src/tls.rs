//! TLS of the listeners: which certificate they show, read anew when its files change. A pair that cannot be used
//! changes nothing: the one before stays, and log, health and metrics say so.

mod accept; // from a socket to a stream, encrypted or not
mod expiry; // until when a certificate holds
mod keeper; // the pair in use
mod load; // files to a pair
mod own_pair; // a pair made here

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::config::settings::{TlsMode, TlsVersion};
use kit::{BoxError, HealthStatus, Service, Settings, Shutdown};

use crate::app::SharedApp;

pub(crate) use accept::{Accepted, Door};
pub(crate) use keeper::Keeper;
pub(crate) use load::Source;

/// How often files are looked at.
const POLL: Duration = Duration::from_secs(1);
/// A certificate that holds no longer than this is worth a word.
const SOON_DAYS: i64 = 14;
/// Protocols of the web listeners, best first.
const WEB_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
const DAY_MS: i64 = 86_400_000;

/// The pairs of this server.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    /// Of the listeners for HTTP and OTLP.
    pub(crate) web: Arc<Keeper>,
    /// Of the listener for syslog.
    pub(crate) syslog: Arc<Keeper>,
}

/// A pair's listener, as metrics and messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// HTTP and OTLP.
    Web,
    /// Syslog.
    Syslog,
}

impl Listener {
    /// The label of metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Syslog => "syslog",
        }
    }
}

impl Certificates {
    /// Each pair with its listener.
    pub(crate) fn all(&self) -> [(Listener, &Arc<Keeper>); 2] {
        [(Listener::Web, &self.web), (Listener::Syslog, &self.syslog)]
    }
}

/// Keeps the pairs: reads them at the start, which fails with the first that cannot be used, and whenever files
/// or settings change.
pub(crate) struct TlsPart {
    app: SharedApp,
    data: PathBuf,
}

impl TlsPart {
    pub(crate) fn new(app: SharedApp, data: PathBuf) -> Self {
        Self { app, data }
    }

    /// Where each pair comes from now; none for a listener that does not encrypt.
    fn sources(&self, settings: &Settings) -> [Option<Source>; 2] {
        let folder = self.data.join("tls");
        let tls = &settings.tls;
        let web = Source {
            certificate_file: tls.certificate_file.clone(),
            key_file: tls.key_file.clone(),
            settings: ["tls.certificate_file", "tls.key_file"],
            client_ca_file: tls.client_ca_file.clone(),
            only_tls13: tls.min_version == TlsVersion::V1_3,
            protocols: WEB_PROTOCOLS,
            folder,
            names: names(&self.app, settings),
        };
        let syslog = &settings.syslog;
        let of_syslog = syslog.tls.map(|_| {
            let shared = Source { client_ca_file: String::new(), protocols: &[], ..web.clone() };
            if syslog.certificate_file.is_empty() && syslog.key_file.is_empty() {
                return shared;
            }
            Source {
                certificate_file: syslog.certificate_file.clone(),
                key_file: syslog.key_file.clone(),
                settings: ["syslog.certificate_file", "syslog.key_file"],
                ..shared
            }
        });
        [(tls.mode != TlsMode::Off).then_some(web), of_syslog]
    }

    async fn look(&self) -> Result<(), BoxError> {
        let sources = self.sources(&self.app.settings());
        let (app, now_ms) = (self.app.clone(), self.app.now_ms());
        let looking = kit::spawn::spawn_blocking("read certificates", move || {
            let mut first = Ok(());
            for ((listener, keeper), source) in app.certificates().all().into_iter().zip(sources) {
                let Some(source) = source else { continue };
                if let Err(reason) = keeper.look(&source, now_ms) {
                    tracing::error!(
                        listener = listener.as_str(),
                        reason,
                        "the certificate was not changed: the pair that is there cannot be used"
                    );
                    first = first.and(Err(reason));
                }
            }
            first
        });
        looking.await?.map_err(Into::into)
    }
}

/// Names that a certificate made here is for.
fn names(app: &SharedApp, settings: &Settings) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), app.hostname()];
    let external = url::Url::parse(&settings.server.external_url).ok();
    names
        .extend(external.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())));
    if !settings.server.listen.ip().is_unspecified() {
        names.push(settings.server.listen.ip().to_string());
    }
    names.sort();
    names.dedup();
    names
}

#[async_trait]
impl Service for TlsPart {
    async fn init(&self) -> Result<(), BoxError> {
        self.look().await
    }

    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        let clock = self.app.clock();
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = clock.sleep(POLL) => {}
            }
            // What is wrong is in the log, once for each change, and in the health of this service.
            let _ = self.look().await;
        }
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        let now_ms = self.app.now_ms();
        for (listener, keeper) in self.app.certificates().all() {
            let listener = listener.as_str();
            if let Some(problem) = keeper.problem() {
                return Ok(HealthStatus::degraded(format!(
                    "the pair of {listener} was not changed: {problem}"
                )));
            }
            let Some(pair) = keeper.pair() else { continue };
            let days = (pair.not_after_ms - now_ms) / DAY_MS;
            if pair.not_after_ms <= now_ms {
                return Ok(HealthStatus::degraded(format!("the certificate of {listener} has expired")));
            }
            if days < SOON_DAYS {
                let message = format!("the certificate of {listener} expires in {days} days");
                return Ok(HealthStatus::degraded(message));
            }
        }
        Ok(HealthStatus::healthy())
    }
}

/// SHA-256 of the certificate that the web listeners show, as `AB:CD:…`, where it was made here.
pub fn own_fingerprint(app: &SharedApp) -> Option<String> {
    app.certificates().web.pair().filter(|pair| pair.is_own).map(|pair| pair.fingerprint.clone())
}
