// Drives the logs explorer and the SQL console of a real server in Chromium, as a person would.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/logs.mjs
//
// RECORDS (default 3000) are sent first, over OTLP, as a service of their own; API_KEY goes with them where one is
// needed. Against the stand-in server (`npm run mock`) its 50,000 made-up records are used instead.
import assert from "node:assert/strict";
import { address, base, bothThemes, check, context, finish, page, painted, refused, shot, signedIn } from "./harness.mjs";

const RECORDS = Number(process.env.RECORDS ?? 3000);
const service = `e2e-${Date.now().toString(36)}`;
const text = (value) => ({ stringValue: value });

/** Records of one request, spread over the last half hour; every tenth is an error. */
function payload(first, count, spreadMs) {
  const now = Date.now();
  const logRecords = Array.from({ length: count }, (_, i) => {
    const n = first + i;
    const bad = n % 10 === 0;
    return {
      timeUnixNano: `${now - Math.floor((spreadMs * (RECORDS - n)) / RECORDS)}000000`,
      severityNumber: bad ? 17 : 9,
      severityText: bad ? "ERROR" : "INFO",
      body: text(bad ? `request ${n} timed out after ${n % 7}s` : `request ${n} answered in ${n % 900} ms`),
      traceId: n.toString(16).padStart(32, "a"),
      spanId: n.toString(16).padStart(16, "b"),
      attributes: [
        { key: "http.route", value: text(n % 3 === 0 ? "/api/cart" : "/api/orders") },
        { key: "http.response.status_code", value: { intValue: String(bad ? 500 : 200) } },
      ],
    };
  });
  const resource = { attributes: [{ key: "service.name", value: text(service) }, { key: "host.name", value: text("e2e-host") }] };
  return { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] };
}

async function send(first, count, spreadMs) {
  const headers = { "Content-Type": "application/json" };
  if (process.env.API_KEY) headers.Authorization = `Bearer ${process.env.API_KEY}`;
  const response = await fetch(`${base}/v1/logs`, { method: "POST", headers, body: JSON.stringify(payload(first, count, spreadMs)) });
  return response.ok;
}

let seeded = await send(0, Math.min(RECORDS, 1000), 1_800_000);
for (let n = 1000; seeded && n < RECORDS; n += 1000) seeded = await send(n, Math.min(1000, RECORDS - n), 1_800_000);
console.log(seeded ? `${RECORDS} records sent as ${service}` : "records could not be sent; the server's own are used");
const scope = seeded ? `service:${service}` : "";

const list = page.locator("[data-list]");
const rows = page.locator("[data-list] [data-index]");
const total = async () => Number((await page.locator("[data-total]").innerText()).replaceAll(",", ""));
const query = () => new URL(page.url()).searchParams.get("q") ?? "";
const ready = () => rows.first().waitFor({ timeout: 20_000 });
const settled = () => page.waitForFunction(() => !document.querySelector('[data-page="logs"] [aria-busy="true"]'), null, { timeout: 20_000 });

await signedIn();

await check("the explorer shows records, counts over time and fields", async () => {
  await page.goto(address("/logs", scope ? [["q", scope]] : []));
  await ready();
  await page.locator("[data-histogram] rect").first().waitFor();
  await page.locator('[data-facet="level"] li').first().waitFor({ timeout: 20_000 });
  await settled();
  if (seeded) assert.equal(await total(), RECORDS);
  assert.deepEqual(await page.locator('[data-page="logs"] [role="alert"]').allInnerTexts(), []);
  await bothThemes("logs");
  return `${await total()} records`;
});

await check("/ searches, Tab completes, Enter runs", async () => {
  await page.keyboard.press("/");
  const box = page.getByRole("textbox", { name: "Search logs" });
  assert.ok(await box.evaluate((area) => area === document.activeElement));
  await box.press("End");
  await box.pressSequentially(" level:err", { delay: 15 });
  await page.locator('[role="listbox"] [role="option"]').first().waitFor({ timeout: 10_000 });
  await shot("logs-completion");
  await box.press("Tab");
  await box.press("Enter");
  await page.waitForURL(/level/);
  await settled();
  assert.match(query(), /level:error/);
  const levels = new Set(await page.locator("[data-list] .level").allInnerTexts());
  assert.deepEqual([...levels], ["ERROR"]);
  return `${await total()} errors`;
});

