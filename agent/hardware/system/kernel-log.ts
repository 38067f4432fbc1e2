import { join } from "node:path";
import { KernelFaults, type CountedFaults, type KernelFault, type KernelFaultKind } from "./kernel-fault.ts";
import { recordNumber } from "../privileged/kernel-log-tail.ts";
import type { LogMark } from "../log-mark.ts";
import { Privileged } from "../privileged/privileged.ts";
import { readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

export interface KernelLog {
  /** Since boot, or since the oldest record in the kernel's buffer when an agent first started. */
  readonly counts: ReadonlyMap<KernelFaultKind, number>;
  /** The newest faults, oldest first. */
  readonly faults: readonly (KernelFault & { readonly ageMs: number })[];
}

export interface KernelLogSeen extends CountedFaults {
  readonly bootId: string;
}

const LOOK_TIMEOUT_MS = 10_000;

/**
 * Reads faults from the kernel's log; each read continues where the last one ended. `failed` with EPERM if
 * kernel.dmesg_restrict requires CAP_SYSLOG.
 */
export function kernelLogReader(
  roots: Roots,
  memory?: LogMark<KernelLogSeen>,
): {
  readonly read: (signal: AbortSignal) => Promise<Reading<KernelLog>>;
  readonly close: () => Promise<void>;
} {
  const privileged = new Privileged(roots);
  let faults: KernelFaults | undefined;
  let last: number | undefined;
  const look = async (signal: AbortSignal): Promise<KernelLog> => {
    const bootId = (await readTextIfThere(join(roots.procRoot, "sys/kernel/random/boot_id"))) ?? "";
    const before = memory?.seen();
    faults ??= new KernelFaults(before?.bootId === bootId ? before : undefined);
    const seen = faults;
    const countedBefore = total(seen);
    const question = last === undefined ? "kernel-log" : (`kernel-log ${last}` as const);
    for (const record of (await privileged.ask(question, signal).output).stdout.split("\n")) {
      last = recordNumber(record) ?? last;
      seen.take(record);
    }
    // The position is stored only with a fault: records without faults may be read twice.
    if (last !== undefined && total(seen) !== countedBefore)
      memory?.keep({ bootId, record: last, counts: Object.fromEntries(seen.counts) });
    const upMs = Number.parseFloat(await readText(join(roots.procRoot, "uptime"))) * 1000;
    if (Number.isNaN(upMs)) throw new Error(`${roots.procRoot}/uptime has no uptime`);
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

const total = ({ counts }: KernelFaults): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);
