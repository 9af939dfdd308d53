// Drives incidents, on-call, runbooks and status pages of a real server in Chromium, as a person would.
//
//   BASE_URL=http://127.0.0.1:4300 SIGNIN_URL='http://127.0.0.1:4300/signin?token=…' node e2e/incidents.mjs
import assert from "node:assert/strict";
import { address, bothThemes, check, context, finish, page, refused, shot, signedIn } from "./harness.mjs";

const run = Date.now().toString(36);
const [TITLE, RUNBOOK, SCHEDULE, POLICY, STATUS] = [`Checkout fails ${run}`, `runbook-${run}`, `schedule-${run}`, `policy-${run}`, `page-${run}`];

const dialog = page.getByRole("dialog");
const main = page.locator("main");
const open = async (path, params) => {
  await page.goto(address(path, params));
  await page.locator("[data-page]").waitFor({ timeout: 20_000 });
};
page.setDefaultTimeout(15_000);
let incident = "";
let tenant = "";
let me = "";

await signedIn();
({ tenant, me } = await page.evaluate(async () => {
  const session = await (await fetch("/api/v1/auth/session")).json();
  return { tenant: session.tenant.id, me: session.user.email };
}));

await check("the navigation leads to incidents and to who is on call", async () => {
  const pages = page.getByRole("navigation", { name: "Pages" });
  await pages.getByRole("link", { name: "On call", exact: true }).click();
  await page.locator('[data-page="on-call"]').waitFor();
  await pages.getByRole("link", { name: "Incidents", exact: true }).click();
  await page.locator('[data-page="incidents"]').waitFor();
  for (const [name, kind] of [["Runbooks", "runbook"], ["Status pages", "status_page"]]) {
    await page.getByRole("navigation", { name: "Incidents" }).getByRole("link", { name, exact: true }).click();
    await page.locator(`[data-page="objects"][data-kind="${kind}"]`).waitFor();
    assert.deepEqual(await page.locator("main [role=alert]").allInnerTexts(), []);
  }
});

await check("a runbook is written, and says how it reads", async () => {
  await open("/new-runbook");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("a name is needed").waitFor();
  await page.getByText("say in a line what to do").waitFor();
  await page.getByLabel("Name", { exact: true }).fill(RUNBOOK);
  await page.getByLabel("What to know before").fill("# When it fails\n\nLook at **payments** first. <img src=x onerror=alert(1)>");
  await page.getByLabel("What to do").fill("Look at the queue");
  await page.getByRole("button", { name: "Step", exact: true }).click();
  await page.getByRole("region", { name: "Step 2" }).getByLabel("What to do").fill("Empty it");
  const second = page.getByRole("region", { name: "Step 2" });
  await second.getByLabel("Done by").selectOption("command");
  await second.getByLabel("Command").fill("empty-queue");
  await second.getByRole("button", { name: "Argument" }).click();
  await second.getByLabel("Argument 1", { exact: true }).fill("host");
  await second.getByLabel("Text of Argument 1").fill("{host}");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(new RegExp(`/runbooks/${RUNBOOK}`));
  const reads = page.getByRole("region", { name: "How it reads" });
  await reads.getByRole("heading", { name: "When it fails" }).waitFor();
  assert.equal(await reads.locator("img").count(), 0, "what is written is text, never HTML");
  await page.getByRole("button", { name: "JSON" }).click();
  const json = JSON.parse(await page.locator("#object-json").inputValue());
  assert.deepEqual(json.steps[1].action.arguments, { host: { label: "host" } });
  await page.getByRole("button", { name: "Form" }).click();
  await bothThemes("runbook");
});

await check("an incident is opened by hand", async () => {
  await open("/incidents");
  await page.getByRole("button", { name: "New incident" }).click();
  await dialog.getByRole("button", { name: "Open" }).click();
  await dialog.getByText("say in a line what is wrong").waitFor();
  await dialog.getByLabel("Title").fill(TITLE);
  await dialog.getByLabel("Severity").selectOption("critical");
  await dialog.getByLabel(RUNBOOK).check();
  await dialog.getByRole("button", { name: "Label" }).click();
  await dialog.getByLabel("Label 1", { exact: true }).fill("host");
  await dialog.getByLabel("Text of Label 1").fill("web-1");
  await bothThemes("incident-new");
  await dialog.getByRole("button", { name: "Open" }).click();
  await page.locator('[data-page="incident"]').waitFor();
  incident = new URL(page.url()).pathname;
  assert.match(incident, /^\/incidents\/inc_/);
  await page.locator('[data-state="open"]').waitFor();
});

