//! What can go wrong in the store, and what to do about it.

use std::io;
use std::sync::Arc;

/// A failure of the store. Cheap to clone, because one failed disk operation may answer many writers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused an operation.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// What was tried, such as "read".
        action: &'static str,
        /// The file or folder, relative to the data folder.
        path: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Stored bytes are not what was written.
    #[error("{path:?} is damaged at byte {offset}: {detail}; restore it from a backup or remove it")]
    Corrupt {
        /// The file, relative to the data folder.
        path: String,
        /// Where the damage was noticed.
        offset: u64,
        /// What was expected.
        detail: String,
    },
    /// A file was written by a later version.
    #[error("{path:?} has format {found}, this version reads up to {known}; use a newer version")]
    TooNew {
        /// The file, relative to the data folder.
        path: String,
        /// Its format.
        found: u32,
        /// The latest format this version knows.
        known: u32,
    },
    /// Another process has the data folder open.
    #[error("data folder {path:?} is locked by another process; stop it or choose another folder")]
    Locked {
        /// The data folder.
        path: String,
    },
    /// Writes are refused for now; nothing of the request was stored.
    #[error("storage cannot take writes: {reason}")]
    Unavailable {
        /// Why, such as "disk full".
        reason: String,
    },
    /// The store is shutting down or has shut down.
    #[error("the store is closed")]
    Closed,
    /// The request asks for more than one request may.
    #[error("{what} is {value}, more than the limit of {limit}; send less at once")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        value: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The request contradicts the state, such as a restore into a folder with data.
    #[error("{0}")]
    Refused(String),
}

/// What the caller should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Change the request; trying it again fails again.
    FixRequest,
    /// Try again later.
    RetryLater,
    /// A person must look at the disk or the data folder.
    CallOperator,
}

impl StoreError {
    /// What the caller should do next.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Io { .. } | Self::Corrupt { .. } | Self::TooNew { .. } | Self::Locked { .. } => {
                Remedy::CallOperator
            }
            Self::Unavailable { .. } | Self::Closed => Remedy::RetryLater,
            Self::TooLarge { .. } | Self::Refused(_) => Remedy::FixRequest,
        }
    }

    /// Wraps what the operating system said about a file.
    pub fn io(action: &'static str, path: &str, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }

    /// A damaged file.
    pub fn corrupt(path: &str, offset: u64, detail: impl Into<String>) -> Self {
        Self::Corrupt { path: path.into(), offset, detail: detail.into() }
    }

    /// True when the disk has no room left.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// The result of whatever touches the disk.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
