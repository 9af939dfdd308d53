//! The pair in use, and what became of the last attempt to change it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::load::{Source, Stamp};

/// A certificate with its key, ready to be shown.
pub(crate) struct Pair {
    pub(super) config: Arc<ServerConfig>,
    /// End of its life, milliseconds since the Unix epoch.
    pub(crate) not_after_ms: i64,
    /// SHA-256 of the certificate, as `AB:CD:…`.
    pub(crate) fingerprint: String,
    /// True when it was made here and is signed by itself.
    pub(crate) is_own: bool,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Holds one listener's pair.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    pair: ArcSwapOption<Pair>,
    seen: Mutex<Seen>,
}

/// What was there when it was last looked.
#[derive(Debug, Default)]
struct Seen {
    source: Option<(Source, Stamp)>,
    problem: Option<String>,
}

impl Keeper {
    /// The pair that connections are begun with now.
    pub(crate) fn pair(&self) -> Option<Arc<Pair>> {
        self.pair.load_full()
    }

    /// Why the files that are there are not in use.
    pub(crate) fn problem(&self) -> Option<String> {
        self.seen.lock().problem.clone()
    }

    /// What begins a connection; none before the first pair was read.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.pair.load().as_ref().map(|pair| TlsAcceptor::from(Arc::clone(&pair.config)))
    }

    /// Reads the pair if anything about it changed since the last look; connections that are open keep theirs.
    /// An error leaves the pair as it is, and is given once for each change.
    pub(super) fn look(&self, source: &Source, now_ms: i64) -> Result<(), String> {
        let mut seen = self.seen.lock();
        let stamp = source.stamp();
        let is_same = seen.source.as_ref().is_some_and(|(known, at)| known == source && *at == stamp);
        if is_same && !self.must_renew(now_ms) {
            return Ok(());
        }
        let loaded = source.load(now_ms);
        // A pair made here has changed its own files.
        seen.source = Some((source.clone(), source.stamp()));
        match loaded {
            Ok(pair) => {
                seen.problem = None;
                tracing::info!(fingerprint = pair.fingerprint, own = pair.is_own, "certificate in use");
                self.pair.store(Some(Arc::new(pair)));
                Ok(())
            }
            Err(reason) => {
                seen.problem = Some(reason.clone());
                Err(reason)
            }
        }
    }

    /// True for a pair made here that is near its end. While that fails it is tried again with each look.
    fn must_renew(&self, now_ms: i64) -> bool {
        let pair = self.pair.load();
        pair.as_ref().is_some_and(|pair| pair.is_own && super::own_pair::is_due(pair.not_after_ms, now_ms))
    }
}
