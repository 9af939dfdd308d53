/** Signing in and the caller's own account, as the stand-in server does it: `README.md` says who there is. */
import { randomUUID } from "node:crypto";
import { none, NOT_FOUND, ok, refuse, type Answer } from "./answer.ts";
import type { Schemas } from "../src/lib/api/types.ts";
import { DAY, iso, tenants, token, type Member, type TenantState } from "./people.ts";

export interface Who {
  id: string;
  tenant: TenantState;
  member: Member;
  method: Schemas["SignInMethod"];
  agent: string;
  created: number;
}

const CODE = "123456";
const LINKS: Record<string, string> = { good: "usr_1", viewer: "usr_3", editor: "usr_4" };
const sessions = new Map<string, Who>();
/** A family of tokens of a program, for whoever looks first. */
const families = new Map<string, Schemas["OwnTokens"]>([
  ["fam_1", { id: "fam_1", current: false, created_at: iso(Date.now() - 4 * DAY), last_used_at: iso(Date.now() - DAY), expires_at: iso(Date.now() + 26 * DAY), address: "10.0.4.9", user_agent: "terraform-provider/1.4" }],
]);
const tries = new Map<string, number>();
const TRIES_MAX = 4;
const enrolling = new Set<string>();

export function who(cookie: string | undefined): Who | undefined {
  return sessions.get(/session=([^;]+)/.exec(cookie ?? "")?.[1] ?? "");
}

const roleOf = (one: Who) => one.tenant.roles.find((role) => role.name === one.member.role);
export const permissionsOf = (one: Who) => roleOf(one)?.permissions ?? [];

function begin(tenant: TenantState, member: Member, method: Who["method"], agent: string): Answer {
  const id = randomUUID();
  sessions.set(id, { id, tenant, member, method, agent, created: Date.now() });
  member.last_sign_in_at = iso(Date.now());
  return { status: 200, body: { csrf: "mock" } satisfies Schemas["BegunSession"], headers: { "Set-Cookie": `session=${id}; HttpOnly; Path=/` } };
}

function signIn(form: Record<string, string>, agent: string): Answer {
  const { email = "", password = "", code } = form;
  const used = (tries.get(email) ?? 0) + 1;
  if (used > TRIES_MAX) {
    tries.delete(email);
    return refuse(429, "THROTTLED", "too many tries", { headers: { "Retry-After": "3" } });
  }
  tries.set(email, used);
  const found = [...tenants.values()].flatMap((tenant) => tenant.members.filter((one) => one.email === email).map((member) => ({ tenant, member })));
  const right = found.filter(({ tenant, member }) => tenant.passwords.get(member.id) === password && (!form.tenant || tenant.tenant.id === form.tenant));
  const [first] = right;
  if (!first || first.member.state !== "active") return refuse(401, "INVALID_CREDENTIALS", "email, password or code is not right");
  if (right.length > 1) return refuse(409, "TENANT_REQUIRED", "the address is in several organisations; name one in tenant");
  if (first.member.second_factor && code !== CODE) return refuse(401, "SECOND_FACTOR_REQUIRED", "a code of the second factor is needed");
  tries.delete(email);
  return begin(first.tenant, first.member, "password", agent);
}

const weak = (password: string) =>
  password.length < 12 ? refuse(422, "INVALID", `has ${password.length} characters; use 12 to 256, a sentence is best`, { field: "password" }) : null;

