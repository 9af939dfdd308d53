//! Every item has one outcome: accepted, refused with a reason, or dropped by a rule.

use std::fmt;

/// Why an item was not stored. The text is the value of the `reason` label of our own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The bytes do not follow the protocol.
    Malformed,
    /// A label name is empty, repeated or not UTF-8, or a series has no name.
    InvalidLabels,
    /// A name or value is longer than the limit.
    LabelTooLong,
    /// More labels than the limit.
    TooManyLabels,
    /// A value that the protocol does not allow (NaN in JSON, a negative counter increment).
    InvalidValue,
    /// A histogram that breaks its own rules.
    InvalidHistogram,
    /// Further ahead than the tenant's limit.
    TooFarInFuture,
    /// Older than the tenant's retention.
    OutsideRetention,
    /// The tenant has as many series as it may; known series go on.
    SeriesLimit,
    /// A type that contradicts the one this name already has.
    TypeConflict,
    /// A part of the protocol that is not supported.
    Unsupported,
    /// A row larger than the limit, or with more attributes.
    RecordTooLarge,
    /// More than the server could take in at the moment, over a protocol that cannot be told to wait.
    Overload,
    /// An increment over an interval of which a part was counted before.
    AlreadyCounted,
}

impl Reason {
    /// The stable spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidLabels => "invalid_labels",
            Self::LabelTooLong => "label_too_long",
            Self::TooManyLabels => "too_many_labels",
            Self::InvalidValue => "invalid_value",
            Self::InvalidHistogram => "invalid_histogram",
            Self::TooFarInFuture => "too_far_in_future",
            Self::OutsideRetention => "outside_retention",
            Self::SeriesLimit => "series_limit",
            Self::TypeConflict => "type_conflict",
            Self::Unsupported => "unsupported",
            Self::RecordTooLarge => "record_too_large",
            Self::Overload => "overload",
            Self::AlreadyCounted => "already_counted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refused item: which, where, why, and what to do about it, in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Position of the item in the request, counted as the protocol counts.
    pub index: usize,
    /// The field at fault, such as `labels`, `timestamp` or `metrics[3].value`.
    pub field: String,
    /// The class of fault.
    pub reason: Reason,
    /// Names the value and the remedy; at most a few hundred bytes.
    pub message: String,
    /// Samples (or records) that this refusal stands for.
    pub items: usize,
}

/// The refusals of one request. All are counted and keep their index; the first few keep their text too, so that
/// a hostile request cannot make the answer large.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    first: Vec<Refusal>,
    rest: Vec<(usize, Reason)>,
    counts: Vec<(Reason, usize)>,
}

impl Refusals {
    /// Refusals that keep their text.
    pub const DETAILED_MAX: usize = 100;

    /// Counts a refusal, and keeps its text if it is among the first.
    pub fn push(&mut self, refusal: Refusal) {
        self.count(refusal.reason, refusal.items);
        self.keep(refusal);
    }

    /// Takes over the refusals of a later stage.
    pub fn append(&mut self, other: Self) {
        for (reason, items) in other.counts {
            self.count(reason, items);
        }
        for refusal in other.first {
            self.keep(refusal);
        }
        self.rest.extend(other.rest);
    }

    fn count(&mut self, reason: Reason, items: usize) {
        match self.counts.iter_mut().find(|(counted, _)| *counted == reason) {
            Some(count) => count.1 += items,
            None => self.counts.push((reason, items)),
        }
    }

    fn keep(&mut self, refusal: Refusal) {
        if self.first.len() < Self::DETAILED_MAX {
            self.first.push(refusal);
        } else {
            self.rest.push((refusal.index, refusal.reason));
        }
    }

    /// Items refused in all.
    pub fn items(&self) -> usize {
        self.counts.iter().map(|(_, n)| n).sum()
    }

    /// True when nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The first refusals, with their texts.
    pub fn detailed(&self) -> &[Refusal] {
        &self.first
    }

    /// Index and reason of the refusals whose texts were not kept.
    pub fn undetailed(&self) -> &[(usize, Reason)] {
        &self.rest
    }

    /// Items refused, by reason.
    pub fn counts(&self) -> &[(Reason, usize)] {
        &self.counts
    }

    /// One sentence for protocols that have room for one.
    pub fn summary(&self) -> String {
        let Some(first) = self.first.first() else { return String::new() };
        let items = self.items();
        format!("{items} refused; first: item {} {}: {}", first.index, first.field, first.message)
    }
}
