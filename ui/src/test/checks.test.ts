import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeChecks } from "../../dev/checks";
import { createCheck, deleteCheck, fetchCheck, fetchChecks, fetchResults, fetchUptime, putCheck, runCheck, tryCheck } from "../lib/api/checks";
import { checkBody, checkFaults, configOf, emptyCheck, readText, specOf, textOf, valueAt, withType, withValue } from "../lib/checks/form";
import { KINDS, kindOf } from "../lib/checks/kinds";
import { daysShown, dayTone, factsOf, outageText, shownState, sinceOf, summaryText, timingParts, totalOf, uptimeText } from "../lib/checks/list";
import { CHECK_TYPES, type CheckSpec, type CheckState } from "../lib/checks/types";

const NOW = Date.parse("2026-03-03T12:00:00Z");

describe("forms", () => {
  test("every type has a form", () => expect(KINDS.map((kind) => kind.id).sort()).toEqual([...CHECK_TYPES].sort()));

  test("values are found and set at paths; what is empty is not there", () => {
    const config = withValue(withValue({}, "tls.ca", "PEM"), "method", "HEAD");
    expect(config).toEqual({ tls: { ca: "PEM" }, method: "HEAD" });
    expect([valueAt(config, "tls.ca"), valueAt(config, "tls.x"), valueAt(config, "method.x")]).toEqual(["PEM", undefined, undefined]);
    expect(withValue(config, "tls.ca", undefined)).toEqual({ method: "HEAD" });
    expect(withValue({ expectedStatus: ["200"] }, "expectedStatus", [])).toEqual({});
    expect(withValue({}, "followRedirects", false)).toEqual({ followRedirects: false });
    expect(withValue({}, "maxLossPercent", 0)).toEqual({ maxLossPercent: 0 });
  });

  test.each([
    ["number", "12,5", { value: 12.5 }],
    ["number", "many", { problem: "is not a number" }],
    ["list", "200, 2xx,", { value: ["200", "2xx"] }],
    ["json", "{", { problem: "is not JSON" }],
    ["json", '{"a":1}', { value: { a: 1 } }],
    ["text", " x ", { value: "x" }],
    ["lines", " ", { value: undefined }],
  ] as const)("a %s typed as %j", (kind, text, read) => expect(readText({ path: "p", label: "", kind }, text)).toEqual(read));

  test("what is set is shown as it is typed", () => expect([textOf(["a", "b"]), textOf(5), textOf(undefined), textOf({ a: 1 })]).toEqual(["a, b", "5", "", '{\n  "a": 1\n}']));

  test("another type keeps what it takes too, and gets what it cannot do without", () => {
    const http = { ...emptyCheck("http"), target: "https://a.example", config: { method: "HEAD", tls: { serverName: "b" } } };
    expect(withType(http, "websocket").config).toEqual({ tls: { serverName: "b" } });
    expect(withType(http, "memory").target).toBe("");
    expect(configOf("query", {})).toEqual({ operator: "==" });
  });

  test.each<[string, Partial<CheckSpec>, string[]]>([
    ["is fine", {}, []],
    ["has no name", { name: " " }, ["name"]],
    ["has no target", { target: "" }, ["target"]],
    ["needs no target", { type: "memory", target: "" }, []],
    ["gives up after its interval", { interval: 5 }, ["timeout"]],
    ["runs half seconds", { interval: 0.5 }, ["interval"]],
    ["never tires", { retries: 11 }, ["retries"]],
    ["has no threshold", { type: "query", config: { operator: ">" } }, ["config.threshold"]],
  ])("one that %s", (_, more, faults) => {
    expect(Object.keys(checkFaults({ ...emptyCheck("http"), name: "a", target: "https://a.example", ...more })).filter((one) => !(more.interval === 0.5 && one === "timeout"))).toEqual(faults);
  });

  test("the body holds nothing empty and nothing of another type", () => {
    const check: CheckSpec = { ...emptyCheck("tcp"), name: " db ", target: " db:5432 ", config: { send: "x", method: "GET" }, description: "", labels: { "": "x" }, dependsOn: [], quorum: NaN, runbook: null };
    expect(checkBody(check)).toEqual({ name: "db", type: "tcp", target: "db:5432", interval: 60, timeout: 10, retries: 3, isActive: true, critical: true, config: { send: "x" } });
    expect(kindOf("grpc").label).toBe("gRPC");
  });
});

