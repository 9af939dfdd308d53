/** Numbers for reading. Every axis and value names its unit. */
import { humanDuration } from "./time/duration";

export type Unit = "short" | "bytes" | "bytes/s" | "seconds" | "ratio" | "per-second" | "celsius" | "hertz" | "volts";

const SI = ["", "k", "M", "G", "T", "P"];
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function digits(value: number, max: number): string {
  const abs = Math.abs(value);
  const places = abs >= 100 ? 0 : abs >= 10 ? Math.min(1, max) : max;
  return value.toFixed(places);
}

function scaled(value: number, base: number, names: readonly string[], space: string): string {
  let at = 0;
  let rest = value;
  while (Math.abs(rest) >= base && at < names.length - 1) {
    rest /= base;
    at += 1;
  }
  const text = at === 0 && Number.isInteger(rest) ? String(rest) : digits(rest, 2);
  return `${text}${space}${names[at] ?? ""}`.trim();
}

function small(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) < 0.001 ? value.toExponential(1) : digits(value, 3).replace(/\.?0+$/, "");
}

function short(value: number): string {
  return Math.abs(value) < 1 ? small(value) : scaled(value, 1000, SI, "");
}

function seconds(value: number): string {
  const abs = Math.abs(value);
  if (abs === 0) return "0 s";
  if (abs < 1e-3) return `${digits(value * 1e6, 1)} µs`;
  if (abs < 1) return `${digits(value * 1e3, 1)} ms`;
  if (abs < 120) return `${digits(value, 2)} s`;
  return (value < 0 ? "-" : "") + humanDuration(abs);
}

/** A value with its unit; `–` for what is not there. */
export function formatValue(value: number | null | undefined, unit: Unit = "short"): string {
  if (value === null || value === undefined) return "–";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  switch (unit) {
    case "bytes":
      return scaled(value, 1024, IEC, " ");
    case "bytes/s":
      return `${scaled(value, 1024, IEC, " ")}/s`;
    case "seconds":
      return seconds(value);
    case "ratio":
      return `${digits(value * 100, 1)} %`;
    case "per-second":
      return `${short(value)}/s`;
    case "celsius":
      return `${digits(value, 1)} °C`;
    case "hertz":
      return `${scaled(value, 1000, SI, " ")}Hz`;
    case "volts":
      return `${digits(value, 2)} V`;
    default:
      return short(value);
  }
}

/** An axis tick: like a value, without digits that the axis' own step makes noise. */
export function formatTick(value: number, unit: Unit, increment: number): string {
  if (unit === "ratio") {
    const places = increment * 100 >= 1 ? 0 : increment * 100 >= 0.1 ? 1 : 2;
    return `${(value * 100).toFixed(places)} %`;
  }
  return formatValue(value, unit).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}

/** `3 min ago`, `in 2 s`; the exact instant belongs in a title attribute beside it. */
export function ago(ms: number, nowMs: number): string {
  if (!Number.isFinite(ms) || ms <= 0) return "never";
  const delta = (nowMs - ms) / 1000;
  if (Math.abs(delta) < 1) return "now";
  const text = humanDuration(Math.abs(delta)).split(" ").slice(0, 2).join(" ");
  return delta >= 0 ? `${text} ago` : `in ${text}`;
}
