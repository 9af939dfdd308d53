//! Passwords: which are good enough, and how they are kept.
//!
//! Kept as argon2id with 19 MiB and two passes, the least that OWASP asks for. That costs some 20 ms of a
//! core, so it runs on threads kept for blocking work, two at once, and whoever comes when many wait is told
//! to come again.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use kit::spawn::spawn_blocking;
use tokio::sync::Semaphore;

use crate::error::ControlError;
use crate::secret::random;

/// Hashes computed at once: 38 MiB.
const RUNNING_MAX: usize = 2;

/// Hashes computed or waited for, about two seconds' worth.
const WAITING_MAX: usize = 128;

const CHARS_MIN: usize = 12;
const CHARS_MAX: usize = 256;

/// Passwords of twelve characters and more that lead the published lists, and patterns they are made of.
const COMMONEST: [&str; 24] = [
    "123456789012",
    "1234567890123",
    "123456123456",
    "111111111111",
    "000000000000",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwerty123456",
    "qwertyqwerty",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "q1w2e3r4t5y6",
    "asdfghjkl123",
    "passwordpassword",
    "password1234",
    "password12345",
    "password123456",
    "passw0rd1234",
    "administrator",
    "adminadminadmin",
    "letmeinletmein",
    "welcome12345",
    "iloveyou1234",
    "changemechangeme",
];

/// Computes hashes of passwords, a few at once.
pub(crate) struct Hasher {
    argon: Argon2<'static>,
    params: Params,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// A hash of nobody's password, so that an unknown account costs what a known one does.
    decoy: String,
}

impl Hasher {
    pub(crate) fn new() -> Result<Self, ControlError> {
        Self::with(Params::DEFAULT)
    }

    fn with(params: Params) -> Result<Self, ControlError> {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let decoy = hash(&argon, &random::<16>()?, &random::<16>()?);
        let (running, waiting) =
            (Arc::new(Semaphore::new(RUNNING_MAX)), Arc::new(Semaphore::new(WAITING_MAX)));
        Ok(Self { argon, params, running, waiting, decoy })
    }

    /// The hash of a password, with a salt of its own.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, ControlError> {
        let (argon, password, salt) = (self.argon.clone(), password.to_owned(), random::<16>()?);
        self.run(move || hash(&argon, password.as_bytes(), &salt)).await
    }

    /// True when the password is the one of the hash. Without a hash it costs the same and is false.
    pub(crate) async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, ControlError> {
        let argon = self.argon.clone();
        let (stored, known) = (stored.as_ref().unwrap_or(&self.decoy).clone(), stored.is_some());
        // Longer ones are nobody's, and are not worth the time.
        let password: String = password.chars().take(CHARS_MAX + 1).collect();
        let right = self.run(move || {
            let stored = PasswordHash::new(&stored).map_err(|error| error.to_string())?;
            Ok(argon.verify_password(password.as_bytes(), &stored).is_ok())
        });
        let right =
            right.await?.map_err(|message| ControlError::Damaged { what: "passwords.hash", message })?;
        Ok(right && known)
    }

    /// True when a hash was made with other parameters than those of today.
    pub(crate) fn is_old(&self, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else { return true };
        let params = Params::try_from(&hash);
        let same = |params: Params| {
            let of = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
            of(&params) == of(&self.params)
        };
        hash.algorithm.as_str() != "argon2id" || !params.is_ok_and(same)
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, ControlError> {
        let Ok(_place) = self.waiting.clone().try_acquire_owned() else {
            return Err(ControlError::Throttled { retry_after_ms: 2_000 });
        };
        // Held by the work itself, which goes on when nobody waits for it any more.
        let slot = self.running.clone().acquire_owned().await;
        let slot = slot.expect("the semaphore is never closed");
        let done = spawn_blocking("password", move || {
            let _slot = slot;
            work()
        });
        done.await.map_err(|stopped| ControlError::Stopped { what: "password", message: stopped.to_string() })
    }
}

fn hash(argon: &Argon2<'_>, password: &[u8], salt: &[u8]) -> String {
    let hash = argon.hash_password_with_salt(password, salt);
    hash.expect("argon2 hashes short passwords with a salt of 16 bytes").to_string()
}

/// Refuses a password that is easy to guess. `email` is whose it is to be.
pub(crate) fn check_policy(password: &str, email: &str) -> Result<(), ControlError> {
    let chars = password.chars().count();
    let lower = password.to_lowercase();
    let local = email.split('@').next().unwrap_or_default().to_lowercase();
    let first = lower.chars().next();
    let message = if !(CHARS_MIN..=CHARS_MAX).contains(&chars) {
        format!("has {chars} characters; use {CHARS_MIN} to {CHARS_MAX}, a sentence is best")
    } else if local.len() >= 3 && lower.contains(&local) {
        "holds the name in your email address; leave it out".to_owned()
    } else if COMMONEST.contains(&lower.as_str()) || lower.chars().all(|c| Some(c) == first) {
        "is one of the first that are tried; choose another".to_owned()
    } else {
        return Ok(());
    };
    Err(ControlError::Invalid { field: "password", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easy_passwords_are_refused_with_what_is_wrong() {
        for (password, want) in [
            ("short", "has 5 characters; use 12 to 256, a sentence is best"),
            ("elevenchars", "has 11 characters"),
            (&"é".repeat(257), "has 257 characters"),
            ("xx-Lovelace-99", "holds the name in your email address"),
            ("PasswordPassword", "is one of the first that are tried"),
            ("zzzzzzzzzzzzz", "is one of the first that are tried"),
        ] {
            let error = check_policy(password, "lovelace@example.com").unwrap_err().to_string();
            assert!(error.starts_with("password: ") && error.contains(want), "{error}");
            assert!(!error.contains(password), "{error}");
        }
        for good in ["twelve chars", &"é".repeat(12).replacen('é', "x", 3), "correct horse battery"] {
            check_policy(good, "al@example.com").unwrap();
        }
        check_policy("a sentence of ab", "ab@example.com").unwrap();
    }

    #[tokio::test]
    async fn hashes_are_salted_verify_and_grow_old() {
        let hasher = Hasher::new().unwrap();
        let (a, b) =
            (hasher.hash("a good sentence").await.unwrap(), hasher.hash("a good sentence").await.unwrap());
        assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && a != b);
        assert!(hasher.verify("a good sentence", Some(a.clone())).await.unwrap());
        assert!(!hasher.verify("a good sentence!", Some(a.clone())).await.unwrap());
        assert!(!hasher.verify("a good sentence", None).await.unwrap());
        assert!(hasher.verify("x", Some("not a hash".to_owned())).await.is_err());
        assert!(!hasher.is_old(&a));
        let stronger = Hasher::with(Params::new(32 << 10, 2, 1, None).unwrap()).unwrap();
        assert!(stronger.is_old(&a) && stronger.is_old("x"));
        assert!(stronger.verify("a good sentence", Some(a)).await.unwrap(), "an old hash still opens");
    }

    #[tokio::test]
    async fn too_many_at_once_are_told_to_come_again() {
        let hasher = Arc::new(Hasher::with(Params::new(8, 1, 1, None).unwrap()).unwrap());
        let _all = hasher.running.clone().acquire_many_owned(RUNNING_MAX as u32).await.unwrap();
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let hasher = hasher.clone();
                kit::spawn::spawn("waits", async move { hasher.hash("x").await.map(drop) })
            })
            .collect();
        while hasher.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hasher.hash("x").await, Err(ControlError::Throttled { .. })));
        drop(_all);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
    }
}