describe("words", () => {
  test.each([[null, "–"], [1, "100 %"], [0.999999, "99.999 %"], [0.99996, "99.996 %"], [0.9995, "99.95 %"], [0.9899, "98.9 %"], [0, "0.0 %"]] as const)("an uptime of %s is %s", (uptime, text) => expect(uptimeText(uptime)).toBe(text));

  test("days without runs are there, the last one is today", () => {
    const days = daysShown([{ day: "2026-03-02", uptime: 0.5 }, { day: "2025-01-01", uptime: 1 }], 3, NOW);
    expect(days).toEqual([{ day: "2026-03-01", uptime: null }, { day: "2026-03-02", uptime: 0.5 }, { day: "2026-03-03", uptime: null }]);
    expect([1, 0.9991, 0.99, 0.9, null].map(dayTone)).toEqual(["ok", "ok", "warn", "bad", "idle"]);
  });

  const state = (more: Partial<CheckState>): CheckState => ({ status: "healthy", since: "2026-01-01", downSince: null, flapping: false, lastAt: null, latencyMs: null, message: null, ...more });

  test("a paused check has no state, one that flaps says so", () => {
    expect(shownState({ isActive: false, state: state({ status: "unhealthy" }) }).text).toBe("paused");
    expect(shownState({ isActive: true, state: state({ flapping: true }) })).toEqual({ tone: "warn", text: "healthy, flapping" });
    expect(sinceOf(state({ status: "unhealthy", downSince: "2026-02-02" }))).toBe("2026-02-02");
  });

  test("summaries say what is bad first", () => {
    const summary = { status: "unhealthy" as const, healthy: 9000, unhealthy: 3, unknown: 0, paused: 1 };
    expect([summaryText(summary), totalOf(summary)]).toEqual(["3 unhealthy, 9,000 healthy, 1 paused", 9004]);
    expect(outageText({ from: new Date(NOW - 60_000).toISOString(), until: null }, NOW)).toBe("1 min");
  });

  test("parts of an attempt follow each other, and add up", () => {
    const parts = timingParts({ dns: 1, connect: 2, tls: 0, firstByte: 4, total: 10 });
    expect(parts.map((part) => [part.name, part.from, part.ms])).toEqual([["name", 0, 1], ["connect", 1, 2], ["first byte", 3, 4], ["rest", 7, 3]]);
    expect(timingParts({ total: 5 })).toEqual([]);
    expect(factsOf({ at: "", status: "healthy", latencyMs: 1, attempts: 1, message: null, place: "server", details: { timings: { total: 1 }, httpStatus: 200, texts: { version: "16" } } })).toEqual([["status", "200"], ["version", "16"]]);
  });
});

describe("the API, against a stand-in", () => {
  let fake: FakeChecks;
  beforeEach(() => {
    fake = new FakeChecks(250);
    vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
      const url = new URL(path, "http://x");
      const answer = fake.answer(init.method ?? "GET", url.pathname.slice("/api/v1/monitoring/health-checks".length), url.searchParams, String(init.body ?? ""));
      return new Response(answer.status === 204 ? null : JSON.stringify(answer.body), { status: answer.status });
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  test("pages follow each other without a gap", async () => {
    const names: string[] = [];
    let after = "";
    do {
      const page = await fetchChecks({ limit: 100, after });
      names.push(...page.items.map((one) => one.name));
      after = page.next ?? "";
    } while (after !== "");
    expect(new Set(names).size).toBe(250);
    expect(names).toEqual(names.toSorted());
  });

  test("a check is tried, made, read, changed, run and removed", async () => {
    const spec = checkBody({ ...emptyCheck("http"), name: "shop", target: "https://down.example" });
    expect((await tryCheck(spec)).status).toBe("unhealthy");
    const made = await createCheck(spec);
    expect(specOf(await fetchCheck(made.id))).toMatchObject(spec);
    const paused = await putCheck(made.id, { ...spec, isActive: false });
    expect([paused.isActive, paused.version]).toEqual([false, 2]);
    expect((await runCheck(made.id)).place).toBe("server");
    expect((await fetchResults(made.id, { limit: 5, status: "unhealthy" })).items).toHaveLength(5);
    expect((await fetchUptime(made.id)).windows.map((one) => one.window)).toEqual(["24h", "7d", "30d"]);
    await deleteCheck(made.id);
    await expect(fetchCheck(made.id)).rejects.toMatchObject({ status: 404 });
  });

  test("a refusal names its field", async () => {
    await expect(createCheck({ ...emptyCheck("http"), name: "meta", target: "http://169.254.169.254/" })).rejects.toMatchObject({ status: 400, field: "target" });
  });
});
