//! Network interfaces: traffic from `/proc/net/dev`, properties from `/sys/class/net`.

use std::collections::HashMap;

use model::MetricType;

use super::source::{Source, number};
use super::writer::Writer;

/// Counters of a line of `/proc/net/dev`: eight received, eight transmitted.
const COUNTERS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

/// Collections between two readings of properties that hardly change: twenty files an interface add up on a
/// host with hundreds of virtual ones.
const PROPERTIES_EVERY: u32 = 6;

/// Interfaces looked at.
const INTERFACES_MAX: usize = 4096;

type Traffic = [f64; 16];

fn parse_net_dev(text: &str) -> impl Iterator<Item = (&str, Traffic)> {
    text.lines().skip(2).take(INTERFACES_MAX).filter_map(|line| {
        let (device, counters) = line.rsplit_once(':')?;
        let mut traffic = Traffic::default();
        let mut words = counters.split_ascii_whitespace();
        for counter in &mut traffic {
            *counter = words.next()?.parse().ok()?;
        }
        Some((device.trim(), traffic))
    })
}

/// File of `/sys/class/net/<interface>`, metric, type, factor.
const PROPERTIES: [(&str, &str, MetricType, f64); 16] = {
    use MetricType::{Counter, Gauge};
    [
        ("addr_assign_type", "address_assign_type", Gauge, 1.0),
        ("carrier_changes", "carrier_changes_total", Counter, 1.0),
        ("carrier_down_count", "carrier_down_changes_total", Counter, 1.0),
        ("carrier_up_count", "carrier_up_changes_total", Counter, 1.0),
        ("dev_id", "device_id", Gauge, 1.0),
        ("dormant", "dormant", Gauge, 1.0),
        ("flags", "flags", Gauge, 1.0),
        ("ifindex", "iface_id", Gauge, 1.0),
        ("iflink", "iface_link", Gauge, 1.0),
        ("link_mode", "iface_link_mode", Gauge, 1.0),
        ("mtu", "mtu_bytes", Gauge, 1.0),
        ("name_assign_type", "name_assign_type", Gauge, 1.0),
        ("netdev_group", "net_dev_group", Gauge, 1.0),
        ("type", "protocol_type", Gauge, 1.0),
        // The kernel states megabits a second.
        ("speed", "speed_bytes", Gauge, 1e6 / 8.0),
        ("tx_queue_len", "transmit_queue_length", Gauge, 1.0),
    ]
};

/// What hardly changes about an interface.
#[derive(Debug, Default)]
struct Properties {
    values: [Option<f64>; PROPERTIES.len()],
    address: String,
    broadcast: String,
    duplex: String,
    alias: String,
}

/// Remembers the properties of interfaces.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    properties: HashMap<String, Properties>,
    collections: u32,
}

impl Interfaces {
    pub(super) fn collect(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        let text = source.text("proc/net/dev").unwrap_or_default().to_owned();
        let traffic: Vec<(&str, Traffic)> = parse_net_dev(&text).collect();
        let mut name = String::new();
        for (column, counter) in COUNTERS.into_iter().enumerate() {
            name.clear();
            name.extend(["node_network_", counter, "_total"]);
            let help = format_args!("Network device statistic {counter}.");
            out.family(&name, MetricType::Counter, help);
            for (device, traffic) in &traffic {
                out.sample(&[("device", device)], traffic[column]);
            }
        }
        if self.collections.is_multiple_of(PROPERTIES_EVERY) {
            self.read_properties(source);
        }
        self.collections = self.collections.wrapping_add(1);
        self.write_properties(source, out);
    }

