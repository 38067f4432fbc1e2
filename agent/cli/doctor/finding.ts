import { defined } from "../../kernel/defined.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";
/** What a check found, and what to do about it. */
export interface Finding {
  /** The check's name: node, config, socket, agent, ... */
  readonly check: string;
  readonly verdict: "ok" | "warn" | "fail";
  readonly found: string;
  /** What to do next; absent when all is well. */
  readonly next?: string;
}

type Say = (found: string, next?: string) => Finding;

/** How a check speaks: `say.fail("no /dev/kvm", "enable virtualisation in the firmware")`. */
export function speaker(check: string): { readonly ok: Say; readonly warn: Say; readonly fail: Say } {
  const as =
    (verdict: Finding["verdict"]): Say =>
    (found, next) =>
      defined({ check, verdict, found, next });
  return { ok: as("ok"), warn: as("warn"), fail: as("fail") };
}

/** The system's name of an error (ENOENT, EACCES), or its message. */
export const errorWord = (cause: unknown): string => codeOf(cause) ?? messageOf(cause);
