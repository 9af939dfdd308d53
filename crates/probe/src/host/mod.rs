//! Host collector: reads `/proc` and `/sys` and speaks node_exporter's language.
//!
//! Metrics carry node_exporter's names and labels, with `job="node"` and `instance=<hostname>`, so that its
//! dashboards and rules work as they are. A file that is missing or unreadable costs only its own metrics.
//! Parsers are functions from text to values; the files are read below a root folder, which tests choose.

mod cpu; // /proc/stat, load, pressure
mod disk; // /proc/diskstats
mod filesystem; // mounts and their space
mod hwmon; // temperatures, fans, voltages
mod memory; // /proc/meminfo, /proc/vmstat
mod netstat; // protocol counters, sockets, connection tracking
mod network; // interfaces
mod process; // processes by command, and our own
mod snapshot; // the typed picture for the monitoring API
mod source; // reading files
mod system; // name, boot time, file handles, entropy
mod writer; // values to series

use std::path::Path;

use model::MetricBatch;

pub use filesystem::FilesystemUsage;
pub use network::InterfaceUsage;
pub use process::OwnProcess;
pub use snapshot::{CpuUsage, MemoryUsage, SystemSnapshot};

pub(crate) use filesystem::space_of;
pub(crate) use snapshot::memory_of;

use source::Source;
use writer::Writer;

/// The `job` label of the host's series.
pub const JOB: &str = "node";

/// The `job` label of the series about this process.
pub const OWN_JOB: &str = "bellwether";

/// Collections between two that carry metadata: ten minutes at one every ten seconds. Metadata is kept by
/// name, so repeating it only serves a store that was emptied meanwhile.
const METADATA_EVERY: u64 = 60;

/// What is collected together and switched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// CPU time, load, pressure, context switches, interrupts, forks.
    Cpu,
    /// Memory and paging.
    Memory,
    /// Block devices and filesystems.
    Disk,
    /// Interfaces, protocols and sockets.
    Network,
    /// Processes by command, and this process.
    Process,
    /// Name, boot time, clock, file handles, entropy, sensors.
    System,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 6] =
        [Self::Cpu, Self::Memory, Self::Disk, Self::Network, Self::Process, Self::System];

    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Network => "network",
            Self::Process => "process",
            Self::System => "system",
        }
    }
}

/// The groups that are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups(u8);

impl Groups {
    /// All of them.
    pub fn all() -> Self {
        Group::ALL.into_iter().fold(Self(0), Self::with)
    }

    /// None of them.
    pub fn none() -> Self {
        Self(0)
    }

    /// These and one more.
    pub fn with(self, group: Group) -> Self {
        Self(self.0 | 1 << group as u8)
    }

    /// True when the group is collected.
    pub fn contains(self, group: Group) -> bool {
        self.0 & (1 << group as u8) != 0
    }

    /// Reads a list of names as settings have it; `all` stands for every group.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownGroup> {
        let mut groups = Self::none();
        for name in names {
            match Group::ALL.into_iter().find(|group| group.as_str() == name) {
                Some(group) => groups = groups.with(group),
                None if name == "all" => groups = Self::all(),
                None => return Err(UnknownGroup(name.chars().take(80).collect())),
            }
        }
        Ok(groups)
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self::all()
    }
}

/// A group that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metric group {0:?} is unknown; use all, cpu, memory, disk, network, process or system")]
pub struct UnknownGroup(String);

/// Reads this machine. Owns its buffers and what must be remembered between two readings, so one collector
/// serves one caller at a time. Reading blocks for a few milliseconds: call it from a blocking thread.
#[derive(Debug)]
pub struct HostCollector {
    source: Source,
    groups: Groups,
    instance: String,
    collections: u64,
    cpu: cpu::Cpu,
    disk: disk::Disks,
    filesystems: filesystem::Filesystems,
    network: network::Interfaces,
    processes: process::Processes,
    system: system::System,
    baseline: snapshot::Baseline,
}

impl HostCollector {
    /// A collector that reads `<root>/proc` and `<root>/sys` and names its series after the host. `root` is
    /// `/`, or the folder where a container sees the host's root.
    pub fn new(root: &Path) -> Self {
        let mut source = Source::new(root);
        let instance = source.line("proc/sys/kernel/hostname").unwrap_or("localhost").to_owned();
        let baseline = snapshot::Baseline::read(&mut source);
        Self {
            source,
            groups: Groups::all(),
            instance,
            collections: 0,
            cpu: cpu::Cpu::default(),
            disk: disk::Disks::default(),
            filesystems: filesystem::Filesystems::default(),
            network: network::Interfaces::default(),
            processes: process::Processes::default(),
            system: system::System::default(),
            baseline,
        }
    }

    /// Chooses what [`Self::collect`] reads from now on.
    pub fn set_groups(&mut self, groups: Groups) {
        self.groups = groups;
    }

    /// The `instance` label: the host's name.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Appends one reading of every chosen group to the batch, at `now_ms` (milliseconds since the epoch).
    pub fn collect(&mut self, now_ms: i64, batch: &mut MetricBatch) {
        let describe = self.collections.is_multiple_of(METADATA_EVERY);
        self.collections += 1;
        let source = &mut self.source;
        let mut node = Writer::new(batch, now_ms, JOB, &self.instance, describe);
        if self.groups.contains(Group::Cpu) {
            self.cpu.collect(source, &mut node);
        }
        if self.groups.contains(Group::Memory) {
            memory::collect(source, &mut node);
        }
        if self.groups.contains(Group::Disk) {
            self.disk.collect(source, &mut node);
            self.filesystems.collect(source, &mut node);
        }
        if self.groups.contains(Group::Network) {
            self.network.collect(source, &mut node);
            netstat::collect(source, &mut node);
        }
        if self.groups.contains(Group::System) {
            self.system.collect(source, &mut node);
            hwmon::collect(source, &mut node);
        }
        if self.groups.contains(Group::Process) {
            self.processes.collect(source, &mut node);
            let mut own = Writer::new(batch, now_ms, OWN_JOB, &self.instance, describe);
            process::collect_own(source, &mut own);
        }
    }

    /// The typed picture of the chosen groups at `now_ms`. CPU percentages cover the time since the previous
    /// snapshot, or since the collector was made.
    pub fn snapshot(&mut self, now_ms: i64) -> SystemSnapshot {
        self.baseline.snapshot(now_ms, self.groups, &mut self.source, &mut self.filesystems)
    }
}
