//! Rows to hashes.

use std::fmt;

use model::TenantId;
use sha2::{Digest, Sha256};

use crate::audit::AuditRow;
use crate::secret::hex;

/// Goes into the first hash of every chain. A change of [`canonical`] needs another.
const FORMAT: &str = "bellwether audit 1";

/// SHA-256 over the hash before, the row's number and the row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RowHash([u8; 32]);

impl RowHash {
    /// What comes before the first row of a chain: it depends on the tenant and the node, so that no chain
    /// passes for another.
    pub(crate) fn genesis(tenant: &TenantId, node: &str) -> Self {
        let mut bytes = Vec::new();
        for part in [FORMAT, tenant.as_str(), node] {
            text(&mut bytes, part);
        }
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of the row that follows.
    pub(crate) fn next(&self, seq: u64, row: &AuditRow) -> Self {
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update(seq.to_be_bytes())
            .chain_update(canonical(row))
            .finalize();
        Self(hash.into())
    }

    /// As it is stored: 64 hex digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Reads what was stored.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Debug for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// The end of a chain, to which rows are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    tenant: TenantId,
    node: String,
    seq: u64,
    hash: RowHash,
}

/// A batch that became part of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The number of the first row.
    pub first_seq: u64,
    /// The number of the last row; before `first_seq` when the batch was empty.
    pub last_seq: u64,
    /// The last row's hash, to be anchored.
    pub hash: RowHash,
    /// What to store beside each row, in the same order.
    pub rows: Vec<SealedRow>,
}

/// What to store beside a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// 1, 2, 3, … without gaps.
    pub seq: u64,
    /// Covers the row and everything before it.
    pub hash: RowHash,
}

impl Chain {
    /// A chain without rows.
    pub fn new(tenant: TenantId, node: &str) -> Self {
        let hash = RowHash::genesis(&tenant, node);
        Self { tenant, node: node.to_owned(), seq: 0, hash }
    }

    /// A chain that goes on after a row that was stored and anchored.
    pub fn after(tenant: TenantId, node: &str, seq: u64, hash: RowHash) -> Self {
        Self { tenant, node: node.to_owned(), seq, hash }
    }

    /// Whose chain it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Which node writes it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The number and the hash of the last row.
    pub fn end(&self) -> (u64, RowHash) {
        (self.seq, self.hash)
    }

    /// Appends a batch. Rows of other tenants do not belong here; they would verify all the same.
    pub fn append(&mut self, rows: &[AuditRow]) -> Sealed {
        let first_seq = self.seq.saturating_add(1);
        let rows = rows
            .iter()
            .map(|row| {
                self.seq = self.seq.saturating_add(1);
                self.hash = self.hash.next(self.seq, row);
                SealedRow { seq: self.seq, hash: self.hash }
            })
            .collect();
        Sealed { first_seq, last_seq: self.seq, hash: self.hash, rows }
    }
}

/// The bytes a hash covers: every field in order, texts with their length before them, so that no two rows
/// share their bytes.
fn canonical(row: &AuditRow) -> Vec<u8> {
    let AuditRow { at, actor, tenant, action, route, method, target, result, status, address, count, detail } =
        row;
    let actor =
        actor.as_ref().map_or(["anonymous", "", ""], |actor| [actor.kind.as_str(), &actor.id, &actor.name]);
    let mut bytes = Vec::with_capacity(256 + detail.len());
    bytes.extend(at.to_be_bytes());
    bytes.extend(status.to_be_bytes());
    bytes.extend(count.to_be_bytes());
    for part in [
        actor[0],
        actor[1],
        actor[2],
        tenant.as_str(),
        action,
        route,
        method,
        target,
        result.as_str(),
        address,
        detail,
    ] {
        text(&mut bytes, part);
    }
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditResult;
    use crate::permissions::{Actor, ActorKind};

    fn row(n: i64) -> AuditRow {
        AuditRow::new(TenantId::default_tenant(), n, "members:invite")
    }

    fn actor(kind: ActorKind, id: &str, name: &str) -> Option<Actor> {
        Some(Actor { kind, id: id.to_owned(), name: name.to_owned() })
    }

    #[test]
    fn hashes_stay_the_same_between_versions() {
        // What was written once must verify for as long as it is kept: this value never changes.
        let mut chain = Chain::new(TenantId::default_tenant(), "node-1");
        let full = AuditRow {
            actor: actor(ActorKind::User, "user_1", "Ada"),
            route: "/api/v1/members".into(),
            method: "POST".into(),
            target: "bob@example.com".into(),
            result: AuditResult::Refused,
            status: 403,
            address: "127.0.0.1".into(),
            count: 2,
            detail: r#"{"role":"admin"}"#.into(),
            ..row(1_700_000_000_000)
        };
        assert_eq!(
            chain.append(&[full]).hash.hex(),
            "b40d05acf45e3c1cd2b0da1657c6a460ba08c6073392bd543b774d9932d593b0"
        );
    }

    #[test]
    fn every_field_changes_the_hash_and_so_does_its_place() {
        let seal = |row: AuditRow| Chain::new(TenantId::default_tenant(), "n").append(&[row]).hash;
        let changes: [fn(&mut AuditRow); 14] = [
            |row| row.at += 1,
            |row| row.actor = actor(ActorKind::User, "a", "b"),
            |row| row.actor = actor(ActorKind::Key, "a", "b"),
            |row| row.actor = actor(ActorKind::User, "ab", ""),
            |row| row.tenant = TenantId::new("x").unwrap(),
            |row| row.action = "x".into(),
            |row| row.route = "x".into(),
            |row| row.method = "x".into(),
            |row| row.target = "x".into(),
            |row| row.result = AuditResult::Failed,
            |row| row.status = 1,
            |row| row.address = "x".into(),
            |row| row.count = 2,
            |row| row.detail = "x".into(),
        ];
        let mut seen = vec![seal(row(1))];
        for change in changes {
            let mut changed = row(1);
            change(&mut changed);
            let hash = seal(changed);
            assert!(!seen.contains(&hash));
            seen.push(hash);
        }
    }

    #[test]
    fn a_chain_depends_on_its_tenant_and_node_and_goes_on_where_it_ended() {
        let tenant = TenantId::default_tenant();
        let one = Chain::new(tenant.clone(), "a").append(&[row(1)]).hash;
        assert_ne!(one, Chain::new(tenant.clone(), "b").append(&[row(1)]).hash);
        assert_ne!(one, Chain::new(TenantId::new("t").unwrap(), "a").append(&[row(1)]).hash);

        let mut whole = Chain::new(tenant.clone(), "a");
        let sealed = whole.append(&[row(1), row(2), row(3)]);
        assert_eq!((sealed.first_seq, sealed.last_seq, sealed.rows.len()), (1, 3, 3));
        let mut parts = Chain::new(tenant.clone(), "a");
        parts.append(&[row(1)]);
        let (seq, hash) = parts.end();
        let mut parts = Chain::after(tenant, "a", seq, hash);
        assert_eq!(parts.append(&[]).rows, []);
        assert_eq!(parts.append(&[row(2), row(3)]).hash, sealed.hash);
        assert_eq!(parts, whole);
    }

    #[test]
    fn hashes_read_back() {
        let hash = Chain::new(TenantId::default_tenant(), "n").end().1;
        assert_eq!(RowHash::parse(&hash.hex()), Some(hash));
        for text in ["", "0", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(RowHash::parse(text), None, "{text}");
        }
    }
}
