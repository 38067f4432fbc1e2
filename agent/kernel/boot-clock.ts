import { readFile } from "node:fs/promises";

/** Time since the kernel booted: it goes on over the agent's restarts, and no step of the wall clock moves it. */
export interface BootClock {
  readonly bootId: string;
  /** Milliseconds; only to be compared under the same boot id. */
  ms(): number;
}

/** Throws what reading the kernel's boot id throws. */
export async function bootClock(): Promise<BootClock> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  // CLOCK_MONOTONIC, which all processes of a boot share.
  return { bootId, ms: () => Number(process.hrtime.bigint() / 1_000_000n) };
}
