import { describe, expect, it } from "vitest";
import { domainsOf, emailFault, nameFault, roleNameFault, slugOf, tenantIdFault, urlFault } from "../lib/admin/fields";
import { endText, isForgotten, keyBody, keyFault, keysWarning, keyState, SOON_MS, type KeyForm } from "../lib/admin/keys";
import { membersShown, nameOf, nextSort, offeredFor, readSort } from "../lib/admin/members";
import { areasOf, grantable, sortRoles } from "../lib/admin/roles";
import { flat, limitRows, readSettings, retentionRows } from "../lib/admin/settings";
import { isKept, stepRows, tenantsShown } from "../lib/admin/tenants";
import type { ApiKey } from "../lib/api/access";
import type { Member, Role, Tenant } from "../lib/api/tenants";

const NOW = Date.parse("2026-01-01T12:00:00.000Z");
const DAY = 86_400_000;
const at = (ms: number | null) => (ms === null ? null : new Date(NOW + ms).toISOString());

describe("fields", () => {
  it.each([
    [emailFault, "ada@example.com", true],
    [emailFault, " ada@localhost ", true],
    [emailFault, "", false],
    [emailFault, "ada", false],
    [emailFault, "a b@example.com", false],
    [emailFault, "ada@example..com", false],
    [nameFault, "Ada", true],
    [nameFault, "  ", false],
    [nameFault, "x".repeat(101), false],
    [urlFault, "https://id.example.com", true],
    [urlFault, "http://127.0.0.1:9000", true],
    [urlFault, "http://id.example.com", false],
    [urlFault, "id.example.com", false],
    [urlFault, "", false],
  ])("%o takes %o: %o", (fault, text, good) => expect(fault(text) === "").toBe(good));

  it.each([
    ["on-call", [], true],
    ["On-Call", [], false],
    ["9to5", [], false],
    ["viewer", ["viewer"], false],
  ])("role %o beside %o: %o", (name, taken, good) => expect(roleNameFault(name, taken) === "").toBe(good));

  it.each([
    ["acme", [], true],
    ["acme_2", [], true],
    ["acme-", [], false],
    ["Acme", [], false],
    ["x".repeat(49), [], false],
    ["acme", ["acme"], false],
  ])("tenant %o beside %o: %o", (id, taken, good) => expect(tenantIdFault(id, taken) === "").toBe(good));

  it.each([
    ["Acme Corp.", "acme-corp"],
    ["Café Zürich", "cafe-zurich"],
    ["  ", ""],
  ])("%o becomes %o, which is an identifier", (name, want) => {
    expect(slugOf(name)).toBe(want);
    if (want) expect(tenantIdFault(slugOf(name), [])).toBe("");
  });

  it.each([
    ["Example.com, @example.org example.com", ["example.com", "example.org"], true],
    ["", [], true],
    ["localhost", ["localhost"], false],
  ])("domains %o are %o", (text, want, good) => {
    const { domains, fault } = domainsOf(text);
    expect(domains).toEqual(want);
    expect(fault === "").toBe(good);
  });
});

describe("keys", () => {
  const key = (expires: number | null, revoked: number | null, used: number | null = 0): ApiKey => ({
    id: "k", name: "k", prefix: "bw_", scopes: ["ingest"], service_account: null, selector: null, created_at: at(-DAY) ?? "", created_by: null, rotated_at: null, old_expires_at: null,
    expires_at: at(expires), revoked_at: at(revoked), last_used_at: at(used),
  });

  it.each<[string, number | null, number | null, string, string]>([
    ["for ever", null, null, "active", "never"],
    ["for long", 90 * DAY, null, "active", "in 90 d"],
    ["not for long", SOON_MS, null, "expiring", "in 14 d"],
    ["no more", -DAY, null, "expired", "1 d ago"],
    ["revoked", 90 * DAY, -DAY, "revoked", "1 d ago"],
    ["rotated, still working", 90 * DAY, 3_600_000, "expiring", "in 1 h"],
  ])("a key %s", (_, expires, revoked, state, end) => {
    expect(keyState(key(expires, revoked), NOW)).toBe(state);
    expect(endText(key(expires, revoked), NOW)).toBe(end);
  });

  it("that nobody uses is told from one that is new", () => {
    expect(isForgotten(key(null, null, -91 * DAY), NOW)).toBe(true);
    expect(isForgotten(key(null, null, null), NOW)).toBe(false);
  });

  it("near their end are named, a few of them", () => {
    expect(keysWarning([key(null, null)], NOW)).toBe("");
    expect(keysWarning([key(DAY, null)], NOW)).toContain("“k” ends within 14 days");
    expect(keysWarning(Array.from({ length: 5 }, () => key(DAY, null)), NOW)).toContain("and 2 more end");
  });

  const form: KeyForm = { name: " prometheus ", account: "", scopes: ["ingest"], days: 30 };
  it.each<[Partial<KeyForm>, string | undefined, object]>([
    [{}, undefined, { name: "prometheus", scopes: ["ingest"], expires_at: at(30 * DAY) }],
    [{ days: 0 }, undefined, { name: "prometheus", scopes: ["ingest"] }],
    [{ account: "sa_1", scopes: [], days: 0 }, undefined, { name: "prometheus", service_account: "sa_1" }],
    [{ name: "" }, "name", {}],
    [{ scopes: [] }, "scopes", {}],
  ])("form %o: fault %o, body %o", (changes, fault, body) => {
    const one = { ...form, ...changes };
    expect(keyFault(one)?.field).toBe(fault);
    if (!fault) expect(keyBody(one, NOW)).toEqual(body);
  });
});

