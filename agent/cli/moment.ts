import { usageError } from "./errors.ts";
import { parseDuration } from "./format.ts";

/** A time, or an age. */
export type Moment = { readonly agoMs: number } | { readonly atMs: number };

/** An option's value: a time that Date.parse reads, or a duration. */
export const moment =
  (option: string) =>
  (text: string): Moment => {
    const agoMs = parseDuration(text);
    if (agoMs !== undefined) return { agoMs };
    const atMs = Date.parse(text);
    if (Number.isNaN(atMs)) throw usageError(`${option} takes a time or a duration like 90m, not '${text}'`);
    return { atMs };
  };
