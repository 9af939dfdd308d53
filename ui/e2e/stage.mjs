// The people and things that admin.mjs finds on the pages: made by the API, as an administrator's programs would.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { base } from "./harness.mjs";

const DAY = 86_400_000;

/** Asks the server without the browser; `who` is a cookie and the token that goes with it. */
async function api(who, path, method = "GET", body = undefined) {
  const headers = { "content-type": "application/json", cookie: who?.cookie ?? "", "x-csrf-token": who?.csrf ?? "" };
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  const json = text ? JSON.parse(text) : null;
  const cookie = answer.headers.getSetCookie().find((one) => one.startsWith("bellwether_session="));
  return cookie ? { ...json, cookie: cookie.split(";")[0] } : json;
}

/** The code of an authenticator (RFC 6238); `step` 1 is the next one. */
export function codeOf(secret, step = 0) {
  const bits = [...secret.replace(/\s/g, "")].map((one) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(one).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + step));
  const hash = createHmac("sha1", key).update(counter).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/**
 * Fills the tenant of `root`, an administrator of the platform. Returns the path of an open invitation, and the secret
 * of the second factor of factor@harbour.example.
 */
export async function setTheStage(root, members, password) {
  /** Somebody who was invited and has a password. */
  const join = async (tenant, email, name, role) => {
    const { url } = await api(root, `/tenants/${tenant}/invitations`, "POST", { email, role });
    return api(null, `/auth/invitations/${url.split("/invite/")[1]}`, "POST", { name, password });
  };
  const own = (path, body, method = "POST") => api(root, `/tenants/current${path}`, method, body);
  await own("", { name: "Harbour Freight", settings: { timezone: "Europe/Oslo" } }, "PATCH");
  // A key asks more often than it may, before anyone else has asked much.
  const { key } = await own("/keys", { name: "agents", scopes: ["ingest"] });
  const send = (path, body) => fetch(`${base}${path}`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify(body) });
  await own("/limits", { requests_per_caller: 150 }, "PUT");
  let refusals = 0;
  for (let n = 0; n < 40 && refusals === 0; n += 1) {
    const many = await Promise.all(Array.from({ length: 8 }, () => send("/api/metrics", [])));
    refusals += many.filter((answer) => answer.status === 429).length;
  }
  assert.ok(refusals > 0, "nothing was refused over the limit");
  await own("/limits", {}, "PUT");
  await api(root, "/tenants", "POST", { id: "acme", name: "Acme", admin: { email: "boss@acme.example", name: "Bo Boss" } });
  await join("default", "viewer@harbour.example", "Vic Viewer", "viewer");
  await join("default", "shared@harbour.example", "Sal Shared", "editor");
  await join("acme", "shared@harbour.example", "Sal Shared", "viewer");
  const factor = await join("default", "factor@harbour.example", "Fay Factor", "admin");
  const factorSecret = (await api(factor, "/auth/second-factor", "POST", {})).secret;
  await api(factor, "/auth/second-factor/confirm", "POST", { code: codeOf(factorSecret, -1) });
  // A program signs in as the viewer.
  await api(null, "/auth/token", "POST", { grant_type: "password", email: "viewer@harbour.example", password });
  await own("/roles", { name: "on-call", description: "", permissions: ["telemetry:read", "alerts:respond"] });
  const [first, last] = ["Ada Grace Edsger Barbara Donald Margaret Alan".split(" "), "Lovelace Hopper Dijkstra Liskov Knuth Hamilton Turing".split(" ")];
  const people = Array.from({ length: members }, (_, i) => ({ i, first: first[i % 7], last: last[Math.floor(i / 7) % 7] }));
  while (people.length > 0) {
    const some = people.splice(0, 16);
    await Promise.all(some.map(({ i, first, last }) =>
      own("/members", { email: `${first}.${last}.${i}@harbour.example`.toLowerCase(), name: `${first} ${last}`, role: ["viewer", "editor", "responder", "on-call"][i % 4] })));
  }
  await own("/teams", { name: "Harbour" });
  await own("/keys", { name: "grafana", scopes: ["query"], expires_at: new Date(Date.now() + 6 * DAY).toISOString() });
  await own("/service-accounts", { name: "deploy bot", role: "editor" });
  await own("/sso", { name: "Okta", kind: "oidc", preset: "okta", config: { issuer: "http://127.0.0.1:9", client_id: "0oa1b2c3", client_secret: "s" }, default_role: "viewer", domains: ["harbour.example"] });
  for (let n = 0; n < 40; n += 1) assert.equal((await send("/api/metrics", [{ name: "http_requests_total", value: n, tags: { route: `/r${n}` } }])).status, 200);
  const lines = Array.from({ length: 50 }, (_, n) => [`${Date.now()}000000`, `moored ${n}`]);
  assert.ok((await send("/loki/api/v1/push", { streams: [{ stream: { service_name: "checkout" }, values: lines }] })).ok);
  // Limits that fit.
  const { use } = await own("/usage", undefined, "GET");
  await own("/limits", { in_flight_bytes: 268_435_456, series: Math.ceil(use.series / 0.9), requests: 1_000_000, concurrent_queries: 20, query_seconds: 60 }, "PUT");
  const welcome = new URL((await own("/invitations", { email: "new@harbour.example", role: "editor" })).url).pathname;
  return { welcome, factorSecret };
}
