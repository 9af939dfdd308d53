/** Signing in: what an answer asks for next, and what its refusals mean in words. */
import { ApiError, messageOf } from "../api/client";

/** What the form asks for beside address and password. */
export interface Ask {
  code: boolean;
  tenant: boolean;
}

export interface Refusal {
  ask: Ask;
  /** Empty when the answer only asks for more. */
  problem: string;
  /** Seconds until the next try. */
  wait: number;
}

/** Reads a refused sign-in; `asked` is what the form asks for already. */
export function readRefusal(error: unknown, asked: Ask, hadCode: boolean): Refusal {
  if (!(error instanceof ApiError)) return { ask: asked, problem: messageOf(error), wait: 0 };
  if (error.status === 429) {
    return { ask: asked, problem: "Too many tries.", wait: error.retryAfter || 30 };
  }
  switch (error.code) {
    case "SECOND_FACTOR_REQUIRED":
      return { ask: { ...asked, code: true }, problem: hadCode ? "That code is not right. Wait for the next one and try again." : "", wait: 0 };
    case "TENANT_REQUIRED":
      return { ask: { ...asked, tenant: true }, problem: asked.tenant ? sentence(error.message) : "", wait: 0 };
    case "INVALID_CREDENTIALS":
      return { ask: asked, problem: `Email, password or code is not right.${asked.tenant ? "" : " If you are in several organisations, name yours."}`, wait: 0 };
    default:
      return { ask: asked, problem: sentence(error.message), wait: 0 };
  }
}

/** A message of the server as a sentence. */
export function sentence(message: string): string {
  const text = message.trim();
  if (text === "") return "";
  return `${text[0]?.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** `1 min 5 s` of the seconds left until a moment; 0 once it has come. */
export const secondsLeft = (untilMs: number, nowMs: number): number => Math.max(0, Math.ceil((untilMs - nowMs) / 1000));

export function countdownText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  if (minutes === 0) return `${rest} s`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}

const SSO_ERRORS: Record<string, string> = {
  access_denied: "The identity provider did not let you in.",
  expired: "The sign-in took too long. Start it again.",
  state: "The sign-in was begun in another window or browser. Start it again.",
  no_role: "Your account there has no role here. Ask an administrator to map one of your groups.",
  domain: "Your account there is not of a domain that may sign in here. Use the one your organisation gave you.",
  disabled: "Your account here is disabled. Ask an administrator.",
  not_allowed: "Your account there may not sign in here. Ask an administrator.",
  suspended: "This organisation is suspended.",
  sso_only: "This organisation signs in by its identity provider only.",
  unknown_provider: "This way to sign in exists no more.",
  unreachable: "The identity provider could not be reached. Try again in a moment.",
  busy: "Too many sign-ins are under way. Try again in a moment.",
  setup: "The identity provider is not set up right. Ask an administrator to test it.",
  refused: "The identity provider's answer was not accepted. Ask an administrator to test it.",
};

/** What `/sign-in?error=…` says. Only the code is shown of an address that anybody may have written. */
export function ssoError(code: string | null): string {
  if (!code) return "";
  const name = code.toLowerCase().replaceAll("-", "_");
  const known = Object.hasOwn(SSO_ERRORS, name) ? SSO_ERRORS[name] : undefined;
  return known ?? `Single sign-on failed${/^\w{1,40}$/.test(name) ? ` (${name})` : ""}. Try again, or sign in another way.`;
}

/** Where to go after signing in: a path of this application, never another site. */
export function returnPath(wanted: string | null): string {
  if (!wanted || !/^\/(?![/\\])/.test(wanted)) return "/";
  return /^\/(signin|sign-in|invite|reset)(?![^/?])/.test(wanted) ? "/" : wanted;
}

/** A whole link or its token alone. */
export function tokenOf(text: string): string {
  const token = /[?&]token=([^&\s]+)/.exec(text)?.[1] ?? text.trim();
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

/** Base32 in groups of four, as authenticator apps show it. */
export const groupsOfFour = (secret: string): string => secret.replace(/\s/g, "").match(/.{1,4}/g)?.join(" ") ?? "";

export type PublicPage = "sign-in" | "invite" | "reset";

/** Pages that need no session, and the token in their address. */
export function publicPage(path: string): { page: PublicPage; token: string } | null {
  if (path === "/signin" || path === "/sign-in") return { page: "sign-in", token: "" };
  const token = /^\/(invite|reset)\/([^/]+)$/.exec(path);
  return token ? { page: token[1] as PublicPage, token: tokenOf(token[2] ?? "") } : null;
}
