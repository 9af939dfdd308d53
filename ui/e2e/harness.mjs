// What the scripts of this folder share: a browser, checks that say what they saw, and a watch over complaints.
//
// BASE_URL and SIGNIN_URL name the server, SHOTS the folder for screenshots, CHROMIUM the browser. HOSTS are other
// servers that pages may lead to, with commas between.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const base = process.env.BASE_URL ?? "http://127.0.0.1:4300";
const signIn = process.env.SIGNIN_URL;
const shots = process.env.SHOTS ?? "e2e-shots";
if (!signIn) {
  console.error("SIGNIN_URL is not set; print a link with: bellwether user link");
  process.exit(2);
}
mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
export const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" });
export const page = await context.newPage();

const hosts = new Set([new URL(base).host, ...(process.env.HOSTS ?? "").split(",")]);
const complaints = [];
const outside = [];
/** True while a check provokes refusals; the browser reports each as an error of its own. */
let provoked = false;
page.on("console", (message) => {
  const from = message.location().url;
  // What other servers do to their own pages is not ours.
  const theirs = /^http/.test(from) && new URL(from).host !== new URL(base).host && hosts.has(new URL(from).host);
  if (message.type() === "error" && !theirs && !(provoked && /Failed to load resource/.test(message.text()))) complaints.push(`${message.text()} ${message.location().url}`);
});
page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
page.on("request", (request) => {
  const url = new URL(request.url());
  if (/^https?:|^wss?:/.test(url.protocol) && !hosts.has(url.host)) outside.push(request.url());
});

export const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`) });
export const address = (path, params = []) => {
  const query = new URLSearchParams(params).toString();
  return `${base}${path}${query ? `?${query}` : ""}`;
};
let failed = 0;

export async function check(name, body) {
  const started = performance.now();
  try {
    const note = await body();
    console.log(`ok    ${name} (${Math.round(performance.now() - started)} ms)${note ? `: ${note}` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error.message}`);
    await shot(`failed-${failed}`).catch(() => {});
  }
}

/** Runs something that the server is meant to refuse. */
export async function refused(body) {
  provoked = true;
  try {
    const answer = await body();
    // The browser reports a refusal a moment after the page knows of it.
    await page.waitForTimeout(100);
    return answer;
  } finally {
    provoked = false;
  }
}

/** Screenshots in both themes. */
export async function bothThemes(name) {
  await shot(`${name}-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForTimeout(250);
  await shot(`${name}-light`);
  await page.emulateMedia({ colorScheme: "dark" });
}

/** Milliseconds from doing something in the page until what it shows is painted. */
export function painted(action, argument) {
  return page.evaluate(
    async ([source, value]) => {
      const started = performance.now();
      await new Function("value", `return (${source})(value)`)(value);
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return performance.now() - started;
    },
    [action.toString(), argument],
  );
}

export async function signedIn() {
  await page.goto(signIn);
  await page.locator("[data-page]").waitFor({ timeout: 20_000 });
}

export async function finish() {
  await check("no console errors, no violations of the security policy, no outside requests", () => {
    assert.deepEqual(complaints, []);
    assert.deepEqual(outside, []);
  });
  await browser.close();
  console.log(failed === 0 ? "all checks passed" : `${failed} checks failed`);
  process.exit(failed === 0 ? 0 : 1);
}
