//! Times the queue: 1,000 jobs published and acknowledged one by one, and at once.
//!
//! `cargo run --release -p db --example job_rate [URL]`; without a URL it uses SQLite in a folder of its own under
//! the system's temporary one.
//!
//! On two busy cores, published at once they took a twentieth of the time on SQLite and a thirtieth on PostgreSQL
//! (without fsync); claimed and acknowledged at once, less than a fiftieth on both. At least ten times is what we
//! promise.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use db::jobs::{Jobs, NewJob, TABLES};
use db::{Database, DatabaseSettings};
use kit::SystemClock;
use model::TenantId;
use serde_json::json;

const JOBS: usize = 1_000;
const LEASE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("job-rate-{}", std::process::id()));
    let url = std::env::args().nth(1).unwrap_or_else(|| format!("sqlite://{}", folder.display()));
    let clock = SystemClock::shared();
    let settings =
        DatabaseSettings { url, pool_size: 8, timeout: Duration::from_secs(30), tls_required: false };
    let db = Database::open(settings, clock.clone()).await?;
    db.control().migrate(&TABLES, &*clock).await?;
    let jobs = Jobs::new(db.clone(), clock);
    let tenant = TenantId::default_tenant();
    let batch: Vec<NewJob> =
        (0..JOBS).map(|n| NewJob::new(tenant.clone(), "rate", json!({ "number": n }))).collect();
    let mut out = std::io::stdout().lock();

    let start = Instant::now();
    for job in &batch {
        jobs.publish(job.clone()).await?;
    }
    let single = start.elapsed();
    let start = Instant::now();
    jobs.publish_all(&batch).await?;
    report(&mut out, "publish", single, start.elapsed())?;

    let start = Instant::now();
    for _ in 0..JOBS {
        for claim in jobs.claim("rate", "example", 1, LEASE).await? {
            jobs.ack(&claim).await?;
        }
    }
    let single = start.elapsed();
    let start = Instant::now();
    let claims = jobs.claim("rate", "example", JOBS, LEASE).await?;
    jobs.ack_all(&claims).await?;
    report(&mut out, "claim and acknowledge", single, start.elapsed())?;

    for _ in 0..10 {
        let flood: Vec<NewJob> = std::iter::repeat_n(&batch, 10).flatten().cloned().collect();
        jobs.publish_all(&flood).await?;
    }
    let start = Instant::now();
    let claims = jobs.claim("rate", "example", 1, LEASE).await?;
    writeln!(out, "one claim of {} among 100,000 that wait: {:.1?}", claims.len(), start.elapsed())?;
    db.close().await;
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

fn report(out: &mut impl Write, what: &str, single: Duration, batch: Duration) -> std::io::Result<()> {
    let factor = single.as_secs_f64() / batch.as_secs_f64();
    writeln!(out, "{what}: {JOBS} one by one {single:.1?}, at once {batch:.1?}, {factor:.0} times faster")
}
