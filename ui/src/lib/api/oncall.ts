/** Who is on duty: now, and by schedule between two moments. */
import { request, type Page } from "./client";
import type { Schemas } from "./types";

export type OnCall = Schemas["OnCall"];
export type Shift = Schemas["Shift"];

const BASE = "/api/v1/monitoring";
const quietly = (signal?: AbortSignal) => (signal ? { signal } : {});
const schedule = (name: string, rest: string) => `${BASE}/schedules/${encodeURIComponent(name)}/${rest}`;

export const fetchOnCall = async (signal?: AbortSignal): Promise<OnCall[]> => (await request<Page<OnCall>>(`${BASE}/on-call`, quietly(signal))).items;

export async function fetchShifts(name: string, from: number, until: number, signal?: AbortSignal): Promise<Shift[]> {
  const query = new URLSearchParams({ from: new Date(from).toISOString(), until: new Date(until).toISOString() });
  return (await request<Page<Shift>>(schedule(name, `shifts?${query}`), quietly(signal))).items;
}

/** The address by which a calendar subscribes; it holds a token. */
export const fetchCalendar = (name: string) => request<Schemas["CalendarAddress"]>(schedule(name, "calendar"));
