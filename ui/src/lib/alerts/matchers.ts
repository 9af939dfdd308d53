/** Conditions on labels, as silences and routes write them: `service="api"`. */

export const OPERATORS = ["=", "!=", "=~", "!~"] as const;
export type MatchOperator = (typeof OPERATORS)[number];

export interface Matcher {
  label: string;
  operator: MatchOperator;
  value: string;
}

/** Null for what is no condition; a value may stand without its quotes. */
export function readMatcher(text: string): Matcher | null {
  const found = /^\s*("(?:[^"\\]|\\.)*"|[^\s=!~"{},]+)\s*(=~|!~|!=|=)\s*(.*?)\s*$/s.exec(text);
  if (!found) return null;
  const [, label = "", operator = "=", value = ""] = found;
  const unquoted = unquote(value);
  const name = unquote(label);
  if (unquoted === null || name === null || name === "") return null;
  return { label: name, operator: operator as MatchOperator, value: unquoted };
}

function unquote(text: string): string | null {
  if (!text.startsWith('"')) return text.includes('"') ? null : text;
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === "string" ? read : null;
  } catch {
    return null;
  }
}

export function writeMatcher({ label, operator, value }: Matcher): string {
  const name = /^[A-Za-z_:][A-Za-z0-9_:]*$/.test(label.trim()) ? label.trim() : JSON.stringify(label.trim());
  return `${name}${operator}${JSON.stringify(value)}`;
}

/** Conditions that hold for an alert with exactly these labels. */
export const matchersOf = (labels: Record<string, string>): Matcher[] =>
  Object.entries(labels)
    .sort(([a], [b]) => Number(b === "alertname") - Number(a === "alertname") || a.localeCompare(b))
    .map(([label, value]) => ({ label, operator: "=", value }));

/** What is written down so far; conditions without a label are not. */
export const written = (matchers: readonly Matcher[]): string[] => matchers.filter((one) => one.label.trim() !== "").map(writeMatcher);

/** Labels from a line such as `service="api", severity=critical`; null where it cannot be read. */
export function readLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {};
  for (const part of splitList(text)) {
    const matcher = readMatcher(part);
    if (!matcher || matcher.operator !== "=") return null;
    labels[matcher.label] = matcher.value;
  }
  return labels;
}

export const writeLabels = (labels: Record<string, string>): string =>
  matchersOf(labels).map(writeMatcher).join(", ");

/** Parts between commas and line breaks, but not those inside quotes; braces around all of it may be there. */
export function splitList(text: string): string[] {
  const inner = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1] ?? text;
  const parts: string[] = [];
  let [part, quoted] = ["", false];
  for (let i = 0; i < inner.length; i += 1) {
    const char = inner[i] ?? "";
    if (char === '"' && inner[i - 1] !== "\\") quoted = !quoted;
    if (!quoted && (char === "," || char === "\n")) {
      parts.push(part);
      part = "";
    } else {
      part += char;
    }
  }
  return [...parts, part].map((one) => one.trim()).filter((one) => one !== "");
}
