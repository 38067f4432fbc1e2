import { defined } from "../../kernel/defined.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";
/** The result of a check, and advice. */
export interface Finding {
  /** The check's name: node, config, socket, agent, ... */
  readonly check: string;
  readonly verdict: "ok" | "warn" | "fail";
  readonly found: string;
  /** Advice; absent when the check passed. */
  readonly next?: string;
}

type Say = (found: string, next?: string) => Finding;

/** Builds findings of one check: `say.fail("no /dev/kvm", "enable virtualisation in the firmware")`. */
export function speaker(check: string): { readonly ok: Say; readonly warn: Say; readonly fail: Say } {
  const as =
    (verdict: Finding["verdict"]): Say =>
    (found, next) =>
      defined({ check, verdict, found, next });
  return { ok: as("ok"), warn: as("warn"), fail: as("fail") };
}

/** The system's name of an error (ENOENT, EACCES), or its message. */
export const errorWord = (cause: unknown): string => codeOf(cause) ?? messageOf(cause);
