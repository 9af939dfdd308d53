/** How names answer what was typed: for completion, the metric browser and the palette. */

/** Smaller is better, null is no match: equal, prefix, start of a word, anywhere, then initials (`ncpu`). */
export function score(name: string, typed: string): number | null {
  if (typed === "") return 1;
  const [low, want] = [name.toLowerCase(), typed.toLowerCase()];
  if (low === want) return 0;
  if (low.startsWith(want)) return 1;
  if (low.includes(`_${want}`) || low.includes(` ${want}`)) return 2;
  if (low.includes(want)) return 3;
  return want.length > 2 && spansWords(low, want) ? 4 : null;
}

/** True when `want` is made of pieces that each begin a word of `name`, in order: `ncpu` in `node_cpu`. */
function spansWords(name: string, want: string): boolean {
  const beginsWord = (at: number) => at === 0 || /[_: ]/.test(name[at - 1] ?? "");
  // Places where the last matched letter may stand; every further letter follows it or begins a later word.
  let places = [...name].flatMap((char, at) => (char === want[0] && beginsWord(at) ? [at] : []));
  for (const letter of want.slice(1)) {
    const first = places[0];
    if (first === undefined) return false;
    const after = new Set(places.map((at) => at + 1));
    const next: number[] = [];
    for (let at = first + 1; at < name.length; at += 1) {
      if (name[at] === letter && (after.has(at) || beginsWord(at))) next.push(at);
    }
    places = next;
  }
  return places.length > 0;
}
