import { describe, expect, test } from "vitest";
import type { AlertEvent, Severity, Silence } from "../lib/api/alerts";
import { channelBody, channelForm, configBody, configFaults, configForm, emptyChannel, KINDS, MASK, objectNameFault, outcomeText, targetText, usersOf } from "../lib/alerts/channels";
import { lasted, linesOf, linkOf, matchesText, ownLabels, readEventFilter, ruleName, toggleSeverity, toldText, withEvent } from "../lib/alerts/events";
import { matchersOf, readLabels, readMatcher, splitList, writeLabels, writeMatcher, written } from "../lib/alerts/matchers";
import { emptySilence, endOf, extended, silenceBody, silenceFaults, silencesShown, type SilenceForm } from "../lib/alerts/silences";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const at = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();

function event(id: string, severity: Severity, state = "firing", more: Partial<AlertEvent> = {}): AlertEvent {
  return {
    id, rule: "rule/High CPU", name: "High CPU", state, severity, priority: "normal", value: 91, labels: { alertname: "High CPU", host: `web-${id}`, severity },
    annotations: { summary: `web-${id} is hot` }, runbook: null, source: "rule", startsAt: at(-10), firedAt: at(-8), endsAt: null, acknowledgedAt: null,
    acknowledgedBy: null, resolvedBy: null, updatedAt: at(-8), ...more,
  };
}

describe("events", () => {
  test("are listed worst first, and what nobody takes care of before the rest", () => {
    const list = [event("1", "warning"), event("2", "critical", "acknowledged"), event("3", "critical"), event("4", "critical", "firing", { firedAt: at(-1) })];
    const lines = linesOf(list, []).map((line) => (line.kind === "head" ? `${line.severity} ${line.count}/${line.open}` : line.event.id));
    expect(lines).toEqual(["critical 3/2", "4", "3", "2", "warning 1/1", "1"]);
    expect(linesOf(list, ["critical"]).map((line) => line.kind)).toEqual(["head", "head", "event"]);
    expect(linesOf([], [])).toEqual([]);
  });

  test.each([
    ["hot", true],
    ["HIGH cpu", true],
    ["host=web-1", true],
    ["host:web", true],
    ["host=db", false],
    ["web-1 hot", true],
    ["web-1 cold", false],
    ["nolabel=web", false],
    ["", true],
  ])("%j finds an alert: %s", (text, found) => {
    expect(matchesText(event("1", "critical"), text)).toBe(found);
  });

  test("a message changes, adds and removes; one that was overtaken changes nothing", () => {
    const list = [event("1", "critical"), event("2", "error")];
    const acknowledged = event("1", "critical", "acknowledged", { updatedAt: at(-1) });
    expect(withEvent(list, acknowledged).map((one) => `${one.id} ${one.state}`)).toEqual(["1 acknowledged", "2 firing"]);
    expect(withEvent([acknowledged], event("1", "critical"))).toEqual([acknowledged]);
    expect(withEvent(list, event("3", "info")).map((one) => one.id)).toEqual(["3", "1", "2"]);
    expect(withEvent(list, event("2", "error", "resolved", { updatedAt: at(0) })).map((one) => one.id)).toEqual(["1"]);
    expect(withEvent(list, event("9", "error", "resolved"))).toHaveLength(2);
  });

  test("the filter is kept in the address; all severities are none chosen", () => {
    const filter = readEventFilter(new URLSearchParams("q=host%3Da&severity=critical,nonsense,info&state=firing&rule=rule%2Fx"));
    expect(filter).toEqual({ text: "host=a", severity: ["critical", "info"], state: "firing", rule: "rule/x" });
    expect(toggleSeverity(["critical"], "info")).toBe("critical,info");
    expect(toggleSeverity(["critical"], "critical")).toBeNull();
    expect(toggleSeverity(["critical", "error", "warning"], "info")).toBeNull();
  });

  test("small things", () => {
    expect(ownLabels({ alertname: "a", severity: "info", host: "b" })).toEqual([["host", "b"]]);
    expect(lasted(event("1", "info"), NOW)).toBe("8 min");
    expect(lasted(event("1", "info", "resolved", { endsAt: at(-7) }), NOW)).toBe("1 min");
    expect([ruleName({ rule: "rule/a/b" }), ruleName({ rule: "api" })]).toEqual(["a/b", ""]);
    expect([linkOf("https://wiki/x"), linkOf("cpu"), linkOf("javascript:alert(1)"), linkOf(null)]).toEqual(["https://wiki/x", "", "", ""]);
    expect(toldText([])).toBe("Nobody was told.");
    const told = (channel: string, status: string) => ({ id: channel, channel, status, priority: "normal" as const, title: "", attempts: 1, error: null, createdAt: at(0), endedAt: null, deliveries: [] });
    expect(toldText([told("ops", "sent"), told("mail", "failed")])).toBe("1 of 2 messages sent to ops; 1 failed.");
  });
});