    fn read_properties(&mut self, source: &mut Source) {
        self.properties.clear();
        for device in source.list("sys/class/net").into_iter().take(INTERFACES_MAX) {
            let mut read =
                |file: &str| source.line(&format!("sys/class/net/{device}/{file}")).map(str::to_owned);
            let mut properties = Properties::default();
            for (value, (file, _, _, factor)) in properties.values.iter_mut().zip(PROPERTIES) {
                // A speed of -1 says that the link has none.
                *value = read(file).and_then(|text| number(&text)).filter(|n| *n >= 0.0).map(|n| n * factor);
            }
            properties.address = read("address").unwrap_or_default();
            properties.broadcast = read("broadcast").unwrap_or_default();
            properties.duplex = read("duplex").unwrap_or_default();
            properties.alias = read("ifalias").unwrap_or_default();
            // `bonding_masters` is a file beside the interfaces.
            if properties.values.iter().any(Option::is_some) {
                self.properties.insert(device, properties);
            }
        }
    }

    fn write_properties(&self, source: &mut Source, out: &mut Writer<'_>) {
        let mut devices: Vec<(&String, &Properties)> = self.properties.iter().collect();
        devices.sort_unstable_by_key(|(device, _)| *device);
        let mut name = String::new();
        for (column, (_, property, kind, _)) in PROPERTIES.into_iter().enumerate() {
            name.clear();
            name.extend(["node_network_", property]);
            out.family(&name, kind, format_args!("Network device property: {property}"));
            for (device, properties) in &devices {
                if let Some(value) = properties.values[column] {
                    out.sample(&[("device", device)], value);
                }
            }
        }
        for (device, properties) in devices {
            let file = |file: &str| format!("sys/class/net/{device}/{file}");
            let state = source.line(&file("operstate")).unwrap_or("unknown").to_owned();
            out.family("node_network_up", MetricType::Gauge, "1 where the state is up, 0 otherwise.");
            out.sample(&[("device", device)], f64::from(u8::from(state == "up")));
            if let Some(carrier) = source.number(&file("carrier")) {
                out.family("node_network_carrier", MetricType::Gauge, "Network device property: carrier");
                out.sample(&[("device", device)], carrier);
            }
            let labels = [
                ("device", device.as_str()),
                ("address", &properties.address),
                ("broadcast", &properties.broadcast),
                ("duplex", &properties.duplex),
                ("ifalias", &properties.alias),
                ("operstate", &state),
            ];
            out.family("node_network_info", MetricType::Gauge, "What the device is, always 1.");
            out.sample(&labels, 1.0);
        }
    }
}

/// Traffic of one interface since it came up.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceUsage {
    /// Its name, such as `eth0`.
    pub device: String,
    /// Bytes received.
    pub received_bytes: f64,
    /// Packets received.
    pub received_packets: f64,
    /// Packets received with an error.
    pub received_errors: f64,
    /// Received packets that were dropped.
    pub received_dropped: f64,
    /// Bytes sent.
    pub sent_bytes: f64,
    /// Packets sent.
    pub sent_packets: f64,
    /// Packets that could not be sent.
    pub sent_errors: f64,
    /// Packets dropped before they were sent.
    pub sent_dropped: f64,
}

/// Traffic of every interface, loopback included.
pub(super) fn usage(source: &mut Source) -> Vec<InterfaceUsage> {
    let text = source.text("proc/net/dev").unwrap_or_default();
    parse_net_dev(text)
        .map(|(device, traffic)| InterfaceUsage {
            device: device.into(),
            received_bytes: traffic[0],
            received_packets: traffic[1],
            received_errors: traffic[2],
            received_dropped: traffic[3],
            sent_bytes: traffic[8],
            sent_packets: traffic[9],
            sent_errors: traffic[10],
            sent_dropped: traffic[11],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_with_and_without_a_space_after_the_colon() {
        let text = "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\neth0:1:17 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n  bad: 1 2\n";
        let rows: Vec<(&str, Traffic)> = parse_net_dev(text).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].0, rows[0].1[0], rows[0].1[15]), ("eth0", 1.0, 16.0));
        assert_eq!((rows[1].0, rows[1].1[0]), ("eth0:1", 17.0));
    }
}
