//! The audit trail: what a row says, the hash chain that shows tampering, and where chains are anchored.
//!
//! There is one chain per tenant and node, so that nodes write without asking each other. Each row's hash
//! covers the hash before it and all of the row; the newest hash of each day is kept in the control database,
//! apart from the rows, so that cutting off the end or rewriting everything shows, too. Storing and reading
//! rows is left to the caller.

mod aggregate; // machine accesses, one row a minute
mod chain; // rows to hashes
mod heads; // the newest hash, in the database
mod outbox; // what commands did
#[cfg(test)]
mod tests;
mod verify; // hashes back to rows

use model::TenantId;
use serde_json::Value;

use crate::permissions::Actor;

pub use aggregate::{ANONYMOUS, Access, Aggregator};
pub use chain::{Chain, RowHash, Sealed, SealedRow};
pub use heads::AuditHead;
#[cfg(test)]
pub(crate) use verify::verify;
pub use verify::{Fault, Start, StoredRow, Verdict, Verifier, swept_to};

/// Longest text of a row but its detail.
const TEXT_BYTES_MAX: usize = 1024;

/// Longest detail; a longer one is replaced by its beginning. A tenant's settings fit.
const DETAIL_BYTES_MAX: usize = 80 << 10;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuditResult {
    /// Done.
    Ok,
    /// Not allowed, or not valid.
    Refused,
    /// Allowed, but it went wrong.
    Failed,
}

impl AuditResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Refused, Self::Failed];

    /// The spelling in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == text)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// Who did it; `None` for nobody we know, as at a refused sign-in.
    pub actor: Option<Actor>,
    /// Whose trail this is in.
    pub tenant: TenantId,
    /// What was done, `area:verb`, such as `members:invite` or `session:begin`.
    pub action: String,
    /// The route's pattern, such as `/api/v1/tenants/{id}`; empty outside requests.
    pub route: String,
    /// `GET`, `POST`, `gRPC`, …
    pub method: String,
    /// What it was done to; empty when that is plain from the route.
    pub target: String,
    /// How it ended.
    pub result: AuditResult,
    /// The HTTP status, 0 outside requests.
    pub status: u16,
    /// Where it came from.
    pub address: String,
    /// How often within the minute; 1 for everything but machine traffic.
    pub count: u64,
    /// A JSON object as text, kept byte for byte because the hash covers it; empty for none.
    pub detail: String,
}

impl AuditRow {
    /// A row about nothing in particular, to fill in.
    pub fn new(tenant: TenantId, at: i64, action: &str) -> Self {
        Self {
            at,
            actor: None,
            tenant,
            action: action.to_owned(),
            route: String::new(),
            method: String::new(),
            target: String::new(),
            result: AuditResult::Ok,
            status: 0,
            address: String::new(),
            count: 1,
            detail: String::new(),
        }
    }

    /// The row with texts of a bounded length, so that the store takes it whatever was asked. To be done before it
    /// is sealed.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let short = |text: &mut String| text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        [&mut self.action, &mut self.route, &mut self.method, &mut self.target, &mut self.address]
            .into_iter()
            .for_each(short);
        if let Some(actor) = &mut self.actor {
            [&mut actor.id, &mut actor.name].into_iter().for_each(short);
        }
        if self.detail.len() > DETAIL_BYTES_MAX {
            let shown = &self.detail[..self.detail.floor_char_boundary(TEXT_BYTES_MAX)];
            self.detail = serde_json::json!({ "cut": shown, "bytes": self.detail.len() }).to_string();
        }
        self
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let actor = self.actor.as_ref().map_or(0, |actor| actor.id.len() + actor.name.len());
        let texts = [&self.action, &self.route, &self.method, &self.target, &self.address, &self.detail]
            .map(String::len);
        actor + texts.iter().sum::<usize>()
    }

    /// The row with this detail.
    #[must_use]
    pub fn with_detail(mut self, detail: &Value) -> Self {
        self.detail = detail.to_string();
        self
    }
}