/** Routes that need no session; null leaves the request to others. */
export function publicRoutes(method: string, path: string, params: URLSearchParams, body: string, agent: string): Answer | null {
  const form = () => JSON.parse(body || "{}") as Record<string, string>;
  const home = tenants.get("default");
  if (!home) return null;
  const offer = /^\/invitations\/([^/]+)$/.exec(path)?.[1];
  if (offer) {
    const invitation = home.invitations.find((one) => one.token === decodeURIComponent(offer));
    if (!invitation) return refuse(404, "NOT_FOUND", "this invitation was used, withdrawn, or has ended");
    const { email, role, expires_at } = invitation;
    if (method === "GET") return ok({ tenant: { id: home.tenant.id, name: home.tenant.name }, email, role, expires_at } satisfies Schemas["InvitationShown"]);
    const { name = "", password = "" } = form();
    const fault = weak(password);
    if (fault) return fault;
    const member: Member = { id: token("usr_"), email, name, role, state: "active", second_factor: false, last_sign_in_at: null, created_at: iso(Date.now()), teams: [] };
    home.members.push(member);
    home.passwords.set(member.id, password);
    home.invitations = home.invitations.filter((one) => one !== invitation);
    return begin(home, member, "invitation", agent);
  }
  switch (path) {
    case "/link": {
      const id = LINKS[form().token ?? ""];
      const member = home.members.find((one) => one.id === id);
      return member ? begin(home, member, "link", agent) : refuse(401, "INVALID_CREDENTIALS", "this link was already used");
    }
    case "/sign-in":
      return signIn(form(), agent);
    case "/methods": {
      const sso = tenants.get(params.get("tenant") || "default")?.sso.filter((one) => one.enabled) ?? [];
      const providers = sso.map((one) => ({ name: one.name, kind: one.kind, label: `Sign in with ${one.name}`, url: one.sign_in_url }));
      return ok({ password: true, providers } satisfies Schemas["SignInMethods"]);
    }
    case "/password/forgot":
      return { status: 202, body: "" };
    case "/password/reset": {
      const { token: given = "", password = "" } = form();
      if (given !== "good") return refuse(401, "INVALID_CREDENTIALS", "this link was used or has ended");
      return weak(password) ?? none;
    }
    default:
      // The provider would come between; here it lets nobody in.
      return path.startsWith("/sso/") ? { status: 302, body: "", headers: { Location: "/sign-in?error=access_denied" } } : null;
  }
}

/** Routes of whoever is signed in. */
export function ownRoutes(method: string, path: string, body: string, me: Who): Answer | null {
  const form = () => JSON.parse(body || "{}") as Record<string, string>;
  const { member, tenant } = me;
  const wrong = refuse(401, "INVALID_CREDENTIALS", "the code is not right");
  const codes = () => ok({ recovery_codes: Array.from({ length: 10 }, () => token().slice(0, 10)) } satisfies Schemas["RecoveryCodes"]);
  const one = /^\/(sessions|tokens)\/(.+)$/.exec(path);
  if (one && method === "DELETE") {
    (one[1] === "sessions" ? sessions : families).delete(one[2] ?? "");
    return none;
  }
  switch (path) {
    case "/session":
      return ok({
        user: { id: member.id, name: member.name, email: member.email, role: member.role, kind: "user" },
        tenant: { id: tenant.tenant.id, name: tenant.tenant.name, state: tenant.tenant.state },
        permissions: permissionsOf(me), csrf: "mock", second_factor: member.second_factor, method: me.method,
        selector: roleOf(me)?.selector ?? null,
      } satisfies Schemas["SignedIn"]);
    case "/logout":
      sessions.delete(me.id);
      return none;
    case "/profile":
      member.name = form().name ?? "";
      return ok({ id: member.id, name: member.name, email: member.email, role: member.role } satisfies Schemas["Profile"]);
    case "/password": {
      const { current = "", new: next = "" } = form();
      if (tenant.passwords.get(member.id) !== current) return refuse(401, "INVALID_CREDENTIALS", "the current password is not right");
      const fault = weak(next);
      if (!fault) tenant.passwords.set(member.id, next);
      return fault ?? none;
    }
    case "/second-factor":
      enrolling.add(member.id);
      return ok({ secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", otpauth_url: `otpauth://totp/Bellwether:${member.email}?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Bellwether` } satisfies Schemas["SecondFactorEnrolment"]);
    case "/second-factor/confirm":
      if (!enrolling.has(member.id) || form().code !== CODE) return wrong;
      member.second_factor = true;
      return codes();
    case "/second-factor/disable":
      if (form().code !== CODE) return wrong;
      member.second_factor = false;
      return none;
    case "/second-factor/recovery-codes":
      return form().code === CODE ? codes() : wrong;
    case "/sessions": {
      const mine = [...sessions.values()].filter((other) => other.member === member);
      if (method === "DELETE") {
        for (const other of mine) if (other !== me) sessions.delete(other.id);
        return none;
      }
      const row = (other: Who): Schemas["OwnSession"] => ({
        id: other.id, current: other === me, method: other.method, user_agent: other.agent, address: "127.0.0.1",
        created_at: iso(other.created), last_seen_at: iso(Date.now()), expires_at: iso(other.created + 7 * DAY),
      });
      return ok({ items: mine.map(row), next: null } satisfies Schemas["OwnSessionPage"]);
    }
    case "/tokens":
      return ok({ items: [...families.values()], next: null } satisfies Schemas["OwnTokensPage"]);
    default:
      return NOT_FOUND;
  }
}
