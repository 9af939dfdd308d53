/** Tenants, members, roles, keys and providers of the stand-in server, kept in memory. */
import { randomBytes } from "node:crypto";
import type { Schemas } from "../src/lib/api/types.ts";

const PERMISSIONS: Record<Schemas["Permission"], string> = {
  "telemetry:read": "ask for telemetry",
  "telemetry:write": "send telemetry",
  "objects:read": "see dashboards, rules and other saved objects",
  "objects:write": "change them",
  "alerts:respond": "acknowledge and silence alerts",
  "members:read": "see people, teams, projects and roles",
  "members:manage": "invite, change and remove them",
  "keys:manage": "create and revoke keys and service accounts",
  "settings:read": "see settings and usage",
  "settings:manage": "change settings, single sign-on included",
  "audit:read": "read the audit log",
  "data:delete": "delete telemetry, export everything",
  "platform:manage": "create, change and delete tenants",
};
export const ALL = Object.keys(PERMISSIONS) as Schemas["Permission"][];
export const permissionList: Schemas["DescribedPermission"][] = ALL.map((name) => ({ name, description: PERMISSIONS[name] }));

export const DAY = 86_400_000;
export const iso = (ms: number) => new Date(ms).toISOString();
export const token = (prefix = "") => prefix + randomBytes(12).toString("base64url");
/** The same numbers at every start. */
const random = (seed: number) => {
  const x = Math.sin(seed * 9999.7) * 43_758.5453;
  return x - Math.floor(x);
};

export type Member = Schemas["Member"];
export type Key = Schemas["ApiKey"];
type Permission = Schemas["Permission"];

export interface TenantState {
  tenant: Schemas["Tenant"];
  members: Member[];
  passwords: Map<string, string>;
  /** With the token that accepts each. */
  invitations: (Schemas["Invitation"] & { token: string })[];
  roles: Schemas["Role"][];
  teams: Schemas["Team"][];
  projects: Schemas["Project"][];
  keys: Key[];
  accounts: Schemas["ServiceAccount"][];
  sso: Schemas["SignInProvider"][];
}

const READ: Permission[] = ["telemetry:read", "objects:read", "members:read", "settings:read"];
const builtin = (name: string, permissions: Permission[]): Schemas["Role"] => ({ name, description: "", permissions, selector: null, builtin: true });
const ROLES = (): Schemas["Role"][] => [
  builtin("viewer", READ),
  builtin("responder", [...READ, "alerts:respond"]),
  builtin("editor", [...READ, "telemetry:write", "objects:write", "alerts:respond"]),
  builtin("admin", ALL.filter((name) => name !== "platform:manage")),
  builtin("platform_admin", ALL),
];

const FIRST = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Margaret", "Alan", "Frances", "Tony", "Radia", "Ken", "Sophie", "Dennis", "Lynn"];
const LAST = ["Lovelace", "Hopper", "Dijkstra", "Liskov", "Knuth", "Hamilton", "Turing", "Allen", "Hoare", "Perlman", "Thompson", "Wilson", "Ritchie", "Conway"];
const TEAMS = ["Harbour", "Lighthouse", "Pilots", "Tugs"];

function people(domain: string, count: number): Member[] {
  const now = Date.now();
  return Array.from({ length: count }, (_, i) => {
    const first = FIRST[i % FIRST.length] ?? "";
    const last = LAST[Math.floor(i / FIRST.length) % LAST.length] ?? "";
    return {
      id: `usr_${String(i + 100)}`,
      email: `${first}.${last}.${i}@${domain}`.toLowerCase(),
      name: `${first} ${last}`,
      role: ["viewer", "viewer", "editor", "responder"][i % 4] ?? "viewer",
      state: i % 37 === 5 ? "disabled" : "active",
      second_factor: random(i) > 0.4,
      last_sign_in_at: i % 23 === 7 ? null : iso(now - random(i + 0.5) * 60 * DAY),
      created_at: iso(now - (90 + i) * DAY),
      teams: i % 5 === 0 ? [TEAMS[i % TEAMS.length] ?? ""] : [],
    };
  });
}

