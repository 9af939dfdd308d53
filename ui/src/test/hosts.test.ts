import { describe, expect, it } from "vitest";
import type { HostSummary } from "../lib/api/bellwether";
import { hostParams, hostRow, hostsShown, nextSort, readSort, STALE_MS, type HostKey, type HostRow } from "../lib/hosts";

const NOW = Date.parse("2026-01-01T12:00:00.000Z");
const host = (name: string, agoMs: number, more: Partial<HostSummary> = {}): HostSummary => ({
  name,
  last_seen: new Date(NOW - agoMs).toISOString(),
  state: agoMs > 60_000 ? "gone" : "up",
  system: "Linux",
  release: "6.12.9",
  machine: "x86_64",
  job: "node",
  ...more,
});

it.each<[string, HostSummary, string]>([
  ["heard of now", host("a", 0), "up"],
  ["quiet for a minute or two", host("a", STALE_MS), "up"],
  ["quiet for longer", host("a", STALE_MS + 1), "stale"],
  ["up by the server's clock, long ago by ours", host("a", STALE_MS * 9, { state: "up" }), "up"],
  ["gone, at no time that can be read", host("a", 0, { state: "gone", last_seen: "" }), "stale"],
])("a host %s", (_, summary, want) => expect(hostRow(summary, NOW).state).toBe(want));

it("says what a host runs, leaving out what it did not tell", () => {
  expect(hostRow(host("a", 0), NOW).system).toBe("Linux 6.12.9 x86_64");
  expect(hostRow(host("a", 0, { release: "", machine: "" }), NOW).system).toBe("Linux");
});

it.each<[string, HostKey, string | null]>([
  ["", "name", "-name"],
  ["-name", "name", null],
  ["", "seen", "seen"],
  ["seen", "seen", "-seen"],
  ["-seen", "seen", "seen"],
  ["-seen", "name", null],
  ["nonsense", "job", "job"],
])("sorted by %o, a click on %s gives %o", (text, key, want) => expect(nextSort(readSort(text), key)).toBe(want));

describe("the list", () => {
  const rows = [
    host("web-10", 9 * STALE_MS),
    host("web-9", 1000),
    host("db-1", 2000, { release: "5.10.0", job: "database" }),
    host("arm-1", 9000, { machine: "aarch64" }),
  ].map((one) => hostRow(one, NOW));
  const names = (shown: HostRow[]) => shown.map((row) => row.name).join(" ");

  it.each([
    ["", "", "", "arm-1 db-1 web-9 web-10"],
    ["", "", "-name", "web-10 web-9 db-1 arm-1"],
    ["", "", "seen", "web-10 arm-1 db-1 web-9"],
    ["", "", "-seen", "web-9 db-1 arm-1 web-10"],
    ["", "", "state", "web-10 arm-1 db-1 web-9"],
    ["", "", "system", "db-1 arm-1 web-9 web-10"],
    ["", "", "job", "db-1 arm-1 web-9 web-10"],
    ["WEB", "", "", "web-9 web-10"],
    ["web linux", "", "", "web-9 web-10"],
    ["aarch64", "", "", "arm-1"],
    ["database", "", "", "db-1"],
    ["nosuch", "", "", ""],
    ["", "stale", "", "web-10"],
    ["web", "up", "", "web-9"],
  ])("filter %o, state %o, sort %o: %s", (filter, state, sort, want) => {
    expect(names(hostsShown(rows, filter, state, readSort(sort)))).toBe(want);
  });
});

it("a link to a stale host opens the last hour it was heard of", () => {
  const [up, stale] = [hostRow(host("a", 0), NOW), hostRow(host("b", 2 * STALE_MS), NOW)];
  expect(hostParams(up)).toEqual({ host: "a" });
  expect(hostParams(stale)).toEqual({ host: "b", from: String(NOW - 2 * STALE_MS - 3_600_000), to: String(NOW - 2 * STALE_MS) });
});
