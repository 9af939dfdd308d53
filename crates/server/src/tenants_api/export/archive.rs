//! Tar archives, as POSIX has them (ustar): a header of 512 bytes, the content, filled up to 512 bytes.

const BLOCK: usize = 512;

/// Longest name. Ours are shorter by far.
const NAME_BYTES_MAX: usize = 100;

/// What ends an archive: two empty blocks.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// One file, readable by its owner; `at_s` is in seconds since the Unix epoch.
pub(super) fn entry(name: &str, content: &[u8], at_s: i64) -> Vec<u8> {
    debug_assert!(name.len() <= NAME_BYTES_MAX, "{name}");
    let mut header = [0u8; BLOCK];
    put(&mut header, 0, &name.as_bytes()[..name.len().min(NAME_BYTES_MAX)]);
    put(&mut header, 100, b"0000600\0");
    put(&mut header, 108, b"0000000\0");
    put(&mut header, 116, b"0000000\0");
    put(&mut header, 124, format!("{:011o}\0", content.len()).as_bytes());
    put(&mut header, 136, format!("{:011o}\0", at_s.max(0)).as_bytes());
    // The sum is taken with blanks in its own place.
    put(&mut header, 148, b"        ");
    header[156] = b'0';
    put(&mut header, 257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
    let mut entry = header.to_vec();
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(BLOCK), 0);
    entry
}

fn put(header: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_read_our_archives() {
        let folder = tempfile::tempdir().expect("folder");
        let long = vec![b'x'; 513];
        let files: [(&str, &[u8]); 3] = [("a.txt", b"hello"), ("b/empty", b""), ("b/long", &long)];
        let mut archive: Vec<u8> =
            files.iter().flat_map(|(name, content)| entry(name, content, 1_700_000_000)).collect();
        archive.extend_from_slice(&END);
        let path = folder.path().join("a.tar");
        std::fs::write(&path, archive).expect("written");
        let done =
            std::process::Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(folder.path()).status();
        assert!(done.expect("tar runs").success());
        for (name, content) in files {
            assert_eq!(std::fs::read(folder.path().join(name)).expect("extracted"), content, "{name}");
        }
    }
}
