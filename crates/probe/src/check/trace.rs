//! One attempt while it lasts: what it does, what it saw, and how it fails.

use std::time::Duration;

use kit::Clock;
use tokio::net::TcpStream;

use super::reach::{Reach, Refused};
use super::result::Details;
use super::spec::{Check, Endpoint};

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 4;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Whether it says nothing about the target.
    pub(super) unknown: bool,
    pub(super) message: String,
}

impl Fault {
    /// The target is not as it should be.
    pub(super) fn unhealthy(message: impl Into<String>) -> Self {
        Self { unknown: false, message: message.into() }
    }

    /// Nobody can tell; another attempt would not change that.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self { unknown: true, message: message.into() }
    }
}

/// What every probe works with.
pub(super) struct Trace<'a> {
    pub(super) check: &'a Check,
    pub(super) reach: &'a dyn Reach,
    pub(super) clock: &'a dyn Clock,
    pub(super) details: &'a mut Details,
    /// What is going on, for the message when time is up.
    pub(super) phase: &'a mut String,
}

impl Trace<'_> {
    /// Milliseconds since a moment of the monotonic clock.
    pub(super) fn since(&self, began: Duration) -> f64 {
        millis(self.clock.monotonic().saturating_sub(began))
    }

    /// Notes what is going on.
    pub(super) fn begin(&mut self, phase: impl Into<String>) -> Duration {
        *self.phase = phase.into();
        self.clock.monotonic()
    }

    pub(super) fn value(&mut self, name: &str, value: f64) {
        self.details.values.insert(name.to_owned(), value);
    }

    /// Keeps a text, cut to 200 characters.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.details.texts.insert(name.to_owned(), text.chars().take(200).collect());
    }

    /// The addresses of a host that may be reached.
    pub(super) async fn resolve(
        &mut self,
        host: &str,
        port: u16,
    ) -> Result<Vec<std::net::SocketAddr>, Fault> {
        let began = self.begin(format!("looking up {host}"));
        let found = self.reach.resolve(host, port).await;
        self.details.timings.dns = Some(self.since(began));
        let mut addresses = found.map_err(|refused| match refused {
            Refused::Policy(_) => Fault::unknown(refused.to_string()),
            Refused::NoAddress(_) | Refused::Lookup { .. } => Fault::unhealthy(refused.to_string()),
        })?;
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            return Err(Fault::unhealthy(Refused::NoAddress(host.to_owned()).to_string()));
        }
        Ok(addresses)
    }

    /// Connects to the first address that accepts. Each but the last has its share of the time only.
    pub(super) async fn connect(&mut self, endpoint: &Endpoint) -> Result<TcpStream, Fault> {
        let addresses = self.resolve(&endpoint.host, endpoint.port).await?;
        let share = self.check.timeout() / addresses.len() as u32;
        let mut last = Fault::unhealthy("no address");
        let began = self.begin("connecting");
        for (index, address) in addresses.iter().enumerate() {
            self.begin(format!("connecting to {address}"));
            self.details.address = Some(address.to_string());
            let connecting = TcpStream::connect(*address);
            let connected = match index + 1 == addresses.len() {
                true => Ok(connecting.await),
                false => kit::timeout(self.clock, share, connecting).await,
            };
            last = match connected {
                Ok(Ok(stream)) => {
                    self.details.timings.connect = Some(self.since(began));
                    // Small requests should not wait for more; without it the check is only slower.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => Fault::unhealthy(format!("cannot connect to {address}: {}", plain(&error))),
                Err(timed_out) => Fault::unhealthy(format!("cannot connect to {address}: {timed_out}")),
            };
        }
        Err(last)
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// An error in words; one of the system without its number.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
