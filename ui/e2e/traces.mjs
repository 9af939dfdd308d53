// Drives the traces explorer, the trace page, the map and the service pages of a real server in Chromium.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/traces.mjs
//
// Sends its own traces first, over OTLP: sixty small ones, an incomplete one, and one of SPANS (default 50,000) spans;
// API_KEY goes with them where one is needed. Against the stand-in server (`npm run mock`) the made-up ones are used.
import assert from "node:assert/strict";
import { address, base, bothThemes, check, finish, page, refused, shot, signedIn } from "./harness.mjs";

const SPANS = Number(process.env.SPANS ?? 50_000);
const run = Date.now().toString(36);
const hex = (n, length) => n.toString(16).padStart(length, "0");
const nanos = (ms) => `${Math.floor(ms)}${String(Math.round((ms % 1) * 1e6)).padStart(6, "0")}`;
const traceId = (n) => `e2e0${hex(Date.now(), 16)}${hex(n, 12)}`;
const KINDS = { internal: 1, server: 2, client: 3 };

function span(trace, id, parent, name, kind, startMs, ms, failed = false) {
  return {
    traceId: trace,
    spanId: hex(id, 16),
    ...(parent ? { parentSpanId: hex(parent, 16) } : {}),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(startMs + ms),
    attributes: [
      { key: "http.route", value: { stringValue: name } },
      { key: "e2e.number", value: { intValue: String(id) } },
    ],
    ...(failed
      ? {
          status: { code: 2, message: "the peer did not answer" },
          events: [{ name: "exception", timeUnixNano: nanos(startMs + ms / 2), attributes: [{ key: "exception.type", value: { stringValue: "Timeout" } }] }],
        }
      : {}),
  };
}

/** Spans by service, as a request. */
function request(byService) {
  return {
    resourceSpans: Object.entries(byService).map(([service, spans]) => ({
      resource: { attributes: [{ key: "service.name", value: { stringValue: `${service}-${run}` } }] },
      scopeSpans: [{ spans }],
    })),
  };
}

async function send(body) {
  const headers = { "Content-Type": "application/json" };
  if (process.env.API_KEY) headers.Authorization = `Bearer ${process.env.API_KEY}`;
  const response = await fetch(`${base}/v1/traces`, { method: "POST", headers, body: JSON.stringify(body) });
  if (response.status === 404) return false;
  assert.equal(response.status, 200, await response.text());
  return true;
}

const small = traceId(1);
const broken = traceId(2);
let large = traceId(3);

async function sendAll() {
  const now = Date.now() - 60_000;
  const bySvc = { gateway: [], api: [], db: [] };
  for (let n = 0; n < 60; n += 1) {
    const id = n === 0 ? small : traceId(100 + n);
    const at = now - n * 20_000;
    const slow = 1 + (n % 7);
    const failed = n % 6 === 0;
    bySvc.gateway.push(span(id, 1, 0, "GET /cart", "server", at, 40 * slow, failed));
    bySvc.gateway.push(span(id, 2, 1, "call api", "client", at + 2, 36 * slow, failed));
    bySvc.api.push(span(id, 3, 2, "Cart/Read", "server", at + 3, 30 * slow, failed));
    bySvc.db.push(span(id, 4, 3, "SELECT carts", "server", at + 5, 12 * slow));
    bySvc.db.push(span(id, 5, 3, "SELECT prices", "server", at + 9, 18 * slow, failed));
  }
  if (!(await send(request(bySvc)))) return false;
  const at = now - 5000;
  await send(request({ api: [span(broken, 7, 6, "Cart/Read", "server", at, 30)], db: [span(broken, 8, 7, "SELECT carts", "server", at + 4, 12)] }));
  const services = ["gateway", "api", "db"];
  for (let first = 1; first <= SPANS; first += 5000) {
    const part = { gateway: [], api: [], db: [] };
    for (let n = first; n < Math.min(first + 5000, SPANS + 1); n += 1) {
      // Ten children to a span: five levels, the deeper ones shorter.
      const parent = n === 1 ? 0 : Math.floor((n - 2) / 10) + 1;
      const level = Math.floor(Math.log10(9 * n));
      const start = n === 1 ? 0 : (n % 1000) * 2;
      part[services[level % 3]].push(span(large, n, parent, `level ${level} work ${n % 20}`, "internal", now + start, Math.max(4000 / 4 ** level, 0.5), n % 997 === 0));
    }
    await send(request(part));
  }
  return true;
}

