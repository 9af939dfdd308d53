import { describe, expect, it } from "vitest";
import { agentName } from "../lib/account/agent";
import { passwordFault, passwordHints } from "../lib/account/password";
import { ADMIN_NEEDS, missing, PERMISSIONS, SECTIONS, sectionsFor, splitPermission, type Need } from "../lib/account/permissions";
import { qrPath } from "../lib/account/qr";
import { countdownText, groupsOfFour, publicPage, readRefusal, returnPath, secondsLeft, sentence, ssoError, tokenOf } from "../lib/account/signin";
import { ApiError, retryAfterSeconds } from "../lib/api/client";
import { PAGES, pagesFor } from "../components/shell/pages";

describe("permissions", () => {
  const viewer = ["telemetry:read", "objects:read", "members:read", "settings:read"];

  it.each<[Need, string[], string]>([
    ["telemetry:read", viewer, ""],
    ["audit:read", viewer, "audit:read"],
    ["audit:read", [], "audit:read"],
    [["keys:manage", "settings:read"], viewer, ""],
    [["keys:manage", "audit:read"], viewer, "keys:manage audit:read"],
    [[], [], ""],
  ])("%o of %o lacks %o", (need, held, want) => expect(missing(need, held).join(" ")).toBe(want));

  it.each<[string, string[], string]>([
    ["a viewer", viewer, "organisation members roles teams usage"],
    ["nobody", [], ""],
    ["who manages keys", ["keys:manage"], "keys service-accounts"],
    ["an auditor", ["audit:read"], "audit"],
    ["everybody's administrator", [...PERMISSIONS], SECTIONS.map((section) => section.id).join(" ")],
  ])("%s sees of the administration", (_, held, want) => {
    expect(sectionsFor(held).map((section) => section.id).join(" ")).toBe(want);
    // The entry of the navigation leads somewhere, or is not there.
    expect(missing(ADMIN_NEEDS, held).length === 0).toBe(want !== "");
  });

  it.each<[string, string[], string]>([
    ["a viewer", viewer, PAGES.map((page) => page.title).join(" ")],
    ["an auditor", ["audit:read"], "Admin"],
    ["who only reads telemetry", ["telemetry:read"], PAGES.filter((page) => !page.needs).map((page) => page.title).join(" ")],
    ["nobody", [], ""],
  ])("%s is offered by the navigation", (_, held, want) => expect(pagesFor(held).map((page) => page.title).join(" ")).toBe(want));

  it("are read as area and verb", () => {
    expect(splitPermission("members:manage")).toEqual(["members", "manage"]);
    expect(splitPermission("odd")).toEqual(["odd", ""]);
  });
});

describe("a password", () => {
  it.each([
    ["short", "short", "", "has 5 characters"],
    ["x".repeat(257), "x".repeat(257), "", "at most 256"],
    ["zzzzzzzzzzzzz", "zzzzzzzzzzzzz", "", "one character"],
    ["xx-Lovelace-99", "xx-Lovelace-99", "lovelace@example.com", "email address"],
    ["a sentence of ab", "a sentence of ab", "ab@example.com", ""],
    ["correct horse battery", "correct horse", "", "do not match"],
    ["correct horse battery", "correct horse battery", "ada@example.com", ""],
    ["🐎🐎🐎🐎🐎🐎x", "🐎🐎🐎🐎🐎🐎x", "", "has 7 characters"],
  ])("%o again %o of %o: %o", (password, again, email, want) => {
    const fault = passwordFault(password, again, email);
    if (want === "") expect(fault).toBe("");
    else expect(fault).toContain(want);
  });

  it("meets no rule while nothing is typed", () => {
    expect(passwordHints("", "ada@example.com").map((hint) => hint.met)).toEqual([false, false, false]);
    expect(passwordHints("correct horse battery", "").every((hint) => hint.met)).toBe(true);
  });
});

describe("a refused sign-in", () => {
  const refusal = (status: number, code: string, retryAfter = 0) => new ApiError("unauthorized", "the message", status, { code, retryAfter });
  const nothing = { code: false, tenant: false };

  it.each<[string, ApiError, typeof nothing, boolean, object]>([
    ["asks for a code", refusal(401, "SECOND_FACTOR_REQUIRED"), nothing, false, { ask: { code: true, tenant: false }, problem: "", wait: 0 }],
    ["says that the code was wrong", refusal(401, "SECOND_FACTOR_REQUIRED"), { code: true, tenant: false }, true, { problem: expect.stringContaining("not right") }],
    ["asks for the organisation", refusal(409, "TENANT_REQUIRED"), nothing, false, { ask: { code: false, tenant: true }, problem: "" }],
    ["says that the organisation was wrong", refusal(409, "TENANT_REQUIRED"), { code: false, tenant: true }, false, { problem: "The message." }],
    ["tells nothing of what was wrong", refusal(401, "INVALID_CREDENTIALS"), nothing, false, { ask: nothing, problem: "Email, password or code is not right. If you are in several organisations, name yours." }],
    ["waits as long as it is told", refusal(429, "THROTTLED", 40), nothing, false, { wait: 40 }],
    ["waits a while when it is not told", refusal(429, ""), nothing, false, { wait: 30 }],
    ["repeats anything else", refusal(503, ""), nothing, false, { problem: "The message.", wait: 0 }],
  ])("%s", (_, error, asked, hadCode, want) => expect(readRefusal(error, asked, hadCode)).toMatchObject(want));

  it("by a server that is not there says so", () => {
    expect(readRefusal(new Error("gone"), nothing, false)).toEqual({ ask: nothing, problem: "gone", wait: 0 });
  });
});

