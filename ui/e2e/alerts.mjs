// Drives the alerting of a real server in Chromium, as a person would.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/alerts.mjs
//
// API_KEY goes with the metrics that make a rule fire, where one is needed. What is told is received here, on loopback.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { address, base, bothThemes, check, finish, page, refused, shot, signedIn } from "./harness.mjs";

const run = Date.now().toString(36);
const [RULE, HOOK, ROUTE, METRIC] = [`High load ${run}`, `hook-${run}`, `route-${run}`, `e2e_load_${run}`];

/** What was posted here, by path; paths with `broken` are refused. */
const got = {};
const hook = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    (got[request.url] ??= []).push(body);
    response.writeHead(request.url.includes("broken") ? 500 : 200).end("ok");
  });
});
await new Promise((done) => hook.listen(0, "127.0.0.1", done));
const hookUrl = (path) => `http://127.0.0.1:${hook.address().port}/${path}`;

async function feed(rows) {
  const headers = { "Content-Type": "application/json", ...(process.env.API_KEY && { Authorization: `Bearer ${process.env.API_KEY}` }) };
  const answer = await fetch(`${base}/api/metrics`, { method: "POST", headers, body: JSON.stringify(rows) });
  assert.ok(answer.ok, `metrics: ${answer.status} ${await answer.text()}`);
}
const sample = (value, minutesAgo = 0) => ({ name: METRIC, value, tags: { host: "web-1" }, timestamp: Date.now() - minutesAgo * 60_000 });

/** It was high twice in the last hour, and is low until `level` is set. */
const past = Array.from({ length: 55 }, (_, i) => 56 - i).map((minute) => sample((minute > 40 && minute < 46) || (minute > 20 && minute < 26) ? 95 : 20, minute));
await feed(past);
let level = 20;
const feeding = setInterval(() => void feed([sample(level)]).catch(() => {}), 1000);

const dialog = page.getByRole("dialog");
const eventRow = page.locator("[data-index]", { has: page.locator("[data-event]"), hasText: RULE });
const open = async (path, params) => {
  await page.goto(address(path, params));
  await page.locator("[data-page]").waitFor({ timeout: 20_000 });
};

await signedIn();

await check("the navigation leads to the alerts, which lead to their parts", async () => {
  const pages = page.getByRole("navigation", { name: "Pages" });
  await pages.getByRole("link", { name: "Alerts", exact: true }).click();
  await page.waitForURL(/\/alerts$/);
  for (const [name, where] of [["History", "alert-history"], ["Rules", "rules"], ["Silences", "silences"], ["Channels", "channels"], ["Routes", "routes"], ["Firing", "alerts"]]) {
    await page.getByRole("navigation", { name: "Alerting" }).getByRole("link", { name, exact: true }).click();
    await page.locator(`[data-page="${where}"]`).waitFor();
    assert.deepEqual(await page.locator("main [role=alert]").allInnerTexts(), []);
  }
});

await check("a channel is tried out before it is saved, and after", async () => {
  await open("/alerts/channels");
  await page.getByRole("button", { name: "New channel" }).click();
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.getByText("a name is needed").waitFor();
  await dialog.getByLabel("Name", { exact: true }).fill(HOOK);
  const url = dialog.getByLabel("Address", { exact: true });
  assert.equal(await url.getAttribute("type"), "password", "where it sends is a secret");
  await url.fill(hookUrl("broken"));
  await dialog.getByRole("button", { name: "Send a test" }).click();
  await dialog.locator('[data-outcome="refused"]').waitFor({ timeout: 20_000 });
  assert.match(await dialog.locator("[data-outcome]").innerText(), /\(500\)/);
  await url.fill(hookUrl("told"));
  await dialog.getByRole("button", { name: "Send a test" }).click();
  await dialog.locator('[data-outcome="delivered"]').waitFor({ timeout: 20_000 });
  assert.equal(JSON.parse(got["/told"][0]).test, true);
  await bothThemes("channel-test");
  await dialog.getByRole("button", { name: "Create" }).click();
  const row = page.locator(`[data-channel="${HOOK}"]`);
  await row.waitFor();
  assert.ok(!(await row.innerText()).includes("/told"), "the list shows no secret");
  await row.getByRole("button", { name: /Test/ }).click();
  await page.locator('[data-outcome="ok"]').waitFor({ timeout: 20_000 });
});

