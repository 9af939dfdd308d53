//! Processes summed by command name, and the standard `process_*` metrics of our own.

use std::collections::HashMap;
use std::fs;

use model::MetricType;

use super::cpu::TICKS_PER_SECOND;
use super::source::Source;
use super::writer::{Gauge, Writer};

/// Commands shown by CPU, and as many by memory.
const TOP: usize = 20;

/// Commands remembered. Beyond it the longest unseen are forgotten.
const COMMANDS_MAX: usize = 2048;

/// Weight of the past in the ranking by CPU, so that commands do not come and go with every reading.
const RANK_DECAY: f64 = 0.8;

/// What `/proc/<pid>/stat` says, in the kernel's units.
#[derive(Debug, PartialEq)]
struct ProcessStat<'a> {
    comm: &'a str,
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// The name may itself hold spaces and parentheses, so the last parenthesis ends it.
fn parse_stat(text: &str) -> Option<ProcessStat<'_>> {
    let (head, tail) = text.rsplit_once(") ")?;
    let (_, comm) = head.split_once('(')?;
    let mut words = tail.split_ascii_whitespace();
    let mut next = |skip: usize| words.nth(skip)?.parse::<u64>().ok();
    let user = next(11)?;
    let system = next(0)?;
    let threads = next(4)?;
    let start_ticks = next(1)?;
    let virtual_bytes = next(0)?;
    let resident_pages = next(0)?;
    let cpu_ticks = user.saturating_add(system);
    Some(ProcessStat { comm, cpu_ticks, threads, start_ticks, virtual_bytes, resident_pages })
}

/// The name that processes are summed by: a worker of the kernel drops what tells it from its siblings.
fn command(comm: &str) -> &str {
    match comm.split_once('/') {
        Some((worker, _)) if !worker.is_empty() && !comm.starts_with('/') => worker,
        _ => comm,
    }
}

/// All processes of one name.
#[derive(Debug, Default)]
struct Command {
    /// Ticks used by processes of this name since we first saw it; never falls when one of them ends.
    cpu_ticks: u64,
    /// Decaying ticks a reading.
    rank: f64,
    used_now: u64,
    resident_pages: u64,
    threads: u64,
    pids: Vec<u32>,
    seen: u64,
}

/// One process at the previous reading.
#[derive(Debug)]
struct Previous {
    start_ticks: u64,
    cpu_ticks: u64,
    seen: u64,
}

/// Remembers every process's CPU time, to sum what each command used between two readings.
#[derive(Debug, Default)]
pub(super) struct Processes {
    commands: HashMap<String, Command>,
    previous: HashMap<u32, Previous>,
    reading: u64,
}

impl Processes {
    pub(super) fn collect(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        self.read(source);
        let top = self.top();
        let gauges: [Gauge<Command>; 3] = [
            ("host_process_resident_memory_bytes", "Resident memory of the processes of a command.", |c| {
                c.resident_pages as f64 * rustix::param::page_size() as f64
            }),
            ("host_process_count", "Processes of a command.", |c| c.pids.len() as f64),
            ("host_process_threads", "Threads of the processes of a command.", |c| c.threads as f64),
        ];
        out.family(
            "host_process_cpu_seconds_total",
            MetricType::Counter,
            "Seconds of CPU used by the processes of a command.",
        );
        for (name, command) in &top {
            out.sample(&[("comm", name)], command.cpu_ticks as f64 / TICKS_PER_SECOND);
        }
        for (metric, help, value) in gauges {
            out.family(metric, MetricType::Gauge, help);
            for (name, command) in &top {
                out.sample(&[("comm", name)], value(command));
            }
        }
        let help = "Open file descriptors of the processes of a command that we may look into.";
        out.family("host_process_open_fds", MetricType::Gauge, help);
        for (name, command) in &top {
            let counts: Vec<f64> =
                command.pids.iter().filter_map(|pid| open_fds(source, &pid.to_string())).collect();
            if !counts.is_empty() {
                out.sample(&[("comm", name)], counts.iter().sum());
            }
        }
    }