const account = (id: string, email: string, name: string, role: string, second = false): Member => ({
  id, email, name, role, state: "active", second_factor: second, last_sign_in_at: iso(Date.now() - 3_600_000), created_at: iso(Date.now() - 400 * DAY), teams: [],
});

export const PASSWORD = "correct horse battery";

function key(id: string, name: string, scopes: Key["scopes"], more: Partial<Key> = {}): Key {
  const now = Date.now();
  return {
    id, name, scopes, prefix: `bw_${id.slice(-4)}`, service_account: null, selector: null, created_at: iso(now - 60 * DAY), rotated_at: null, old_expires_at: null, expires_at: iso(now + 120 * DAY),
    last_used_at: iso(now - 40_000), revoked_at: null, created_by: "Ada Admin", ...more,
  };
}

function made(id: string, name: string, members: Member[], state: Schemas["TenantState"] = "active"): TenantState {
  const at = iso(Date.now() - 300 * DAY);
  return {
    tenant: { id, name, state, settings: {}, limits: { requests: 12_000, series: 100_000 }, created_at: at, updated_at: at },
    members,
    passwords: new Map(),
    invitations: [],
    roles: ROLES(),
    teams: [],
    projects: [],
    keys: [],
    accounts: [],
    sso: [],
  };
}

/** The addresses that a provider must be told. */
export const urlsOf = (name: string, kind: Schemas["ProviderKind"]) => {
  const base = `https://bellwether.harbour.example/api/v1/auth/sso/default/sso_${Buffer.from(name).toString("hex").slice(0, 16)}`;
  const saml = kind === "saml";
  return {
    sign_in_url: `/api/v1/auth/sso/default/${encodeURIComponent(name)}`, callback_url: saml ? null : `${base}/callback`,
    acs_url: saml ? `${base}/acs` : null, metadata_url: saml ? `${base}/metadata` : null,
  };
};

