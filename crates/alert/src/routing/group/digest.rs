//! Digests of a channel: what arrives in a window leaves as one list.
//!
//! A route's own digest needs nothing of this: its group waits for the window. A channel's gathers what several
//! groups and routes have for it. What grew worse is never held.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::flush::FlushAlert;
use crate::severity::Priority;

/// Most alerts of one window; it closes early rather than lose one.
const WINDOW_ALERTS_MAX: usize = 1000;

/// What one group has for a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The group's key.
    pub group: String,
    /// The alerts.
    pub alerts: Vec<FlushAlert>,
    /// In which order messages leave.
    pub priority: Priority,
    /// Whether an alert grew worse.
    pub urgent: bool,
}

/// A window that gathers. The caller stores it with the channel after every change, and gives all back at start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestWindow {
    /// The channel.
    pub channel: String,
    /// When its first notice came.
    pub opened_at: i64,
    /// When it is sent.
    pub closes_at: i64,
    /// What came, by group and identity; the latest word on each alert.
    pub notices: Vec<Notice>,
}

/// One list for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The channel.
    pub channel: String,
    /// When the window opened.
    pub opened_at: i64,
    /// When it closed.
    pub closed_at: i64,
    /// The latest word on each alert, group by group.
    pub notices: Vec<Notice>,
    /// By the gravest.
    pub priority: Priority,
}

impl Digest {
    /// How many alerts it lists.
    pub fn len(&self) -> usize {
        self.notices.iter().map(|notice| notice.alerts.len()).sum()
    }

    /// True without any, which does not happen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It waits in the channel's window, which is to be stored.
    Held,
    /// It is sent at once.
    Now(Notice),
    /// The window was full and is sent at once; the notice waits in a new one.
    Full(Digest),
}

/// The open windows of all channels; at most one each.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    windows: BTreeMap<String, DigestWindow>,
}

impl Digests {
    /// The windows as they were stored.
    pub fn restore(windows: Vec<DigestWindow>) -> Self {
        Self { windows: windows.into_iter().map(|window| (window.channel.clone(), window)).collect() }
    }

    /// Takes what a group has for a channel whose digests have windows of this length.
    pub fn add(&mut self, channel: &str, length: Duration, notice: Notice, now: i64) -> Added {
        if notice.urgent {
            return Added::Now(notice);
        }
        let held = self.windows.get(channel).map_or(0, |w| w.notices.iter().map(|n| n.alerts.len()).sum());
        let full = match held > 0 && held + notice.alerts.len() > WINDOW_ALERTS_MAX {
            true => self.close(channel, now),
            false => None,
        };
        let window = self.windows.entry(channel.into()).or_insert_with(|| DigestWindow {
            channel: channel.into(),
            opened_at: now,
            closes_at: now.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)),
            notices: Vec::new(),
        });
        match window.notices.iter_mut().find(|known| known.group == notice.group) {
            Some(known) => known.take(notice),
            None => window.notices.push(notice),
        }
        full.map_or(Added::Held, Added::Full)
    }

    /// The digests that are due.
    pub fn tick(&mut self, now: i64) -> Vec<Digest> {
        let due = self.windows.values().filter(|window| window.closes_at <= now);
        let channels: Vec<String> = due.map(|window| window.channel.clone()).collect();
        channels.iter().filter_map(|channel| self.close(channel, now)).collect()
    }

    /// When the next one is due.
    pub fn deadline(&self) -> Option<i64> {
        self.windows.values().map(|window| window.closes_at).min()
    }

    /// The open windows, to be stored.
    pub fn windows(&self) -> impl Iterator<Item = &DigestWindow> {
        self.windows.values()
    }

    fn close(&mut self, channel: &str, now: i64) -> Option<Digest> {
        let DigestWindow { channel, opened_at, notices, .. } = self.windows.remove(channel)?;
        let priority = notices.iter().map(|notice| notice.priority).max().unwrap_or_default();
        Some(Digest { channel, opened_at, closed_at: now, notices, priority })
    }
}

impl Notice {
    /// A later word on the same group: it replaces what was said of the same alerts, and keeps the others.
    fn take(&mut self, later: Self) {
        self.priority = self.priority.max(later.priority);
        self.alerts.retain(|known| later.alerts.iter().all(|new| new.alert.identity != known.alert.identity));
        self.alerts.extend(later.alerts);
    }
}
