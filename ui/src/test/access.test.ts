import { describe, expect, it } from "vitest";
import { auditQuery, detailText, readFilters, rowFacts, withNewer } from "../lib/admin/audit";
import { snippetsFor } from "../lib/admin/snippets";
import { emptyForm, formOf, issuerOf, providerUrls, ssoBody, ssoFaults, type SsoForm } from "../lib/admin/sso";
import { limitsOf, limitText, parseLimit, refusals, shares, toneOf, usageBars } from "../lib/admin/usage";
import type { AuditRow } from "../lib/api/audit";

describe("what to paste into a client", () => {
  const ORIGIN = "https://bellwether.example.com";
  const KEY = "bw_secret";

  it.each([
    [["ingest"], "otel prometheus promtail alloy filebeat syslog curl"],
    [["query"], "ask grafana"],
    [["ingest", "query"], "otel prometheus promtail alloy filebeat syslog curl ask grafana"],
    [["admin"], "otel prometheus promtail alloy filebeat syslog curl ask grafana"],
    [[], "otel prometheus promtail alloy filebeat syslog curl ask grafana"],
  ])("a key for %o: %s", (scopes, want) => expect(snippetsFor(scopes, ORIGIN, KEY).map((one) => one.id).join(" ")).toBe(want));

  const text = (id: string, origin = ORIGIN) => snippetsFor([], origin, KEY).find((one) => one.id === id)?.text ?? "";

  it.each<[string, string[]]>([
    ["otel", [`OTEL_EXPORTER_OTLP_ENDPOINT=${ORIGIN}`, '"authorization=Bearer bw_secret"']],
    ["prometheus", [`url: ${ORIGIN}/api/v1/write`, 'credentials: "bw_secret"']],
    ["promtail", [`url: ${ORIGIN}/loki/api/v1/push`, 'bearer_token: "bw_secret"']],
    ["alloy", [`"${ORIGIN}/loki/api/v1/push"`, `"${ORIGIN}/api/v1/write"`, 'bearer_token = "bw_secret"']],
    ["filebeat", ['hosts: ["https://bellwether.example.com:443"]', "path: /elasticsearch", 'password: "bw_secret"']],
    ["syslog", [`bellwether agent --join ${ORIGIN} bw_secret --syslog`, "@@127.0.0.1:5514"]],
    ["curl", [`'${ORIGIN}/api/v1/monitoring/logs'`, "'Authorization: Bearer bw_secret'"]],
    ["ask", [`'${ORIGIN}/api/v1/query'`]],
    ["grafana", [`url: ${ORIGIN}/tempo`, 'httpHeaderValue1: "Bearer bw_secret"']],
  ])("%s has the address and the key where they belong", (id, parts) => {
    for (const part of parts) expect(text(id)).toContain(part);
  });

  it("Filebeat is given the port it would guess wrong", () => {
    expect(text("filebeat", "http://127.0.0.1:4300")).toContain('"http://127.0.0.1:4300"');
    expect(text("filebeat", "http://b.example")).toContain('"http://b.example:80"');
  });
});

