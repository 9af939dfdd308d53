//! The log of notifications: what each receiver was last told of each group, and whether there is something new.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::fingerprint::fingerprint;
use super::flush::{Flush, FlushAlert};

/// What a receiver was last told of a group. The caller stores it under group and receiver, in the transaction
/// that makes the notification durable, and forgets it when it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The group's key.
    pub group: String,
    /// Whom: a channel, or receiver and integration.
    pub receiver: String,
    /// When.
    pub at: i64,
    /// Label sets that fired, by [`fingerprint`].
    pub firing: BTreeSet<u64>,
    /// Label sets that were resolved.
    pub resolved: BTreeSet<u64>,
    /// When it may be forgotten: after twice the repeat interval, as in Alertmanager.
    pub expires_at: i64,
}

/// Why a receiver is told, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The receiver has not heard of the group.
    First,
    /// An alert fires that it has not heard of.
    Firing,
    /// Nothing fires any more.
    AllResolved,
    /// Some alert is resolved.
    Resolved,
    /// Nothing changed for the repeat interval.
    Repeat,
    /// Not told: nothing changed.
    Unchanged,
    /// Not told: all that there is came and went unheard of.
    NothingToTell,
    /// Not told: every alert is silenced or inhibited.
    Suppressed,
}

/// What becomes of a flush for one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// What to store. It may be there without a message: where the receiver does not want to hear of resolved
    /// alerts, only the log does.
    pub log: Option<LogEntry>,
    /// What to send.
    pub send: Option<Vec<FlushAlert>>,
}

/// Decides, as Alertmanager's `DedupStage` and `RetryStage` do, whether and what a receiver is told. `entry` is
/// what the log holds for this group and receiver; `suppressed` is true for alerts that are silenced or inhibited.
pub fn decide(
    flush: &Flush,
    receiver: &str,
    entry: Option<&LogEntry>,
    send_resolved: bool,
    suppressed: impl Fn(&FlushAlert) -> bool,
) -> Decision {
    let nothing = |reason| Decision { reason, log: None, send: None };
    let heard: Vec<&FlushAlert> = flush.alerts.iter().filter(|alert| !suppressed(alert)).collect();
    if heard.is_empty() {
        return nothing(Reason::Suppressed);
    }
    let hashes = |resolved: bool| -> BTreeSet<u64> {
        let alerts = heard.iter().filter(|alert| alert.resolved == resolved);
        alerts.map(|alert| fingerprint(&alert.alert.labels)).collect()
    };
    let (firing, resolved) = (hashes(false), hashes(true));
    let reason = reason(flush, entry, &firing, &resolved, send_resolved);
    if matches!(reason, Reason::Unchanged | Reason::NothingToTell) {
        return nothing(reason);
    }
    let send: Vec<FlushAlert> =
        heard.into_iter().filter(|alert| send_resolved || !alert.resolved).cloned().collect();
    let log = LogEntry {
        group: flush.group.clone(),
        receiver: receiver.into(),
        at: flush.at,
        firing,
        resolved,
        expires_at: flush.at.saturating_add(flush.repeat_ms.saturating_mul(2)),
    };
    Decision { reason, log: Some(log), send: (!send.is_empty()).then_some(send) }
}

fn reason(
    flush: &Flush,
    entry: Option<&LogEntry>,
    firing: &BTreeSet<u64>,
    resolved: &BTreeSet<u64>,
    send_resolved: bool,
) -> Reason {
    let Some(entry) = entry.filter(|entry| entry.expires_at > flush.at) else {
        return match firing.is_empty() {
            false => Reason::First,
            // A digest lists what came and went inside its window too.
            true if flush.digest && send_resolved => Reason::Resolved,
            true => Reason::NothingToTell,
        };
    };
    if !firing.is_subset(&entry.firing) {
        return Reason::Firing;
    }
    let untold = send_resolved && !resolved.is_subset(&entry.resolved);
    if firing.is_empty() {
        return match entry.firing.is_empty() {
            false => Reason::AllResolved,
            true if flush.digest && untold => Reason::Resolved,
            true => Reason::NothingToTell,
        };
    }
    if untold {
        return Reason::Resolved;
    }
    match entry.at < flush.at.saturating_sub(flush.repeat_ms) {
        true => Reason::Repeat,
        false => Reason::Unchanged,
    }
}
