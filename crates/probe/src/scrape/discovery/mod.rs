//! Discovery: where targets come from when they are not written in the configuration.

mod dns; // records
mod files; // files of target groups
mod http; // a server that lists target groups
mod resolver; // a small DNS client

use kit::SharedClock;
use tokio::sync::mpsc;

use super::config::{DiscoveryConfig, StaticYaml, TargetGroup};

/// Targets that one discovery may find.
const TARGETS_MAX: usize = 100_000;

/// The name servers of the system, from `/etc/resolv.conf`.
pub(crate) fn system_name_servers() -> Vec<std::net::SocketAddr> {
    resolver::Resolver::from_system().servers().to_vec()
}

/// What a discovery found.
#[derive(Debug)]
pub(crate) struct Update {
    /// Which discovery.
    pub(crate) provider: u64,
    /// All its groups; `None` where the earlier ones stay.
    pub(crate) groups: Option<Vec<TargetGroup>>,
    /// What went wrong, if anything.
    pub(crate) problem: Option<String>,
}

/// Tells the job what was found, where it differs from what it knows.
#[derive(Debug)]
pub(crate) struct Sender {
    provider: u64,
    updates: mpsc::Sender<Update>,
    told: Option<(Vec<TargetGroup>, Option<String>)>,
}

impl Sender {
    pub(crate) fn new(provider: u64, updates: mpsc::Sender<Update>) -> Self {
        Self { provider, updates, told: None }
    }

    /// Tells about groups and what could not be found.
    async fn send(&mut self, mut groups: Vec<TargetGroup>, problem: Option<String>) {
        let mut left = TARGETS_MAX;
        for group in &mut groups {
            group.targets.truncate(left);
            left -= group.targets.len();
        }
        let now = (groups, problem);
        if self.told.as_ref() != Some(&now) {
            let (groups, problem) = now.clone();
            self.told = Some(now);
            // A job that is gone wants to hear nothing.
            let _ =
                self.updates.send(Update { provider: self.provider, groups: Some(groups), problem }).await;
        }
    }

    /// Tells about a failure; the groups found before stay.
    async fn fail(&mut self, problem: String) {
        let groups = self.told.take().map(|(groups, _)| groups).unwrap_or_default();
        self.told = Some((groups, Some(problem.clone())));
        let _ =
            self.updates.send(Update { provider: self.provider, groups: None, problem: Some(problem) }).await;
    }
}

/// Looks for targets until it is aborted.
pub(crate) async fn run(config: DiscoveryConfig, found: Sender, clock: SharedClock, user_agent: String) {
    match config {
        // Known from the start; the job has them already.
        DiscoveryConfig::Static(_) => {}
        DiscoveryConfig::File { files, refresh } => files::run(files, refresh, found, clock).await,
        DiscoveryConfig::Dns { names, kind, port, refresh } => {
            let resolver = resolver::Resolver::from_system();
            dns::run(dns::Query { names, kind, port }, resolver, refresh, found, clock).await;
        }
        DiscoveryConfig::Http { url, http, refresh } => {
            http::run(url, *http, refresh, found, clock, user_agent).await;
        }
    }
}

/// Target groups with the labels that tell where they were found.
fn groups(yaml: Vec<StaticYaml>, meta: &[(&str, &str)]) -> Vec<TargetGroup> {
    yaml.into_iter().map(|group| TargetGroup::new(group, meta)).collect()
}
