//! The loop of one target: scrape, build, append, report, wait.

use std::sync::Arc;
use std::time::Duration;

use kit::SharedClock;
use model::{Labels, METRIC_NAME, Metadata, MetricBatch, Point};
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use tokio::sync::oneshot;

use super::build::{self, Context, Counts};
use super::cache::SeriesCache;
use super::clients::ClientSource;
use super::config::JobConfig;
use super::error::ScrapeError;
use super::fetch;
use super::parse;
use super::status::ActiveTarget;
use super::{AppendError, Appender};

/// A scrape that begins this close to its turn gets the time of its turn, which makes timestamps regular
/// and cheap to store.
const TURN_TOLERANCE_MS: i64 = 2;

/// Scrapes between two that append the metadata again, for a store that was emptied meanwhile.
const METADATA_EVERY: u64 = 100;

/// What the loops of one job share.
#[derive(Debug)]
pub(crate) struct JobContext {
    pub(crate) job: JobConfig,
    pub(crate) accept: HeaderValue,
    pub(crate) client: ClientSource,
    pub(crate) appender: Arc<dyn Appender>,
    pub(crate) clock: SharedClock,
    /// Set while the job has more targets than it may.
    pub(crate) too_many: Mutex<Option<ScrapeError>>,
}

/// Why a loop is asked to end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The target is gone: its series end.
    Removed,
    /// Another loop takes over, with what this one knows.
    Replaced,
}

/// What a loop hears; an error when nobody is left to tell it anything.
type StopReason = Result<Stop, oneshot::error::RecvError>;

/// One target's loop.
pub(crate) struct Runner {
    pub(crate) context: Arc<JobContext>,
    pub(crate) target: Arc<ActiveTarget>,
    pub(crate) cache: SeriesCache,
    pub(crate) scrapes: u64,
    pub(crate) reported: bool,
}

/// What a scrape tells about itself.
struct Report {
    up: bool,
    seconds: f64,
    counts: Counts,
    added: u64,
    body_bytes: f64,
}

impl Runner {
    /// A loop that continues with the series of an earlier one, if any.
    pub(crate) fn new(context: Arc<JobContext>, target: Arc<ActiveTarget>, cache: SeriesCache) -> Self {
        Self { context, target, cache, scrapes: 0, reported: false }
    }

