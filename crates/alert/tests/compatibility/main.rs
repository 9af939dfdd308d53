//! Templates and rule files against tables of cases, and the tables against the programs whose behaviour they hold:
//! `amtool` and `promtool` have to be installed (Debian: prometheus-alertmanager, prometheus).

mod amtool;
mod rows;
mod rules;
mod templates;
mod unit_tests;

use std::process::{Command, Output};

/// Runs a program of the test script's; a missing one fails the test with what to install.
fn run(program: &str, package: &str, arguments: &[&str]) -> Output {
    match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            panic!("{program} cannot be run ({error}): apt-get install {package}, or scripts/test.sh")
        }
    }
}
