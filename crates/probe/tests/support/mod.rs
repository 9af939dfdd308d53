//! A target that does what a test tells it to, and a place where scraped series end up.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Labels, MetricBatch};
use parking_lot::Mutex;
use probe::scrape::config::ScrapeConfig;
use probe::scrape::{AppendError, Appender, ScrapeManager};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request: its first line and its headers, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// What the target answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
}

impl Answer {
    pub(crate) fn text(body: &str) -> Self {
        let headers = vec![("Content-Type", "text/plain; version=0.0.4".to_owned())];
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn typed(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::text("") }
    }

    pub(crate) fn gzip(self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.body).expect("memory");
        let mut headers = self.headers;
        headers.push(("Content-Encoding", "gzip".into()));
        Self { body: encoder.finish().expect("memory"), headers, ..self }
    }
}

type Behaviour = dyn Fn(&Request) -> Answer + Send + Sync;

/// An HTTP server for as long as it lives.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(None, behaviour).await
    }

    pub(crate) async fn start_with(
        tls: Option<tokio_rustls::TlsAcceptor>,
        behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, behaviour): (_, Arc<Behaviour>) = (Arc::clone(&requests), Arc::new(behaviour));
        let task = kit::spawn::spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, behaviour, tls) = (Arc::clone(&seen), Arc::clone(&behaviour), tls.clone());
                kit::spawn::spawn("connection", async move {
                    match tls {
                        None => serve(stream, &seen, &*behaviour).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen, &*behaviour).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests, task }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Request>>,
    behaviour: &Behaviour,
) {
    let mut buffer = Vec::new();
    loop {
        while !buffer.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let head = buffer.windows(4).position(|four| four == b"\r\n\r\n").expect("seen");
        let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
        let mut lines = text.lines();
        let mut request = Request { line: lines.next().unwrap_or_default().into(), ..Request::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            request.headers.insert(name.to_ascii_lowercase(), value.trim().into());
        }
        let length: usize = request.header("content-length").parse().unwrap_or_default();
        while buffer.len() < head + 4 + length {
            if stream.read_buf(&mut buffer).await.unwrap_or_default() == 0 {
                return;
            }
        }
        let body = String::from_utf8_lossy(&buffer[head + 4..head + 4 + length]).into_owned();
        request.headers.insert("body".into(), body);
        buffer.drain(..head + 4 + length);
        let answer = behaviour(&request);
        seen.lock().push(request);
        tokio::time::sleep(answer.delay).await;
        let mut response =
            format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            response.push_str(&format!("{name}: {value}\r\n"));
        }
        response.push_str("\r\n");
        if stream.write_all(response.as_bytes()).await.is_err()
            || stream.write_all(&answer.body).await.is_err()
        {
            return;
        }
    }
}

/// Keeps what it is given: the samples of every series, in order.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) series: Mutex<BTreeMap<String, Vec<(i64, f64)>>>,
    pub(crate) histograms: Mutex<BTreeMap<String, model::FloatHistogram>>,
}

#[async_trait]
impl Appender for Memory {
    async fn append(&self, batch: MetricBatch) -> Result<(), AppendError> {
        let text = |span: model::Span| std::str::from_utf8(span.of(&batch.text)).expect("UTF-8");
        for row in &batch.series {
            let spans = &batch.labels[row.labels.start as usize..row.labels.end as usize];
            let labels = Labels::from_pairs(spans.iter().map(|l| (text(l.name), text(l.value))));
            let name = labels.expect("unique labels").to_string();
            for point in &batch.points[row.points.start as usize..row.points.end as usize] {
                let mut series = self.series.lock();
                series.entry(name.clone()).or_default().push((point.t_ms, point.value));
            }
            for (_, histogram) in
                &batch.histograms[row.histograms.start as usize..row.histograms.end as usize]
            {
                self.histograms.lock().insert(name.clone(), histogram.as_ref().clone());
            }
        }
        Ok(())
    }
}

impl Memory {
    /// The values of the first series that begins so; markers are `NaN`.
    pub(crate) fn values(&self, start: &str) -> Vec<f64> {
        let series = self.series.lock();
        let found = series.iter().find(|(name, _)| name.starts_with(start));
        found.map(|(_, points)| points.iter().map(|(_, value)| *value).collect()).unwrap_or_default()
    }

    pub(crate) fn last(&self, start: &str) -> Option<f64> {
        self.values(start).last().copied()
    }

    /// True when the series ended with the marker.
    pub(crate) fn ended(&self, start: &str) -> bool {
        self.last(start).is_some_and(model::is_stale)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.series.lock().keys().cloned().collect()
    }
}

/// A manager with jobs from a text.
pub(crate) struct Bench {
    pub(crate) memory: Arc<Memory>,
    pub(crate) manager: ScrapeManager,
}

impl Bench {
    pub(crate) async fn start(config: &str) -> Self {
        let memory: Arc<Memory> = Arc::default();
        let appender: Arc<dyn Appender> = Arc::clone(&memory) as Arc<dyn Appender>;
        let manager = ScrapeManager::new(appender, kit::SystemClock::shared(), "web-1");
        let bench = Self { memory, manager };
        bench.reload(config).await;
        bench
    }

    pub(crate) async fn reload(&self, config: &str) {
        let config = ScrapeConfig::parse(config, Path::new("prometheus.yml"), &|_| None).expect("valid");
        self.manager.reload(config).await;
    }

    /// Waits until it is so; a test that hopes in vain ends after ten seconds.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never {what}; targets: {:#?}; series: {:#?}", self.manager.targets(), self.memory.names());
    }

    /// The error of the only target once it has been scraped.
    pub(crate) async fn error(&self) -> String {
        let scraped =
            |bench: &Self| bench.manager.targets().active.iter().any(|t| t.last_scrape_ms.is_some());
        self.until("scraped", scraped).await;
        self.manager.targets().active[0].last_error.clone()
    }
}

/// One job with one target every 100 ms; `rest` is YAML inside the braces of the job.
pub(crate) fn one_job(target: SocketAddr, rest: &str) -> String {
    let comma = if rest.is_empty() { "" } else { ", " };
    format!(
        "scrape_configs: [{{job_name: j, scrape_interval: 100ms, static_configs: [{{targets: ['{target}']}}]{comma}{rest}}}]"
    )
}
