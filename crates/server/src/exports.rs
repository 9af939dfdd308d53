//! Spans that a pipeline's exporters send on: to a file of OTLP JSON lines, or to another server.
//!
//! A queue bounded by batches and bytes stands between the write and the exports; what finds no room is counted,
//! and no acknowledgement waits. Behind it each tenant has a queue and a worker of its own, so that one whose
//! target does not answer keeps nobody else waiting.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ingest::otlp::encode::encode;
use ingest::otlp::metrics::Encoding;
use kit::{BoxError, BreakerError, BreakerPolicy, ServiceCircuitBreaker, Shutdown};
use model::{Records, TenantId};
use parking_lot::Mutex;
use pipeline::sampling::ExporterConfig;
use reqwest::Method;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

use crate::app::{App, Processing, SharedApp};
use crate::outbound::{Outbound, Policy, Redirects, causes, without_credentials};

/// Batches that wait.
const QUEUE_MAX: usize = 256;
/// Bytes of batches that wait, about, for all tenants.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Batches that wait of one tenant.
const QUEUE_OF_TENANT_MAX: usize = 64;
/// Bytes of batches that wait, about, of one tenant.
const QUEUE_OF_TENANT_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4;
/// A worker without work ends after this long.
const IDLE: Duration = Duration::from_secs(60);
/// A file that is this long is kept as `NAME.1`, instead of the one before, and another begun.
const FILE_BYTES_MAX: u64 = 256 << 20;
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
    fn take(bytes: usize, of: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let held = Self { bytes, of: Arc::clone(of) };
        let before = of.fetch_add(bytes, Ordering::Relaxed);
        (before == 0 || before.saturating_add(bytes) <= most).then_some(held)
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
    /// Where exporters to files write, below it a folder for each tenant.
    folder: OnceLock<PathBuf>,
}

impl Default for Exports {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)), bytes: Arc::default(), folder: OnceLock::new() }
    }
}

impl Exports {
    /// Says where the data folder is; the first time counts.
    pub(crate) fn keep_in(&self, data: &Path) {
        let _ = self.folder.set(data.join("exports"));
    }

    /// The folder of a tenant's files, which goes with the tenant; `None` where nothing is exported to files.
    pub(crate) fn folder_of(&self, tenant: &TenantId) -> Option<PathBuf> {
        self.folder.get().map(|folder| folder.join(tenant.as_str()))
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
        let queued = Held::take(sampled.bytes(), &self.exports().bytes, QUEUE_BYTES_MAX).and_then(|held| {
            let (tenant, to) = (tenant.clone(), manager.exporters().to_vec());
            let export = Export { tenant, to, spans: sampled, _held: held };
            self.exports().sender.try_send(export).ok()
        });
        if queued.is_none() {
            self.telemetry().exported("queue_full", count);
        }
    }
}

/// A tenant's queue.
struct Worker {
    queue: mpsc::Sender<(Export, Held)>,
    bytes: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// Hands what waits to the tenants' workers until asked to stop.
pub(crate) async fn run(app: SharedApp, stop: Shutdown) -> Result<(), BoxError> {
    let taken = app.exports().receiver.lock().take();
    let Some(mut queue) = taken else { return Err("the exports are carried out already".into()) };
    let mut workers: HashMap<TenantId, Worker> = HashMap::new();
    loop {
        let export = tokio::select! {
            export = queue.recv() => export,
            () = stop.requested() => queue.try_recv().ok(),
        };
        let Some(export) = export else { break };
        workers.retain(|_, worker| !worker.queue.is_closed());
        let worker = workers.entry(export.tenant.clone()).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(QUEUE_OF_TENANT_MAX);
            let task = kit::spawn::spawn("exports of a tenant", work(app.clone(), receiver));
            Worker { queue: sender, bytes: Arc::default(), task }
        });
        let count = export.spans.len() as u64;
        let queued = Held::take(export.spans.bytes(), &worker.bytes, QUEUE_OF_TENANT_BYTES_MAX)
            .and_then(|held| worker.queue.try_send((export, held)).ok());
        if queued.is_none() {
            app.telemetry().exported("queue_full", count);
        }
    }
    // Whoever starts the service anew finds the queue again.
    *app.exports().receiver.lock() = Some(queue);
    let tasks: Vec<_> = workers.into_values().map(|worker| worker.task).collect();
    // What waits for a target that does not answer is let go.
    if tokio::time::timeout(TIMEOUT, futures::future::join_all(tasks)).await.is_err() {
        tracing::warn!("some spans were not exported before the end");
    }
    Ok(())
}

