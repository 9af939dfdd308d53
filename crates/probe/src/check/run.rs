//! Carrying out a check: attempts, timeouts, retries, and a message that shows no secret.

use std::sync::Arc;
use std::time::Duration;

use kit::SharedClock;

use super::probes;
use super::reach::{Facts, Reach};
use super::result::{CheckResult, CheckStatus, Details};
use super::spec::Check;
use super::trace::{Fault, Trace, millis};

/// Pause before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Characters of a message.
const MESSAGE_CHARS_MAX: usize = 500;

/// Shorter secrets are words that occur by chance.
const SCRUBBED_BYTES_MIN: usize = 4;

/// Carries out checks from one place for one tenant.
#[derive(Clone, Debug)]
pub struct Prober {
    reach: Arc<dyn Reach>,
    facts: Arc<dyn Facts>,
    clock: SharedClock,
}

impl Prober {
    /// A prober whose connections lead where `reach` says.
    pub fn new(reach: Arc<dyn Reach>, facts: Arc<dyn Facts>, clock: SharedClock) -> Self {
        Self { reach, facts, clock }
    }

    /// Runs a check once, with its retries. All of it ends within the interval; never fails, since that is a result.
    pub async fn run(&self, check: &Check) -> CheckResult {
        let (at, began) = (self.clock.now_ms(), self.clock.monotonic());
        let deadline = began + check.interval().max(check.timeout());
        let mut attempts = 0;
        let mut pause = PAUSE;
        loop {
            attempts += 1;
            let left = deadline.saturating_sub(self.clock.monotonic());
            let mut result = self.attempt(check, at, check.timeout().min(left)).await;
            result.attempts = attempts;
            let over = self.clock.monotonic() + pause >= deadline;
            if result.status != CheckStatus::Unhealthy || attempts >= check.attempts() || over {
                return result;
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, check: &Check, at: i64, limit: Duration) -> CheckResult {
        let began = self.clock.monotonic();
        let (mut details, mut phase) = (Details::default(), String::new());
        let trace = Trace {
            check,
            reach: self.reach.as_ref(),
            clock: self.clock.as_ref(),
            details: &mut details,
            phase: &mut phase,
        };
        let outcome =
            kit::timeout(self.clock.as_ref(), limit, probes::probe(trace, self.facts.as_ref())).await;
        let latency_ms = millis(self.clock.monotonic().saturating_sub(began));
        details.timings.total = latency_ms;
        let outcome = outcome.unwrap_or_else(|timed_out| {
            let doing = if phase.is_empty() { String::new() } else { format!(" while {phase}") };
            Err(Fault::unhealthy(format!("{timed_out}{doing}")))
        });
        let (status, message) = match outcome {
            Ok(()) => (CheckStatus::Healthy, None),
            Err(Fault { unknown: true, message }) => (CheckStatus::Unknown, Some(message)),
            Err(Fault { unknown: false, message }) => (CheckStatus::Unhealthy, Some(message)),
        };
        let secrets = secrets(check);
        let message = message.map(|message| tidy(&message, &secrets));
        details.texts.values_mut().for_each(|text| *text = tidy(text, &secrets));
        CheckResult { at, status, latency_ms, attempts: 1, message, details }
    }
}

/// The secrets of a check, longest first, so that one that holds another goes whole.
fn secrets(check: &Check) -> Vec<String> {
    let mut found = Vec::new();
    check.spec().clone().each_secret(|secret| {
        if secret.len() >= SCRUBBED_BYTES_MIN {
            found.push(std::mem::take(secret));
        }
    });
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found
}

/// One line without secrets, cut where it is long. Answers may repeat what they were asked.
fn tidy(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some((end, _)) = line.char_indices().nth(MESSAGE_CHARS_MAX - 1) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_short_line_without_secrets() {
        let secrets = ["hunter2hunter2".to_owned(), "hunter2".to_owned()];
        assert_eq!(tidy("no hunter2hunter2,\nno hunter2", &secrets), "no ***, no ***");
        assert_eq!(tidy(&"é".repeat(600), &[]).chars().count(), MESSAGE_CHARS_MAX);
    }
}
