/** The routing tree: from saved objects to a picture, and which way an alert takes through it. */
import type { AlertRule, RoutePreview, SavedObject, Severity } from "../api/alerts";
import { STEP_ORDER } from "./rule";

/** A route as its object holds it; what is not given is inherited. */
export interface RouteSpec {
  matchers?: string[];
  severity?: Severity[] | { at_least?: Severity; atLeast?: Severity };
  channels?: string[] | null;
  group_by?: string[] | null;
  group_wait?: string | null;
  group_interval?: string | null;
  repeat_interval?: string | null;
  continue?: boolean;
  mute?: string[];
  active?: string[];
  digest?: string | null;
  escalation?: string | null;
  incident?: boolean | null;
  routes?: RouteSpec[];
}

export interface RouteNode {
  /** `root`, `rules`, or the object's name with places below it: `payments/0/1`. */
  id: string;
  kind: "root" | "rules" | "route";
  /** The saved object it is part of; empty for the root. */
  object: string;
  /** Places from the object down to it; empty for the object itself. */
  path: number[];
  title: string;
  /** Conditions in words, one a line. */
  conditions: string[];
  /** Who is told, also where that is inherited. */
  channels: string[];
  inherits: boolean;
  /** Times, grouping, muting, in words. */
  remarks: string[];
  file: string | null;
  spec: RouteSpec;
  children: RouteNode[];
}

export function severityText(severity: RouteSpec["severity"]): string {
  if (!severity) return "";
  if (Array.isArray(severity)) return `severity ${severity.join(" or ")}`;
  const least = severity.at_least ?? severity.atLeast;
  return least ? `severity ${least} or worse` : "";
}

function remarksOf(spec: RouteSpec): string[] {
  const times = [
    spec.group_wait && `waits ${spec.group_wait}`,
    spec.group_interval && `changes after ${spec.group_interval}`,
    spec.repeat_interval && `repeats after ${spec.repeat_interval}`,
  ].filter((part) => part);
  return [
    spec.group_by && `by ${spec.group_by.join(", ") || "nothing"}`,
    times.length > 0 && times.join(", "),
    spec.digest && `one list each ${spec.digest}`,
    spec.mute && spec.mute.length > 0 && `not in ${spec.mute.join(", ")}`,
    spec.active && spec.active.length > 0 && `only in ${spec.active.join(", ")}`,
    spec.escalation && `escalates by ${spec.escalation}`,
    spec.incident && "opens an incident",
    spec.continue && "asks on",
  ].filter((part): part is string => typeof part === "string");
}

function nodeOf(object: Pick<SavedObject, "name" | "file">, spec: RouteSpec, path: number[], above: readonly string[]): RouteNode {
  const channels = spec.channels ?? [...above];
  const severity = severityText(spec.severity);
  return {
    id: [object.name, ...path].join("/"),
    kind: "route",
    object: object.name,
    path,
    title: path.length === 0 ? object.name : "",
    conditions: [...(spec.matchers ?? []), ...(severity ? [severity] : [])],
    channels,
    inherits: !spec.channels,
    remarks: remarksOf(spec),
    file: object.file,
    spec,
    children: (spec.routes ?? []).map((below, i) => nodeOf(object, below, [...path, i], channels)),
  };
}

/** The whole tree: every alert, the rules that name their channels, then each route in the order of names. */
export function treeOf(routes: readonly Pick<SavedObject, "name" | "spec" | "file">[], rules: readonly Pick<AlertRule, "name" | "channels">[]): RouteNode {
  const own = rules.filter((rule) => (rule.channels ?? []).length > 0);
  const blank = { object: "", path: [], inherits: false, remarks: [], file: null, spec: {}, children: [] };
  const ofRules: RouteNode = {
    ...blank,
    id: "rules",
    kind: "rules",
    title: own.length === 1 ? "Channels of 1 rule" : `Channels of ${own.length} rules`,
    conditions: own.slice(0, 2).map((rule) => rule.name).concat(own.length > 2 ? [`and ${own.length - 2} more`] : []),
    channels: [],
  };
  const objects = routes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { ...blank, id: "root", kind: "root", title: "Every alert", conditions: [], channels: [], children: [...(own.length > 0 ? [ofRules] : []), ...objects.map((one) => nodeOf(one, one.spec as RouteSpec, [], []))] };
}

export interface Placed {
  node: RouteNode;
  x: number;
  y: number;
  height: number;
  /** The node it hangs from. */
  parent: string | null;
}

export const NODE_WIDTH = 248;
const GAP_X = 40;
const GAP_Y = 12;
const LINE = 18;
const FRAME = 18;

/** Pixels that a node takes: its lines, and the frame around them. */
export const heightOf = (node: RouteNode): number => FRAME + 20 + LINE * (Math.max(node.conditions.length, node.kind === "route" ? 1 : 0) + Math.min(1, node.remarks.length) + (node.kind === "rules" ? 0 : 1));

/** Nodes with their places: one column for each depth, a parent beside the first of its children. */
export function layout(root: RouteNode): { placed: Placed[]; width: number; height: number } {
  const placed: Placed[] = [];
  let deepest = 0;
  const walk = (node: RouteNode, depth: number, top: number, parent: string | null): number => {
    deepest = Math.max(deepest, depth);
    const height = heightOf(node);
    placed.push({ node, x: depth * (NODE_WIDTH + GAP_X), y: top, height, parent });
    let next = top;
    for (const child of node.children) next = walk(child, depth + 1, next, node.id);
    return Math.max(next, top + height + GAP_Y);
  };
  const height = walk(root, 0, 0, null) - GAP_Y;
  return { placed, width: (deepest + 1) * (NODE_WIDTH + GAP_X) - GAP_X, height };
}

