//! What each type of check may be told. Everything has a default, so `config` may be absent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::secret::Secret;
use super::values::{JsonAssertion, Operator, Statuses};

/// Whom to trust and who we are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckTlsOptions")]
pub struct TlsOptions {
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Trusted authorities, PEM, instead of the system's.
    pub ca: Option<String>,
    /// The name that is asked for and that the certificate must carry, where it is not the host's.
    pub server_name: Option<String>,
    /// Own certificate with its chain, PEM.
    pub client_certificate: Option<String>,
    /// Its key, PEM.
    pub client_key: Option<Secret>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CheckAuth")]
pub enum Auth {
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token (RFC 6750).
    Bearer {
        /// The token.
        token: Secret,
    },
}

/// Versions of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CheckHttpVersion")]
pub enum HttpVersion {
    /// What the server prefers over TLS, 1.1 without.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// 1.1.
    #[serde(rename = "1.1")]
    Http1,
    /// 2; without TLS with prior knowledge.
    #[serde(rename = "2")]
    Http2,
}

/// Of `http` and `external_api`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckHttpConfig")]
pub struct HttpConfig {
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    pub method: String,
    /// Sent to the target itself, never to where it redirects.
    pub headers: BTreeMap<String, Secret>,
    /// Sent with the request.
    pub body: Option<String>,
    /// Statuses that are fine; 200 to 299 when empty, also 300 to 399 where redirects are not followed.
    pub expected_status: Vec<Statuses>,
    /// Texts that the body must hold.
    pub body_contains: Vec<String>,
    /// Texts that the body must not hold.
    pub body_not_contains: Vec<String>,
    /// A regular expression that must match somewhere in the body.
    pub body_matches: Option<String>,
    /// Statements about a JSON body.
    pub json: Vec<JsonAssertion>,
    /// Milliseconds until the body was read.
    pub max_response_time_ms: Option<u32>,
    /// Days that the certificate must still be valid.
    pub min_certificate_days: Option<u32>,
    /// Whether up to five redirects are followed.
    pub follow_redirects: bool,
    /// Which version is spoken.
    pub version: HttpVersion,
    /// Who asks.
    pub auth: Option<Auth>,
    /// Whom to trust.
    pub tls: TlsOptions,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            headers: BTreeMap::new(),
            body: None,
            expected_status: Vec::new(),
            body_contains: Vec::new(),
            body_not_contains: Vec::new(),
            body_matches: None,
            json: Vec::new(),
            max_response_time_ms: None,
            min_certificate_days: None,
            follow_redirects: true,
            version: HttpVersion::Auto,
            auth: None,
            tls: TlsOptions::default(),
        }
    }
}

/// Of `tcp`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckTcpConfig")]
pub struct TcpConfig {
    /// Sent once connected.
    pub send: Option<String>,
    /// A text that the answer must hold within its first 64 KiB.
    pub expect: Option<String>,
}

/// Of `tls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckTlsConfig")]
pub struct TlsConfig {
    /// Days that the certificate and those above it must still be valid.
    pub min_days: u32,
    /// Whether it must lead to a trusted authority and carry the host's name.
    pub verify_chain: bool,
    /// Names that the certificate must be good for.
    pub names: Vec<String>,
    /// Whom to trust.
    pub tls: TlsOptions,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { min_days: 14, verify_chain: true, names: Vec::new(), tls: TlsOptions::default() }
    }
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "CheckRecordType")]
pub enum RecordType {
    /// IPv4 addresses.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Who may issue certificates: `0 issue "letsencrypt.org"`.
    Caa,
    /// Another name.
    Cname,
    /// Mail servers: `10 mail.example.com`.
    Mx,
    /// Name servers.
    Ns,
    /// The name of an address.
    Ptr,
    /// Who is responsible: `ns.example.com hostmaster.example.com 2024 7200 3600 1209600 300`.
    Soa,
    /// Services: `10 5 443 web.example.com`.
    Srv,
    /// Texts, the parts of one record joined.
    Txt,
}

/// How expected values are compared with those of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CheckMatching")]
pub enum Matching {
    /// Each expected value is among the answers.
    #[default]
    All,
    /// At least one is.
    Any,
    /// They are the same, in any order.
    Exact,
}

/// Of `dns`. The target is the name; a name without records is unhealthy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckDnsConfig")]
pub struct DnsConfig {
    /// Which records.
    pub record_type: RecordType,
    /// The server that is asked, with port 53 unless it names another; those of the system when absent.
    pub server: Option<String>,
    /// Values of the records; any will do when empty.
    pub expected: Vec<String>,
    /// How they are compared.
    pub matching: Matching,
}

/// Of `icmp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckIcmpConfig")]
pub struct IcmpConfig {
    /// Echo requests sent, 1 to 20.
    pub count: u32,
    /// Share of them, 0 to 100, that may go unanswered.
    pub max_loss_percent: f64,
}

impl Default for IcmpConfig {
    fn default() -> Self {
        Self { count: 1, max_loss_percent: 0.0 }
    }
}

/// Of `grpc`: `grpc.health.v1.Health/Check`. The scheme `grpcs` asks for TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckGrpcConfig")]
pub struct GrpcConfig {
    /// The service that is asked about; the whole server when empty.
    pub service: String,
    /// Sent with the call.
    pub metadata: BTreeMap<String, Secret>,
    /// Whom to trust.
    pub tls: TlsOptions,
}

