import { describe, expect, it } from "vitest";
import type { Incident } from "../lib/api/incidents";
import { askedStatus, fitsText, groupOf, inOrder, readFilter } from "../lib/incidents/incidents";
import { moved } from "../lib/incidents/lists";
import { argumentOf, argumentText, runbookBody, runbookFaults } from "../lib/incidents/runbook";
import { blocksOf, inlineOf, safeHref } from "../lib/markdown";
import { mondayOf, shortName, weeksOf } from "../lib/oncall/calendar";
import { peopleOf, policyText, rotationOf, scheduleBody, scheduleFaults } from "../lib/oncall/specs";
import { dayTone, groupsOf, historyOf, meanUptime, shareText, statusPath, type StatusComponent, type StatusIncident } from "../lib/status/page";
import { pageBody, pageFaults } from "../lib/status/form";

const incident = (more: Partial<Incident>): Incident => ({ number: 1, title: "Disk full", status: "open", severity: "error", labels: { host: "web-1" }, roles: {}, assignee: null, openedBy: null, route: null, createdAt: "2030-01-01T00:00:00Z", ...more }) as Incident;

describe("the list of incidents", () => {
  it.each([["", "open,acknowledged"], ["all", ""], ["resolved", "resolved"], ["nonsense", "open,acknowledged"]])("?status=%s asks for %s", (status, want) =>
    expect(askedStatus(readFilter(new URLSearchParams({ status })).status)).toBe(want));
  it.each([["disk", true], ["#1", true], ["host=web-1", true], ["ann@", true], ["disk host=web-2", false]])("%s finds it: %s", (text, want) => expect(fitsText(incident({ roles: { commander: "ann@example.com" } }), text)).toBe(want));
  it("has nobody's first, then the newest", () => {
    const rows = [incident({ number: 1, status: "resolved" }), incident({ number: 2, status: "acknowledged" }), incident({ number: 3 }), incident({ number: 4, createdAt: "2030-01-02T00:00:00Z" })];
    expect(inOrder(rows).map((one) => one.number)).toEqual([4, 3, 2, 1]);
  });
  it.each([["note", "people"], ["called", "calls"], ["event_over", "alerts"], ["step", "runbooks"], ["unheard_of", "people"]])("%s belongs to %s", (kind, want) => expect(groupOf({ kind })).toBe(want));
});