/// Exports what comes of one tenant, one batch after the other, until nothing comes for a while.
async fn work(app: SharedApp, mut queue: mpsc::Receiver<(Export, Held)>) {
    let breaker = ServiceCircuitBreaker::new(app.clock(), BreakerPolicy::default());
    let mut clients = Vec::new();
    loop {
        let next = match tokio::time::timeout(IDLE, queue.recv()).await {
            Ok(next) => next,
            Err(_) => {
                // Whoever comes from now on gets another worker.
                queue.close();
                queue.recv().await
            }
        };
        let Some((Export { tenant, to, spans, _held }, _of_tenant)) = next else { return };
        let http = match client(&mut clients, Policy::of(&tenant, app.outbound_ranges())) {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(%error, "no client to export spans with could be made");
                app.telemetry().exported("failed", spans.len() as u64);
                continue;
            }
        };
        let folder = app.exports().folder_of(&tenant);
        for to in &to {
            let name = target(to);
            let outcome = breaker.call_service(&name, || one(&http, folder.as_deref(), to, &spans)).await;
            let label = if outcome.is_ok() { "ok" } else { "failed" };
            app.telemetry().exported(label, spans.len() as u64);
            // One whose circuit is open was told of when it opened.
            if let Err(BreakerError::Failed(reason)) = outcome {
                tracing::warn!(%tenant, target_name = name, %reason, "spans were not exported");
            }
        }
    }
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

async fn one(
    http: &Outbound,
    folder: Option<&Path>,
    to: &ExporterConfig,
    spans: &Records,
) -> Result<(), String> {
    match to {
        ExporterConfig::File { path } => {
            let folder = folder.ok_or("this server has no folder for files")?;
            let path = inside(folder, path)?;
            let mut line = encode(spans, Encoding::Json);
            line.push(b'\n');
            let write = move || append(&path, &line, FILE_BYTES_MAX);
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

/// Appends to a file that is bounded: a full one is set aside, and goes when the next is full.
fn append(path: &Path, line: &[u8], most: u64) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::metadata(path).is_ok_and(|file| file.len().saturating_add(line.len() as u64) > most) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        std::fs::rename(path, aside)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(line)
}

/// Files of exports are in the tenant's folder below `exports` in the data folder, wherever their name points.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let plain = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain && !name.is_empty() {
        Ok(folder.join(name))
    } else {
        Err(format!("{name:?} must be a relative path without \"..\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_the_data_folder() {
        let exports = Exports::default();
        exports.keep_in(Path::new("/data"));
        let folder = exports.folder_of(&TenantId::new("acme").unwrap()).unwrap();
        assert_eq!(inside(&folder, "traces.jsonl"), Ok(PathBuf::from("/data/exports/acme/traces.jsonl")));
        for bad in ["/etc/passwd", "../x", "a/../../x", ""] {
            assert!(inside(&folder, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_and_the_one_before_it_are_all_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme/traces.jsonl");
        for n in 0..9 {
            append(&path, format!("{n}\n").as_bytes(), 8).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join("acme").join(name)).unwrap();
        assert_eq!((read("traces.jsonl"), read("traces.jsonl.1")), ("8\n".into(), "4\n5\n6\n7\n".into()));
        assert_eq!(std::fs::read_dir(folder.path().join("acme")).unwrap().count(), 2);
    }

    /// A tenant whose target never answers, and one whose file is there at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn one_tenant_whose_target_hangs_keeps_nobody_waiting() {
        let server = crate::testing::Server::new(true, &["server.outbound_ranges=127.0.0.0/8"]).await;
        server.app.exports().keep_in(&server.path("data"));
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", silent.local_addr().unwrap());
        let now_ms = server.app.now_ms();
        let context = ingest::records::Context { received_at_ns: now_ms * 1_000_000 };
        let span = format!(
            r#"[{{"traceId":"{}","id":"0000000000000001","name":"n","timestamp":{now_ms}000,"duration":5}}]"#,
            "1".repeat(32),
        );
        let spans = ingest::zipkin::decode(span.as_bytes(), &context).expect("a span").records;
        let (acme, globex) = (TenantId::new("acme").unwrap(), TenantId::new("globex").unwrap());
        let queue = |tenant: &TenantId, to: ExporterConfig| {
            let held = Held::take(spans.bytes(), &server.app.exports().bytes, QUEUE_BYTES_MAX).unwrap();
            let (tenant, spans) = (tenant.clone(), spans.clone());
            let export = Export { tenant, to: vec![to], spans, _held: held };
            assert!(server.app.exports().sender.try_send(export).is_ok());
        };
        queue(&acme, ExporterConfig::OtlpHttp { endpoint, headers: Vec::new() });
        queue(&globex, ExporterConfig::File { path: "traces.jsonl".into() });
        let (end, stop) = kit::ShutdownTrigger::new();
        let running = kit::spawn::spawn("exports", run(server.app.clone(), stop));
        let file = server.path("data/exports/globex/traces.jsonl");
        let started = std::time::Instant::now();
        while !std::fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
            assert!(started.elapsed() < TIMEOUT / 2, "it waits for the other tenant");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        running.abort();
        drop(end);
    }

    #[test]
    fn a_queue_holds_bytes_up_to_its_bound_and_one_batch_always() {
        let held = Arc::default();
        let first = Held::take(QUEUE_BYTES_MAX + 1, &held, QUEUE_BYTES_MAX);
        assert!(first.is_some());
        assert!(Held::take(1, &held, QUEUE_BYTES_MAX).is_none());
        drop(first);
        let two =
            [Held::take(1, &held, QUEUE_BYTES_MAX), Held::take(QUEUE_BYTES_MAX - 1, &held, QUEUE_BYTES_MAX)];
        assert!(two.iter().all(Option::is_some));
        assert!(Held::take(1, &held, QUEUE_BYTES_MAX).is_none());
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