await check("the list finds it by state, severity and text", async () => {
  await open("/incidents", [["q", "host=web-1"], ["severity", "critical"]]);
  const row = page.locator("[data-index]", { hasText: TITLE });
  await row.waitFor();
  assert.match(await row.innerText(), /nobody/);
  await page.getByRole("button", { name: "Resolved", exact: true }).click();
  await row.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Going on" }).click();
  await row.getByRole("link", { name: TITLE }).click();
  await page.locator('[data-page="incident"]').waitFor();
});

await check("it is acknowledged, given a role and noted", async () => {
  await page.getByRole("button", { name: "Acknowledge", exact: true }).click();
  await page.locator('[data-state="acknowledged"]').waitFor();
  await page.locator('[data-entry="acknowledged"]').waitFor();
  await page.getByRole("button", { name: "Take commander" }).click();
  await page.locator('[data-role="commander"]').getByText(me).waitFor();
  await page.getByLabel("Note").fill("the queue is full <b>indeed</b>");
  await page.keyboard.press("Control+Enter");
  await page.locator('[data-entry="note"]').filter({ hasText: "the queue is full <b>indeed</b>" }).waitFor();
  await page.getByLabel("Severity").selectOption("error");
  await page.locator('[data-entry="severity"]').waitFor();
});

await check("a step is ticked, another one asked for and refused", async () => {
  const steps = page.locator(`[data-runbook="${RUNBOOK}"]`);
  await steps.getByLabel("Look at the queue").check({ force: true }).catch(() => {});
  await steps.getByText("1 of 2 done").waitFor();
  await steps.getByRole("button", { name: /Run step 2/ }).click();
  await steps.locator('[data-run="waiting_approval"]').waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await bothThemes("incident");
  await steps.getByRole("button", { name: "Refuse" }).click();
  await steps.locator('[data-run="refused"]').waitFor();
});

await check("a status page is made, and says what the public may know", async () => {
  await open("/new-status-page");
  await page.getByLabel("Name", { exact: true }).first().fill(STATUS);
  await page.getByLabel("Title", { exact: true }).fill(`Harbour ${run}`);
  await page.getByRole("region", { name: "Component 1" }).getByLabel("Name", { exact: true }).fill("Shop");
  await page.getByRole("switch", { name: "Public" }).click();
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(new RegExp(`/status-pages/${STATUS}`));
  await page.locator('[data-overall="operational"]').waitFor();
  await page.goto(address(incident));
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await dialog.getByLabel("Page").selectOption(STATUS);
  await dialog.getByLabel("Title for the public").fill(`Orders fail ${run}`);
  await dialog.getByLabel("Impact").selectOption("outage");
  await dialog.getByLabel("Shop").check();
  await dialog.getByRole("button", { name: "Publish" }).click();
  await dialog.waitFor({ state: "hidden" });
  await page.getByLabel("What the public is told").fill("We know the cause.");
  await page.getByLabel("Phase").selectOption("identified");
  await page.getByRole("button", { name: "Tell the public" }).click();
  await page.locator('[data-entry="update"]').waitFor();
});

await check("the public sees it without signing in", async () => {
  const visitor = await context.browser().newContext({ viewport: { width: 1200, height: 900 }, colorScheme: "dark" });
  const other = await visitor.newPage();
  const complaints = [];
  other.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  other.on("pageerror", (error) => complaints.push(error.message));
  const asked = [];
  other.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await other.goto(address(`/status/${tenant}/${STATUS}`));
  await other.locator('[data-overall="outage"]').waitFor({ timeout: 20_000 });
  await other.getByText(`Orders fail ${run}`).waitFor();
  await other.getByText("We know the cause.").waitFor();
  assert.ok(!(await other.locator("body").innerText()).includes(TITLE), "the incident's own title stays inside");
  assert.equal(await other.getByRole("navigation").count(), 0, "it stands outside of the frame");
  assert.ok(!asked.some((path) => path.startsWith("/api/v1/auth") || path === "/api/v1/ws"), "it asks for no session");
  await other.getByRole("button", { name: "Subscribe" }).click();
  await other.getByText("write an e-mail address").waitFor();
  assert.deepEqual(complaints, []);
  await other.setViewportSize({ width: 420, height: 860 });
  await other.waitForTimeout(200);
  const over = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(over <= 0, `it is ${over} px too wide`);
  // A link of a message does nothing by being looked at.
  await other.goto(address(`/status/${tenant}/${STATUS}`, [["leave", "nonsense"]]));
  await other.getByRole("button", { name: "Stop the messages" }).click();
  await other.locator('[data-token="leave"] [role=alert]').waitFor();
  await other.getByRole("button", { name: "No" }).click();
  await other.locator("[data-token]").waitFor({ state: "hidden" });
  assert.ok(!other.url().includes("leave="));
  await visitor.close();
});

