//! Sends parcels to the server in their order, until it has them.

use std::time::Duration;

use kit::{RetryPolicy, Shutdown};
use reqwest::StatusCode;

use crate::spool::{Parcel, Spool, SpoolError};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Where parcels go.
pub(crate) struct Forwarder {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What became of one attempt.
enum Sent {
    Taken,
    /// Sending it again would not help.
    Refused(String),
    Later(String, Option<Duration>),
}

impl Forwarder {
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    /// Sends until asked to stop.
    pub(crate) async fn run(&self, spool: &Spool, stop: &Shutdown) -> Result<(), SpoolError> {
        let mut at = spool.sent();
        let mut failures = 0u32;
        loop {
            let (parcel, behind) = tokio::select! {
                next = spool.next(at) => next?,
                () = stop.requested() => return Ok(()),
            };
            let wait = match self.send(&parcel).await {
                Sent::Taken => None,
                Sent::Refused(why) => {
                    tracing::error!(
                        path = parcel.path,
                        why,
                        "the server will not take a request; it is dropped"
                    );
                    None
                }
                Sent::Later(why, wait) => {
                    if failures == 0 {
                        tracing::warn!(why, "the server cannot be reached; requests are kept on disk");
                    }
                    failures = failures.saturating_add(1);
                    Some(wait.unwrap_or_else(|| backoff(failures)))
                }
            };
            match wait {
                None => {
                    if failures > 0 {
                        tracing::info!("the server is back");
                    }
                    failures = 0;
                    at = behind;
                    spool.strike_off(at)?;
                }
                Some(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.requested() => return Ok(()),
                },
            }
        }
    }

    async fn send(&self, parcel: &Parcel) -> Sent {
        let mut request = self
            .http
            .post(format!("{}{}", self.url, parcel.path))
            .bearer_auth(&self.token)
            .header("content-type", &parcel.content_type)
            .body(parcel.body.clone());
        if !parcel.content_encoding.is_empty() {
            request = request.header("content-encoding", &parcel.content_encoding);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Sent::Later(error.to_string(), None),
        };
        let status = answer.status();
        let wait =
            answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let wait = wait.map(Duration::from_secs).map(|wait| wait.min(BACKOFF_MAX));
        if status.is_success() {
            return Sent::Taken;
        }
        let text = answer.text().await.unwrap_or_default();
        let why = format!("{status}: {}", &text[..text.floor_char_boundary(200)]);
        // A key can be mended, a busy server becomes free, and a new version may know more paths.
        let later = matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
        ) || status.is_server_error()
            || status.is_redirection();
        if later { Sent::Later(why, wait) } else { Sent::Refused(why) }
    }
}

/// Doubles from half a second to a minute, less a random part, so that agents do not all come back at once.
fn backoff(failures: u32) -> Duration {
    let policy = RetryPolicy {
        delay_base: Duration::from_millis(500),
        delay_max: BACKOFF_MAX,
        jitter: 0.5,
        ..RetryPolicy::default()
    };
    let mut random = [0; 2];
    // Without randomness the wait is the longest.
    let _ = getrandom::fill(&mut random);
    policy.delay_jittered(failures, f64::from(u16::from_le_bytes(random)) / 65_536.0)
}
