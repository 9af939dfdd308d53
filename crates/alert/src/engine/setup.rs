//! Channels and routes of a tenant, made of its saved objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::notify::ChannelSpec;
use crate::routing::Routing;

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
}
