//! Letters: what is to be written is put down on the request path without waiting, and so without telling by its
//! time whether anybody has an address; a service writes it and hands it to the mail server, again and again
//! while that does not take it. Letters wait in memory: a stop of the process loses them, and whoever waits for
//! one asks again.

mod letter; // what people read
mod post; // the mail server

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use control::Invitation;
use kit::retry::RetryPolicy;
use kit::{BoxError, HealthStatus, Service, Shutdown};
use model::TenantId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::app::SharedApp;
use letter::Letter;
use post::{Post, SendError};

/// Letters that wait; whoever comes beyond them is counted and not written to.
const WAITING_MAX: usize = 1000;

/// A question about an address is worth an answer for so long.
const FORGOT_LIFE_MS: i64 = 15 * 60_000;

/// Waits between attempts: 2 s, 4 s, … 2 min.
const PATIENCE: RetryPolicy = RetryPolicy {
    attempts_max: u32::MAX,
    delay_base: Duration::from_secs(2),
    delay_max: Duration::from_secs(120),
    jitter: 0.0,
};

/// What is to be written.
enum Work {
    /// To everyone with this address: how to set a new password.
    Forgot { tenant: Option<TenantId>, email: String },
    /// This letter.
    Letter(Letter),
}

/// Work, when it is due on the monotonic clock, and until when it is worth doing.
struct Waiting {
    work: Work,
    due: Duration,
    attempts: u32,
    ends_ms: i64,
}

/// Work that waits for the service.
#[derive(Default)]
pub(crate) struct Mail {
    waiting: Mutex<VecDeque<Waiting>>,
    came: Notify,
    /// What the mail server said last, if it took nothing.
    problem: Mutex<Option<String>>,
    /// The way to the mail server, while there is one.
    post: ArcSwapOption<Post>,
}

impl Mail {
    fn push(&self, app: &SharedApp, waiting: Waiting) {
        let mut all = self.waiting.lock();
        if all.len() < WAITING_MAX {
            all.push_back(waiting);
            self.came.notify_one();
        } else {
            app.telemetry().letter("overflow");
        }
    }

    /// What is due, or how long until something is; `None` while nothing waits.
    fn next(&self, now: Duration) -> Result<Waiting, Option<Duration>> {
        let mut all = self.waiting.lock();
        match all.iter().position(|one| one.due <= now).and_then(|at| all.remove(at)) {
            Some(due) => Ok(due),
            None => Err(all.iter().map(|one| one.due.saturating_sub(now)).min()),
        }
    }
}

/// True where letters can be sent.
pub(crate) fn is_on(app: &SharedApp) -> bool {
    !app.settings().smtp.host.is_empty()
}

/// Writes to everyone with this address how to set a new password. Whether anyone has it is looked up later.
pub(crate) fn forgot(app: &SharedApp, tenant: Option<TenantId>, email: &str) {
    let work = Work::Forgot { tenant, email: email.to_owned() };
    put(app, work, app.now_ms().saturating_add(FORGOT_LIFE_MS));
}

/// Sends an invitation with the address that accepts it.
pub(crate) fn invite(app: &SharedApp, invitation: &Invitation, tenant: &str, url: &str) {
    let letter = letter::invitation(invitation, tenant, url);
    put(app, Work::Letter(letter), invitation.expires_at);
}

/// Sends a notification once, by the server of `[smtp]` or by another that the operator's `alertmanager.yml` names. The
/// error says why, and whether no attempt would ever succeed.
pub(crate) async fn notify(
    app: &SharedApp,
    to: &[String],
    letter: &alert::notify::Letter,
    relay: Option<Box<alert::notify::Relay>>,
) -> Result<(), (String, bool)> {
    let post = match relay {
        Some(relay) => Some(Arc::new(Post::to_relay(&relay).map_err(|reason| (reason, true))?)),
        None => app.mail().post.load_full(),
    };
    let Some(post) = post else {
        return Err(("mail is not set up: set smtp.host and server.external_url".to_owned(), true));
    };
    post.notify(to, letter).await.map_err(|error| match error {
        SendError::Later(reason) => (reason, false),
        SendError::Never(reason) => (reason, true),
    })
}

