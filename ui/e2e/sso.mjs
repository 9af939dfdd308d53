// Signs in through identity providers that run beside, as people and their administrators would.
//
// OIDC_URL is the issuer of tests/js/oidc_provider.mjs, SAML_URLS the addresses of two tests/saml_idp.py (one that
// speaks like Entra ID, one like Okta), TENANT_LINK a sign-in link of the administrator of the tenant acme.
import assert from "node:assert/strict";
import { address, base, bothThemes, check, context, finish, page, refused, shot, signedIn } from "./harness.mjs";

const OIDC = process.env.OIDC_URL;
const [ENTRA, OKTA] = process.env.SAML_URLS.split(",");
const DIRECTORY = "11111111-2222-3333-4444-555555555555";
const dialog = page.getByRole("dialog");
const alert = page.getByRole("alert").filter({ hasText: /\S/ });
const named = (name) => page.getByRole("button", { name, exact: true });

/** Asks the server as the page does, with the browser's cookies. */
async function api(path, { method = "GET", data } = {}) {
  const session = await context.request.get(`${base}/api/v1/auth/session`);
  const csrf = session.ok() ? (await session.json()).csrf : "";
  const answer = await context.request.fetch(`${base}/api/v1${path}`, { method, data, headers: { "X-CSRF-Token": csrf }, maxRedirects: 0 });
  const text = await answer.text();
  assert.ok(answer.ok(), `${method} ${path}: ${answer.status()} ${text}`);
  return text ? JSON.parse(text) : null;
}

const put = async (url, body) => assert.equal((await fetch(url, { method: "PUT", body: JSON.stringify(body) })).status, 204);
/** What a provider says of a person; their login is their password. */
const says = (provider, login, claims) => put(`${provider}/people/${login}`, claims);

