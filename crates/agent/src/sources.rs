//! What is collected: host, scraped targets, files, journal; syslog and StatsD on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingest::statsd::{StatsdSettings, StatsdState, parse};
use ingest::syslog::{Batch, Framer};
use kit::{SharedClock, Shutdown, ShutdownTrigger};
use model::record::log;
use model::{MetricBatch, Records, Signal, Value, record};
use probe::host::HostCollector;
use probe::scrape::config::ScrapeConfig;
use probe::scrape::{AppendError, Appender, ScrapeManager};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::files::{Follower, Line};
use crate::journal;
use crate::remote_config::{Collect, Remote};
use crate::{Outbox, PARCEL_BYTES};

const DATAGRAM_BYTES_MAX: usize = 65_535;
/// What is gathered goes into the buffer after this time.
const GATHER: Duration = Duration::from_millis(200);
/// How often files are looked at.
const FILES_EVERY: Duration = Duration::from_millis(500);
/// Lines of one parcel.
const LINES_MAX: usize = 5000;
const STATSD_EVERY: Duration = Duration::from_secs(10);

/// Syslog over UDP and TCP on one address.
pub(crate) async fn syslog(address: SocketAddr, outbox: Outbox, stop: Shutdown) -> std::io::Result<()> {
    let (datagrams, streams) = (UdpSocket::bind(address).await?, TcpListener::bind(address).await?);
    let mut batch = Batch::default();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    let mut due = tokio::time::interval(GATHER);
    loop {
        tokio::select! {
            received = datagrams.recv_from(&mut datagram) => {
                let (length, _) = received?;
                batch.push(&datagram[..length], false, &outbox.context());
                if batch.bytes() >= PARCEL_BYTES {
                    outbox.logs(&batch.take().records, &stop).await;
                }
            }
            accepted = streams.accept() => if let Ok((stream, _)) = accepted {
                let (outbox, stop) = (outbox.clone(), stop.clone());
                kit::spawn::spawn("agent syslog", async move { stream_syslog(stream, &outbox, &stop).await });
            },
            _ = due.tick(), if !batch.is_empty() => { outbox.logs(&batch.take().records, &stop).await; }
            () = stop.requested() => {
                outbox.logs(&batch.take().records, &stop).await;
                return Ok(());
            }
        }
    }
}

async fn stream_syslog(mut stream: TcpStream, outbox: &Outbox, stop: &Shutdown) {
    let (mut framer, mut batch, mut buffer) = (Framer::default(), Batch::default(), vec![0; 64 << 10]);
    loop {
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read.unwrap_or(0),
            () = stop.requested() => 0,
        };
        let context = outbox.context();
        if read == 0 {
            framer.finish(|message, cut| batch.push(message, cut, &context));
        } else {
            framer.push(&buffer[..read], |message, cut| batch.push(message, cut, &context));
        }
        // Nothing further is read until this is on disk.
        outbox.logs(&batch.take().records, stop).await;
        if read == 0 {
            return;
        }
    }
}

/// StatsD over UDP.
pub(crate) async fn statsd(address: SocketAddr, outbox: Outbox, stop: Shutdown) -> std::io::Result<()> {
    let socket = UdpSocket::bind(address).await?;
    let mut state = StatsdState::new(StatsdSettings::default());
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    let mut due = tokio::time::interval(STATSD_EVERY);
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let (length, _) = received?;
                let now_ms = outbox.now_ms();
                parse(&datagram[..length], |index, op| {
                    if let Err(refusal) = state.apply(index, &op, now_ms) {
                        tracing::debug!(message = refusal.message, "a StatsD line was refused");
                    }
                });
            }
            _ = due.tick() => outbox.metrics(&state.flush(outbox.now_ms())).await,
            () = stop.requested() => {
                outbox.metrics(&state.flush(outbox.now_ms())).await;
                return Ok(());
            }
        }
    }
}

/// Everything that a [`Collect`] asks for, changed live.
pub(crate) struct Collector {
    outbox: Outbox,
    host: HostCollector,
    name: String,
    scraper: ScrapeManager,
    folder: PathBuf,
}

struct Scraped(Outbox);

impl std::fmt::Debug for Scraped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scraped")
    }
}

#[async_trait]
impl Appender for Scraped {
    async fn append(&self, batch: MetricBatch) -> Result<(), AppendError> {
        self.0.metrics(&batch).await;
        Ok(())
    }
}

impl Collector {
    pub(crate) fn new(outbox: Outbox, clock: SharedClock, folder: PathBuf) -> Self {
        let host = HostCollector::new(Path::new("/"));
        let name = host.instance().to_owned();
        let scraper = ScrapeManager::new(Arc::new(Scraped(outbox.clone())), clock, &name);
        Self { outbox, host, name, scraper, folder }
    }

    /// This machine's name.
    pub(crate) fn host(&self) -> &str {
        &self.name
    }