describe("matchers", () => {
  test.each([
    ['service="api"', "service", "=", "api"],
    ["service=api", "service", "=", "api"],
    [' region =~ "eu-.*" ', "region", "=~", "eu-.*"],
    ['a!~"x=y"', "a", "!~", "x=y"],
    ['a!=""', "a", "!=", ""],
    ['"host.name"="a\\"b"', "host.name", "=", 'a"b'],
  ])("%j is read, and written so that it is read again", (text, label, operator, value) => {
    const matcher = readMatcher(text);
    expect(matcher).toEqual({ label, operator, value });
    expect(matcher && readMatcher(writeMatcher(matcher))).toEqual(matcher);
  });

  test.each(["", "service", "=api", 'a="b', 'a=b"c'])("%j is no condition", (text) => expect(readMatcher(text)).toBeNull());

  test("lists are cut outside of quotes only", () => {
    expect(splitList('{a="x,y", b=~"z"}')).toEqual(['a="x,y"', 'b=~"z"']);
    expect(splitList('a="x\\"," \nc=d,')).toEqual(['a="x\\","', "c=d"]);
    expect(readLabels('service="api", severity=critical')).toEqual({ service: "api", severity: "critical" });
    expect([readLabels("a!=b"), readLabels("a")]).toEqual([null, null]);
    expect(writeLabels({ host: "a", alertname: "X" })).toBe('alertname="X", host="a"');
    expect(written([...matchersOf({ a: "1" }), { label: " ", operator: "=", value: "" }])).toEqual(['a="1"']);
  });
});

describe("silences", () => {
  const form = (more: Partial<SilenceForm> = {}): SilenceForm => ({ ...emptySilence([{ label: "host", operator: "=", value: "web-1" }]), comment: "upgrade", ...more });

  test.each<[string, Partial<SilenceForm>, string[]]>([
    ["is fine", {}, []],
    ["has no condition", { matchers: [{ label: "", operator: "=", value: "" }] }, ["matchers"]],
    ["has a value without its label", { matchers: [{ label: "a", operator: "=", value: "b" }, { label: "", operator: "=", value: "c" }] }, ["matchers"]],
    ["holds for everything", { matchers: [{ label: "a", operator: "=~", value: ".*" }] }, ["matchers"]],
    ["holds for what lacks the label", { matchers: [{ label: "a", operator: "!=", value: "b" }] }, ["matchers"]],
    ["has a pattern of another engine", { matchers: [{ label: "a", operator: "=~", value: "(?P<x>a)" }] }, []],
    ["has no reason", { comment: " " }, ["comment"]],
    ["has no end", { length: "", ends: "" }, ["ends"]],
    ["ends before it starts", { length: "", starts: "2026-03-03T10:00", ends: "2026-03-03T09:00" }, ["ends"]],
  ])("one that %s", (_, more, faults) => {
    expect(Object.keys(silenceFaults(form(more), NOW))).toEqual(faults);
  });

  test("the body has moments, and a start only where it is later", () => {
    expect(silenceBody(form(), NOW)).toEqual({ matchers: ['host="web-1"'], endsAt: at(120), comment: "upgrade" });
    const later = silenceBody(form({ starts: "2026-03-02T10:00", length: "1d" }), NOW);
    expect(Date.parse(later.endsAt) - Date.parse(later.startsAt ?? "")).toBe(86_400_000);
    expect(endOf(form({ length: "30m" }), NOW)).toBe(NOW + 1_800_000);
  });

  const silence = (state: string, ends: number): Silence => ({ id: state, matchers: ['a="b"'], state, startsAt: at(-60), endsAt: at(ends), createdBy: "ada", comment: "why", updatedAt: at(-60) });

  test("more time is counted from the end, or from now once it is over", () => {
    expect(extended(silence("active", 10), "30m", NOW)).toEqual({ matchers: ['a="b"'], startsAt: at(-60), endsAt: at(40), comment: "why" });
    expect(extended(silence("expired", -10), "30m", NOW)).toEqual({ matchers: ['a="b"'], endsAt: at(30), comment: "why" });
  });

  test("what is over is listed only when asked for", () => {
    const all = [silence("expired", -5), silence("pending", 60), silence("active", 30)];
    expect(silencesShown(all, "", "").map((one) => one.state)).toEqual(["active", "pending"]);
    expect(silencesShown(all, "", "expired").map((one) => one.state)).toEqual(["expired"]);
    expect(silencesShown(all, "ada why", "active")).toHaveLength(1);
    expect(silencesShown(all, "bob", "")).toEqual([]);
  });
});