describe("members", () => {
  it.each([
    ["somebody else", "u2", "u1", true],
    ["oneself, for whom the server refuses it", "u1", "u1", false],
    ["anybody, before it is known who asks", "u1", null, true],
  ])("what is offered for %s", (_, id, me, offered) => {
    expect(offeredFor({ id }, me === null ? null : { id: me })).toEqual({ link: offered, factor: offered, account: offered });
  });

  const member = (email: string, more: Partial<Member> = {}): Member => ({
    id: email, email, name: "", role: "viewer", state: "active", second_factor: true, last_sign_in_at: at(-DAY), created_at: "", teams: [], ...more,
  });
  const all = [
    member("zoe@x.example", { name: "Ada Z", role: "admin" }),
    member("bob@x.example", { teams: ["Pilots"], last_sign_in_at: null, second_factor: false }),
    member("cy@x.example", { state: "disabled", second_factor: false, last_sign_in_at: at(-2 * DAY) }),
  ];

  it.each([
    ["", "", "", "", "zoe bob cy"],
    ["", "", "", "-name", "cy bob zoe"],
    ["", "", "", "seen", "bob cy zoe"],
    ["", "", "", "-role", "bob cy zoe"],
    ["ADA", "", "", "", "zoe"],
    ["pilots x.example", "", "", "", "bob"],
    ["", "admin", "", "", "zoe"],
    ["", "", "disabled", "", "cy"],
    ["", "", "plain", "", "bob"],
    ["nobody", "", "", "", ""],
  ])("text %o, role %o, state %o, sort %o: %s", (text, role, state, sort, want) => {
    const shown = membersShown(all, { text, role, state }, readSort(sort));
    expect(shown.map((one) => one.email.split("@")[0]).join(" ")).toBe(want);
  });

  it("without a name go by their address", () => expect(nameOf(member("bob@x.example"))).toBe("bob@x.example"));
  it("sort back to the usual order", () => expect(nextSort(readSort("-name"), "name")).toBeNull());
});

describe("roles", () => {
  const roles: Pick<Role, "name" | "permissions" | "builtin">[] = [
    { name: "zeta", permissions: ["telemetry:read"], builtin: false },
    { name: "platform_admin", permissions: ["platform:manage"], builtin: true },
    { name: "viewer", permissions: ["telemetry:read"], builtin: true },
    { name: "alpha", permissions: ["keys:manage"], builtin: false },
  ];
  it("come built-in first, by what they may", () => expect(sortRoles(roles).map((role) => role.name).join(" ")).toBe("viewer platform_admin alpha zeta"));
  it("are given only by who holds what they permit", () => {
    expect(grantable(roles, ["telemetry:read"]).map((role) => role.name).join(" ")).toBe("viewer zeta");
    expect(grantable(roles, [])).toEqual([]);
  });
  it("permissions stand by area", () => {
    const areas = areasOf((["telemetry:read", "telemetry:write", "audit:read"] as const).map((name) => ({ name, description: "" })));
    expect(areas.map(({ area, permissions }) => `${area}=${permissions.map((one) => one.verb).join("+")}`).join(" ")).toBe("telemetry=read+write audit=read");
  });
});

describe("settings", () => {
  it("are flattened by name", () => expect(flat({ b: 1, a: { d: [1], c: "x" } })).toEqual([["a.c", "x"], ["a.d", [1]], ["b", 1]]));
  it("say how long is kept", () => expect(retentionRows({ retention: { logs: "7d", audit: "off" } })).toEqual([["audit", "kept for ever"], ["logs", "7d"]]));
  it("limits are read with their unit", () => {
    expect(limitRows({ series: 50_000, stored_bytes: 1024 ** 3, odd_thing: 3 })).toEqual([["odd thing", "3"], ["Series", "50.0k"], ["Stored", "1.00 GiB"]]);
  });
  it.each([
    ['{"a": 1}', true],
    ["[1]", false],
    ["{", false],
    ["", false],
  ])("%o is read: %o", (text, good) => expect(readSettings(text).fault === "").toBe(good));
});

describe("tenants", () => {
  const tenant = (id: string, name: string, state: Tenant["state"] = "active"): Tenant => ({ id, name, state, settings: {}, limits: {}, created_at: "", updated_at: "" });
  const all = [tenant("t-10", "Customer 10"), tenant("t-9", "Customer 9", "suspended"), tenant("acme", "Acme")];
  it.each([
    ["", "", "acme t-9 t-10"],
    ["customer", "", "t-9 t-10"],
    ["", "suspended", "t-9"],
    ["ACME", "", "acme"],
  ])("filter %o, state %o: %s", (filter, state, want) => expect(tenantsShown(all, filter, state).map((one) => one.id).join(" ")).toBe(want));

  it("the steps of making one say how long each took", () => {
    const steps = [{ name: "create_schema", at: at(0) ?? "" }, { name: "apply_migrations", at: at(17) ?? "" }, { name: "odd_step", at: "?" }];
    expect(stepRows(steps)).toEqual([
      { label: "A database of its own", ms: null },
      { label: "Its tables", ms: 17 },
      { label: "odd step", ms: null },
    ]);
  });
  it("two are never deleted", () => expect(["default", "platform", "acme"].map(isKept)).toEqual([true, true, false]));
});
