/** Requests to the server that serves this page. Session and CSRF handling live here and nowhere else. */

/** What a refusal may carry beside its message. */
export interface ErrorFacts {
  /** Our own APIs' name of the reason, such as `SECOND_FACTOR_REQUIRED`. */
  code?: string;
  /** The field of the request that is wrong. */
  field?: string;
  /** `Retry-After` in seconds. */
  retryAfter?: number;
}

/** What a refused request said. `kind` is Prometheus's errorType, or `http`, `network`, `unauthorized`. */
export class ApiError extends Error {
  readonly code: string;
  readonly field: string;
  readonly retryAfter: number;

  constructor(
    readonly kind: string,
    message: string,
    readonly status: number,
    facts: ErrorFacts = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.code = facts.code ?? "";
    this.field = facts.field ?? "";
    this.retryAfter = facts.retryAfter ?? 0;
  }
}

let csrf = "";
let onUnauthorized: () => void = () => {};

/** The token that mutating requests carry; the session answers it. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** Called whenever an answer is 401. */
export function setUnauthorizedHandler(handler: () => void): void {
  onUnauthorized = handler;
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  json?: unknown;
  form?: URLSearchParams;
  signal?: AbortSignal;
  /** The version that a change holds against; another one on record is refused with 412. */
  ifMatch?: number;
  /** The session probe asks whether there is one, so its 401 is an answer, not an event. */
  quiet401?: boolean;
}

interface ErrorText extends ErrorFacts {
  kind: string;
  message: string;
}

function errorText(body: string, status: number): ErrorText {
  try {
    const parsed: unknown = JSON.parse(body);
    if (parsed && typeof parsed === "object") {
      const outer = parsed as Record<string, unknown>;
      // Prometheus's API answers `{"error":"…"}`, our own `{"error":{"message":"…"}}`.
      const fields = outer.error && typeof outer.error === "object" ? (outer.error as Record<string, unknown>) : outer;
      const message = fields.error ?? fields.message ?? fields.reason;
      const kind = typeof fields.errorType === "string" ? fields.errorType : "http";
      const named = { ...(typeof fields.code === "string" && { code: fields.code }), ...(typeof fields.field === "string" && { field: fields.field }) };
      if (typeof message === "string") return { kind, message, ...named };
    }
  } catch {
    // Not JSON: a proxy or a plain-text refusal; its text is the best there is.
  }
  const text = body.trim().slice(0, 300);
  return { kind: "http", message: text && !text.startsWith("<") ? text : `the server answered ${status}` };
}

/** Whole seconds of a `Retry-After` header, which may be a number or a date; 0 without one. */
export function retryAfterSeconds(header: string | null, nowMs: number): number {
  if (header === null || header.trim() === "") return 0;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - nowMs) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : 0;
}

/** The parsed JSON answer, or undefined for an empty one. Throws `ApiError`; an abort stays an `AbortError`. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const method = options.method ?? (options.json !== undefined || options.form ? "POST" : "GET");
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  if (options.ifMatch !== undefined) headers["If-Match"] = `"${options.ifMatch}"`;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      body: options.json !== undefined ? JSON.stringify(options.json) : (options.form ?? null),
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("network", "the server cannot be reached", 0);
  }
  const body = await response.text();
  if (response.status === 401 && !options.quiet401) onUnauthorized();
  if (!response.ok) {
    const { kind, message, ...facts } = errorText(body, response.status);
    const seconds = retryAfterSeconds(response.headers.get("Retry-After"), Date.now());
    throw new ApiError(response.status === 401 ? "unauthorized" : kind, message, response.status, { ...facts, retryAfter: seconds });
  }
  if (body === "") return undefined as T;
  try {
    return JSON.parse(body) as T;
  } catch {
    throw new ApiError("http", `the answer of ${path} is not JSON`, response.status);
  }
}

/** What to show for anything thrown by a request. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

/** One page of a list; `next` is what to ask after, null at the end. */
export interface Page<T> {
  items: T[];
  next?: string | null;
}

const PAGE = 1000;
/** Pages read at most: whoever has more than 20,000 of something searches on the server. */
const PAGES_MAX = 20;

/** Every item of a list that is answered page by page. */
export async function requestAll<T>(path: string, signal?: AbortSignal): Promise<T[]> {
  const items: T[] = [];
  let after = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const query = new URLSearchParams({ limit: String(PAGE), ...(after !== "" && { after }) });
    const answer: Page<T> = await request(`${path}?${query}`, signal ? { signal } : {});
    items.push(...answer.items);
    if (!answer.next) break;
    after = answer.next;
  }
  return items;
}
