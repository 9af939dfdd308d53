/** Enough PromQL for the stand-in server: selectors, rates, aggregations and arithmetic. */
import { tokenize, type Token } from "../src/lib/promql/lexer.ts";
import { SERIES, type Labels } from "./series.ts";

export interface Item {
  labels: Labels;
  value: number;
}

type Evaluate = (t: number) => Item[] | number;

export class BadQuery extends Error {}

const without = (labels: Labels): Labels => {
  const { __name__: _name, ...rest } = labels;
  return rest;
};
const keyOf = (labels: Labels) => JSON.stringify(Object.entries(without(labels)).sort());

export function compile(text: string): Evaluate {
  const tokens = tokenize(text).filter((t) => t.kind !== "space" && t.kind !== "comment");
  let at = 0;
  const peek = () => tokens[at];
  const fail = (token: Token | undefined): never => {
    const where = `1:${(token?.start ?? text.length) + 1}`;
    const found = token ? `unexpected ${JSON.stringify(token.text)}` : "unexpected end of input";
    throw new BadQuery(`invalid parameter "query": ${where}: parse error: ${found}`);
  };
  const take = (want?: string): Token => {
    const token = tokens[at];
    if (!token || (want !== undefined && token.text !== want)) return fail(token);
    at += 1;
    return token;
  };

  function expression(level = 0): Evaluate {
    const levels = [["or", "and"], ["==", ">", "<", ">=", "<=", "!="], ["+", "-"], ["*", "/"]];
    const operators = levels[level];
    if (!operators) return primary();
    let left = expression(level + 1);
    for (let token = peek(); token && operators.includes(token.text); token = peek()) {
      const operator = take().text;
      const right = expression(level + 1);
      const before = left;
      left = (t) => combine(operator, before(t), right(t));
    }
    return left;
  }

  function labelList(): string[] {
    take("(");
    const names: string[] = [];
    while (peek()?.text !== ")") {
      if (peek()?.text === ",") take();
      else names.push(take().text);
    }
    take(")");
    return names;
  }

  function primary(): Evaluate {
    const token = take();
    if (token.kind === "number") return () => Number(token.text);
    if (token.text === "(") {
      const inner = expression();
      take(")");
      return inner;
    }
    if (token.kind === "name") {
      const next = peek()?.text;
      if (next === "(" || next === "by" || next === "without") return call(token.text);
      return selector(token.text);
    }
    if (token.text === "{") {
      at -= 1;
      return selector("");
    }
    return fail(token);
  }

  function selector(name: string): Evaluate {
    const tests: ((labels: Labels) => boolean)[] = name ? [(l) => l.__name__ === name] : [];
    if (peek()?.text === "{") {
      take("{");
      while (peek()?.text !== "}") {
        const label = take();
        if (label.kind !== "name") fail(label);
        const operator = take();
        if (operator.kind !== "operator") fail(operator);
        const value = take();
        if (value.kind !== "string") fail(value);
        const want = value.text.slice(1, -1);
        const regex = new RegExp(`^(?:${want})$`);
        const pass = (l: Labels) => (operator.text.includes("~") ? regex.test(l[label.text] ?? "") : l[label.text] === want);
        tests.push((l) => pass(l) !== operator.text.startsWith("!"));
        if (peek()?.text === ",") take();
      }
      take("}");
    }
    const found = SERIES.filter((series) => tests.every((test) => test(series.labels)));
    if (peek()?.text === "[") {
      take("[");
      const window = take().text;
      take("]");
      const seconds = Number.parseFloat(window) * ({ s: 1, m: 60, h: 3600 }[window.at(-1) ?? "s"] ?? 1);
      return (t) => found.map((s) => ({ labels: s.labels, value: (s.at(t) - s.at(t - seconds)) / seconds }));
    }
    return (t) => found.map((s) => ({ labels: s.labels, value: s.at(t) }));
  }

  function call(name: string): Evaluate {
    let by: string[] | null = null;
    if (peek()?.text === "by") {
      take();
      by = labelList();
    }
    take("(");
    const args: Evaluate[] = [];
    while (peek() && peek()?.text !== ")") {
      args.push(expression());
      if (peek()?.text === ",") take();
    }
    take(")");
    if (peek()?.text === "by") {
      take();
      by = labelList();
    }
    return (t) => apply(name, by, args.map((arg) => arg(t)));
  }

  const result = expression();
  if (at < tokens.length) fail(tokens[at]);
  return result;
}

function combine(operator: string, a: Item[] | number, b: Item[] | number): Item[] | number {
  const calc = (x: number, y: number) => (operator === "+" ? x + y : operator === "-" ? x - y : operator === "*" ? x * y : x / y);
  if (operator === "or") return Array.isArray(a) && a.length > 0 ? a : b;
  if (typeof a === "number" && typeof b === "number") return calc(a, b);
  if (typeof b === "number") return (a as Item[]).map((i) => ({ labels: without(i.labels), value: calc(i.value, b) }));
  if (typeof a === "number") return b.map((i) => ({ labels: without(i.labels), value: calc(a, i.value) }));
  const right = new Map(b.map((item) => [keyOf(item.labels), item.value]));
  return a.flatMap((i) => {
    const other = right.get(keyOf(i.labels));
    return other === undefined ? [] : [{ labels: without(i.labels), value: calc(i.value, other) }];
  });
}

function apply(name: string, by: string[] | null, args: (Item[] | number)[]): Item[] | number {
  const vector = args.find((arg): arg is Item[] => Array.isArray(arg)) ?? [];
  if (name === "scalar") return vector[0]?.value ?? NaN;
  if (name === "topk") return vector.toSorted((a, b) => b.value - a.value).slice(0, Number(args[0]));
  if (name === "histogram_quantile") {
    return vector.filter((i) => i.labels.le === "0.5").map((i) => {
      const { le: _le, ...rest } = i.labels;
      return { labels: rest, value: 0.05 + i.value / 900 };
    });
  }
  if (!["sum", "avg", "max", "min", "count"].includes(name)) {
    return vector.map((i) => ({ labels: without(i.labels), value: i.value }));
  }
  const groups = new Map<string, { labels: Labels; values: number[] }>();
  for (const item of vector) {
    const labels = Object.fromEntries((by ?? []).flatMap((key) => (item.labels[key] === undefined ? [] : [[key, item.labels[key]]])));
    const group = groups.get(keyOf(labels)) ?? { labels, values: [] };
    group.values.push(item.value);
    groups.set(keyOf(labels), group);
  }
  return [...groups.values()].map(({ labels, values }) => {
    const sum = values.reduce((a, b) => a + b, 0);
    const value = { sum, avg: sum / values.length, max: Math.max(...values), min: Math.min(...values), count: values.length }[name];
    return { labels, value: value ?? 0 };
  });
}
