//! How often an address may ask what is public and nothing else bounds.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::Fault;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// A link to set a new password.
    Forgot,
    /// What an invitation is to, and accepting it.
    Invitation,
    /// How a tenant signs in.
    Methods,
    /// A sign-in through a provider.
    Sso,
    /// A link to sign in with.
    Link,
    /// The next pair of tokens, or the end of one.
    Token,
    /// A status page, or a calendar of a schedule.
    Page,
    /// To be told of a status page.
    Subscribe,
}

impl Ask {
    /// Within one window.
    fn most(self) -> u64 {
        match self {
            Self::Forgot | Self::Subscribe => 10,
            Self::Invitation | Self::Link => 30,
            // There and back are two, and a whole office may share an address in the morning.
            Self::Sso | Self::Page => 120,
            // Asked while an address is being typed.
            Self::Methods => 60,
            // Many programs may share an address; each asks once in a quarter of an hour.
            Self::Token => 300,
        }
    }
}

/// Begins anew at each multiple of it.
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses counted apart in one window; the others share counts, as many as there are parts.
const ADDRESSES_MAX: usize = 10_000;
const PARTS: u64 = 4_096;

/// How often each address asked what.
type Counts = HashMap<(Ask, String), u64>;

/// Questions in the window of time now.
#[derive(Debug, Default)]
pub(crate) struct Visitors {
    window: Mutex<(u64, Counts)>,
    keys: RandomState,
}

impl Visitors {
    /// Counts a question, or refuses it. `now` is on the monotonic clock.
    pub(crate) fn count(&self, ask: Ask, address: &str, now: Duration) -> Result<(), Fault> {
        let window = now.as_secs() / WINDOW.as_secs();
        let mut state = self.window.lock();
        if state.0 != window {
            *state = (window, HashMap::new());
        }
        let counts = &mut state.1;
        let mut key = (ask, network(address));
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(&key) {
            // Which of them share one nobody can know beforehand, so that nobody can use another's up.
            key.1 = format!("part {}", self.keys.hash_one(&key.1) % PARTS);
        }
        let count = counts.entry(key).or_insert(0);
        *count += 1;
        if *count <= ask.most() {
            return Ok(());
        }
        let retry_after_seconds = ((window + 1) * WINDOW.as_secs()).saturating_sub(now.as_secs()).max(1);
        let message = format!("too many requests from this address; try again in {retry_after_seconds} s");
        Err(Fault::Throttled { message, retry_after_seconds })
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one customer has of IPv6.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Ok(v4) => v4.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_apart_and_windows_begin_anew() {
        let visitors = Visitors::default();
        let at = Duration::from_secs;
        let ask = |address: &str, now| visitors.count(Ask::Forgot, address, at(now)).is_ok();
        assert!((0..Ask::Forgot.most()).all(|_| ask("192.0.2.1", 0)));
        assert!(!ask("192.0.2.1", 50) && ask("192.0.2.2", 50) && ask("192.0.2.1", 60));
        assert!(
            visitors.count(Ask::Sso, "192.0.2.1", at(50)).is_ok(),
            "each question has a count of its own"
        );
        match visitors.count(Ask::Forgot, "192.0.2.9", at(50)) {
            Ok(()) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_refusal_says_when_the_window_ends() {
        let visitors = Visitors::default();
        let last = (0..=Ask::Forgot.most()).map(|_| visitors.count(Ask::Forgot, "", Duration::from_secs(70)));
        match last.last() {
            Some(Err(Fault::Throttled { retry_after_seconds, .. })) => assert_eq!(retry_after_seconds, 50),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn memory_is_bounded_and_an_ipv6_customer_is_one_address() {
        let visitors = Visitors::default();
        for n in 0..ADDRESSES_MAX as u32 + 100 {
            let _ =
                visitors.count(Ask::Forgot, &std::net::Ipv4Addr::from_bits(n).to_string(), Duration::ZERO);
        }
        assert!(visitors.window.lock().1.len() <= ADDRESSES_MAX + PARTS as usize);
        let came = (0..1_000u32).filter(|n| {
            let address = std::net::Ipv4Addr::from_bits(u32::MAX - n).to_string();
            visitors.count(Ask::Forgot, &address, Duration::ZERO).is_ok()
        });
        assert!(came.count() > 900, "those who come late are not all refused");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::9"));
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