describe("Markdown", () => {
  it.each([["javascript:alert(1)", ""], ["//evil.example", ""], ["/\\evil", ""], ["data:text/html,x", ""], ["/incidents", "/incidents"], ["https://a.example", "https://a.example"]])("a link to %s leads to %o", (href, want) => expect(safeHref(href)).toBe(want));
  it("HTML stays text", () => expect(inlineOf("<img src=x onerror=a>")).toEqual([{ kind: "text", text: "<img src=x onerror=a>" }]));
  it("a link that may lead nowhere stays as it was written", () => expect(inlineOf("[x](javascript:alert)")[0]?.kind).toBe("text"));
  it("names with underscores stay whole", () => expect(inlineOf("snake_case_name")).toEqual([{ kind: "text", text: "snake_case_name" }]));
  it("escapes are taken away", () => expect(inlineOf("admin\\@host \\(x\\)")).toEqual([{ kind: "text", text: "admin@host (x)" }]));
  it("strong, code and links stand in each other", () => expect(inlineOf("**a `b`** [c](/d)").map((one) => one.kind)).toEqual(["strong", "text", "link"]));
  it("has headings, boxes, tables and code", () =>
    expect(blocksOf("# A\n\ntext\nmore\n\n- [x] done\n- [ ] open\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n# no heading\n```\n\n---\n> said").map((one) => one.kind)).toEqual(["heading", "paragraph", "list", "table", "code", "rule", "quote"]));
  it("a fence that never ends takes the rest", () => expect(blocksOf("```\na\nb")).toEqual([{ kind: "code", text: "a\nb" }]));
  it("is quick with what was made to be slow", () => {
    const began = performance.now();
    for (const text of ["*".repeat(3000), "[".repeat(3000), "`".repeat(3000), "_a".repeat(1500)]) blocksOf(text);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe("runbooks", () => {
  it.each<[string, string | { label: string }]>([["{host}", { label: "host" }], ["3", "3"], ["{a}{b}", "{a}{b}"]])("the argument %s", (text, want) => {
    expect(argumentOf(text)).toEqual(want);
    expect(argumentText(argumentOf(text))).toBe(text);
  });
  it("empty texts are left out, what has no field stays", () =>
    expect(runbookBody({ description: " ", tags: [], steps: [{ title: " a ", text: "", action: { command: "x", limit: { times: 1, per: "1h" } } }] })).toEqual({ steps: [{ title: "a", action: { command: "x", limit: { times: 1, per: "1h" } } }] }));
  it("a step without a title or a command is told", () => expect(Object.keys(runbookFaults({ steps: [{ title: "", action: { command: " " } }] }))).toEqual(["steps[0].title", "steps[0].action"]));
  it.each([[0, 2, "bca"], [2, 0, "cab"], [1, 5, "abc"]])("the one at %i moves to %i", (from, to, want) => expect(moved(["a", "b", "c"], from, to).join("")).toBe(want));
});

describe("on call", () => {
  const monday = mondayOf(Date.parse("2030-01-09T12:00:00"));
  const at = (hours: number) => new Date(monday + hours * 3_600_000).toISOString();
  const shift = (from: number, until: number, override: number | null = null) => ({ person: "ann@example.com", from: at(from), until: at(until), layer: override === null ? 0 : null, override });
  it("a shift over the weekend stands in both weeks", () => {
    const [first, second] = weeksOf([shift(6 * 24, 8 * 24)], monday);
    expect(first?.pieces.map((one) => [Math.round(one.left * 7), one.after])).toEqual([[6, true]]);
    expect(second?.pieces.map((one) => [one.left, Math.round(one.width * 7), one.before])).toEqual([[0, 1, true]]);
  });
  it("times without anybody are gaps", () => expect(weeksOf([shift(0, 24), shift(48, 168)], monday, 1)[0]?.gaps.map((gap) => [Math.round(gap.left * 7), Math.round(gap.width * 7)])).toEqual([[1, 1]]));
  it("names are cut where that tells people apart", () => {
    expect(shortName("ann@a.example", ["ann@a.example", "bob@a.example"])).toBe("ann");
    expect(shortName("ann@a.example", ["ann@a.example", "ann@b.example"])).toBe("ann@a.example");
  });
  it("a schedule keeps what has no field", () =>
    expect(scheduleBody({ description: "", time_zone: "UTC", layers: [{ people: ["a@b"], start: "2030-01-07", rotation: rotationOf("days", 3), handover: { time: "" }, restrictions: [{ weekdays: ["saturday"] }] }], overrides: [] })).toEqual({ time_zone: "UTC", layers: [{ people: ["a@b"], start: "2030-01-07", rotation: { days: 3 }, restrictions: [{ weekdays: ["saturday"] }] }] }));
  it.each([["daily" as const, false], ["weekly" as const, true], [{ days: 14 }, true], [{ days: 3 }, false]])("turns of %o are handed over on a weekday: %s", (rotation, want) =>
    expect("weekday" in (scheduleBody({ layers: [{ people: ["a@b"], start: "2030-01-07", rotation, handover: { time: "09:00", weekday: "monday" } }] }).layers[0]?.handover ?? {})).toBe(want));
  it("somebody is needed", () => expect(scheduleFaults({ layers: [{ people: peopleOf(" , "), start: "2030-01-07", rotation: "daily" }] })).toEqual({ "layers[0].people": "somebody is needed" }));
  it("a policy is told in a line", () => expect(policyText({ levels: [{ targets: [{ schedule: "primary" }] }, { after: "5m", targets: [{ person: "a@b" }, { channel: "pager" }] }] })).toBe("whoever has primary → after 5m a@b and channel pager"));
});

describe("status pages", () => {
  const day = (uptime: number | null, outageMs = 0, degradedMs = 0) => ({ from: "2030-01-01T00:00:00Z", uptime, outageMs, degradedMs, maintenanceMs: 0 });
  it.each([[day(1), "ok"], [day(null), "idle"], [day(0.99), "warn"], [day(0.5), "bad"], [day(1, 1000), "warn"], [day(0.98, 1_800_000), "bad"], [day(null, 0, 1), "warn"]])("%o is %s", (one, want) => expect(dayTone(one)).toBe(want));
  it.each([[1, "100 %"], [0.99999, "99.99 %"], [null, "not known"]])("%o is told as %s", (share, want) => expect(shareText(share)).toBe(want));
  it("days of which nothing is known count for nothing", () => expect(meanUptime([day(null), day(1), day(0.5)])).toBe(0.75));
  it("components stand under their headings", () => expect(groupsOf([{ name: "a", group: "x" }, { name: "b", group: null }, { name: "c", group: "x" }] as StatusComponent[]).map((one) => [one.group, one.components.length])).toEqual([["x", 2], ["", 1]]));
  it("history has what is over, the newest day first", () => {
    const one = (number: number, startedAt: string, resolvedAt: string | null) => ({ number, startedAt, resolvedAt, phase: "monitoring" }) as StatusIncident;
    expect(historyOf([one(1, "2030-01-01T10:00:00Z", "2030-01-01T11:00:00Z"), one(2, "2030-01-03T10:00:00Z", null), one(3, "2030-01-02T10:00:00Z", "2030-01-02T11:00:00Z")]).map((each) => each.day)).toEqual(["2030-01-02", "2030-01-01"]);
  });
  it.each([["/status/default/main", { tenant: "default", name: "main" }], ["/status/a/b%20c/", { tenant: "a", name: "b c" }], ["/status/a", null], ["/status/a/%", null], ["/status-pages/main", null]])("%s is %o", (path, want) => expect(statusPath(path)).toEqual(want));
  it("is saved without empty texts, and with what is wrong told", () => {
    expect(pageBody({ title: "A", description: "", public: false, components: [{ name: " x ", group: "", checks: [] }], maintenances: [] })).toEqual({ title: "A", public: false, components: [{ name: "x" }] });
    expect(Object.keys(pageFaults({ title: "", components: [{ name: "x" }, { name: "x" }] }))).toEqual(["title", "components[1].name"]);
  });
});
