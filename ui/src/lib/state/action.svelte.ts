/** One thing a form or button does: that it runs, and why it was refused. */
import { ApiError, isAbort, messageOf } from "../api/client";
import { sentence } from "../account/signin";

/** `invalid parameter "default_role": …` as `default role: …`: people see fields, not parameters. */
export const inWords = (message: string): string =>
  message.replace(/^invalid parameter "([^"]*)": /, (_, field: string) => (field ? `${field.replaceAll(/[_.]/g, " ")}: ` : ""));

export class Action {
  busy = $state(false);
  problem = $state("");
  /** The field of the request that the server named. */
  field = $state("");

  /** What the work answered; undefined when it was refused, with `problem` saying why. */
  async run<T>(work: () => Promise<T>): Promise<{ value: T } | undefined> {
    if (this.busy) return undefined;
    this.busy = true;
    this.clear();
    try {
      return { value: await work() };
    } catch (error) {
      if (isAbort(error)) return undefined;
      this.problem = sentence(inWords(messageOf(error)));
      this.field = error instanceof ApiError ? error.field : "";
      return undefined;
    } finally {
      this.busy = false;
    }
  }

  clear(): void {
    this.problem = "";
    this.field = "";
  }
}