it.each<[string | null, number]>([
  [null, 0],
  ["", 0],
  ["30", 30],
  ["Thu, 01 Jan 2026 12:00:30 GMT", 30],
  ["Thu, 01 Jan 2026 11:00:00 GMT", 0],
  ["soon", 0],
])("Retry-After %o is %i seconds", (header, want) => expect(retryAfterSeconds(header, Date.parse("2026-01-01T12:00:00Z"))).toBe(want));

it.each([
  [0, "0 s"],
  [1, "1 s"],
  [59, "59 s"],
  [60, "1 min"],
  [905, "15 min 5 s"],
])("%i seconds are counted down as %s", (seconds, want) => expect(countdownText(seconds)).toBe(want));

it.each([
  [10_000, 9_001, 1],
  [10_000, 9_000, 1],
  [10_000, 10_000, 0],
  [10_000, 12_000, 0],
])("until %i from %i it is %i s", (until, now, want) => expect(secondsLeft(until, now)).toBe(want));

it.each<[string | null, string]>([
  [null, ""],
  ["access_denied", "did not let you in"],
  ["NO-ROLE", "no role here"],
  ["saml_signature", "(saml_signature)"],
  ["toString", "(tostring)"],
  ["<b>call 555-1234</b>", "Single sign-on failed. Try"],
])("?error=%s reads %o", (code, want) => {
  const said = ssoError(code);
  if (want === "") expect(said).toBe("");
  else expect(said).toContain(want);
});

it.each<[string | null, string]>([
  [null, "/"],
  ["/logs?q=a", "/logs?q=a"],
  ["//evil.example", "/"],
  ["/\\evil.example", "/"],
  ["https://evil.example", "/"],
  ["/sign-in?error=x", "/"],
  ["/reset/abc", "/"],
  ["/signings", "/signings"],
])("after signing in, %o leads to %s", (wanted, want) => expect(returnPath(wanted)).toBe(want));

it.each([
  ["https://b.example/signin?token=a%2Bb&x=1", "a+b"],
  [" abc ", "abc"],
  ["50%", "50%"],
])("the token of %o is %s", (text, want) => expect(tokenOf(text)).toBe(want));

it.each<[string, object | null]>([
  ["/signin", { page: "sign-in", token: "" }],
  ["/sign-in", { page: "sign-in", token: "" }],
  ["/invite/a%2Fb", { page: "invite", token: "a/b" }],
  ["/reset/t", { page: "reset", token: "t" }],
  ["/reset", null],
  ["/logs", null],
])("%s needs no session: %o", (path, want) => expect(publicPage(path)).toEqual(want));

it.each([
  ["the server said no", "The server said no."],
  ["Wait!", "Wait!"],
  ["", ""],
])("%o as a sentence is %o", (text, want) => expect(sentence(text)).toBe(want));

it("a secret is shown in groups", () => expect(groupsOfFour("JBSW Y3DPEH")).toBe("JBSW Y3DP EH"));

it.each([
  ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
  ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", "Chrome on macOS"],
  ["Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"],
  ["terraform-provider/1.4 (go)", "terraform-provider/1.4"],
  ["", "unknown program"],
])("%o is %s", (agent, want) => expect(agentName(agent)).toBe(want));

it("a QR code has its finders, its quiet zone and stays inside its box", () => {
  const { size, d } = qrPath("otpauth://totp/Bellwether:ada@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Bellwether");
  expect(size).toBeGreaterThan(29);
  // The first dark row begins with the upper edge of the left finder: seven modules after the quiet zone.
  expect(d).toMatch(/^M4 4h7v1h-7z/);
  const ends = [...d.matchAll(/M(\d+) (\d+)h(\d+)/g)].map(([, x, y, width]) => [Number(x) + Number(width), Number(y)]);
  expect(ends.every(([x = 0, y = 0]) => x <= size - 4 && y < size - 4)).toBe(true);
});
