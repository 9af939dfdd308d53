//! Objects as code, and the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Table;
use crate::remote::Remote;

/// What `bellwether export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Exported {
    /// Log records
    Logs,
    /// Spans of traces
    Spans,
    /// Events
    Events,
    /// Samples of metrics
    Metrics,
    /// Dashboards, pipelines, roles, limits and other objects, as `apply` reads them
    Objects,
}

impl Exported {
    /// The table, unless it is objects.
    pub(crate) fn table(self) -> Option<Table> {
        match self {
            Self::Logs => Some(Table::Logs),
            Self::Spans => Some(Table::Spans),
            Self::Events => Some(Table::Events),
            Self::Metrics => Some(Table::Metrics),
            Self::Objects => None,
        }
    }
}

/// `bellwether apply …`
#[derive(Args, Clone, Debug)]
pub(crate) struct ApplyArguments {
    /// A YAML file, or a folder of them; may be repeated
    #[arg(long = "file", short, value_name = "FILE|DIR", required_unless_present = "release")]
    pub(crate) files: Vec<PathBuf>,
    /// Delete what an earlier apply owned and no file names any more
    #[arg(long, requires = "files")]
    pub(crate) prune: bool,
    /// Show what would change and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// An object that no file is to own any more, so that people may change it; may be repeated
    #[arg(long, value_name = "KIND/NAME")]
    pub(crate) release: Vec<String>,
    /// Whose objects; another tenant than the key's for those who manage the platform
    #[arg(long, default_value = "current", value_name = "ID")]
    pub(crate) tenant: String,
    /// Where
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `bellwether audit …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Look for rows that were changed or are missing; exit code 1 if there are any
    Verify(VerifyArguments),
}

/// `bellwether audit verify …`
#[derive(Args, Clone, Debug)]
pub(crate) struct VerifyArguments {
    /// Whose log [default: the key's tenant; offline: every tenant]
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// First moment that is looked at: RFC 3339, seconds since 1970, or an age such as 2h [default: all there is]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Last moment, likewise [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Read the data folder of a stopped server instead of asking a running one
    #[arg(long)]
    pub(crate) offline: bool,
    /// Where
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `bellwether test …`
#[derive(Clone, Debug, Args)]
pub(crate) struct TestArguments {
    /// What
    #[command(subcommand)]
    pub(crate) action: TestAction,
}

/// What is tested.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TestAction {
    /// Rules of Prometheus against series that the files hold, as `promtool test rules` does
    Rules {
        /// Files of unit tests
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Which tenant is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct OfTenant {
    /// The tenant
    #[arg(long, default_value = "default", value_name = "ID")]
    pub(crate) tenant: String,
}
