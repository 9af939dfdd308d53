// Drives the real pages of a real server in Chromium, as a person would.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/run.mjs
//
// SHOTS is the folder for screenshots (default ./e2e-shots), CHROMIUM the browser (default /usr/bin/chromium).
// Exits with 1 when a check fails; every check says what it saw.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const base = process.env.BASE_URL ?? "http://127.0.0.1:4300";
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
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" });
const page = await context.newPage();

const complaints = [];
const outside = [];
/** Requests that a check provokes; the browser reports each as an error of its own. */
let expected = null;
page.on("console", (message) => {
  if (message.type() !== "error") return;
  if (expected && /Failed to load resource/.test(message.text())) return;
  complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
page.on("request", (request) => {
  const url = new URL(request.url());
  if (/^https?:|^wss?:/.test(url.protocol) && url.host !== new URL(base).host) outside.push(request.url());
});

const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`) });
const address = (path, params = []) => `${base}${path}?${new URLSearchParams(params)}`;
let failed = 0;

async function check(name, body) {
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

/** All numbers of the host page that ought to move. */
const numbers = () => page.locator('[data-page="host"] :is([data-value], [data-stat] .value)').allInnerTexts();

await check("without a session the page explains how to sign in", async () => {
  expected = "401";
  await page.goto(`${base}/`);
  await page.getByText("bellwether user link").waitFor({ timeout: 10_000 });
  expected = null;
  await shot("signin");
});

await check("a token that nobody issued is refused with a reason", async () => {
  expected = "401";
  await page.goto(address("/signin", [["token", "not-a-token"]]));
  await page.getByText("The link was not accepted").waitFor({ timeout: 10_000 });
  assert.ok(!page.url().includes("token="), "the token stayed in the address bar");
  expected = null;
});

await check("the link signs in and leaves the address bar", async () => {
  await page.goto(signIn);
  await page.locator("[data-page]").waitFor({ timeout: 10_000 });
  assert.equal(new URL(page.url()).pathname, "/");
  assert.ok(!page.url().includes("token="), page.url());
});

await check("the live socket connects", () => page.locator('[data-live="open"]').waitFor({ timeout: 10_000 }));

await check("the host page shows moving numbers within 30 s", async () => {
  await page.locator('[data-stat="cpu"] .value', { hasText: /\d/ }).waitFor({ timeout: 30_000 });
  await page.waitForTimeout(1000);
  const before = JSON.stringify(await numbers());
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    await page.waitForTimeout(500);
    const now = await numbers();
    if (JSON.stringify(now) !== before && now.some((text) => /[1-9]/.test(text))) return `${now.length} values, e.g. ${now.slice(0, 3).join(", ")}`;
  }
  throw new Error(`nothing moved: ${before}`);
});

await check("the host page draws its panels without a problem", async () => {
  for (const id of ["cpu", "load", "memory"]) await page.locator(`[data-panel="${id}"] canvas`).waitFor({ timeout: 10_000 });
  const alerts = await page.locator('[data-page="host"] [role="alert"]').allInnerTexts();
  assert.deepEqual(alerts, []);
  await shot("host-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForTimeout(300);
  await shot("host-light");
  await page.emulateMedia({ colorScheme: "dark" });
});

await check("the explorer runs a query typed into it", async () => {
  await page.goto(`${base}/explore`);
  const editor = page.getByLabel("Query A", { exact: true });
  await editor.fill("");
  await editor.pressSequentially("node_loa", { delay: 20 });
  await page.locator('[role="listbox"] [role="option"]').first().waitFor({ timeout: 10_000 });
  await shot("explore-completion");
  await editor.press("Escape");
  await editor.fill("node_load1");
  await editor.press("Enter");
  await page.locator("[data-series]").first().waitFor({ timeout: 10_000 });
  const value = await page.locator("[data-series] [data-value]").first().innerText();
  assert.match(value, /\d/);
  await shot("explore-graph");
  return `node_load1 is ${value}`;
});

await check("a bad query is underlined where the server says", async () => {
  expected = "400";
  const editor = page.getByLabel("Query A", { exact: true });
  await editor.fill("sum(node_load1) + )");
  await editor.press("Escape");
  await editor.press("Enter");
  const mark = page.locator("[data-fault]");
  await mark.first().waitFor({ timeout: 10_000 });
  const text = (await mark.allInnerTexts()).join("");
  const message = await page.locator("[data-fault-text]").innerText();
  assert.match(message, /^\s*1:\d+/);
  assert.equal(text.trim(), ")");
  await page.locator("[data-fault-text]").click();
  const caret = await editor.evaluate((area) => area.selectionStart);
  assert.equal(caret, "sum(node_load1) + ".length);
  await shot("explore-fault");
  expected = null;
  return message.replace(/\s+/g, " ");
});

await check("the address reproduces the view", async () => {
  const to = Date.now() - 1000;
  const params = [
    ["q", 'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[2m]))'],
    ["q", "node_load1"],
    ["off", "1"],
    ["step", "15s"],
    ["from", String(to - 900_000)],
    ["to", String(to)],
  ];
  const url = address("/explore", params);
  await page.goto(url);
  await page.locator("[data-series]").first().waitFor({ timeout: 10_000 });
  await page.locator("[data-series] button.name").first().click();
  await page.waitForURL(/only=/);
  const view = () =>
    page.evaluate(() => ({
      queries: [...document.querySelectorAll("textarea")].map((area) => area.value),
      switches: [...document.querySelectorAll("[data-query] .letter")].map((letter) => letter.getAttribute("aria-pressed")),
      series: [...document.querySelectorAll("[data-series]")].map((row) => row.textContent.replace(/\s+/g, " ") + row.className.includes("off")),
      range: document.querySelector(".range")?.textContent?.trim(),
    }));
  const first = await view();
  const shared = page.url();
  await page.goto(`${base}/targets`);
  await page.locator('[data-page="targets"]').waitFor();
  await page.goto(shared);
  await page.locator("[data-series]").first().waitFor({ timeout: 10_000 });
  await page.waitForTimeout(500);
  assert.deepEqual(await view(), first);
  assert.deepEqual(first.switches, ["true", "false"]);
  return `${first.series.length} series`;
});

await check("the table shows exact values", async () => {
  await page.goto(address("/explore", [["q", "node_load1"], ["tab", "table"]]));
  await page.locator("[data-row]").first().waitFor({ timeout: 10_000 });
  await shot("explore-table");
});

await check("a query can be saved, found and deleted", async () => {
  const name = `e2e ${Date.now()}`;
  await page.getByRole("button", { name: "Saved" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await page.getByRole("button", { name: `Delete ${name}` }).waitFor({ state: "detached", timeout: 5000 });
});

await check("the command palette opens pages", async () => {
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search commands" }).fill("services");
  await shot("palette");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/services/);
});

for (const name of ["targets", "services"]) {
  await check(`the ${name} page answers`, async () => {
    await page.goto(`${base}/${name}`);
    await page.locator(`[data-page="${name}"] :is(table, .empty)`).first().waitFor({ timeout: 10_000 });
    assert.deepEqual(await page.locator(`[data-page="${name}"] > [role="alert"]`).allInnerTexts(), []);
    await shot(name);
  });
}

await check("signing out ends the session", async () => {
  await page.getByRole("button", { name: "User and appearance" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByText("bellwether user link").waitFor({ timeout: 10_000 });
  expected = "401";
  await page.goto(`${base}/`);
  await page.getByText("bellwether user link").waitFor({ timeout: 10_000 });
});

await check("no console errors, no violations of the security policy, no outside requests", async () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(outside, []);
});

await browser.close();
console.log(failed === 0 ? "all checks passed" : `${failed} checks failed`);
process.exit(failed === 0 ? 0 : 1);
