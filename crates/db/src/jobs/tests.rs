//! One suite for both kinds of database.

mod aggregation; // the queue of metrics
mod letters; // dead letters, lists, sweeping
mod order; // whose job is next
mod publish; // keys, limits, transactions
mod races; // many at once
mod settle; // acknowledged, failed, lost
mod worker; // the loop

use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use serde_json::json;

use crate::jobs::{Claim, JobSettings, Jobs, NewJob, Priority, TABLES};
use crate::testing::Fixture;

const LEASE: Duration = Duration::from_secs(30);

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

/// A job for queue `q` whose payload is its name.
fn job(of: &str, name: &str) -> NewJob {
    NewJob::new(tenant(of), "q", json!(name))
}

fn priority(of: &str, priority: Priority, name: &str) -> NewJob {
    NewJob { priority, ..job(of, name) }
}

fn keyed(of: &str, key: &str, name: &str) -> NewJob {
    NewJob { key: Some(key.to_owned()), ..job(of, name) }
}

async fn jobs(f: &Arc<Fixture>) -> Jobs {
    jobs_with(f, JobSettings::default()).await
}

async fn jobs_with(f: &Arc<Fixture>, settings: JobSettings) -> Jobs {
    f.db.control().migrate(&TABLES, &f.clock).await.unwrap();
    Jobs::with_settings(f.db.clone(), f.shared_clock(), settings)
}

async fn claim(jobs: &Jobs, n: usize) -> Vec<Claim> {
    jobs.claim("q", "node-1", n, LEASE).await.unwrap()
}

async fn claim_one(jobs: &Jobs) -> Claim {
    claim(jobs, 1).await.pop().expect("something is ready")
}

fn name(claim: &Claim) -> String {
    claim.decode().unwrap()
}

fn names(claims: &[Claim]) -> String {
    claims.iter().map(name).collect::<Vec<_>>().join(" ")
}

fn now_ms(f: &Fixture) -> i64 {
    kit::Clock::now_ms(&f.clock)
}
