/** Requests to the server that serves this page. Session and CSRF handling live here and nowhere else. */

/** What a refused request said. `kind` is Prometheus's errorType, or `http`, `network`, `unauthorized`. */
export class ApiError extends Error {
  constructor(
    readonly kind: string,
    message: string,
    readonly status: number,
  ) {
    super(message);
    this.name = "ApiError";
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
  method?: "GET" | "POST" | "PUT" | "DELETE";
  json?: unknown;
  form?: URLSearchParams;
  signal?: AbortSignal;
  /** The session probe asks whether there is one, so its 401 is an answer, not an event. */
  quiet401?: boolean;
}

function errorText(body: string, status: number): { kind: string; message: string } {
  try {
    const parsed: unknown = JSON.parse(body);
    if (parsed && typeof parsed === "object") {
      const outer = parsed as Record<string, unknown>;
      // Prometheus's API answers `{"error":"…"}`, our own `{"error":{"message":"…"}}`.
      const fields = outer.error && typeof outer.error === "object" ? (outer.error as Record<string, unknown>) : outer;
      const message = fields.error ?? fields.message ?? fields.reason;
      const kind = typeof fields.errorType === "string" ? fields.errorType : "http";
      if (typeof message === "string") return { kind, message };
    }
  } catch {
    // Not JSON: a proxy or a plain-text refusal; its text is the best there is.
  }
  const text = body.trim().slice(0, 300);
  return { kind: "http", message: text && !text.startsWith("<") ? text : `the server answered ${status}` };
}

/** The parsed JSON answer, or undefined for an empty one. Throws `ApiError`; an abort stays an `AbortError`. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const method = options.method ?? (options.json !== undefined || options.form ? "POST" : "GET");
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
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
  if (response.status === 401) {
    if (!options.quiet401) onUnauthorized();
    throw new ApiError("unauthorized", errorText(body, 401).message, 401);
  }
  if (!response.ok) {
    const { kind, message } = errorText(body, response.status);
    throw new ApiError(kind, message, response.status);
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
