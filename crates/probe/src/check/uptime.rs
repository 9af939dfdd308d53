//! Shares of time and outages, from results in order.

use serde::{Deserialize, Serialize};

use super::result::CheckStatus;

const DAY_MS: i64 = 86_400_000;

/// The usual windows: name and length, milliseconds.
pub const WINDOWS: [(&str, i64); 4] =
    [("24h", DAY_MS), ("7d", 7 * DAY_MS), ("30d", 30 * DAY_MS), ("90d", 90 * DAY_MS)];

/// Outages that are kept of one window, the latest.
pub const OUTAGES_MAX: usize = 1000;

/// A stretch of time during which a check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Its first failed result, or the beginning of the window; milliseconds since the Unix epoch.
    pub from: i64,
    /// Its end; the window's where it goes on.
    pub to: i64,
    /// Whether it goes on.
    pub ongoing: bool,
}

/// How a window was spent, milliseconds each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uptime {
    /// Healthy.
    pub up_ms: i64,
    /// Unhealthy.
    pub down_ms: i64,
    /// Without a verdict: unknown, before the first result, or too long after the last.
    pub unknown_ms: i64,
    /// When it failed, in order; the latest thousand.
    pub outages: Vec<Outage>,
    /// Outages in all.
    pub outage_count: u64,
}

impl Uptime {
    /// Share of the time with a verdict that was healthy, 0 to 100; `None` without a verdict.
    pub fn percent(&self) -> Option<f64> {
        let known = self.up_ms + self.down_ms;
        (known > 0).then(|| self.up_ms as f64 / known as f64 * 100.0)
    }

    /// Reads the window from `from_ms` to `to_ms` out of results in order of time. A result holds until the next one, and
    /// for at most `hold_ms`; the last one before the window counts as well.
    pub fn of(
        results: impl IntoIterator<Item = (i64, CheckStatus)>,
        from_ms: i64,
        to_ms: i64,
        hold_ms: i64,
    ) -> Self {
        let mut uptime = Self::default();
        let mut held: Option<(i64, CheckStatus)> = None;
        let mut open: Option<Outage> = None;
        for (at, status) in
            results.into_iter().take_while(|(at, _)| *at < to_ms).map(Some).chain([None]).map(|next| {
                // The end of the window ends the last result.
                next.unwrap_or((to_ms, CheckStatus::Unknown))
            })
        {
            let (begins, was) = held.unwrap_or((i64::MIN / 2, CheckStatus::Unknown));
            let ends = at.min(begins.saturating_add(hold_ms));
            uptime.spend(&mut open, was, begins.max(from_ms), ends.min(to_ms));
            uptime.spend(&mut open, CheckStatus::Unknown, ends.max(from_ms).max(begins), at.min(to_ms));
            held = Some((at, status));
        }
        if let Some(outage) = open {
            let ongoing = outage.to == to_ms;
            uptime.keep(Outage { ongoing, ..outage });
        }
        uptime
    }

    fn spend(&mut self, open: &mut Option<Outage>, status: CheckStatus, from: i64, to: i64) {
        if to <= from {
            return;
        }
        match status {
            CheckStatus::Healthy => {
                self.up_ms += to - from;
                if let Some(outage) = open.take() {
                    self.keep(outage);
                }
            }
            CheckStatus::Unhealthy => {
                self.down_ms += to - from;
                match open {
                    Some(outage) => outage.to = to,
                    None => *open = Some(Outage { from, to, ongoing: false }),
                }
            }
            // An outage goes on through what nobody can tell; its time is not counted as down.
            CheckStatus::Unknown => self.unknown_ms += to - from,
        }
    }

    fn keep(&mut self, outage: Outage) {
        self.outage_count += 1;
        if self.outages.len() == OUTAGES_MAX {
            self.outages.remove(0);
        }
        self.outages.push(outage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: CheckStatus = CheckStatus::Healthy;
    const U: CheckStatus = CheckStatus::Unhealthy;
    const X: CheckStatus = CheckStatus::Unknown;

    #[test]
    fn time_is_spent_by_the_result_that_holds() {
        for (results, want, outages) in [
            (&[][..], (0, 0, 100), &[][..]),
            (&[(0, H), (50, H)], (100, 0, 0), &[]),
            (&[(-20, H), (30, U), (40, H), (70, H)], (90, 10, 0), &[(30, 40, false)]),
            (&[(0, H), (60, U)], (60, 40, 0), &[(60, 100, true)]),
            // Held for 60 at most.
            (&[(0, H)], (60, 0, 40), &[]),
            (&[(-100, H), (80, H)], (20, 0, 80), &[]),
            // An unknown stretch neither ends an outage nor lengthens it.
            (&[(0, U), (20, X), (40, U), (60, H)], (40, 40, 20), &[(0, 60, false)]),
            (&[(0, U), (20, X), (70, H)], (30, 20, 50), &[(0, 20, false)]),
            (&[(-10, U), (10, H), (70, H), (100, U), (110, U)], (90, 10, 0), &[(0, 10, false)]),
        ] {
            let uptime = Uptime::of(results.iter().copied(), 0, 100, 60);
            let found: Vec<_> = uptime.outages.iter().map(|o| (o.from, o.to, o.ongoing)).collect();
            assert_eq!((uptime.up_ms, uptime.down_ms, uptime.unknown_ms), want, "{results:?}");
            assert_eq!(found, outages, "{results:?}");
        }
    }

    #[test]
    fn the_share_is_of_the_time_with_a_verdict() {
        assert_eq!(Uptime::of([(0, H), (75, U)], 0, 100, 100).percent(), Some(75.0));
        assert_eq!(Uptime::of([(0, X)], 0, 100, 100).percent(), None);
        let many = (0..5000).map(|at| (at * 10, if at % 2 == 0 { U } else { H }));
        let uptime = Uptime::of(many, 0, 50_000, 100);
        assert_eq!((uptime.outage_count, uptime.outages.len()), (2500, OUTAGES_MAX));
        assert_eq!(uptime.outages.last().unwrap().from, 49_980);
    }
}
