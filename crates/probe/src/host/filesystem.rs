//! Mounted filesystems and their space.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use model::MetricType;

use super::source::Source;
use super::writer::{Gauge, Writer};

/// A server that is gone can hold up a question about its filesystem for minutes; we wait this long.
const NETWORK_ANSWER_MAX: Duration = Duration::from_millis(500);

/// Mounts looked at. Hosts full of containers have thousands, nearly all of excluded types.
const MOUNTS_MAX: usize = 4096;

/// Types without space of their own, as node_exporter leaves them out by default.
const EXCLUDED_TYPES: [&str; 26] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "efivarfs",
];

/// Types whose answer depends on another machine.
const NETWORK_TYPES: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "glusterfs", "afs", "fuse.sshfs"];

/// One line of `/proc/mounts`, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    mountpoint: String,
    fstype: String,
    read_only: bool,
}

fn parse_mounts(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(mountpoint), Some(fstype), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if is_excluded(&unescape(mountpoint), fstype) || mounts.len() >= MOUNTS_MAX {
            continue;
        }
        let mount = Mount {
            device: unescape(device),
            mountpoint: unescape(mountpoint),
            fstype: fstype.into(),
            read_only: options.split(',').any(|option| option == "ro"),
        };
        // A later mount of the same device, place and type hides the earlier one.
        let same = |m: &Mount| {
            m.device == mount.device && m.mountpoint == mount.mountpoint && m.fstype == mount.fstype
        };
        if !mounts.iter().any(same) {
            mounts.push(mount);
        }
    }
    mounts
}