describe("channels", () => {
  test("each kind's form gives what it read", () => {
    const samples: Record<string, Record<string, unknown>> = {
      email: { to: ["a@example.com", "b@example.com"] },
      webhook: { url: "https://x.example", secret: "whsec_a", headers: { "x-team": "a" } },
      sms: { provider: "vonage", account: "k", token: "s", from: "BW", to: ["+1", "+2"] },
      telegram: { token: "1:a", chat: "-1" },
    };
    for (const { id } of KINDS) expect(configBody(id, configForm(id, samples[id] ?? {}))).toEqual(samples[id] ?? (id === "sms" ? { provider: "twilio" } : {}));
  });

  test.each<[string, Record<string, string>, string[]]>([
    ["slack", {}, ["url"]],
    ["slack", { url: "ftp://x" }, ["url"]],
    ["slack", { url: MASK }, []],
    ["email", { to: "a@example.com, b" }, ["to"]],
    ["email", { to: "a@example.com" }, []],
    ["ntfy", { topic: "ops" }, []],
    ["telegram", { token: "x" }, ["chat"]],
  ])("%s with %j lacks %j", (kind, texts, faults) => {
    expect(Object.keys(configFaults(kind, { texts, pairs: {} }))).toEqual(faults);
  });

  test("what the form does not show stays", () => {
    const spec = { type: "webhook", config: { url: "https://x.example" }, min_severity: "error", digest: "5m", rateLimit: { max: 3, per: "1m" } };
    const form = channelForm({ name: "ops", spec });
    expect(form.minSeverity).toBe("error");
    expect(channelBody({ ...form, minSeverity: "" }, spec)).toEqual({
      type: "webhook", config: { url: "https://x.example" }, isActive: true, sendResolved: true, digest: "5m", rateLimit: { max: 3, per: "1m" },
    });
    expect(channelBody(emptyChannel("slack"))).toEqual({ type: "slack", config: {}, isActive: true, sendResolved: true });
  });

  test("where it sends is shown without its secrets", () => {
    expect(targetText({ type: "slack", config: { url: "https://hooks.slack.com/services/T0/B0/secret", channel: "#ops" } })).toBe("hooks.slack.com #ops");
    expect(targetText({ type: "email", config: { to: ["a@b.c"] } })).toBe("a@b.c");
    expect(targetText({ type: "slack", config: { url: MASK } })).toBe("");
  });

  test("who names it, also in routes below routes", () => {
    const rules = [{ name: "cpu", channels: ["ops", { type: "slack" }] }, { name: "disk" }];
    const routes = [{ name: "all", spec: { channels: ["mail"], routes: [{ routes: [{ channels: ["ops"] }] }] } }];
    expect(usersOf("ops", rules, routes)).toEqual(["rule cpu", "route all"]);
    expect(usersOf("sms", rules, routes)).toEqual([]);
  });

  test("outcomes and names in words", () => {
    expect(outcomeText({ delivered: true, statusCode: 200, error: null, durationMs: 42 })).toBe("Delivered (200) in 42 ms");
    expect(outcomeText({ delivered: false, statusCode: 500, error: "answered 500", durationMs: 1500 })).toBe("Not delivered (500): answered 500");
    expect(["", "a/b", "ops", "mail"].map((name) => objectNameFault(name, ["ops"]) === "")).toEqual([false, false, false, true]);
  });
});
