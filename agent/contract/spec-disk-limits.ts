import * as z from "../kernel/zod.ts";
import { KIB } from "./spec-values.ts";

const help = (description: string, example: string | number) => ({ description, examples: [example] });

const burst = (mean: string, example: string | number) =>
  help(`${mean} in a burst. Needs ${mean}, and is not below it.`, example);

/** More than QEMU takes. */
const MOST = 10 ** 15;
const rate = z
  .int("must be a whole number of bytes")
  .min(KIB, "must be at least 1 KiB")
  .max(MOST, `must be at most ${MOST}`);
const operations = z
  .int("must be a whole number")
  .min(1, "must be at least 1")
  .max(MOST, `must be at most ${MOST}`);

/** A day. */
const MOST_BURST_SECONDS = 86_400;
export const DEFAULT_BURST_SECONDS = 1;
const burstSeconds = z
  .int("must be a whole number of seconds")
  .min(1, "must be at least 1")
  .max(MOST_BURST_SECONDS, `must be at most ${MOST_BURST_SECONDS}`);

/**
 * Limits of a disk's input and output, in a second in the mean, and in a burst. A rate of both directions excludes those of
 * one.
 */
export const diskLimits = z
  .strictObject({
    totalBytesPerSecond: rate.meta(help("What is read and written together.", "200MiB")).exactOptional(),
    readBytesPerSecond: rate.meta(help("What is read.", "100MiB")).exactOptional(),
    writeBytesPerSecond: rate.meta(help("What is written.", "50MiB")).exactOptional(),
    totalIops: operations.meta(help("Reads and writes together.", 2000)).exactOptional(),
    readIops: operations.meta(help("Reads.", 1000)).exactOptional(),
    writeIops: operations.meta(help("Writes.", 500)).exactOptional(),
    totalBurstBytesPerSecond: rate.meta(burst("totalBytesPerSecond", "800MiB")).exactOptional(),
    readBurstBytesPerSecond: rate.meta(burst("readBytesPerSecond", "400MiB")).exactOptional(),
    writeBurstBytesPerSecond: rate.meta(burst("writeBytesPerSecond", "200MiB")).exactOptional(),
    totalBurstIops: operations.meta(burst("totalIops", 8000)).exactOptional(),
    readBurstIops: operations.meta(burst("readIops", 4000)).exactOptional(),
    writeBurstIops: operations.meta(burst("writeIops", 2000)).exactOptional(),
    burstSeconds: burstSeconds
      .meta(help("How long each burst may last at its rate, in seconds. Default: 1.", 30))
      .exactOptional(),
  })
  .superRefine((limits, context) => {
    const refuse = (path: string[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    for (const unit of ["BytesPerSecond", "Iops"] as const)
      for (const direction of ["read", "write"] as const)
        if (limits[`total${unit}`] !== undefined && limits[`${direction}${unit}`] !== undefined)
          refuse([`total${unit}`], `excludes ${direction}${unit}`);
    refuseBursts(limits, refuse);
    if (Object.keys(limits).length === 0) refuse([], "must have a rate; leave limits out for none");
  });
export type DiskLimits = Readonly<z.output<typeof diskLimits>>;

/** QEMU's rules, of which it reports some at the start of the guest alone. */
function refuseBursts(limits: DiskLimits, refuse: (path: string[], message: string) => void): void {
  const { burstSeconds: seconds } = limits;
  let hasBurst = false;
  for (const unit of ["BytesPerSecond", "Iops"] as const)
    for (const direction of ["total", "read", "write"] as const) {
      const [mean, field] = [`${direction}${unit}`, `${direction}Burst${unit}`] as const;
      const [least, most] = [limits[mean], limits[field]];
      if (most === undefined) continue;
      hasBurst = true;
      if (least === undefined) {
        const isTotal = direction !== "total" && limits[`total${unit}`] !== undefined;
        const wayOut = isTotal
          ? `, which total${unit} excludes: give totalBurst${unit}`
          : ": give it, or no burst";
        refuse([field], `needs ${mean}${wayOut}`);
      } else if (most < least) refuse([field], `must be at least ${mean}, which is ${least}`);
      if (most <= MOST && most * (seconds ?? DEFAULT_BURST_SECONDS) > MOST)
        refuse(["burstSeconds"], `must be at most ${Math.floor(MOST / most)} with this ${field}`);
    }
  if (seconds !== undefined && !hasBurst)
    refuse(["burstSeconds"], "needs a burst: give one, such as totalBurstIops, or no burstSeconds");
}
