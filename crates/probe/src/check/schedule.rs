//! What is due when. Pure: the time is an argument.
//!
//! Each check has a phase within its interval that follows from its key, so that ten thousand of them are spread
//! evenly and stay where they are when the program starts again or their content changes. Runs that were missed are
//! not made up for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// What names a check: for many tenants, tenant and name together.
pub type CheckKey = Arc<str>;

/// A new check with a long interval has its first run within this time all the same.
const FIRST_WITHIN_MS: i64 = 30_000;

/// Checks, and when each is due.
#[derive(Debug, Default)]
pub struct Schedule {
    entries: HashMap<CheckKey, Entry>,
    /// Also holds turns that were replaced; the generation tells.
    turns: BinaryHeap<Reverse<(i64, u64, CheckKey)>>,
    generation: u64,
    missed: u64,
}

#[derive(Debug)]
struct Entry {
    interval_ms: i64,
    due_ms: i64,
    generation: u64,
    running: bool,
}

impl Schedule {
    /// Adds a check or changes its interval. A check that runs with this interval already keeps its turn.
    pub fn set(&mut self, key: &CheckKey, interval_ms: i64, now_ms: i64) {
        let interval_ms = interval_ms.max(1);
        let running = match self.entries.get(key) {
            Some(entry) if entry.interval_ms == interval_ms => return,
            Some(entry) => entry.running,
            None => false,
        };
        let hash = spread(key);
        let turn = turn_after(hash, interval_ms, now_ms);
        let soon = now_ms.saturating_add((hash % FIRST_WITHIN_MS as u64) as i64 + 1);
        let due_ms = if turn.saturating_sub(now_ms) > FIRST_WITHIN_MS { soon } else { turn };
        self.entries.insert(Arc::clone(key), Entry { interval_ms, due_ms, generation: 0, running });
        self.queue(key, due_ms);
    }

    /// Forgets a check; a run that goes on ends on its own.
    pub fn remove(&mut self, key: &CheckKey) {
        self.entries.remove(key);
        self.tidy();
    }

    /// When the next check is due, milliseconds since the Unix epoch; may be in the past.
    pub fn next_due(&mut self) -> Option<i64> {
        while let Some(Reverse((due_ms, generation, key))) = self.turns.peek() {
            if self.entries.get(key).is_some_and(|entry| entry.generation == *generation) {
                return Some(*due_ms);
            }
            self.turns.pop();
        }
        None
    }

    /// Takes the check that has been due longest, with its turn; it is running until [`done`](Self::done). One that is
    /// still running from its last turn misses this one.
    pub fn pop(&mut self, now_ms: i64) -> Option<(CheckKey, i64)> {
        while self.next_due().is_some_and(|due_ms| due_ms <= now_ms) {
            let Some(Reverse((due_ms, _, key))) = self.turns.pop() else { break };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let next = turn_after(spread(&key), entry.interval_ms, now_ms);
            let passed = (now_ms - due_ms) / entry.interval_ms;
            self.missed += passed.max(0) as u64 + u64::from(entry.running);
            let was_running = std::mem::replace(&mut entry.running, true);
            self.queue(&key, next);
            if !was_running {
                return Some((key, due_ms));
            }
        }
        None
    }

    /// A run has ended.
    pub fn done(&mut self, key: &CheckKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.running = false;
        }
    }

    /// Counts all turns anew, after the time of day has jumped.
    pub fn rebase(&mut self, now_ms: i64) {
        self.turns.clear();
        let keys: Vec<(CheckKey, i64)> =
            self.entries.iter().map(|(key, entry)| (Arc::clone(key), entry.interval_ms)).collect();
        for (key, interval_ms) in keys {
            self.queue(&key, turn_after(spread(&key), interval_ms, now_ms));
        }
    }

    /// Checks in the schedule.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no check.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Turns that passed without a run since the beginning.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn queue(&mut self, key: &CheckKey, due_ms: i64) {
        self.generation += 1;
        if let Some(entry) = self.entries.get_mut(key) {
            (entry.due_ms, entry.generation) = (due_ms, self.generation);
            self.turns.push(Reverse((due_ms, self.generation, Arc::clone(key))));
        }
        self.tidy();
    }

    /// Replaced turns are dropped before they outnumber the others.
    fn tidy(&mut self) {
        if self.turns.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            let turns = entries.iter().map(|(key, e)| Reverse((e.due_ms, e.generation, Arc::clone(key))));
            self.turns = turns.collect();
        }
    }
}

