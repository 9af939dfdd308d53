//! What the queue hands out is sent, and each attempt is on record.
//!
//! A kill between the receiver's acceptance and our record sends again, with the same id (`Idempotency-Key`,
//! `webhook-id`, `Message-ID`).

use std::time::Duration;

use alert::engine::HOOK;
use alert::notify::{ChannelSpec, Message, Outgoing};
use alert::rule::InlineChannel;
use alert::tables::{Delivery, Notification, NotificationStatus, Tables};
use async_trait::async_trait;
use db::jobs::{Claim, Failure, JobHandler};
use kit::{BreakerError, BreakerPolicy, ServiceCircuitBreaker};
use model::TenantId;
use reqwest::Method;
use serde::Deserialize;

use super::fallback;
use crate::app::SharedApp;
use crate::error::Fault;
use crate::outbound::{Outbound, Policy, Redirects, causes};

/// Time that one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What a job says.
#[derive(Deserialize)]
struct Told {
    notification: String,
}

/// Sends.
pub(super) struct Sender {
    app: SharedApp,
    breaker: ServiceCircuitBreaker,
}

/// How an attempt ended.
pub(super) struct Attempt {
    pub(super) delivered: bool,
    pub(super) status_code: Option<i64>,
    pub(super) error: Option<String>,
    /// No attempt would ever succeed.
    is_final: bool,
    retry_after: Option<Duration>,
}

impl Attempt {
    fn failed(error: String, is_final: bool) -> Self {
        Self { delivered: false, status_code: None, error: Some(error), is_final, retry_after: None }
    }
}

impl Sender {
    pub(super) fn new(app: SharedApp) -> Self {
        let breaker = ServiceCircuitBreaker::new(app.clock(), BreakerPolicy::default());
        Self { app, breaker }
    }

    async fn send(&self, tenant: &TenantId, tables: &Tables, one: &Notification) -> Result<(), Failure> {
        let again = |error: &dyn std::fmt::Display| Failure::again(error);
        let now = self.app.now_ms();
        let skip = async |why: &str| {
            let skipped = tables.end_notification(&one.id, NotificationStatus::Skipped, why, now).await;
            skipped.map_err(|error| again(&error))
        };
        let engine = self.app.engine_of(tenant).await.map_err(|fault| Failure::again(fault.message()))?;
        let Some(channel) = engine.desk().channel(&one.channel).await else {
            return skip("the channel was removed").await;
        };
        if !channel.is_active {
            return skip("the channel is turned off").await;
        }
        let started = self.app.clock().monotonic();
        let circuit = format!("{tenant}/{}", one.channel);
        let guarded = self.breaker.call_service(&circuit, || async {
            let policy = match one.channel.starts_with(HOOK) {
                // A stranger named the address.
                true => Policy::public(),
                false => Policy::of(tenant, self.app.outbound_ranges()),
            };
            let attempt = deliver(&self.app, policy, &channel, &one.message).await;
            // Only what may heal by waiting counts against the channel.
            if attempt.delivered || attempt.is_final { Ok(attempt) } else { Err(attempt) }
        });
        let attempt = match guarded.await {
            Ok(attempt) | Err(BreakerError::Failed(attempt)) => attempt,
            Err(BreakerError::Open(_)) => {
                return Err(Failure::again(format!("Circuit breaker OPEN for {}", one.channel)));
            }
        };
        let took = self.app.clock().monotonic().saturating_sub(started);
        let status = match (attempt.delivered, attempt.is_final) {
            (true, _) => NotificationStatus::Sent,
            (false, true) => NotificationStatus::Failed,
            (false, false) => NotificationStatus::Queued,
        };
        let delivery = Delivery {
            attempt: one.attempts + 1,
            channel: one.channel.clone(),
            at: now,
            duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            delivered: attempt.delivered,
            status_code: attempt.status_code,
            error: attempt.error.clone(),
        };
        tables.record_delivery(&one.id, &delivery, status).await.map_err(|error| again(&error))?;
        self.app.telemetry().notification(channel.kind.as_str(), status.as_str());
        if attempt.delivered {
            return Ok(());
        }
        let error = attempt.error.unwrap_or_default();
        Err(match (attempt.is_final, attempt.retry_after) {
            (true, _) => Failure::last(error),
            (false, Some(wait)) => Failure::after(error, wait),
            (false, None) => Failure::again(error),
        })
    }
}

