//! What must be readable: every write and delete with what is known of its outcome.
//!
//! An acknowledged write must be there, whole, until something later replaces or deletes it. A write that was
//! answered with an error, or not at all, is not visible while the engine runs; a restart may bring it back,
//! whole or not at all, and from then on it stays as it is. Samples past retention may be there or not.
//! Values are unique in a run, so a value tells which write it came from.

mod rows; // one tenant's rows of one signal
mod tenant; // one tenant's writes and deletes

use std::collections::BTreeMap;
use std::sync::Arc;

use model::FloatHistogram;

pub use rows::{PinnedRows, RowOracle, SentRow};
pub use tenant::{Pinned, TenantOracle};

/// A value with its start timestamp (0 where unknown). Floats are compared by their bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float.
    Float {
        /// Its bits.
        bits: u64,
        /// Start timestamp, milliseconds.
        start_ms: i64,
    },
    /// A histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<FloatHistogram>,
        /// Start timestamp, milliseconds.
        start_ms: i64,
    },
}

/// A sample's place: series by number, time in milliseconds.
pub type Key = (usize, i64);

/// What was read.
pub type Readout = BTreeMap<Key, Value>;

/// What is known of a write or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// On its way.
    Staged,
    /// In effect, now and after any restart.
    Stands,
    /// Answered with an error: not in effect, but a restart may find it.
    Failed,
    /// The engine ended before it was known; the next full readout tells.
    InDoubt,
    /// Not in effect, now and after any restart.
    Gone,
}
