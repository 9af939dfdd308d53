//! Protocol counters, sockets, softnet, ARP and connection tracking, as node_exporter shows them by default.

use model::MetricType;

use super::source::Source;
use super::writer::Writer;

/// Protocol and counter names of a pair of lines of `/proc/net/snmp` or `/proc/net/netstat`: names, then
/// values.
fn parse_pairs(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    let mut lines = text.lines();
    std::iter::from_fn(move || Some((lines.next()?, lines.next()?))).flat_map(|(names, values)| {
        let protocol = names.split(':').next().unwrap_or_default();
        let same = values.split(':').next() == Some(protocol);
        let pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace()).skip(1);
        pairs.filter_map(move |(name, value)| Some((protocol, name, value.parse().ok().filter(|_| same)?)))
    })
}

/// The same of `/proc/net/snmp6`, where one line holds `Ip6InOctets 5`.
fn parse_snmp6(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (name, value) = (words.next()?, words.next()?.parse().ok()?);
        let at = name.find('6')? + 1;
        Some((&name[..at], &name[at..], value))
    })
}

/// The counters that node_exporter keeps by default.
fn is_kept(protocol: &str, name: &str) -> bool {
    if matches!(name, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => name == "Forwarding",
        "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || matches!(name, "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop")
        }
        "Tcp" => matches!(
            name,
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab"
        ),
        "Udp" | "Udp6" => {
            matches!(name, "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors")
        }
        _ => false,
    }
}

/// Protocol, state and count of `/proc/net/sockstat` and `sockstat6`.
fn parse_sockstat(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter_map(|line| line.split_once(':')).flat_map(|(protocol, rest)| {
        let mut words = rest.split_ascii_whitespace();
        std::iter::from_fn(move || Some((protocol, words.next()?, words.next()?.parse().ok()?)))
    })
}

/// Hexadecimal columns of the lines of `/proc/net/softnet_stat` and `/proc/net/stat/*`.
fn parse_hex_columns(text: &str) -> impl Iterator<Item = Vec<f64>> {
    text.lines().filter_map(|line| {
        let columns = line.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16).ok());
        columns.map(|column| column.map(|n| n as f64)).collect()
    })
}

/// Bytes waiting in the queues of all sockets of `/proc/net/udp`: sent, received.
fn parse_udp_queues(text: &str) -> (f64, f64) {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let queues = text.lines().skip(1).filter_map(|line| {
        let (sent, received) = line.split_ascii_whitespace().nth(4)?.split_once(':')?;
        Some((hex(sent)?, hex(received)?))
    });
    let (sent, received) = queues
        .fold((0u64, 0u64), |(a, b), (sent, received)| (a.saturating_add(sent), b.saturating_add(received)));
    (sent as f64, received as f64)
}

/// Entries by device of `/proc/net/arp`, in order of appearance.
fn parse_arp(text: &str) -> Vec<(&str, f64)> {
    let mut counts: Vec<(&str, f64)> = Vec::new();
    for device in text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(5)) {
        match counts.iter_mut().find(|(name, _)| *name == device) {
            Some((_, count)) => *count += 1.0,
            None => counts.push((device, 1.0)),
        }
    }
    counts
}

pub(super) fn collect(source: &mut Source, out: &mut Writer<'_>) {
    for file in ["proc/net/netstat", "proc/net/snmp"] {
        if let Some(text) = source.text(file) {
            write_netstat(parse_pairs(text), out);
        }
    }
    if let Some(text) = source.text("proc/net/snmp6") {
        write_netstat(parse_snmp6(text), out);
    }
    for file in ["proc/net/sockstat", "proc/net/sockstat6"] {
        if let Some(text) = source.text(file) {
            write_sockstat(text, out);
        }
    }
    if let Some(text) = source.text("proc/net/softnet_stat") {
        write_softnet(text, out);
    }
    if let Some(text) = source.text("proc/net/arp") {
        out.family("node_arp_entries", MetricType::Gauge, "ARP entries by device.");
        for (device, count) in parse_arp(text) {
            out.sample(&[("device", device)], count);
        }
    }
    for (ip, file) in [("v4", "proc/net/udp"), ("v6", "proc/net/udp6")] {
        if let Some((sent, received)) = source.text(file).map(parse_udp_queues) {
            out.family("node_udp_queues", MetricType::Gauge, "Bytes of memory in UDP queues.");
            out.sample(&[("ip", ip), ("queue", "tx")], sent);
            out.sample(&[("ip", ip), ("queue", "rx")], received);
        }
    }
    collect_conntrack(source, out);
}

fn write_netstat<'a>(counters: impl Iterator<Item = (&'a str, &'a str, f64)>, out: &mut Writer<'_>) {
    let mut metric = String::new();
    for (protocol, name, value) in counters.filter(|(protocol, name, _)| is_kept(protocol, name)) {
        metric.clear();
        metric.extend(["node_netstat_", protocol, "_", name]);
        out.family(&metric, MetricType::Unknown, format_args!("Statistic {protocol}{name}."));
        out.sample(&[], value);
    }
}

fn write_sockstat(text: &str, out: &mut Writer<'_>) {
    let mut metric = String::new();
    let mut write = |protocol: &str, state: &str, value| {
        metric.clear();
        metric.extend(["node_sockstat_", protocol, "_", state]);
        out.gauge(&metric, format_args!("Number of {protocol} sockets in state {state}."), value);
    };
    for (protocol, state, value) in parse_sockstat(text) {
        write(protocol, state, value);
        // The kernel counts pages.
        if state == "mem" {
            write(protocol, "mem_bytes", value * rustix::param::page_size() as f64);
        }
    }
}

