/** A browser's or program's user agent in a few words. */

const BROWSERS: readonly [RegExp, string][] = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrom(e|ium)\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Windows/, "Windows"],
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Mac OS X|Macintosh/, "macOS"],
  [/Linux|X11/, "Linux"],
];

/** `Firefox on Linux`; of what is no browser the product's name. */
export function agentName(agent: string): string {
  const of = (list: readonly [RegExp, string][]) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = of(BROWSERS);
  if (!browser) return agent.split(/[\s(]/)[0] || "unknown program";
  const system = of(SYSTEMS);
  return system ? `${browser} on ${system}` : browser;
}
