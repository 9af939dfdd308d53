/** Types of checks: what their target is, and which settings each may be told. */
import type { CheckType } from "./types";

export interface ConfigField {
  /** Where in `config`, with dots between: `tls.ca`. */
  path: string;
  label: string;
  hint?: string;
  kind: "text" | "lines" | "number" | "flag" | "choice" | "list" | "pairs" | "secret" | "assertions" | "json";
  choices?: readonly string[];
  placeholder?: string;
  /** What it is without; a flag that is on without it is turned off by `false`. */
  usual?: string | number | boolean;
  required?: boolean;
  /** Shown only on demand. */
  rare?: boolean;
}

export interface KindInfo {
  id: CheckType;
  label: string;
  about: string;
  target: string;
  placeholder: string;
  hint?: string;
  /** True where a target is not needed. */
  targetless?: boolean;
  fields: readonly ConfigField[];
}

const TLS: readonly ConfigField[] = [
  { path: "tls.insecureSkipVerify", label: "Accept any certificate", kind: "flag", usual: false, rare: true },
  { path: "tls.serverName", label: "Name in the certificate", kind: "text", hint: "Where it is not the host's.", rare: true },
  { path: "tls.ca", label: "Trusted authorities", kind: "lines", placeholder: "-----BEGIN CERTIFICATE-----", hint: "PEM, instead of the system's.", rare: true },
  { path: "tls.clientCertificate", label: "Own certificate", kind: "lines", hint: "PEM, with its chain.", rare: true },
  { path: "tls.clientKey", label: "Its key", kind: "secret", hint: "PEM.", rare: true },
];

const HTTP: readonly ConfigField[] = [
  { path: "method", label: "Method", kind: "choice", choices: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], usual: "GET" },
  { path: "expectedStatus", label: "Good statuses", kind: "list", placeholder: "200-299", hint: "Such as 200, 2xx or 200-299; 2xx when empty." },
  { path: "bodyContains", label: "Body holds", kind: "list", hint: "Texts, separated by commas." },
  { path: "bodyNotContains", label: "Body does not hold", kind: "list" },
  { path: "maxResponseTimeMs", label: "Slowest answer (ms)", kind: "number" },
  { path: "minCertificateDays", label: "Certificate valid for (days)", kind: "number", hint: "Unhealthy when it ends sooner." },
  { path: "json", label: "JSON answer", kind: "assertions" },
  { path: "headers", label: "Headers", kind: "pairs", rare: true },
  { path: "body", label: "Body to send", kind: "lines", rare: true },
  { path: "bodyMatches", label: "Body matches", kind: "text", hint: "A regular expression.", rare: true },
  { path: "followRedirects", label: "Follow redirects", kind: "flag", usual: true, rare: true },
  { path: "version", label: "HTTP version", kind: "choice", choices: ["auto", "1.1", "2"], usual: "auto", rare: true },
  { path: "auth", label: "Sign in", kind: "json", placeholder: '{"type": "basic", "username": "…", "password": "…"}', hint: 'Also {"type": "bearer", "token": "…"}.', rare: true },
  ...TLS,
];

const DATABASE: readonly ConfigField[] = [
  { path: "username", label: "User", kind: "text" },
  { path: "password", label: "Password", kind: "secret" },
  { path: "database", label: "Database", kind: "text", hint: "Where the target does not name it." },
  { path: "sslMode", label: "Encryption", kind: "choice", choices: ["disable", "prefer", "require", "verify-full"], usual: "prefer" },
  { path: "query", label: "Statement", kind: "lines", placeholder: "SELECT 1", hint: "Run in a session that can only read." },
  { path: "expect", label: "Its first value is", kind: "text" },
  ...TLS.filter((field) => field.path !== "tls.insecureSkipVerify"),
];

const COMPARE = ["==", "!=", ">", ">=", "<", "<="] as const;

