//! What many checks cost: runs them on one thread against a stub in another process and prints CPU-seconds.
//!
//! `cargo run --release -p probe --example checks -- [tcp|http] [checks] [interval seconds] [rounds]`; without arguments
//! ten thousand of each every 30 seconds, for two rounds.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kit::shutdown::ShutdownTrigger;
use probe::check::{Carry, Check, CheckKey, CheckSpec, CheckStatus, Prober, Reach, Refused, Runner};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Checks that run at once.
const AT_ONCE: usize = 256;

/// Clock ticks of the kernel in a second, as /proc counts CPU time.
const TICKS: f64 = 100.0;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.first().is_some_and(|arg| arg == "stub") {
        return runtime.block_on(stub());
    }
    let number = |at: usize, default: u32| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (checks, interval, rounds) = (number(1, 10_000), number(2, 30), number(3, 2));
    let mut child = Command::new(std::env::current_exe()?).arg("stub").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output of the stub")?).read_line(&mut line)?;
    let kinds: Vec<&str> = args.first().map_or(vec!["tcp", "http"], |kind| vec![kind.as_str()]);
    for kind in kinds {
        let outcome = runtime.block_on(measure(kind, line.trim(), checks, interval, rounds));
        if outcome.is_err() {
            child.kill()?;
        }
        outcome?;
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// A server that greets nobody, answers each request with 200 and closes.
async fn stub() -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        kit::spawn::spawn("connection", async move {
            let mut buffer = [0; 1024];
            if let Ok(1..) = stream.read(&mut buffer).await {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                // A check that goes away needs no answer.
                let _ = stream.write_all(answer).await;
            }
        });
    }
}

/// Every name is the stub's.
#[derive(Debug)]
struct Local(SocketAddr);

#[async_trait]
impl Reach for Local {
    async fn resolve(&self, _host: &str, _port: u16) -> Result<Vec<SocketAddr>, Refused> {
        Ok(vec![self.0])
    }
}

struct Count {
    prober: Prober,
    runs: AtomicU64,
    failed: AtomicU64,
}

#[async_trait]
impl Carry for Count {
    async fn carry(&self, _key: CheckKey, check: Arc<Check>, _due_ms: i64) {
        let result = self.prober.run(&check).await;
        self.runs.fetch_add(1, Ordering::Relaxed);
        if result.status != CheckStatus::Healthy {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn measure(kind: &str, stub: &str, checks: u32, interval: u32, rounds: u32) -> Result<(), Failure> {
    let target = if kind == "http" { "http://stub.example/" } else { "stub.example:80" };
    let spec = json!({"type": kind, "target": target, "interval": interval, "timeout": 5.min(interval)});
    let clock = kit::SystemClock::shared();
    let runner = Runner::new(Arc::clone(&clock), AT_ONCE);
    for index in 0..checks {
        let (check, _) = Check::new(&format!("check {index}"), CheckSpec::parse(&spec)?)?;
        runner.set(&format!("default/check {index}").into(), Arc::new(check));
    }
    let prober = Prober::new(Arc::new(Local(stub.parse()?)), Arc::new(()), clock);
    let count = Arc::new(Count { prober, runs: AtomicU64::new(0), failed: AtomicU64::new(0) });
    let (trigger, shutdown) = ShutdownTrigger::new();
    let before = cpu_seconds()?;
    let carry = Arc::clone(&count) as Arc<dyn Carry>;
    let running = kit::spawn::spawn("runner", Arc::clone(&runner).run(carry, shutdown));
    let seconds = f64::from(interval * rounds);
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let used = cpu_seconds()? - before;
    trigger.request();
    running.await?;
    let (runs, failed) = (count.runs.load(Ordering::Relaxed), count.failed.load(Ordering::Relaxed));
    let stats = runner.stats();
    let (share, each) = (used / seconds * 100.0, used / runs.max(1) as f64 * 1e6);
    writeln!(
        std::io::stdout(),
        "{kind}: {checks} checks every {interval} s: {runs} runs in {seconds} s, {failed} failed, {} turns missed; \
         {used:.2} CPU-seconds, {share:.1} % of a core, {each:.0} µs each",
        stats.missed
    )?;
    Ok(())
}

/// CPU time of this process, user and system.
fn cpu_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit(')').next().ok_or("no name")?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || -> Result<f64, Failure> { Ok(fields.next().ok_or("no CPU time")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS)
}
