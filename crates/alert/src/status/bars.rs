//! The last ninety days, each as one bar.

use serde::Serialize;

use super::state::ComponentState;

/// Days shown.
pub const DAYS: usize = 90;

const DAY: i64 = 86_400_000;

/// A while in which a component was not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downtime {
    /// Its beginning, milliseconds since the epoch.
    pub from: i64,
    /// Its end, not inside; `now` or later where it goes on.
    pub until: i64,
    /// How it was: degraded, an outage, or maintenance.
    pub state: ComponentState,
}

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// Its beginning, milliseconds since the epoch.
    pub from: i64,
    /// The share of what is known of it that was no outage, 0 to 1; `None` where nothing is known.
    pub uptime: Option<f64>,
    /// Milliseconds of outage.
    pub outage_ms: i64,
    /// Milliseconds that were degraded and no outage.
    pub degraded_ms: i64,
    /// Milliseconds of planned work, which count neither for nor against.
    pub maintenance_ms: i64,
}

/// The last ninety days up to now, the oldest first. Nothing is known from before `since`. Where several things were so
/// at once, maintenance counts before an outage, and that before degraded.
pub fn days(downtimes: &[Downtime], since: i64, now: i64) -> Vec<Day> {
    let today = now.div_euclid(DAY);
    let first = today.saturating_sub(DAYS as i64 - 1);
    let covered = |state: ComponentState, over: &[ComponentState]| -> Vec<(i64, i64)> {
        let counts = |one: &&Downtime| one.state == state || over.contains(&one.state);
        united(downtimes.iter().filter(counts).map(|one| (one.from.max(since), one.until.min(now))).collect())
    };
    let maintenance = covered(ComponentState::Maintenance, &[]);
    let outage = covered(ComponentState::Outage, &[ComponentState::Maintenance]);
    let any = covered(ComponentState::Degraded, &[ComponentState::Outage, ComponentState::Maintenance]);
    let day = |number: i64| {
        let (from, until) = (number * DAY, ((number + 1) * DAY).min(now));
        let within = |spans: &[(i64, i64)]| -> i64 {
            spans.iter().map(|(begin, end)| (*end.min(&until) - *begin.max(&from)).max(0)).sum()
        };
        let planned = within(&maintenance);
        let (to_outage, to_any) = (within(&outage), within(&any));
        let known = (until - from.max(since)).max(0) - planned;
        let outage_ms = to_outage - planned;
        Day {
            from,
            uptime: (known > 0).then(|| 1.0 - outage_ms as f64 / known as f64),
            outage_ms,
            degraded_ms: to_any - to_outage,
            maintenance_ms: planned,
        }
    };
    (first..=today).map(day).collect()
}

/// The same times without overlaps, in order.
fn united(mut spans: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    spans.retain(|(from, until)| from < until);
    spans.sort_unstable();
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => out.push((from, until)),
        }
    }
    out
}