export const KINDS: readonly KindInfo[] = [
  { id: "http", label: "HTTP", about: "An HTTP endpoint answers as it should.", target: "Address", placeholder: "https://example.com/health", fields: HTTP },
  { id: "external_api", label: "External API", about: "An API of someone else: its content counts.", target: "Address", placeholder: "https://api.example.com/status", fields: HTTP },
  { id: "tcp", label: "TCP", about: "A port takes connections.", target: "Host and port", placeholder: "db.example.com:5432", fields: [{ path: "send", label: "Send", kind: "text" }, { path: "expect", label: "Answer holds", kind: "text" }] },
  {
    id: "tls",
    label: "Certificate",
    about: "A certificate is trusted, fits its name, and does not end soon.",
    target: "Host and port",
    placeholder: "example.com:443",
    fields: [
      { path: "minDays", label: "Valid for at least (days)", kind: "number", usual: 14 },
      { path: "verifyChain", label: "Must lead to a trusted authority", kind: "flag", usual: true },
      { path: "names", label: "Good for these names", kind: "list" },
      ...TLS,
    ],
  },
  {
    id: "dns",
    label: "DNS",
    about: "A name has the records it should.",
    target: "Name",
    placeholder: "example.com",
    fields: [
      { path: "recordType", label: "Records", kind: "choice", choices: ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"], usual: "A" },
      { path: "server", label: "Ask this server", kind: "text", placeholder: "9.9.9.9", hint: "The system's when empty." },
      { path: "expected", label: "Values", kind: "list", hint: "Any will do when empty." },
      { path: "matching", label: "Which of them", kind: "choice", choices: ["all", "any", "exact"], usual: "all" },
    ],
  },
  {
    id: "icmp",
    label: "Ping",
    about: "A host answers echo requests.",
    target: "Host",
    placeholder: "192.0.2.1",
    fields: [{ path: "count", label: "Requests", kind: "number", usual: 1 }, { path: "maxLossPercent", label: "May be lost (%)", kind: "number", usual: 0 }],
  },
  {
    id: "grpc",
    label: "gRPC",
    about: "A service says it serves, by gRPC's health protocol.",
    target: "Host and port",
    placeholder: "grpcs://api.example.com:443",
    fields: [{ path: "service", label: "Service", kind: "text", hint: "The whole server when empty." }, { path: "metadata", label: "Metadata", kind: "pairs", rare: true }, ...TLS],
  },
  {
    id: "websocket",
    label: "WebSocket",
    about: "A WebSocket opens, and answers.",
    target: "Address",
    placeholder: "wss://example.com/socket",
    fields: [{ path: "send", label: "Send", kind: "text" }, { path: "expect", label: "A message holds", kind: "text" }, { path: "headers", label: "Headers", kind: "pairs", rare: true }, ...TLS],
  },
  { id: "postgresql", label: "PostgreSQL", about: "A database takes connections and answers a statement.", target: "Server", placeholder: "postgres://db.example.com:5432/name", fields: DATABASE },
  { id: "mysql", label: "MySQL", about: "MySQL or MariaDB answers a statement.", target: "Server", placeholder: "mysql://db.example.com:3306/name", fields: DATABASE },
  { id: "database", label: "Database", about: "A database of the kind that the target's scheme names.", target: "Server", placeholder: "postgres://db.example.com/name", fields: DATABASE },
  {
    id: "redis",
    label: "Redis",
    about: "Redis or Valkey answers.",
    target: "Server",
    placeholder: "cache.example.com:6379",
    fields: [{ path: "username", label: "User", kind: "text" }, { path: "password", label: "Password", kind: "secret" }, { path: "database", label: "Database", kind: "number" }, ...TLS],
  },
  {
    id: "disk",
    label: "Disk",
    about: "A filesystem of this server has room.",
    target: "Path",
    placeholder: "/",
    fields: [
      { path: "maxUsedPercent", label: "At most in use (%)", kind: "number", hint: "90 when nothing is said." },
      { path: "minFreePercent", label: "At least free (%)", kind: "number" },
      { path: "minFreeBytes", label: "At least free (bytes)", kind: "number" },
    ],
  },
  { id: "memory", label: "Memory", about: "This server has memory left.", target: "", placeholder: "", targetless: true, fields: [{ path: "maxUsedPercent", label: "At most in use (%)", kind: "number", usual: 90 }] },
  {
    id: "heartbeat",
    label: "Heartbeat",
    about: "A program reports by itself; its silence is the fault.",
    target: "",
    placeholder: "",
    hint: "The interval is the time between two reports. The address to report to is shown once it is created.",
    targetless: true,
    fields: [{ path: "grace", label: "May be late by (s)", kind: "number", usual: 60 }],
  },
  {
    id: "query",
    label: "Query",
    about: "The answer to a query about what is stored here.",
    target: "Query",
    placeholder: "sum(rate(http_requests_total[5m]))",
    fields: [
      { path: "language", label: "Language", kind: "choice", choices: ["promql", "sql", "search"], usual: "promql" },
      { path: "operator", label: "Healthy while it is", kind: "choice", choices: COMPARE, required: true },
      { path: "threshold", label: "Than", kind: "number", required: true },
      { path: "noData", label: "Without a value", kind: "choice", choices: ["unknown", "healthy", "unhealthy"], usual: "unknown" },
    ],
  },
  {
    id: "command",
    label: "Command",
    about: "A command that an agent is allowed to run.",
    target: "Name",
    placeholder: "backup-age",
    hint: "In the agent's list of allowed commands.",
    fields: [{ path: "args", label: "Arguments", kind: "list" }, { path: "expectedExit", label: "Healthy exit status", kind: "number", usual: 0 }],
  },
  { id: "custom", label: "Custom", about: "A function that the program registered.", target: "Name", placeholder: "", fields: [{ path: "arguments", label: "Arguments", kind: "json", placeholder: "{}" }] },
];

export const kindOf = (type: CheckType): KindInfo => KINDS.find((kind) => kind.id === type) ?? (KINDS[0] as KindInfo);
export const kindLabel = (type: string): string => KINDS.find((kind) => kind.id === type)?.label ?? type;
