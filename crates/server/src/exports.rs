//! Spans that a pipeline's exporters send on: to a file of OTLP JSON lines, or to another server.
//!
//! A queue bounded by batches and bytes stands between the write and the exports; what finds no room is counted,
//! and no acknowledgement waits.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ingest::otlp::encode::encode;
use ingest::otlp::metrics::Encoding;
use kit::{BoxError, Shutdown};
use model::{Records, TenantId};
use parking_lot::Mutex;
use pipeline::sampling::ExporterConfig;
use reqwest::Method;
use tokio::sync::mpsc;
use url::Url;

use crate::app::{App, Processing, SharedApp};
use crate::outbound::{Outbound, Policy, Redirects, causes, without_credentials};

/// Batches that wait.
const QUEUE_MAX: usize = 256;
/// Bytes of batches that wait, about, for all tenants.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Time that one export may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Spans and where they go.
pub(crate) struct Export {
    tenant: TenantId,
    to: Vec<ExporterConfig>,
    spans: Records,
    _held: Held,
}

/// Bytes of the queue that a batch takes until it is exported.
struct Held {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Held {
    /// Takes bytes where there is room. A batch on its own always fits.
    fn take(bytes: usize, of: &Arc<AtomicUsize>) -> Option<Self> {
        let held = Self { bytes, of: Arc::clone(of) };
        let before = of.fetch_add(bytes, Ordering::Relaxed);
        (before == 0 || before.saturating_add(bytes) <= QUEUE_BYTES_MAX).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The queue: its receiver is taken by whoever exports.
pub(crate) struct Exports {
    sender: mpsc::Sender<Export>,
    receiver: Mutex<Option<mpsc::Receiver<Export>>>,
    bytes: Arc<AtomicUsize>,
}

impl Default for Exports {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)), bytes: Arc::default() }
    }
}

impl App {
    /// Queues spans for the exporters of their pipeline; the samplers leave out what they would not keep.
    pub(crate) fn export(&self, tenant: &TenantId, processing: &Arc<Processing>, spans: &Records) {
        let Processing::Traces { manager, .. } = &**processing else { return };
        if manager.exporters().is_empty() || spans.is_empty() {
            return;
        }
        let mut sampled = spans.clone();
        manager.samplers().retain(&mut sampled);
        let count = sampled.len() as u64;
        if count == 0 {
            return;
        }
        // Without room there is no export, and nothing is queued.
        let queued = Held::take(sampled.bytes(), &self.exports().bytes).and_then(|held| {
            let (tenant, to) = (tenant.clone(), manager.exporters().to_vec());
            let export = Export { tenant, to, spans: sampled, _held: held };
            self.exports().sender.try_send(export).ok()
        });
        if queued.is_none() {
            self.telemetry().exported("queue_full", count);
        }
    }
}

/// Exports until asked to stop.
pub(crate) async fn run(app: SharedApp, data: PathBuf, stop: Shutdown) -> Result<(), BoxError> {
    let taken = app.exports().receiver.lock().take();
    let Some(mut queue) = taken else { return Err("the exports are carried out already".into()) };
    let mut clients = Vec::new();
    loop {
        let export = tokio::select! {
            export = queue.recv() => export,
            () = stop.requested() => queue.try_recv().ok(),
        };
        let Some(Export { tenant, to, spans, _held }) = export else { break };
        let http = client(&mut clients, Policy::of(&tenant, app.outbound_ranges()))?;
        for to in &to {
            let outcome = one(&http, &data, to, &spans).await;
            let label = if outcome.is_ok() { "ok" } else { "failed" };
            app.telemetry().exported(label, spans.len() as u64);
            if let Err(reason) = outcome {
                tracing::warn!(%tenant, target_name = target(to), reason, "spans were not exported");
            }
        }
    }
    // Whoever starts the service anew finds the queue again.
    *app.exports().receiver.lock() = Some(queue);
    Ok(())
}

/// The client of a policy; there are two policies at once, one of operators' tenants and one of all others.
fn client(clients: &mut Vec<Outbound>, policy: Policy) -> Result<Outbound, reqwest::Error> {
    if let Some(known) = clients.iter().find(|client| *client.policy() == policy) {
        return Ok(known.clone());
    }
    if clients.len() > 1 {
        // The setting was changed.
        clients.clear();
    }
    let made = Outbound::new(policy, Redirects::Refused, TIMEOUT)?;
    clients.push(made.clone());
    Ok(made)
}

/// An exporter's target for the log, without what may be a secret.
fn target(to: &ExporterConfig) -> String {
    match to {
        ExporterConfig::File { path } => path.clone(),
        ExporterConfig::OtlpHttp { endpoint, .. } => {
            Url::parse(endpoint).map_or_else(|_| "?".to_owned(), |url| without_credentials(&url))
        }
    }
}

async fn one(http: &Outbound, data: &Path, to: &ExporterConfig, spans: &Records) -> Result<(), String> {
    match to {
        ExporterConfig::File { path } => {
            let path = inside(data, path)?;
            let mut line = encode(spans, Encoding::Json);
            line.push(b'\n');
            let write = move || -> std::io::Result<()> {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&line)
            };
            let written = kit::spawn::spawn_blocking("export to file", write).await;
            written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        }
        ExporterConfig::OtlpHttp { endpoint, headers } => {
            let mut request = http.request(Method::POST, endpoint).map_err(|error| error.to_string())?;
            request = request.header("content-type", "application/x-protobuf");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.body(encode(spans, Encoding::Protobuf)).send().await;
            let status = answer.map_err(|error| causes(&error.without_url()))?.status();
            if status.is_success() { Ok(()) } else { Err(format!("{status}")) }
        }
    }
}

/// Files of exports are below `exports` in the data folder, wherever their name points.
fn inside(data: &Path, name: &str) -> Result<PathBuf, String> {
    let plain = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain && !name.is_empty() {
        Ok(data.join("exports").join(name))
    } else {
        Err(format!("{name:?} must be a relative path without \"..\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_the_data_folder() {
        let data = Path::new("/data");
        assert_eq!(inside(data, "traces.jsonl"), Ok(PathBuf::from("/data/exports/traces.jsonl")));
        for bad in ["/etc/passwd", "../x", "a/../../x", ""] {
            assert!(inside(data, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_queue_holds_bytes_up_to_its_bound_and_one_batch_always() {
        let held = Arc::default();
        let first = Held::take(QUEUE_BYTES_MAX + 1, &held);
        assert!(first.is_some());
        assert!(Held::take(1, &held).is_none());
        drop(first);
        let two = [Held::take(1, &held), Held::take(QUEUE_BYTES_MAX - 1, &held)];
        assert!(two.iter().all(Option::is_some));
        assert!(Held::take(1, &held).is_none());
        drop(two);
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_target_is_logged_without_its_secrets() {
        let endpoint = "https://me:secret@collector:4318/v1/traces?token=secret".to_owned();
        let to = ExporterConfig::OtlpHttp { endpoint, headers: Vec::new() };
        assert_eq!(target(&to), "https://collector:4318/v1/traces");
    }
}
