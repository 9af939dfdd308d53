//! What can be typed. Flags are settings: each stands for a dotted key, over environment over file.

mod as_code; // apply, export objects, audit

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use as_code::{
    ApplyArguments, AuditAction, Exported, OfTenant, TestAction, TestArguments, VerifyArguments,
};

use crate::remote::{Remote, Span};

/// Observability in one binary: metrics, logs and traces over open protocols; PromQL, search and SQL.
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
    /// Tenants: create, list, limit, suspend, delete, migrate
    #[command(subcommand)]
    Tenant(TenantAction),
    /// API keys
    #[command(subcommand)]
    Token(TokenAction),
    /// Ask a running server in PromQL, search syntax or SQL
    #[command(subcommand)]
    Query(QueryLanguage),
    /// Follow log records, spans or events as they are stored
    Tail(TailArguments),
    /// Write rows or samples of a running server to a file, or its objects as YAML
    Export(ExportTable),
    /// Make dashboards, roles, limits and other objects what files say
    Apply(ApplyArguments),
    /// The audit log
    #[command(subcommand)]
    Audit(AuditAction),
    /// Carry out unit tests
    Test(TestArguments),
    /// Collect and take in on a host without the server, and send on to it
    Agent(AgentArguments),
    /// Write a consistent copy of all data into an empty folder
    Backup {
        /// An empty or absent folder
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Copy the key that opens stored secrets, too: whoever has such a backup can read them
        #[arg(long)]
        with_secret_key: bool,
    },
    /// Fill an empty data folder from a backup
    Restore {
        /// A folder that `backup` wrote
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
}

