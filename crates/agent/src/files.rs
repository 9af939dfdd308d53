//! Log files: whatever is appended, line by line, from where the agent stood when it last stopped.
//!
//! A place in a file is remembered by device and inode, so that a rotated file is read to its end under its new
//! name and the new one from its beginning. Places are written after the lines are in the buffer.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::state_file;

/// Longest line; the rest of a longer one becomes lines of its own.
const LINE_BYTES_MAX: usize = 256 << 10;
/// Read from one file before the next has its turn.
const TURN_BYTES: usize = 1 << 20;
/// Read from all files before the lines are handed on; the next look begins where this one ended.
const LOOK_BYTES: usize = 16 << 20;
/// Files watched at once; more are left out and told of.
const FILES_MAX: usize = 10_000;

/// A line and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) file: PathBuf,
    pub(crate) text: Vec<u8>,
}

/// Device and inode.
type FileId = (u64, u64);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Places(HashMap<String, Place>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    path: PathBuf,
    offset: u64,
}

/// Follows files by pattern.
pub(crate) struct Follower {
    state_file: PathBuf,
    patterns: Vec<String>,
    places: Places,
    /// Whether files that are found for the first time are read from their beginning.
    from_start: bool,
    /// Whether the places were written since the beginning.
    committed: bool,
    /// The file with which the next look begins.
    first: usize,
}

impl Follower {
    /// Begins where the last run ended.
    pub(crate) fn open(state_file: PathBuf, patterns: Vec<String>) -> Self {
        let known: Option<Places> =
            fs::read(&state_file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // On the very first run the past of a file is left alone.
        let from_start = known.is_some();
        let places = known.unwrap_or_default();
        Self { state_file, patterns, places, from_start, committed: false, first: 0 }
    }

    /// Watches other patterns from now on.
    pub(crate) fn set_patterns(&mut self, patterns: Vec<String>) {
        self.patterns = patterns;
    }

    /// Lines that were added since the last call, at most about a turn of each file and so much of all.
    /// [`Self::commit`] makes their places the ones to begin from.
    pub(crate) fn poll(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut seen = HashMap::new();
        let mut left = LOOK_BYTES;
        let mut files = self.matching();
        let first = self.first % files.len().max(1);
        files.rotate_left(first);
        self.first = 0;
        for (at, path) in files.iter().enumerate() {
            if left == 0 && self.first == 0 {
                self.first = first + at;
            }
            match self.read(path, path, &mut left, &mut lines) {
                Ok((id, place)) => {
                    seen.insert(key(id), place);
                }
                Err(error) => {
                    tracing::debug!(file = %path.display(), %error, "a file cannot be read");
                    let known = self.places.0.iter().filter(|(_, place)| place.path == *path);
                    seen.extend(known.map(|(id, place)| (id.clone(), place.clone())).collect::<Vec<_>>());
                }
            }
        }
        for (was, now) in self.rotated(&seen) {
            if let Ok((id, place)) = self.read(&now, &was, &mut left, &mut lines) {
                seen.insert(key(id), place);
            }
        }
        self.from_start = true;
        self.places.0 = seen;
        lines
    }

    /// Files that no pattern names any more because they were renamed: what they were called, and what they are. Their
    /// ends are still to be read, and whoever wrote them may go on for a while.
    fn rotated(&self, seen: &HashMap<String, Place>) -> Vec<(PathBuf, PathBuf)> {
        let is_renamed = |id: &str, place: &Place| match fs::metadata(&place.path) {
            Ok(facts) => key((facts.dev(), facts.ino())) != *id,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let gone: HashMap<&str, &Place> = self
            .places
            .0
            .iter()
            .filter(|(id, place)| {
                !seen.contains_key(*id) && self.is_wanted(&place.path) && is_renamed(id, place)
            })
            .map(|(id, place)| (id.as_str(), place))
            .collect();
        let mut folders: Vec<&Path> = gone.values().filter_map(|place| place.path.parent()).collect();
        folders.sort_unstable();
        folders.dedup();
        let mut found = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(facts) = entry.metadata() else { continue };
                if let Some(place) = gone.get(key((facts.dev(), facts.ino())).as_str()) {
                    found.push((place.path.clone(), entry.path()));
                }
            }
        }
        found
    }

    /// Whether a pattern names a path, whether or not there is such a file.
    fn is_wanted(&self, path: &Path) -> bool {
        let Some(path) = path.to_str() else { return false };
        let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let path: Vec<String> = parts(path);
        self.patterns.iter().any(|pattern| {
            let pattern: Vec<String> = parts(pattern);
            let mut pairs = pattern.iter().zip(&path);
            pattern.len() == path.len() && pairs.all(|(part, name)| fits(part.as_bytes(), name.as_bytes()))
        })
    }

    /// Whether the places were written since the beginning.
    pub(crate) fn is_committed(&self) -> bool {
        self.committed
    }

