/** What an editor's completion offers, whatever the language. */

export interface Candidate {
  label: string;
  /** Shown beside the label: a signature, a type, a count. */
  detail: string;
  /** The text that takes the place of what was typed. */
  insert: string;
  /** Where the cursor goes in it; its end without one. */
  cursor?: number;
  /** One character that tells the kind. */
  mark?: string;
  /** One sentence of help. */
  help?: string;
  /** True when taking it leaves something to complete. */
  more?: boolean;
}

/** Candidates for the text between `start` and `end`. */
export interface Offer {
  start: number;
  end: number;
  candidates: readonly Candidate[];
}

/** Where the character at `offset` is drawn inside `layer`: its left edge and its baseline's bottom, in pixels. */
export function placeIn(layer: HTMLElement, offset: number): { left: number; top: number } {
  const walker = document.createTreeWalker(layer, NodeFilter.SHOW_TEXT);
  let rest = offset;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.textContent?.length ?? 0;
    if (rest <= length) {
      const range = document.createRange();
      range.setStart(node, rest);
      const [at, box] = [range.getBoundingClientRect(), layer.getBoundingClientRect()];
      return { left: at.left - box.left, top: at.bottom - box.top };
    }
    rest -= length;
  }
  return { left: 8, top: 28 };
}
