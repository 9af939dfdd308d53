//! The one place that knows in which order files and folders become durable.

use crate::disk::{Disk, DiskFile};
use crate::error::{Result, StoreError};

/// The folder part of a path; `""` for the data folder itself.
pub(crate) fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

/// Makes a folder with its parents, durably. Folders that exist are synced too, because a crash may have
/// come between their making and their sync.
pub(crate) fn create_dir(disk: &dyn Disk, dir: &str) -> Result<()> {
    disk.create_dir_all(dir).map_err(|e| StoreError::io("create folder", dir, e))?;
    let mut ends: Vec<usize> = dir.match_indices('/').map(|(at, _)| at).collect();
    ends.push(dir.len());
    for end in ends {
        sync_dir(disk, parent(&dir[..end]))?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(disk: &dyn Disk, dir: &str) -> Result<()> {
    disk.sync_dir(dir).map_err(|e| StoreError::io("sync folder", dir, e))
}

/// Makes a finished file durable: its bytes, then its name.
pub(crate) fn seal(disk: &dyn Disk, path: &str, file: &dyn DiskFile) -> Result<()> {
    file.sync_data().map_err(|e| StoreError::io("sync", path, e))?;
    sync_dir(disk, parent(path))
}

/// Writes a new file, durably; an error if there is one of this name.
pub(crate) fn write_new_file(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Result<()> {
    let file = disk.create(path).map_err(|e| StoreError::io("create", path, e))?;
    file.write_at(0, bytes).map_err(|e| StoreError::io("write", path, e))?;
    seal(disk, path, &*file)
}

/// Reads a whole file.
pub(crate) fn read_file(disk: &dyn Disk, path: &str) -> Result<Vec<u8>> {
    let read = |e| StoreError::io("read", path, e);
    let file = disk.open(path).map_err(read)?;
    let mut bytes = vec![0; file.len().map_err(read)? as usize];
    file.read_at(0, &mut bytes).map_err(read)?;
    Ok(bytes)
}

/// Removes files and syncs their folders; what is not there is fine.
pub(crate) fn remove_files<'a>(disk: &dyn Disk, paths: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut folders: Vec<&str> = Vec::new();
    for path in paths {
        match disk.remove(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", path, e));
            }
            _ => folders.push(parent(path)),
        }
    }
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().try_for_each(|folder| sync_dir(disk, folder))
}
