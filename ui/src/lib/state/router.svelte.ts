/** The address bar as state. Every page reads its view from here and writes it back here. */

class Router {
  path = $state(location.pathname);
  private search = $state(location.search);
  readonly params = $derived(new URLSearchParams(this.search));

  constructor() {
    addEventListener("popstate", () => this.read());
  }

  /** Goes to an address of this application. */
  go(href: string, options: { replace?: boolean } = {}): void {
    const url = new URL(href, location.origin);
    const target = url.pathname + url.search;
    if (target === location.pathname + location.search) return;
    if (options.replace) history.replaceState(null, "", target);
    else history.pushState(null, "", target);
    this.read();
  }

  /** Changes some parameters of the current page; null removes one, an array repeats it. */
  set(changes: Record<string, string | readonly string[] | null>, options: { replace?: boolean } = {}): void {
    const next = new URLSearchParams(this.search);
    for (const [key, value] of Object.entries(changes)) {
      next.delete(key);
      if (value === null) continue;
      for (const one of typeof value === "string" ? [value] : value) next.append(key, one);
    }
    const text = next.toString();
    this.go(text ? `${this.path}?${text}` : this.path, options);
  }

  private read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const router = new Router();

/** Handles a click on a link of this application, unless the reader wants a new tab. */
export function followLink(event: MouseEvent): void {
  const anchor = (event.target as Element | null)?.closest("a");
  if (!anchor || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (anchor.target || anchor.origin !== location.origin || anchor.hasAttribute("download")) return;
  if (!anchor.hasAttribute("data-route")) return;
  event.preventDefault();
  router.go(anchor.pathname + anchor.search);
}