    /// Runs until it is told to stop (or whoever could tell is gone, which is the end of the process) and
    /// hands back what it knows of the target's series.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<Stop>) -> SeriesCache {
        let clock = Arc::clone(&self.context.clock);
        let target = &self.target.target;
        let interval = target.interval.0;
        let mut turn = clock.monotonic() + Duration::from_millis(target.delay_ms(clock.now_ms()));
        let mut last_ms: Option<i64> = None;
        loop {
            let wait = turn.saturating_sub(clock.monotonic());
            let reason = tokio::select! {
                biased;
                reason = &mut stop => Some(reason),
                () = clock.sleep(wait) => None,
            };
            if let Some(reason) = reason {
                return self.end(reason.ok()).await;
            }
            let t_ms = on_turn(clock.now_ms(), last_ms, interval);
            last_ms = Some(t_ms);
            if let Some(reason) = self.scrape(t_ms, &mut stop).await {
                return self.end(reason.ok()).await;
            }
            turn += interval;
            // Turns that passed meanwhile are left out, as a ticker does.
            let late = clock.monotonic().saturating_sub(turn).as_nanos() / interval.as_nanos().max(1);
            turn += interval.saturating_mul(u32::try_from(late).unwrap_or(u32::MAX));
        }
    }

    /// One scrape. Being told to stop interrupts the request, never the storing of what it brought.
    async fn scrape(&mut self, t_ms: i64, stop: &mut oneshot::Receiver<Stop>) -> Option<StopReason> {
        let clock = Arc::clone(&self.context.clock);
        let began = clock.monotonic();
        let mut out = MetricBatch::default();
        self.cache.begin();
        let mut counts = Counts::default();
        let mut body_bytes = 0.0;
        let answer = tokio::select! {
            biased;
            reason = stop => return Some(reason),
            answer = self.answer() => answer,
        };
        let mut result = answer.map(|(parsed, bytes)| {
            body_bytes = bytes as f64;
            parsed
        });
        if let Ok(parsed) = &mut result {
            self.describe(std::mem::take(&mut parsed.metadata), &mut out);
        }
        let result = result.and_then(|parsed| {
            let context = Context { job: &self.context.job, target: &self.target.target.labels, t_ms };
            let (read, result) = build::build(&context, &parsed, &mut self.cache, &mut out);
            counts = read;
            result
        });
        let mut added = self.cache.added();
        match &result {
            Ok(()) => self.cache.commit(|labels| build::push_stale(&mut out, labels, t_ms)),
            Err(error) => {
                self.cache.fail(|labels| build::push_stale(&mut out, labels, t_ms));
                added = if counts.scraped == 0 { 0 } else { added };
                body_bytes = if error.is_body_limit() { -1.0 } else { body_bytes };
            }
        }
        let duration = clock.monotonic().saturating_sub(began);
        let report =
            Report { up: result.is_ok(), seconds: duration.as_secs_f64(), counts, added, body_bytes };
        self.report(&report, t_ms, &mut out);
        let error = result.err().map(|error| error.to_string());
        if let Some(error) = &error {
            let (job, url) = (&self.context.job.name, &self.target.target.labels);
            tracing::debug!(%job, target = %url, %error, "scrape failed");
        }
        self.append(out).await;
        self.target.ended(t_ms, duration, error);
        None
    }

    /// Asks and parses, within the timeout.
    async fn answer(&self) -> Result<(MetricBatch, usize), ScrapeError> {
        let (context, target) = (&self.context, &self.target.target);
        if let Some(error) = context.too_many.lock().clone() {
            return Err(error);
        }
        let client = context.client.get().await?;
        let fetched = fetch::fetch(&client, &context.job, target, &context.accept);
        let answer = kit::timeout(context.clock.as_ref(), target.timeout.0, fetched)
            .await
            .map_err(|_| ScrapeError::Timeout(target.timeout))??;
        let bytes = answer.body.len();
        parse::parse(answer, &context.job).map(|parsed| (parsed, bytes))
    }

    /// Passes on what is news about families; all of it now and then.
    fn describe(&mut self, metadata: Vec<Metadata>, out: &mut MetricBatch) {
        let all = self.scrapes.is_multiple_of(METADATA_EVERY);
        self.scrapes += 1;
        if all {
            out.metadata.clone_from(&metadata);
            self.target.describe(metadata);
        } else {
            out.metadata = self.target.describe(metadata);
        }
    }

    /// Appends the series about the scrape itself.
    fn report(&mut self, report: &Report, t_ms: i64, out: &mut MetricBatch) {
        let labels = &self.target.target.labels;
        for (name, value) in report.series() {
            push(out, name, labels, t_ms, value);
        }
        if self.context.job.extra_metrics {
            let limits = &self.context.job.limits;
            let timeout = self.target.target.timeout.0.as_secs_f64();
            let values = [timeout, limits.samples as f64, report.body_bytes];
            for (name, value) in EXTRA.into_iter().zip(values) {
                push(out, name, labels, t_ms, value);
            }
        }
        self.reported = true;
    }

    async fn append(&self, batch: MetricBatch) {
        if let Err(AppendError(error)) = self.context.appender.append(batch).await {
            let (job, target) = (&self.context.job.name, &self.target.target.labels);
            tracing::warn!(%job, %target, %error, "scraped samples could not be stored");
        }
    }

    /// Ends the target's series where it was removed.
    async fn end(mut self, reason: Option<Stop>) -> SeriesCache {
        if matches!(reason, Some(Stop::Removed)) {
            let t_ms = self.context.clock.now_ms();
            let mut out = MetricBatch::default();
            self.cache.fail(|labels| build::push_stale(&mut out, labels, t_ms));
            if self.reported {
                let extra: &[&str] = if self.context.job.extra_metrics { &EXTRA } else { &[] };
                for name in REPORTED.iter().chain(extra) {
                    push(&mut out, name, &self.target.target.labels, t_ms, model::STALE_NAN);
                }
            }
            if !out.series.is_empty() {
                self.append(out).await;
            }
        }
        self.cache
    }
}

/// The time of a scrape: that of its turn where it began close enough to it.
fn on_turn(now_ms: i64, last_ms: Option<i64>, interval: Duration) -> i64 {
    let interval_ms = interval.as_millis() as i64;
    let tolerance = TURN_TOLERANCE_MS.min(interval_ms / 100);
    match last_ms.map(|last| last.saturating_add(interval_ms)) {
        Some(turn) if (now_ms - turn).abs() <= tolerance => turn,
        _ => now_ms,
    }
}

const REPORTED: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

const EXTRA: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

impl Report {
    fn series(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let values = [
            f64::from(u8::from(self.up)),
            self.seconds,
            self.counts.scraped as f64,
            self.counts.kept as f64,
            self.added as f64,
        ];
        REPORTED.into_iter().zip(values)
    }
}

fn push(out: &mut MetricBatch, name: &str, labels: &Labels, t_ms: i64, value: f64) {
    let own = labels.iter().filter(|(label, _)| *label != METRIC_NAME);
    out.push_float([(METRIC_NAME, name)].into_iter().chain(own), Point { t_ms, value });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_close_to_its_turn_gets_the_time_of_its_turn() {
        let second = Duration::from_secs(1);
        let rows = [
            (5_000, None, second, 5_000),
            (6_002, Some(5_000), second, 6_000),
            (5_998, Some(5_000), second, 6_000),
            (6_003, Some(5_000), second, 6_003),
            (5_101, Some(5_000), Duration::from_millis(100), 5_100),
            (5_102, Some(5_000), Duration::from_millis(100), 5_102),
        ];
        for (now, last, interval, want) in rows {
            assert_eq!(on_turn(now, last, interval), want, "{now} after {last:?}");
        }
    }
}