/** Makes a client known to the OpenID provider; returns what it is called, and how to tell it our address. */
async function client() {
  const json = { "content-type": "application/json" };
  const first = { redirect_uris: [`${base}/not-known-yet`], client_name: "Bellwether" };
  const made = await (await fetch(`${OIDC}/reg`, { method: "POST", headers: json, body: JSON.stringify(first) })).json();
  const tell = async (callback) => {
    const headers = { ...json, authorization: `Bearer ${made.registration_access_token}` };
    const body = { client_id: made.client_id, client_secret: made.client_secret, redirect_uris: [callback] };
    const answer = await fetch(made.registration_client_uri, { method: "PUT", headers, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.text());
  };
  return { id: made.client_id, secret: made.client_secret, tell };
}

async function signInPage(params = []) {
  await context.clearCookies();
  await refused(async () => {
    await page.goto(address("/sign-in", params));
    await page.locator("[data-provider]").first().waitFor();
  });
}

/** From our page to the provider's, and what it asks there. */
async function through(provider, login) {
  await page.locator(`[data-provider="${provider}"]`).click();
  await page.getByRole("heading", { name: "Sign in at the company" }).waitFor();
  await page.getByLabel("Login").fill(login);
  await page.getByLabel("Password").fill(login);
  await refused(async () => {
    await page.getByRole("button", { name: "Continue" }).click();
    const allow = page.getByRole("button", { name: "Allow" });
    const back = page.waitForURL((url) => url.origin === base, { timeout: 20_000 });
    await Promise.race([back, allow.click({ timeout: 20_000 }).catch(() => {})]);
    await back;
    await page.waitForTimeout(300);
  });
}
const arrived = () => page.locator("[data-page]").waitFor({ timeout: 20_000 });
const session = () => api("/auth/session");
const turnedAway = (text) => alert.filter({ hasText: text }).waitFor();

/** Sets a provider up through its page. */
async function setUp(name, fill) {
  await page.goto(address("/admin/sso"));
  await page.locator('[data-page="sso"]').waitFor();
  await named("New provider").click();
  await fill();
  await dialog.getByLabel("Name", { exact: true }).fill(name);
  await named("Create").click();
  const panel = page.locator(`[data-sso="${name}"]`);
  await panel.waitFor();
  return panel;
}
const tested = async (panel, result) => {
  await panel.getByRole("button", { name: "Test" }).click();
  await panel.locator(`[data-result="${result}"]`).waitFor({ timeout: 20_000 });
  return panel.locator("[data-result]").innerText();
};
async function rule(group, role) {
  await named("Rule").click();
  await dialog.getByLabel("Group 1").fill(group);
  await dialog.getByLabel("Role 1").selectOption(role);
}

let administrator = [];

/** The administrator again: their link is used up, so the cookies of their session are kept. */
async function asAdministrator() {
  await context.clearCookies();
  await context.addCookies(administrator);
}

await check("an administrator sets an OpenID provider up, and the test says that it works", async () => {
  await signedIn();
  administrator = await context.cookies(base);
  const company = await client();
  const panel = await setUp("Company", async () => {
    await dialog.getByLabel("Issuer").fill(OIDC);
    await dialog.getByLabel("Client ID").fill(company.id);
    await dialog.getByLabel("Client secret").fill(company.secret);
    await rule("sre", "editor");
    await dialog.getByLabel("Email domains").fill("example.com");
  });
  await company.tell(await panel.getByLabel("Redirect (callback) URI", { exact: true }).inputValue());
  assert.match(await tested(panel, "ok"), /signing keys/i);
  await bothThemes("sso-oidc");
});

await check("the test says what is wrong with an OpenID provider", async () => {
  const wrong = {
    "no server": ["http://127.0.0.1:9", /cannot be reached/],
    "no provider": [base, /discovery document/],
    "another spelling": [`${OIDC}/`, /enter exactly that/],
  };
  for (const [name, [issuer, why]] of Object.entries(wrong)) {
    const panel = await setUp(name, async () => {
      await dialog.getByLabel("Issuer").fill(issuer);
      await dialog.getByLabel("Client ID").fill("x");
      await dialog.getByLabel("Client secret").fill("x");
    });
    assert.match(await tested(panel, "bad"), why, name);
  }
  await bothThemes("sso-broken");
  for (const name of Object.keys(wrong)) await api(`/tenants/current/sso/${encodeURIComponent(name)}`, { method: "DELETE" });
});

await check("the first sign-in makes a person with the role of their group", async () => {
  await says(OIDC, "ada", { email: "ada@example.com", email_verified: true, name: "Ada", groups: ["sre"] });
  await signInPage([["return_to", "/logs?q=a"]]);
  await shot("sso-sign-in");
  await through("Company", "ada");
  await arrived();
  assert.equal(new URL(page.url()).pathname, "/logs");
  const who = await session();
  assert.deepEqual([who.user.email, who.user.name, who.user.role, who.tenant.id, who.method], ["ada@example.com", "Ada", "editor", "default", "oidc"]);
  await page.goto(address("/profile"));
  const row = page.locator("[data-session]").filter({ hasText: "this one" });
  await row.waitFor();
  await shot("sso-profile");
  return row.innerText();
});

await check("the session buys tokens, which work on the API and end", async () => {
  const pair = await api("/auth/token", { method: "POST", data: { grant_type: "session" } });
  const bearer = { authorization: `Bearer ${pair.access_token}` };
  const ask = (path) => fetch(`${base}/api/v1${path}`, { headers: bearer });
  assert.equal((await (await ask("/auth/session")).json()).user.email, "ada@example.com");
  assert.equal((await ask("/query?query=1")).status, 200);
  assert.equal((await ask("/tenants/current/keys")).status, 403, "an editor manages no keys");
  const refreshed = await fetch(`${base}/api/v1/auth/token`, { method: "POST", body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: pair.refresh_token }) });
  assert.equal(refreshed.status, 200);
  const families = (await api("/auth/tokens")).items;
  assert.equal(families.length, 1);
  await api(`/auth/tokens/${families[0].id}`, { method: "DELETE" });
  await page.waitForTimeout(200);
  assert.equal((await ask("/query?query=1")).status, 401);
});

await check("the second sign-in updates name and role and makes no second person", async () => {
  await says(OIDC, "ada", { email: "ada@example.com", email_verified: true, name: "Ada Lovelace", groups: [] });
  await signInPage();
  await through("Company", "ada");
  await arrived();
  const who = await session();
  assert.deepEqual([who.user.name, who.user.role], ["Ada Lovelace", "viewer"]);
  const members = (await api("/tenants/current/members?limit=1000")).items;
  assert.equal(members.filter((one) => one.email === "ada@example.com").length, 1);
});