    /// Collects until asked to stop.
    pub(crate) async fn run(mut self, remote: Remote, first: Collect, every: Duration, stop: Shutdown) {
        let mut wanted = first.clone();
        let mut follower = Follower::open(self.folder.join("files.json"), wanted.files.clone());
        let mut journal = self.journal(&wanted, &stop);
        self.scrape(&wanted.scrape).await;
        let mut config_due = tokio::time::interval(every);
        let mut files_due = tokio::time::interval(FILES_EVERY);
        let mut host_due = tokio::time::interval(host_interval(&wanted));
        loop {
            tokio::select! {
                _ = config_due.tick() => {
                    // Without a word from the server, what was typed holds.
                    let Some(next) = remote.ask().await else { continue };
                    if next == wanted {
                        continue;
                    }
                    tracing::info!("the server says to collect something else");
                    follower.set_patterns(next.files.clone());
                    if next.scrape != wanted.scrape {
                        self.scrape(&next.scrape).await;
                    }
                    if next.host_interval_seconds != wanted.host_interval_seconds {
                        host_due = tokio::time::interval(host_interval(&next));
                    }
                    if next.journal != wanted.journal {
                        journal = self.journal(&next, &stop);
                    }
                    wanted = next;
                }
                _ = host_due.tick() => if wanted.host {
                    let mut batch = MetricBatch::default();
                    let now_ms = self.outbox.now_ms();
                    // A few milliseconds of reading /proc.
                    self.host.collect(now_ms, &mut batch);
                    self.outbox.metrics(&batch).await;
                },
                _ = files_due.tick() => self.follow(&mut follower, &wanted, &stop).await,
                () = stop.requested() => break,
            }
        }
        drop(journal);
        self.scraper.stop().await;
    }

    async fn follow(&self, follower: &mut Follower, wanted: &Collect, stop: &Shutdown) {
        let lines = follower.poll();
        for piece in pieces(&lines) {
            if !self.outbox.logs(&self.records(piece, wanted), stop).await {
                return;
            }
        }
        // The first look is remembered too, so that what comes while the agent is away is not taken for the past.
        if (!lines.is_empty() || !follower.is_committed())
            && let Err(error) = follower.commit()
        {
            tracing::error!(%error, "places in log files cannot be written; lines may come twice");
        }
    }

    /// Lines as records: the file's name without its ending is the service.
    fn records(&self, lines: &[Line], wanted: &Collect) -> Records {
        let mut records = Records::new(Signal::Logs);
        let context = self.outbox.context();
        let mut resource: Option<(&Path, u32)> = None;
        for line in lines {
            let number = match resource {
                Some((of, number)) if of == line.file => number,
                _ => {
                    let first_attr = records.attrs.len() as u32;
                    let service = line.file.file_stem().and_then(|name| name.to_str()).unwrap_or("file");
                    let path = line.file.display().to_string();
                    let fixed =
                        [("service.name", service), ("host.name", &self.name), ("log.file.path", &path)];
                    let extra = wanted.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                    for (key, value) in extra.chain(fixed) {
                        let value = Value::Text(records.push_text(value));
                        records.push_attr(key, value);
                    }
                    records.end_resource(first_attr)
                }
            };
            resource = Some((&line.file, number));
            let mut fields = [Value::Null; record::columns(Signal::Logs).len()];
            fields[log::TIMESTAMP] = Value::Int(context.received_at_ns);
            fields[log::OBSERVED_TIMESTAMP] = Value::Int(context.received_at_ns);
            fields[log::BODY] = Value::Text(records.push_text(&*String::from_utf8_lossy(&line.text)));
            let (index, first_attr) = (records.len() as u32, records.attrs.len() as u32);
            records.push_row(index, number, first_attr, &fields);
        }
        records
    }

    async fn scrape(&self, yaml: &str) {
        if yaml.is_empty() {
            self.scraper.stop().await;
            return;
        }
        match ScrapeConfig::parse(yaml, &self.folder, &|name| std::env::var(name).ok()) {
            Ok(config) => self.scraper.reload(config).await,
            Err(error) => tracing::error!(%error, "the scrape configuration cannot be read"),
        }
    }

    /// Follows the journal until the handle is dropped.
    fn journal(&self, wanted: &Collect, stop: &Shutdown) -> Option<ShutdownTrigger> {
        if !wanted.journal {
            return None;
        }
        let (trigger, own) = ShutdownTrigger::new();
        let (outbox, cursor, all) = (self.outbox.clone(), self.folder.join("journal.cursor"), stop.clone());
        kit::spawn::spawn("agent journal", async move {
            tokio::select! {
                () = journal::follow(&outbox, cursor, &all) => {}
                () = own.requested() => {}
            }
        });
        Some(trigger)
    }
}

/// Lines in parcels of bounded count and size.
fn pieces(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take(LINES_MAX).take_while(|line| {
            bytes += line.text.len();
            bytes <= PARCEL_BYTES
        });
        let (piece, left) = rest.split_at(fitting.count().max(1).min(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

fn host_interval(wanted: &Collect) -> Duration {
    Duration::from_secs(wanted.host_interval_seconds.clamp(1, 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_in_parcels_of_bounded_count_and_size() {
        let line = |bytes: usize| Line { file: "f".into(), text: vec![b'x'; bytes] };
        for (lines, want) in [
            (vec![], vec![]),
            (vec![1; LINES_MAX + 1], vec![LINES_MAX, 1]),
            (vec![PARCEL_BYTES / 2; 5], vec![2, 2, 1]),
            (vec![2 * PARCEL_BYTES, 1], vec![1, 1]),
        ] {
            let lines: Vec<Line> = lines.into_iter().map(line).collect();
            assert_eq!(pieces(&lines).map(<[Line]>::len).collect::<Vec<_>>(), want);
        }
    }
}
