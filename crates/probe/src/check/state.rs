//! What a stream of results means: when a check counts as down, when it is up again, and whether it flaps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::result::CheckStatus;
use super::spec::CheckSpec;

/// Verdicts looked at for flapping.
const FLAP_RESULTS: u32 = 20;
/// Changes among them from which a check flaps, and below which it no longer does.
const FLAP_BEGINS: u32 = 8;
const FLAP_ENDS: u32 = 4;

/// Days left of a certificate at which somebody is told.
const EXPIRY_STAGES: [i64; 4] = [1, 7, 14, 30];

/// How many runs it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failed runs in a row until it is down.
    pub failures: u32,
    /// Good runs in a row until it is up again.
    pub successes: u32,
}

impl Policy {
    /// What a check asks for.
    pub fn of(spec: &CheckSpec) -> Self {
        Self { failures: spec.failure_threshold.max(1), successes: spec.success_threshold.max(1) }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is down: an alert begins.
    Down,
    /// It is up, for the first time or again: an alert ends.
    Up,
    /// Nobody can tell any more. Whether it is down stays as it was.
    Unsure,
    /// It changes all the time.
    FlappingBegan,
    /// It no longer does.
    FlappingEnded,
}

/// A change with its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// What happened.
    pub change: Change,
    /// The result that made it so, milliseconds since the Unix epoch.
    pub at: i64,
    /// The first of the results in a row that made it so.
    pub began: i64,
    /// With [`Change::Up`]: how long it was down, from the first failed result to the first good one.
    pub downtime: Option<Duration>,
}

/// The state of one check; saved and read back by whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// What it counts as.
    pub status: CheckStatus,
    /// Since when, milliseconds since the Unix epoch.
    pub since: i64,
    /// Since when it is down; set from `Down` to `Up`, also while nobody can tell.
    pub down_since: Option<i64>,
    /// Whether it flaps.
    pub flapping: bool,
    /// The status of the last results, how many in a row, and the time of the first of them.
    pub run: (CheckStatus, u32, i64),
    /// The last result's time.
    pub last_at: i64,
    /// Verdicts for flapping: one bit each, the newest lowest, set when unhealthy.
    verdicts: u32,
    /// How many of them there are.
    verdict_count: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            status: CheckStatus::Unknown,
            since: 0,
            down_since: None,
            flapping: false,
            run: (CheckStatus::Unknown, 0, 0),
            last_at: i64::MIN,
            verdicts: 0,
            verdict_count: 0,
        }
    }
}

/// Reads results one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Tracker {
    policy: Policy,
    state: State,
}

impl Tracker {
    /// Goes on from a state; the default one knows nothing.
    pub fn new(policy: Policy, state: State) -> Self {
        Self { policy, state }
    }

    /// What is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Reads a result; at most two things happen. A result that is not newer than the last one is passed over.
    pub fn observe(&mut self, at: i64, status: CheckStatus) -> Vec<Transition> {
        let state = &mut self.state;
        if at <= state.last_at {
            return Vec::new();
        }
        state.last_at = at;
        state.run = match state.run {
            (same, count, began) if same == status && count > 0 => (same, count.saturating_add(1), began),
            _ => (status, 1, at),
        };
        let mut out = Vec::new();
        let (_, count, began) = state.run;
        let needed = match status {
            // The first verdict of all needs no confirmation when it is good.
            CheckStatus::Healthy if state.status == CheckStatus::Unknown && state.down_since.is_none() => 1,
            CheckStatus::Healthy => self.policy.successes,
            CheckStatus::Unhealthy | CheckStatus::Unknown => self.policy.failures,
        };
        if status != state.status && count >= needed {
            (state.status, state.since) = (status, began);
            match status {
                // Down already, if it was so before nobody could tell.
                CheckStatus::Unhealthy if state.down_since.is_some() => {}
                CheckStatus::Unhealthy => {
                    state.down_since = Some(began);
                    out.push(Transition { change: Change::Down, at, began, downtime: None });
                }
                CheckStatus::Healthy => {
                    let downtime = state.down_since.take().map(|from| (began - from).max(0) as u64);
                    let downtime = downtime.map(Duration::from_millis);
                    out.push(Transition { change: Change::Up, at, began, downtime });
                }
                CheckStatus::Unknown => {
                    out.push(Transition { change: Change::Unsure, at, began, downtime: None });
                }
            }
        }
        out.extend(state.judge_flapping(at, status));
        out
    }
}