describe("usage", () => {
  it.each<[number, number | null, string]>([
    [0, null, "idle"],
    [79, 100, "ok"],
    [80, 100, "warn"],
    [100, 100, "bad"],
    [0, 0, "bad"],
  ])("%i of %o is %s", (used, limit, want) => expect(toneOf(used, limit)).toBe(want));

  const use = { requests_per_second: 100, in_flight_bytes: 0, series: 60, stored_bytes: { logs: 512, metrics: 512 }, stored_bytes_total: 1024, concurrent_queries: 0 };

  it("bars show use against each limit, and never more than whole", () => {
    const bars = usageBars({ limits: { requests: 3000, series: 120, stored_bytes: 2048 }, use });
    const of = (key: string) => bars.find((bar) => bar.key === key);
    expect(bars.map((bar) => bar.key).join(" ")).toBe(
      "requests in_flight_bytes series stored_bytes stored_bytes.logs stored_bytes.metrics concurrent_queries",
    );
    expect(of("requests")).toMatchObject({ share: 1, tone: "bad", text: "6.00k of 3.00k" });
    expect(of("series")).toMatchObject({ share: 0.5, tone: "ok", text: "60 of 120" });
    expect(of("stored_bytes")).toMatchObject({ used: 1024, share: 0.5, tone: "ok", text: "1.00 KiB of 2.00 KiB" });
    expect(of("stored_bytes.logs")).toMatchObject({ used: 512, share: 0.25, tone: "idle", text: "512 B" });
    expect(of("concurrent_queries")).toMatchObject({ share: 0, tone: "idle", text: "0" });
  });

  it("what is stored without a limit still shows which signal takes how much", () => {
    const bars = usageBars({ limits: {}, use });
    expect(bars.find((bar) => bar.key === "stored_bytes.logs")?.share).toBe(0.5);
  });

  it("costs are shares of the largest", () => {
    expect(shares([1, 4, 2], (one) => one).map((row) => row.share)).toEqual([1, 0.5, 0.25]);
    expect(shares([0], (one) => one)[0]?.share).toBe(0);
  });

  it.each<[string, number | null]>([
    ["", null],
    [" 200 ", 200],
    ["5M", 5_000_000],
    ["10 GiB", 10 * 1024 ** 3],
    ["1.5k", 1500],
    ["1,000", 1000],
    ["20GB", 20_000_000_000],
    ["0.5", 0.5],
    ["0", NaN],
    ["many", NaN],
    ["-5", NaN],
  ])("the limit %o is %o", (text, want) => expect(parseLimit(text)).toEqual(want));

  it.each([
    [10 * 1024 ** 3, "bytes", "10 GiB"],
    [1000, "bytes", "1000"],
    [50_000, "short", "50000"],
    [null, "bytes", ""],
  ] as const)("%o in %s is written %o and read back", (limit, unit, want) => {
    expect(limitText(limit, unit)).toBe(want);
    expect(parseLimit(limitText(limit, unit))).toBe(limit);
  });

  it("an editor says the limits that are written, and none for those left empty", () => {
    expect(limitsOf({ series: "", requests: "10", stored_bytes: "1 KiB" })).toEqual({ limits: { requests: 10, stored_bytes: 1024 }, bad: [] });
    expect(limitsOf({ series: "lots", requests: "0" }).bad).toEqual(["requests", "series"]);
  });

  it("what was refused is said in words, what was not is left out", () => {
    expect(refusals({ requests: 1204, bytes: 0, series: 0, stored_bytes: 3, queries: 0 })).toEqual(["1,204 requests", "3 writes over what may be stored"]);
  });
});

describe("single sign-on", () => {
  const oidc: SsoForm = { ...emptyForm(), name: "Company", issuer: "https://id.example.com", clientId: "c", clientSecret: "s" };
  const saml: SsoForm = { ...emptyForm("saml"), name: "Company", metadataUrl: "https://id.example.com/metadata" };

  it.each<[string, SsoForm, string]>([
    ["is right", oidc, ""],
    ["is right with SAML", saml, ""],
    ["has no name", { ...oidc, name: "" }, "name"],
    ["has a name that is taken", { ...oidc, name: "Okta" }, "name"],
    ["has an issuer without TLS", { ...oidc, issuer: "http://id.example.com" }, "issuer"],
    ["has no secret", { ...oidc, clientSecret: "" }, "clientSecret"],
    ["has a stored secret", { ...oidc, clientSecret: "", secretSet: true }, ""],
    ["is of Google", { ...oidc, preset: "google", issuer: "" }, ""],
    ["is of Okta without a domain", { ...oidc, preset: "okta", issuer: "" }, "organisation"],
    ["lets all of Microsoft in", { ...oidc, preset: "microsoft", organisation: "common" }, "organisation"],
    ["has no metadata", { ...saml, metadataUrl: "" }, "metadata"],
    ["has metadata that is none", { ...saml, metadataXml: "<html>" }, "metadata"],
    ["has stored metadata", { ...saml, metadataUrl: "", metadataSet: true }, ""],
    ["has pasted metadata", { ...saml, metadataUrl: "", metadataXml: '<md:EntityDescriptor entityID="x">' }, ""],
    ["has half a rule", { ...oidc, rules: [{ group: "", role: "admin" }] }, "rules"],
    ["has a domain that is none", { ...oidc, domains: "example" }, "domains"],
  ])("a form that %s", (_, form, want) => expect(Object.keys(ssoFaults(form, ["Okta"])).join(" ")).toBe(want));

  it.each([
    ["google", "", "https://accounts.google.com"],
    ["microsoft", "1111", "https://login.microsoftonline.com/1111/v2.0"],
    ["okta", "Example.okta.com", "https://example.okta.com"],
    ["okta", "", ""],
    ["", "", "https://id.example.com"],
  ] as const)("the issuer of %o %o is %o", (preset, organisation, want) => expect(issuerOf({ ...oidc, preset, organisation })).toBe(want));

  it("a secret is sent only when it was written", () => {
    expect(ssoBody(oidc).config).toEqual({ issuer: "https://id.example.com", client_id: "c", client_secret: "s" });
    expect(ssoBody({ ...oidc, clientSecret: "" }).config).not.toHaveProperty("client_secret");
    expect(ssoBody({ ...saml, metadataXml: " <x/> " }).config).toEqual({ metadata_xml: "<x/>" });
    expect(ssoBody({ ...saml, metadataUrl: "", metadataSet: true }).config).toEqual({});
  });

  it("what the server answers fills the form again", () => {
    const about = { role_mapping: [{ group: "g", role: "admin" }], default_role: null, domains: ["a.example", "b.example"], enabled: true };
    const settings = { issuer: "https://id.example.com", client_id: "c", client_secret_set: true, scopes: ["openid"], groups_claim: "groups", domain_claim: "", trust_email: false };
    const form = formOf({ name: "Company", kind: "oidc", config: settings, ...about });
    expect(form).toMatchObject({ secretSet: true, metadataSet: false, clientSecret: "", domains: "a.example, b.example", defaultRole: "" });
    expect(ssoFaults(form, [])).toEqual({});
    const metadata = { entity_id: "https://id.example.com/m", sso_url: "https://id.example.com/s", certificates: ["c"], email_attribute: "", name_attribute: "", groups_attribute: "" };
    const stored = formOf({ name: "Company", kind: "saml", config: metadata, ...about });
    expect(stored).toMatchObject({ secretSet: false, metadataSet: true });
    expect(ssoFaults(stored, [])).toEqual({});
  });

  it("the provider is told where to answer, once the server has said it", () => {
    const urls = { callback_url: "https://b.example/c", acs_url: "https://b.example/a", metadata_url: "https://b.example/m" };
    expect(providerUrls({ kind: "oidc", ...urls }).map((one) => one.url)).toEqual(["https://b.example/c"]);
    expect(providerUrls({ kind: "saml", ...urls }).map((one) => one.url)).toEqual(["https://b.example/a", "https://b.example/m"]);
    expect(providerUrls({ kind: "saml", callback_url: null, acs_url: null, metadata_url: null })).toEqual([]);
  });
});

