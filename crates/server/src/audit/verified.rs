//! Rows of the audit log against their hashes and anchors, of a running server and of a stopped one's folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::audit::{AuditHead, Start, StoredRow, Verifier, swept_to};
use kit::{BoxError, Clock, SystemClock};
use model::record::audit;
use model::{Field, Order, Predicate, Scalar, Signal, TenantId, Test};
use query::rows::{Ask, RowReader, Sort, StoredRows};
use query::{Control, QueryFault};
use store::disk::RealDisk;

use super::api::node_of;
use super::rows;

/// Rows read at once.
const PIECE: usize = 10_000;

/// How long the log of one tenant may take offline.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Rows are stored within this time of what anchors them.
const ANCHOR_LAG_MS: i64 = 60_000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifiedAudit {
    /// Rows that fit their hashes.
    pub rows: u64,
    /// Anchors that fit their rows.
    pub anchors: u64,
    /// The first thing that is wrong.
    pub tampered: Option<Tampered>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampered {
    /// In which node's chain.
    pub node: String,
    /// Which row, and how.
    pub what: String,
}

/// Which rows retention may have removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// None.
    Nothing,
    /// Those before, milliseconds since the Unix epoch.
    Before(i64),
    /// The oldest, whenever they were written: their size was limited.
    Oldest,
}

impl Swept {
    /// As the settings say.
    pub(super) fn of(settings: &kit::Settings, now_ms: i64) -> Self {
        let retention = &settings.retention;
        match retention.audit {
            _ if retention.max_bytes.is_some() || retention.free_space_floor.is_some() => Self::Oldest,
            Some(keep) => Self::Before(now_ms.saturating_sub(crate::app::millis(keep))),
            None => Self::Nothing,
        }
    }
}

/// What is to be verified.
pub(super) struct Question {
    pub(super) tenant: TenantId,
    /// `None` begins with the first row there is.
    pub(super) start_ns: Option<i64>,
    pub(super) end_ns: i64,
    pub(super) swept: Swept,
    /// The tenant's anchors.
    pub(super) heads: Vec<AuditHead>,
}

