//! Hashes back to rows: the first row that is changed, missing or out of order.

use std::fmt;

use model::TenantId;

use crate::audit::{AuditHead, AuditRow, RowHash};

/// A row as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The stored number.
    pub seq: u64,
    /// The row.
    pub row: AuditRow,
    /// The stored hash.
    pub hash: RowHash,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first row there ever was.
    Genesis,
    /// After a row whose hash is known from elsewhere.
    After {
        /// Its number.
        seq: u64,
        /// Its hash.
        hash: RowHash,
    },
    /// Wherever the rows that are kept begin: retention removed those before. The first row's hash is taken
    /// as it is, so that row is judged only by what follows.
    Kept,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Rows whose hash was computed and fits.
    pub rows: u64,
    /// Anchors that were met and fit.
    pub anchors: u64,
    /// The first thing that is wrong; `None` when all is well.
    pub fault: Option<Fault>,
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The row, or its hash, is not what was written.
    Changed {
        /// Its number.
        seq: u64,
        /// Its time, milliseconds since the Unix epoch.
        at: i64,
    },
    /// Rows are not there.
    Missing {
        /// The first of them.
        first_seq: u64,
        /// The last of them that is known of.
        last_seq: u64,
    },
    /// A row comes after one with a higher or the same number.
    OutOfOrder {
        /// Its number.
        seq: u64,
        /// The number that was due.
        due_seq: u64,
    },
    /// Every hash fits, but not the one that was anchored: the rows up to here were written anew.
    Rewritten {
        /// The anchor's number.
        seq: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { seq, at } => write!(f, "row {seq} (at {at} ms) is not what was written"),
            Self::Missing { first_seq, last_seq } if first_seq == last_seq => {
                write!(f, "row {first_seq} is missing")
            }
            Self::Missing { first_seq, last_seq } => write!(f, "rows {first_seq} to {last_seq} are missing"),
            Self::OutOfOrder { seq, due_seq } => {
                write!(f, "row {seq} stands where row {due_seq} should be")
            }
            Self::Rewritten { seq } => {
                write!(f, "row {seq} does not fit its anchor; it or rows before it were written anew")
            }
        }
    }
}

