//! Disk and memory of the machine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use crate::check::reach::Facts;
use crate::check::spec::{DiskConfig, MemoryConfig};
use crate::check::trace::{Fault, Trace};
use crate::host::{memory_of, space_of};

/// Filesystems asked at once. One on a machine that is gone holds its thread until the kernel gives up.
const ASKING_MAX: usize = 4;

/// Share in use that is too much when nothing else is said.
const USED_PERCENT_MAX: f64 = 90.0;

fn root(facts: &dyn Facts) -> Result<PathBuf, Fault> {
    facts.host_root().map(Path::to_path_buf).ok_or_else(|| {
        Fault::unknown("the machine of the server is not looked at; run the check on an agent of yours")
    })
}

pub(super) async fn disk(trace: &mut Trace<'_>, facts: &dyn Facts, config: &DiskConfig) -> Result<(), Fault> {
    static ASKING: OnceLock<Arc<Semaphore>> = OnceLock::new();
    let asking = ASKING.get_or_init(|| Arc::new(Semaphore::new(ASKING_MAX)));
    let path = root(facts)?.join(trace.check.spec().target.trim_start_matches('/'));
    trace.begin("asking the filesystem");
    let permit = Arc::clone(asking).acquire_owned().await.map_err(|e| Fault::unknown(e.to_string()))?;
    let asked = kit::spawn::spawn_blocking("disk check", move || {
        let answer = space_of(&path);
        drop(permit);
        answer
    });
    let space = asked.await.map_err(|e| Fault::unknown(e.to_string()))?;
    let space = space
        .map_err(|e| Fault::unhealthy(format!("{} cannot be looked at: {e}", trace.check.spec().target)))?;
    let free_percent = 100.0 - space.used_percent;
    trace.value("usedPercent", space.used_percent);
    trace.value("freeBytes", space.available_bytes);
    trace.value("totalBytes", space.total_bytes);
    let nothing = config.max_used_percent.is_none()
        && config.min_free_percent.is_none()
        && config.min_free_bytes.is_none();
    let max_used = config.max_used_percent.or_else(|| nothing.then_some(USED_PERCENT_MAX));
    if let Some(max) = max_used.filter(|max| space.used_percent > *max) {
        return Err(Fault::unhealthy(format!(
            "{:.1} % of the space is in use, at most {max} % may be",
            space.used_percent
        )));
    }
    if let Some(min) = config.min_free_percent.filter(|min| free_percent < *min) {
        return Err(Fault::unhealthy(format!(
            "{free_percent:.1} % of the space is free, at least {min} % must be"
        )));
    }
    if let Some(min) = config.min_free_bytes.filter(|min| space.available_bytes < *min as f64) {
        return Err(Fault::unhealthy(format!(
            "{} bytes are free, at least {min} must be",
            space.available_bytes
        )));
    }
    Ok(())
}

pub(super) async fn memory(
    trace: &mut Trace<'_>,
    facts: &dyn Facts,
    config: &MemoryConfig,
) -> Result<(), Fault> {
    let root = root(facts)?;
    let memory = memory_of(&root)
        .ok_or_else(|| Fault::unknown("/proc/meminfo does not say how much memory there is"))?;
    let used = memory.used_percent;
    trace.value("usedPercent", used);
    trace.value("availableBytes", memory.free_bytes);
    trace.value("totalBytes", memory.total_bytes);
    if used > config.max_used_percent {
        let max = config.max_used_percent;
        return Err(Fault::unhealthy(format!("{used:.1} % of the memory is in use, at most {max} % may be")));
    }
    Ok(())
}
