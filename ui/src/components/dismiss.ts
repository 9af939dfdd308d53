/** Actions that menus and popups share. */

/**
 * Calls back on a press outside the element or on Escape, and lets the arrow keys walk through a `role="menu"`
 * inside it.
 */
export function dismiss(node: HTMLElement, close: () => void): { destroy: () => void } {
  const press = (event: PointerEvent) => {
    if (!node.contains(event.target as Node)) close();
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      if (!node.querySelector('[aria-expanded="true"]')) return;
      event.stopPropagation();
      node.querySelector<HTMLElement>('[aria-expanded="true"]')?.focus();
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const items = [...node.querySelectorAll<HTMLElement>('[role="menu"] :is(button, a)')];
      if (items.length === 0) return;
      event.preventDefault();
      const at = items.indexOf(document.activeElement as HTMLElement);
      const step = event.key === "ArrowDown" ? 1 : -1;
      items[at < 0 ? 0 : (at + step + items.length) % items.length]?.focus();
    }
  };
  document.addEventListener("pointerdown", press, true);
  node.addEventListener("keydown", key);
  return {
    destroy() {
      document.removeEventListener("pointerdown", press, true);
      node.removeEventListener("keydown", key);
    },
  };
}

/** Puts the focus on an element as it appears. */
export function focused(node: HTMLElement): void {
  node.focus();
}
