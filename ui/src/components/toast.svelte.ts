/** Short confirmations, read out by screen readers and gone after a moment. */
class Toasts {
  text = $state("");
  /** Dialogs that are open; each shows the text itself. */
  dialogs = $state(0);
  private timer: ReturnType<typeof setTimeout> | undefined;

  show(text: string): void {
    this.text = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.text = ""), 2500);
  }
}

export const toasts = new Toasts();

/** Copies a text and says so. */
export async function copy(text: string, what = "Copied"): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.show(what);
  } catch {
    toasts.show("The browser refused to copy");
  }
}