fn is_excluded(mountpoint: &str, fstype: &str) -> bool {
    let below = |folder: &str| {
        mountpoint.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let inside = |folder: &str| mountpoint.strip_prefix(folder).is_some_and(|rest| !rest.is_empty());
    EXCLUDED_TYPES.contains(&fstype)
        || ["/dev", "/proc", "/sys"].into_iter().any(below)
        || ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"].into_iter().any(inside)
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            _ => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Space and file nodes of one filesystem.
#[derive(Clone, Debug, PartialEq)]
pub struct FilesystemUsage {
    /// What is mounted, such as `/dev/vda`.
    pub device: String,
    /// Where.
    pub mountpoint: String,
    /// Its type, such as `ext4`.
    pub fstype: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// Its size, bytes.
    pub total_bytes: f64,
    /// Bytes in use: total without free.
    pub used_bytes: f64,
    /// Free bytes, those reserved for root included.
    pub free_bytes: f64,
    /// Free bytes for everyone.
    pub available_bytes: f64,
    /// Share in use of what everyone could use, as `df` counts: used / (used + available), 0 to 100.
    pub used_percent: f64,
    /// File nodes in all; 0 where the type has no such limit.
    pub files: f64,
    /// File nodes not in use.
    pub files_free: f64,
}

/// Blocks and nodes as the kernel answers.
#[derive(Clone, Copy, Debug)]
struct Space {
    total: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

fn ask(path: &Path) -> Result<Space, rustix::io::Errno> {
    let stat = rustix::fs::statvfs(path)?;
    let block = stat.f_frsize as f64;
    Ok(Space {
        total: stat.f_blocks as f64 * block,
        free: stat.f_bfree as f64 * block,
        available: stat.f_bavail as f64 * block,
        files: stat.f_files as f64,
        files_free: stat.f_ffree as f64,
    })
}

/// Asks the kernel for space; remembers network filesystems that have not answered yet.
#[derive(Debug, Default)]
pub(super) struct Filesystems {
    waiting: HashMap<PathBuf, Arc<AtomicBool>>,
}

impl Filesystems {
    pub(super) fn collect(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        let read = self.read(source);
        let gauges: [Gauge<Space>; 5] = [
            ("node_filesystem_size_bytes", "Filesystem size in bytes.", |s| s.total),
            ("node_filesystem_free_bytes", "Filesystem free space in bytes.", |s| s.free),
            ("node_filesystem_avail_bytes", "Filesystem space available to everyone in bytes.", |s| {
                s.available
            }),
            ("node_filesystem_files", "Filesystem total file nodes.", |s| s.files),
            ("node_filesystem_files_free", "Filesystem total free file nodes.", |s| s.files_free),
        ];
        for (name, help, value) in gauges {
            out.family(name, MetricType::Gauge, help);
            for (mount, space) in &read {
                if let Some(space) = space {
                    out.sample(&mount.labels(), value(space));
                }
            }
        }
        out.family("node_filesystem_readonly", MetricType::Gauge, "Filesystem read-only status.");
        for (mount, _) in read.iter().filter(|(_, space)| space.is_some()) {
            out.sample(&mount.labels(), f64::from(u8::from(mount.read_only)));
        }
        let help = "Whether the filesystem did not say how much space it has.";
        out.family("node_filesystem_device_error", MetricType::Gauge, help);
        for (mount, space) in &read {
            out.sample(&mount.labels(), f64::from(u8::from(space.is_none())));
        }
    }

    /// Every filesystem that answers.
    pub(super) fn usage(&mut self, source: &mut Source) -> Vec<FilesystemUsage> {
        let read = self.read(source);
        read.into_iter().filter_map(|(mount, space)| Some(usage(mount, space?))).collect()
    }

    fn read(&mut self, source: &mut Source) -> Vec<(Mount, Option<Space>)> {
        // Process 1 sees the host's mounts where ours are a container's.
        let text = match source.text("proc/1/mounts") {
            Some(text) => Some(text.to_owned()),
            None => source.text("proc/mounts").map(str::to_owned),
        };
        let mounts = parse_mounts(&text.unwrap_or_default());
        mounts
            .into_iter()
            .map(|mount| {
                let path = source.path(mount.mountpoint.trim_start_matches('/'));
                let network = NETWORK_TYPES.contains(&mount.fstype.as_str());
                let space = if network { self.ask_network(path) } else { ask(&path).ok() };
                (mount, space)
            })
            .collect()
    }

    /// Asks on a thread of its own and leaves it behind when there is no answer; the same filesystem is not
    /// asked again before that thread is done.
    fn ask_network(&mut self, path: PathBuf) -> Option<Space> {
        let waiting = Arc::clone(self.waiting.entry(path.clone()).or_default());
        if waiting.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let asked = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("host-mount".into()).spawn(move || {
            let _ = answer.send(ask(&path).ok());
            asked.store(false, Ordering::Release);
        });
        if thread.is_err() {
            waiting.store(false, Ordering::Release);
            return None;
        }
        answered.recv_timeout(NETWORK_ANSWER_MAX).ok().flatten()
    }
}

impl Mount {
    fn labels(&self) -> [(&str, &str); 3] {
        [("device", &self.device), ("fstype", &self.fstype), ("mountpoint", &self.mountpoint)]
    }
}

/// The filesystem that a path is on. Blocks for as long as the filesystem does.
pub(crate) fn space_of(path: &Path) -> std::io::Result<FilesystemUsage> {
    let mount = Mount {
        device: String::new(),
        mountpoint: path.display().to_string(),
        fstype: String::new(),
        read_only: false,
    };
    Ok(usage(mount, ask(path)?))
}

fn usage(mount: Mount, space: Space) -> FilesystemUsage {
    let used = space.total - space.free;
    let usable = used + space.available;
    FilesystemUsage {
        device: mount.device,
        mountpoint: mount.mountpoint,
        fstype: mount.fstype,
        read_only: mount.read_only,
        total_bytes: space.total,
        used_bytes: used,
        free_bytes: space.free,
        available_bytes: space.available,
        used_percent: if usable > 0.0 { 100.0 * used / usable } else { 0.0 },
        files: space.files,
        files_free: space.files_free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_without_space_of_their_own_are_left_out() {
        let rows = [
            ("/", "ext4", false),
            ("/proc", "proc", true),
            ("/dev/shm", "tmpfs", true),
            ("/devices", "ext4", false),
            ("/sys/fs/cgroup", "tmpfs", true),
            ("/run", "tmpfs", false),
            ("/run/credentials/x", "ramfs", true),
            ("/var/lib/docker", "ext4", false),
            ("/var/lib/docker/overlay2", "ext4", true),
            ("/mnt/data", "overlay", true),
        ];
        for (mountpoint, fstype, want) in rows {
            assert_eq!(is_excluded(mountpoint, fstype), want, "{mountpoint} {fstype}");
        }
    }

    #[test]
    fn mounts_are_unescaped_and_listed_once() {
        let text = "/dev/sda1 /a\\040b ext4 ro,relatime 0 0\n/dev/sda1 /a\\040b ext4 rw 0 0\nshort line\nx /q\\9 xfs rw 0 0\n";
        let mounts = parse_mounts(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].mountpoint.as_str(), mounts[0].read_only), ("/a b", true));
        assert_eq!(mounts[1].mountpoint, "/q\\9");
    }

    #[test]
    fn a_network_filesystem_that_answers_is_read() {
        let mut filesystems = Filesystems::default();
        assert!(filesystems.ask_network("/".into()).is_some_and(|space| space.total > 0.0));
        filesystems.waiting.entry("/gone".into()).or_default().store(true, Ordering::Release);
        assert!(filesystems.ask_network("/gone".into()).is_none());
    }
}
