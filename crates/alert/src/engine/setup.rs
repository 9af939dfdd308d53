//! Channels and routes of a tenant, made of its saved objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::escalation::EscalationSpec;
use crate::notify::ChannelSpec;
use crate::oncall::Schedule;
use crate::routing::Routing;
use crate::runbook::RunbookSpec;

/// The queue that notifications go through.
pub const QUEUE: &str = "notifications";

/// Who can be told, and which alerts reach whom.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which alerts reach which receiver.
    pub routing: Arc<Routing>,
    /// Channels of each receiver. A channel of ours is its own receiver; one of an `alertmanager.yml` has several.
    pub receivers: BTreeMap<String, Vec<(String, Arc<ChannelSpec>)>>,
    /// Where people find this server.
    pub external_url: String,
    /// Who is called, by policy.
    pub escalations: BTreeMap<String, Arc<EscalationSpec>>,
    /// Who is on duty, by schedule.
    pub schedules: BTreeMap<String, Arc<Schedule>>,
    /// What to do, by name.
    pub runbooks: BTreeMap<String, Arc<RunbookSpec>>,
}

/// A channel of one address, which no object describes.
pub(super) const MAIL: &str = "mail:";
/// A channel of one address that a stranger named.
pub const HOOK: &str = "hook:";

impl Setup {
    /// Settings of a channel: one by its name, or that of an address.
    pub(super) fn channel(&self, name: &str) -> Option<Arc<ChannelSpec>> {
        let of = |kind: &str, field: &str, value: serde_json::Value| {
            let config = [(field.to_owned(), value)].into_iter().collect();
            ChannelSpec::inline(kind, config).ok().map(Arc::new)
        };
        if let Some(address) = name.strip_prefix(MAIL) {
            return of("email", "to", vec![address].into());
        }
        if let Some(url) = name.strip_prefix(HOOK) {
            return of("webhook", "url", url.into());
        }
        let mut all = self.receivers.values().flatten();
        all.find(|(known, _)| known == name).map(|(_, spec)| Arc::clone(spec))
    }

    /// Whether anything goes on here without rules.
    pub fn is_manned(&self) -> bool {
        !self.escalations.is_empty() || !self.runbooks.is_empty()
    }
}
