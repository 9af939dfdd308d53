// Drives signing in, the profile and the administration in Chromium, as people with different roles would.
//
// It makes the people and things that it needs, as the administrator whom SIGNIN_URL signs in, and leaves them: start the
// server anew for each run. MEMBERS are added beside.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { address, base, bothThemes, check, context, finish, page, painted, refused, shot, signedIn } from "./harness.mjs";
import { codeOf, setTheStage } from "./stage.mjs";

const PASSWORD = "correct horse battery";
const MEMBERS = Number(process.env.MEMBERS ?? 1100);
page.setDefaultTimeout(30_000);
const dialog = page.getByRole("dialog");
const alert = page.getByRole("alert").filter({ hasText: /\S/ });
const go = async (section) => {
  await page.goto(address(`/admin/${section}`));
  await page.locator(`[data-page="${section}"]`).waitFor({ timeout: 20_000 });
};
const named = (name) => page.getByRole("button", { name, exact: true });

async function signIn(email, password = PASSWORD) {
  await context.clearCookies();
  await refused(async () => {
    await page.goto(`${base}/sign-in`);
    await page.getByLabel("Email").fill(email);
    await page.getByLabel("Password").fill(password);
    const answered = page.waitForResponse(/\/auth\/sign-in$/);
    await named("Sign in").first().click();
    await answered;
    await page.waitForTimeout(300);
  });
}
const arrived = () => page.waitForFunction(() => document.querySelector("[data-page]"), null, { timeout: 60_000 });

let administrator = [];
let welcome = "";
let factorSecret = "";

async function asAdministrator() {
  await context.clearCookies();
  await context.addCookies(administrator);
}

await check("the administrator sets the stage", async () => {
  await signedIn();
  administrator = await context.cookies(base);
  const { csrf } = await (await context.request.get(`${base}/api/v1/auth/session`)).json();
  const root = { cookie: administrator.map((one) => `${one.name}=${one.value}`).join("; "), csrf };
  ({ welcome, factorSecret } = await setTheStage(root, MEMBERS, PASSWORD));
  await context.clearCookies();
  return `${MEMBERS} members`;
});

await check("without a session the page offers every way in", async () => {
  await refused(() => page.goto(`${base}/logs?q=a`));
  await page.getByLabel("Email").waitFor();
  await page.getByRole("link", { name: "Sign in with Okta" }).waitFor();
  assert.match(await page.locator("[data-provider]").getAttribute("href"), /return_to=%2Flogs%3Fq%3Da$/);
  await page.getByText("bellwether user link").waitFor();
  await bothThemes("sign-in");
});

await check("what fails with a provider is said plainly and leaves the address bar", async () => {
  await page.locator("[data-provider]").click();
  await alert.filter({ hasText: "could not be reached" }).waitFor();
  assert.equal(new URL(page.url()).search, "");
});

await check("a wrong password, then a count-down after too many", async () => {
  await signIn("nobody@harbour.example", "wrong");
  await alert.filter({ hasText: "is not right" }).waitFor();
  await refused(async () => {
    const waiting = page.getByRole("button", { name: /^Wait \d s$/ });
    for (let i = 0; i < 8 && (await waiting.count()) === 0; i += 1) {
      await page.getByLabel("Password").fill(`wrong ${i}`);
      const answered = page.waitForResponse(/sign-in/);
      await named("Sign in").first().click();
      await answered;
      await page.waitForTimeout(100);
    }
    await waiting.waitFor();
    assert.ok(await waiting.isDisabled());
    await shot("sign-in-throttled");
  });
  await named("Sign in").first().waitFor({ timeout: 20_000 });
});

await check("an address in two organisations names one", async () => {
  await signIn("shared@harbour.example");
  // The password is right in both, so the page asks which one is meant.
  await page.getByLabel("Organisation").fill("acme");
  await named("Sign in").first().click();
  await arrived();
  assert.equal(await page.locator("[data-tenant]").innerText(), "Acme");
});

await check("a second factor is asked for after the password", async () => {
  await signIn("factor@harbour.example");
  const code = page.getByLabel("Code of your second factor");
  await code.fill("000000");
  await refused(async () => {
    await named("Sign in").first().click();
    await alert.filter({ hasText: "code is not right" }).waitFor();
  });
  await code.fill(codeOf(factorSecret));
  await named("Sign in").first().click();
  await arrived();
});

