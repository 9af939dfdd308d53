/** Does something to an incident; says so, or why it was refused. True when it was done. */
export type Work = (what: () => Promise<unknown>, said: string) => Promise<boolean>;
