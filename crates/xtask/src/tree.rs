//! Files: length, marks of unfinished work, paths of one machine in documents.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// A file that outgrows this holds two ideas.
const LINES_MAX: usize = 499;
const SOURCES: &[&str] = &["rs", "ts", "svelte", "py", "mjs", "css", "sh"];
/// Spelled in pieces so that this file does not find itself.
const MARKS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!("), concat!("#[ign", "ore")];

/// Findings over every file that git knows or would add.
pub(crate) fn findings(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    let listing = String::from_utf8(output.stdout).context("file names")?;
    let mut findings = Vec::new();
    for file in listing.lines() {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        findings.extend(judge(file, &text));
    }
    Ok(findings)
}

fn judge(file: &str, text: &str) -> Vec<String> {
    let extension = file.rsplit('.').next().unwrap_or_default();
    let mut findings = Vec::new();
    if SOURCES.contains(&extension) {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{file}: {lines} lines, at most {LINES_MAX}: split it by idea"));
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(mark) = MARKS.iter().find(|mark| line.contains(*mark)) {
                findings.push(format!("{file}:{}: {mark} marks unfinished work", number + 1));
            }
        }
    }
    if extension == "md" {
        for (number, line) in text.lines().enumerate() {
            if ["/home/", "/root/", "/work/"].iter().any(|path| line.contains(path)) {
                findings.push(format!("{file}:{}: a path of one machine", number + 1));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_marks_and_machine_paths_are_found() {
        assert_eq!(judge("a.rs", &"x\n".repeat(499)).len(), 0);
        assert_eq!(judge("a.rs", &"x\n".repeat(500)).len(), 1);
        assert_eq!(judge("a.rs", concat!("// TO", "DO: later")).len(), 1);
        assert_eq!(judge("data.json", &"x\n".repeat(900)).len(), 0);
        assert_eq!(judge("a.md", "see /home/someone").len(), 1);
    }
}