#[async_trait]
impl JobHandler for Sender {
    async fn handle(&self, job: &Claim) -> Result<(), Failure> {
        let told: Told = job.decode().map_err(Failure::last)?;
        let control = self.app.control().map_err(|fault| Failure::again(fault.message()))?;
        let scope = control.scope(&job.tenant).await.map_err(Failure::again)?;
        let tables = Tables::new(scope);
        let one = match tables.notification(&told.notification).await {
            Ok(one) => one,
            // Swept, or its tenant's part was put back from an older backup: there is nothing to tell.
            Err(alert::tables::TableError::Missing { .. }) => return Ok(()),
            Err(error) => return Err(Failure::again(error)),
        };
        // Its record was written and the acknowledgement was not.
        if !matches!(one.status, NotificationStatus::Pending | NotificationStatus::Queued) {
            return Ok(());
        }
        let result = self.send(&job.tenant, &tables, &one).await;
        if let Err(failure) = &result {
            let is_over = failure.is_final || job.attempt >= job.attempts_max;
            fallback::after_failure(&self.app, &job.tenant, &one, is_over, &failure.message).await;
        }
        if let Err(failure) = &result
            && job.attempt >= job.attempts_max
        {
            let why = format!("given up after {} attempts: {}", job.attempt, failure.message);
            let ended = tables.end_notification(&one.id, NotificationStatus::Failed, &why, self.app.now_ms());
            ended.await.map_err(Failure::again)?;
        }
        result
    }
}

/// Sends a message once.
pub(super) async fn deliver(
    app: &SharedApp,
    policy: Policy,
    channel: &ChannelSpec,
    message: &Message,
) -> Attempt {
    let outgoing = match channel.compose(message, app.now_ms() / 1_000) {
        Ok(outgoing) => outgoing,
        Err(fault) => return Attempt::failed(fault.to_string(), true),
    };
    match outgoing {
        Outgoing::Http(request) => {
            let client = match Outbound::new(policy, Redirects::Refused, TIMEOUT) {
                Ok(client) => client,
                Err(error) => return Attempt::failed(causes(&error), false),
            };
            let mut builder = match client.request(Method::POST, &request.url) {
                Ok(builder) => builder,
                Err(refused) => return Attempt::failed(refused.to_string(), true),
            };
            for (name, value) in &request.headers {
                builder = builder.header(name, value);
            }
            let sent = builder.header("content-type", request.content_type).body(request.body).send().await;
            match sent {
                Ok(response) => judged(response).await,
                // The address may hold a secret.
                Err(error) => Attempt::failed(causes(&error.without_url()), false),
            }
        }
        Outgoing::Mail { to, letter, relay } => match crate::mail::notify(app, &to, &letter, relay).await {
            Ok(()) => Attempt {
                delivered: true,
                status_code: None,
                error: None,
                is_final: false,
                retry_after: None,
            },
            Err((reason, is_final)) => Attempt::failed(reason, is_final),
        },
    }
}

/// Bytes of an answer that are kept to tell why.
const ANSWER_BYTES_MAX: usize = 300;

async fn judged(response: reqwest::Response) -> Attempt {
    let status = response.status();
    let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = wait.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    if status.is_success() {
        let status_code = Some(i64::from(status.as_u16()));
        return Attempt { delivered: true, status_code, error: None, is_final: false, retry_after: None };
    }
    let said = first_bytes(response).await;
    // What asks for patience, and what a server says of itself, may heal.
    let is_final = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
    Attempt {
        delivered: false,
        status_code: Some(i64::from(status.as_u16())),
        error: Some(format!("answered {status}: {said}")),
        is_final,
        retry_after: wait,
    }
}

async fn first_bytes(mut response: reqwest::Response) -> String {
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk),
            _ => break,
        }
    }
    said.truncate(ANSWER_BYTES_MAX);
    String::from_utf8_lossy(&said).chars().filter(|c| !c.is_control()).collect()
}

/// A channel that a test names or writes out.
pub(super) fn inline(channel: &InlineChannel) -> Result<ChannelSpec, Fault> {
    ChannelSpec::inline(&channel.kind, channel.config.clone())
        .map_err(|fault| Fault::invalid(&fault.field, fault.message))
}
