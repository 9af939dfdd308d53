import { describe, expect, it } from "vitest";
import { formatDuration, humanDuration, niceStep, parseDuration } from "../lib/time/duration";
import { describeRange, isLive, parseTime, resolveRange, scaleRange, shiftRange } from "../lib/time/range";

const NOW = Date.UTC(2026, 0, 31, 17, 4, 5, 250);

describe("a duration", () => {
  it.each([
    ["15s", 15_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["1.5h", 5_400_000],
    ["2w", 1_209_600_000],
    ["", null],
    ["5", null],
    ["5x", null],
    ["-5m", null],
  ])("%s is %s ms", (text, want) => expect(parseDuration(text)).toBe(want));

  it.each([
    [90_000, "1m30s"],
    [3_600_000, "1h"],
    [0, "0s"],
    [1_500, "1s500ms"],
  ])("%s ms is written %s", (ms, want) => expect(formatDuration(ms)).toBe(want));

  it.each([
    [93_784, "1 d 2 h"],
    [59, "59 s"],
    [0.25, "250 ms"],
    [3600, "1 h"],
  ])("%s seconds read %s", (seconds, want) => expect(humanDuration(seconds)).toBe(want));
});

describe("a step", () => {
  it.each([
    [3_600_000, 600, 10_000],
    [3_600_000, 360, 10_000],
    [86_400_000, 600, 300_000],
    [300_000, 600, 1_000],
    [10 * 365 * 86_400_000, 600, 604_800_000],
  ])("of %s ms over %s points is %s ms", (range, points, want) => expect(niceStep(range, points)).toBe(want));
});

describe("a time", () => {
  it.each([
    ["now", NOW],
    ["now-1h", NOW - 3_600_000],
    ["now-1h30m", NOW - 5_400_000],
    ["now+5m", NOW + 300_000],
    ["now-1d+1h", NOW - 23 * 3_600_000],
    ["now/m", Date.UTC(2026, 0, 31, 17, 4)],
    ["1769878800000", 1_769_878_800_000],
    ["1769878800", 1_769_878_800_000],
    ["2026-01-31T17:00:00Z", Date.UTC(2026, 0, 31, 17)],
    ["yesterday", null],
    ["now-", null],
    ["now-1", null],
    ["", null],
  ])("%s resolves", (text, want) => expect(parseTime(text, NOW)).toBe(want));

  it("without a zone is the reader's", () => {
    expect(parseTime("2026-01-31 17:00", NOW)).toBe(new Date(2026, 0, 31, 17).getTime());
    expect(parseTime("now/d", NOW)).toBe(new Date(2026, 0, 31).setHours(0, 0, 0, 0));
  });
});

describe("a range", () => {
  it("must not be empty", () => {
    expect(resolveRange({ from: "now", to: "now-1h" }, NOW)).toBeNull();
    expect(resolveRange({ from: "now-1h", to: "now" }, NOW)).toEqual({ from: NOW - 3_600_000, to: NOW });
  });
  it("follows the clock only when it ends now", () => {
    expect(isLive({ from: "now-1h", to: "now" })).toBe(true);
    expect(isLive({ from: "now-2h", to: "now-1h" })).toBe(false);
  });
  it("is described by its preset", () => {
    expect(describeRange({ from: "now-1h", to: "now" }, NOW)).toBe("Last 1 hour");
    expect(describeRange({ from: "now-90m", to: "now" }, NOW)).toBe("Last 90m");
    expect(describeRange({ from: "x", to: "now" }, NOW)).toBe("Invalid range");
  });
  it("shifts and scales around itself", () => {
    expect(shiftRange({ from: 0, to: 100 }, -0.5)).toEqual({ from: -50, to: 50 });
    expect(scaleRange({ from: 100, to: 200 }, 2)).toEqual({ from: 50, to: 250 });
  });
});
