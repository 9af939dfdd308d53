//! Whose data it is, and which kind.

use std::fmt;
use std::sync::Arc;

/// Longest tenant id. With the `tenant_` prefix it still fits PostgreSQL's 63-byte identifiers.
const ID_BYTES_MAX: usize = 48;

/// A tenant, which is an organisation. Lower-case letters, digits, `_` and `-`, starting with a letter or
/// digit, at most 48 bytes: safe as a folder, a schema and a subdomain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The tenant that a fresh installation has.
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    /// Checks and wraps an id.
    pub fn new(id: &str) -> Result<Self, InvalidTenantId> {
        let bytes = id.as_bytes();
        let head = bytes.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let tail =
            bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        if head && tail && bytes.len() <= ID_BYTES_MAX {
            Ok(Self(id.into()))
        } else {
            Err(InvalidTenantId(id.chars().take(80).collect()))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

/// A tenant id that breaks the rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tenant id {0:?} must be 1 to 48 lower-case letters, digits, '_' or '-', starting with a letter or digit"
)]
pub struct InvalidTenantId(String);

/// A kind of telemetry with a store of its own. The discriminant is what is written on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Signal {
    /// Samples of series.
    Metrics = 1,
    /// Log records.
    Logs = 2,
    /// Spans of traces.
    Traces = 3,
    /// The audit log.
    Audit = 4,
    /// What people and programs did: deploys, commands, purchases.
    Events = 5,
    /// Runs of health checks.
    Checks = 6,
}

impl Signal {
    /// Every signal, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Metrics, Self::Logs, Self::Traces, Self::Audit, Self::Events, Self::Checks];

    /// The name used in paths, settings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Audit => "audit",
            Self::Events => "events",
            Self::Checks => "checks",
        }
    }

    /// The code used on disk.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The signal of a code read from disk.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_as_folder_schema_and_subdomain() {
        for good in ["default", "a", "acme-2", "0x", &"a".repeat(48)] {
            assert!(TenantId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "Acme", "a/b", "a.b", "a\"; drop", "..", &"a".repeat(49)] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signal_codes_round_trip() {
        for signal in Signal::ALL {
            assert_eq!(Signal::from_code(signal.code()), Some(signal));
        }
        assert_eq!(Signal::from_code(0), None);
    }
}
