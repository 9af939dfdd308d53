//! Load of the benchmark: `loadgen write` sends node_exporter-like series by remote write, `loadgen query`
//! times queries. The data depends on nothing but its arguments, so every server gets the same.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod encode; // remote write 1.0 by hand
mod http; // one kept-alive connection
mod proto; // protobuf, written
mod random; // numbers that come again
mod rows; // what logs and spans look like
mod series; // what hosts look like

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::http::Connection;
use crate::series::Host;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let outcome = Options::parse(args).and_then(|options| match command.as_str() {
        "write" => write(&options),
        "query" => query(&options),
        "logs" | "spans" => rows(&options, &command),
        _ => bail!(
            "usage: loadgen write --addr HOST:PORT --path /api/v1/write --hosts 100 --from-ms T --steps N [--step-ms 15000] \
             [--jitter-ms 0] [--per-request 2000] [--connections 2]\n\
             loadgen logs|spans --addr HOST:PORT --count N --from-ms T [--path /v1/logs] [--span-ms 3600000] [--per-request 5000] \
             [--connections 2] [--rare 50]\n\
             loadgen query --addr HOST:PORT --path '/api/v1/query?query=…' [--runs 9] [--body JSON]"
        ),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut map = HashMap::new();
        while let Some(name) = args.next() {
            let name = name.strip_prefix("--").with_context(|| format!("unexpected {name:?}"))?.to_owned();
            let value = args.next().with_context(|| format!("--{name} needs a value"))?;
            map.insert(name, value);
        }
        Ok(Self(map))
    }

    fn text(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("--{name} is required"))
    }

    fn number(&self, name: &str, default: Option<i64>) -> Result<i64> {
        match (self.0.get(name), default) {
            (Some(text), _) => text.parse().with_context(|| format!("--{name} {text:?} is not a number")),
            (None, Some(default)) => Ok(default),
            (None, None) => bail!("--{name} is required"),
        }
    }
}

