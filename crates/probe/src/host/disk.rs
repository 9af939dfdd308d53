//! Block devices, from `/proc/diskstats`.

use std::collections::HashMap;

use model::MetricType;

use super::source::Source;
use super::writer::Writer;

/// The kernel counts in sectors of this size whatever the device's own.
const SECTOR_BYTES: f64 = 512.0;
const MILLI: f64 = 0.001;

/// Columns of a line of `/proc/diskstats` after the device's name.
const FIELDS: usize = 17;

/// One block device with its counters in the kernel's units; older kernels have fewer of them.
#[derive(Debug, PartialEq)]
struct Disk<'a> {
    major: &'a str,
    minor: &'a str,
    device: &'a str,
    fields: [Option<f64>; FIELDS],
}

fn parse_diskstats(text: &str) -> impl Iterator<Item = Disk<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor, device) = (words.next()?, words.next()?, words.next()?);
        let mut fields = [None; FIELDS];
        for (field, word) in fields.iter_mut().zip(words) {
            *field = word.parse().ok();
        }
        (!is_excluded(device)).then_some(Disk { major, minor, device, fields })
    })
}

/// RAM disks, loops, floppies and partitions, as node_exporter leaves them out by default.
fn is_excluded(device: &str) -> bool {
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    if ["ram", "zram", "loop", "fd"].iter().any(|p| device.strip_prefix(p).is_some_and(numbered)) {
        return true;
    }
    if let Some(rest) = ["hd", "sd", "vd", "xvd"].iter().find_map(|p| device.strip_prefix(p)) {
        let mut letters = rest.chars();
        return letters.next().is_some_and(|c| c.is_ascii_lowercase()) && numbered(letters.as_str());
    }
    let parts = device.strip_prefix("nvme").and_then(|rest| rest.split_once('n'));
    parts.is_some_and(|(controller, rest)| {
        let namespace = rest.split_once('p');
        numbered(controller) && namespace.is_some_and(|(n, p)| numbered(n) && numbered(p))
    })
}

/// Metric, type, factor from the kernel's unit, help; in the kernel's order.
const METRICS: [(&str, MetricType, f64, &str); FIELDS] = {
    use MetricType::{Counter, Gauge};
    [
        ("node_disk_reads_completed_total", Counter, 1.0, "Reads completed."),
        ("node_disk_reads_merged_total", Counter, 1.0, "Reads merged."),
        ("node_disk_read_bytes_total", Counter, SECTOR_BYTES, "Bytes read."),
        ("node_disk_read_time_seconds_total", Counter, MILLI, "Seconds spent by all reads."),
        ("node_disk_writes_completed_total", Counter, 1.0, "Writes completed."),
        ("node_disk_writes_merged_total", Counter, 1.0, "Writes merged."),
        ("node_disk_written_bytes_total", Counter, SECTOR_BYTES, "Bytes written."),
        ("node_disk_write_time_seconds_total", Counter, MILLI, "Seconds spent by all writes."),
        ("node_disk_io_now", Gauge, 1.0, "I/Os in progress."),
        ("node_disk_io_time_seconds_total", Counter, MILLI, "Seconds in which I/O was in progress."),
        ("node_disk_io_time_weighted_seconds_total", Counter, MILLI, "Seconds spent by all I/Os."),
        ("node_disk_discards_completed_total", Counter, 1.0, "Discards completed."),
        ("node_disk_discards_merged_total", Counter, 1.0, "Discards merged."),
        ("node_disk_discarded_sectors_total", Counter, 1.0, "Sectors discarded."),
        ("node_disk_discard_time_seconds_total", Counter, MILLI, "Seconds spent by all discards."),
        ("node_disk_flush_requests_total", Counter, 1.0, "Flush requests completed."),
        ("node_disk_flush_requests_time_seconds_total", Counter, MILLI, "Seconds spent by all flushes."),
    ]
};

/// What a device says about itself; it does not change while it is attached.
#[derive(Debug, Default)]
struct Identity {
    model: String,
    serial: String,
    revision: String,
    wwn: String,
}

/// Remembers what devices say about themselves.
#[derive(Debug, Default)]
pub(super) struct Disks {
    identities: HashMap<String, Identity>,
}

impl Disks {
    pub(super) fn collect(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        let Some(text) = source.text("proc/diskstats") else { return };
        let text = text.to_owned();
        let disks: Vec<Disk<'_>> = parse_diskstats(&text).collect();
        for (column, (name, kind, factor, help)) in METRICS.into_iter().enumerate() {
            if disks.iter().all(|disk| disk.fields[column].is_none()) {
                continue;
            }
            out.family(name, kind, help);
            for disk in &disks {
                if let Some(value) = disk.fields[column] {
                    out.sample(&[("device", disk.device)], value * factor);
                }
            }
        }
        self.identities.retain(|device, _| disks.iter().any(|disk| disk.device == device));
        out.family("node_disk_info", MetricType::Gauge, "What the device says about itself; always 1.");
        for disk in &disks {
            if !self.identities.contains_key(disk.device) {
                self.identities.insert(disk.device.to_owned(), identify(source, disk.device));
            }
            let identity = &self.identities[disk.device];
            let labels = [
                ("device", disk.device),
                ("major", disk.major),
                ("minor", disk.minor),
                ("model", &identity.model),
                ("revision", &identity.revision),
                ("serial", &identity.serial),
                ("wwn", &identity.wwn),
            ];
            out.sample(&labels, 1.0);
        }
    }
}

fn identify(source: &mut Source, device: &str) -> Identity {
    let folder = format!("sys/block/{}", device.replace('/', "!"));
    let mut read = |file: &str| source.line(&format!("{folder}/{file}")).unwrap_or_default().to_owned();
    Identity {
        model: read("device/model"),
        serial: read("device/serial"),
        revision: read("device/rev"),
        wwn: read("wwid"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_virtual_devices_are_left_out() {
        for out in ["ram0", "zram0", "loop12", "fd0", "sda1", "hdb2", "vda15", "xvda1", "nvme0n1p2"] {
            assert!(is_excluded(out), "{out}");
        }
        for kept in ["sda", "vda", "nvme0n1", "dm-0", "md127", "sr0", "mmcblk0", "sdaa", "loop", "sdA1"] {
            assert!(!is_excluded(kept), "{kept}");
        }
    }

    #[test]
    fn an_older_kernel_has_fewer_columns() {
        let text =
            " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n 8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\nshort\n";
        let disks: Vec<Disk<'_>> = parse_diskstats(text).collect();
        assert_eq!((disks.len(), disks[0].device, disks[0].major, disks[1].minor), (2, "sda", "8", "16"));
        assert_eq!((disks[0].fields[10], disks[0].fields[11]), (Some(11.0), None));
        assert_eq!(disks[1].fields[16], Some(17.0));
    }
}