impl Question {
    /// Reads every row within the time, piece by piece.
    pub(super) fn ask(&self, reader: &RowReader) -> Result<VerifiedAudit, QueryFault> {
        // Anchors of rows that are looked at.
        let start_ms = self.start_ns.map_or(i64::MIN, |ns| ns / 1_000_000 + ANCHOR_LAG_MS);
        let heads =
            self.heads.iter().filter(|head| head.at >= start_ms && head.at <= self.end_ns / 1_000_000);
        let heads: Vec<AuditHead> = heads.cloned().collect();
        let ask = Ask {
            predicate: Predicate::TRUE,
            start_ns: self.start_ns.unwrap_or(i64::MIN),
            end_ns: self.end_ns,
        };
        let mut chains: BTreeMap<String, Verifier> = BTreeMap::new();
        let mut cursor = None;
        'pages: loop {
            let page = reader.page(&ask, Sort::Oldest, PIECE, cursor.as_ref())?;
            for row in &page.rows {
                let node = node_of(row);
                let Some(stored) = rows::stored(&self.tenant, row) else {
                    let what = format!("a row at {} ns does not read as one of the audit log", row.time_ns);
                    return Ok(VerifiedAudit {
                        tampered: Some(Tampered { node: node.to_owned(), what }),
                        ..sum(chains)
                    });
                };
                if !chains.contains_key(node) {
                    let start = self.start(reader, node, Some(&stored))?;
                    chains.insert(node.to_owned(), Verifier::new(&self.tenant, node, start, &heads));
                }
                if !chains.get_mut(node).is_none_or(|chain| chain.row(&stored)) {
                    break 'pages;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        // A chain of which nothing is left is only noticed by its anchor.
        for head in &heads {
            if !chains.contains_key(&head.node) {
                let start = self.start(reader, &head.node, None)?;
                chains.insert(head.node.clone(), Verifier::new(&self.tenant, &head.node, start, &heads));
            }
        }
        Ok(sum(chains))
    }

    /// Where a chain's rows begin: after the row before the time that is looked at, or with the first there is.
    fn start(&self, reader: &RowReader, node: &str, first: Option<&StoredRow>) -> Result<Start, QueryFault> {
        if let Some(start_ns) = self.start_ns {
            let of_node = Predicate::Test(
                Field::Fixed(audit::NODE as u8),
                Test::Compare(Order::Equal, Scalar::Text(node.into())),
            );
            let ask = Ask { predicate: of_node, start_ns: i64::MIN, end_ns: start_ns };
            let before = reader.page(&ask, Sort::Newest, 1, None)?;
            let before = before.rows.iter().find(|row| row.time_ns < start_ns);
            if let Some(before) = before.and_then(|row| rows::stored(&self.tenant, row)) {
                return Ok(Start::After { seq: before.seq, hash: before.hash });
            }
        }
        Ok(match (first, self.swept) {
            (Some(first), _) if first.seq == 1 => Start::Genesis,
            (_, Swept::Nothing) => Start::Kept { swept_to: 0 },
            (_, Swept::Before(cutoff_ms)) => Start::Kept { swept_to: swept_to(node, &self.heads, cutoff_ms) },
            (_, Swept::Oldest) => Start::Kept { swept_to: u64::MAX },
        })
    }
}

/// All chains together, with the first fault.
fn sum(chains: BTreeMap<String, Verifier>) -> VerifiedAudit {
    let mut sum = VerifiedAudit::default();
    for (node, chain) in chains {
        let verdict = chain.end();
        sum.rows += verdict.rows;
        sum.anchors += verdict.anchors;
        if let Some(fault) = verdict.fault {
            sum.tampered.get_or_insert(Tampered { node, what: fault.to_string() });
        }
    }
    sum
}

/// Verifies the logs of tenants in the data folder of a stopped server: of one, or of all. Times are nanoseconds since
/// the Unix epoch.
pub async fn verify_offline(
    settings: &kit::Settings,
    data: &Path,
    tenant: Option<&TenantId>,
    start_ns: Option<i64>,
    end_ns: i64,
) -> Result<Vec<(TenantId, VerifiedAudit)>, BoxError> {
    let clock = SystemClock::shared();
    let control = crate::open_control(settings, data, clock).await?;
    let disk = Arc::new(RealDisk::open(data)?);
    let engine = Arc::new(store::Engine::open(disk, store::Settings::default())?);
    let opened = Arc::clone(&engine);
    kit::spawn::spawn_blocking("replay", move || opened.replay_all()).await??;
    let tenants: Vec<TenantId> = match tenant {
        Some(tenant) => vec![tenant.clone()],
        None => {
            let mut all = Vec::new();
            while let page = control.tenants(all.last(), 1_000).await?
                && !page.is_empty()
            {
                all.extend(page.into_iter().map(|tenant| tenant.id));
            }
            all
        }
    };
    let mut found = Vec::new();
    for tenant in tenants {
        let question = Question {
            heads: control.audit_heads(&tenant).await?,
            tenant: tenant.clone(),
            start_ns,
            end_ns,
            swept: Swept::of(settings, SystemClock::new().now_ms()),
        };
        #[expect(clippy::disallowed_methods, reason = "whoever holds the data folder sees all of it")]
        let snapshot = engine.rows(&tenant, Signal::Audit);
        let work = move || {
            let reader = RowReader::new(
                Arc::new(StoredRows::new(Signal::Audit, snapshot)),
                Control::until(Instant::now() + LONGEST),
            );
            question.ask(&reader)
        };
        let verified = kit::spawn::spawn_blocking("verify", work).await??;
        found.push((tenant, verified));
    }
    control.close().await;
    Ok(found)
}