await check("a rule is drawn and run over the past before it is saved", async () => {
  await open("/alerts/rules/new", [["hours", "1"]]);
  await page.getByLabel("Name", { exact: true }).fill(RULE);
  await page.getByLabel("Metric", { exact: true }).fill(METRIC);
  await page.getByLabel("One alert for each").fill("host");
  await page.getByLabel("Severity", { exact: true }).selectOption("critical");
  await page.locator("[data-picture] .chart").waitFor({ timeout: 20_000 });
  // Without a threshold the server names the field.
  await refused(async () => {
    await page.getByRole("button", { name: "Backtest" }).click();
    await page.locator('[data-fault="condition.threshold"]').waitFor({ timeout: 20_000 });
  });
  await page.getByLabel("Threshold", { exact: true }).fill("80");
  await page.getByRole("button", { name: "Backtest" }).click();
  await page.locator("[data-backtest]").waitFor({ timeout: 20_000 });
  assert.equal(await page.locator("[data-backtest]").getAttribute("data-backtest"), "2");
  await page.getByText("More about when").click();
  await page.getByLabel("Evaluated every").fill("1s");
  await page.getByLabel("Cooldown (s)").fill("0");
  await page.getByLabel(HOOK).check();
  await page.getByRole("button", { name: "Annotation" }).click();
  await page.getByLabel("Text of Annotation 1").fill("{{ $labels.host }} is at {{ $value }}");
  await page.getByLabel("Runbook").fill("https://wiki.example/load");
  await page.evaluate(() => scrollTo(0, 0));
  await bothThemes("rule-backtest");
  await page.getByRole("button", { name: "JSON" }).click();
  const json = JSON.parse(await page.locator("#rule-json").inputValue());
  assert.deepEqual(json.condition, { metric: METRIC, operator: ">", groupBy: ["host"], threshold: 80 });
  await page.getByRole("button", { name: "Form" }).click();
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(/\/alerts\/rules\/alr_/, { timeout: 20_000 });
  await page.locator('[data-warning="cooldown"]').waitFor();
});

await check("it fires, is acknowledged from its row, and says who was told", async () => {
  level = 97;
  await open("/alerts");
  await eventRow.waitFor({ timeout: 40_000 });
  assert.match(await eventRow.innerText(), /web-1 is at 97/);
  await bothThemes("alerts-firing");
  await page.getByRole("searchbox", { name: "Filter alerts" }).fill("host=nobody");
  await page.getByText("No alert matches").waitFor();
  await page.getByRole("searchbox", { name: "Filter alerts" }).fill("host=web-1");
  await page.waitForURL(/q=host/);
  await eventRow.getByRole("button", { name: /Acknowledge/ }).click();
  await eventRow.getByText("acknowledged", { exact: true }).waitFor();
  await eventRow.getByRole("link", { name: RULE }).click();
  await page.locator('[data-page="alert"]').waitFor();
  await page.locator('[data-entry="acknowledged"]').waitFor();
  await page.locator(`[data-notification="${HOOK}"]`).getByText("delivered").first().waitFor({ timeout: 40_000 });
  assert.ok(got["/told"].some((body) => JSON.parse(body).status === "firing" && !JSON.parse(body).test), "the message arrived");
  await page.locator("main").getByRole("link", { name: "Explore" }).waitFor();
  assert.equal(await page.getByRole("link", { name: /Runbook/ }).getAttribute("href"), "https://wiki.example/load");
  await page.locator(".picture .chart").waitFor({ timeout: 20_000 });
  await bothThemes("alert");
});

await check("an alert is taken care of with a note", async () => {
  await page.getByRole("button", { name: "Undo acknowledgement" }).click();
  await page.getByRole("button", { name: "With a note…" }).click();
  await page.getByLabel("Note").fill("restarting it");
  await page.keyboard.press("Enter");
  await page.locator('[data-entry="acknowledged"]').filter({ hasText: "restarting it" }).waitFor();
});

