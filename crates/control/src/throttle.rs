//! Guessing is slow: failed attempts are counted in the database, so that all nodes agree, and three times: for an
//! account from one network, which waits longer each time; for an account from everywhere, and for a network whatever
//! the account, each within a window. So whoever guesses from elsewhere makes the owner of an account wait only by an
//! attack from many networks, and then for a window.
//!
//! An attempt counts as failed from its beginning and is forgiven when it succeeds; so of many at once no
//! more get through than one after the other would. An account is a tenant and an address, whether it exists or
//! not, so that being locked out tells nothing; and where no tenant is named, the address alone, so that nobody learns
//! from one what is known of the other, and a sign-in to one tenant forgives nothing of another.

use db::Tx;
use model::TenantId;
use sha2::{Digest, Sha256};
use sqlx::{Executor, Row};

use crate::control::Control;
use crate::error::ControlError;
use crate::secret::hex;

/// Failures of one account from one network before each further one has to wait.
const FREE: i64 = 5;

/// Failures of one account from one network that lock it for that network.
const LOCK_AT: i64 = 10;

/// How long it stays locked.
const LOCK_MS: i64 = 15 * 60_000;

/// Failures of one account from one network are forgotten this long after the last.
const FORGET_MS: i64 = 60 * 60_000;

/// Failures of one account from everywhere within a window.
const ACCOUNT_MAX: i64 = 100;

/// Failures from one network within a window.
const ADDRESS_MAX: i64 = 30;

/// A window begins with its first failure.
const WINDOW_MS: i64 = 15 * 60_000;

/// An attempt under way: how to forgive it, or to take it back.
#[must_use = "an attempt that succeeded must be forgiven"]
pub(crate) struct Attempt {
    /// The account from the network, where nothing blocks it for long but its own failures.
    pair: String,
    /// The account and the network, if that is known, and how many failures each may have.
    windows: Vec<(String, i64)>,
}

impl Control {
    /// Counts an attempt to prove to be the account of an address, made from a network address (empty when it is not
    /// known, or when whoever tries has proved already who they are), or refuses it.
    pub(crate) async fn begin_attempt(
        &self,
        tenant: Option<&TenantId>,
        email: &str,
        address: &str,
    ) -> Result<Attempt, ControlError> {
        let name = format!("{}\n{}", tenant.map_or("", TenantId::as_str), email.trim().to_lowercase());
        let account = format!("account:{}", hex(&Sha256::digest(name)[..16]));
        let network = network(address);
        let pair = format!("{account}@{}", network.as_deref().unwrap_or_default());
        // Whoever comes from nowhere has one pair for all, which is bound enough.
        let windows = network.map_or_else(Vec::new, |network| {
            vec![(account, ACCOUNT_MAX), (format!("address:{network}"), ADDRESS_MAX)]
        });
        let attempt = Attempt { pair, windows };
        let now = self.now();
        let mut tx = self.begin().await?;
        self.count_pair(&mut tx, &attempt.pair, now).await?;
        for (subject, most) in &attempt.windows {
            self.count_window(&mut tx, subject, *most, now).await?;
        }
        tx.commit().await?;
        Ok(attempt)
    }

    /// Forgets the failures from the network of an account whose owner just proved to be it. Those of the windows stay
    /// but for this attempt: one good password does not pay for guessing others.
    pub(crate) async fn forgive(&self, tx: &mut Tx, attempt: &Attempt) -> Result<(), ControlError> {
        let delete = sqlx::query("DELETE FROM sign_in_failures WHERE subject = $1");
        tx.execute(delete.bind(attempt.pair.as_str())).await?;
        self.uncount_windows(tx, attempt).await
    }

    /// Takes an attempt back that was neither a success nor a failure: everything is as before it. Nothing blocked it,
    /// so nothing blocks the next.
    pub(crate) async fn take_back(&self, tx: &mut Tx, attempt: &Attempt) -> Result<(), ControlError> {
        let update = sqlx::query(
            "UPDATE sign_in_failures SET failures = failures - 1, blocked_until = 0 \
             WHERE subject = $1 AND failures > 0",
        );
        tx.execute(update.bind(attempt.pair.as_str())).await?;
        self.uncount_windows(tx, attempt).await
    }

    /// The outcome of a check that an attempt was begun for. One that could not be made, as when too many wait for it,
    /// takes the attempt back.
    pub(crate) async fn judged<T>(
        &self,
        attempt: &Attempt,
        outcome: Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        if outcome.is_err() {
            let mut tx = self.begin().await?;
            self.take_back(&mut tx, attempt).await?;
            tx.commit().await?;
        }
        outcome
    }

