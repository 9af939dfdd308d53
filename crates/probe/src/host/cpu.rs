//! CPU time, load, pressure, and what `/proc/stat` counts beside them.

use model::MetricType;

use super::source::Source;
use super::writer::Writer;

/// Jiffies a second in `/proc`, on every architecture we build for.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// Columns of a `cpu` line in order, as node_exporter names them.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// A CPU whose idle time falls by more than this was unplugged and started anew; a smaller fall is jitter
/// of the kernel's accounting, which must not look like a counter reset.
const RESTART_SECONDS: f64 = 3.0;

/// Seconds by mode, then in guests and in niced guests.
pub(super) type CpuSeconds = [f64; 10];

/// `/proc/stat`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Stat {
    pub(super) total: CpuSeconds,
    pub(super) cpus: Vec<(u32, CpuSeconds)>,
    interrupts: Option<f64>,
    context_switches: Option<f64>,
    pub(super) boot_seconds: Option<f64>,
    forks: Option<f64>,
    running: Option<f64>,
    blocked: Option<f64>,
}

pub(super) fn parse_stat(text: &str) -> Stat {
    let mut stat = Stat::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(key) = words.next() else { continue };
        if let Some(cpu) = key.strip_prefix("cpu") {
            let mut seconds = CpuSeconds::default();
            for (second, word) in seconds.iter_mut().zip(words) {
                *second = word.parse::<f64>().unwrap_or(0.0) / TICKS_PER_SECOND;
            }
            match cpu.parse() {
                Ok(cpu) => stat.cpus.push((cpu, seconds)),
                Err(_) if cpu.is_empty() => stat.total = seconds,
                Err(_) => {}
            }
            continue;
        }
        let value = words.next().and_then(|word| word.parse().ok());
        match key {
            "intr" => stat.interrupts = value,
            "ctxt" => stat.context_switches = value,
            "btime" => stat.boot_seconds = value,
            "processes" => stat.forks = value,
            "procs_running" => stat.running = value,
            "procs_blocked" => stat.blocked = value,
            _ => {}
        }
    }
    stat
}

/// Busy and all seconds of a `cpu` line. Guest time is already part of user time.
pub(super) fn busy_and_total(seconds: &CpuSeconds) -> (f64, f64) {
    let total: f64 = seconds[..MODES.len()].iter().sum();
    (total - seconds[IDLE] - seconds[IOWAIT], total)
}

/// The averages over 1, 5 and 15 minutes of `/proc/loadavg`.
pub(super) fn parse_loadavg(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

/// Microseconds of the `some` and `full` lines of a file in `/proc/pressure`.
fn parse_pressure(text: &str) -> (Option<f64>, Option<f64>) {
    let total = |kind: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
        line.rsplit_once("total=")?.1.trim().parse::<f64>().ok()
    };
    (total("some"), total("full"))
}

/// Remembers the largest reading of every CPU's counters.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    highest: Vec<(u32, CpuSeconds)>,
}

impl Cpu {
    pub(super) fn collect(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        if let Some(text) = source.text("proc/stat") {
            let stat = parse_stat(text);
            self.rise(stat.cpus.iter());
            self.write_stat(&stat, out);
        }
        if let Some(load) = source.text("proc/loadavg").and_then(parse_loadavg) {
            for ((name, help), value) in LOAD.into_iter().zip(load) {
                out.gauge(name, help, value);
            }
        }
        for (file, some, full) in PRESSURE {
            let Some(text) = source.text(file) else { continue };
            let totals = parse_pressure(text);
            for (metric, micros) in [(some, totals.0), (full, totals.1)] {
                if let (Some((name, help)), Some(micros)) = (metric, micros) {
                    out.counter(name, help, micros / 1e6);
                }
            }
        }
    }