await check("a forgotten password: the same answer for everyone, and what to do", async () => {
  await context.clearCookies();
  await refused(() => page.goto(`${base}/sign-in`));
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await page.getByLabel("Email").fill("nobody@nowhere.example");
  await named("Ask for a link").click();
  await page.getByText("ask an administrator of your organisation").waitFor();
  await bothThemes("forgot");
  await page.goto(`${base}/reset/used`);
  await page.getByLabel("New password").fill("short");
  await named("Set the password").click();
  await alert.filter({ hasText: "has 5 characters" }).waitFor();
  await page.getByLabel("New password").fill("a longer sentence");
  await page.getByLabel("The same again").fill("a longer sentence");
  await refused(async () => {
    await named("Set the password").click();
    await alert.filter({ hasText: /used|ended|not/ }).waitFor();
  });
  await bothThemes("reset");
});

await check("an invitation is taken up, once", async () => {
  await page.goto(`${base}${welcome}`);
  await page.getByText("new@harbour.example").first().waitFor();
  await page.getByLabel("Your name").fill("Nora New");
  await page.getByLabel("New password").fill("a longer sentence");
  await page.getByLabel("The same again").fill("a longer sentence");
  await bothThemes("invite");
  await named("Join").click();
  await arrived();
  assert.equal(new URL(page.url()).pathname, "/");
  await refused(async () => {
    await page.goto(`${base}${welcome}`);
    await page.getByText("This invitation cannot be used").waitFor();
  });
});

await check("a viewer sees what a viewer may, and is told what is missing", async () => {
  await signIn("viewer@harbour.example");
  await arrived();
  await page.goto(`${base}/admin`);
  await page.waitForURL(/\/admin\/organisation/);
  const sections = await page.getByRole("navigation", { name: "Administration" }).getByRole("link").allInnerTexts();
  assert.deepEqual(sections, ["Organisation", "Members", "Roles", "Teams and projects", "Quotas and usage"]);
  await page.goto(`${base}/admin/audit`);
  await page.locator('[data-page="forbidden"]').waitFor();
  assert.match(await page.locator('[data-page="forbidden"]').innerText(), /needs the permission audit:read/);
  await bothThemes("forbidden");
  await go("members");
  await page.locator("[data-member]").first().waitFor();
  assert.equal(await named("Invite").count(), 0);
});

await check("the profile: name, password, second factor, recovery codes, sessions, tokens", async () => {
  await page.goto(`${base}/profile`);
  await page.locator('[data-page="profile"]').waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Victoria Viewer");
  await named("Save").click();
  await page.getByRole("status").filter({ hasText: "Saved" }).waitFor();
  const form = page.locator('[data-form="password"]');
  await form.getByLabel("Current password").fill("not mine");
  await form.getByLabel("New password").fill("another long sentence");
  await form.getByLabel("The same again").fill("another long sentence");
  await refused(async () => {
    await named("Set the password").click();
    await alert.filter({ hasText: "current password is not right" }).waitFor();
  });
  await named("Set up").click();
  await page.getByRole("img", { name: "QR code of the secret" }).waitFor();
  assert.match(await page.getByLabel("Secret", { exact: true }).inputValue(), /^([A-Z2-7]{4} ?)+$/);
  await bothThemes("profile-factor");
  const secret = await page.getByLabel("Secret", { exact: true }).inputValue();
  await page.getByLabel("Code", { exact: true }).fill(codeOf(secret));
  await named("Turn on").click();
  await page.locator("[data-codes] li").first().waitFor();
  assert.equal(await page.locator("[data-codes] li").count(), 10);
  await shot("recovery-codes");
  const [file] = await Promise.all([page.waitForEvent("download"), named("Download").click()]);
  assert.equal(readFileSync(await file.path(), "utf8").trim().split("\n").length, 10);
  for (const key of ["Escape", "Escape", "Enter"]) await page.keyboard.press(key);
  assert.ok(await dialog.isVisible(), "what is shown once does not go by accident");
  await named("I have kept them").click();
  await named("Turn off").click();
  await page.getByLabel("Code", { exact: true }).fill(codeOf(secret, 1));
  await dialog.getByRole("button", { name: "Turn off" }).click();
  await named("Set up").waitFor();
  assert.equal(await page.locator("[data-session]").filter({ hasText: "this one" }).count(), 1);
  await page.locator("[data-tokens]").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("No program is signed in as you").waitFor();
  await bothThemes("profile");
});

