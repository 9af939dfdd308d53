/**
 * Markdown as people write it in runbooks and post-mortems: headings, paragraphs, lists with boxes, quotes, code, tables.
 * It becomes a tree, never HTML, so that nothing of it can run. What is not known stays as it was written.
 */

export type Inline =
  | { kind: "text" | "code"; text: string }
  | { kind: "strong" | "em" | "del"; parts: Inline[] }
  | { kind: "link"; href: string; parts: Inline[] };

export interface Item {
  /** Null where it has no box. */
  done: boolean | null;
  parts: Inline[];
  depth: number;
}

export type Block =
  | { kind: "heading"; level: number; parts: Inline[] }
  | { kind: "paragraph" | "quote"; parts: Inline[] }
  | { kind: "list"; ordered: boolean; start: number; items: Item[] }
  | { kind: "code"; text: string }
  | { kind: "table"; head: Inline[][]; rows: Inline[][][] }
  | { kind: "rule" };

/** Nested emphasis is read so deep; below that it stays as it was written. */
const DEPTH_MAX = 6;
const DEPTH_OF_LISTS_MAX = 5;

/** Addresses that a link may lead to: other sites, mail, and this one. */
export const safeHref = (href: string): string => (/^(https?:\/\/|mailto:|\/(?![/\\])|#)/i.test(href) ? href : "");

const MARKS: readonly [RegExp, "strong" | "em" | "del"][] = [
  [/^(\*\*|__)(?=\S)(.+?\S?)\1/s, "strong"],
  [/^(~~)(?=\S)(.+?\S?)\1/s, "del"],
  [/^(\*)(?=[^\s*])(.*?[^\s*])\1(?!\*)/s, "em"],
  [/^(_)(?=[^\s_])(.*?[^\s_])\1(?![\w])/s, "em"],
];

export function inlineOf(text: string, depth = 0): Inline[] {
  const parts: Inline[] = [];
  let plain = "";
  const flush = () => {
    if (plain !== "") parts.push({ kind: "text", text: plain });
    plain = "";
  };
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const char = rest[0] ?? "";
    // A line that ends in a backslash is broken there, and a break stays one anyway.
    if (char === "\\" && rest[1] === "\n") {
      at += 1;
      continue;
    }
    const escaped = char === "\\" ? /^\\([!-/:-@[-`{-~])/.exec(rest) : null;
    if (escaped) {
      plain += escaped[1];
      at += 2;
      continue;
    }
    const code = char === "`" ? /^(`+)([\s\S]*?[^`])\1(?!`)/.exec(rest) : null;
    if (code) {
      flush();
      parts.push({ kind: "code", text: (code[2] ?? "").trim() });
      at += code[0].length;
      continue;
    }
    const link = char === "[" && depth < DEPTH_MAX ? /^\[((?:[^[\]\\]|\\.)*)\]\(\s*<?([^\s<>()]*)>?(?:\s+"[^"]*")?\s*\)/.exec(rest) : null;
    if (link && safeHref(link[2] ?? "") !== "") {
      flush();
      parts.push({ kind: "link", href: link[2] ?? "", parts: inlineOf(link[1] ?? "", depth + 1) });
      at += link[0].length;
      continue;
    }
    const bare = char === "h" && !/[\w/]$/.test(plain) ? /^https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]]/.exec(rest) : null;
    const angle = char === "<" ? /^<(https?:\/\/[^\s<>]+|mailto:[^\s<>]+)>/.exec(rest) : null;
    if (bare || angle) {
      flush();
      const href = angle?.[1] ?? bare?.[0] ?? "";
      parts.push({ kind: "link", href, parts: [{ kind: "text", text: href }] });
      at += (angle ?? bare)?.[0].length ?? 1;
      continue;
    }
    // A letter before an underscore makes it part of a name, as in snake_case.
    const mark = depth < DEPTH_MAX && "*_~".includes(char) && !(char === "_" && /\w$/.test(plain)) ? MARKS.map(([pattern, kind]) => ({ found: pattern.exec(rest), kind })).find((one) => one.found) : undefined;
    if (mark?.found) {
      flush();
      parts.push({ kind: mark.kind, parts: inlineOf(mark.found[2] ?? "", depth + 1) });
      at += mark.found[0].length;
      continue;
    }
    plain += char;
    at += 1;
  }
  flush();
  return parts;
}

const cellsOf = (line: string): string[] =>
  line
    .trim()
    .replace(/^\||(?<!\\)\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.replaceAll("\\|", "|").trim());
const isRow = (line: string) => line.includes("|");
const isDivider = (line: string) => /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line) && line.includes("-");
const ITEM = /^(\s*)(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/;
const STARTS = /^\s*(#{1,6}\s|```|~~~|>|([-*_])(\s*\2){2,}\s*$)/;

function listAt(lines: readonly string[], from: number): { block: Block; next: number } {
  const first = ITEM.exec(lines[from] ?? "");
  const items: { done: boolean | null; text: string; depth: number }[] = [];
  let at = from;
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const found = ITEM.exec(line);
    if (found) {
      const depth = Math.min(DEPTH_OF_LISTS_MAX, Math.floor((found[1] ?? "").replaceAll("\t", "    ").length / 2));
      if (depth === 0 && Boolean(found[3]) !== Boolean(first?.[3])) break;
      const box = /^\[([ xX])\]\s+(.*)$/.exec(found[4] ?? "");
      items.push({ done: box ? box[1] !== " " : null, text: box?.[2] ?? found[4] ?? "", depth });
    } else if (line.trim() === "") {
      if (!ITEM.test(lines[at + 1] ?? "")) break;
    } else {
      if (STARTS.test(line)) break;
      const last = items.at(-1);
      if (last) last.text += `\n${line.trim()}`;
    }
  }
  const block: Block = { kind: "list", ordered: Boolean(first?.[3]), start: Number(first?.[3] ?? 1), items: items.map(({ done, text, depth }) => ({ done, depth, parts: inlineOf(text) })) };
  return { block, next: at };
}

export function blocksOf(text: string): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    const fence = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (line.trim() === "") {
      at += 1;
    } else if (fence) {
      const end = lines.findIndex((one, i) => i > at && one.trim().startsWith(fence));
      const until = end < 0 ? lines.length : end;
      blocks.push({ kind: "code", text: lines.slice(at + 1, until).join("\n") });
      at = until + 1;
    } else if (heading) {
      blocks.push({ kind: "heading", level: heading[1]?.length ?? 1, parts: inlineOf(heading[2] ?? "") });
      at += 1;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      blocks.push({ kind: "rule" });
      at += 1;
    } else if (/^\s*>/.test(line)) {
      let end = at;
      while (end < lines.length && /^\s*>/.test(lines[end] ?? "")) end += 1;
      blocks.push({ kind: "quote", parts: inlineOf(lines.slice(at, end).map((one) => one.replace(/^\s*>\s?/, "")).join("\n")) });
      at = end;
    } else if (isRow(line) && isDivider(lines[at + 1] ?? "")) {
      let end = at + 2;
      while (end < lines.length && isRow(lines[end] ?? "") && (lines[end] ?? "").trim() !== "") end += 1;
      const cells = (row: string) => cellsOf(row).map((cell) => inlineOf(cell));
      blocks.push({ kind: "table", head: cells(line), rows: lines.slice(at + 2, end).map(cells) });
      at = end;
    } else if (ITEM.test(line)) {
      const { block, next } = listAt(lines, at);
      blocks.push(block);
      at = next;
    } else {
      let end = at + 1;
      while (end < lines.length && (lines[end] ?? "").trim() !== "" && !STARTS.test(lines[end] ?? "") && !ITEM.test(lines[end] ?? "")) end += 1;
      blocks.push({ kind: "paragraph", parts: inlineOf(lines.slice(at, end).map((one) => one.trim()).join("\n")) });
      at = end;
    }
  }
  return blocks;
}
