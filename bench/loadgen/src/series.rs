//! A host as node_exporter shows it: 100 series of the usual kinds.

use crate::encode::encode_labels;
use crate::random::Random;

/// How a value moves from one step to the next.
#[derive(Clone, Copy)]
enum Motion {
    /// Seconds of CPU: grows by up to this much, hundredths.
    CpuCounter(f64),
    /// Bytes or packets: whole increments up to this.
    Counter(u64),
    /// Walks in steps of up to this, two decimals.
    Gauge(f64),
    /// Walks in whole steps of 4096.
    Bytes,
    /// Never moves.
    Constant,
}

struct Series {
    labels: Vec<u8>,
    motion: Motion,
    value: f64,
}

/// One host with its own random numbers.
pub(crate) struct Host {
    series: Vec<Series>,
    random: Random,
}

const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

impl Host {
    pub(crate) fn new(number: usize) -> Self {
        let mut host = Self { series: Vec::new(), random: Random::new(number as u64 + 1) };
        let instance = format!("host-{number:03}.example.com:9100");
        for cpu in ["0", "1", "2", "3"] {
            for (mode, share) in MODES.iter().zip([12.0, 0.3, 0.0, 0.01, 0.1, 0.0, 0.8, 1.8]) {
                host.add(
                    &instance,
                    "node_cpu_seconds_total",
                    &[("cpu", cpu), ("mode", mode)],
                    Motion::CpuCounter(share),
                );
            }
        }
        for device in ["eth0", "lo"] {
            for (name, most) in [
                ("node_network_receive_bytes_total", 2_000_000),
                ("node_network_transmit_bytes_total", 1_000_000),
                ("node_network_receive_packets_total", 2_000),
                ("node_network_transmit_packets_total", 1_500),
                ("node_network_receive_errs_total", 0),
                ("node_network_transmit_drop_total", 0),
            ] {
                host.add(&instance, name, &[("device", device)], Motion::Counter(most));
            }
        }
        for device in ["nvme0n1", "sda"] {
            for (name, most) in [
                ("node_disk_read_bytes_total", 400_000),
                ("node_disk_written_bytes_total", 3_000_000),
                ("node_disk_reads_completed_total", 40),
                ("node_disk_writes_completed_total", 300),
            ] {
                host.add(&instance, name, &[("device", device)], Motion::Counter(most));
            }
        }
        for (mountpoint, device) in [("/", "/dev/sda1"), ("/var", "/dev/sda2")] {
            let labels = [("device", device), ("fstype", "ext4"), ("mountpoint", mountpoint)];
            host.add(&instance, "node_filesystem_size_bytes", &labels, Motion::Constant);
            host.add(&instance, "node_filesystem_avail_bytes", &labels, Motion::Bytes);
            host.add(&instance, "node_filesystem_files_free", &labels, Motion::Counter(3));
        }
        for name in ["MemTotal", "SwapTotal", "HugePages_Total", "VmallocTotal"] {
            host.add(&instance, &format!("node_memory_{name}_bytes"), &[], Motion::Constant);
        }
        for name in [
            "MemFree",
            "MemAvailable",
            "Buffers",
            "Cached",
            "Active",
            "Inactive",
            "Dirty",
            "AnonPages",
            "Slab",
        ] {
            host.add(&instance, &format!("node_memory_{name}_bytes"), &[], Motion::Bytes);
        }
        for name in
            ["node_load1", "node_load5", "node_load15", "node_procs_running", "node_thermal_zone_temp"]
        {
            host.add(&instance, name, &[], Motion::Gauge(0.5));
        }
        for (name, most) in
            [("node_context_switches_total", 90_000), ("node_intr_total", 60_000), ("node_forks_total", 40)]
        {
            host.add(&instance, name, &[], Motion::Counter(most));
        }
        for (position, bound) in BOUNDS.iter().enumerate() {
            host.add(
                &instance,
                "http_request_duration_seconds_bucket",
                &[("le", bound)],
                Motion::Counter(30 * (position as u64 + 1)),
            );
        }
        host.add(&instance, "http_request_duration_seconds_count", &[], Motion::Counter(300));
        host.add(&instance, "http_request_duration_seconds_sum", &[], Motion::CpuCounter(40.0));
        for n in host.series.len()..100 {
            let name = format!("node_vmstat_item_{n}");
            host.add(&instance, &name, &[], if n % 3 == 0 { Motion::Constant } else { Motion::Counter(500) });
        }
        host
    }

    fn add(&mut self, instance: &str, name: &str, labels: &[(&str, &str)], motion: Motion) {
        let mut pairs = vec![("__name__", name), ("instance", instance), ("job", "node")];
        pairs.extend_from_slice(labels);
        let value = match motion {
            Motion::CpuCounter(_) => (self.random.below(100_000_000) as f64) / 100.0,
            Motion::Counter(most) => (self.random.below(1_000_000) * most.max(1)) as f64,
            Motion::Gauge(_) => (self.random.below(1000) as f64) / 100.0,
            Motion::Bytes | Motion::Constant => (self.random.below(1 << 22) * 4096) as f64,
        };
        self.series.push(Series { labels: encode_labels(&pairs), motion, value });
    }

    /// A few milliseconds of lateness, the same for the whole scrape.
    pub(crate) fn jitter(&mut self, most_ms: i64) -> i64 {
        if most_ms == 0 { 0 } else { self.random.below(most_ms as u64) as i64 }
    }

    /// One step.
    pub(crate) fn advance(&mut self) {
        for series in &mut self.series {
            let random = &mut self.random;
            match series.motion {
                Motion::CpuCounter(share) => {
                    let hundredths = random.below((share * 100.0) as u64 + 1) as f64;
                    series.value = ((series.value * 100.0).round() + hundredths) / 100.0;
                }
                Motion::Counter(most) => series.value += random.below(most + 1) as f64,
                Motion::Gauge(width) => {
                    let hundredths = random.below((width * 200.0) as u64 + 1) as f64 - width * 100.0;
                    series.value = (((series.value * 100.0).round() + hundredths) / 100.0).max(0.0);
                }
                Motion::Bytes => {
                    series.value = (series.value + (random.below(2001) as f64 - 1000.0) * 4096.0).max(0.0);
                }
                Motion::Constant => {}
            }
        }
    }

    /// Encoded labels and current value of every series.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.series.iter().map(|s| (s.labels.as_slice(), s.value))
    }
}