describe("audit", () => {
  const row = (seq: number, more: Partial<AuditRow> = {}): AuditRow => ({
    node: "n1", seq, at: "2026-01-01T00:00:00Z", actor: { kind: "user", id: "u", name: "Ada" }, action: "a:b", method: "GET", route: "/x", target: "", result: "ok",
    status: 200, address: "::1", count: 1, detail: null, hash: `h${seq}`, ...more,
  });
  const seqs = (rows: readonly AuditRow[]) => rows.map((one) => one.seq).join(" ");

  it("asks for what the address says, without blanks", () => {
    const filters = readFilters(new URLSearchParams("actor=ada&q=%20&result=refused&other=1"));
    const query = auditQuery(filters, { from: 0, to: 1000 }, "c");
    expect([...query.keys()].sort().join(" ")).toBe("actor cursor end limit result start");
    expect(query.get("end")).toBe("1970-01-01T00:00:01.000Z");
  });

  it.each<[string, number[], number[], string, boolean]>([
    ["nothing new", [3, 2, 1], [3, 2], "3 2 1", true],
    ["two new ones", [2, 1], [4, 3, 2], "4 3 2 1", true],
    ["none shown yet", [], [2, 1], "2 1", true],
    ["more new ones than a page", [2, 1], [9, 8], "9 8", false],
    ["the range left them all behind", [2, 1], [], "2 1", true],
  ])("%s", (_, shown, newest, want, joined) => {
    const merged = withNewer(shown.map((seq) => row(seq)), newest.map((seq) => row(seq)));
    expect(seqs(merged.rows)).toBe(want);
    expect(merged.joined).toBe(joined);
  });

  it("a row is told whole, without what it does not have", () => {
    expect(rowFacts(row(1)).map(([label]) => label).join(" ")).toBe("Action Result Actor Request Address Number Hash");
    expect(rowFacts(row(1, { actor: null, count: 60, target: "t" })).map(([, value]) => value)).toContain("60 within the minute");
  });

  it.each<[unknown, string]>([
    [null, ""],
    [{ a: 1 }, '{\n  "a": 1\n}'],
  ])("detail %o reads %o", (detail, want) => expect(detailText(detail)).toBe(want));
});
