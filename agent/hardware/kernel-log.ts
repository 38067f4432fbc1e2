import { join } from "node:path";
import { KernelFaults, type KernelFault, type KernelFaultKind } from "./kernel-fault.ts";
import { recordNumber } from "./kernel-log-tail.ts";
import { Privileged } from "./privileged.ts";
import { readText, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";

export interface KernelLog {
  /** Since boot, as far back as the kernel's buffer went when the agent started. */
  readonly counts: ReadonlyMap<KernelFaultKind, number>;
  /** The newest ones, oldest first. */
  readonly faults: readonly (KernelFault & { readonly ageMs: number })[];
}

const LOOK_TIMEOUT_MS = 10_000;

/**
 * What went wrong by the kernel's own log: each look reads on from where the last one ended. `failed` with EPERM where
 * nobody may: kernel.dmesg_restrict wants CAP_SYSLOG.
 */
export function kernelLogReader(roots: Roots): {
  readonly read: (signal: AbortSignal) => Promise<Reading<KernelLog>>;
  readonly close: () => Promise<void>;
} {
  const privileged = new Privileged(roots);
  const seen = new KernelFaults();
  let last: number | undefined;
  const look = async (signal: AbortSignal): Promise<KernelLog> => {
    const question = last === undefined ? "kernel-log" : (`kernel-log ${last}` as const);
    for (const record of (await privileged.ask(question, signal).output).stdout.split("\n")) {
      last = recordNumber(record) ?? last;
      seen.take(record);
    }
    const upMs = Number.parseFloat(await readText(join(roots.procRoot, "uptime"))) * 1000;
    if (Number.isNaN(upMs)) throw new Error(`${roots.procRoot}/uptime does not say how long the kernel runs`);
    return {
      counts: new Map(seen.counts),
      faults: seen.newest.map((fault) => ({ ...fault, ageMs: Math.max(0, upMs - fault.atMs) })),
    };
  };
  return {
    read: (signal) => reading(join(roots.devRoot, "kmsg"), () => look(signal), LOOK_TIMEOUT_MS),
    close: () => privileged.close(),
  };
}
