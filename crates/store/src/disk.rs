//! The seam between the store and the file system: what `sim` breaks on purpose.
//!
//! Paths are relative to the data folder, with `/` between parts. A byte is durable after
//! [`DiskFile::sync_data`]; a name is durable after [`Disk::sync_dir`] of the folder that holds it. Nothing
//! else may be assumed to survive a crash.

#[cfg(any(test, feature = "sim"))]
pub mod memory; // forgets what was not synced
mod real; // a folder of the operating system

use std::io;

pub use real::RealDisk;

/// A data folder.
pub trait Disk: Send + Sync {
    /// Makes a new empty file for reading and writing; an error of kind `AlreadyExists` if there is one.
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Names of the files and folders in a folder, sorted. `""` is the data folder itself.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Makes a folder and its parents where they are missing.
    fn create_dir_all(&self, dir: &str) -> io::Result<()>;

    /// Makes the names in a folder durable. `""` is the data folder itself.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// True when a file or folder has this name.
    fn exists(&self, path: &str) -> io::Result<bool>;

    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file. Positions are given with each call, so that many threads can share one.
pub trait DiskFile: Send + Sync {
    /// Writes all of `bytes` at a position, extending the file where needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills all of `bytes` from a position; `UnexpectedEof` if the file is shorter.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Makes the file's bytes and length durable. After an error nothing is known about what was written
    /// since the last success, and calling again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves room, so that writing below `len` cannot run out of space; extends the file with zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts or extends the file to a length.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// True when the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::memory::MemoryDisk;
    use super::*;

    /// What both implementations promise.
    fn check_disk(disk: &dyn Disk) {
        disk.create_dir_all("a/b").expect("folders");
        let file = disk.create("a/b/f").expect("new file");
        file.write_at(3, b"xyz").expect("write");
        let mut bytes = [9; 6];
        file.read_at(0, &mut bytes).expect("read");
        assert_eq!(&bytes, b"\0\0\0xyz");
        assert_eq!(
            file.read_at(1, &mut bytes).expect_err("past the end").kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(disk.create("a/b/f").err().expect("is there").kind(), io::ErrorKind::AlreadyExists);
        file.allocate(4096).expect("allocate");
        assert_eq!(file.len().expect("len"), 4096);
        file.truncate(4).expect("truncate");
        file.sync_data().expect("sync");
        disk.rename("a/b/f", "a/g").expect("rename");
        disk.sync_dir("a").expect("sync folder");
        assert_eq!(disk.list("a").expect("list"), ["b", "g"]);
        assert_eq!(disk.open("a/g").expect("open").len().expect("len"), 4);
        assert_eq!(disk.open("a/b/f").err().expect("gone").kind(), io::ErrorKind::NotFound);
        assert!(disk.exists("a/b").expect("exists") && !disk.exists("a/c").expect("exists"));
        disk.remove("a/g").expect("remove");
        disk.remove_dir("a/b").expect("remove folder");
        assert!(disk.list("a").expect("list").is_empty());
        assert!(disk.free_bytes().expect("free") > 0);
    }

    #[test]
    fn the_real_disk_keeps_the_promises() {
        let folder = tempfile::tempdir().expect("folder");
        check_disk(&RealDisk::open(folder.path()).expect("lock"));
    }

    #[test]
    fn the_memory_disk_keeps_the_promises() {
        check_disk(&MemoryDisk::new());
    }

    #[test]
    fn a_data_folder_opens_once() {
        let folder = tempfile::tempdir().expect("folder");
        let first = RealDisk::open(folder.path()).expect("lock");
        assert!(matches!(RealDisk::open(folder.path()), Err(crate::StoreError::Locked { .. })));
        drop(first);
        RealDisk::open(folder.path()).expect("free again");
    }
}
