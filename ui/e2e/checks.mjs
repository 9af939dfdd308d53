// Drives the health checks of a real server in Chromium, as a person would.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/checks.mjs
//
// What is checked answers here, on loopback. The stand-in server (`npm run mock`) has 10,000 checks of its own; what needs
// many is left out with fewer.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { address, bothThemes, check, finish, page, painted, refused, shot, signedIn } from "./harness.mjs";

const CHECK = `self-${Date.now().toString(36)}`;
const target = createServer((request, response) => response.writeHead(request.url.includes("down") ? 503 : 200).end("ok"));
await new Promise((done) => target.listen(0, "127.0.0.1", done));
const targetUrl = (path) => `http://127.0.0.1:${target.address().port}/${path}`;

const dialog = page.getByRole("dialog");
const list = page.locator("[data-list]");
const rows = page.locator("[data-list] [data-index]");
const open = async (path, params) => {
  await page.goto(address(path, params));
  await page.locator("[data-page]").waitFor({ timeout: 20_000 });
};

await signedIn();

await check("a check is tried before there is one", async () => {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Checks", exact: true }).click();
  await page.waitForURL(/\/checks$/);
  await page.getByRole("link", { name: /^(New check|HTTP)$/ }).first().click();
  await page.waitForURL(/\/checks\/new/);
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("a name is needed").waitFor();
  await page.getByLabel("Name", { exact: true }).fill(CHECK);
  await page.getByLabel("Address", { exact: true }).fill("http://169.254.169.254/latest");
  await refused(async () => {
    await page.getByRole("button", { name: "Try it now" }).click();
    await page.locator('[aria-label="Trial"] [role="alert"]').waitFor({ timeout: 20_000 });
  });
  await page.getByLabel("Address", { exact: true }).fill(targetUrl("down"));
  await page.getByRole("button", { name: "Try it now" }).click();
  await page.locator('[data-outcome="unhealthy"]').waitFor({ timeout: 60_000 });
  await page.getByLabel("Address", { exact: true }).fill(targetUrl("well"));
  await page.getByRole("button", { name: "Try it now" }).click();
  await page.locator('[data-outcome="healthy"]').waitFor({ timeout: 60_000 });
  await bothThemes("check-try");
});

await check("it is made and seen", async () => {
  await page.getByLabel("Every (s)").fill("10");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(/\/checks\/(?!new)/, { timeout: 20_000 });
  await page.locator('[data-state="healthy"]').waitFor({ timeout: 60_000 });
  await page.locator('[data-result="healthy"]').first().waitFor({ timeout: 30_000 });
  await page.locator('[data-window="24h"]').waitFor();
  await bothThemes("check");
  await open("/checks", [["filter", CHECK]]);
  await page.locator(`[data-check="${CHECK}"]`).waitFor({ timeout: 20_000 });
  await bothThemes("checks");
});

await check("it is paused in the list, changed, run, and removed", async () => {
  const row = rows.filter({ has: page.locator(`[data-check="${CHECK}"]`) });
  await row.getByRole("switch").click();
  await row.getByText("paused").waitFor();
  await row.getByRole("switch").click();
  await row.getByText("paused").waitFor({ state: "hidden" });
  await page.locator(`[data-check="${CHECK}"]`).click();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Address", { exact: true }).fill(targetUrl("now-down"));
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Run now" }).click();
  await page.locator('[aria-label="This run"] [data-outcome]').waitFor({ timeout: 60_000 });
  await shot("check-run");
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.waitForURL(/\/checks(\?|$)/);
});

await check("every type has its form", async () => {
  await open("/checks/new");
  const types = await page.getByLabel("Type", { exact: true }).locator("option").evaluateAll((all) => all.map((one) => one.value));
  assert.equal(types.length, 18);
  for (const type of types) {
    await page.getByLabel("Type", { exact: true }).selectOption(type);
    assert.equal(await page.getByLabel("Type", { exact: true }).inputValue(), type);
  }
});

await check("thousands of checks stay quick", async () => {
  await open("/checks");
  await page.locator("[data-summary]").or(page.getByText("Nothing is checked yet")).waitFor({ timeout: 20_000 });
  const many = /of ([\d,]+)/.exec((await page.locator("[data-shown]").count()) ? await page.locator("[data-shown]").innerText() : "");
  const total = Number((many?.[1] ?? "0").replaceAll(",", ""));
  if (total < 500) return `only ${total}`;
  const before = Number(await list.getAttribute("aria-rowcount"));
  await list.focus();
  await page.keyboard.press("End");
  await page.waitForFunction((count) => Number(document.querySelector("[data-list]").getAttribute("aria-rowcount")) > count, before, { timeout: 10_000 });
  const inDocument = await rows.count();
  assert.ok(inDocument < 120, `${inDocument} rows in the document`);
  await page.getByRole("button", { name: /^Unhealthy/ }).click();
  await page.waitForURL(/status=unhealthy/);
  await page.waitForFunction(() => [...document.querySelectorAll("[data-index] .state")].every((one) => /unhealthy/.test(one.textContent)), null, { timeout: 10_000 });
  const typed = await painted((value) => {
    const field = document.querySelector("[data-search]");
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }, "b");
  await shot("checks-unhealthy");
  return `${total} checks, ${inDocument} rows in the document; a letter of the filter ${typed.toFixed(1)} ms`;
});

await check("the pages fit a narrow window", async () => {
  await page.setViewportSize({ width: 420, height: 860 });
  for (const path of ["/checks", "/checks/new"]) {
    await open(path);
    await page.waitForTimeout(300);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${path} is ${over} px too wide`);
    await shot(`narrow${path.replaceAll("/", "-")}`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
});

target.close();
await finish();
