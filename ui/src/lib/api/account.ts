/** Who is signed in, and what people do to their own account. Times are RFC 3339. */
import { request } from "./client";
import type { Schemas } from "./types";

const AUTH = "/api/v1/auth";

export type Session = Schemas["SignedIn"];
type Begun = Schemas["BegunSession"];

export const fetchSession = () => request<Session>(`${AUTH}/session`, { quiet401: true });

/** Trades the token of a one-time link for a session cookie. */
export const redeemLink = (token: string) => request<Begun>(`${AUTH}/link`, { json: { token } satisfies Schemas["LinkToken"], quiet401: true });

export type Credentials = Schemas["Credentials"];

export const signIn = (credentials: Credentials) => request<Begun>(`${AUTH}/sign-in`, { json: credentials, quiet401: true });

export const signOut = () => request<void>(`${AUTH}/logout`, { method: "POST" });

export type Methods = Schemas["SignInMethods"];

/** How an address may sign in; the answer tells nothing about whether it is known. */
export function fetchMethods(tenant: string, email: string, signal?: AbortSignal): Promise<Methods> {
  const query = new URLSearchParams({ ...(tenant && { tenant }), ...(email && { email }) });
  return request(`${AUTH}/methods?${query}`, { quiet401: true, ...(signal && { signal }) });
}

export const forgotPassword = (email: string, tenant: string) =>
  request<void>(`${AUTH}/password/forgot`, { json: { email, ...(tenant && { tenant }) } satisfies Schemas["ForgottenPassword"], quiet401: true });

export const resetPassword = (token: string, password: string) =>
  request<void>(`${AUTH}/password/reset`, { json: { token, password } satisfies Schemas["PasswordReset"], quiet401: true });

export type InvitationOffer = Schemas["InvitationShown"];

const invitation = (token: string) => `${AUTH}/invitations/${encodeURIComponent(token)}`;

export const fetchOffer = (token: string) => request<InvitationOffer>(invitation(token), { quiet401: true });

export const acceptOffer = (token: string, name: string, password: string) =>
  request<Begun>(invitation(token), { json: { name, password } satisfies Schemas["InvitationAcceptance"], quiet401: true });

export const putProfile = (profile: Schemas["ProfileChange"]) =>
  request<Schemas["Profile"]>(`${AUTH}/profile`, { method: "PUT", json: profile });

/** A wrong current password is 401 too, and ends no session. Who has none yet gives none. */
export const changePassword = (current: string, next: string) =>
  request<void>(`${AUTH}/password`, { json: { ...(current && { current }), new: next } satisfies Schemas["PasswordChange"], quiet401: true });

export type Enrolment = Schemas["SecondFactorEnrolment"];
export type RecoveryCodes = Schemas["RecoveryCodes"];

const factor = <T>(step: string, json: Schemas["SecondFactorCode"] | Record<string, never> = {}) => request<T>(`${AUTH}/second-factor${step}`, { json, quiet401: true });

export const startFactor = () => factor<Enrolment>("");
export const confirmFactor = (code: string) => factor<RecoveryCodes>("/confirm", { code });
export const disableFactor = (code: string) => factor<void>("/disable", { code });
export const newRecoveryCodes = (code: string) => factor<RecoveryCodes>("/recovery-codes", { code });

export type SessionRow = Schemas["OwnSession"];
/** A chain of refresh tokens that one client holds. */
export type TokenFamily = Schemas["OwnTokens"];

const remove = (path: string) => request<void>(path, { method: "DELETE" });

export const fetchSessions = (signal: AbortSignal) => request<Schemas["OwnSessionPage"]>(`${AUTH}/sessions`, { signal }).then((page) => page.items);
export const endSession = (id: string) => remove(`${AUTH}/sessions/${encodeURIComponent(id)}`);
/** Ends every session but this one. */
export const endOtherSessions = () => remove(`${AUTH}/sessions`);

export const fetchTokens = (signal: AbortSignal) => request<Schemas["OwnTokensPage"]>(`${AUTH}/tokens`, { signal }).then((page) => page.items);
export const revokeTokens = (id: string) => remove(`${AUTH}/tokens/${encodeURIComponent(id)}`);
