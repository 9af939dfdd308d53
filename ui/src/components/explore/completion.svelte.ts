/** The state of an editor's completion: what is offered, what is chosen, what accepting would change. */
import { complete, type Candidate } from "../../lib/promql/complete";
import { completionContext, type CompletionContext } from "../../lib/promql/context";
import { callable } from "../../lib/promql/functions";
import { catalog } from "../../lib/state/catalog.svelte";

/** Replace `start` … `end` by `text`, then put the cursor `cursor` characters into it. */
export interface Change {
  start: number;
  end: number;
  text: string;
  cursor: number;
}

export class Completion {
  candidates = $state.raw<Candidate[]>([]);
  chosen = $state(0);
  /** Signature and help of the function whose arguments are being written. */
  hint = $state("");
  private context: CompletionContext | null = null;
  private asked = 0;

  /** Where the word being completed begins. */
  get start(): number {
    return this.context?.replace.start ?? 0;
  }

  /** True when the chosen candidate is what already stands there. */
  get typedInFull(): boolean {
    return this.candidates[this.chosen]?.label === this.context?.prefix;
  }

  /**
   * Looks for candidates at the cursor; false when there are none or a later question overtook this one. `forced` (by
   * key) also offers where nothing is typed yet.
   */
  async ask(text: string, cursor: number, selectionEnd: number, forced: boolean): Promise<boolean> {
    const mine = ++this.asked;
    const context = completionContext(text, cursor);
    this.context = context;
    const callee = context.kind === "expression" && context.callee ? callable(context.callee) : undefined;
    this.hint = callee ? `${callee.signature} – ${callee.help}` : "";
    if (selectionEnd !== cursor) {
      this.close();
      return false;
    }
    void catalog.load();
    try {
      const anything = forced && context.kind === "expression" && context.prefix === "";
      const found = await complete(anything ? { ...context, prefix: "_" } : context);
      if (mine !== this.asked) return false;
      const only = found.length === 1 ? found[0] : undefined;
      this.candidates = only && only.label === context.prefix ? [] : found;
      this.chosen = 0;
    } catch {
      // Completion is a convenience: a failed look-up offers nothing and says nothing.
      this.close();
    }
    return this.candidates.length > 0;
  }

  move(by: number): void {
    this.chosen = Math.max(0, Math.min(this.candidates.length - 1, this.chosen + by));
  }

  /** What accepting a candidate does to `text`; what already stands after the word is not written twice. */
  change(index: number, text: string): Change | null {
    const candidate = this.candidates[index];
    if (!candidate || !this.context) return null;
    const { start, end } = this.context.replace;
    const after = text.slice(end);
    let insert = candidate.insert;
    if (insert.endsWith("()") && after.startsWith("(")) insert = insert.slice(0, -2);
    if (insert.endsWith('=""') && /^\s*(=|!)/.test(after)) insert = insert.slice(0, -3);
    return { start, end, text: insert, cursor: Math.min(candidate.cursor, insert.length) };
  }

  close(): void {
    this.asked += 1;
    this.candidates = [];
  }
}
