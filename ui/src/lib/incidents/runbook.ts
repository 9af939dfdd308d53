/** Runbooks as they are kept: what to know, and what to do step by step. What a form has no field for stays as it is. */

export type Approval = "none" | "anyone" | "other";

export interface RunbookAction {
  command?: string;
  webhook?: string;
  /** A text, or `{label: name}` for a label of the incident. */
  arguments?: Record<string, string | { label: string }>;
  agents?: string[];
  approval?: Approval;
  automatic?: boolean;
  timeout?: string;
  expires?: string;
  limit?: { times: number; per: string };
}

export interface RunbookStep {
  title: string;
  text?: string;
  action?: RunbookAction;
}

export interface RunbookSpec {
  description?: string;
  steps?: RunbookStep[];
  tags?: string[];
}

export const emptyRunbook = (): RunbookSpec => ({ description: "", steps: [{ title: "", text: "" }] });

export const APPROVALS: readonly [Approval, string][] = [
  ["anyone", "Somebody who may approves"],
  ["other", "Somebody else than who asked approves"],
  ["none", "Nobody has to approve"],
];

/** What a step does, in a line. */
export const actionText = (action: RunbookAction): string => (action.webhook ? `sends the webhook ${action.webhook}` : `runs ${action.command ?? "?"}`);

/** What would be refused, by field as the server names it. */
export function runbookFaults(spec: RunbookSpec): Record<string, string> {
  const faults: Record<string, string> = {};
  (spec.steps ?? []).forEach((step, n) => {
    if (step.title.trim() === "") faults[`steps[${n}].title`] = "say in a line what to do";
    if (step.action && !step.action.command?.trim() && !step.action.webhook?.trim()) faults[`steps[${n}].action`] = "name a command of an agent, or a webhook";
  });
  return faults;
}

/** As it is saved: without empty texts. */
export function runbookBody(spec: RunbookSpec): RunbookSpec {
  const steps = (spec.steps ?? []).map(({ title, text, action, ...rest }): RunbookStep => ({ ...rest, title: title.trim(), ...(text?.trim() && { text }), ...(action && { action }) }));
  const { description, tags, ...rest } = spec;
  return { ...rest, ...(description?.trim() && { description }), steps, ...(tags && tags.length > 0 && { tags }) };
}

/** `arguments` as lines of a form: a label is written `{name}`. */
export const argumentText = (value: string | { label: string }): string => (typeof value === "string" ? value : `{${value.label}}`);
export function argumentOf(text: string): string | { label: string } {
  const label = /^\{([^{}]+)\}$/.exec(text.trim())?.[1];
  return label !== undefined ? { label: label.trim() } : text;
}
