/** Colours come from the style sheet's `--s1` … `--s12`, so that each theme has its own, all readable on it. */

export const PALETTE_SIZE = 12;

/** Name of the custom property for the n-th series. */
export const seriesColor = (index: number): string => `--s${(index % PALETTE_SIZE) + 1}`;

/** Names that keep their colour wherever they appear. */
const FIXED: Record<string, string> = {
  user: "--s1",
  system: "--s2",
  iowait: "--s4",
  nice: "--s3",
  softirq: "--s5",
  irq: "--s7",
  steal: "--s6",
  used: "--s1",
  cached: "--s3",
  free: "--s-rest",
};

/** Colour of a series by its name where that has a fixed one, else by its position. */
export const colorFor = (name: string, index: number): string => FIXED[name] ?? seriesColor(index);

/** True when the page is drawn dark, by choice or by the system's wish. */
function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The value of a custom property as the theme sets it now. A canvas cannot read `light-dark()`, so it is read here. */
export function resolveColor(property: string): string {
  const text = getComputedStyle(document.documentElement).getPropertyValue(property).trim();
  const pair = /^light-dark\(([^,]+),([^)]+)\)$/.exec(text);
  return (pair ? (isDark() ? pair[2] : pair[1]) : text)?.trim() || "#888888";
}

/** A colour with another opacity; the style sheet writes them as six hex digits. */
export function withAlpha(hex: string, alpha: number): string {
  const digits = Math.round(alpha * 255).toString(16).padStart(2, "0");
  return /^#[0-9a-f]{6}$/i.test(hex) ? hex + digits : hex;
}
