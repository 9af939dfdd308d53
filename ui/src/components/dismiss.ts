/** Action: calls back on a press outside the element or on Escape, as menus and popups close. */
export function dismiss(node: HTMLElement, close: () => void): { destroy: () => void } {
  const press = (event: PointerEvent) => {
    if (!node.contains(event.target as Node)) close();
  };
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
    node.querySelector<HTMLElement>("[aria-expanded]")?.focus();
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
