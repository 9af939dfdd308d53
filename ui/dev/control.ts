/** Tenants and what belongs to one, as the stand-in server does it. */
import { none, NOT_FOUND, ok, refuse, type Answer } from "./answer.ts";
import { permissionsOf, type Who } from "./auth.ts";
import type { Schemas } from "../src/lib/api/types.ts";
import { DAY, iso, newTenant, permissionList, tenants, token, urlsOf, usageOf, type Key, type Member, type TenantState } from "./people.ts";

type Body = Record<string, any>;

function paged(items: readonly object[], params: URLSearchParams): Answer {
  const limit = Math.min(1000, Number(params.get("limit") ?? 100));
  const at = Number(params.get("after") ?? 0);
  return ok({ items: items.slice(at, at + limit), next: at + limit < items.length ? String(at + limit) : null });
}

/** What each part needs, to read and to change. */
const NEEDS: Record<string, [Schemas["Permission"], Schemas["Permission"]]> = {
  "": ["settings:read", "settings:manage"],
  usage: ["settings:read", "settings:read"],
  members: ["members:read", "members:manage"],
  invitations: ["members:read", "members:manage"],
  roles: ["members:read", "members:manage"],
  permissions: ["members:read", "members:read"],
  teams: ["members:read", "members:manage"],
  projects: ["members:read", "members:manage"],
  keys: ["keys:manage", "keys:manage"],
  "service-accounts": ["keys:manage", "keys:manage"],
  sso: ["settings:manage", "settings:manage"],
};

export function tenantRoutes(method: string, path: string, params: URLSearchParams, text: string, me: Who, origin: string): Answer {
  const body = (text ? JSON.parse(text) : {}) as Body;
  const held = permissionsOf(me);
  const [, name = "", part = "", id = "", sub = "", user = ""] = path.split("/").map(decodeURIComponent);
  const platform = held.includes("platform:manage");
  if (name === "") return platform ? allTenants(method, params, body, origin) : forbidden("platform:manage");
  const own = name === "current" || name === me.tenant.tenant.id;
  const state = own ? me.tenant : platform ? tenants.get(name) : undefined;
  if (!state) return NOT_FOUND;
  if (part === "limits" || part === "suspend" || part === "activate" || (part === "" && method === "DELETE")) {
    return platform ? lifecycle(method, part, body, state) : forbidden("platform:manage");
  }
  const need = NEEDS[part]?.[method === "GET" ? 0 : 1];
  if (!need) return NOT_FOUND;
  if (!held.includes(need)) return forbidden(need);
  switch (part) {
    case "":
      if (method === "PATCH") Object.assign(state.tenant, body, { updated_at: iso(Date.now()) });
      return ok(state.tenant);
    case "usage":
      return ok(usageOf(state));
    case "permissions":
      return paged(permissionList, params);
    case "members":
      return members(method, id, sub, params, body, state, origin);
    case "invitations":
      return invitations(method, id, params, body, state, me, origin);
    case "roles":
      return roles(method, id, params, body, state);
    case "teams":
      return sub === "members" ? teamMembers(method, id, user, state) : listed(method, id, params, body, state.teams);
    case "projects":
      return listed(method, id, params, { team: null, description: "", updated_at: iso(Date.now()), ...body }, state.projects);
    case "service-accounts":
      return listed(method, id, params, { state: "active", ...body }, state.accounts);
    case "keys":
      return keys(method, id, sub, params, body, state, me);
    default:
      return sso(method, id, sub, params, body, state);
  }
}

const forbidden = (need: string) => refuse(403, "FORBIDDEN", `this needs the permission ${need}`);

function allTenants(method: string, params: URLSearchParams, body: Body, origin: string): Answer {
  if (method === "GET") return paged([...tenants.values()].map((one) => one.tenant), params);
  if (tenants.has(body.id)) return refuse(409, "EXISTS", "there is a tenant of this identifier", { field: "id" });
  const made = newTenant(body.id, body.name, body.admin.email, body.admin.name);
  const now = Date.now();
  const steps = ["create_schema", "apply_migrations", "configure_settings", "create_admin", "default_dashboards"].map((step, i) => ({ name: step, at: iso(now + i * 17) }));
  const created: Schemas["CreatedTenant"] = { tenant: made.tenant, steps, sign_in_link: `${origin}/sign-in?token=${token()}`, key: token("bw_") };
  return ok(created, 201);
}

