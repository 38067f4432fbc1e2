import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { KernelFaults, type KernelFault, type KernelFaultKind } from "./kernel-fault.ts";
import { errorCode, readText, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";

export interface KernelLog {
  /** Since boot, as far back as the kernel's buffer went when the agent started. */
  readonly counts: ReadonlyMap<KernelFaultKind, number>;
  /** The newest ones, oldest first. */
  readonly faults: readonly (KernelFault & { readonly ageMs: number })[];
}

/** The kernel does not hand out a record into less. */
const RECORD_BYTES = 16_384;
/** One look reads no more; the rest waits for the next one. */
const RECORDS_PER_LOOK = 5000;
const LOOK_TIMEOUT_MS = 10_000;

/**
 * The kernel's own log (Documentation/ABI/testing/dev-kmsg): each look reads on from where the last one ended. `failed`
 * with EPERM where the agent may not: kernel.dmesg_restrict wants CAP_SYSLOG.
 */
export function kernelLogReader({ devRoot, procRoot }: Roots): {
  readonly read: () => Promise<Reading<KernelLog>>;
  readonly close: () => Promise<void>;
} {
  const path = join(devRoot, "kmsg");
  const seen = new KernelFaults();
  let log: FileHandle | undefined;
  const read = (): Promise<Reading<KernelLog>> =>
    reading(
      path,
      async () => {
        log ??= await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
        await readRecords(log, (record) => seen.take(record));
        const upMs = Number.parseFloat(await readText(join(procRoot, "uptime"))) * 1000;
        if (Number.isNaN(upMs)) throw new Error(`${procRoot}/uptime does not say how long the kernel runs`);
        return {
          counts: new Map(seen.counts),
          faults: seen.newest.map((fault) => ({ ...fault, ageMs: Math.max(0, upMs - fault.atMs) })),
        };
      },
      LOOK_TIMEOUT_MS,
    );
  const close = async (): Promise<void> => {
    await log?.close();
    log = undefined;
  };
  return { read, close };
}

async function readRecords(log: FileHandle, take: (record: string) => void): Promise<void> {
  const buffer = Buffer.alloc(RECORD_BYTES);
  for (let records = 0; records < RECORDS_PER_LOOK; records += 1) {
    try {
      const { bytesRead } = await log.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      // The device gives one record at a time; of a file that stands for it, a piece holds several.
      for (const line of buffer.toString("utf8", 0, bytesRead).split("\n")) take(line);
    } catch (cause) {
      if (errorCode(cause) === "EAGAIN") return;
      // EPIPE: records were overwritten before they were read; the next one is the oldest there is.
      if (errorCode(cause) !== "EPIPE") throw cause;
    }
  }
}