let real = false;
await check("traces are taken", async () => {
  real = await sendAll();
  if (!real) large = "000000000000000000000000000c3500";
  return real ? `${SPANS} spans in one of them` : "a stand-in, its own traces are used";
});

await check("the link signs in", signedIn);

const heat = page.locator('[data-page="traces"] canvas');
const rows = page.locator("[data-trace]");
const service = real ? `api-${run}` : "payments";

await check("the explorer lists traces below a latency heatmap", async () => {
  const deadline = Date.now() + 30_000;
  for (;;) {
    await page.goto(address("/traces"));
    await heat.waitFor({ timeout: 10_000 }).catch(() => {});
    if ((await rows.count()) > 10) break;
    if (Date.now() > deadline) throw new Error(`${await rows.count()} traces are listed`);
  }
  assert.deepEqual(await page.locator('[role="alert"]').allInnerTexts(), []);
  await bothThemes("traces");
  return `${await rows.count()} traces`;
});

await check("a facet becomes a filter and goes again", async () => {
  await page.goto(address("/traces"));
  await page.locator(`[data-facet="service"] .value[title="${service}"]`).click({ timeout: 10_000 });
  await page.waitForURL(new RegExp(`service%3A${service}`));
  await page.locator(`[data-facet="service"] .value[title="${service}"][aria-pressed="true"]`).waitFor({ timeout: 10_000 });
  await rows.first().waitFor({ timeout: 10_000 });
  await page.locator(`[data-facet="service"] .value[title="${service}"]`).click();
  await page.waitForURL((url) => !url.searchParams.has("q"));
});

await check("a box dragged over the heatmap selects time and duration", async () => {
  await page.goto(address("/traces"));
  await heat.waitFor({ timeout: 10_000 });
  await rows.first().waitFor({ timeout: 10_000 });
  const box = await heat.boundingBox();
  await page.mouse.move(box.x + box.width * 0.55, box.y + box.height * 0.1);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.98, box.y + box.height * 0.6, { steps: 6 });
  await shot("traces-box");
  await page.mouse.up();
  await page.waitForURL((url) => url.searchParams.has("from") && /duration:>=/.test(url.searchParams.get("q") ?? ""));
  return new URL(page.url()).searchParams.get("q");
});

await check("a search shows spans, failed ones say why", async () => {
  await page.goto(address("/traces", [["q", `service:${service} status:error`], ["show", "spans"]]));
  await page.locator('[data-results="spans"] tbody tr').first().waitFor({ timeout: 10_000 });
  await shot("traces-spans");
});

await check("TraceQL selects traces", async () => {
  await page.goto(address("/traces", [["q", "{ status = error }"]]));
  await rows.first().waitFor({ timeout: 10_000 });
  return `${await rows.count()} traces`;
});

await check("a bad TraceQL query is refused with a reason", () =>
  refused(async () => {
    await page.goto(address("/traces", [["q", "{ status = "]]));
    const text = await page.locator('[role="alert"]').first().innerText({ timeout: 10_000 });
    assert.ok(text.length > 5, text);
    await shot("traces-fault");
    return text.replace(/\s+/g, " ");
  }));

await check("a trace opens from the list; keys move, collapse and zoom", async () => {
  await page.goto(address("/traces", real ? [["q", `service:gateway-${run} duration:<1s`]] : [["q", "service:payments"]]));
  await rows.locator("a").first().click({ timeout: 10_000 });
  const tree = page.getByRole("tree");
  await tree.waitFor({ timeout: 10_000 });
  await page.locator("[data-span]").first().waitFor({ timeout: 10_000 });
  await tree.focus();
  await page.keyboard.press("ArrowDown");
  await page.locator("[data-detail]").waitFor();
  await page.locator("[data-detail] dl").first().waitFor();
  const count = () => page.locator("[data-rows]").getAttribute("data-rows").then(Number);
  const before = await count();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((n) => Number(document.querySelector("[data-rows]").dataset.rows) < n, before);
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((n) => Number(document.querySelector("[data-rows]").dataset.rows) === n, before);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("z");
  await page.waitForURL(/zoom=/);
  await shot("trace-zoomed");
  await page.keyboard.press("Escape");
  await page.waitForURL((url) => !url.searchParams.has("zoom"));
  await bothThemes("trace");
  return `${before} rows`;
});

