//! Ranges of addresses that settings hold as text, read once for each change of them.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use kit::Settings;

use super::App;
use crate::outbound::Range;

/// What was read last.
#[derive(Default)]
pub(super) struct LastRanges(ArcSwapOption<Ranges>);

/// The ranges of one configuration. What is no range allows nothing.
pub(crate) struct Ranges {
    of: Arc<Settings>,
    trusted: Vec<Range>,
    outbound: Vec<Range>,
}

impl Ranges {
    fn of(settings: Arc<Settings>) -> Self {
        let read = |texts: &[String]| texts.iter().filter_map(|range| range.parse().ok()).collect();
        let (trusted, outbound) =
            (read(&settings.server.trusted_proxies), read(&settings.server.outbound_ranges));
        Self { of: settings, trusted, outbound }
    }

    /// Proxies that are believed.
    pub(crate) fn trusted(&self) -> &[Range] {
        &self.trusted
    }

    /// Private addresses that every tenant's requests may reach.
    pub(crate) fn outbound(&self) -> &[Range] {
        &self.outbound
    }
}

impl App {
    /// The ranges of the configuration in force.
    pub(crate) fn ranges(&self) -> Arc<Ranges> {
        let settings = self.settings();
        if let Some(last) = self.ranges.0.load_full().filter(|last| Arc::ptr_eq(&last.of, &settings)) {
            return last;
        }
        let read = Arc::new(Ranges::of(settings));
        self.ranges.0.store(Some(Arc::clone(&read)));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Server;

    #[tokio::test(flavor = "multi_thread")]
    async fn ranges_are_read_once_for_a_configuration_and_again_for_the_next() {
        let flags = ["server.trusted_proxies=10.0.0.0/8,::1", "server.outbound_ranges=192.168.0.0/16"];
        let server = Server::new(false, &flags).await;
        let first = server.app.ranges();
        assert_eq!((first.trusted().len(), first.outbound().len()), (2, 1));
        assert!(Arc::ptr_eq(&first, &server.app.ranges()));
        server.app.ranges.0.store(Some(Arc::new(Ranges::of(Arc::new((*server.app.settings()).clone())))));
        assert!(!Arc::ptr_eq(&first, &server.app.ranges()), "of other settings, if the same");
    }
}
