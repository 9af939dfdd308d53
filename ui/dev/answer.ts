/** What the stand-in server's routes answer. */

export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

export const ok = (body: unknown, status = 200): Answer => ({ status, body });
export const none: Answer = { status: 204, body: "" };

/** A refusal, as every API of ours says it. */
export function refuse(status: number, code: string, message: string, more: { field?: string; headers?: Record<string, string> } = {}): Answer {
  const { field, headers } = more;
  return { status, body: { error: { type: "MonitoringError", code, message, ...(field && { field }) } }, ...(headers && { headers }) };
}

export const NOT_FOUND = refuse(404, "NOT_FOUND", "there is nothing here");
