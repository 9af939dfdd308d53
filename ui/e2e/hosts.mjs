// Drives the list of hosts of a real server in Chromium, as a person would.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/hosts.mjs
//
// The stand-in server (`npm run mock`) has 2,000 of them; what needs many or stale ones is left out with fewer.
import assert from "node:assert/strict";
import { address, bothThemes, check, finish, page, painted, shot, signedIn } from "./harness.mjs";

const list = page.locator("[data-list]");
const rows = page.locator("[data-list] [data-index]");
const links = page.locator("[data-host]");
const ready = () => links.first().waitFor({ timeout: 20_000 });
const count = async () => Number(await list.getAttribute("aria-rowcount"));
const names = () => links.evaluateAll((all) => all.map((link) => link.dataset.host));

await signedIn();

await check("the navigation leads to the hosts", async () => {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Hosts", exact: true }).click();
  await page.waitForURL(/\/hosts/);
  // The stand-in server makes up its series on the first visit, which takes a while.
  await links.first().waitFor({ timeout: 60_000 });
  assert.deepEqual(await page.locator('[data-page="hosts"] [role="alert"]').allInnerTexts(), []);
  await bothThemes("hosts");
  return `${await count()} hosts`;
});

const total = await count();

await check("the digit keys still open pages", async () => {
  await page.keyboard.press("2");
  await page.waitForURL(/\/hosts/);
  await page.keyboard.press("0");
  await page.waitForURL(/\/sql/);
  await page.keyboard.press("2");
  await ready();
});

await check("the filter narrows, the address keeps it", async () => {
  const [name] = await names();
  await page.keyboard.press("/");
  const box = page.getByRole("searchbox", { name: "Filter hosts" });
  assert.ok(await box.evaluate((field) => field === document.activeElement));
  await box.fill(name);
  await page.waitForURL(/filter=/);
  await page.reload();
  await ready();
  assert.ok((await names()).every((one) => one.includes(name)));
  await box.fill("no such host anywhere");
  await page.getByText("No host matches").waitFor();
  await box.fill("");
  await ready();
  assert.equal(await count(), total);
});

await check("columns sort both ways", async () => {
  const head = page.getByRole("columnheader", { name: /Host/ });
  await head.getByRole("button").click();
  await page.waitForURL(/sort=-name/);
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  const descending = await names();
  await head.getByRole("button").click();
  await page.waitForURL((url) => !url.searchParams.has("sort"));
  const ascending = await names();
  if (total > 1) assert.notEqual(ascending[0], descending[0]);
  await page.getByRole("columnheader", { name: "Last seen" }).getByRole("button").click();
  await page.waitForURL(/sort=seen/);
  await shot("hosts-sorted");
});

await check("stale hosts are marked and can be listed alone", async () => {
  await page.goto(address("/hosts", [["state", "stale"]]));
  await page.locator('[data-page="hosts"] .page-head').waitFor({ timeout: 20_000 });
  await page.waitForTimeout(200);
  if ((await links.count()) === 0) return "none here";
  const states = await rows.locator(".state").allInnerTexts();
  assert.ok(states.every((text) => text.trim() === "stale"), states.join());
  assert.match(await links.first().getAttribute("href"), /from=\d+&to=\d+/);
  await bothThemes("hosts-stale");
  return `${await count()} stale`;
});

await check("many hosts stay quick", async () => {
  await page.goto(address("/hosts"));
  await ready();
  if (total < 500) return `only ${total}`;
  await list.focus();
  await page.keyboard.press("End");
  await page.locator(`[data-index="${total - 1}"]`).waitFor();
  const inDocument = await rows.count();
  assert.ok(inDocument < 120, `${inDocument} rows in the document`);
  const typed = await painted((value) => {
    const field = document.querySelector("[data-search]");
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }, "1");
  await page.goto(address("/hosts"));
  await ready();
  const sorted = await painted(() => document.querySelectorAll('[role="columnheader"] button')[3].click());
  return `${total} hosts, ${inDocument} rows in the document; a letter of the filter ${typed.toFixed(1)} ms, sorting ${sorted.toFixed(1)} ms`;
});

/** The host that the stand-in server has series of; the first one of a real server. */
async function anyHost() {
  await page.goto(address("/hosts", [["filter", total < 500 ? "" : "harbour"]]));
  await ready();
  return (await names())[0];
}

for (const [how, open] of [
  ["a click", () => links.first().click()],
  ["a click beside the name", () => rows.first().click({ position: { x: 400, y: 10 } })],
  ["the keyboard", async () => {
    await list.focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
  }],
]) {
  await check(`${how} opens the host's page`, async () => {
    const name = await anyHost();
    await open();
    await page.waitForURL((url) => url.pathname === "/" && url.searchParams.get("host") === name);
    await page.waitForFunction((want) => {
      const shown = document.querySelector('[data-page="host"] select')?.value ?? document.querySelector('[data-page="host"] .page-head h2')?.textContent;
      return shown === want;
    }, name, { timeout: 10_000 });
    await page.goBack();
    await ready();
    return name;
  });
}

await check("without hosts the page says how to run an agent", async () => {
  await page.route("**/api/v1/monitoring/hosts", (route) => route.fulfill({ json: { hosts: [] } }));
  await page.goto(address("/hosts"));
  await page.getByText("bellwether agent --join").waitFor({ timeout: 10_000 });
  await bothThemes("hosts-none");
  await page.unroute("**/api/v1/monitoring/hosts");
});

await finish();