/// Of `websocket`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckWebSocketConfig")]
pub struct WebSocketConfig {
    /// Sent with the handshake.
    pub headers: BTreeMap<String, Secret>,
    /// A text message sent once connected.
    pub send: Option<String>,
    /// A text that one of the next 100 messages must hold.
    pub expect: Option<String>,
    /// Whom to trust.
    pub tls: TlsOptions,
}

/// When a connection to a database is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "CheckSslMode")]
pub enum SslMode {
    /// Never. A password that the server wants in the clear is sent so.
    Disable,
    /// Where the server can, whatever its certificate.
    #[default]
    Prefer,
    /// Always, whatever its certificate.
    Require,
    /// Always, and the certificate must be trusted and carry the host's name.
    VerifyFull,
}

/// Of `postgresql`, `mysql` and `database`. The target may name the database: `postgres://host:5432/name`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckDatabaseConfig")]
pub struct DatabaseConfig {
    /// Who signs in; `postgres` or `root` when empty.
    pub username: String,
    /// The password.
    pub password: Option<Secret>,
    /// The database, where the target does not name it.
    pub database: Option<String>,
    /// When the connection is encrypted.
    pub ssl_mode: SslMode,
    /// Whom to trust with `verify-full`.
    pub tls: TlsOptions,
    /// What is run, in a session that can only read; `SELECT 1` when absent.
    pub query: Option<String>,
    /// What the first column of its first row must be, as text.
    pub expect: Option<String>,
}

/// Of `redis`. The scheme `rediss` asks for TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckRedisConfig")]
pub struct RedisConfig {
    /// Who signs in; the default user when absent.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Number of the database.
    pub database: Option<u32>,
    /// Whom to trust.
    pub tls: TlsOptions,
}

/// Of `disk`. The target is a path; its filesystem counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckDiskConfig")]
pub struct DiskConfig {
    /// Share that may be in use, 0 to 100, as `df` counts; 90 when nothing is said.
    pub max_used_percent: Option<f64>,
    /// Share that must be free, 0 to 100.
    pub min_free_percent: Option<f64>,
    /// Bytes that must be free for everyone.
    pub min_free_bytes: Option<u64>,
}

/// Of `memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckMemoryConfig")]
pub struct MemoryConfig {
    /// Share that may be in use, 0 to 100: total without available.
    pub max_used_percent: f64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { max_used_percent: 90.0 }
    }
}

/// Of `heartbeat`. The interval is the time between two reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckHeartbeatConfig")]
pub struct HeartbeatConfig {
    /// Seconds that a report may be late.
    pub grace: u32,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self { grace: 60 }
    }
}

/// Languages of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CheckQueryLanguage")]
pub enum QueryLanguage {
    /// PromQL, an instant query; every series of the answer has a value.
    #[default]
    Promql,
    /// SQL; the first column of each row is a value.
    Sql,
    /// A search of the logs; the value is the number of hits.
    Search,
}

/// What an answer without a value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CheckNoData")]
pub enum NoData {
    /// All is well.
    Healthy,
    /// It is not.
    Unhealthy,
    /// Nobody can tell.
    #[default]
    Unknown,
}

/// Of `query`. The target is the query; it is healthy while every value holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CheckQueryConfig")]
pub struct QueryConfig {
    /// The query's language.
    #[serde(default)]
    pub language: QueryLanguage,
    /// How each value is compared: `==`, `!=`, `>`, `>=`, `<` or `<=`.
    pub operator: Operator,
    /// With what.
    pub threshold: f64,
    /// What an answer without a value means.
    #[serde(default)]
    pub no_data: NoData,
}

/// Of `command`. The target is a name in the agent's list of allowed commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "CheckCommandConfig")]
pub struct CommandConfig {
    /// Arguments, each one word to the command.
    pub args: Vec<String>,
    /// The exit status that is healthy.
    pub expected_exit: i32,
}

/// Of `custom`. The target is the name under which the program registered the function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CheckCustomConfig")]
pub struct CustomConfig {
    /// Handed to the function.
    pub arguments: Map<String, Value>,
}

/// `config` of any type, for the schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum AnyConfig {
    Http(HttpConfig),
    Tcp(TcpConfig),
    Tls(TlsConfig),
    Dns(DnsConfig),
    Icmp(IcmpConfig),
    Grpc(GrpcConfig),
    WebSocket(WebSocketConfig),
    Database(DatabaseConfig),
    Redis(RedisConfig),
    Disk(DiskConfig),
    Memory(MemoryConfig),
    Heartbeat(HeartbeatConfig),
    Query(QueryConfig),
    Command(CommandConfig),
    Custom(CustomConfig),
}

/// A `config` that was understood.
#[derive(Clone, Debug)]
pub(crate) enum Config {
    Http(Box<HttpPlan>),
    Tcp(TcpConfig),
    Tls(TlsConfig),
    Dns(DnsConfig),
    Icmp(IcmpConfig),
    Grpc(GrpcConfig),
    WebSocket(WebSocketConfig),
    Postgresql(DatabaseConfig),
    Mysql(DatabaseConfig),
    Redis(RedisConfig),
    Disk(DiskConfig),
    Memory(MemoryConfig),
    Heartbeat(HeartbeatConfig),
    Query(QueryConfig),
    Command(CommandConfig),
    Custom(CustomConfig),
}

/// An [`HttpConfig`] with its small languages compiled.
#[derive(Clone, Debug)]
pub(crate) struct HttpPlan {
    pub(crate) config: HttpConfig,
    pub(crate) body_matches: Option<regex::Regex>,
    pub(crate) json: Vec<(super::JsonPath, JsonAssertion)>,
}
