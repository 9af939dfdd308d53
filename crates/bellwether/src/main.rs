//! The `bellwether` binary: arguments, configuration, composition.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod agent_command; // the program on a host without the server
mod args; // what can be typed
mod compose; // services and what they need
mod control_command; // tenants, people, keys
mod greeting; // what the first start prints
mod logging; // our own log
mod offline; // commands on a stopped or running server's data
mod remote; // commands that ask a running server
mod test_command; // unit tests of rules

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, AuditAction, Command};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator reads at its start. Freed pages go back to the system within a second, by a thread of its
/// own, so that an idle server gives back what a busy one took; without it they go back when more is allocated.
#[expect(unsafe_code, reason = "the allocator looks for a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Two providers may be linked; which one serves is decided here, once, before anything uses TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match arguments.command() {
        Command::Serve => compose::serve(&arguments),
        Command::CheckConfig => offline::check_config(&arguments),
        Command::Config(action) => offline::config(&arguments, &action),
        Command::User(action) => control_command::user(&arguments, &action),
        Command::Tenant(action) => control_command::tenants(&arguments, &action),
        Command::Token(action) => control_command::token(&arguments, &action),
        Command::Agent(agent) => agent_command::run(&agent),
        Command::Query(language) => remote::query(&language),
        Command::Tail(tail) => remote::tail(&tail),
        Command::Export(table) => remote::export(&table),
        Command::Apply(apply) => remote::apply(&apply),
        Command::Audit(AuditAction::Verify(verify)) if verify.offline => {
            offline::verify_audit(&arguments, &verify)
        }
        Command::Audit(AuditAction::Verify(verify)) => remote::verify_audit(&verify),
        // Its exit codes are promtool's.
        Command::Test(arguments) => return test_command::test(&arguments),
        Command::Backup { to, with_secret_key } => offline::backup(&arguments, &to, with_secret_key),
        Command::Restore { from } => offline::restore(&arguments, &from),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bellwether: {error}");
            ExitCode::FAILURE
        }
    }
}