/// Every host's series at every step, in requests of a bounded number of samples, on a few connections
/// that each own some hosts, as a sender's shards do.
fn write(options: &Options) -> Result<()> {
    let (addr, path) = (options.text("addr")?, options.text("path")?);
    let hosts = options.number("hosts", Some(100))? as usize;
    let steps = options.number("steps", None)?;
    let from_ms = options.number("from-ms", None)?;
    let step_ms = options.number("step-ms", Some(15_000))?;
    let jitter_ms = options.number("jitter-ms", Some(0))?;
    let per_request = options.number("per-request", Some(2000))? as usize;
    let connections = options.number("connections", Some(2))? as usize;
    let (samples, bytes, started) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        let (samples, bytes) = (&samples, &bytes);
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                scope.spawn(move || -> Result<()> {
                    let mut fleet: Vec<Host> =
                        (0..hosts).filter(|n| n % connections == worker).map(Host::new).collect();
                    let mut connection = Connection::open(addr)?;
                    let mut request = encode::WriteRequest::default();
                    for step in 0..steps {
                        for host in &mut fleet {
                            let t_ms = from_ms + step * step_ms + host.jitter(jitter_ms);
                            host.advance();
                            for (labels, value) in host.series() {
                                request.push(labels, value, t_ms);
                                if request.samples() == per_request {
                                    bytes.fetch_add(
                                        send(&mut connection, path, &mut request)?,
                                        Ordering::Relaxed,
                                    );
                                    samples.fetch_add(per_request as u64, Ordering::Relaxed);
                                }
                            }
                        }
                    }
                    let rest = request.samples() as u64;
                    if rest > 0 {
                        bytes.fetch_add(send(&mut connection, path, &mut request)?, Ordering::Relaxed);
                        samples.fetch_add(rest, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|w| w.join().expect("a worker does not panic"))
    })?;
    let (samples, seconds) = (samples.into_inner(), started.elapsed().as_secs_f64());
    println!(
        "{{\"samples\": {samples}, \"seconds\": {seconds:.3}, \"samples_per_second\": {:.0}, \"wire_bytes_per_sample\": {:.2}}}",
        samples as f64 / seconds,
        bytes.into_inner() as f64 / samples as f64
    );
    Ok(())
}

fn send(connection: &mut Connection, path: &str, request: &mut encode::WriteRequest) -> Result<u64> {
    let body = request.finish()?;
    let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
                   X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    // A server that is behind says so; a sender waits and sends again.
    for _ in 0..600 {
        let answer = connection.request("POST", path, headers, &body)?;
        match answer.status {
            200..=299 => return Ok(body.len() as u64),
            429 | 503 => std::thread::sleep(std::time::Duration::from_millis(100)),
            status => bail!("{status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
    bail!("the server kept refusing for a minute")
}

/// Log records or spans as OTLP, on a few connections.
fn rows(options: &Options, kind: &str) -> Result<()> {
    let addr = options.text("addr")?;
    let path = options
        .0
        .get("path")
        .cloned()
        .unwrap_or_else(|| if kind == "logs" { "/v1/logs".to_owned() } else { "/v1/traces".to_owned() });
    let count = options.number("count", None)? as u64;
    let from_ns = options.number("from-ms", None)? as u64 * 1_000_000;
    let span_ns = options.number("span-ms", Some(3_600_000))? as u64 * 1_000_000;
    let per_request = options.number("per-request", Some(5000))? as usize;
    let connections = options.number("connections", Some(2))? as u64;
    let rare = options.number("rare", Some(50))? as u64;
    let (sent, bytes, started) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    let share = count / connections;
    std::thread::scope(|scope| {
        let (sent, bytes, path) = (&sent, &bytes, path.as_str());
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                scope.spawn(move || -> Result<()> {
                    let mut connection = Connection::open(addr)?;
                    let step_ns = (span_ns / share.max(1)).max(2);
                    let rare_every = count.checked_div(rare).map_or(0, |every| every.max(8));
                    let mut logs = rows::Logs::new(worker + 1, from_ns, step_ns, rare_every);
                    let mut spans = rows::Spans::new(worker + 1, from_ns, step_ns);
                    loop {
                        let before = if kind == "logs" { logs.next } else { spans.next };
                        if before >= share {
                            return Ok(());
                        }
                        let size = per_request.min((share - before).max(5) as usize);
                        let body = if kind == "logs" { logs.request(size) } else { spans.request(size) };
                        let after = if kind == "logs" { logs.next } else { spans.next };
                        send_rows(&mut connection, path, &body)?;
                        sent.fetch_add(after - before, Ordering::Relaxed);
                        bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|w| w.join().expect("a worker does not panic"))
    })?;
    let (sent, seconds) = (sent.into_inner(), started.elapsed().as_secs_f64());
    println!(
        "{{\"rows\": {sent}, \"seconds\": {seconds:.3}, \"rows_per_second\": {:.0}, \"wire_bytes_per_row\": {:.1}}}",
        sent as f64 / seconds,
        bytes.into_inner() as f64 / sent as f64
    );
    Ok(())
}

fn send_rows(connection: &mut Connection, path: &str, body: &[u8]) -> Result<()> {
    for _ in 0..600 {
        let answer = connection.request("POST", path, "Content-Type: application/x-protobuf\r\n", body)?;
        match answer.status {
            200 if answer.body.is_empty() => return Ok(()),
            200 => bail!("some rows were refused: {}", String::from_utf8_lossy(&answer.body)),
            429 | 503 => std::thread::sleep(std::time::Duration::from_millis(100)),
            status => bail!("{status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
    bail!("the server kept refusing for a minute")
}

/// Runs one query several times; prints the median and the size of the answer.
fn query(options: &Options) -> Result<()> {
    let runs = options.number("runs", Some(9))? as usize;
    let mut connection = Connection::open(options.text("addr")?)?;
    let mut millis = Vec::new();
    let mut size = 0;
    for _ in 0..=runs {
        let started = Instant::now();
        let answer = match options.0.get("body") {
            Some(body) => {
                let headers = "Content-Type: application/json\r\n";
                connection.request("POST", options.text("path")?, headers, body.as_bytes())?
            }
            None => connection.request("GET", options.text("path")?, "", b"")?,
        };
        millis.push(started.elapsed().as_secs_f64() * 1000.0);
        if answer.status != 200 {
            bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        size = answer.body.len();
    }
    let cold = millis.remove(0);
    millis.sort_by(f64::total_cmp);
    println!("{{\"cold_ms\": {cold:.2}, \"median_ms\": {:.2}, \"bytes\": {size}}}", millis[millis.len() / 2]);
    Ok(())
}
