//! Which segments go when there is no room: of the tenants that hold most, the oldest first, so that one tenant's
//! volume takes nothing of those who hold little; the audit log only when nothing else is left.

use std::collections::{HashMap, HashSet};

use model::{Signal, TenantId};

use crate::segment::{SegmentId, SegmentMeta};

/// What is looked at of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) id: SegmentId,
    pub(super) tenant: &'a TenantId,
    pub(super) signal: Signal,
    pub(super) max_t_ms: i64,
    pub(super) bytes: u64,
}

impl<'a> From<&'a SegmentMeta> for Kept<'a> {
    fn from(meta: &'a SegmentMeta) -> Self {
        let SegmentMeta { id, tenant, signal, max_t_ms, bytes, .. } = meta;
        Self { id: *id, tenant, signal: *signal, max_t_ms: *max_t_ms, bytes: *bytes }
    }
}

/// Segments of at least `surplus` bytes, or all there are.
pub(super) fn evicted(kept: &[Kept<'_>], mut surplus: u64) -> Vec<SegmentId> {
    let mut evicted = Vec::new();
    for is_audit in [false, true] {
        let mut left: Vec<Kept<'_>> =
            kept.iter().filter(|kept| (kept.signal == Signal::Audit) == is_audit).copied().collect();
        left.sort_by_key(|kept| (kept.max_t_ms, kept.id));
        let mut of: HashMap<&TenantId, u64> = HashMap::new();
        for kept in &left {
            *of.entry(kept.tenant).or_default() += kept.bytes;
        }
        // In each round those who hold their equal part or more lose what is above it; someone always does.
        while surplus > 0 && !left.is_empty() {
            let tenants: HashSet<&TenantId> = left.iter().map(|kept| kept.tenant).collect();
            of.retain(|tenant, _| tenants.contains(*tenant));
            let share = of.values().sum::<u64>() / of.len().max(1) as u64;
            left.retain(|kept| {
                let held = of.get_mut(kept.tenant).expect("every tenant that is left was counted");
                if surplus == 0 || *held < share {
                    return true;
                }
                *held -= kept.bytes;
                surplus = surplus.saturating_sub(kept.bytes);
                evicted.push(kept.id);
                false
            });
        }
    }
    evicted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_hold_most_go_first_and_the_audit_log_last() {
        let tenants = ["large", "small"].map(|id| TenantId::new(id).expect("an id"));
        let [large, small] = &tenants;
        let kept = |id: u64, tenant, signal, max_t_ms, bytes| Kept {
            id: SegmentId(id),
            tenant,
            signal,
            max_t_ms,
            bytes,
        };
        let all = [
            kept(1, small, Signal::Logs, 1, 10),
            kept(2, large, Signal::Audit, 0, 10),
            kept(3, large, Signal::Logs, 2, 100),
            kept(4, large, Signal::Metrics, 3, 100),
            kept(5, large, Signal::Logs, 4, 100),
            kept(6, small, Signal::Audit, 5, 10),
        ];
        for (surplus, want) in [
            (0, &[][..]),
            (1, &[3]),
            (101, &[3, 4]),
            (300, &[3, 4, 5]),
            (301, &[3, 4, 5, 1]),
            (311, &[3, 4, 5, 1, 2]),
            (9999, &[3, 4, 5, 1, 2, 6]),
        ] {
            let ids: Vec<u64> = evicted(&all, surplus).into_iter().map(|id| id.0).collect();
            assert_eq!(ids, want, "{surplus}");
        }
        let alone = [kept(1, large, Signal::Logs, 2, 10), kept(2, large, Signal::Logs, 1, 10)];
        assert_eq!(evicted(&alone, 5), [SegmentId(2)], "the oldest of one tenant");
    }
}
