/** What forms accept, said before the server has to. Each answers what is wrong, or nothing. */

export function emailFault(text: string): string {
  const email = text.trim();
  if (email === "") return "an email address is needed";
  return /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)*$/.test(email) && email.length <= 254 ? "" : "is not an email address";
}

export function nameFault(text: string, max = 100): string {
  const name = text.trim();
  if (name === "") return "a name is needed";
  return name.length > max ? `has ${name.length} characters; use at most ${max}` : "";
}

export function roleNameFault(text: string, taken: readonly string[]): string {
  if (text === "") return "a name is needed";
  if (!/^[a-z][a-z0-9_-]{0,49}$/.test(text)) return "use lower-case letters, digits, - and _, beginning with a letter, at most 50";
  return taken.includes(text) ? "there is a role of this name" : "";
}

/** A tenant's identifier is also its subdomain. */
export function tenantIdFault(text: string, taken: readonly string[]): string {
  if (text === "") return "an identifier is needed";
  if (!/^[a-z0-9](?:[a-z0-9_-]{0,46}[a-z0-9])?$/.test(text)) return "use lower-case letters, digits, - and _, at most 48, not at its ends";
  return taken.includes(text) ? "there is a tenant of this identifier" : "";
}

/** An identifier made of a name, to start from. */
export const slugOf = (name: string): string =>
  name.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 48);

export function domainsOf(text: string): { domains: string[]; fault: string } {
  const domains = [...new Set(text.toLowerCase().split(/[\s,]+/).filter((part) => part !== "").map((part) => part.replace(/^@/, "")))];
  const bad = domains.find((domain) => !/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain));
  return { domains, fault: bad === undefined ? "" : `${bad} is not a domain such as example.com` };
}

export function urlFault(text: string): string {
  if (text.trim() === "") return "an address is needed";
  try {
    const url = new URL(text.trim());
    const loopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
    return url.protocol === "https:" || (url.protocol === "http:" && loopback) ? "" : "must begin with https://";
  } catch {
    return "is not an address such as https://id.example.com";
  }
}
