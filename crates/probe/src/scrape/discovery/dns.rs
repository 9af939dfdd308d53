//! Records of the domain name system as targets.

use kit::SharedClock;
use model::Labels;

use super::Sender;
use super::resolver::{Record, Resolver};
use crate::scrape::config::{DnsKind, Period, TargetGroup};

/// What to ask for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) names: Vec<String>,
    pub(super) kind: DnsKind,
    pub(super) port: u16,
}

pub(super) async fn run(
    query: Query,
    resolver: Resolver,
    refresh: Period,
    mut found: Sender,
    clock: SharedClock,
) {
    // One group for each name; a name that cannot be resolved keeps what it had.
    let mut groups = vec![TargetGroup::default(); query.names.len()];
    loop {
        let mut problem = None;
        for (name, group) in query.names.iter().zip(&mut groups) {
            match resolver.lookup(name, query.kind, clock.as_ref()).await {
                Ok(records) => *group = group_of(name, &records, query.port),
                Err(error) => problem = Some(format!("dns_sd_configs: {name}: {error}")),
            }
        }
        found.send(groups.clone(), problem).await;
        clock.sleep(refresh.0).await;
    }
}

fn group_of(name: &str, records: &[Record], port: u16) -> TargetGroup {
    let targets = records.iter().filter_map(|record| {
        let (host, port, meta) = match record {
            Record::Address(address) if address.is_ipv6() => (format!("[{address}]"), port, Vec::new()),
            Record::Address(address) => (address.to_string(), port, Vec::new()),
            Record::Service { target, port } => {
                let meta = vec![
                    ("__meta_dns_srv_record_target", target.clone()),
                    ("__meta_dns_srv_record_port", port.to_string()),
                ];
                (host(target), *port, meta)
            }
            Record::Mail(target) => {
                (host(target), port, vec![("__meta_dns_mx_record_target", target.clone())])
            }
            Record::Nameserver(target) => {
                (host(target), port, vec![("__meta_dns_ns_record_target", target.clone())])
            }
        };
        let address = format!("{host}:{port}");
        let address = [("__address__", address.as_str())];
        let meta = meta.iter().map(|(name, value)| (*name, value.as_str()));
        Labels::from_pairs(address.into_iter().chain(meta)).ok()
    });
    let labels = Labels::from_pairs([("__meta_dns_name", name)]).unwrap_or_default();
    TargetGroup { targets: targets.collect(), labels }
}

/// A name without its closing dot.
fn host(target: &str) -> String {
    target.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_addresses_with_what_they_say() {
        let records = [
            Record::Address("10.0.0.1".parse().expect("an address")),
            Record::Address("::1".parse().expect("an address")),
            Record::Service { target: "a.example.org.".into(), port: 9100 },
            Record::Mail("mx.example.org.".into()),
            Record::Nameserver("ns.example.org.".into()),
        ];
        let group = group_of("x.org", &records, 80);
        let addresses: Vec<&str> = group.targets.iter().filter_map(|t| t.get("__address__")).collect();
        assert_eq!(
            addresses,
            ["10.0.0.1:80", "[::1]:80", "a.example.org:9100", "mx.example.org:80", "ns.example.org:80"]
        );
        assert_eq!(group.targets[2].get("__meta_dns_srv_record_port"), Some("9100"));
        assert_eq!(group.targets[2].get("__meta_dns_srv_record_target"), Some("a.example.org."));
        assert_eq!(group.labels.get("__meta_dns_name"), Some("x.org"));
    }
}