function start(): Map<string, TenantState> {
  const now = Date.now();
  const home = made("default", "Harbour Freight", [
    account("usr_1", "admin@harbour.example", "Ada Admin", "platform_admin"),
    account("usr_2", "factor@harbour.example", "Fay Factor", "admin", true),
    account("usr_3", "viewer@harbour.example", "Vic Viewer", "viewer"),
    account("usr_4", "shared@harbour.example", "Sal Shared", "editor"),
    ...people("harbour.example", 1996),
  ]);
  for (const one of home.members.slice(0, 4)) home.passwords.set(one.id, PASSWORD);
  home.tenant.settings = { retention: { metrics: "30d", logs: "7d", traces: "7d", audit: "365d" }, timezone: "Europe/Oslo" };
  home.tenant.limits = {
    requests: 30_000, in_flight_bytes: 256 * 1024 ** 2, series: 50_000, stored_bytes: 60 * 1024 ** 3, concurrent_queries: 20, query_seconds: 60,
  };
  home.roles.push({ ...builtin("on-call", ["telemetry:read", "alerts:respond"]), builtin: false, selector: '{namespace=~"harbour-.*"}' });
  home.teams = TEAMS.map((name, i) => ({ id: `team_${i}`, name, created_at: iso(now - 90 * DAY) }));
  const project = (id: string, name: string, team: string | null) => ({ id, name, description: "", team, created_at: iso(now - 80 * DAY), updated_at: iso(now - 80 * DAY) });
  home.projects = [project("prj_1", "Crane control", "team_0"), project("prj_2", "Billing", null)];
  home.accounts = [{ id: "sa_1", name: "deploy bot", role: "editor", state: "active", created_at: iso(now - 40 * DAY) }];
  home.keys = [
    key("key_aa01", "prometheus", ["ingest"]),
    key("key_aa02", "grafana", ["query"], { selector: '{namespace=~"harbour-.*"}', expires_at: iso(now + 6 * DAY) }),
    key("key_aa03", "agents", ["ingest", "query"], { expires_at: null }),
    key("key_aa04", "deploys", [], { service_account: "sa_1", last_used_at: iso(now - 3 * DAY) }),
    key("key_aa05", "old laptop", ["admin"], { revoked_at: iso(now - 9 * DAY) }),
    key("key_aa06", "forgotten", ["query"], { created_at: iso(now - 300 * DAY), last_used_at: iso(now - 200 * DAY), expires_at: null }),
  ];
  home.invitations = [
    { id: "inv_1", email: "new@harbour.example", role: "editor", invited_by: "usr_1", created_at: iso(now - 2 * DAY), expires_at: iso(now + 5 * DAY), token: "welcome" },
  ];
  home.sso = [
    {
      id: "sso_1", name: "Okta", kind: "oidc", preset: "okta",
      config: {
        issuer: "https://harbour.okta.com", client_id: "0oa1b2c3", client_secret_set: true, scopes: ["openid", "email", "profile"],
        groups_claim: "groups", domain_claim: "", trust_email: false,
      },
      ...urlsOf("Okta", "oidc"), created_at: iso(now - 50 * DAY), updated_at: iso(now - 50 * DAY), role_mapping: [{ group: "platform", role: "admin" }], default_role: "viewer", domains: ["harbour.example"], enabled: true,
    },
  ];
  const acme = made("acme", "Acme", [account("usr_1", "shared@harbour.example", "Sal Shared", "viewer"), ...people("acme.example", 12)]);
  acme.passwords.set("usr_1", PASSWORD);
  const more = Array.from({ length: 60 }, (_, i) =>
    made(`customer-${String(i + 1).padStart(3, "0")}`, `Customer ${i + 1}`, people(`customer${i}.example`, 3), i % 20 === 11 ? "suspended" : "active"),
  );
  return new Map([home, acme, made("platform", "Platform", []), ...more].map((one) => [one.tenant.id, one]));
}

export const tenants = start();

export const newTenant = (id: string, name: string, email: string, admin: string) => {
  const state = made(id, name, [account("usr_1", email, admin, "admin")]);
  tenants.set(id, state);
  return state;
};

export function usageOf(state: TenantState): Schemas["Usage"] {
  const many = state.tenant.id === "default" ? 1 : 0.02;
  const GiB = 1024 ** 3;
  const stored = { metrics: 4.1 * GiB * many, logs: 50.2 * GiB * many, traces: 12 * GiB * many, events: 0.2 * GiB * many };
  const metrics: [string, number][] = [
    ["http_server_request_duration_seconds_bucket", 9200], ["container_memory_usage_bytes", 4100], ["node_cpu_seconds_total", 2304], ["up", 120],
  ];
  return {
    limits: state.tenant.limits,
    use: {
      requests_per_second: 212 * many, in_flight_bytes: 34 * 1024 ** 2 * many, series: Math.round(43_700 * many), concurrent_queries: 3,
      stored_bytes: stored, stored_bytes_total: Object.values(stored).reduce((sum, bytes) => sum + bytes, 0),
    },
    refused: { requests: Math.round(1204 * many), bytes: 0, series: Math.round(88 * many), stored_bytes: Math.round(17 * many), queries: 0 },
    top: {
      metrics: metrics.map(([name, series]) => ({ name, series })),
      services: Object.entries({ checkout: 9.1, api: 6.4, search: 1.2 }).map(([name, size]) => ({ name, bytes: size * GiB, rows: Math.round(size * 4e6) })),
      keys: state.keys.slice(0, 3).map((one, i) => ({ id: one.id, name: one.name, requests: 90_000 / (i + 1), bytes: (11 * GiB) / (i + 1) })),
    },
  };
}