/// Checks the rows of one chain, in the order of their numbers, against their hashes and against the tenant's
/// anchors, ascending by number. Stops at the first fault. Rows after the last anchor are fine: the node may have
/// written them just now.
pub fn verify(
    tenant: &TenantId,
    node: &str,
    start: Start,
    rows: impl IntoIterator<Item = StoredRow>,
    anchors: &[AuditHead],
) -> Verdict {
    let (mut seq, mut hash) = match start {
        Start::Genesis => (0, Some(RowHash::genesis(tenant, node))),
        Start::After { seq, hash } => (seq, Some(hash)),
        Start::Kept => (0, None),
    };
    let first = seq;
    let anchors = anchors.iter().filter(|anchor| anchor.node == node);
    let mut anchors = anchors.skip_while(|anchor| anchor.seq <= first).peekable();
    let mut verdict = Verdict { rows: 0, anchors: 0, fault: None };
    for stored in rows {
        if let Some(before) = hash {
            let due_seq = seq.saturating_add(1);
            if stored.seq < due_seq {
                verdict.fault = Some(Fault::OutOfOrder { seq: stored.seq, due_seq });
                return verdict;
            }
            if stored.seq > due_seq {
                verdict.fault = Some(Fault::Missing { first_seq: due_seq, last_seq: stored.seq - 1 });
                return verdict;
            }
            if stored.row.tenant != *tenant || before.next(stored.seq, &stored.row) != stored.hash {
                verdict.fault = Some(Fault::Changed { seq: stored.seq, at: stored.row.at });
                return verdict;
            }
            verdict.rows += 1;
        }
        (seq, hash) = (stored.seq, Some(stored.hash));
        // Anchors of rows that retention removed.
        while anchors.next_if(|anchor| anchor.seq < seq).is_some() {}
        if let Some(anchor) = anchors.next_if(|anchor| anchor.seq == seq) {
            if anchor.hash != stored.hash {
                verdict.fault = Some(Fault::Rewritten { seq });
                return verdict;
            }
            verdict.anchors += 1;
        }
    }
    if let Some(last) = anchors.last() {
        verdict.fault = Some(Fault::Missing { first_seq: seq.saturating_add(1), last_seq: last.seq });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Chain;

    fn tenant() -> TenantId {
        TenantId::default_tenant()
    }

    /// Ten rows and the anchors after the fourth and the last.
    fn chain() -> (Vec<StoredRow>, Vec<AuditHead>) {
        let rows: Vec<_> = (1..=10).map(|n| AuditRow::new(tenant(), n, "session:begin")).collect();
        let mut chain = Chain::new(tenant(), "n");
        let mut anchors = Vec::new();
        let mut stored = Vec::new();
        for batch in [&rows[..4], &rows[4..]] {
            let sealed = chain.append(batch);
            anchors.push(AuditHead { node: "n".into(), seq: sealed.last_seq, hash: sealed.hash, at: 0 });
            let pairs = batch.iter().zip(sealed.rows);
            stored.extend(pairs.map(|(row, s)| StoredRow { seq: s.seq, row: row.clone(), hash: s.hash }));
        }
        (stored, anchors)
    }

    #[track_caller]
    fn check(tamper: impl FnOnce(&mut Vec<StoredRow>), fault: Option<Fault>) {
        let (mut rows, anchors) = chain();
        tamper(&mut rows);
        let verdict = verify(&tenant(), "n", Start::Genesis, rows, &anchors);
        assert_eq!(verdict.fault, fault);
    }

    #[test]
    fn an_untouched_chain_verifies() {
        let (rows, anchors) = chain();
        let verdict = verify(&tenant(), "n", Start::Genesis, rows.clone(), &anchors);
        assert_eq!(verdict, Verdict { rows: 10, anchors: 2, fault: None });
        let start = Start::After { seq: 4, hash: anchors[0].hash };
        let verdict = verify(&tenant(), "n", start, rows[4..].to_vec(), &anchors);
        assert_eq!(verdict, Verdict { rows: 6, anchors: 1, fault: None });
        let verdict = verify(&tenant(), "n", Start::Kept, rows[6..].to_vec(), &anchors);
        assert_eq!(verdict, Verdict { rows: 3, anchors: 1, fault: None });
        let verdict = verify(&tenant(), "n", Start::Genesis, [], &[]);
        assert_eq!(verdict, Verdict { rows: 0, anchors: 0, fault: None });
    }

    #[test]
    fn the_first_row_that_was_tampered_with_is_named() {
        let missing = |first_seq, last_seq| Some(Fault::Missing { first_seq, last_seq });
        let changed = |seq: u64| Some(Fault::Changed { seq, at: seq as i64 });
        check(|rows| rows[2].row.action = "session:end".into(), changed(3));
        check(|rows| rows[2].hash = rows[3].hash, changed(3));
        check(|rows| drop(rows.remove(0)), missing(1, 1));
        check(|rows| drop(rows.drain(2..5)), missing(3, 5));
        check(|rows| drop(rows.pop()), missing(10, 10));
        check(|rows| rows.truncate(4), missing(5, 10));
        check(|rows| rows.clear(), missing(1, 10));
        check(|rows| rows.swap(2, 3), missing(3, 3));
        check(|rows| rows.insert(5, rows[4].clone()), Some(Fault::OutOfOrder { seq: 5, due_seq: 6 }));
        check(
            |rows| {
                let (third, fourth) = (rows[2].row.clone(), rows[3].row.clone());
                (rows[2].row, rows[3].row) = (fourth, third);
            },
            Some(Fault::Changed { seq: 3, at: 4 }),
        );
    }

    #[test]
    fn a_row_removed_with_its_number_shows_at_the_next() {
        check(
            |rows| {
                rows.remove(4);
                for (row, seq) in rows.iter_mut().zip(1..) {
                    row.seq = seq;
                }
            },
            Some(Fault::Changed { seq: 5, at: 6 }),
        );
    }

    #[test]
    fn a_chain_written_anew_does_not_fit_its_anchors() {
        check(
            |rows| {
                rows[1].row.target = "mallory".into();
                let plain: Vec<_> = rows.iter().map(|stored| stored.row.clone()).collect();
                let sealed = Chain::new(tenant(), "n").append(&plain);
                for (stored, new) in rows.iter_mut().zip(sealed.rows) {
                    stored.hash = new.hash;
                }
            },
            Some(Fault::Rewritten { seq: 4 }),
        );
    }

    #[test]
    fn another_chain_does_not_pass_for_this_one() {
        let (rows, anchors) = chain();
        for (tenant, node) in [(tenant(), "m"), (TenantId::new("acme").unwrap(), "n")] {
            let verdict = verify(&tenant, node, Start::Genesis, rows.clone(), &anchors);
            assert_eq!(verdict.fault, Some(Fault::Changed { seq: 1, at: 1 }));
        }
    }

    #[test]
    fn faults_read_as_sentences() {
        for (fault, want) in [
            (Fault::Changed { seq: 3, at: 9 }, "row 3 (at 9 ms) is not what was written"),
            (Fault::Missing { first_seq: 3, last_seq: 3 }, "row 3 is missing"),
            (Fault::Missing { first_seq: 3, last_seq: 5 }, "rows 3 to 5 are missing"),
            (Fault::OutOfOrder { seq: 2, due_seq: 3 }, "row 2 stands where row 3 should be"),
            (
                Fault::Rewritten { seq: 4 },
                "row 4 does not fit its anchor; it or rows before it were written anew",
            ),
        ] {
            assert_eq!(fault.to_string(), want);
        }
    }
}
