//! `bellwether test rules`: unit tests of Prometheus' rules, with promtool's output and exit codes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alert::prom::{Disk, run_tests};
use probe::scrape::config::expand;

use crate::args::{TestAction, TestArguments};

/// The files of this machine.
struct Files;

impl Disk for Files {
    fn find(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = expand(pattern);
        found.retain(|path| path.exists());
        found
    }

    fn read(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Carries out the tests of every file. The exit code is 1 when any failed.
pub(crate) fn test(arguments: &TestArguments) -> ExitCode {
    let TestAction::Rules { files } = &arguments.action;
    if let Some(missing) = files.iter().find(|file| !file.exists()) {
        eprintln!("bellwether: error: path '{}' does not exist, try --help", missing.display());
        return ExitCode::FAILURE;
    }
    let mut failed = false;
    for file in files {
        println!("Unit Testing:  {}", file.display());
        let output = run_tests(file, &Files);
        for warning in &output.warnings {
            eprintln!("  WARNING: {warning}");
        }
        if output.failures.is_empty() {
            println!("  SUCCESS");
        } else {
            failed = true;
            eprintln!("  FAILED:");
            for failure in &output.failures {
                eprintln!("{failure}");
                println!();
            }
        }
        println!();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
