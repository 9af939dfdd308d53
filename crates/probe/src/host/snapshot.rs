//! The typed picture of the host that the monitoring API shows.

use super::cpu::{CpuSeconds, busy_and_total, parse_loadavg, parse_stat};
use super::filesystem::{FilesystemUsage, Filesystems};
use super::memory::meminfo_bytes;
use super::network::InterfaceUsage;
use super::process::OwnProcess;
use super::source::Source;
use super::{Group, Groups, network, process};

/// Host and process at one instant. A part is absent (or empty) when its group is switched off or its file
/// cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemSnapshot {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// CPU use and load.
    pub cpu: Option<CpuUsage>,
    /// Memory.
    pub memory: Option<MemoryUsage>,
    /// Filesystems.
    pub disk: Vec<FilesystemUsage>,
    /// Interfaces.
    pub network: Vec<InterfaceUsage>,
    /// This process.
    pub process: Option<OwnProcess>,
}

/// CPU use between two snapshots, and load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuUsage {
    /// Busy share of all CPUs since the previous snapshot, 0 to 100; waiting for I/O is not busy.
    pub percent: f64,
    /// CPUs online.
    pub cores: usize,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
}

/// Memory, in bytes. `total = used + free` holds exactly: *free* is what a new program could get without
/// swapping (the kernel's `MemAvailable`, caches that can be dropped included), *used* is the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryUsage {
    /// All memory.
    pub total_bytes: f64,
    /// Memory that cannot be had.
    pub used_bytes: f64,
    /// Memory that can be had.
    pub free_bytes: f64,
    /// Used share of the total, 0 to 100.
    pub used_percent: f64,
    /// All swap.
    pub swap_total_bytes: f64,
    /// Swap in use.
    pub swap_used_bytes: f64,
}

/// Memory of the machine whose root folder this is.
pub(crate) fn memory_of(root: &std::path::Path) -> Option<MemoryUsage> {
    parse_memory(&std::fs::read_to_string(root.join("proc/meminfo")).ok()?)
}

fn parse_memory(text: &str) -> Option<MemoryUsage> {
    let field = |name| meminfo_bytes(text, name);
    let total = field("MemTotal").filter(|total| *total > 0.0)?;
    let free = match field("MemAvailable") {
        Some(available) => available,
        // Kernels before 3.14 do not say; free and droppable caches come close.
        None => field("MemFree")? + field("Buffers").unwrap_or(0.0) + field("Cached").unwrap_or(0.0),
    };
    let free = free.min(total);
    let swap_total = field("SwapTotal").unwrap_or(0.0);
    Some(MemoryUsage {
        total_bytes: total,
        used_bytes: total - free,
        free_bytes: free,
        used_percent: 100.0 * (total - free) / total,
        swap_total_bytes: swap_total,
        swap_used_bytes: swap_total - field("SwapFree").unwrap_or(swap_total),
    })
}

/// Busy share between two readings of the `cpu` line, 0 to 100. Without time between them, since boot.
fn busy_percent(before: &CpuSeconds, now: &CpuSeconds) -> f64 {
    let ((busy_before, total_before), (busy, total)) = (busy_and_total(before), busy_and_total(now));
    let (busy, total) =
        if total > total_before { (busy - busy_before, total - total_before) } else { (busy, total) };
    if total > 0.0 { (100.0 * busy / total).clamp(0.0, 100.0) } else { 0.0 }
}

/// Readings that the next snapshot is compared with.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    cpu: CpuSeconds,
    own: Option<(i64, f64)>,
}

impl Baseline {
    pub(super) fn read(source: &mut Source) -> Self {
        let cpu = source.text("proc/stat").map(|text| parse_stat(text).total).unwrap_or_default();
        Self { cpu, own: None }
    }

    pub(super) fn snapshot(
        &mut self,
        now_ms: i64,
        groups: Groups,
        source: &mut Source,
        filesystems: &mut Filesystems,
    ) -> SystemSnapshot {
        let mut snapshot = SystemSnapshot {
            t_ms: now_ms,
            cpu: None,
            memory: None,
            disk: Vec::new(),
            network: Vec::new(),
            process: None,
        };
        if groups.contains(Group::Cpu) {
            snapshot.cpu = self.cpu(source);
        }
        if groups.contains(Group::Memory) {
            snapshot.memory = source.text("proc/meminfo").and_then(parse_memory);
        }
        if groups.contains(Group::Disk) {
            snapshot.disk = filesystems.usage(source);
        }
        if groups.contains(Group::Network) {
            snapshot.network = network::usage(source);
        }
        if groups.contains(Group::Process) {
            snapshot.process = self.own(now_ms, source);
        }
        snapshot
    }

    fn cpu(&mut self, source: &mut Source) -> Option<CpuUsage> {
        let stat = parse_stat(source.text("proc/stat")?);
        let percent = busy_percent(&self.cpu, &stat.total);
        self.cpu = stat.total;
        let load = source.text("proc/loadavg").and_then(parse_loadavg).unwrap_or_default();
        Some(CpuUsage { percent, cores: stat.cpus.len(), load })
    }

    fn own(&mut self, now_ms: i64, source: &mut Source) -> Option<OwnProcess> {
        let mut own = process::read_own(source)?;
        let (since_ms, used) = match self.own {
            Some((before_ms, seconds)) => (before_ms, own.cpu_seconds - seconds),
            None => ((own.start_seconds * 1000.0) as i64, own.cpu_seconds),
        };
        let elapsed = (now_ms.saturating_sub(since_ms)) as f64 / 1000.0;
        own.cpu_percent = if elapsed > 0.0 { (100.0 * used / elapsed).max(0.0) } else { 0.0 };
        self.own = Some((now_ms, own.cpu_seconds));
        Some(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_plus_free() {
        let rows = [
            (
                "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 40 kB\nSwapTotal: 8 kB\nSwapFree: 5 kB\n",
                60.0,
            ),
            ("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 25 kB\n", 60.0),
            ("MemTotal: 100 kB\nMemAvailable: 400 kB\n", 0.0),
        ];
        for (text, percent) in rows {
            let memory = parse_memory(text).expect("memory");
            assert_eq!(memory.total_bytes, memory.used_bytes + memory.free_bytes);
            assert_eq!(memory.used_percent, percent);
        }
        assert_eq!(parse_memory("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn busy_is_neither_idle_nor_waiting() {
        let seconds = |user, idle, wait| {
            let mut seconds = CpuSeconds::default();
            (seconds[0], seconds[3], seconds[4]) = (user, idle, wait);
            seconds
        };
        let rows = [
            (seconds(0.0, 0.0, 0.0), seconds(1.0, 2.0, 1.0), 25.0),
            (seconds(5.0, 5.0, 0.0), seconds(8.0, 6.0, 0.0), 75.0),
            (seconds(5.0, 5.0, 0.0), seconds(5.0, 5.0, 0.0), 50.0),
            (seconds(0.0, 0.0, 0.0), seconds(0.0, 0.0, 0.0), 0.0),
        ];
        for (before, now, want) in rows {
            assert_eq!(busy_percent(&before, &now), want);
        }
    }
}