    /// Reads every process and sums by command.
    fn read(&mut self, source: &mut Source) {
        self.reading += 1;
        let reading = self.reading;
        for command in self.commands.values_mut() {
            (command.used_now, command.resident_pages, command.threads) = (0, 0, 0);
            command.pids.clear();
        }
        let mut path = String::new();
        for entry in source.list("proc") {
            let Ok(pid) = entry.parse::<u32>() else { continue };
            path.clear();
            path.extend(["proc/", &entry, "/stat"]);
            // A process may end between the listing and the reading.
            if let Some(stat) = source.text(&path).and_then(parse_stat) {
                self.count(pid, &stat);
            }
        }
        self.previous.retain(|_, process| process.seen == reading);
        for command in self.commands.values_mut() {
            command.cpu_ticks = command.cpu_ticks.saturating_add(command.used_now);
            command.rank = command.rank * RANK_DECAY + command.used_now as f64;
        }
        if self.commands.len() > COMMANDS_MAX {
            self.forget();
        }
    }

    fn count(&mut self, pid: u32, stat: &ProcessStat<'_>) {
        let before = self.previous.get(&pid).filter(|p| p.start_ticks == stat.start_ticks);
        let used = stat.cpu_ticks.saturating_sub(before.map_or(0, |p| p.cpu_ticks));
        let now = Previous { start_ticks: stat.start_ticks, cpu_ticks: stat.cpu_ticks, seen: self.reading };
        self.previous.insert(pid, now);
        let name = command(stat.comm);
        let command = match self.commands.get_mut(name) {
            Some(command) => command,
            None => self.commands.entry(name.to_owned()).or_default(),
        };
        command.used_now = command.used_now.saturating_add(used);
        command.resident_pages = command.resident_pages.saturating_add(stat.resident_pages);
        command.threads = command.threads.saturating_add(stat.threads);
        command.pids.push(pid);
        command.seen = self.reading;
    }

    /// Drops the commands that were seen longest ago.
    fn forget(&mut self) {
        let mut seen: Vec<u64> = self.commands.values().map(|command| command.seen).collect();
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let oldest = seen[COMMANDS_MAX - 1];
        // All that live now stay, however many: they are bounded by the processes read.
        self.commands.retain(|_, command| command.seen >= oldest);
    }

    /// The commands that use most CPU and those that hold most memory, by name.
    fn top(&self) -> Vec<(&str, &Command)> {
        let mut all: Vec<(&str, &Command)> = self
            .commands
            .iter()
            .filter(|(_, command)| !command.pids.is_empty())
            .map(|(name, command)| (name.as_str(), command))
            .collect();
        all.sort_unstable_by(|a, b| b.1.rank.total_cmp(&a.1.rank).then(a.0.cmp(b.0)));
        let mut top: Vec<(&str, &Command)> = all.iter().copied().take(TOP).collect();
        all.sort_unstable_by(|a, b| b.1.resident_pages.cmp(&a.1.resident_pages).then(a.0.cmp(b.0)));
        top.extend(all.iter().copied().take(TOP));
        top.sort_unstable_by_key(|(name, _)| *name);
        top.dedup_by_key(|(name, _)| *name);
        top
    }
}

/// Open descriptors of a process, or `None` where we may not look. Since Linux 6.2 the size of the folder
/// is their number; before, it is 0 and they are counted.
fn open_fds(source: &Source, pid: &str) -> Option<f64> {
    let folder = source.path(&format!("proc/{pid}/fd"));
    match fs::metadata(&folder).ok()?.len() {
        0 => Some(fs::read_dir(&folder).ok()?.count() as f64),
        count => Some(count as f64),
    }
}

/// This process, as the monitoring API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnProcess {
    /// Its id.
    pub pid: u32,
    /// Resident memory, bytes.
    pub resident_bytes: f64,
    /// Virtual memory, bytes.
    pub virtual_bytes: f64,
    /// CPU used since it began, seconds.
    pub cpu_seconds: f64,
    /// CPU used since the previous snapshot, percent of one core; above 100 when several were busy.
    pub cpu_percent: f64,
    /// Threads.
    pub threads: f64,
    /// Open file descriptors.
    pub open_fds: f64,
    /// When it began, seconds since the epoch; 0 where the boot time is not known.
    pub start_seconds: f64,
}

/// Reads this process; `cpu_percent` is left 0.
pub(super) fn read_own(source: &mut Source) -> Option<OwnProcess> {
    let boot = source.text("proc/stat").and_then(|text| super::cpu::parse_stat(text).boot_seconds);
    let text = source.text("proc/self/stat")?;
    let pid = text.split(' ').next()?.parse().ok()?;
    let stat = parse_stat(text)?;
    let mut own = OwnProcess {
        pid,
        resident_bytes: stat.resident_pages as f64 * rustix::param::page_size() as f64,
        virtual_bytes: stat.virtual_bytes as f64,
        cpu_seconds: stat.cpu_ticks as f64 / TICKS_PER_SECOND,
        cpu_percent: 0.0,
        threads: stat.threads as f64,
        open_fds: 0.0,
        start_seconds: boot.map_or(0.0, |boot| boot + stat.start_ticks as f64 / TICKS_PER_SECOND),
    };
    own.open_fds = open_fds(source, "self").unwrap_or_default();
    Some(own)
}

