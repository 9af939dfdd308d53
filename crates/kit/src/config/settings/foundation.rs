//! Addresses, storage, access.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::option::{choice, section};
use crate::config::url::ConnectionUrl;
use crate::config::value::{Auto, ByteSize, Seconds};

section! {
    /// Keys without a section.
    pub struct General at "" {
        /// Whether anything is collected. Health answers either way.
        enabled: bool = "true", live;
        /// How often system and application metrics are recorded; a plain number is seconds.
        collect_interval: Seconds = "60", live in Seconds(Duration::from_secs(1))..=Seconds(Duration::from_secs(3600));
        /// Folder that holds storage and database unless they name their own place.
        data: String = "./bellwether-data";
    }
}

section! {
    /// The listener of the web application and of every HTTP API.
    pub struct Server at "server." {
        /// Address and port.
        listen: SocketAddr = "127.0.0.1:4300";
        /// Address under which people and tools reach the server, for links; empty means the listener's.
        external_url: String = "";
        /// Host names, beside its own address, that requests may name in `Host` while access is open.
        allowed_hosts: Vec<String> = "", live;
        /// Reverse proxies, addresses or ranges such as `10.1.0.0/16`, whose `X-Forwarded-For` is believed.
        trusted_proxies: Vec<String> = "", live;
        /// Private ranges such as `10.1.0.0/16` that exporters of every tenant may reach; those of `default` reach all.
        outbound_ranges: Vec<String> = "", live;
        /// Connections that each HTTP listener has open at once; further ones are closed and counted.
        max_connections: u32 = "10000", live in 1..=1_000_000;
        /// How long requests under way may take to end at shutdown.
        shutdown_timeout: Duration = "20s" in Duration::ZERO..=Duration::from_secs(600);
    }
}

section! {
    /// OpenTelemetry listeners beside the main port.
    pub struct Otlp at "otlp." {
        /// Address of OTLP over gRPC, or off.
        grpc: Option<SocketAddr> = "127.0.0.1:4317";
        /// Address of OTLP over HTTP, or off.
        http: Option<SocketAddr> = "127.0.0.1:4318";
    }
}

section! {
    /// Where telemetry is stored.
    pub struct Storage at "storage." {
        /// `file:///folder`; empty means the data folder.
        url: ConnectionUrl = "";
        /// Samples in memory above which a head is flushed as a segment.
        head_bytes: ByteSize = "64MiB" in ByteSize(64 << 10)..=ByteSize(4 << 30);
        /// Age at which a head is flushed however small it is.
        head_age: Duration = "30m" in Duration::from_secs(1)..=Duration::from_secs(86_400);
        /// Size of one file of the write-ahead log.
        wal_file_bytes: ByteSize = "64MiB" in ByteSize(1 << 20)..=ByteSize(1 << 30);
        /// Size of the whole log above which heads that hold its oldest file are flushed.
        wal_bytes: ByteSize = "512MiB" in ByteSize(4 << 20)..=ByteSize(64 << 30);
    }
}

section! {
    /// Where control data is stored.
    pub struct Database at "database." {
        /// `sqlite:///folder` or `postgres://…`; empty means SQLite in the data folder.
        url: ConnectionUrl = "";
        /// Connections open at once.
        pool_size: u32 = "8" in 1..=1000;
        /// A statement that takes longer is cancelled; milliseconds.
        timeout_ms: u64 = "5000" in 1..=600_000;
        /// Refuse a PostgreSQL server without TLS.
        ssl_enabled: bool = "false";
    }
}

section! {
    /// How nodes tell each other what changed.
    pub struct Bus at "bus." {
        /// `memory:` for one machine.
        url: ConnectionUrl = "memory:";
    }
}

section! {
    /// Cached answers.
    pub struct Cache at "cache." {
        /// How long an entry lives, seconds.
        ttl_seconds: u64 = "300", live in 1..=86_400;
        /// Connections to a shared cache open at once.
        max_connections: u32 = "10" in 1..=1000;
    }
}

section! {
    /// The memory budget of the process.
    pub struct Memory at "memory." {
        /// Bytes that may be reserved, or auto for 70 % of what the cgroup or the machine has.
        limit: Auto<ByteSize> = "auto";
    }
}

choice! {
    /// Whether requests from this machine need a key.
    pub enum LocalAuth {
        /// Ingest and queries answer without one. Only while every listener and the external URL are on loopback.
        Open = "open",
        /// Every request needs one, but for the public list.
        Required = "required",
    }
}

section! {
    /// Access.
    pub struct Auth at "auth." {
        /// Whether ingest and queries answer without a key while every listener and the external URL are on loopback.
        local: LocalAuth = "open";
    }
}

section! {
    /// Secrets at rest.
    pub struct Secrets at "secrets." {
        /// File with the key that encrypts stored secrets; empty means `secret.key` in the data folder.
        key_file: String = "";
    }
}
