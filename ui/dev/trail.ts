/** The audit log of the stand-in server. */

import type { Schemas } from "../src/lib/api/types.ts";

type Row = Schemas["AuditEntry"];

const KINDS: [action: string, method: string, route: string, target: string, result: Row["result"], status: number][] = [
  ["telemetry:write", "POST", "/v1/logs", "", "ok", 200],
  ["session:begin", "POST", "/api/v1/auth/sign-in", "", "ok", 200],
  ["members:invite", "POST", "/api/v1/tenants/{id}/invitations", "new@harbour.example", "ok", 201],
  ["keys:create", "POST", "/api/v1/tenants/{id}/keys", "prometheus", "ok", 201],
  ["session:begin", "POST", "/api/v1/auth/sign-in", "", "refused", 401],
  ["telemetry:read", "GET", "/api/v1/query_range", "", "ok", 200],
  ["tenants:read", "GET", "/api/v1/tenants/{id}", "acme", "refused", 403],
  ["objects:write", "PUT", "/api/v1/monitoring/objects/{kind}/{name}", "saved_query/cpu", "failed", 500],
];
const PEOPLE = ["Ada Admin", "Fay Factor", "Vic Viewer"];
const STEP_MS = 41_000;
const TOTAL = 1500;

const rows: Row[] = Array.from({ length: TOTAL }, (_, i) => {
  const seq = TOTAL - i;
  const [action, method, route, target, result, status] = KINDS[seq % KINDS.length] ?? KINDS[0]!;
  const machine = action.startsWith("telemetry:write");
  const nobody = result === "refused" && action === "session:begin";
  const who = seq % PEOPLE.length;
  return {
    node: "mock",
    seq,
    at: new Date(Date.now() - i * STEP_MS).toISOString(),
    actor: nobody ? null : machine ? { kind: "key", id: "key_aa01", name: "prometheus" } : { kind: "user", id: `usr_${who + 1}`, name: PEOPLE[who] ?? "" },
    action,
    method,
    route,
    target,
    result,
    status,
    address: `10.0.4.${(seq % 60) + 2}`,
    count: machine ? 60 + (seq % 40) : 1,
    detail: machine ? null : { user_agent: "Mozilla/5.0 (X11; Linux x86_64)", request: `r${seq}` },
    hash: `${seq.toString(16).padStart(8, "0")}${"9f86d081884c7d65".repeat(3)}`,
  };
});

/** Something that was done here goes on top, as a real log would have it. */
export function record(actor: Row["actor"], method: string, path: string, status: number): void {
  const [area = "api", id = ""] = path.replace(/^\/api\/v1\/(tenants\/[^/]+\/|auth\/|monitoring\/)?/, "").split("/");
  const result = status < 400 ? "ok" : status < 500 ? "refused" : "failed";
  const verb = { POST: "create", PUT: "change", PATCH: "change", DELETE: "delete" }[method] ?? "read";
  const seq = (rows[0]?.seq ?? 0) + 1;
  rows.unshift({
    node: "mock", seq, at: new Date().toISOString(), actor, action: `${area}:${verb}`, method, route: path, target: decodeURIComponent(id), result, status,
    address: "127.0.0.1", count: 1, detail: null, hash: `${seq.toString(16).padStart(8, "0")}${"2c26b46b68ffc68f".repeat(3)}`,
  });
}

function found(params: URLSearchParams): Row[] {
  const [start, end] = [Date.parse(params.get("start") ?? "") || 0, Date.parse(params.get("end") ?? "") || Infinity];
  const has = (key: string, ...values: string[]) => {
    const want = params.get(key)?.toLowerCase();
    return !want || values.some((value) => value.toLowerCase().includes(want));
  };
  return rows.filter((row) => {
    const at = Date.parse(row.at);
    return (
      at >= start && at <= end && has("actor", row.actor?.name ?? "", row.actor?.id ?? "") && has("action", row.action) && has("target", row.target) &&
      has("result", row.result) && has("q", JSON.stringify(row))
    );
  });
}

/** Answers of `/api/v1/monitoring/audit…`; text is a file. */
export function auditRoutes(path: string, params: URLSearchParams): { json?: unknown; text?: string; type?: string } | null {
  if (path === "/verify") return { json: { ok: true, rows: rows.length, anchors: 1 } satisfies Schemas["AuditVerdict"] };
  if (path === "/export") {
    if (params.get("format") === "csv") {
      return { text: ["seq,at,action,result", ...found(params).map((row) => `${row.seq},${row.at},${row.action},${row.result}`)].join("\n"), type: "text/csv" };
    }
    return { text: found(params).map((row) => `${JSON.stringify(row)}\n`).join(""), type: "application/x-ndjson" };
  }
  if (path !== "") return null;
  const limit = Math.min(1000, Number(params.get("limit") ?? 100));
  const before = Number(params.get("cursor") ?? Infinity);
  const all = found(params).filter((row) => row.seq < before);
  const items = all.slice(0, limit);
  const page: Schemas["AuditPage"] = { items, next: all.length > limit ? String(items.at(-1)?.seq) : null };
  return { json: page };
}