fn put(app: &SharedApp, work: Work, ends_ms: i64) {
    let due = app.clock().monotonic();
    app.mail().push(app, Waiting { work, due, attempts: 0, ends_ms });
}

/// Writes and sends. Its start fails with what is wrong in `[smtp]`.
pub(crate) struct MailPart {
    app: SharedApp,
}

impl MailPart {
    pub(crate) fn new(app: SharedApp) -> Self {
        Self { app }
    }

    async fn work(&self, post: &Post, mut waiting: Waiting) {
        let (app, mail) = (&self.app, self.app.mail());
        if app.now_ms() >= waiting.ends_ms {
            app.telemetry().letter("expired");
            return;
        }
        let done = match &waiting.work {
            Work::Forgot { tenant, email } => self.write_resets(tenant.as_ref(), email).await,
            Work::Letter(letter) => post.send(letter).await,
        };
        let reason = match done {
            Ok(()) => {
                if matches!(waiting.work, Work::Letter(_)) {
                    app.telemetry().letter("sent");
                    *mail.problem.lock() = None;
                }
                return;
            }
            Err(SendError::Never(reason)) => {
                tracing::warn!(reason, "a letter was refused");
                app.telemetry().letter("refused");
                return;
            }
            Err(SendError::Later(reason)) => reason,
        };
        waiting.attempts += 1;
        let wait = PATIENCE.delay(waiting.attempts);
        tracing::warn!(reason, attempts = waiting.attempts, ?wait, "a letter waits for the mail server");
        app.telemetry().letter("retried");
        *mail.problem.lock() = Some(reason);
        waiting.due = app.clock().monotonic().saturating_add(wait);
        mail.push(app, waiting);
    }

    /// A letter for each account that the address has.
    async fn write_resets(&self, tenant: Option<&TenantId>, email: &str) -> Result<(), SendError> {
        let app = &self.app;
        let later = |reason: String| SendError::Later(reason);
        let control = app.control().map_err(|fault| later(fault.message()))?;
        let resets = control.request_password_reset(tenant, email).await;
        for reset in resets.map_err(|error| later(error.to_string()))? {
            let tenant =
                control.tenant(&reset.user.tenant).await.map_err(|error| later(error.to_string()))?;
            let base = app.external_url().unwrap_or_default();
            let letter = letter::reset(&reset, &tenant.name, &base);
            put(app, Work::Letter(letter), reset.expires_at);
        }
        Ok(())
    }
}

#[async_trait]
impl Service for MailPart {
    async fn init(&self) -> Result<(), BoxError> {
        let settings = self.app.settings();
        let external = self.app.external_url();
        let external = external.ok_or("smtp.host needs server.external_url: letters lead people there")?;
        let smtp = settings.smtp.clone();
        let make = move || Post::new(&smtp, &external);
        let post = kit::spawn::spawn_blocking("mail settings", make).await??;
        self.app.mail().post.store(Some(Arc::new(post)));
        Ok(())
    }

    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        let Some(post) = self.app.mail().post.load_full() else { return Ok(()) };
        let (clock, mail) = (self.app.clock(), self.app.mail());
        while !shutdown.is_requested() {
            match mail.next(clock.monotonic()) {
                Ok(waiting) => self.work(&post, waiting).await,
                Err(wait) => {
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = mail.came.notified() => {}
                        () = clock.sleep(wait.unwrap_or(Duration::from_secs(3600))) => {}
                    }
                }
            }
        }
        let lost = mail.waiting.lock().len();
        if lost > 0 {
            tracing::warn!(lost, "letters were not sent before the end");
        }
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(match &*self.app.mail().problem.lock() {
            None => HealthStatus::healthy(),
            Some(reason) => HealthStatus::degraded(format!("the mail server takes no letters: {reason}")),
        })
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        vec![("letters_waiting".to_owned(), self.app.mail().waiting.lock().len() as f64)]
    }
}