await check("the administrator has everything", async () => {
  await asAdministrator();
  await page.goto(base);
  await arrived();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Admin" }).click();
  await page.waitForURL(/\/admin\/organisation/);
  assert.equal(await page.getByRole("navigation", { name: "Administration" }).getByRole("link").count(), 10);
});

await check("organisation: renamed, settings refused while they are no JSON", async () => {
  await go("organisation");
  await page.getByText("Bytes in flight").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Harbour Works");
  await named("Save").click();
  await page.locator("[data-tenant]").filter({ hasText: "Harbour Works" }).waitFor();
  const settings = page.getByLabel("As JSON");
  const before = await settings.inputValue();
  await settings.fill("{");
  assert.ok(await named("Save the settings").isDisabled());
  await settings.fill(before.replace("Oslo", "Bergen"));
  await named("Save the settings").click();
  await page.getByRole("status").filter({ hasText: "Saved" }).waitFor();
  await page.reload();
  await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("Bergen"));
  await bothThemes("organisation");
});

await check("many members: filtered, changed, disabled, given a link", async () => {
  await go("members");
  await page.locator("[data-member]").first().waitFor();
  const shown = await page.locator("[data-shown]").innerText();
  assert.equal(Number(/^[\d,]+/.exec(shown)[0].replace(",", "")), MEMBERS + 5, shown);
  const inDocument = await page.locator("[data-list] [data-index]").count();
  assert.ok(inDocument < 120, `${inDocument} rows in the document`);
  await bothThemes("members");
  const typed = await painted((value) => {
    const field = document.querySelector("[data-search]");
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }, "lovelace.1@");
  await page.locator("[data-member]").first().click();
  await dialog.getByLabel("Role").selectOption("on-call");
  await page.getByRole("status").filter({ hasText: "is on-call now" }).waitFor();
  await named("Sign-in link").click();
  await dialog.getByLabel("Sign-in link, works once", { exact: true }).waitFor();
  await shot("member");
  await named("Disable").click();
  await dialog.getByText("disabled", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.waitForURL((url) => !url.searchParams.has("member"));
  return `${shown}; a letter of the filter ${typed.toFixed(1)} ms`;
});

await check("an invitation's link is shown to copy; it can be withdrawn", async () => {
  await named("Invite").click();
  await dialog.getByLabel("Email").fill("not an address");
  await dialog.getByRole("button", { name: "Invite" }).click();
  await alert.filter({ hasText: "is not an email address" }).waitFor();
  await dialog.getByLabel("Email").fill("guest@harbour.example");
  await dialog.getByLabel("Role").selectOption("editor");
  await dialog.getByRole("button", { name: "Invite" }).click();
  assert.match(await dialog.getByLabel("Link", { exact: true }).inputValue(), /\/invite\/\w/);
  await shot("invited");
  await named("Done").click();
  await page.getByRole("button", { name: "1 invited" }).click();
  await page.locator('[data-invitation="guest@harbour.example"]').getByRole("button", { name: "Withdraw" }).click();
  await page.locator('[data-invitation="guest@harbour.example"]').waitFor({ state: "detached" });
});

await check("roles: the matrix, a role of one's own", async () => {
  await go("roles");
  await page.locator('[data-permission="audit:read"] [data-role="admin"]').getByText("yes").waitFor({ state: "attached" });
  await named("New role").click();
  await dialog.getByLabel("Name").fill("auditor");
  await dialog.getByRole("checkbox", { name: /^Read the audit log/ }).check();
  await dialog.getByLabel("Sees only telemetry with").fill("namespace=a");
  await refused(async () => {
    await named("Create").click();
    await alert.filter({ hasText: "namespace=a" }).waitFor();
  });
  await bothThemes("role");
  await dialog.getByLabel("Sees only telemetry with").fill('{namespace="a"}');
  await named("Create").click();
  await page.locator('[data-own="auditor"]').getByText('{namespace="a"}').waitFor();
  await bothThemes("roles");
  await refused(async () => {
    await page.getByRole("button", { name: "Delete on-call" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await alert.filter({ hasText: "Name: \"on-call\" is the role of" }).waitFor();
  });
});

await check("teams and projects", async () => {
  await go("teams");
  await named("New team").click();
  assert.ok(await dialog.getByLabel("Name").evaluate((field) => field === document.activeElement));
  await dialog.getByLabel("Name").fill("Divers");
  await named("Create").click();
  const row = page.locator('[data-team="Divers"]');
  await row.getByRole("button", { name: "Members" }).click();
  await dialog.getByLabel("Add a member").fill("factor@harbour");
  await dialog.getByRole("button", { name: /Fay Factor/ }).waitFor();
  await page.keyboard.press("Enter");
  await dialog.locator("[data-team-member]").waitFor();
  await shot("team");
  await page.keyboard.press("Escape");
  await bothThemes("teams");
});

await check("keys: a warning, a new one with what to paste, rotated, revoked", async () => {
  await go("keys");
  await page.locator("[data-warning]").getByText("“grafana” ends within 14 days").waitFor();
  await bothThemes("keys");
  await named("New key").click();
  await named("Create").click();
  await alert.filter({ hasText: "a name is needed" }).waitFor();
  await dialog.getByLabel("Name").fill("e2e");
  await shot("key-new");
  await named("Create").click();
  const key = await dialog.getByLabel("Key", { exact: true }).inputValue();
  assert.match(key, /^bw_/);
  for (const client of ["OpenTelemetry", "Prometheus", "Promtail", "Alloy", "Filebeat", "syslog", "curl"]) {
    await dialog.getByRole("tab", { name: client, exact: true }).click();
    const text = await dialog.locator("[data-snippet] pre").innerText();
    assert.ok(text.includes(key) && text.includes(new URL(base).host.split(":")[0]), `${client}: ${text}`);
  }
  await dialog.getByRole("tab", { name: "OpenTelemetry" }).click();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.equal(await dialog.locator("[data-snippet]").getAttribute("data-snippet"), "promtail");
  await bothThemes("key");
  await named("I have kept it").click();
  const row = page.locator('[data-key="e2e"]');
  await row.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByLabel("The old key stops working").selectOption({ label: "in 1 hour" });
  await dialog.getByRole("button", { name: "Rotate" }).click();
  await page.getByText("The old key stops working in 1 hour.").waitFor();
  assert.notEqual(await dialog.getByLabel("Key", { exact: true }).inputValue(), key);
  await named("I have kept it").click();
  await row.getByText("the old one in").waitFor();
  await row.getByRole("button", { name: "Revoke" }).click();
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await row.waitFor({ state: "detached" });
});

await check("service accounts have a role", async () => {
  await go("service-accounts");
  await named("New service account").click();
  await dialog.getByLabel("Name").fill("terraform");
  await dialog.getByLabel("Role").selectOption("admin");
  await named("Create").click();
  await page.locator('[data-account="terraform"]').getByText("admin").waitFor();
  await shot("service-accounts");
});

await check("single sign-on: presets, addresses to copy, a test that says what fails", async () => {
  await go("sso");
  const added = page.locator('[data-sso="Okta"]');
  assert.match(await added.getByLabel("Redirect (callback) URI", { exact: true }).inputValue(), /\/callback$/);
  await added.getByRole("button", { name: "Test" }).click();
  await added.locator('[data-result="bad"]').getByText("cannot be reached").waitFor();
  await named("New provider").click();
  await named("Microsoft Entra ID").click();
  await named("SAML 2.0").click();
  await named("Create").click();
  await alert.filter({ hasText: "metadata is needed" }).waitFor();
  await named("Rule").click();
  await dialog.getByLabel("Group 1").fill("operators");
  await dialog.getByLabel("Role 1").selectOption("responder");
  await dialog.getByLabel("Address of the provider's metadata").fill("http://127.0.0.1:9/metadata");
  await refused(async () => {
    await named("Create").click();
    await alert.filter({ hasText: "cannot be reached" }).waitFor();
  });
  await bothThemes("sso-form");
  await page.keyboard.press("Escape");
  await bothThemes("sso");
});

await check("usage: bars against limits, and what costs most", async () => {
  await go("usage");
  await page.locator('[data-quota="series"]').getByText(/near the limit|at the limit/).waitFor();
  await page.locator("[data-refused]").getByText(/\d requests/).waitFor();
  await page.getByRole("link", { name: "http_requests_total", exact: true }).waitFor();
  await bothThemes("usage");
});

await check("audit: pages as it scrolls, filters, a record, exports, the chain", async () => {
  await page.goto(address("/admin/audit", [["from", "now-24h"], ["to", "now"]]));
  const count = async () => Number((await page.locator("[data-count]").innerText()).replace(/\D/g, ""));
  await page.locator("[data-index]").first().waitFor();
  assert.equal(await count(), 200);
  const list = page.locator("[data-list]");
  await list.focus();
  await page.keyboard.press("End");
  await page.waitForFunction(() => Number(document.querySelector("[data-count]").textContent.replace(/\D/g, "")) >= 400);
  await page.keyboard.press("Home");
  await bothThemes("audit");
  await page.getByLabel("Result").selectOption("refused");
  await page.waitForURL(/result=refused/);
  await page.waitForFunction(() => [...document.querySelectorAll("[data-index] .state")].every((one) => one.textContent.trim() === "refused"));
  await page.locator("[data-index]").first().click();
  await page.locator("[data-detail]").getByText("Hash").waitFor();
  await bothThemes("audit-record");
  await named("Same action").click();
  await page.waitForURL(/action=/);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "JSON lines" }).click()]);
  const lines = readFileSync(await file.path(), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length > 0 && lines.every((row) => row.result === "refused"));
  await named("Verify").click();
  await page.locator('[data-verdict="ok"]').waitFor();
  await shot("audit-verified");
  await page.keyboard.press("Escape");
  return `${await count()} refused of one action`;
});