await check("a bad search is underlined where the server says, with a remedy", () =>
  refused(async () => {
    const box = page.getByRole("textbox", { name: "Search logs" });
    await box.fill('level:error "timed out');
    await box.press("Escape");
    await page.locator("[data-run]").click();
    const message = page.locator("[data-fault-text]");
    await message.waitFor({ timeout: 10_000 });
    assert.match(await message.innerText(), /quote/);
    assert.match((await page.locator("[data-fault]").allInnerTexts()).join(""), /^"timed/);
    await shot("logs-fault");
    return message.innerText();
  }),
);

await check("a click on a value asks for it, Alt+click leaves it out", async () => {
  await page.goto(address("/logs", scope ? [["q", scope]] : []));
  await ready();
  await settled();
  const before = await total();
  const value = page.locator('[data-facet="level"] .value').first();
  await value.waitFor({ timeout: 20_000 });
  const name = (await value.innerText()).split("\n")[0].trim();
  await value.click();
  await page.waitForURL(new RegExp(`level%3A${name}`));
  await settled();
  const inside = await total();
  await page.locator('[data-facet="level"] .value').first().click({ modifiers: ["Alt"] });
  await page.waitForURL(new RegExp(`-level%3A${name}`));
  await settled();
  assert.ok(inside < before && (await total()) < before, `${inside} of ${before}`);
  return `${name}: ${inside}, without: ${await total()}`;
});

await check("dragging over the histogram zooms, Back returns", async () => {
  await page.goto(address("/logs", scope ? [["q", scope]] : []));
  await ready();
  await settled();
  const before = await total();
  const box = await page.locator("[data-histogram]").boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 30, { steps: 5 });
  await page.mouse.move(box.x + box.width * 0.8, box.y + 30, { steps: 5 });
  await shot("logs-drag");
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  await settled();
  const inside = await total();
  assert.ok(inside > 0 && inside < before, `${inside} of ${before}`);
  await page.goBack();
  await settled();
  return `${before} → ${inside}`;
});

