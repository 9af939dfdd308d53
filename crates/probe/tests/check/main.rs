//! Checks against real servers: in this process, or programs that the tests start on ports of their own.

mod databases; // PostgreSQL, MariaDB, Redis
mod mysql_server; // the sign-in that only MySQL itself has
mod others; // TCP, TLS, DNS, ICMP, the machine, what the caller answers
mod programs; // starting and ending servers
mod web; // HTTP, gRPC, WebSocket

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use probe::check::{Check, CheckResult, CheckSpec, CheckStatus, Facts, Prober, Reach, Refused};
use serde_json::Value;

/// Names of the tests, every address, and a list of what was asked for. `forbidden` is refused.
#[derive(Debug, Default)]
pub(crate) struct Net {
    names: BTreeMap<String, Vec<SocketAddr>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Reach for Net {
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        self.asked.lock().push(format!("{host}:{port}"));
        if host == "forbidden" || host == "169.254.169.254" {
            return Err(Refused::Policy(format!("{host} is never reached")));
        }
        if let Some(addresses) = self.names.get(host) {
            return Ok(addresses
                .iter()
                .map(|a| SocketAddr::new(a.ip(), if a.port() == 0 { port } else { a.port() }))
                .collect());
        }
        match host.parse() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => Err(Refused::NoAddress(host.to_owned())),
        }
    }
}

impl Net {
    /// Names that lead to this machine.
    pub(crate) fn local(names: &[&str]) -> Self {
        let here: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        Self { names: names.iter().map(|name| ((*name).to_owned(), vec![here])).collect(), ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address"));
        self.names.insert(name.to_owned(), addresses.collect());
        self
    }
}

pub(crate) fn check(spec: Value) -> Check {
    let spec = CheckSpec::parse(&spec).expect("a check");
    Check::new("test", spec).expect("a check that can be run").0
}

pub(crate) async fn run_with(net: Arc<Net>, facts: Arc<dyn Facts>, spec: Value) -> CheckResult {
    Prober::new(net, facts, kit::SystemClock::shared()).run(&check(spec)).await
}

/// Runs a check on a machine where `localhost` is this one.
pub(crate) async fn run(spec: Value) -> CheckResult {
    run_with(Arc::new(Net::local(&["localhost"])), Arc::new(()), spec).await
}

/// Expects a status, and a message that holds this text.
pub(crate) fn expect(result: &CheckResult, status: CheckStatus, message: &str) {
    let found = result.message.as_deref().unwrap_or_default();
    assert_eq!(result.status, status, "{found}");
    assert!(found.contains(message), "{found:?} instead of {message:?}");
}