await check("who may not come in is told why", async () => {
  await says(OIDC, "eve", { email: "eve@evil.test", email_verified: true, name: "Eve" });
  await says(OIDC, "una", { email: "una@example.com", email_verified: false, name: "Una" });
  await signInPage();
  await through("Company", "eve");
  await turnedAway("not of a domain that may sign in");
  await bothThemes("sso-refused");
  await signInPage();
  await through("Company", "una");
  await turnedAway("may not sign in here");
  await signInPage();
  await page.locator('[data-provider="Company"]').click();
  await refused(() => page.getByRole("button", { name: "Refuse" }).click());
  await turnedAway("did not let you in");
  assert.equal((await context.request.get(`${base}/api/v1/auth/session`)).status(), 401);
});

await check("a callback is good once, in one browser", async () => {
  await signInPage();
  const seen = [];
  const note = (request) => request.url().includes("/callback?") && seen.push(request.url());
  page.on("request", note);
  await through("Company", "ada");
  await arrived();
  page.off("request", note);
  assert.equal(seen.length, 1);
  assert.match(seen[0], /[?&]state=.*[?&]iss=/);
  await context.request.post(`${base}/api/v1/auth/logout`);
  await refused(() => page.goto(seen[0]));
  await turnedAway("Start it again");
  // A callback that was begun elsewhere: the code of one browser shown by another.
  await signInPage();
  await page.locator('[data-provider="Company"]').click();
  await page.getByLabel("Login").waitFor();
  await context.route("**/callback?*", (route) => route.abort());
  await page.getByLabel("Login").fill("ada");
  await page.getByLabel("Password").fill("ada");
  const stolen = page.waitForRequest(/\/callback\?/, { timeout: 20_000 });
  await refused(async () => {
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: "Allow" }).click();
    await stolen;
  });
  await context.unroute("**/callback?*");
  await context.clearCookies();
  await refused(async () => page.goto((await stolen).url()));
  await turnedAway("Start it again");
});

await check("each preset's scopes and claims work", async () => {
  await asAdministrator();
  const rows = [
    // Google names the organisation and no groups, Microsoft neither says that an address is verified nor always names
    // one, and Okta lists groups for those who ask with a scope.
    ["google", { hd: "example.com", email: "g@example.com", email_verified: true, name: "Gina" }, "viewer"],
    ["microsoft", { tid: DIRECTORY, oid: "o", preferred_username: "m@example.com", name: "Mia", groups: ["a1b2-c3d4"] }, "editor"],
    ["okta", { email: "o@example.com", email_verified: true, name: "Olga", groups: ["Everyone", "sre"], groups_by_scope: true }, "responder"],
  ];
  const mapping = [{ group: "a1b2-c3d4", role: "editor" }, { group: "sre", role: "responder" }];
  for (const [preset] of rows) {
    const one = await client();
    const data = {
      name: `As ${preset}`, kind: "oidc", preset, config: { issuer: OIDC, client_id: one.id, client_secret: one.secret },
      domains: ["example.com"], default_role: "viewer", role_mapping: mapping,
    };
    const made = await api("/tenants/current/sso", { method: "POST", data });
    await one.tell(made.callback_url);
  }
  for (const [preset, claims, role] of rows) {
    await says(OIDC, preset, claims);
    await signInPage();
    await through(`As ${preset}`, preset);
    await arrived();
    const { user } = await session();
    assert.deepEqual([user.email, user.name, user.role], [claims.email ?? claims.preferred_username, claims.name, role], preset);
  }
  // A private account at Google with an address of the company.
  await says(OIDC, "private", { email: "p@example.com", email_verified: true, name: "Pia" });
  await signInPage();
  await through("As google", "private");
  await turnedAway("not of a domain that may sign in");
});

