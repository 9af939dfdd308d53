//! What every decoder returns.

use std::ops::Range;

use model::{MetricBatch, Refusals};

/// The readable part of a request, and what was wrong with the rest.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// Accepted series with their samples.
    pub batch: MetricBatch,
    /// Refused items. An entry that stands for no sample (`items == 0`) is a remark about an exemplar or a
    /// piece of metadata that was left out.
    pub refusals: Refusals,
    /// Rows of [`MetricBatch::series`] whose values are increments and must pass through
    /// [`crate::otlp::delta::DeltaState`] before they are stored. In order, without overlaps.
    pub deltas: Vec<DeltaRows>,
}

/// Neighbouring rows whose values are increments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaRows {
    /// Into [`MetricBatch::series`].
    pub rows: Range<u32>,
    /// How to tell an increment that was counted already.
    pub kind: DeltaKind,
}

/// Two meanings of "increment".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeltaKind {
    /// The sum over an interval that ends at the sample's time (OTLP). Intervals of a series never overlap,
    /// so one that ends no later than the last counted one is a repetition.
    Interval,
    /// A single event. Several may share a millisecond, and each counts.
    Event,
}

impl Decoded {
    /// Marks the rows from `first` on as increments, joining them to the last range where they touch.
    pub(crate) fn mark_delta(&mut self, first: u32, kind: DeltaKind) {
        let end = self.batch.series.len() as u32;
        if first == end {
            return;
        }
        match self.deltas.last_mut() {
            Some(last) if last.rows.end == first && last.kind == kind => last.rows.end = end,
            _ => self.deltas.push(DeltaRows { rows: first..end, kind }),
        }
    }
}

/// A request that cannot be read at all; nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Over a limit of size: 413.
    #[error("the request is too large: {0}")]
    TooLarge(String),
    /// The bytes do not follow the protocol: 400.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// A content type or version that is not spoken here: 415.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

/// The start of a text a sender gave us, fit for a message of a few hundred bytes.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN_CHARS: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_CHARS)]);
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < bytes.len() && short.len() < text.len() || bytes.len() > 4 * SHOWN_CHARS {
        short.push('…');
    }
    format!("{short:?}")
}
