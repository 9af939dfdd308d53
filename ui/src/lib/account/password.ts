/** What makes a password good enough, said while it is typed. The server has the last word. */

export const CHARS_MIN = 12;
export const CHARS_MAX = 256;

export interface Hint {
  text: string;
  met: boolean;
}

/** Characters as people count them: one beyond the basic plane is one. */
export const charsOf = (password: string): number => [...password].length;

/** The rules as they stand for what is typed; `email` is whose password it is to be. */
export function passwordHints(password: string, email: string): Hint[] {
  const chars = charsOf(password);
  const lower = password.toLowerCase();
  const local = email.split("@")[0]?.toLowerCase() ?? "";
  const same = chars > 0 && [...lower].every((char) => char === [...lower][0]);
  return [
    { text: `${CHARS_MIN} characters or more; a sentence is best`, met: chars >= CHARS_MIN && chars <= CHARS_MAX },
    { text: "not the name in the email address", met: chars > 0 && (local.length < 3 || !lower.includes(local)) },
    { text: "not one character again and again", met: chars > 0 && !same },
  ];
}

/** What is wrong with a new password and its repetition; empty when nothing is. */
export function passwordFault(password: string, again: string, email: string): string {
  const chars = charsOf(password);
  if (chars < CHARS_MIN) return `has ${chars} characters; use ${CHARS_MIN} or more`;
  if (chars > CHARS_MAX) return `has ${chars} characters; use at most ${CHARS_MAX}`;
  const unmet = passwordHints(password, email).find((hint) => !hint.met);
  if (unmet) return `must be ${unmet.text}`;
  return password === again ? "" : "the two do not match";
}