await check("what is done meanwhile appears on top at a refresh", async () => {
  await page.goto(address("/admin/audit"));
  await page.locator("[data-index]").first().waitFor();
  await page.evaluate(async () => {
    const { csrf, user } = await (await fetch("/api/v1/auth/session")).json();
    await fetch("/api/v1/auth/profile", { method: "PUT", headers: { "X-CSRF-Token": csrf, "Content-Type": "application/json" }, body: JSON.stringify({ name: `${user.name} again` }) });
  });
  await page.waitForTimeout(1500);
  await page.keyboard.press("r");
  await page.locator("[data-index]").filter({ hasText: "profile:update" }).first().waitFor();
});

await check("tenants: created with its steps, limited, suspended, activated, deleted by its name", async () => {
  await go("tenants");
  await named("New tenant").click();
  await dialog.getByLabel("Name", { exact: true }).fill("North Sea Co.");
  assert.equal(await dialog.getByLabel("Identifier").inputValue(), "north-sea-co");
  await dialog.getByLabel("Administrator's email").fill("boss@northsea.example");
  await dialog.getByLabel("Administrator's name").fill("Bo Boss");
  await named("Create").click();
  await dialog.locator("[data-steps]").waitFor();
  assert.equal(await dialog.locator("[data-steps] li").count(), 5);
  await bothThemes("tenant-made");
  await named("I have kept them").click();
  await page.getByLabel("Filter tenants").fill("north");
  await page.locator('[data-tenant-row="north-sea-co"]').click();
  await named("Limits").click();
  await dialog.getByLabel("Stored").fill("lots");
  await alert.filter({ hasText: "write a number" }).waitFor();
  await dialog.getByLabel("Stored").fill("10 GiB");
  await bothThemes("limits");
  await named("Save").click();
  await dialog.locator('[data-quota="stored_bytes"]').getByText("of 10.0 GiB").waitFor();
  await bothThemes("tenant");
  await named("Suspend…").click();
  await named("Suspend").click();
  await dialog.getByText("suspended", { exact: true }).waitFor();
  await named("Activate").click();
  await dialog.getByText("active", { exact: true }).waitFor();
  await named("Delete…").click();
  assert.ok(await named("Delete for good").isDisabled());
  await dialog.getByLabel(/^Type north-sea-co/).fill("north-sea-co");
  await named("Delete for good").click();
  await page.locator('[data-tenant-row="north-sea-co"]').getByText("North Sea Co.").waitFor();
  await page.locator('[role="row"]').filter({ has: page.locator('[data-tenant-row="north-sea-co"]') }).getByText("deleting").waitFor();
  await page.getByLabel("Filter tenants").fill("");
  await bothThemes("tenants");
});

await check("the palette and the user menu lead there too", async () => {
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("admin: aud");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/admin\/audit/);
  await page.getByRole("button", { name: "User and appearance" }).click();
  await page.getByRole("menuitem", { name: "Profile" }).click();
  await page.waitForURL(/\/profile/);
});

await check("a narrow window shows the same", async () => {
  await page.setViewportSize({ width: 420, height: 800 });
  for (const section of ["members", "keys", "audit"]) {
    await go(section);
    await page.locator("[data-member], [data-key], [data-index]").first().waitFor();
    await page.waitForTimeout(200);
    await shot(`narrow-${section}`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
});

await check("signing out ends the session", async () => {
  await page.getByRole("button", { name: "User and appearance" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByLabel("Email").waitFor();
});

await finish();