/// The soft limit of a line of `/proc/self/limits`.
fn soft_limit(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_ascii_whitespace().next()? {
        // Prometheus's clients write the largest 64-bit number for it.
        "unlimited" => Some(u64::MAX as f64),
        limit => limit.parse().ok(),
    }
}

/// Prometheus's standard metrics of a process.
pub(super) fn collect_own(source: &mut Source, out: &mut Writer<'_>) {
    let Some(own) = read_own(source) else { return };
    out.counter("process_cpu_seconds_total", "User and system CPU time in seconds.", own.cpu_seconds);
    out.gauge("process_resident_memory_bytes", "Resident memory in bytes.", own.resident_bytes);
    out.gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", own.virtual_bytes);
    out.gauge("process_open_fds", "Open file descriptors.", own.open_fds);
    out.gauge("process_threads", "Threads.", own.threads);
    if own.start_seconds > 0.0 {
        let help = "Start time of the process, seconds since the epoch.";
        out.gauge("process_start_time_seconds", help, own.start_seconds);
    }
    let Some(limits) = source.text("proc/self/limits") else { return };
    let rows = [
        ("Max open files", "process_max_fds", "Most file descriptors that may be open."),
        ("Max address space", "process_virtual_memory_max_bytes", "Most virtual memory in bytes."),
    ];
    for (line, name, help) in rows {
        if let Some(limit) = soft_limit(limits, line) {
            out.gauge(name, help, limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 50 25 8 9 20 0 3 0 240 4096000 100 18446744073709551615 1 1";

    #[test]
    fn stat_survives_parentheses_in_the_name() {
        let want = ProcessStat {
            comm: "a (b) c",
            cpu_ticks: 75,
            threads: 3,
            start_ticks: 240,
            virtual_bytes: 4_096_000,
            resident_pages: 100,
        };
        assert_eq!(parse_stat(STAT), Some(want));
        for bad in ["", "7 (a", "7 (a) S 1", "7 a) S"] {
            assert_eq!(parse_stat(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn kernel_workers_share_a_name() {
        for (comm, want) in [
            ("kworker/0:1-events", "kworker"),
            ("ksoftirqd/3", "ksoftirqd"),
            ("sh", "sh"),
            ("/init", "/init"),
        ] {
            assert_eq!(command(comm), want);
        }
    }

    fn stat(cpu_ticks: u64, start_ticks: u64) -> ProcessStat<'static> {
        ProcessStat { comm: "x", cpu_ticks, threads: 1, start_ticks, virtual_bytes: 0, resident_pages: 1 }
    }

    fn read(processes: &mut Processes, stats: &[(u32, ProcessStat<'_>)]) -> u64 {
        processes.reading += 1;
        let reading = processes.reading;
        for command in processes.commands.values_mut() {
            command.used_now = 0;
            command.pids.clear();
        }
        for (pid, stat) in stats {
            processes.count(*pid, stat);
        }
        processes.previous.retain(|_, process| process.seen == reading);
        let command = processes.commands.get_mut("x").expect("counted");
        command.cpu_ticks += command.used_now;
        command.cpu_ticks
    }

    #[test]
    fn cpu_of_a_command_does_not_fall_when_a_process_ends() {
        let mut processes = Processes::default();
        assert_eq!(read(&mut processes, &[(1, stat(10, 1)), (2, stat(5, 2))]), 15);
        assert_eq!(read(&mut processes, &[(1, stat(12, 1))]), 17);
        // The same id, another process.
        assert_eq!(read(&mut processes, &[(1, stat(3, 9))]), 20);
    }

    #[test]
    fn limits_are_read_by_line() {
        let text = "Limit  Soft  Hard Units\nMax open files   1024  4096 files\nMax address space  unlimited unlimited bytes\n";
        assert_eq!(soft_limit(text, "Max open files"), Some(1024.0));
        assert_eq!(soft_limit(text, "Max address space"), Some(u64::MAX as f64));
        assert_eq!(soft_limit(text, "Max cats"), None);
    }
}