await check("a silence shows what it would hold for, is extended and ended", async () => {
  await open("/alerts");
  await eventRow.getByRole("button", { name: /Silence/ }).click();
  await dialog.locator("[data-total]").waitFor();
  assert.equal(await dialog.locator("[data-total]").innerText(), "1 alert");
  await dialog.getByLabel("Value 2").fill("web-2");
  await dialog.getByText("No alert", { exact: true }).waitFor();
  await dialog.getByLabel("Value 2").fill("web-1");
  await dialog.getByText("1 alert", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Silence", exact: true }).click();
  await dialog.getByText("say why").waitFor();
  await dialog.getByLabel("Why").fill(`work ${run}`);
  await bothThemes("silence-preview");
  await dialog.getByRole("button", { name: "Silence", exact: true }).click();
  await dialog.waitFor({ state: "hidden" });
  await open("/alerts/silences");
  const row = page.locator("[data-silence]", { hasText: `work ${run}` });
  await row.waitFor();
  await row.getByRole("button", { name: "Extend" }).click();
  await row.getByRole("menuitem", { name: "By 1 day" }).click();
  await row.getByText(/in 1 d/).waitFor();
  await shot("silences");
  await row.getByRole("button", { name: "End", exact: true }).click();
  await row.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: /^Expired/ }).click();
  await row.getByText("expired").waitFor();
});

await check("a route is drawn, and who would get an alert is told", async () => {
  await open("/alerts/routes");
  await page.getByRole("button", { name: "New route" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill(ROUTE);
  await dialog.getByLabel("Conditions").fill("nonsense");
  await dialog.getByLabel(HOOK).check();
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("is no condition").waitFor();
  await dialog.getByLabel("Conditions").fill(`run="${run}"`);
  await dialog.getByRole("button", { name: "Save" }).click();
  const node = page.locator(`[data-route-node="${ROUTE}"]`);
  await node.waitFor();
  await node.click();
  await page.getByRole("button", { name: "Below it" }).click();
  await dialog.getByLabel("Severity").selectOption("least");
  await dialog.getByLabel("From", { exact: true }).selectOption("critical");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.locator(`[data-route-node="${ROUTE}/0"]`).waitFor();
  const labels = page.getByLabel("Labels of an alert", { exact: true });
  await labels.fill(`run=${run}, severity=critical`);
  await page.locator(`[data-answer*="${HOOK}"]`).waitFor({ timeout: 20_000 });
  await page.locator(`[data-route-node="${ROUTE}/0"][data-verdict="takes"]`).waitFor();
  await bothThemes("routes-way");
  await labels.fill(`run=${run}, severity=info`);
  await page.locator(`[data-route-node="${ROUTE}"][data-verdict="takes"]`).waitFor({ timeout: 20_000 });
  await labels.fill("run=none");
  await page.locator(`[data-route-node="${ROUTE}"][data-verdict="fails"]`).waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await node.waitFor({ state: "hidden" });
});

await check("a rule is turned off in the list, and removed with what fires of it", async () => {
  await open("/alerts/rules", [["filter", RULE]]);
  const row = page.locator("[data-index]", { hasText: RULE });
  await row.getByText("firing").waitFor({ timeout: 20_000 });
  await row.getByRole("switch").click();
  await row.getByText("off", { exact: true }).waitFor();
  await row.getByRole("link", { name: RULE }).click();
  await page.locator('[data-page="rule"]').waitFor();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.waitForURL(/\/alerts\/rules(\?|$)/);
  await open("/alerts/history", [["q", RULE]]);
  await page.locator("[data-index]", { hasText: "resolved" }).first().waitFor({ timeout: 20_000 });
  await bothThemes("alert-history");
});
clearInterval(feeding);

await check("the pages fit a narrow window", async () => {
  await page.setViewportSize({ width: 420, height: 860 });
  for (const path of ["/alerts", "/alerts/rules", "/alerts/rules/new", "/alerts/silences", "/alerts/channels", "/alerts/routes"]) {
    await open(path);
    await page.waitForTimeout(300);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${path} is ${over} px too wide`);
    await shot(`narrow${path.replaceAll("/", "-")}`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
});

await check("what was made is removed", async () => {
  await open("/alerts/channels", [["filter", HOOK]]);
  await page.getByRole("button", { name: `Remove ${HOOK}` }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.getByText("No channel matches").or(page.getByText("No channels yet")).waitFor();
});

hook.close();
await finish();