impl State {
    fn judge_flapping(&mut self, at: i64, status: CheckStatus) -> Option<Transition> {
        if status == CheckStatus::Unknown {
            return None;
        }
        let kept = (1 << FLAP_RESULTS) - 1;
        self.verdicts = (self.verdicts << 1 | u32::from(status == CheckStatus::Unhealthy)) & kept;
        self.verdict_count = (self.verdict_count + 1).min(FLAP_RESULTS);
        // Each bit against the one before; as many pairs as there are verdicts but one.
        let pairs = (1u32 << (self.verdict_count - 1)) - 1;
        let changes = ((self.verdicts ^ self.verdicts >> 1) & pairs).count_ones();
        let change = match self.flapping {
            false if changes >= FLAP_BEGINS => Change::FlappingBegan,
            true if changes < FLAP_ENDS => Change::FlappingEnded,
            _ => return None,
        };
        self.flapping = change == Change::FlappingBegan;
        Some(Transition { change, at, began: at, downtime: None })
    }
}

/// How urgent a certificate's end is: the smallest of 30, 14, 7 and 1 days that it falls under, 0 once it is over.
/// Somebody is told each time this falls.
pub fn expiry_stage(days_left: i64) -> Option<i64> {
    if days_left < 0 {
        return Some(0);
    }
    EXPIRY_STAGES.into_iter().find(|stage| days_left <= *stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results as letters, one each second, to the changes that they make.
    fn changes(failures: u32, successes: u32, results: &str) -> (Vec<(Change, i64, i64)>, State) {
        let mut tracker = Tracker::new(Policy { failures, successes }, State::default());
        let mut out = Vec::new();
        for (at, letter) in results.chars().enumerate() {
            let status = match letter {
                'h' => CheckStatus::Healthy,
                'u' => CheckStatus::Unhealthy,
                _ => CheckStatus::Unknown,
            };
            let transitions = tracker.observe(at as i64, status);
            out.extend(transitions.into_iter().map(|t| (t.change, t.began, t.at)));
        }
        (out, *tracker.state())
    }

    #[test]
    fn it_takes_failures_in_a_row_to_be_down_and_successes_to_be_up() {
        use Change::{Down, Unsure, Up};
        for (failures, successes, results, want) in [
            (1, 1, "hhuh", &[(Up, 0, 0), (Down, 2, 2), (Up, 3, 3)][..]),
            (3, 2, "huuhuuuhuhh", &[(Up, 0, 0), (Down, 4, 6), (Up, 9, 10)]),
            (2, 1, "uu", &[(Down, 0, 1)]),
            (1, 1, "huxuh", &[(Up, 0, 0), (Down, 1, 1), (Unsure, 2, 2), (Up, 4, 4)]),
            (2, 1, "hxhxx", &[(Up, 0, 0), (Unsure, 3, 4)]),
            (1, 1, "xx", &[]),
        ] {
            assert_eq!(changes(failures, successes, results).0, want, "{results}");
        }
    }

    #[test]
    fn downtime_runs_from_the_first_failure_to_the_first_success() {
        let mut tracker = Tracker::new(Policy { failures: 2, successes: 2 }, State::default());
        let (h, u) = (CheckStatus::Healthy, CheckStatus::Unhealthy);
        let mut last = Vec::new();
        for (at, status) in [(0, h), (10_000, u), (20_000, u), (30_000, h), (40_000, h)] {
            last = tracker.observe(at, status);
            assert!(tracker.observe(at, status).is_empty(), "a result counts once");
        }
        assert_eq!(last[0].downtime, Some(Duration::from_secs(20)));
        assert_eq!(
            (tracker.state().status, tracker.state().since, tracker.state().down_since),
            (h, 30_000, None)
        );
        let text = serde_json::to_string(tracker.state()).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), *tracker.state());
    }

    #[test]
    fn what_changes_all_the_time_flaps_until_it_is_quiet() {
        let (seen, state) = changes(1, 1, "huhuhuhuh");
        assert_eq!(seen.last().unwrap().0, Change::FlappingBegan);
        assert!(state.flapping);
        let (seen, state) = changes(1, 1, &format!("huhuhuhuh{}", "h".repeat(20)));
        assert_eq!(seen.last().unwrap().0, Change::FlappingEnded);
        assert!(!state.flapping);
        assert!(!changes(1, 1, "hhhhuuuuhhhhuuuu").1.flapping);
    }

    #[test]
    fn certificates_become_urgent_in_stages() {
        for (days, want) in [
            (31, None),
            (30, Some(30)),
            (15, Some(30)),
            (14, Some(14)),
            (5, Some(7)),
            (1, Some(1)),
            (0, Some(1)),
            (-1, Some(0)),
        ] {
            assert_eq!(expiry_stage(days), want, "{days}");
        }
    }
}
