//! Repository chores: `cargo xtask check` (format, lints, tidiness) and `cargo xtask tidy` (tidiness alone).
#![expect(clippy::print_stdout, reason = "a command-line tool talks to its user")]

mod edges; // which crate may import which
mod requirements; // the table of requirements is whole
mod tree; // files: length, marks of unfinished work

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "check" => check(),
        "tidy" => tidy(),
        _ => {
            println!("usage: cargo xtask check|tidy");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask {task}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that CI asks before it runs a test.
fn check() -> Result<()> {
    run("cargo", &["fmt", "--all", "--check"])?;
    tidy()?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
}

/// Checks that need no compiler. All findings are reported, not only the first.
fn tidy() -> Result<()> {
    let root = root();
    let mut findings = tree::findings(&root)?;
    findings.extend(edges::findings(&root)?);
    findings.extend(requirements::findings(&root)?);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { bail!("{} finding(s)", findings.len()) }
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    println!("$ {program} {}", args.join(" "));
    let status =
        Command::new(program).args(args).current_dir(root()).status().with_context(|| program.to_owned())?;
    if status.success() { Ok(()) } else { bail!("{program} {} failed", args.join(" ")) }
}

/// The workspace's root: two levels above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
