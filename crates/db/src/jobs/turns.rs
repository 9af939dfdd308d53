//! Whose job is next. Pure: what is ready goes in, how many of each lane to take comes out.
//!
//! A lane is one tenant's jobs of one priority in one queue; within it the order is that of time. Slots are given
//! out one by one:
//!
//! - Three of four go to the highest priority there is. Between tenants, to the one with the fewest jobs running
//!   (on all nodes), then to the one whose last turn (on this node) is longest ago, then to the oldest job. One
//!   tenant's 100,000 jobs and another's one are two tenants: the one is next.
//! - Every fourth goes to a lane that has waited for a minute or more, in turn, whatever its priority. So low
//!   jobs get on, each lane at a known share of a quarter of all work, under any load of higher ones, of their
//!   own tenant or others; and a critical job is never more than one slot later for it.

use std::collections::{BTreeMap, HashMap};

/// Every so many slots, one goes to those who have waited.
const AGED_SLOT: u64 = 4;

/// Who has waited this long takes part in it, milliseconds.
const AGED_MS: i64 = 60_000;

/// Turns remembered. Above it they are forgotten, which costs some a turn.
const TURNS_MAX: usize = 50_000;

/// What is ready of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) tenant: String,
    pub(crate) priority: i64,
    /// Since when its first job is due, ms since the epoch.
    pub(crate) due_at: i64,
    /// How many are ready, counted no further than could be taken.
    pub(crate) ready: usize,
}

/// Who had turns, on this node.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    slots: u64,
    lanes: HashMap<(String, String, i64), u64>,
    tenants: HashMap<(String, String), u64>,
}

impl Turns {
    /// How many to take of each lane, `n` at most in all. `running` counts the tenants' jobs that run.
    pub(crate) fn plan(
        &mut self,
        queue: &str,
        lanes: &[Lane],
        mut running: BTreeMap<String, usize>,
        n: usize,
        now: i64,
    ) -> Vec<(usize, usize)> {
        if self.lanes.len() + self.tenants.len() > TURNS_MAX {
            self.lanes.clear();
            self.tenants.clear();
        }
        let mut taken = vec![0; lanes.len()];
        for _ in 0..n {
            self.slots += 1;
            let open = || lanes.iter().enumerate().filter(|(at, lane)| taken[*at] < lane.ready);
            let aged = (self.slots.is_multiple_of(AGED_SLOT)).then(|| {
                open()
                    .filter(|(_, lane)| now.saturating_sub(lane.due_at) >= AGED_MS)
                    .min_by_key(|(_, lane)| (self.lane_turn(queue, lane), lane.due_at))
            });
            let next = aged.flatten().or_else(|| {
                open().min_by_key(|(_, lane)| {
                    let runs = running.get(&lane.tenant).copied().unwrap_or(0);
                    (-lane.priority, runs, self.tenant_turn(queue, lane), lane.due_at)
                })
            });
            let Some((at, lane)) = next else { break };
            taken[at] += 1;
            *running.entry(lane.tenant.clone()).or_default() += 1;
            self.lanes.insert((queue.to_owned(), lane.tenant.clone(), lane.priority), self.slots);
            self.tenants.insert((queue.to_owned(), lane.tenant.clone()), self.slots);
        }
        taken.into_iter().enumerate().filter(|(_, count)| *count > 0).collect()
    }

    fn lane_turn(&self, queue: &str, lane: &Lane) -> u64 {
        let key = (queue.to_owned(), lane.tenant.clone(), lane.priority);
        self.lanes.get(&key).copied().unwrap_or(0)
    }

    fn tenant_turn(&self, queue: &str, lane: &Lane) -> u64 {
        self.tenants.get(&(queue.to_owned(), lane.tenant.clone())).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn lane(tenant: &str, priority: i64, age_ms: i64, ready: usize) -> Lane {
        Lane { tenant: tenant.to_owned(), priority, due_at: NOW - age_ms, ready }
    }

    /// Gives out `n` slots one at a time and names the lanes: tenant and priority.
    fn order(lanes: &[Lane], n: usize) -> String {
        let (mut turns, mut lanes) = (Turns::default(), lanes.to_vec());
        let mut names = Vec::new();
        for _ in 0..n {
            for (at, _) in turns.plan("q", &lanes, BTreeMap::new(), 1, NOW) {
                lanes[at].ready -= 1;
                names.push(format!("{}{}", lanes[at].tenant, lanes[at].priority));
            }
        }
        names.join(" ")
    }

    #[test]
    fn slots_go_by_priority_then_in_turn_then_by_age() {
        for (lanes, n, want) in [
            (vec![lane("a", 0, 9, 1), lane("a", 3, 1, 1), lane("a", 1, 5, 1)], 3, "a3 a1 a0"),
            (vec![lane("a", 1, 9, 100_000), lane("b", 1, 1, 1)], 4, "a1 b1 a1 a1"),
            (vec![lane("a", 1, 9, 3), lane("b", 1, 1, 3)], 6, "a1 b1 a1 b1 a1 b1"),
            (vec![lane("a", 1, 9, 2)], 4, "a1 a1"),
            (vec![], 4, ""),
        ] {
            assert_eq!(order(&lanes, n), want, "{lanes:?}");
        }
    }

    #[test]
    fn every_fourth_slot_goes_in_turn_to_those_who_waited_a_minute() {
        let old = 60_000;
        for (lanes, want) in [
            // A tenant's own low jobs under its critical ones.
            (vec![lane("a", 3, old, 99), lane("a", 0, old, 99)], "a3 a3 a3 a0 a3 a3 a3 a0"),
            // Another tenant under an older flood of critical ones.
            (vec![lane("a", 3, 2 * old, 99), lane("b", 1, old, 1)], "a3 a3 a3 b1 a3 a3 a3 a3"),
            // Whoever has not waited has no part in it.
            (vec![lane("a", 3, old, 99), lane("b", 1, old - 1, 9)], "a3 a3 a3 a3 a3 a3 a3 a3"),
            (
                vec![lane("a", 3, 1, 99), lane("a", 0, old, 9), lane("b", 0, old, 9)],
                "a3 a3 a3 a0 a3 a3 a3 b0",
            ),
        ] {
            assert_eq!(order(&lanes, 8), want, "{lanes:?}");
        }
    }

    #[test]
    fn whoever_has_most_running_is_behind() {
        let lanes = [lane("a", 1, 9, 9), lane("b", 1, 1, 9)];
        let running = BTreeMap::from([("a".to_owned(), 3)]);
        let planned = Turns::default().plan("q", &lanes, running, 5, NOW);
        assert_eq!(planned, [(0, 1), (1, 4)], "three of b catch up, then one each");
    }
}