function lifecycle(method: string, part: string, body: Body, state: TenantState): Answer {
  if (part === "limits") state.tenant.limits = body;
  else if (part === "suspend") state.tenant.state = "suspended";
  else if (part === "activate") state.tenant.state = "active";
  else if (method === "DELETE") {
    tenants.delete(state.tenant.id);
    return { status: 202, body: { state: "deleting" } satisfies Schemas["TenantDeletion"] };
  }
  return ok(state.tenant);
}

function members(method: string, id: string, sub: string, params: URLSearchParams, body: Body, state: TenantState, origin: string): Answer {
  if (id === "") return paged(state.members, params);
  const member = state.members.find((one) => one.id === id);
  if (!member) return NOT_FOUND;
  if (sub === "sign-in-link") return ok({ url: `${origin}/sign-in?token=${token()}`, expires_at: iso(Date.now() + 3_600_000) } satisfies Schemas["SignInLink"]);
  if (sub === "reset-second-factor") member.second_factor = false;
  else if (sub === "" && method === "DELETE") state.members = state.members.filter((one) => one !== member);
  else if (sub === "" && method === "PATCH") {
    Object.assign(member, body);
    return ok(member);
  }
  return none;
}

function invitations(method: string, id: string, params: URLSearchParams, body: Body, state: TenantState, me: Who, origin: string): Answer {
  if (method === "GET") return paged(state.invitations.map(({ token: _, ...rest }) => rest), params);
  if (method === "DELETE") {
    state.invitations = state.invitations.filter((one) => one.id !== id);
    return none;
  }
  if (state.members.some((one) => one.email === body.email)) return refuse(409, "EXISTS", "is a member already", { field: "email" });
  const now = Date.now();
  const made = { id: token("inv_"), email: body.email, role: body.role, invited_by: me.member.id, created_at: iso(now), expires_at: iso(now + 7 * DAY) };
  const secret = token();
  state.invitations.push({ ...made, token: secret });
  // As a server without one that sends mail.
  const issued: Schemas["IssuedInvitation"] = { ...made, url: `${origin}/invite/${secret}`, mailed: false };
  return ok(issued, 201);
}

function roles(method: string, id: string, params: URLSearchParams, body: Body, state: TenantState): Answer {
  if (method === "GET") return paged(state.roles, params);
  const at = state.roles.findIndex((one) => one.name === id);
  if (method === "DELETE" && state.members.some((one) => one.role === id)) return refuse(409, "IN_USE", "members have this role; give them another first");
  if (method === "DELETE") {
    state.roles.splice(at, 1);
    return none;
  }
  const { name, description = "", permissions, selector } = body as Schemas["NewRole"];
  if (selector && !/^\{.+\}$/s.test(selector)) return refuse(400, "INVALID", `invalid parameter "selector": ${JSON.stringify(selector)}: write matchers in braces`, { field: "selector" });
  const role: Schemas["Role"] = { name: id || (name ?? ""), description, permissions, selector: selector ?? null, builtin: false };
  if (method === "PUT") state.roles[at] = role;
  else state.roles.push(role);
  return ok(role, method === "POST" ? 201 : 200);
}

const inTeam = (state: TenantState, team: string): Member[] => state.members.filter((one) => one.teams.includes(team));

function teamMembers(method: string, id: string, user: string, state: TenantState): Answer {
  const team = state.teams.find((one) => one.id === id);
  if (!team) return NOT_FOUND;
  const member = state.members.find((one) => one.id === user);
  if (method === "GET") return ok({ items: inTeam(state, team.name).map((one) => ({ id: one.id, name: one.name, email: one.email })), next: null } satisfies Schemas["TeamMemberPage"]);
  if (!member) return NOT_FOUND;
  member.teams = member.teams.filter((one) => one !== team.name);
  if (method === "PUT") member.teams.push(team.name);
  return none;
}

