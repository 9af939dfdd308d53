/** Members as rows of a table: who is shown, and in which order. */
import type { Member } from "../api/tenants";

export const MEMBER_KEYS = ["name", "role", "state", "seen"] as const;
export type MemberKey = (typeof MEMBER_KEYS)[number];

export interface MemberSort {
  key: MemberKey;
  descending: boolean;
}

/** `seen` and `-seen` of the address; anything else is by name. */
export function readSort(text: string): MemberSort {
  const descending = text.startsWith("-");
  const key = MEMBER_KEYS.find((one) => one === text.slice(descending ? 1 : 0));
  return key ? { key, descending } : { key: "name", descending: false };
}

/** The address' text for a click on a column; the usual order is left out. */
export function nextSort(sort: MemberSort, key: MemberKey): string | null {
  const descending = sort.key === key && !sort.descending;
  return key === "name" && !descending ? null : `${descending ? "-" : ""}${key}`;
}

const collator = new Intl.Collator("en", { numeric: true });
const seenMs = (member: Member) => (member.last_sign_in_at === null ? 0 : Date.parse(member.last_sign_in_at));
/** What the name column shows: people who never said their name go by their address. */
export const nameOf = (member: Pick<Member, "name" | "email">): string => member.name || member.email;

function compare(a: Member, b: Member, key: MemberKey): number {
  if (key === "seen") return seenMs(a) - seenMs(b);
  return key === "name" ? collator.compare(nameOf(a), nameOf(b)) : collator.compare(a[key], b[key]);
}

export interface MemberFilter {
  text: string;
  role: string;
  /** `active`, `disabled`, or `plain` for those without a second factor. */
  state: string;
}

export function membersShown(members: readonly Member[], filter: MemberFilter, sort: MemberSort): Member[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const sign = sort.descending ? -1 : 1;
  const fits = (member: Member) =>
    filter.state === "" || (filter.state === "plain" ? !member.second_factor && member.state === "active" : member.state === filter.state);
  return members
    .filter((member) => (filter.role === "" || member.role === filter.role) && fits(member))
    .filter((member) => {
      const hay = `${member.name} ${member.email} ${member.teams.join(" ")}`.toLowerCase();
      return words.every((word) => hay.includes(word));
    })
    .sort((a, b) => sign * compare(a, b, sort.key) || collator.compare(a.email, b.email));
}

/** What an administrator is offered to do for a member, beside ending sessions. */
export interface Offered {
  link: boolean;
  factor: boolean;
  /** To disable, enable or remove. */
  account: boolean;
}

/** The server refuses to do for oneself what would get around one's own password and second factor, or lock one out. */
export function offeredFor(member: { id: string }, me: { id: string } | null | undefined): Offered {
  const others = member.id !== me?.id;
  return { link: others, factor: others, account: others };
}