    /// Remembers how far was read; called when the lines are durable.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        state_file::replace(&self.state_file, &serde_json::to_vec(&self.places)?)?;
        self.committed = true;
        Ok(())
    }

    fn matching(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.patterns.iter().flat_map(|pattern| expand(pattern)).collect();
        paths.sort_unstable();
        paths.dedup();
        if paths.len() > FILES_MAX {
            tracing::warn!(found = paths.len(), FILES_MAX, "more log files than are followed");
            paths.truncate(FILES_MAX);
        }
        paths
    }

    /// Reads on in a file; `name` is what its lines are said to come from.
    fn read(
        &self,
        path: &Path,
        name: &Path,
        left: &mut usize,
        lines: &mut Vec<Line>,
    ) -> io::Result<(FileId, Place)> {
        let mut file = File::open(path)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
        }
        let id = (facts.dev(), facts.ino());
        let mut offset = match self.places.0.get(&key(id)) {
            // A file that became shorter was emptied and begins anew.
            Some(place) if place.offset <= facts.len() => place.offset,
            Some(_) => 0,
            None if self.from_start => 0,
            None => facts.len(),
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(TURN_BYTES.min(*left) as u64).read_to_end(&mut bytes)?;
        *left -= bytes.len();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (line, taken) = match rest.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') {
                Some(end) => (&rest[..end], end + 1),
                None if rest.len() >= LINE_BYTES_MAX => (&rest[..LINE_BYTES_MAX], LINE_BYTES_MAX),
                // A line without its end may still be in the making.
                None => break,
            };
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            if !text.is_empty() {
                lines.push(Line { file: name.to_owned(), text: text.to_vec() });
            }
            offset += taken as u64;
            rest = &rest[taken..];
        }
        Ok((id, Place { path: name.to_owned(), offset }))
    }
}

fn key((device, inode): FileId) -> String {
    format!("{device}:{inode}")
}

/// Paths that a pattern names: `*` and `?` stand within one part of the path.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_str().is_some_and(|name| fits(part.as_bytes(), name.as_bytes())) {
                    next.push(entry.path());
                }
            }
            if next.len() > 4 * FILES_MAX {
                break;
            }
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

/// Whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            n = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn texts(follower: &mut Follower) -> Vec<String> {
        let lines = follower.poll().into_iter().map(|line| String::from_utf8_lossy(&line.text).into_owned());
        let lines = lines.collect();
        follower.commit().expect("places");
        lines
    }

    #[test]
    fn stars_and_question_marks_fit_within_a_name() {
        for (pattern, name, want) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a*b*c", "axxbyyc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }

    #[test]
    fn lines_come_once_over_rotation_truncation_and_restarts() {
        let folder = tempfile::tempdir().expect("folder");
        let (log, state) = (folder.path().join("app.log"), folder.path().join("state"));
        let pattern = vec![format!("{}/*.log*", folder.path().display())];
        fs::write(&log, "before\n").expect("write");
        let mut follower = Follower::open(state.clone(), pattern.clone());
        assert!(texts(&mut follower).is_empty(), "the past is left alone");
        let append = |text: &str| {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("open");
            file.write_all(text.as_bytes()).expect("write");
        };
        append("one\r\ntwo\nhalf");
        assert_eq!(texts(&mut follower), ["one", "two"]);
        append(" done\n");
        drop(follower);
        let mut follower = Follower::open(state, pattern);
        assert_eq!(texts(&mut follower), ["half done"]);
        append("last\n");
        fs::rename(&log, folder.path().join("app.log.1")).expect("rotate");
        append("new\n");
        let mut both = texts(&mut follower);
        both.sort_unstable();
        assert_eq!(both, ["last", "new"]);
        fs::write(&log, "n\n").expect("truncate");
        assert_eq!(texts(&mut follower), ["n"]);
    }

    #[test]
    fn the_end_of_a_rotated_file_is_read_although_no_pattern_names_it() {
        let folder = tempfile::tempdir().expect("folder");
        let (log, old) = (folder.path().join("app.log"), folder.path().join("app.log.1"));
        let pattern = vec![format!("{}/*.log", folder.path().display())];
        fs::write(&log, "").expect("write");
        let state = folder.path().join("state");
        let mut follower = Follower::open(state.clone(), pattern.clone());
        assert!(texts(&mut follower).is_empty());
        fs::write(&log, "one\n").expect("write");
        fs::rename(&log, &old).expect("rotate");
        fs::write(&log, "new\n").expect("write");
        let mut lines = follower.poll();
        lines.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        assert!(lines.iter().all(|line| line.file == log), "named as before");
        assert_eq!(lines.iter().map(|line| line.text.as_slice()).collect::<Vec<_>>(), [b"new", b"one"]);
        follower.commit().expect("places");
        let mut file = fs::OpenOptions::new().append(true).open(&old).expect("open");
        file.write_all(b"late\n").expect("write");
        let mut follower = Follower::open(state, pattern);
        assert_eq!(texts(&mut follower), ["late"], "its writer had not noticed");
        follower.set_patterns(vec![format!("{}/*.txt", folder.path().display())]);
        fs::write(&log, "new\nunwanted\n").expect("write");
        assert!(texts(&mut follower).is_empty(), "nobody asks for it any more");
    }

    #[test]
    fn one_look_is_bounded_and_the_next_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let state = folder.path().join("state");
        fs::write(&state, "{}").expect("an earlier run");
        let files = LOOK_BYTES / TURN_BYTES + 4;
        let text = format!("{}\n", "x".repeat(1023)).repeat(TURN_BYTES / 1024);
        for file in 0..files {
            fs::write(folder.path().join(format!("{file:02}.log")), &text).expect("write");
        }
        let mut follower = Follower::open(state, vec![format!("{}/*.log", folder.path().display())]);
        let (first, second) = (follower.poll().len(), follower.poll().len());
        assert_eq!(first, LOOK_BYTES / 1024);
        assert_eq!(first + second, files * TURN_BYTES / 1024);
    }
}
