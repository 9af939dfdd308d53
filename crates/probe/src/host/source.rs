//! Reads small files below a root folder into one reused buffer.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most of a file that is read. `/proc/net/udp` of a busy host is the largest; what is beyond is not seen.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Entries of one folder that are listed. Linux allows 4 million processes, we look at the first of them.
const ENTRIES_MAX: usize = 1 << 16;

/// The files of one machine.
#[derive(Debug)]
pub(super) struct Source {
    root: PathBuf,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Source {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into(), path: PathBuf::new(), buffer: vec![0; 16 << 10] }
    }

    /// Where a file of the machine is for us.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The text of a file, or `None` when it cannot be read. Bytes that are not UTF-8 are replaced.
    pub(super) fn text(&mut self, relative: &str) -> Option<&str> {
        self.path.clone_from(&self.root);
        self.path.push(relative);
        let mut file = File::open(&self.path).ok()?;
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                if filled >= FILE_BYTES_MAX {
                    break;
                }
                self.buffer.resize(2 * filled, 0);
            }
            match file.read(&mut self.buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        if std::str::from_utf8(&self.buffer[..filled]).is_err() {
            let replaced = String::from_utf8_lossy(&self.buffer[..filled]).into_owned();
            filled = replaced.len();
            if self.buffer.len() < filled {
                self.buffer.resize(filled, 0);
            }
            self.buffer[..filled].copy_from_slice(replaced.as_bytes());
        }
        std::str::from_utf8(&self.buffer[..filled]).ok()
    }

    /// The first line of a file without surrounding space; `None` when it is empty or cannot be read.
    pub(super) fn line(&mut self, relative: &str) -> Option<&str> {
        self.text(relative)?.lines().next().map(str::trim).filter(|line| !line.is_empty())
    }

    /// The number on the first line of a file, decimal or `0x` hexadecimal.
    pub(super) fn number(&mut self, relative: &str) -> Option<f64> {
        number(self.line(relative)?)
    }

    /// The names in a folder, sorted; empty when it cannot be read.
    pub(super) fn list(&self, relative: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(relative)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .take(ENTRIES_MAX)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }
}

/// A decimal or `0x` hexadecimal number.
pub(super) fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as f64),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, want) in
            [("0x1003", Some(4099.0)), ("-1", Some(-1.0)), ("12", Some(12.0)), ("0xg", None), ("", None)]
        {
            assert_eq!(number(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_missing_file_is_none_and_a_large_one_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("large"), vec![b'x'; 100_000]).expect("write");
        fs::write(folder.path().join("bytes"), [b'a', 0xff, b'b']).expect("write");
        let mut source = Source::new(folder.path());
        assert_eq!(source.text("large").map(str::len), Some(100_000));
        assert_eq!(source.text("bytes"), Some("a\u{fffd}b"));
        assert_eq!(source.text("missing"), None);
        assert_eq!(source.list("."), ["bytes", "large"]);
    }
}
