/** Status pages: what the public sees, asked without a session, and the same for members. */
import { request } from "./client";
import type { StatusPage } from "../status/page";

const BASE = "/api/v1/monitoring";
const quietly = (signal?: AbortSignal) => (signal ? { signal } : {});
const pathOf = (tenant: string, name: string, rest = "") => `${BASE}/status-pages/${encodeURIComponent(tenant)}/${encodeURIComponent(name)}${rest}`;

export const fetchStatusPage = (tenant: string, name: string, signal?: AbortSignal) => request<StatusPage>(pathOf(tenant, name), quietly(signal));
/** Also where it is not public. */
export const previewStatusPage = (name: string, signal?: AbortSignal) => request<StatusPage>(`${BASE}/status-page/${encodeURIComponent(name)}`, quietly(signal));

export type SubscriptionKind = "email" | "webhook";

/** Asks to be told; a message with a link goes to the address. */
export const subscribe = (tenant: string, name: string, kind: SubscriptionKind, address: string) =>
  request<void>(pathOf(tenant, name, "/subscriptions"), { json: { kind, address } });

export type TokenUse = "confirm" | "leave";

export const useToken = (tenant: string, name: string, use: TokenUse, token: string) =>
  request<void>(pathOf(tenant, name, `/subscriptions/${use}`), { json: { token } });