await check("the address reproduces the span that was chosen", async () => {
  const url = page.url();
  const chosen = await page.locator("[data-detail]").getAttribute("data-detail");
  await page.goto(`${base}/targets`);
  await page.goto(url);
  await page.locator(`[data-detail="${chosen}"]`).waitFor({ timeout: 10_000 });
});

await check("an incomplete trace says so and shows what is there", async () => {
  if (real) await page.goto(address(`/traces/${broken}`));
  else {
    await page.goto(address("/traces", [["limit", "200"]]));
    await page.locator("[data-trace]", { hasText: "incomplete" }).locator("a").first().click({ timeout: 10_000 });
  }
  await page.locator("[data-incomplete]").waitFor({ timeout: 10_000 });
  await page.getByText("Parent not received").first().waitFor();
  await shot("trace-incomplete");
});

await check("a trace that is not stored is said to be absent", () =>
  refused(async () => {
    await page.goto(address("/traces/0123456789abcdef0123456789abcdef"));
    await page.getByText("No span of this trace is stored").waitFor({ timeout: 10_000 });
    await shot("trace-absent");
  }));

/** Milliseconds until the rows are painted, from the start of the visit and from the end of the answer. */
async function visit(path) {
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector("[data-span]")) setTimeout(() => (window.__painted = performance.now()));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.goto(address(path));
  await page.waitForFunction(() => window.__painted, null, { timeout: 60_000 });
  return page.evaluate(() => {
    const answer = performance.getEntriesByType("resource").find((entry) => /monitoring\/traces\//.test(entry.name));
    return { painted: window.__painted, afterAnswer: window.__painted - answer.responseEnd, bytes: answer.decodedBodySize };
  });
}

/** Milliseconds from a click until its outcome is painted. */
const clicked = (selector) =>
  page.evaluate(async (wanted) => {
    const target = document.querySelector(wanted);
    const started = performance.now();
    target.click();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - started;
  }, selector);

const ms = (n) => `${Math.round(n)} ms`;

await check(`${SPANS.toLocaleString()} spans are drawn`, async () => {
  await visit(`/traces/${large}`);
  const { painted, afterAnswer, bytes } = await visit(`/traces/${large}`);
  assert.equal(await page.locator("[data-spans]").innerText(), SPANS.toLocaleString());
  assert.ok((await page.locator("[data-span]").count()) < 120, "rows out of view are in the document");
  await bothThemes("trace-large");
  return `painted ${ms(painted)} after the visit began, ${ms(afterAnswer)} after the answer of ${(bytes / 1e6).toFixed(1)} MB`;
});

await check("they scroll", async () => {
  const frames = await page.evaluate(async () => {
    const list = document.querySelector('[role="tree"]');
    const times = [];
    const work = [];
    for (let i = 0; i < 150; i += 1) {
      const started = performance.now();
      list.scrollTop += 700;
      await new Promise((done) => requestAnimationFrame(done));
      const drawn = performance.now();
      await new Promise((done) => setTimeout(done));
      times.push(performance.now() - started);
      work.push(performance.now() - drawn);
    }
    const at = (values, q) => values.toSorted((a, b) => a - b)[Math.floor(values.length * q)];
    return { median: at(times, 0.5), p95: at(times, 0.95), most: Math.max(...times), work: at(work, 0.5), work95: at(work, 0.95) };
  });
  assert.ok(frames.median < 100, `a frame takes ${ms(frames.median)}`);
  return `frame ${frames.median.toFixed(1)} ms (p95 ${frames.p95.toFixed(1)}, most ${frames.most.toFixed(1)}), of which our work ${frames.work.toFixed(1)} (p95 ${frames.work95.toFixed(1)})`;
});

