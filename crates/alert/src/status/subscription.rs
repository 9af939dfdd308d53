//! Who asked to be told of a status page. Nobody is told who did not confirm it, and everybody can leave with a link.
//!
//! Tokens are kept as hashes. The one for leaving stands in every letter, so it is not kept at all: whoever writes the
//! letter seals the subscription's id with a key that is outside the database.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;
use url::Url;

use crate::fault::{Fault, check_person};
use crate::tables::{PAGE_MAX, TableError, Tables, new_id, word};

/// Subscriptions of one page.
const SUBSCRIPTIONS_MAX: i64 = 10_000;
const URL_BYTES_MAX: usize = 2_048;
/// A subscription that nobody confirms is forgotten after a day.
const CONFIRM_MS: i64 = 86_400_000;
/// Nobody is asked again sooner, so that the page cannot be used to flood a letter box: an hour.
const ASK_AGAIN_MS: i64 = 3_600_000;

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionKind {
    /// By letter.
    Email,
    /// By a request to an address.
    Webhook,
}

impl SubscriptionKind {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// Somebody who wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber<'a> {
    /// The name of the page.
    pub page: &'a str,
    /// How.
    pub kind: SubscriptionKind,
    /// The e-mail address or URL.
    pub address: &'a str,
}

/// What comes of asking. People are told the same in both cases, so that nobody learns who subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This token is to be sent to the address, and nowhere else.
    Confirm {
        /// In the link.
        token: String,
    },
    /// It is subscribed already, or was asked a short while ago: nothing is sent.
    Known,
}

/// A subscription that was confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Starts with `sub_`.
    pub id: String,
    /// The name of the page.
    pub page: String,
    /// How.
    pub kind: SubscriptionKind,
    /// The e-mail address or URL.
    pub address: String,
}

/// What goes wrong with a subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What was given cannot be.
    #[error(transparent)]
    Invalid(#[from] Fault),
    /// The page has as many as it may.
    #[error("status page {0:?} has {SUBSCRIPTIONS_MAX} subscriptions, which is the limit")]
    Full(String),
}

impl From<sqlx::Error> for SubscriptionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Table(error.into())
    }
}

impl From<db::DbError> for SubscriptionError {
    fn from(error: db::DbError) -> Self {
        Self::Table(error.into())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

impl Tables {
    /// Writes down that somebody wants to be told, once they confirm. Whether the page exists and the URL may be reached
    /// is for the caller to know.
    pub async fn subscribe(&self, subscriber: &Subscriber<'_>, now: i64) -> Result<Asked, SubscriptionError> {
        let address = address(subscriber)?;
        let token = new_id("")?;
        let mut tx = self.scope.begin().await?;
        sqlx::query("DELETE FROM status_subscriptions WHERE confirmed_at IS NULL AND created_at < $1")
            .bind(now.saturating_sub(CONFIRM_MS))
            .execute(&mut *tx)
            .await?;
        let row = sqlx::query("SELECT COUNT(*) AS count FROM status_subscriptions WHERE page = $1")
            .bind(subscriber.page)
            .fetch_one(&mut *tx)
            .await?;
        if row.try_get::<i64, _>("count")? >= SUBSCRIPTIONS_MAX {
            return Err(SubscriptionError::Full(subscriber.page.chars().take(100).collect()));
        }
        let id = new_id("sub_")?;
        let asked = sqlx::query(
            "INSERT INTO status_subscriptions (id, page, kind, address, confirm_hash, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (page, kind, address) DO UPDATE SET \
             confirm_hash = excluded.confirm_hash, created_at = excluded.created_at \
             WHERE status_subscriptions.confirmed_at IS NULL AND status_subscriptions.created_at <= $7",
        )
        .bind(&id)
        .bind(subscriber.page)
        .bind(subscriber.kind.as_str())
        .bind(address)
        .bind(hash(&token))
        .bind(now)
        .bind(now.saturating_sub(ASK_AGAIN_MS))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(match asked.rows_affected() {
            0 => Asked::Known,
            _ => Asked::Confirm { token },
        })
    }

    /// Confirms a subscription. `None` where the token is not, or no more, one that waits.
    pub async fn confirm_subscription(
        &self,
        token: &str,
        now: i64,
    ) -> Result<Option<Subscription>, SubscriptionError> {
        let mut tx = self.scope.begin().await?;
        let row = sqlx::query(
            "UPDATE status_subscriptions SET confirmed_at = $2, confirm_hash = NULL \
             WHERE confirm_hash = $1 AND confirmed_at IS NULL AND created_at >= $3 RETURNING id, page, kind, address",
        )
        .bind(hash(token))
        .bind(now)
        .bind(now.saturating_sub(CONFIRM_MS))
        .fetch_optional(&mut *tx)
        .await?;
        let subscription = row.as_ref().map(subscription_of).transpose()?;
        tx.commit().await?;
        Ok(subscription)
    }

    /// Ends a subscription. Answers whether there was one.
    pub async fn unsubscribe(&self, id: &str) -> Result<bool, SubscriptionError> {
        let mut tx = self.scope.begin().await?;
        let gone =
            sqlx::query("DELETE FROM status_subscriptions WHERE id = $1").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Confirmed subscriptions of a page in order of id behind `after`, at most `limit` (and 1000).
    pub async fn subscriptions(
        &self,
        page: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Subscription>, SubscriptionError> {
        let mut connection = self.scope.read().await?;
        let rows = sqlx::query(
            "SELECT id, page, kind, address FROM status_subscriptions \
             WHERE page = $1 AND id > $2 AND confirmed_at IS NOT NULL ORDER BY id LIMIT $3",
        )
        .bind(page)
        .bind(after)
        .bind(i64::from(limit.min(PAGE_MAX)))
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(subscription_of).collect()
    }
}

fn address(subscriber: &Subscriber<'_>) -> Result<String, Fault> {
    match subscriber.kind {
        SubscriptionKind::Email => {
            check_person("address", subscriber.address)?;
            Ok(subscriber.address.to_lowercase())
        }
        SubscriptionKind::Webhook => {
            let wrong = || Fault::new("address", "is no URL; write one that begins with https:// or http://");
            let url = Url::parse(subscriber.address).map_err(|_| wrong())?;
            let web = matches!(url.scheme(), "https" | "http") && url.has_host();
            match web && subscriber.address.len() <= URL_BYTES_MAX {
                true => Ok(url.into()),
                false => Err(wrong()),
            }
        }
    }
}

fn subscription_of(row: &AnyRow) -> Result<Subscription, SubscriptionError> {
    Ok(Subscription {
        id: row.try_get("id")?,
        page: row.try_get("page")?,
        kind: word(row.try_get("kind")?, "status_subscriptions.kind")?,
        address: row.try_get("address")?,
    })
}
