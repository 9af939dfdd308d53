//! Where connections may lead, and what only the caller knows.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::spec::QueryLanguage;

/// Decides where connections may lead. Every connection of a check asks it, again for each redirect, and is made to
/// one of the very addresses that it gave.
#[async_trait]
pub trait Reach: Send + Sync + fmt::Debug {
    /// The addresses of a host that may be reached, in the order in which they are tried. An address as host is
    /// judged as well.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused>;
}

/// Why there is no address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It must not be reached; says what would allow it.
    #[error("{0}")]
    Policy(String),
    /// A name without an address.
    #[error("{0:?} has no address")]
    NoAddress(String),
    /// The name could not be looked up.
    #[error("{host:?} could not be looked up: {cause}")]
    Lookup {
        /// The name.
        host: String,
        /// Why not.
        cause: String,
    },
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status.
    pub code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// A program's report about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When it came, milliseconds since the Unix epoch.
    pub at: i64,
    /// What failed; nothing when all went well.
    pub failed: Option<String>,
}

/// What a registered function found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether all is well.
    pub healthy: bool,
    /// What there is to say.
    pub message: Option<String>,
}

/// What the caller knows and a check asks. By default it knows nothing, and such checks are unknown.
/// Errors are shown to the tenant.
#[async_trait]
pub trait Facts: Send + Sync + fmt::Debug {
    /// The root folder of the machine that disk and memory checks look at; `None` where they may not.
    fn host_root(&self) -> Option<&Path> {
        None
    }

    /// Evaluates a query; one number for each series or row, or the number of hits.
    async fn query(&self, language: QueryLanguage, query: &str) -> Result<Vec<f64>, String> {
        let _ = (language, query);
        Err("queries are not answered here; run the check on the server".into())
    }

    /// The last report of the program behind a heartbeat.
    async fn last_report(&self, check: &str) -> Result<Option<Report>, String> {
        let _ = check;
        Err("heartbeats are not received here; run the check on the server".into())
    }

    /// Runs an allowed command. Dropping the future must end the command.
    async fn command(&self, name: &str, args: &[String]) -> Result<Exit, String> {
        let _ = (name, args);
        Err("commands are only run by an agent that allows them".into())
    }

    /// Calls a registered function.
    async fn function(&self, name: &str, arguments: &Map<String, Value>) -> Result<Verdict, String> {
        let _ = arguments;
        Err(format!("no function is registered as {name:?}"))
    }
}

/// A caller that knows nothing.
#[async_trait]
impl Facts for () {}
