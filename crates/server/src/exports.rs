//! Spans that a pipeline's exporters send on: to a file of OTLP JSON lines, or to another server.
//!
//! A queue of bounded length stands between the write and the exports; what finds no room is counted, and no
//! acknowledgement waits.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ingest::otlp::encode::encode;
use ingest::otlp::metrics::Encoding;
use kit::{BoxError, Shutdown};
use model::Records;
use parking_lot::Mutex;
use pipeline::sampling::ExporterConfig;
use tokio::sync::mpsc;

use crate::app::{App, Processing, SharedApp};

/// Batches that wait.
const QUEUE_MAX: usize = 256;
/// Time that one export may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Spans and where they go.
pub(crate) struct Export {
    to: Vec<ExporterConfig>,
    spans: Records,
}

/// The queue: its receiver is taken by whoever exports.
pub(crate) struct Exports {
    sender: mpsc::Sender<Export>,
    receiver: Mutex<Option<mpsc::Receiver<Export>>>,
}

impl Default for Exports {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl App {
    /// Queues spans for the exporters of their pipeline; the samplers leave out what they would not keep.
    pub(crate) fn export(&self, processing: &Arc<Processing>, spans: &Records) {
        let Processing::Traces { manager, .. } = &**processing else { return };
        if manager.exporters().is_empty() || spans.is_empty() {
            return;
        }
        let mut sampled = spans.clone();
        manager.samplers().retain(&mut sampled);
        let count = sampled.len() as u64;
        let export = Export { to: manager.exporters().to_vec(), spans: sampled };
        if count > 0 && self.exports().sender.try_send(export).is_err() {
            self.telemetry().exported("queue_full", count);
        }
    }
}

/// Exports until asked to stop.
pub(crate) async fn run(app: SharedApp, data: PathBuf, stop: Shutdown) -> Result<(), BoxError> {
    let taken = app.exports().receiver.lock().take();
    let Some(mut queue) = taken else { return Err("the exports are carried out already".into()) };
    let http =
        reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
    loop {
        let export = tokio::select! {
            export = queue.recv() => export,
            () = stop.requested() => queue.try_recv().ok(),
        };
        let Some(Export { to, spans }) = export else { break };
        for to in &to {
            let outcome = one(&http, &data, to, &spans).await;
            let label = if outcome.is_ok() { "ok" } else { "failed" };
            app.telemetry().exported(label, spans.len() as u64);
            if let Err(reason) = outcome {
                tracing::warn!(target_name = to.target(), reason, "spans were not exported");
            }
        }
    }
    // Whoever starts the service anew finds the queue again.
    *app.exports().receiver.lock() = Some(queue);
    Ok(())
}

async fn one(
    http: &reqwest::Client,
    data: &Path,
    to: &ExporterConfig,
    spans: &Records,
) -> Result<(), String> {
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
            guard(endpoint).await?;
            let mut request = http.post(endpoint).header("content-type", "application/x-protobuf");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.body(encode(spans, Encoding::Protobuf)).send().await;
            let status = answer.map_err(|error| error.to_string())?.status();
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

/// Link-local addresses, where clouds keep their metadata, are never reached.
async fn guard(endpoint: &str) -> Result<(), String> {
    let url = url::Url::parse(endpoint).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("the endpoint names no host")?;
    let port = url.port_or_known_default().unwrap_or(80);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let found = tokio::net::lookup_host((host.as_str(), port)).await.map_err(|error| error.to_string())?;
    for address in found {
        let is_link_local = match address.ip() {
            std::net::IpAddr::V4(ip) => ip.is_link_local(),
            std::net::IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if is_link_local {
            return Err(format!("{host} is the link-local address {address}, which is never reached"));
        }
    }
    Ok(())
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

    #[tokio::test]
    async fn metadata_services_are_never_reached() {
        assert!(guard("http://169.254.169.254/v1/traces").await.is_err());
        assert!(guard("http://[fe80::1]/v1/traces").await.is_err());
        assert!(guard("http://127.0.0.1:4318/v1/traces").await.is_ok());
    }
}
