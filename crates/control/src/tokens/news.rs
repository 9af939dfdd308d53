//! What every process must learn soon: revoked tokens and families, and that keys have changed.
//!
//! Each piece of news has a number, given out under a lock that is held until its transaction ends. Numbers
//! thus become visible in order, and whoever has read up to one has missed none below it.

use std::collections::HashMap;
use std::time::Duration;

use db::Tx;
use parking_lot::RwLock;
use sqlx::{Executor, Row};

use crate::error::ControlError;
use crate::tokens::Tokens;

/// Knowledge of this age will do. With the time a query takes, a revocation reaches every process within a
/// second.
pub(super) const FRESH: Duration = Duration::from_millis(500);

/// When something unknown shows up, knowledge must be this fresh: twenty queries a second at most.
pub(super) const FRESHER: Duration = Duration::from_millis(50);

/// Pieces of news read at once.
const PAGE: i64 = 5_000;

/// What a piece of news is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One access token, by its `jti`.
    Token,
    /// A family.
    Family,
    /// The signing keys.
    Keys,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Family => "family",
            Self::Keys => "keys",
        }
    }
}

/// What this process has learned.
#[derive(Default)]
pub(super) struct News {
    known: RwLock<Known>,
    /// One reader at a time; the others wait for what it learns.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    seq: i64,
    /// When the last reading began, on the monotonic clock.
    read_at: Option<Duration>,
    /// Revoked tokens and families, and until when (milliseconds since the Unix epoch) that matters: what
    /// they could still be used for has expired by then. An entry is about 100 bytes.
    revoked: HashMap<String, i64>,
}

impl News {
    /// True when the token or the family was revoked.
    pub(super) fn is_revoked(&self, id: &str) -> bool {
        self.known.read().revoked.contains_key(id)
    }

    /// Learns of a revocation of this process's own at once.
    pub(super) fn revoked(&self, id: &str, until: i64) {
        self.known.write().revoked.insert(id.to_owned(), until);
    }

    pub(super) fn forget_ended(&self, now: i64) {
        self.known.write().revoked.retain(|_, until| now < *until);
    }

    pub(super) fn len(&self) -> usize {
        self.known.read().revoked.len()
    }

    fn is_fresh(&self, at: Duration, age_max: Duration) -> bool {
        self.known.read().read_at.is_some_and(|read_at| at.saturating_sub(read_at) < age_max)
    }
}

impl Tokens {
    /// Reads the news, unless what is known is younger than `age_max`.
    pub(super) async fn read_news(&self, age_max: Duration) -> Result<(), ControlError> {
        let news = &self.shared.news;
        let clock = &self.shared.control.shared.clock;
        if news.is_fresh(clock.monotonic(), age_max) {
            return Ok(());
        }
        let _reading = news.reading.lock().await;
        let began = clock.monotonic();
        if news.is_fresh(began, age_max) {
            return Ok(());
        }
        let mut keys_changed = false;
        loop {
            let after = news.known.read().seq;
            let rows = {
                let mut connection = self.shared.control.read().await?;
                sqlx::query(
                    "SELECT seq, kind, id, expires_at FROM token_news WHERE seq > $1 ORDER BY seq LIMIT $2",
                )
                .bind(after)
                .bind(PAGE)
                .fetch_all(&mut *connection)
                .await?
            };
            let mut known = news.known.write();
            for row in &rows {
                known.seq = row.try_get("seq")?;
                if row.try_get::<String, _>("kind")? == Kind::Keys.as_str() {
                    keys_changed = true;
                } else {
                    known.revoked.insert(row.try_get("id")?, row.try_get("expires_at")?);
                }
            }
            if (rows.len() as i64) < PAGE {
                break;
            }
        }
        if keys_changed {
            self.load_keys().await?;
        }
        news.known.write().read_at = Some(began);
        Ok(())
    }
}

/// Writes a piece of news as part of the change it is about. It is kept until `expires_at`.
pub(super) async fn publish(tx: &mut Tx, kind: Kind, id: &str, expires_at: i64) -> Result<(), ControlError> {
    let seq = sqlx::query("UPDATE token_news_last SET seq = seq + 1 WHERE one = 1 RETURNING seq");
    let seq: i64 = seq.fetch_one(&mut **tx).await?.try_get(0)?;
    let insert = sqlx::query("INSERT INTO token_news (seq, kind, id, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(seq)
        .bind(kind.as_str())
        .bind(id)
        .bind(expires_at);
    tx.execute(insert).await?;
    Ok(())
}
