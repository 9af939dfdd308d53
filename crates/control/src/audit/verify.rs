//! Hashes back to rows: the first row that is changed, missing or out of order.

use std::collections::VecDeque;
use std::fmt;

use model::TenantId;

use crate::audit::heads::day_start;
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
    Kept {
        /// The last row that retention may have removed; later ones are missing when they are not there.
        swept_to: u64,
    },
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

/// Checks the rows of one chain one by one, in the order of their numbers, against their hashes and against the
/// tenant's anchors, ascending by number. Stops at the first fault. Rows after the last anchor are fine: the node
/// may have written them just now.
#[derive(Clone, Debug)]
pub struct Verifier {
    tenant: TenantId,
    anchors: VecDeque<AuditHead>,
    seq: u64,
    /// The hash of the row before; `None` before the first of those that are kept.
    hash: Option<RowHash>,
    swept_to: u64,
    verdict: Verdict,
}

impl Verifier {
    /// A verifier of a node's chain.
    pub fn new(tenant: &TenantId, node: &str, start: Start, anchors: &[AuditHead]) -> Self {
        let (seq, hash, swept_to) = match start {
            Start::Genesis => (0, Some(RowHash::genesis(tenant, node)), 0),
            Start::After { seq, hash } => (seq, Some(hash), 0),
            Start::Kept { swept_to } => (0, None, swept_to),
        };
        let anchors = anchors.iter().filter(|anchor| anchor.node == node && anchor.seq > seq);
        let verdict = Verdict { rows: 0, anchors: 0, fault: None };
        Self { tenant: tenant.clone(), anchors: anchors.cloned().collect(), seq, hash, swept_to, verdict }
    }

    /// Takes the next row. False once something is wrong.
    pub fn row(&mut self, stored: &StoredRow) -> bool {
        if self.verdict.fault.is_none() {
            self.verdict.fault = self.judge(stored).err();
        }
        self.verdict.fault.is_none()
    }

    fn judge(&mut self, stored: &StoredRow) -> Result<(), Fault> {
        let due_seq = self.seq.saturating_add(1);
        match self.hash {
            Some(_) if stored.seq < due_seq => return Err(Fault::OutOfOrder { seq: stored.seq, due_seq }),
            Some(_) if stored.seq > due_seq => {
                return Err(Fault::Missing { first_seq: due_seq, last_seq: stored.seq - 1 });
            }
            Some(before) => {
                if stored.row.tenant != self.tenant || before.next(stored.seq, &stored.row) != stored.hash {
                    return Err(Fault::Changed { seq: stored.seq, at: stored.row.at });
                }
                self.verdict.rows += 1;
            }
            None if stored.seq.saturating_sub(1) > self.swept_to => {
                return Err(Fault::Missing { first_seq: self.swept_to + 1, last_seq: stored.seq - 1 });
            }
            None => {}
        }
        (self.seq, self.hash) = (stored.seq, Some(stored.hash));
        // Anchors of rows that retention removed.
        while self.anchors.front().is_some_and(|anchor| anchor.seq < stored.seq) {
            self.anchors.pop_front();
        }
        if self.anchors.front().is_some_and(|anchor| anchor.seq == stored.seq)
            && let Some(anchor) = self.anchors.pop_front()
        {
            if anchor.hash != stored.hash {
                return Err(Fault::Rewritten { seq: stored.seq });
            }
            self.verdict.anchors += 1;
        }
        Ok(())
    }

    /// What was found, when there are no more rows.
    pub fn end(mut self) -> Verdict {
        let first_seq = self.seq.max(self.swept_to).saturating_add(1);
        if let Some(last) = self.anchors.back().filter(|last| last.seq >= first_seq)
            && self.verdict.fault.is_none()
        {
            self.verdict.fault = Some(Fault::Missing { first_seq, last_seq: last.seq });
        }
        self.verdict
    }
}

/// The number up to which retention may have removed rows: that of the newest anchor of a day that began before
/// `cutoff_ms`. Rows of the day in which the cutoff lies may be gone or not, so those count as gone.
pub fn swept_to(node: &str, anchors: &[AuditHead], cutoff_ms: i64) -> u64 {
    let old = anchors.iter().filter(|anchor| anchor.node == node && day_start(anchor.at) <= cutoff_ms);
    old.map(|anchor| anchor.seq).max().unwrap_or(0)
}

/// Checks all rows of one chain.
#[cfg(test)]
pub(crate) fn verify(
    tenant: &TenantId,
    node: &str,
    start: Start,
    rows: impl IntoIterator<Item = StoredRow>,
    anchors: &[AuditHead],
) -> Verdict {
    let mut verifier = Verifier::new(tenant, node, start, anchors);
    for row in rows {
        if !verifier.row(&row) {
            break;
        }
    }
    verifier.end()
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
        for (swept_to, rows_left, fits) in
            [(6, 6, true), (7, 6, true), (5, 6, false), (0, 6, false), (10, 10, true)]
        {
            let kept = rows[rows_left..].to_vec();
            let verdict = verify(&tenant(), "n", Start::Kept { swept_to }, kept, &anchors);
            let missing = Fault::Missing { first_seq: swept_to + 1, last_seq: 6 };
            assert_eq!(verdict.fault, (!fits).then_some(missing), "{swept_to}");
        }
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
    fn rows_up_to_the_newest_anchor_of_a_day_before_the_cutoff_may_be_gone() {
        const DAY: i64 = 86_400_000;
        let head = |node: &str, seq: u64, at: i64| AuditHead {
            node: node.into(),
            seq,
            hash: RowHash::genesis(&tenant(), "n"),
            at,
        };
        let heads =
            [head("m", 90, 0), head("n", 3, DAY + 5), head("n", 7, 2 * DAY + 5), head("n", 9, 3 * DAY)];
        for (cutoff, want) in [(0, 0), (DAY - 1, 0), (DAY, 3), (2 * DAY + 1, 7), (9 * DAY, 9)] {
            assert_eq!(swept_to("n", &heads, cutoff), want, "{cutoff}");
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