await check("they collapse and open", async () => {
  await page.evaluate(() => (document.querySelector('[role="tree"]').scrollTop = 0));
  const closed = await clicked('[aria-label="Levels"] button');
  const few = Number(await page.locator("[data-rows]").getAttribute("data-rows"));
  const opened = await clicked("[data-open-all]");
  assert.ok(few < SPANS);
  assert.equal(await page.locator("[data-rows]").getAttribute("data-rows"), String(SPANS));
  return `collapse ${ms(closed)}, open ${ms(opened)}`;
});

await check("they are searched", async () => {
  const field = page.getByLabel("Find in this trace");
  const took = await page.evaluate(async () => {
    const input = document.querySelector("input[data-search]");
    const step = async (text) => {
      const started = performance.now();
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return performance.now() - started;
    };
    return { first: await step("err"), next: await step("error") };
  });
  await page.getByText(/\d+ found/).waitFor();
  await field.press("Enter");
  await page.locator("[data-detail]").waitFor();
  await shot("trace-large-found");
  return `first ${ms(took.first)}, then ${ms(took.next)}; ${await page.locator(".count").innerText()}`;
});

await check("they are drawn as a flame", async () => {
  await page.goto(address(`/traces/${large}`));
  await page.locator("[data-span]").first().waitFor({ timeout: 30_000 });
  const took = await clicked('[aria-label="View"] button:nth-child(2)');
  await page.locator("canvas[data-lanes]").waitFor();
  const zoomed = await page.evaluate(async () => {
    const canvas = document.querySelector("canvas[data-lanes]");
    const times = [];
    for (let i = 0; i < 30; i += 1) {
      const started = performance.now();
      const box = canvas.getBoundingClientRect();
      canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: i < 20 ? -100 : 100, ctrlKey: true, clientX: box.left + box.width / 3, bubbles: true, cancelable: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - started);
    }
    return times.toSorted((a, b) => a - b)[15];
  });
  await bothThemes("trace-flame");
  return `opened in ${ms(took)}, a step of zoom ${ms(zoomed)}`;
});

await check("they are summed up by operation", async () => {
  await page.goto(address(`/traces/${large}`, [["tab", "operations"]]));
  await page.locator('[data-page="trace"] table tbody tr').first().waitFor({ timeout: 30_000 });
  await shot("trace-operations");
});

await check("the map shows who calls whom, and the impact of one", async () => {
  await page.goto(address("/map"));
  await page.locator("[data-node]").first().waitFor({ timeout: 20_000 });
  await bothThemes("map");
  const name = real ? `api-${run}` : "orders";
  await page.locator("[data-impact]").selectOption(name);
  await page.locator("[data-reach]").waitFor();
  const text = await page.locator("[data-reach]").innerText();
  assert.match(text, real ? new RegExp(`gateway-${run}`) : /gateway/);
  assert.match(text, real ? new RegExp(`db-${run}`) : /fraud/);
  await shot("map-impact");
  await page.locator(`[data-node="${name}"]`).click();
  await page.waitForURL(new RegExp(`/apm/${name}`));
  return `${name} opened from the map`;
});

await check("a service's page has charts, operations and neighbours", async () => {
  for (const id of ["rate", "errors", "latency"]) await page.locator(`[data-panel="${id}"] canvas`).waitFor({ timeout: 10_000 });
  await page.locator('[aria-label="Operations"] tbody a').first().waitFor();
  await page.getByLabel("Neighbours").locator("a").first().waitFor();
  assert.deepEqual(await page.locator('[role="alert"]').allInnerTexts(), []);
  await bothThemes("service");
});

await check("services are listed", async () => {
  await page.goto(address("/apm"));
  await page.locator("[data-service]").first().waitFor({ timeout: 10_000 });
  await bothThemes("apm");
});

await check("a pasted trace id opens the trace from the palette", async () => {
  const id = real ? small : large;
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search commands" }).fill(id);
  await page.getByRole("option", { name: `Open trace ${id}` }).click();
  await page.waitForURL(new RegExp(`/traces/${id}`));
});

await finish();
