//! An alert as routing sees it, whoever raised it.

use serde::{Deserialize, Serialize};

use super::fingerprint::fingerprint;
use crate::Labels;
use crate::severity::Severity;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What stays the same over the alert's life. For an alert of others it is [`fingerprint`] of its labels. For
    /// one of our rules with several severities it leaves the label `severity` out, so that a step up is seen as
    /// the same alert growing worse.
    pub identity: u64,
    /// Names and values, `severity` among them where it has one.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Labels,
    /// Where it came from; may be empty.
    pub generator_url: String,
    /// When it began.
    pub starts_at: i64,
    /// When it ended, or will count as ended unless it is heard of again.
    pub ends_at: Option<i64>,
    /// When it was last heard of.
    pub updated_at: i64,
}

impl Alert {
    /// An alert that fires since `starts_at`, named by its labels.
    pub fn firing(labels: Labels, starts_at: i64) -> Self {
        Self {
            identity: fingerprint(&labels),
            labels,
            annotations: Labels::new(),
            generator_url: String::new(),
            starts_at,
            ends_at: None,
            updated_at: starts_at,
        }
    }

    /// True when it is over at `now`.
    pub fn is_resolved(&self, now: i64) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// What its label says.
    pub fn severity(&self) -> Option<Severity> {
        Severity::of(&self.labels)
    }

    /// What was known before together with what was heard now, as Alertmanager merges two reports whose times
    /// overlap: the older start stays, the newer report's texts count, and its end counts unless it is only a
    /// time-out that reaches less far. Reports that do not overlap are two lives: the newer one stands.
    pub fn merged(old: &Self, new: Self) -> Self {
        let within = |at: i64| old.starts_at < at && old.ends_at.is_none_or(|end| at < end);
        if !(new.ends_at.is_some_and(within) || within(new.starts_at) || new.starts_at == old.starts_at) {
            return new;
        }
        if new.updated_at < old.updated_at {
            return Self::merged(&new, old.clone());
        }
        let resolved = new.is_resolved(new.updated_at);
        let ends_at = match (old.ends_at, new.ends_at) {
            // An end that is known counts, the latest of two; time-outs only move away.
            (Some(before), Some(end)) if resolved && before <= new.updated_at => Some(before.max(end)),
            (_, Some(end)) if resolved => Some(end),
            (Some(before), Some(end)) if before > old.updated_at => Some(before.max(end)),
            (_, end) => end,
        };
        Self { starts_at: old.starts_at.min(new.starts_at), ends_at, ..new }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(starts_at: i64, ends_at: Option<i64>, updated_at: i64) -> Alert {
        Alert { ends_at, updated_at, ..Alert::firing(Labels::new(), starts_at) }
    }

    #[test]
    fn two_reports_of_one_life_are_merged() {
        let rows = [
            ("a later time-out", report(0, Some(300), 10), report(5, Some(310), 20), (0, Some(310))),
            ("a shorter time-out", report(0, Some(300), 10), report(5, Some(250), 20), (0, Some(300))),
            ("resolved", report(0, Some(300), 10), report(0, Some(20), 20), (0, Some(20))),
            ("resolved twice", report(0, Some(30), 31), report(0, Some(20), 32), (0, Some(30))),
            ("a second life", report(0, Some(30), 30), report(100, None, 100), (100, None)),
            ("fires again before it ended", report(0, None, 10), report(7, None, 20), (0, None)),
        ];
        for (name, old, new, (starts_at, ends_at)) in rows {
            let got = Alert::merged(&old, new);
            assert_eq!((got.starts_at, got.ends_at), (starts_at, ends_at), "{name}");
        }
    }
}
