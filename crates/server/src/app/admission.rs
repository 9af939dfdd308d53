//! What a body may take before anything is decoded: requests in a window of time, bytes in flight, memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use kit::{Class, Reservation};

use super::App;
use crate::body;
use crate::chain::Identity;
use crate::error::Fault;
use crate::limits::{Limit, State};

/// Memory that a body takes while it is read, unpacked and decoded, as a multiple of its size on the wire:
/// compressed telemetry unpacks about fivefold, and the decoded columns are about as large as the body.
const MEMORY_PER_WIRE_BYTE: u64 = 8;
/// The same for a body as it is after unpacking.
const MEMORY_PER_PLAIN_BYTE: u64 = 3;
/// Reserved for a body that does not declare its size, as most over HTTP/2 do not; it grows with what comes.
const UNDECLARED_BYTES: u64 = 64 << 10;

/// Room for one body. Dropping it gives the room back.
#[derive(Debug)]
pub(crate) struct Admission {
    memory: Reservation,
    memory_limit: u64,
    flight: Flights,
}

/// Counted for the tenant, if it is known, and for all.
#[derive(Debug)]
struct Flights {
    own: Option<Flight>,
    all: Flight,
}

impl Flights {
    fn grow_to(&mut self, bytes: u64) -> Result<(), Fault> {
        if let Some(own) = &mut self.own {
            own.grow_to(bytes)?;
        }
        self.all.grow_to(bytes)
    }
}

/// Bytes counted as in flight.
#[derive(Debug)]
struct Flight {
    all: Arc<AtomicU64>,
    bytes: u64,
    limit: u64,
}

impl Flight {
    fn grow_to(&mut self, bytes: u64) -> Result<(), Fault> {
        let more = bytes.saturating_sub(self.bytes);
        let before = self.all.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        // One body alone is judged by its own limit.
        if before > 0 && before.saturating_add(more) > self.limit && more > 0 {
            return Err(Fault::TooMany(format!(
                "over {} bytes of requests are under way (limits.in_flight_bytes): send fewer at once",
                self.limit
            )));
        }
        Ok(())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Admission {
    fn memory_to(&mut self, bytes: u64) -> Result<(), Fault> {
        if bytes <= self.memory.bytes() {
            return Ok(());
        }
        if bytes > self.memory_limit {
            return Err(no_room_ever(bytes, self.memory_limit));
        }
        self.memory.resize(bytes).map_err(|error| Fault::Unavailable(error.to_string()))
    }

    /// Accounts what unpacking made of the body.
    pub(crate) fn unpacked(&mut self, plain_bytes: usize) -> Result<(), Fault> {
        self.memory_to((plain_bytes as u64).saturating_mul(MEMORY_PER_PLAIN_BYTE))
    }
}

/// Waiting does not help a body that needs more than there is.
fn no_room_ever(wanted: u64, limit: u64) -> Fault {
    Fault::TooLarge(format!(
        "the body needs about {wanted} bytes of memory and memory.limit is {limit}: send smaller batches"
    ))
}

impl App {
    /// Reads a body within the limits, with its memory reserved for as long as the admission is held.
    pub(crate) async fn admit(
        &self,
        identity: &Identity,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Vec<u8>, Admission), Fault> {
        let state = self.tenant_limits().get(&identity.tenant);
        if let Some(state) = &state {
            self.check_stored_bytes(state)?;
        }
        let admitted = self.admit_body(state.as_deref(), headers, body).await;
        if let Some(state) = &state {
            match &admitted {
                Ok((raw, _)) => state.received(&identity.principal.who.id, raw.len() as u64),
                Err(Fault::TooMany(_)) => self.count_refused(state, Limit::InFlightBytes, 1),
                Err(_) => {}
            }
        }
        admitted
    }

    async fn admit_body(
        &self,
        state: Option<&State>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Vec<u8>, Admission), Fault> {
        let settings = self.settings();
        let most = settings.limits.in_flight_bytes.0;
        // Half, unless its limits say otherwise, so that no tenant takes all of it.
        let own =
            state.and_then(|state| state.limits().in_flight_bytes).unwrap_or(most.div_ceil(2)).min(most);
        let limit = usize::try_from(settings.limits.body_bytes.0).unwrap_or(usize::MAX);
        let declared: Option<u64> =
            headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        if declared.is_some_and(|bytes| bytes > limit as u64) {
            return Err(body::too_large(limit));
        }
        let expected = declared.unwrap_or(UNDECLARED_BYTES);
        let memory_limit = self.memory_limit();
        let wanted = expected.saturating_mul(MEMORY_PER_WIRE_BYTE);
        // A body that does not compress needs less than this; what it really needs is asked for as it comes.
        let wanted = wanted.min(memory_limit / 2).max(expected.saturating_mul(MEMORY_PER_PLAIN_BYTE));
        if wanted > memory_limit {
            return Err(no_room_ever(wanted, memory_limit));
        }
        let own =
            state.map(|state| Flight { all: Arc::clone(&state.used.in_flight_bytes), bytes: 0, limit: own });
        let flight = Flights { own, all: Flight { all: Arc::clone(&self.in_flight), bytes: 0, limit: most } };
        let memory = self
            .budget
            .reserve(wanted, Class::Request)
            .map_err(|error| Fault::Unavailable(error.to_string()))?;
        let mut admission = Admission { memory, memory_limit, flight };
        admission.flight.grow_to(expected)?;
        let account = |received: usize| {
            let received = received as u64;
            if received > admission.flight.all.bytes {
                admission.flight.grow_to(received.saturating_mul(2).min(limit as u64))?;
                admission.memory_to(received.saturating_mul(2 * MEMORY_PER_PLAIN_BYTE))?;
            }
            Ok(())
        };
        let raw = body::read_with(body, limit, account).await?;
        Ok((raw, admission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_flight_are_bounded_and_given_back() {
        let all = Arc::new(AtomicU64::new(0));
        let flight = || Flight { all: Arc::clone(&all), bytes: 0, limit: 100 };
        let mut alone = flight();
        assert!(alone.grow_to(150).is_ok(), "one body is judged by its own limit");
        assert!(matches!(flight().grow_to(1), Err(Fault::TooMany(_))));
        assert_eq!(all.load(Ordering::Relaxed), 150);
        drop(alone);
        assert!(flight().grow_to(60).is_ok());
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
