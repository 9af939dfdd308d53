//! How much memory the process may use: what the setting says, else a share of what its cgroup (version 1
//! or 2) or the machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// Share of the machine or cgroup that is budgeted, percent. The rest covers the program itself, small
/// allocations and the allocator's slack.
const SHARE_PERCENT: u64 = 70;

/// Used where neither cgroup nor machine says anything.
const FALLBACK_BYTES: u64 = 512 << 20;

/// A version 1 limit above this means "none": the kernel writes the largest page-aligned number.
const V1_UNLIMITED_BYTES: u64 = 1 << 62;

/// A limit and where it came from, for the start-up line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// What the budget may hand out, bytes.
    pub bytes: u64,
    /// Such as `memory.limit`, `70 % of cgroup` or `70 % of host`.
    pub source: &'static str,
}

/// The limit on this machine. `explicit` wins.
pub fn detect(explicit: Option<u64>) -> MemoryLimit {
    detect_at(Path::new("/"), explicit)
}

/// The same with another root folder, for tests.
pub fn detect_at(root: &Path, explicit: Option<u64>) -> MemoryLimit {
    if let Some(bytes) = explicit {
        return MemoryLimit { bytes, source: "memory.limit" };
    }
    let host = host_bytes(root);
    match (cgroup_bytes(root), host) {
        (Some(cgroup), host) if host.is_none_or(|host| cgroup < host) => {
            MemoryLimit { bytes: share(cgroup), source: "70 % of cgroup" }
        }
        (_, Some(host)) => MemoryLimit { bytes: share(host), source: "70 % of host" },
        (_, None) => MemoryLimit { bytes: FALLBACK_BYTES, source: "fallback" },
    }
}

fn share(bytes: u64) -> u64 {
    bytes / 100 * SHARE_PERCENT
}

fn host_bytes(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The smallest limit on the way from the process's cgroup up to the root.
fn cgroup_bytes(root: &Path) -> Option<u64> {
    let memberships = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if controllers.is_empty() {
            limits.extend(walk(&root.join("sys/fs/cgroup"), path, "memory.max"));
        } else if controllers.split(',').any(|name| name == "memory") {
            limits.extend(walk(&root.join("sys/fs/cgroup/memory"), path, "memory.limit_in_bytes"));
        }
    }
    limits.into_iter().min()
}

fn walk(base: &Path, path: &str, file: &str) -> Vec<u64> {
    let mut folder: PathBuf = base.join(path.trim_start_matches('/'));
    let mut limits = Vec::new();
    loop {
        limits.extend(read_limit(&folder.join(file)));
        if folder == base || !folder.pop() || !folder.starts_with(base) {
            return limits;
        }
    }
}

fn read_limit(file: &Path) -> Option<u64> {
    // `max` and anything else that is not a number mean that there is no limit here.
    fs::read_to_string(file).ok()?.trim().parse().ok().filter(|bytes| *bytes < V1_UNLIMITED_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], explicit: Option<u64>, bytes: u64, source: &str) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let limit = detect_at(root.path(), explicit);
        assert_eq!((limit.bytes, limit.source), (bytes, source), "{files:?}");
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        1000000 kB\nMemFree: 5 kB\n");

    #[test]
    fn the_setting_wins() {
        check(&[MEMINFO], Some(123), 123, "memory.limit");
    }

    #[test]
    fn a_version_2_limit_counts_from_the_process_up_to_the_root() {
        let own = ("proc/self/cgroup", "0::/system.slice/bellwether.service\n");
        let leaf = "sys/fs/cgroup/system.slice/bellwether.service/memory.max";
        check(&[MEMINFO, own, (leaf, "536870912\n")], None, 375_809_630, "70 % of cgroup");
        let parent = ("sys/fs/cgroup/system.slice/memory.max", "100000\n");
        check(&[MEMINFO, own, (leaf, "max\n"), parent], None, 70_000, "70 % of cgroup");
        check(&[MEMINFO, own, (leaf, "max\n")], None, 716_800_000, "70 % of host");
    }

    #[test]
    fn a_namespaced_version_2_cgroup_is_the_root() {
        let own = ("proc/self/cgroup", "0::/\n");
        check(&[MEMINFO, own, ("sys/fs/cgroup/memory.max", "1000000\n")], None, 700_000, "70 % of cgroup");
    }

    #[test]
    fn a_version_1_limit_counts_unless_it_is_the_kernels_none() {
        let own = ("proc/self/cgroup", "5:cpu,cpuacct:/x\n9:memory:/docker/abc\n");
        let file = "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes";
        check(&[MEMINFO, own, (file, "1000000")], None, 700_000, "70 % of cgroup");
        check(&[MEMINFO, own, (file, "9223372036854771712")], None, 716_800_000, "70 % of host");
    }

    #[test]
    fn a_cgroup_larger_than_the_machine_does_not_count() {
        let own = ("proc/self/cgroup", "0::/\n");
        check(
            &[MEMINFO, own, ("sys/fs/cgroup/memory.max", "99000000000\n")],
            None,
            716_800_000,
            "70 % of host",
        );
    }

    #[test]
    fn without_any_source_there_is_a_modest_limit() {
        check(&[], None, FALLBACK_BYTES, "fallback");
        check(&[("proc/meminfo", "nonsense")], None, FALLBACK_BYTES, "fallback");
    }
}