    async fn uncount_windows(&self, tx: &mut Tx, attempt: &Attempt) -> Result<(), ControlError> {
        for (subject, _) in &attempt.windows {
            let update = sqlx::query(
                "UPDATE sign_in_failures SET failures = failures - 1 WHERE subject = $1 AND failures > 0",
            );
            tx.execute(update.bind(subject.as_str())).await?;
        }
        Ok(())
    }

    async fn count_pair(&self, tx: &mut Tx, subject: &str, now: i64) -> Result<(), ControlError> {
        let forgotten = now.saturating_sub(FORGET_MS);
        // Counts only while nothing blocks. The row stays locked until the transaction ends.
        let counted = sqlx::query(
            "INSERT INTO sign_in_failures (subject, failures, first_at, last_at, blocked_until) \
             VALUES ($1, 1, $2, $2, 0) ON CONFLICT (subject) DO UPDATE \
             SET failures = CASE WHEN sign_in_failures.last_at <= $3 THEN 1 ELSE sign_in_failures.failures + 1 END, \
                 last_at = excluded.last_at \
             WHERE sign_in_failures.blocked_until <= $2 \
             RETURNING failures",
        );
        let counted = counted.bind(subject).bind(now).bind(forgotten).fetch_optional(&mut **tx).await?;
        let Some(row) = counted else { return Err(self.blocked(tx, subject, now).await?) };
        let wait = wait_ms(row.try_get(0)?);
        if wait > 0 {
            let update = sqlx::query("UPDATE sign_in_failures SET blocked_until = $1 WHERE subject = $2");
            tx.execute(update.bind(now.saturating_add(wait)).bind(subject)).await?;
        }
        Ok(())
    }

    async fn count_window(
        &self,
        tx: &mut Tx,
        subject: &str,
        most: i64,
        now: i64,
    ) -> Result<(), ControlError> {
        let expired = now.saturating_sub(WINDOW_MS);
        let counted = sqlx::query(
            "INSERT INTO sign_in_failures (subject, failures, first_at, last_at, blocked_until) \
             VALUES ($1, 1, $2, $2, $2 + $5) ON CONFLICT (subject) DO UPDATE \
             SET failures = CASE WHEN sign_in_failures.first_at <= $3 THEN 1 ELSE sign_in_failures.failures + 1 END, \
                 blocked_until = CASE WHEN sign_in_failures.first_at <= $3 THEN $2 + $5 \
                                      ELSE sign_in_failures.blocked_until END, \
                 first_at = CASE WHEN sign_in_failures.first_at <= $3 THEN $2 ELSE sign_in_failures.first_at END, \
                 last_at = excluded.last_at \
             WHERE sign_in_failures.first_at <= $3 OR sign_in_failures.failures < $4 \
             RETURNING failures",
        );
        let counted = counted.bind(subject).bind(now).bind(expired).bind(most).bind(WINDOW_MS);
        match counted.fetch_optional(&mut **tx).await? {
            Some(_) => Ok(()),
            None => Err(self.blocked(tx, subject, now).await?),
        }
    }

    async fn blocked(&self, tx: &mut Tx, subject: &str, now: i64) -> Result<ControlError, ControlError> {
        let row = sqlx::query("SELECT blocked_until FROM sign_in_failures WHERE subject = $1").bind(subject);
        let until: i64 = row.fetch_one(&mut **tx).await?.try_get(0)?;
        Ok(ControlError::Throttled { retry_after_ms: until.saturating_sub(now).max(1_000) })
    }

    /// Removes what nobody remembers.
    pub(crate) async fn remove_old_failures(&self, tx: &mut Tx) -> Result<(), ControlError> {
        let delete = sqlx::query("DELETE FROM sign_in_failures WHERE last_at <= $1");
        tx.execute(delete.bind(self.now().saturating_sub(FORGET_MS))).await?;
        Ok(())
    }
}

/// How long an account has to wait after so many failures from a network: 1, 2, 4, 8, 16 s, then it is locked for it.
fn wait_ms(failures: i64) -> i64 {
    match failures {
        ..FREE => 0,
        FREE..LOCK_AT => 1_000 << (failures - FREE),
        _ => LOCK_MS,
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one customer has of IPv6. `None` for what
/// is no address.
fn network(address: &str) -> Option<String> {
    use std::net::IpAddr;
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(v4) => Some(v4.to_string()),
        IpAddr::V6(v6) => {
            let s = v6.segments();
            Some(format!("{:x}:{:x}:{:x}:{:x}::/64", s[0], s[1], s[2], s[3]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_then_it_is_locked() {
        let waits: Vec<i64> = (1..=12).map(wait_ms).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, LOCK_MS, LOCK_MS, LOCK_MS]);
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        for (address, want) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::/64")),
            ("2001:db8:1:2::9", Some("2001:db8:1:2::/64")),
            ("", None),
            ("localhost", None),
        ] {
            assert_eq!(network(address).as_deref(), want, "{address}");
        }
    }
}
