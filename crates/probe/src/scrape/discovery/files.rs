//! Files of target groups, JSON or YAML, read again when they change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kit::{SharedClock, spawn};

use super::{Sender, groups};
use crate::scrape::config::{Period, StaticYaml, TargetGroup, expand};

/// Between two looks at the files' times of change.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
struct Read {
    changed: (u64, Option<SystemTime>),
    groups: Vec<TargetGroup>,
    problem: Option<String>,
}

/// The files as they were last read.
#[derive(Debug, Default)]
struct Files(BTreeMap<PathBuf, Read>);

impl Files {
    /// Reads what changed, or everything. A file that cannot be understood keeps its earlier groups; one
    /// that is gone takes them along.
    fn refresh(mut self, patterns: &[PathBuf], everything: bool) -> Self {
        let mut now = BTreeMap::new();
        for path in patterns.iter().flat_map(|pattern| expand(pattern)) {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let changed = (metadata.len(), metadata.modified().ok());
            let before = self.0.remove(&path);
            let read = match before {
                Some(before) if before.changed == changed && !everything => before,
                before => match read(&path, metadata.len()) {
                    Ok(groups) => Read { changed, groups, problem: None },
                    Err(problem) => {
                        let groups = before.map(|before| before.groups).unwrap_or_default();
                        Read { changed, groups, problem: Some(problem) }
                    }
                },
            };
            now.insert(path, read);
        }
        Self(now)
    }
}

fn read(path: &Path, size: u64) -> Result<Vec<TargetGroup>, String> {
    let shown = path.display();
    if size > FILE_BYTES_MAX {
        return Err(format!("{shown} has {size} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    let text = fs::read_to_string(path).map_err(|e| format!("{shown} cannot be read: {e}"))?;
    let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let parsed: Result<Option<Vec<StaticYaml>>, String> = if json {
        serde_json::from_str(&text).map_err(|e| e.to_string())
    } else if text.trim().is_empty() {
        Ok(None)
    } else {
        serde_yaml_ng::from_str(&text).map_err(|e| e.to_string())
    };
    let yaml = parsed.map_err(|e| format!("{shown}: {e}"))?.unwrap_or_default();
    Ok(groups(yaml, &[("__meta_filepath", &path.to_string_lossy())]))
}

pub(super) async fn run(patterns: Vec<PathBuf>, refresh: Period, mut found: Sender, clock: SharedClock) {
    let mut files = Files::default();
    let mut read_all = clock.monotonic();
    loop {
        let everything = clock.monotonic() >= read_all;
        if everything {
            read_all = clock.monotonic() + refresh.0;
        }
        let looked = patterns.clone();
        let reading = spawn::spawn_blocking("scrape-files", move || files.refresh(&looked, everything));
        let Ok(read) = reading.await else { return };
        files = read;
        let groups = files.0.values().flat_map(|file| file.groups.clone()).collect();
        let problem = files.0.values().find_map(|file| file.problem.clone());
        found.send(groups, problem).await;
        clock.sleep(LOOK_EVERY.min(refresh.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(files: &Files) -> Vec<&str> {
        let groups = files.0.values().flat_map(|file| &file.groups);
        let targets = groups.flat_map(|group| &group.targets);
        targets.filter_map(|target| target.get("__address__")).collect()
    }

    #[test]
    fn files_are_read_when_they_change_and_forgotten_when_they_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let (json, yaml) = (folder.path().join("a.json"), folder.path().join("b.yml"));
        fs::write(&json, r#"[{"targets": ["a:1"], "labels": {"env": "x"}}]"#).expect("write");
        fs::write(&yaml, "- targets: [b:1, b:2]\n").expect("write");
        let patterns = [folder.path().join("*.json"), yaml.clone(), folder.path().join("missing.yml")];
        let files = Files::default().refresh(&patterns, true);
        assert_eq!(addresses(&files), ["a:1", "b:1", "b:2"]);
        let labels = &files.0[&json].groups[0].labels;
        assert_eq!(labels.get("env"), Some("x"));
        assert_eq!(labels.get("__meta_filepath"), json.to_str());

        fs::write(&yaml, "- targets: [longer:1]\n").expect("write");
        fs::write(&json, "[{").expect("write");
        let files = files.refresh(&patterns, false);
        assert_eq!(addresses(&files), ["a:1", "longer:1"], "what cannot be understood keeps its targets");
        assert!(files.0[&json].problem.as_deref().is_some_and(|p| p.contains("a.json")));

        fs::remove_file(&json).expect("remove");
        assert_eq!(addresses(&files.refresh(&patterns, false)), ["longer:1"]);
    }
}