for (const [name, idp, claims, email] of [
  ["Entra by SAML", ENTRA, { email: "ent@example.com", name: "Enid Entra", groups: ["8f3b", "77aa"], subject: "kQ7opaque" }, "ent@example.com"],
  ["Okta by SAML", OKTA, { email: "okt@example.com", name: "Otto Okta", groups: ["Everyone", "8f3b"], subject: "" }, "okt@example.com"],
]) {
  await check(`${name}: set up by metadata on both sides, tested, signed in, listed, signed out`, async () => {
    await asAdministrator();
    const panel = await setUp(name, async () => {
      await named("SAML 2.0").click();
      await dialog.getByLabel("Address of the provider's metadata").fill(`${idp}/metadata`);
      await rule("8f3b", "editor");
      await dialog.getByLabel("Email domains").fill("example.com");
    });
    assert.match(await tested(panel, "bad"), /has it read our metadata/);
    const ours = await panel.getByLabel("Audience (entity ID) and metadata", { exact: true }).inputValue();
    await put(`${idp}/services`, { metadata_url: ours });
    assert.match(await tested(panel, "ok"), /certificates/);
    await shot(`sso-saml-${name.split(" ")[0].toLowerCase()}`);

    await says(idp, "person", claims);
    await signInPage([["return_to", "/profile"]]);
    await through(name, "person");
    await page.locator('[data-page="profile"]').waitFor({ timeout: 20_000 });
    const who = await session();
    assert.deepEqual([who.user.email, who.user.name, who.user.role, who.method], [email, claims.name, "editor", "saml"]);
    const row = page.locator("[data-session]").filter({ hasText: "this one" });
    await row.waitFor();
    const cookies = await context.cookies(base);
    await page.getByRole("button", { name: "User and appearance" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.locator("[data-provider]").first().waitFor();
    await context.addCookies(cookies);
    assert.equal((await context.request.get(`${base}/api/v1/auth/session`)).status(), 401, "the cookie is worth nothing afterwards");

    // Again, with another name: the same person.
    await says(idp, "person", { ...claims, name: "Renamed" });
    await signInPage();
    await through(name, "person");
    await arrived();
    assert.equal((await session()).user.name, "Renamed");
    const members = (await api("/tenants/current/members?limit=1000")).items;
    assert.equal(members.filter((one) => one.email === email).length, 1);
  });
}

await check("the test says what is wrong with a SAML provider", async () => {
  await asAdministrator();
  await page.goto(address("/admin/sso"));
  await named("New provider").click();
  await named("SAML 2.0").click();
  await dialog.getByLabel("Name", { exact: true }).fill("Nowhere");
  for (const [url, why] of [[`${OIDC}/jwks`, /no XML/], ["http://127.0.0.1:9/metadata", /cannot be reached/]]) {
    await dialog.getByLabel("Address of the provider's metadata").fill(url);
    await refused(async () => {
      await named("Create").click();
      await alert.filter({ hasText: why }).waitFor();
    });
  }
  await shot("sso-saml-broken");
  await dialog.getByLabel("Address of the provider's metadata").fill("");
  const theirs = await (await fetch(`${OKTA}/metadata`)).text();
  await dialog.getByLabel("Or the metadata itself").fill(theirs.replaceAll(`${OKTA}/sso`, "http://127.0.0.1:9/sso"));
  await named("Create").click();
  assert.match(await tested(page.locator('[data-sso="Nowhere"]'), "bad"), /cannot be reached/);
  await api("/tenants/current/sso/Nowhere", { method: "DELETE" });
});

await check("an organisation with single sign-on only refuses passwords and takes its provider's people", async () => {
  await context.clearCookies();
  await page.goto(process.env.TENANT_LINK);
  await arrived();
  const boss = await session();
  await api("/auth/password", { method: "POST", data: { new: "correct horse battery" } });
  const one = await client();
  const data = {
    name: "Acme", kind: "oidc", config: { issuer: OIDC, client_id: one.id, client_secret: one.secret }, domains: ["acme.test"],
    default_role: "viewer", role_mapping: [{ group: "sre", role: "editor" }],
  };
  await one.tell((await api("/tenants/current/sso", { method: "POST", data })).callback_url);
  await api("/tenants/current", { method: "PATCH", data: { settings: { sso_only: true } } });

  await signInPage([["tenant", "acme"]]);
  assert.equal(await page.getByLabel("Password").count(), 0, "no password is asked for");
  await shot("sso-only");
  const body = { email: boss.user.email, password: "correct horse battery", tenant: "acme" };
  const answer = await fetch(`${base}/api/v1/auth/sign-in`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.ok([401, 403].includes(answer.status), String(answer.status));
  assert.match((await answer.json()).error.message, /identity provider/);
  const token = await fetch(`${base}/api/v1/auth/token`, { method: "POST", body: new URLSearchParams({ grant_type: "password", ...body }) });
  assert.ok([401, 403].includes(token.status), String(token.status));

  await says(OIDC, "zoe", { email: "zoe@acme.test", email_verified: true, name: "Zoe", groups: ["sre"] });
  await through("Acme", "zoe");
  await arrived();
  const who = await session();
  assert.deepEqual([who.user.email, who.user.role, who.tenant.id], ["zoe@acme.test", "editor", "acme"]);
});

await finish();