/// Column of `/proc/net/softnet_stat`, metric, type, help.
const SOFTNET: [(usize, &str, MetricType, &str); 7] = {
    use MetricType::{Counter, Gauge};
    [
        (0, "node_softnet_processed_total", Counter, "Number of processed packets."),
        (1, "node_softnet_dropped_total", Counter, "Number of dropped packets."),
        (2, "node_softnet_times_squeezed_total", Counter, "Times that processing ran out of quota."),
        (8, "node_softnet_cpu_collision_total", Counter, "Collisions while obtaining the device lock."),
        (9, "node_softnet_received_rps_total", Counter, "Times that a CPU was woken for packets."),
        (10, "node_softnet_flow_limit_count_total", Counter, "Times that the flow limit was reached."),
        (11, "node_softnet_backlog_len", Gauge, "Packets in the backlog."),
    ]
};

fn write_softnet(text: &str, out: &mut Writer<'_>) {
    for (line, columns) in parse_hex_columns(text).enumerate() {
        let cpu = columns.get(12).map_or(line as f64, |cpu| *cpu).to_string();
        for (column, name, kind, help) in SOFTNET {
            if let Some(value) = columns.get(column) {
                out.family(name, kind, help);
                out.sample(&[("cpu", &cpu)], *value);
            }
        }
    }
}

/// Column name in `/proc/net/stat/nf_conntrack`, help.
const CONNTRACK: [(&str, &str); 8] = [
    ("found", "Searched entries that were found."),
    ("invalid", "Packets that cannot be tracked."),
    ("ignore", "Packets of connections that are already tracked."),
    ("insert", "Entries inserted."),
    ("insert_failed", "Entries that could not be inserted."),
    ("drop", "Packets dropped because tracking failed."),
    ("early_drop", "Entries dropped to make room in a full table."),
    ("search_restart", "Searches restarted because the table was resized."),
];

fn collect_conntrack(source: &mut Source, out: &mut Writer<'_>) {
    let files = [
        ("count", "node_nf_conntrack_entries", "Entries in the connection tracking table."),
        ("max", "node_nf_conntrack_entries_limit", "Size of the connection tracking table."),
    ];
    for (file, name, help) in files {
        if let Some(value) = source.number(&format!("proc/sys/net/netfilter/nf_conntrack_{file}")) {
            out.gauge(name, help, value);
        }
    }
    let Some(text) = source.text("proc/net/stat/nf_conntrack") else { return };
    let Some((header, rows)) = text.split_once('\n') else { return };
    let rows: Vec<Vec<f64>> = parse_hex_columns(rows).collect();
    for (column, name) in header.split_ascii_whitespace().enumerate() {
        let Some((name, help)) = CONNTRACK.iter().find(|(known, _)| *known == name) else { continue };
        let sum = rows.iter().filter_map(|row| row.get(column)).sum();
        out.gauge(&format!("node_nf_conntrack_stat_{name}"), help, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_come_in_pairs_of_lines() {
        let text = "Tcp: A B\nTcp: 1 -1\nUdp: C\nIcmp: 5\nX: D\nX: y\n";
        assert_eq!(parse_pairs(text).collect::<Vec<_>>(), [("Tcp", "A", 1.0), ("Tcp", "B", -1.0)]);
    }

    #[test]
    fn snmp6_names_split_after_the_six() {
        let text = "Ip6InOctets  5\nUdpLite6InErrors 0\nbad\n";
        assert_eq!(
            parse_snmp6(text).collect::<Vec<_>>(),
            [("Ip6", "InOctets", 5.0), ("UdpLite6", "InErrors", 0.0)]
        );
    }

    #[test]
    fn the_default_counters_are_kept() {
        let rows = [
            ("Tcp", "InErrs", true),
            ("UdpLite", "InErrors", true),
            ("TcpExt", "ListenDrops", true),
            ("TcpExt", "TCPTimeouts", true),
            ("TcpExt", "TCPHPHits", false),
            ("Ip", "InReceives", false),
            ("IpExt", "OutOctets", true),
            ("Udp6", "NoPorts", true),
        ];
        for (protocol, name, want) in rows {
            assert_eq!(is_kept(protocol, name), want, "{protocol}_{name}");
        }
    }

    #[test]
    fn sockets_queues_and_neighbours_are_counted() {
        let sockets: Vec<_> = parse_sockstat("sockets: used 33\nTCP: inuse 4 mem 7 odd\n").collect();
        assert_eq!(sockets, [("sockets", "used", 33.0), ("TCP", "inuse", 4.0), ("TCP", "mem", 7.0)]);
        let queues = "sl\n 0: 0:1 0:0 07 00000010:00000002 x\n 1: 0:1 0:0 07 00000001:00000000 x\n";
        assert_eq!(parse_udp_queues(queues), (17.0, 2.0));
        let arp = "IP HW\n1.1.1.1 0x1 0x2 a * eth0\n1.1.1.2 0x1 0x2 b * eth0\n1.1.1.3 0x1 0x2 c * br0\n";
        assert_eq!(parse_arp(arp), [("eth0", 2.0), ("br0", 1.0)]);
        assert_eq!(parse_hex_columns("0a ff\nxyz 1\n").collect::<Vec<_>>(), [[10.0, 255.0]]);
    }
}