/// `bellwether query …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum QueryLanguage {
    /// PromQL: at one moment, or over a span with --start or --step
    Promql {
        /// Such as 'rate(http_requests_total[5m])'
        query: String,
        /// Time between two points, such as 30s
        #[arg(long, value_name = "DURATION")]
        step: Option<String>,
        /// How the answer is written
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
        /// When
        #[command(flatten)]
        span: Span,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
    /// Search syntax: level:error service:api "timed out" status:>=500 -path:/health
    Search {
        /// What to look for; empty finds every row
        #[arg(default_value = "")]
        query: String,
        /// Where to look
        #[arg(long, value_enum, default_value_t = Table::Logs)]
        table: Table,
        /// Rows at most
        #[arg(long, default_value_t = 100)]
        limit: u64,
        /// How the answer is written
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
        /// When
        #[command(flatten)]
        span: Span,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
    /// SQL over logs, spans, events and metrics
    Sql {
        /// Such as 'SELECT "service.name", count(*) FROM logs GROUP BY 1'
        query: String,
        /// Rows at most
        #[arg(long, default_value_t = 10_000)]
        limit: u64,
        /// How the answer is written
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
        /// When
        #[command(flatten)]
        span: Span,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// As the server sent it
    Json,
    /// Comma-separated values
    Csv,
}

/// A table of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// Log records
    Logs,
    /// Spans of traces
    Spans,
    /// Events
    Events,
    /// Samples of metrics
    Metrics,
}

impl Table {
    /// Its name in SQL.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Events => "events",
            Self::Metrics => "metrics",
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `bellwether tail …`
#[derive(Args, Clone, Debug)]
pub(crate) struct TailArguments {
    /// Search syntax; empty follows every row
    #[arg(default_value = "")]
    pub(crate) query: String,
    /// What to follow
    #[arg(long, value_enum, default_value_t = Table::Logs)]
    pub(crate) table: Table,
    /// How rows are written
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Where
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `bellwether export …`
#[derive(Args, Clone, Debug)]
pub(crate) struct ExportTable {
    /// What to export
    #[arg(value_enum)]
    pub(crate) what: Exported,
    /// A statement whose rows are exported instead of the whole table
    #[arg(long, value_name = "QUERY")]
    pub(crate) sql: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(crate) format: ExportFormat,
    /// A new file, or a folder for objects [default: standard output]
    #[arg(long, short, value_name = "FILE|DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Whose objects; another tenant than the key's for those who manage the platform
    #[arg(long, default_value = "current", value_name = "ID")]
    pub(crate) tenant: String,
    /// When
    #[command(flatten)]
    pub(crate) span: Span,
    /// Where
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Formats of exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// An Arrow IPC stream
    Arrow,
}

/// `bellwether agent …`
#[derive(Args, Clone, Debug)]
pub(crate) struct AgentArguments {
    /// The server, and a key of it with the scope ingest
    #[arg(long, num_args = 2, value_names = ["URL", "TOKEN"], required = true)]
    pub(crate) join: Vec<String>,
    /// Folder of the buffer and of places in files
    #[arg(long, default_value = "./bellwether-agent", value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Bytes that may wait on disk for the server
    #[arg(long, default_value_t = 1 << 30, value_name = "BYTES")]
    pub(crate) buffer_bytes: u64,
    /// OTLP over gRPC on loopback, or off
    #[arg(long, default_value = "127.0.0.1:4317", value_name = "ADDR|off")]
    pub(crate) intake_grpc: String,
    /// OTLP over HTTP and the other intakes on loopback, or off
    #[arg(long, default_value = "127.0.0.1:4318", value_name = "ADDR|off")]
    pub(crate) intake_http: String,
    /// Syslog over UDP and TCP on this address
    #[arg(long, value_name = "ADDR")]
    pub(crate) syslog: Option<SocketAddr>,
    /// StatsD over UDP on this address
    #[arg(long, value_name = "ADDR")]
    pub(crate) statsd: Option<SocketAddr>,
    /// Log files to follow, such as '/var/log/*.log'; may be repeated
    #[arg(long = "file", value_name = "PATTERN")]
    pub(crate) files: Vec<String>,
    /// Follow the systemd journal
    #[arg(long)]
    pub(crate) journal: bool,
    /// Leave the metrics of this machine out
    #[arg(long)]
    pub(crate) no_host: bool,
    /// Commands that runbooks may have run here: a JSON file such as {"restart-nginx": ["systemctl", "restart", "nginx"]}
    #[arg(long, value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
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
        /// Who signs in: email or identifier
        #[arg(default_value = "admin@localhost")]
        name: String,
        /// Whose account
        #[command(flatten)]
        of: OfTenant,
    },
    /// Add a person
    Create {
        /// Such as ada@example.com
        email: String,
        /// What people call them [default: the email]
        #[arg(long)]
        name: Option<String>,
        /// viewer, responder, editor, admin, platform_admin or a role of the tenant
        #[arg(long, default_value = "viewer")]
        role: String,
        /// Whose account
        #[command(flatten)]
        of: OfTenant,
    },
    /// Show everyone
    List {
        /// Of which tenant
        #[command(flatten)]
        of: OfTenant,
    },
}

/// `bellwether tenant …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TenantAction {
    /// Create a tenant with its first administrator, whose sign-in link is printed
    Create {
        /// Lower-case letters, digits and hyphens; also the subdomain
        id: String,
        /// What people call it [default: the id]
        #[arg(long)]
        name: Option<String>,
        /// Address of the first administrator
        #[arg(long, value_name = "EMAIL")]
        admin: String,
        /// Settings, a JSON object
        #[arg(long, default_value = "{}", value_name = "JSON")]
        settings: String,
        /// Limits, a JSON object such as '{"requests": 1000}'
        #[arg(long, default_value = "{}", value_name = "JSON")]
        limits: String,
    },
    /// Show all tenants
    List,
    /// Refuse everything of a tenant; its data stays
    Suspend {
        /// Which
        id: String,
    },
    /// End a suspension
    Activate {
        /// Which
        id: String,
    },
    /// Replace a tenant's limits
    Limit {
        /// Which
        id: String,
        /// A JSON object such as '{"series": 100000}'; '{}' for none
        limits: String,
    },
    /// Delete a tenant with everything it has; a running server removes the telemetry
    Delete {
        /// Which
        id: String,
        /// The id again, to be sure
        #[arg(long, value_name = "ID")]
        confirm: String,
    },
    /// Bring tables of one tenant or of all up to date
    Migrate {
        /// Which; all without it
        id: Option<String>,
        /// Show how far they are and change nothing
        #[arg(long)]
        status: bool,
        /// Undo steps of one set of tables above a version, such as objects=1; needs the id
        #[arg(long, value_name = "SET=VERSION", requires = "id", conflicts_with = "status")]
        rollback: Option<String>,
    },
}

/// `bellwether token …`
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Create an API key and print it, once
    Create {
        /// What people call it
        name: String,
        /// ingest, query or admin; may be repeated
        #[arg(long = "scope", default_values_t = [String::from("ingest"), String::from("query")])]
        scopes: Vec<String>,
        /// Days after which it ends [default: never]
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
        /// Whose data it opens
        #[command(flatten)]
        of: OfTenant,
    },
    /// Show all keys; their secrets are not kept
    List {
        /// Of which tenant
        #[command(flatten)]
        of: OfTenant,
    },
    /// Make a key invalid
    Revoke {
        /// Its identifier, as `list` shows it
        id: String,
        /// Of which tenant
        #[command(flatten)]
        of: OfTenant,
    },
    /// Replace a key's secret and print the new one, once
    Rotate {
        /// Its identifier, as `list` shows it
        id: String,
        /// Hours for which the old secret works, too
        #[arg(long, default_value_t = 24, value_name = "HOURS")]
        overlap: u32,
        /// Of which tenant
        #[command(flatten)]
        of: OfTenant,
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