    /// Takes over a reading without letting a counter fall, unless its CPU started anew.
    fn rise<'a>(&mut self, cpus: impl Iterator<Item = &'a (u32, CpuSeconds)>) {
        let previous = std::mem::take(&mut self.highest);
        for (cpu, seconds) in cpus {
            let before = previous.iter().find(|(n, _)| n == cpu).map(|(_, seconds)| seconds);
            let mut highest = *seconds;
            if let Some(before) = before
                && before[IDLE] - seconds[IDLE] <= RESTART_SECONDS
            {
                for (now, before) in highest.iter_mut().zip(before) {
                    *now = now.max(*before);
                }
            }
            self.highest.push((*cpu, highest));
        }
    }

    fn write_stat(&self, stat: &Stat, out: &mut Writer<'_>) {
        let names: Vec<String> = self.highest.iter().map(|(cpu, _)| cpu.to_string()).collect();
        out.family("node_cpu_seconds_total", MetricType::Counter, "Seconds the CPUs spent in each mode.");
        for ((_, seconds), cpu) in self.highest.iter().zip(&names) {
            for (mode, value) in MODES.iter().zip(seconds) {
                out.sample(&[("cpu", cpu), ("mode", mode)], *value);
            }
        }
        out.family(
            "node_cpu_guest_seconds_total",
            MetricType::Counter,
            "Seconds the CPUs spent in guests (VMs) for each mode.",
        );
        for ((_, seconds), cpu) in self.highest.iter().zip(&names) {
            out.sample(&[("cpu", cpu), ("mode", "user")], seconds[8]);
            out.sample(&[("cpu", cpu), ("mode", "nice")], seconds[9]);
        }
        let counters = [
            ("node_intr_total", "Total number of interrupts serviced.", stat.interrupts),
            ("node_context_switches_total", "Total number of context switches.", stat.context_switches),
            ("node_forks_total", "Total number of forks.", stat.forks),
        ];
        for (name, help, value) in counters {
            if let Some(value) = value {
                out.counter(name, help, value);
            }
        }
        let gauges = [
            ("node_boot_time_seconds", "Boot time, seconds since the epoch.", stat.boot_seconds),
            ("node_procs_running", "Number of processes in runnable state.", stat.running),
            ("node_procs_blocked", "Number of processes blocked waiting for I/O.", stat.blocked),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                out.gauge(name, help, value);
            }
        }
    }
}

const LOAD: [(&str, &str); 3] = [
    ("node_load1", "Load average over 1 minute."),
    ("node_load5", "Load average over 5 minutes."),
    ("node_load15", "Load average over 15 minutes."),
];

type Named = Option<(&'static str, &'static str)>;

/// File, metric of its `some` line, metric of its `full` line.
const PRESSURE: [(&str, Named, Named); 4] = [
    (
        "proc/pressure/cpu",
        Some(("node_pressure_cpu_waiting_seconds_total", "Seconds that processes have waited for CPU time.")),
        None,
    ),
    (
        "proc/pressure/io",
        Some(("node_pressure_io_waiting_seconds_total", "Seconds that processes have waited for I/O.")),
        Some(("node_pressure_io_stalled_seconds_total", "Seconds in which I/O held up every process.")),
    ),
    (
        "proc/pressure/memory",
        Some((
            "node_pressure_memory_waiting_seconds_total",
            "Seconds that processes have waited for memory.",
        )),
        Some((
            "node_pressure_memory_stalled_seconds_total",
            "Seconds in which memory held up every process.",
        )),
    ),
    (
        "proc/pressure/irq",
        None,
        Some((
            "node_pressure_irq_stalled_seconds_total",
            "Seconds in which interrupts held up every process.",
        )),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_become_seconds_and_counts() {
        let stat = parse_stat(
            "cpu  300 0 100 600 0 0 0 0 0 0\ncpu0 100 1 2 300 4 5 6 7 8 9\ncpu7 1 2\nintr 42 1 2\nctxt 7\nbtime 1000\nprocesses 9\nprocs_running 2\nprocs_blocked x\n",
        );
        assert_eq!(stat.cpus[0], (0, [1.0, 0.01, 0.02, 3.0, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09]));
        assert_eq!(stat.cpus[1].0, 7);
        assert_eq!((stat.interrupts, stat.context_switches), (Some(42.0), Some(7.0)));
        assert_eq!((stat.boot_seconds, stat.forks), (Some(1000.0), Some(9.0)));
        assert_eq!((stat.running, stat.blocked), (Some(2.0), None));
        assert_eq!(busy_and_total(&stat.total), (4.0, 10.0));
    }

    #[test]
    fn load_needs_three_numbers() {
        let rows = [
            ("0.10 0.20 0.30 1/200 12345\n", Some([0.1, 0.2, 0.3])),
            ("0.10 0.20", None),
            ("a b c", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_loadavg(text), want, "{text:?}");
        }
    }

    #[test]
    fn pressure_totals_are_read_by_line() {
        let text =
            "some avg10=0.24 avg60=0.68 avg300=0.59 total=11352800\nfull avg10=0 avg60=0 avg300=0 total=5\n";
        assert_eq!(parse_pressure(text), (Some(11_352_800.0), Some(5.0)));
        assert_eq!(parse_pressure("some total=x"), (None, None));
    }

    #[test]
    fn counters_do_not_fall_unless_the_cpu_restarted() {
        let mut cpu = Cpu::default();
        let with_idle = |idle: f64| [(0, [1.0, 0.0, 0.0, idle, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])];
        for (idle, want) in [(10.0, 10.0), (9.5, 10.0), (11.0, 11.0), (2.0, 2.0)] {
            cpu.rise(with_idle(idle).iter());
            assert_eq!(cpu.highest[0].1[IDLE], want);
        }
    }
}
