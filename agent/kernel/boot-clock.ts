import { readFile } from "node:fs/promises";

/** Time since the kernel booted. It continues across agent restarts and ignores steps of the wall clock. */
export interface BootClock {
  readonly bootId: string;
  /** Milliseconds. Compare them only under the same boot id. */
  ms(): number;
}

/** Throws if the kernel's boot id cannot be read. */
export async function bootClock(): Promise<BootClock> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  // CLOCK_MONOTONIC, which all processes of a boot share.
  return { bootId, ms: () => Number(process.hrtime.bigint() / 1_000_000n) };
}
