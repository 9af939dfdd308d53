/** What to paste into clients so that they send here, or ask here, with a key. */

export interface Snippet {
  id: string;
  label: string;
  /** Where it goes. */
  hint: string;
  text: string;
}

const shell = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Inside double quotes of YAML, TOML and Alloy's language. */
const quoted = (text: string) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** Clients that send. `origin` is the address of this installation, such as `https://bellwether.example.com`. */
export function ingestSnippets(origin: string, key: string): Snippet[] {
  return [
    {
      id: "otel",
      label: "OpenTelemetry",
      hint: "Environment of any OpenTelemetry SDK",
      text: `export OTEL_EXPORTER_OTLP_ENDPOINT=${origin}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS=${quoted(`authorization=Bearer ${key}`)}
export OTEL_SERVICE_NAME=my-service`,
    },
    {
      id: "prometheus",
      label: "Prometheus",
      hint: "prometheus.yml",
      text: `remote_write:
  - url: ${origin}/api/v1/write
    authorization:
      type: Bearer
      credentials: ${quoted(key)}`,
    },
    {
      id: "promtail",
      label: "Promtail",
      hint: "promtail.yaml",
      text: `clients:
  - url: ${origin}/loki/api/v1/push
    bearer_token: ${quoted(key)}`,
    },
    {
      id: "alloy",
      label: "Alloy",
      hint: "config.alloy",
      text: `loki.write "bellwether" {
  endpoint {
    url          = ${quoted(`${origin}/loki/api/v1/push`)}
    bearer_token = ${quoted(key)}
  }
}

prometheus.remote_write "bellwether" {
  endpoint {
    url          = ${quoted(`${origin}/api/v1/write`)}
    bearer_token = ${quoted(key)}
  }
}`,
    },
    {
      id: "filebeat",
      label: "Filebeat",
      hint: "filebeat.yml",
      text: `output.elasticsearch:
  hosts: [${quoted(withPort(origin))}]
  path: /elasticsearch
  username: bellwether
  password: ${quoted(key)}
  allow_older_versions: true
setup.ilm.enabled: false
setup.template.enabled: false`,
    },
    {
      id: "syslog",
      label: "syslog",
      hint: "Syslog carries no key, so the agent beside rsyslog adds it",
      text: `# on the host:
bellwether agent --join ${origin} ${key} --syslog 127.0.0.1:5514

# /etc/rsyslog.d/bellwether.conf:
*.* @@127.0.0.1:5514;RSYSLOG_SyslogProtocol23Format`,
    },
    {
      id: "curl",
      label: "curl",
      hint: "One log record, from a terminal",
      text: `curl -sS ${shell(`${origin}/api/v1/monitoring/logs`)} \\
  -H ${shell(`Authorization: Bearer ${key}`)} \\
  -H 'Content-Type: application/json' \\
  -d '{"message":"hello from curl","level":"info","service":"demo"}'`,
    },
  ];
}

/** Clients that ask. */
export function querySnippets(origin: string, key: string): Snippet[] {
  return [
    {
      id: "ask",
      label: "curl, to ask",
      hint: "One query, from a terminal",
      text: `curl -sS ${shell(`${origin}/api/v1/query`)} \\
  -H ${shell(`Authorization: Bearer ${key}`)} \\
  --data-urlencode 'query=up'`,
    },
    {
      id: "grafana",
      label: "Grafana",
      hint: "provisioning/datasources/bellwether.yaml",
      text: `apiVersion: 1
datasources:
${[
  ["Bellwether metrics", "prometheus", origin],
  ["Bellwether traces", "tempo", `${origin}/tempo`],
]
  .map(
    ([name, type, url]) => `  - name: ${name}
    type: ${type}
    url: ${url}
    jsonData:
      httpHeaderName1: Authorization
    secureJsonData:
      httpHeaderValue1: ${quoted(`Bearer ${key}`)}`,
  )
  .join("\n")}`,
    },
  ];
}

/** Those that a key with these scopes can use; one of a service account may do either. */
export function snippetsFor(scopes: readonly string[], origin: string, key: string): Snippet[] {
  const any = scopes.length === 0 || scopes.includes("admin");
  return [
    ...(any || scopes.includes("ingest") ? ingestSnippets(origin, key) : []),
    ...(any || scopes.includes("query") ? querySnippets(origin, key) : []),
  ];
}

/** Filebeat takes 9200 for an address without a port. */
function withPort(origin: string): string {
  const url = new URL(origin);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return `${url.protocol}//${url.hostname}:${port}`;
}