fn spread(key: &CheckKey) -> u64 {
    xxh3_64(key.as_bytes())
}

/// The first moment after `after_ms` that is a check's turn.
fn turn_after(hash: u64, interval_ms: i64, after_ms: i64) -> i64 {
    let phase = (hash % interval_ms as u64) as i64;
    let first = after_ms.saturating_add(1);
    first.saturating_add((phase - first).rem_euclid(interval_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;

    fn key(text: &str) -> CheckKey {
        text.into()
    }

    #[test]
    fn ten_thousand_checks_are_spread_over_their_interval() {
        let mut schedule = Schedule::default();
        for index in 0..10_000 {
            schedule.set(&key(&format!("default/check {index}")), 30 * SECOND, 0);
        }
        let mut per_second = [0; 30];
        while let Some((_, due_ms)) = schedule.pop(30 * SECOND) {
            per_second[((due_ms - 1) / SECOND) as usize] += 1;
        }
        assert_eq!(per_second.iter().sum::<i32>(), 10_000);
        assert!(per_second.iter().all(|count| (250..420).contains(count)), "{per_second:?}");
    }

    #[test]
    fn a_check_runs_once_in_each_interval_at_its_phase() {
        let mut schedule = Schedule::default();
        let web = key("web");
        schedule.set(&web, 10 * SECOND, 1_000_000);
        let mut turns = Vec::new();
        for now in (1_000_000..1_040_000).step_by(100) {
            if let Some((key, due)) = schedule.pop(now) {
                turns.push(due);
                schedule.done(&key);
            }
        }
        assert_eq!(turns.len(), 4);
        assert!(turns.windows(2).all(|pair| pair[1] - pair[0] == 10 * SECOND), "{turns:?}");
        // Another beginning, and a change that is none, find the same phase.
        let mut again = Schedule::default();
        again.set(&web, 10 * SECOND, 5_000_000);
        schedule.set(&web, 10 * SECOND, 1_041_000);
        let (due, other) = (schedule.next_due().unwrap(), again.next_due().unwrap());
        assert_eq!(due.rem_euclid(10 * SECOND), other.rem_euclid(10 * SECOND));
        assert_eq!(due.rem_euclid(10 * SECOND), turns[0].rem_euclid(10 * SECOND));
    }

    #[test]
    fn missed_runs_are_counted_and_not_made_up_for() {
        let mut schedule = Schedule::default();
        let web = key("web");
        schedule.set(&web, SECOND, 0);
        let (_, first) = schedule.pop(SECOND).unwrap();
        // Five seconds later it still runs, then it ends: one run, not five.
        assert_eq!(schedule.pop(first + 5 * SECOND), None);
        assert_eq!(schedule.missed(), 5);
        schedule.done(&web);
        assert_eq!(schedule.pop(first + 6 * SECOND), Some((web, first + 6 * SECOND)));
        assert_eq!(schedule.pop(first + 6 * SECOND), None);
    }

    #[test]
    fn a_long_interval_begins_soon_and_changes_leave_one_turn() {
        let mut schedule = Schedule::default();
        let web = key("web");
        schedule.set(&web, 86_400 * SECOND, 0);
        assert!(schedule.next_due().unwrap() <= FIRST_WITHIN_MS);
        for interval in 1..5000 {
            schedule.set(&web, interval * SECOND, 0);
        }
        assert!(schedule.turns.len() < 100, "replaced turns are dropped");
        let due = schedule.next_due().unwrap();
        schedule.pop(due).unwrap();
        schedule.done(&web);
        schedule.remove(&web);
        assert!(schedule.is_empty() && schedule.next_due().is_none() && schedule.pop(i64::MAX).is_none());
    }

    #[test]
    fn a_clock_that_goes_back_silences_nobody() {
        let mut schedule = Schedule::default();
        schedule.set(&key("web"), 60 * SECOND, 1_000_000_000);
        schedule.rebase(5_000);
        assert!(schedule.next_due().unwrap() <= 65_000);
    }
}
