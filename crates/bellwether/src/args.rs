//! What can be typed. Flags are settings: each stands for a dotted key, over environment over file.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Observability in one binary: metrics over open protocols, PromQL, a page that shows this host.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Folder of storage and database [default: ./bellwether-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Configuration file, TOML or YAML [default: bellwether.toml, if there is one]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// development, testing, staging or production: which overlay file is read too
    #[arg(long, global = true, default_value = "production", value_name = "NAME")]
    environment: String,

    /// Address of the web application and every HTTP API [default: 127.0.0.1:4300]
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,

    /// Address of OTLP over gRPC [default: 127.0.0.1:4317]
    #[arg(long, global = true, value_name = "ADDR|off")]
    otlp_grpc: Option<String>,

    /// Address of OTLP over HTTP [default: 127.0.0.1:4318]
    #[arg(long, global = true, value_name = "ADDR|off")]
    otlp_http: Option<String>,

    /// Any setting, such as retention.metrics=90d; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server (the default)
    Serve,
    /// Read the configuration and say what is wrong with it
    CheckConfig,
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigAction),
    /// Users of the web application
    #[command(subcommand)]
    User(UserAction),
    /// Write a consistent copy of all data into an empty folder
    Backup {
        /// An empty or absent folder
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Fill an empty data folder from a backup
    Restore {
        /// A folder that `backup` wrote
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
}

/// `bellwether config …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print every key and its value
    Print {
        /// Where each value comes from
        #[arg(long)]
        with_source: bool,
    },
}

/// `bellwether user …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UserAction {
    /// Print a new one-time sign-in link
    Link {
        /// Who signs in
        #[arg(default_value = "admin@localhost")]
        name: String,
    },
}

impl Arguments {
    /// The command; `serve` when none was typed.
    pub(crate) fn command(&self) -> Command {
        self.command.clone().unwrap_or(Command::Serve)
    }

    /// The environment's name.
    pub(crate) fn environment(&self) -> &str {
        &self.environment
    }

    /// The configuration file that was named.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    /// Flags as settings, the special ones last so that they win over `--set`.
    pub(crate) fn settings(&self) -> Vec<String> {
        let mut flags = self.set.clone();
        let data = self.data.as_ref().map(|folder| folder.display().to_string());
        for (key, value) in [
            ("data", data.as_ref()),
            ("server.listen", self.listen.as_ref()),
            ("otlp.grpc", self.otlp_grpc.as_ref()),
            ("otlp.http", self.otlp_http.as_ref()),
        ] {
            flags.extend(value.map(|value| format!("{key}={value}")));
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_settings_and_the_command_may_be_left_out() {
        let arguments =
            Arguments::parse_from(["bellwether", "--listen", "127.0.0.1:1", "--set", "host.enabled=false"]);
        assert!(matches!(arguments.command(), Command::Serve));
        assert_eq!(arguments.settings(), ["host.enabled=false", "server.listen=127.0.0.1:1"]);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        <Arguments as CommandFactory>::command().debug_assert();
    }
}
