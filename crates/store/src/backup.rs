//! Copies of a data folder: taken while it is in use, and put into an empty folder.
//!
//! A backup is itself a data folder without a log.

use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::manifest;
use crate::segment::TableCache;
use crate::view::{SegmentFiles, View};

const COPY_BYTES: usize = 1 << 20;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Segments.
    pub segments: usize,
    /// Bytes of their files.
    pub bytes: u64,
}

impl Engine {
    /// Copies everything that was stored until now into an empty folder. Writes and queries go on. Blocks.
    pub fn backup(&self, to: &Arc<dyn Disk>, now_ms: i64) -> Result<Copied> {
        if !self.is_replayed() {
            let reason = "the log of the last run is still being read".into();
            return Err(StoreError::Unavailable { reason });
        }
        must_be_empty(&**to)?;
        self.flush_all(now_ms)?;
        // The view keeps the files that the state names.
        let (state, view) = self.pinned();
        let copied = Copied::all(&view, &*self.disk, &**to)?;
        manifest::write_checkpoint(Arc::clone(to), &state)?;
        Ok(copied)
    }
}

/// Copies a backup into an empty data folder, which can then be opened. Blocks.
pub fn restore(from: &Arc<dyn Disk>, to: &Arc<dyn Disk>) -> Result<Copied> {
    must_be_empty(&**to)?;
    let state = manifest::read_state(&**from)?
        .ok_or_else(|| StoreError::Refused("the folder to restore from holds no backup".into()))?;
    let view = View::default().next(&state, from, &Arc::new(TableCache::new(0)));
    let copied = Copied::all(&view, &**from, &**to)?;
    manifest::write_checkpoint(Arc::clone(to), &state)?;
    Ok(copied)
}

impl Copied {
    /// Copies every segment of a view.
    fn all(view: &View, from: &dyn Disk, to: &dyn Disk) -> Result<Self> {
        let mut copied = Self::default();
        for shard in view.shards.values() {
            for segment in &shard.segments {
                copied.add(from, to, &*segment.segment)?;
            }
            for segment in &shard.row_segments {
                copied.add(from, to, &*segment.segment)?;
            }
        }
        Ok(copied)
    }

    fn add(&mut self, from: &dyn Disk, to: &dyn Disk, segment: &dyn SegmentFiles) -> Result<()> {
        for path in segment.paths() {
            self.bytes += copy(from, to, path)?;
        }
        self.segments += 1;
        Ok(())
    }
}

fn must_be_empty(disk: &dyn Disk) -> Result<()> {
    for name in ["manifest", "wal", "tenants"] {
        if disk.exists(name).map_err(|e| StoreError::io("look at", name, e))? {
            let message = format!("the folder to copy into already holds {name:?}; choose an empty one");
            return Err(StoreError::Refused(message));
        }
    }
    Ok(())
}

fn copy(from: &dyn Disk, to: &dyn Disk, path: &str) -> Result<u64> {
    let io = |action| move |e| StoreError::io(action, path, e);
    let source = from.open(path).map_err(io("open"))?;
    let len = source.len().map_err(io("read"))?;
    durable::create_dir(to, durable::parent(path))?;
    let target: Box<dyn DiskFile> = to.create(path).map_err(io("create"))?;
    let mut buffer = vec![0; COPY_BYTES.min(len as usize)];
    let mut offset = 0;
    while offset < len {
        let piece = &mut buffer[..COPY_BYTES.min((len - offset) as usize)];
        source.read_at(offset, piece).map_err(io("read"))?;
        target.write_at(offset, piece).map_err(io("write"))?;
        offset += piece.len() as u64;
    }
    durable::seal(to, path, &*target)?;
    Ok(len)
}