await check("by keyboard: choose, open, leaf, filter, close", async () => {
  await ready();
  await list.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  const detail = page.locator("[data-detail]");
  await detail.waitFor();
  const first = await detail.locator("[data-message]").innerText();
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction((was) => document.querySelector("[data-message]")?.textContent !== was, first);
  assert.match(page.url(), /[?&]id=/);
  await bothThemes("logs-detail");
  await detail.getByRole("tab", { name: "Context" }).click();
  await detail.locator(".self").waitFor({ timeout: 10_000 });
  await shot("logs-context");
  await detail.getByRole("tab", { name: "JSON" }).click();
  JSON.parse(await detail.locator(".json").innerText());
  await detail.getByRole("tab", { name: "Fields" }).click();
  await detail.getByRole("button", { name: "Column http.route" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("columnheader", { name: "http.route" }).waitFor();
  await detail.getByRole("button", { name: "Filter out http.route" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /-http\.route/.test(new URL(location.href).searchParams.get("q") ?? ""));
  await page.keyboard.press("Escape");
  await detail.waitFor({ state: "detached" });
  return query();
});

await check("a record links to its trace, service and metrics at its moment", async () => {
  await page.goto(address("/logs", [["q", `${scope} trace_id:*`.trim()]]));
  await ready();
  await rows.first().click();
  const links = page.getByRole("navigation", { name: "From this record" });
  await links.waitFor();
  const hrefs = await links.locator("a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
  for (const start of ["/traces/", "/logs?", "/apm/", "/explore?"]) assert.ok(hrefs.some((href) => href.startsWith(start)), `${start} of ${hrefs}`);
  for (const href of hrefs) assert.match(href, /from=\d+&to=\d+/);
});

await check("the address reproduces the view", async () => {
  const to = Date.now() - 5000;
  const q = `${scope} level:error`.trim();
  await page.goto(address("/logs", [["q", q], ["order", "asc"], ["col", "http.route"], ["by", "service"], ["from", String(to - 1_500_000)], ["to", String(to)]]));
  await ready();
  await settled();
  await rows.nth(2).click();
  await page.locator("[data-detail]").waitFor();
  const view = () => page.evaluate(() => ({
    rows: [...document.querySelectorAll("[data-list] [data-index]")].slice(0, 20).map((row) => row.textContent),
    head: [...document.querySelectorAll('[role="columnheader"]')].map((cell) => cell.textContent.trim()),
    total: document.querySelector("[data-total]")?.textContent,
    message: document.querySelector("[data-message]")?.textContent,
  }));
  const first = await view();
  const shared = page.url();
  await page.goto(address("/targets"));
  await page.locator('[data-page="targets"]').waitFor();
  await page.goto(shared);
  await ready();
  await page.locator("[data-detail]").waitFor();
  await settled();
  assert.deepEqual(await view(), first);
});

await check("a search is saved with its columns and moving range, opened, found in the palette and deleted", async () => {
  const name = `e2e ${service}`;
  const q = `${scope} level:error`.trim();
  await page.goto(address("/logs", [["q", q], ["col", "http.route"], ["from", "now-3h"], ["to", "now"]]));
  await ready();
  await page.getByRole("button", { name: "Saved" }).click();
  const dialog = page.getByRole("dialog", { name: "Saved searches" });
  await dialog.getByLabel("Name", { exact: true }).fill(name);
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  const item = dialog.getByRole("button", { name: new RegExp(`^${name}`) });
  await item.waitFor({ timeout: 5000 });
  await bothThemes("logs-saved");
  await page.goto(address("/logs"));
  await ready();
  await page.getByRole("button", { name: "Saved" }).click();
  await item.click();
  await page.waitForURL(/from=now-3h/);
  await ready();
  await page.getByRole("columnheader", { name: "http.route" }).waitFor();
  assert.equal(query(), q);
  await page.goto(address("/targets"));
  await page.locator('[data-page="targets"]').waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search commands" }).fill(name);
  await page.getByRole("option", { name: new RegExp(`^Query\\s*${name}`) }).click();
  await page.waitForURL(/\/logs\?.*from=now-3h/);
  await page.goto(address("/explore"));
  await page.getByLabel("Query A", { exact: true }).fill("up");
  await page.getByRole("button", { name: "Saved" }).click();
  const queries = page.getByRole("dialog", { name: "Saved queries" });
  await queries.waitFor();
  await page.waitForTimeout(300);
  assert.equal(await queries.getByText(name).count(), 0, "a log search is listed among metrics queries");
  await queries.getByLabel("Name", { exact: true }).fill(name);
  await queries.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("is the name of a log search").waitFor({ timeout: 5000 });
  await page.goto(address("/logs"));
  await page.getByRole("button", { name: "Saved" }).click();
  await dialog.getByRole("button", { name: `Delete ${name}` }).click();
  await item.waitFor({ state: "detached", timeout: 5000 });
});

await check("patterns put messages together; one filters", async () => {
  await page.goto(address("/logs", [["tab", "patterns"], ...(scope ? [["q", scope]] : [])]));
  await page.locator("[data-pattern]").first().waitFor({ timeout: 20_000 });
  await bothThemes("logs-patterns");
  const count = await page.locator("[data-pattern]").count();
  await page.locator("[data-pattern] .template button").first().click();
  await ready();
  await settled();
  assert.match(query(), /"/);
  return `${count} patterns; ${query()}`;
});

await check("the live tail shows what arrives, and holds back while the reader scrolls", async () => {
  await page.goto(address("/logs", scope ? [["q", scope]] : []));
  await ready();
  await page.locator("[data-tail]").click();
  await page.locator("[data-tail-state]").waitFor();
  await page.waitForTimeout(500);
  const started = performance.now();
  if (seeded) await send(RECORDS, 40, 0);
  await ready();
  const latency = Math.round(performance.now() - started);
  await page.waitForTimeout(seeded ? 300 : 3500);
  await shot("logs-live");
  await list.evaluate((box) => (box.scrollTop = 200));
  await page.waitForTimeout(200);
  if (seeded) await send(RECORDS + 40, 10, 0);
  await page.getByRole("button", { name: /new, back to the top/ }).click({ timeout: 10_000 });
  await page.locator("[data-tail]").click();
  return `first record after ${latency} ms`;
});

await check("all records can be scrolled through", async () => {
  await page.goto(address("/logs", scope ? [["q", scope]] : []));
  await ready();
  await settled();
  const want = Math.min(await total(), 60_000);
  await list.focus();
  const deadline = Date.now() + 120_000;
  let loaded = 0;
  const pages = [];
  while (Date.now() < deadline) {
    loaded = Number(await list.getAttribute("aria-rowcount"));
    if (loaded >= want - 200) break;
    const started = performance.now();
    await page.keyboard.press("End");
    await page.waitForFunction((was) => Number(document.querySelector("[data-list]").getAttribute("aria-rowcount")) > was, loaded, { timeout: 20_000 }).catch(() => {});
    pages.push(Math.round(performance.now() - started));
  }
  assert.ok(loaded >= want - 200, `${loaded} of ${want}`);
  const frames = await page.evaluate(async () => {
    const box = document.querySelector("[data-list]");
    const times = [];
    let last = performance.now();
    for (let i = 0; i < 120; i += 1) {
      // Jumps of many screens, so that no row is there already.
      box.scrollTop = ((i * 7919) % 1000) / 1000 * box.scrollHeight;
      await new Promise((done) => requestAnimationFrame(done));
      const now = performance.now();
      times.push(now - last);
      last = now;
    }
    return times.slice(1).sort((a, b) => a - b);
  });
  const at = (share) => frames[Math.floor(frames.length * share)].toFixed(1);
  const dom = await rows.count();
  assert.ok(dom < 150, `${dom} rows in the document`);
  const key = [];
  for (let i = 0; i < 20; i += 1) {
    key.push(await painted(() => document.querySelector("[data-list]").dispatchEvent(new KeyboardEvent("keydown", { key: "PageUp", bubbles: true }))));
  }
  key.sort((a, b) => a - b);
  const open = await painted(() => document.querySelector("[data-list] .chosen, [data-list] [data-index]").click());
  return `${loaded} rows, ${dom} in the document; frame p50 ${at(0.5)} p95 ${at(0.95)} max ${frames.at(-1).toFixed(1)} ms; a page by key p50 ${key[10].toFixed(1)} max ${key.at(-1).toFixed(1)} ms; opening a record ${open.toFixed(1)} ms; fetching pages ${pages.join(", ")} ms`;
});

await check("records are exported", async () => {
  await page.goto(address("/logs", [["q", `${scope} level:error`.trim()]]));
  await ready();
  await settled();
  const want = await total();
  const lines = {};
  for (const [name, label] of [["jsonl", "JSON lines"], ["csv", "CSV"]]) {
    await page.getByRole("button", { name: "Export" }).click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: label }).click()]);
    assert.match(download.suggestedFilename(), new RegExp(`^logs-.*\\.${name}$`));
    let content = "";
    for await (const chunk of await download.createReadStream()) content += chunk;
    lines[name] = name === "jsonl" ? content.trim().split("\n").map((line) => JSON.parse(line)).length : content.split("\r\n").length - 2;
  }
  assert.ok(lines.jsonl >= want && lines.csv >= want, `${JSON.stringify(lines)} of ${want}`);
  return `${lines.jsonl} records`;
});

await check("a search without an answer says what to do", async () => {
  await page.goto(address("/logs", [["q", "nosuchwordanywhere"]]));
  await page.getByText("No record matches").waitFor({ timeout: 10_000 });
  await shot("logs-nothing");
  await page.getByRole("button", { name: "Clear the search" }).last().click();
  await ready();
});

await check("the SQL console runs a statement by keyboard", async () => {
  await page.goto(address("/sql"));
  const editor = page.getByRole("textbox", { name: "SQL", exact: true });
  await editor.fill('SELECT "service.name" AS service, count(*) AS records\nFROM logs\nGROUP BY 1\nORDER BY records DESC');
  await editor.press("Control+Enter");
  await page.locator("[data-result] [data-index]").first().waitFor({ timeout: 20_000 });
  assert.match(page.url(), /sql=SELECT/);
  await bothThemes("sql");
  await page.locator("[data-result] [data-index]").first().click();
  await page.locator("[data-row-detail]").waitFor();
  await shot("sql-row");
  return page.locator("[data-answer]").innerText();
});

await check("many rows stay quick, and can be sorted and taken away", async () => {
  const editor = page.getByRole("textbox", { name: "SQL", exact: true });
  await editor.fill("SELECT * FROM logs LIMIT 50000");
  await editor.press("Control+Enter");
  await page.waitForFunction(() => Number(document.querySelector("[data-result] [data-list]")?.getAttribute("aria-rowcount")) > 1000, null, { timeout: 60_000 });
  const count = Number(await page.locator("[data-result] [data-list]").getAttribute("aria-rowcount"));
  const sort = await painted(() => document.querySelector('[data-result] [role="columnheader"] .sort').click());
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download" }).click().then(() => page.getByRole("menuitem", { name: "CSV" }).click()),
  ]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  return `${count} rows, sorted in ${sort.toFixed(0)} ms`;
});

await check("an answer over time becomes a chart", async () => {
  await page.getByRole("button", { name: "Examples" }).click();
  await page.getByRole("menuitem", { name: "Records and errors over time" }).click();
  await page.getByRole("button", { name: "Chart", exact: true }).click({ timeout: 20_000 });
  await page.locator('[data-page="sql"] canvas').waitFor({ timeout: 10_000 });
  await page.waitForTimeout(300);
  await bothThemes("sql-chart");
});

await check("a faulty statement is explained", () =>
  refused(async () => {
    const editor = page.getByRole("textbox", { name: "SQL", exact: true });
    await editor.fill("SELECT *\nFROM nosuch");
    await editor.press("Control+Enter");
    const message = page.locator("[data-fault-text]");
    await message.waitFor({ timeout: 10_000 });
    await shot("sql-fault");
    return (await message.innerText()).slice(0, 120);
  }),
);

await check("the palette finds logs", async () => {
  await page.goto(address("/sql"));
  await page.locator('[data-page="sql"]').waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search commands" }).fill("timed out");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/logs\?q=timed/);
});

await context.clearCookies();
await finish();