await check("it is resolved with a note, opened again and resolved", async () => {
  await open(incident);
  await page.getByLabel("Note").fill("restarted the queue");
  await page.getByRole("button", { name: "Resolve with it" }).click();
  await page.locator('[data-state="resolved"]').waitFor();
  await page.locator('[data-entry="resolved"]').filter({ hasText: "restarted the queue" }).waitFor();
  await page.getByRole("button", { name: "Reopen" }).click();
  await page.locator('[data-state="open"]').waitFor();
  await page.getByRole("button", { name: "Resolve", exact: true }).click();
  await page.locator('[data-state="resolved"]').waitFor();
});

await check("the post-mortem is written, and not over somebody else's", async () => {
  await page.getByRole("button", { name: "Post-mortem" }).click();
  await page.locator('[data-version="0"]').waitFor();
  await page.getByRole("button", { name: "Write it" }).click();
  const text = page.getByLabel("Text in Markdown");
  assert.match(await text.inputValue(), new RegExp(TITLE));
  await text.fill("# What we learnt\n\n- [x] a longer queue\n- [ ] an alert on it\n");
  await page.getByRole("article", { name: "Preview" }).getByRole("heading", { name: "What we learnt" }).waitFor();
  await bothThemes("postmortem");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator('[data-version="1"]').waitFor();
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await page.evaluate(async (path) => {
    const { csrf } = await (await fetch("/api/v1/auth/session")).json();
    const answer = await fetch(`/api/v1/monitoring${path}/postmortem`, { method: "PUT", headers: { "content-type": "application/json", "x-csrf-token": csrf }, body: JSON.stringify({ version: 1, text: "from elsewhere" }) });
    if (!answer.ok) throw new Error(`the other change was answered ${answer.status}`);
  }, incident);
  await refused(async () => {
    await text.fill("mine");
    await page.keyboard.press("Control+s");
    await main.locator("[role=alert]").first().waitFor();
  });
  assert.equal(await text.inputValue(), "mine", "what was written is still there");
});

await check("a schedule is made, and says who is on call", async () => {
  await open("/on-call/schedules");
  await page.getByLabel("Name", { exact: true }).fill(SCHEDULE);
  await page.getByLabel("Time zone").fill("UTC");
  await page.getByLabel("People").fill(`${me}\nann@example.com`);
  await page.getByLabel("First turn begins").fill("2026-01-05");
  await page.getByLabel("A turn is").selectOption("daily");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(new RegExp(`/on-call/schedules/${SCHEDULE}`));
  await page.locator("[data-shift]").first().waitFor();
  await open("/on-call");
  const card = page.locator(`[data-schedule="${SCHEDULE}"]`);
  await card.waitFor();
  await page.getByRole("region", { name: `Schedule ${SCHEDULE}` }).getByRole("button", { name: "iCalendar" }).click();
  const url = await page.getByRole("textbox", { name: "Address for a calendar" }).inputValue();
  assert.match(url, /calendar\.ics\?token=/);
  await bothThemes("on-call");
});

await check("an escalation policy is made", async () => {
  await open("/on-call/policies");
  await page.getByLabel("Name", { exact: true }).fill(POLICY);
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("somebody is needed").waitFor();
  await page.getByRole("button", { name: "Target", exact: true }).click();
  await page.getByLabel("Target 1", { exact: true }).fill(SCHEDULE);
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(new RegExp(`/on-call/policies/${POLICY}`));
  await open("/on-call");
  await page.locator(`[data-policy="${POLICY}"]`).getByText(`whoever has ${SCHEDULE}`).waitFor();
});

await check("the pages fit a narrow window", async () => {
  await page.setViewportSize({ width: 420, height: 860 });
  for (const path of ["/incidents", incident, "/on-call", `/on-call/schedules/${SCHEDULE}`, `/on-call/policies/${POLICY}`, "/runbooks", `/runbooks/${RUNBOOK}`, "/status-pages", `/status-pages/${STATUS}`]) {
    await open(path);
    await page.waitForTimeout(300);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${path} is ${over} px too wide`);
  }
  await shot("narrow-status-pages");
  await page.setViewportSize({ width: 1440, height: 900 });
});

await check("what was made is removed", async () => {
  for (const path of [`/on-call/policies/${POLICY}`, `/on-call/schedules/${SCHEDULE}`, `/runbooks/${RUNBOOK}`, `/status-pages/${STATUS}`]) {
    await open(path);
    await page.getByRole("button", { name: "Remove", exact: true }).first().click();
    await dialog.getByRole("button", { name: "Remove" }).click();
    await page.waitForURL((url) => url.pathname !== path);
  }
});

await finish();