export type Verdict = { kind: "takes" } | { kind: "passes" } | { kind: "fails"; failed: string } | { kind: "unasked" };

/** What each node answered; those that were not asked are missing. */
export function verdictsOf(root: RouteNode, preview: Pick<RoutePreview, "routes">): { verdicts: Map<string, Verdict>; rules: string[] } {
  const verdicts = new Map<string, Verdict>();
  const rules: string[] = [];
  /** Nodes from the root down to the last one that was asked, with how many of its children were. */
  const way: { node: RouteNode | null; asked: number }[] = [];
  for (const visit of preview.routes) {
    way.length = Math.min(way.length, visit.depth);
    const above = way.at(-1);
    const isRule = visit.depth === 1 && (visit.name ?? "").startsWith("rule ") && !root.children.some((child) => child.object === visit.name);
    let node: RouteNode | null = null;
    if (visit.depth === 0) node = root;
    else if (isRule) {
      if (visit.matched) rules.push((visit.name ?? "").slice(5));
    } else if (visit.depth === 1) node = root.children.find((child) => child.kind === "route" && child.object === visit.name) ?? null;
    else node = above?.node?.children[above.asked] ?? null;
    if (above) above.asked += 1;
    way.push({ node, asked: 0 });
    if (!node) continue;
    verdicts.set(node.id, visit.takes ? { kind: "takes" } : visit.matched ? { kind: "passes" } : { kind: "fails", failed: visit.failed ?? "" });
  }
  if (root.children[0]?.kind === "rules") verdicts.set("rules", rules.length > 0 ? { kind: "takes" } : { kind: "fails", failed: "" });
  return { verdicts, rules };
}

/** The part of an object at a path. */
export function routeAt(spec: RouteSpec, path: readonly number[]): RouteSpec | undefined {
  return path.reduce<RouteSpec | undefined>((inside, at) => inside?.routes?.[at], spec);
}

/** The object with another route at a path; without one, the route is gone. A path one past the end adds. */
export function withRoute(spec: RouteSpec, path: readonly number[], route: RouteSpec | null): RouteSpec {
  const [at, ...rest] = path;
  if (at === undefined) return route ?? spec;
  const routes = spec.routes ?? [];
  const next = rest.length > 0 ? withRoute(routes[at] ?? {}, rest, route) : route;
  const list = next === null ? routes.toSpliced(at, 1) : at >= routes.length ? [...routes, next] : routes.with(at, next);
  const { routes: _, ...others } = spec;
  return list.length > 0 ? { ...others, routes: list } : others;
}

export interface RouteForm {
  name: string;
  matchers: string;
  severityKind: "any" | "least" | "some";
  least: Severity;
  some: Severity[];
  /** Null where the channels above are told. */
  channels: string[] | null;
  proceed: boolean;
  groupBy: string;
  groupWait: string;
  groupInterval: string;
  repeatInterval: string;
  digest: string;
  mute: string;
  active: string;
}

export function routeForm(name: string, spec: RouteSpec): RouteForm {
  const { severity } = spec;
  const least = severity && !Array.isArray(severity) ? (severity.at_least ?? severity.atLeast) : undefined;
  return {
    name,
    matchers: (spec.matchers ?? []).join("\n"),
    severityKind: Array.isArray(severity) ? "some" : least ? "least" : "any",
    least: least ?? "error",
    some: Array.isArray(severity) ? severity : ["error", "critical"],
    channels: spec.channels ?? null,
    proceed: spec.continue ?? false,
    groupBy: (spec.group_by ?? []).join(", "),
    groupWait: spec.group_wait ?? "",
    groupInterval: spec.group_interval ?? "",
    repeatInterval: spec.repeat_interval ?? "",
    digest: spec.digest ?? "",
    mute: (spec.mute ?? []).join(", "),
    active: (spec.active ?? []).join(", "),
  };
}

const listOf = (text: string): string[] => text.split(",").map((part) => part.trim()).filter((part) => part !== "");

/** The route as the form has it; what the form does not show stays as it was. */
export function routeBody(form: RouteForm, before: RouteSpec): RouteSpec {
  const { escalation, incident, routes } = before;
  const matchers = form.matchers.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const severity = form.severityKind === "least" ? { at_least: form.least } : form.severityKind === "some" ? STEP_ORDER.filter((one) => form.some.includes(one)) : undefined;
  const [groupBy, mute, active] = [form.groupBy, form.mute, form.active].map(listOf) as [string[], string[], string[]];
  const times = { group_wait: form.groupWait, group_interval: form.groupInterval, repeat_interval: form.repeatInterval, digest: form.digest };
  return {
    ...(matchers.length > 0 && { matchers }),
    ...(severity && { severity }),
    ...(form.channels !== null && { channels: form.channels }),
    ...(groupBy.length > 0 && { group_by: groupBy }),
    ...Object.fromEntries(Object.entries(times).filter(([, text]) => text.trim() !== "").map(([key, text]) => [key, text.trim()])),
    ...(form.proceed && { continue: true }),
    ...(mute.length > 0 && { mute }),
    ...(active.length > 0 && { active }),
    ...(escalation && { escalation }),
    ...(incident !== undefined && incident !== null && { incident }),
    ...(routes && routes.length > 0 && { routes }),
  };
}