/** A list of named things: read, made, changed, deleted. */
function listed(method: string, id: string, params: URLSearchParams, body: Body, items: { id: string }[]): Answer {
  if (method === "GET") return paged(items, params);
  if (method === "POST") {
    const made = { id: token("x_"), created_at: iso(Date.now()), ...body };
    items.push(made);
    return ok(made, 201);
  }
  const at = items.findIndex((one) => one.id === id);
  if (at < 0) return NOT_FOUND;
  if (method === "DELETE") items.splice(at, 1);
  else Object.assign(items[at] ?? {}, body);
  return method === "DELETE" ? none : ok(items[at]);
}

function keys(method: string, id: string, sub: string, params: URLSearchParams, body: Body, state: TenantState, me: Who): Answer {
  if (method === "GET") return paged(state.keys, params);
  const found = state.keys.find((one) => one.id === id);
  const issue = (like: Partial<Key>): Answer => {
    const secret = token("bw_");
    const made: Key = {
      scopes: [], service_account: null, selector: null, expires_at: null, rotated_at: null, old_expires_at: null, name: "", ...like,
      id: token("key_"), prefix: secret.slice(0, 7), created_at: iso(Date.now()), last_used_at: null, revoked_at: null, created_by: me.member.name,
    };
    state.keys.unshift(made);
    return ok({ ...made, key: secret } satisfies Schemas["IssuedKey"], 201);
  };
  if (id === "") return issue(body);
  if (!found) return NOT_FOUND;
  if (sub === "rotate") {
    const secret = token("bw_");
    Object.assign(found, { prefix: secret.slice(0, 7), rotated_at: iso(Date.now()), old_expires_at: iso(Date.now() + Number(body.overlap_seconds) * 1000) });
    return ok({ ...found, key: secret }, 201);
  }
  found.revoked_at = iso(Date.now());
  return none;
}

function sso(method: string, id: string, sub: string, params: URLSearchParams, body: Body, state: TenantState): Answer {
  if (method === "GET") return paged(state.sso, params);
  const at = state.sso.findIndex((one) => one.name === id);
  const before = state.sso[at];
  if (sub === "test") {
    const address = !before ? "" : "issuer" in before.config ? before.config.issuer : before.config.entity_id;
    const good = address.includes("okta");
    const checks = [
      { name: "address", ok: true, detail: "resolves, and may be reached" },
      { name: "discovery", ok: good, detail: good ? "answered in 41 ms" : "answered 404: is the issuer right?" },
      ...(good ? [{ name: "signing keys", ok: true, detail: "2 keys, RS256" }] : []),
    ];
    return ok({ ok: good, checks } satisfies Schemas["ProviderTest"]);
  }
  if (method === "DELETE") {
    state.sso.splice(at, 1);
    return none;
  }
  const given = body as Schemas["NewSignInProvider"];
  const { name, kind, preset = null, role_mapping = [], default_role = null, domains = [], enabled = true } = given;
  const now = iso(Date.now());
  const kept: Schemas["SignInProvider"] = {
    id: before?.id ?? token("sso_"), name, kind, preset, config: configOf(given, before), ...urlsOf(name, kind), role_mapping, default_role, domains, enabled,
    created_at: before?.created_at ?? now, updated_at: now,
  };
  if (method === "PUT") state.sso[at] = kept;
  else state.sso.push(kept);
  return ok(kept, method === "POST" ? 201 : 200);
}

/** What is kept of a configuration: never the secret, and of metadata only what it says. */
function configOf({ kind, config }: Schemas["NewSignInProvider"], before?: Schemas["SignInProvider"]): Schemas["SignInProviderConfig"] {
  if (kind === "saml") {
    const known = before && "entity_id" in before.config ? before.config : null;
    const metadata = { entity_id: "https://id.example.com/metadata", sso_url: "https://id.example.com/sso", certificates: ["MIIC"] };
    return { ...(known ?? metadata), email_attribute: "email", name_attribute: "name", groups_attribute: "groups" };
  }
  const { issuer = "", client_id, client_secret } = config as Schemas["NewOidcSettings"];
  const known = before && "issuer" in before.config ? before.config.client_secret_set : false;
  return {
    issuer, client_id, client_secret_set: known || Boolean(client_secret), scopes: ["openid", "email", "profile"], groups_claim: "groups",
    domain_claim: "", trust_email: false,
  };
}
