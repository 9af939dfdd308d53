//! Our reading of `alertmanager.yml` beside that of Alertmanager's own tool: which files are valid, and who gets
//! which alert.

mod files; // valid or not
mod live; // when, and what is left out
mod routes; // who gets it

use std::path::Path;
use std::process::{Command, Output};

use alert::routing::{AlertmanagerFile, ConfigError, LoadOptions};

/// Runs amtool; without it the test fails, since nothing was compared.
fn amtool(arguments: &[&str]) -> Output {
    let output = Command::new("amtool").args(arguments).output();
    output
        .expect("amtool must be installed: it is what we are compared with (Debian: prometheus-alertmanager)")
}

fn ours(text: &str) -> Result<AlertmanagerFile, ConfigError> {
    AlertmanagerFile::parse(text, Path::new("alertmanager.yml"), LoadOptions { secret_files: true })
}
