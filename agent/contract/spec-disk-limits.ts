import * as z from "../kernel/zod.ts";
import { KIB } from "./spec-values.ts";

const help = (description: string, example: string | number) => ({ description, examples: [example] });

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

/** Limits of a disk's input and output, in a second in the mean. A rate of both directions excludes those of one. */
export const diskLimits = z
  .strictObject({
    totalBytesPerSecond: rate.meta(help("What is read and written together.", "200MiB")).exactOptional(),
    readBytesPerSecond: rate.meta(help("What is read.", "100MiB")).exactOptional(),
    writeBytesPerSecond: rate.meta(help("What is written.", "50MiB")).exactOptional(),
    totalIops: operations.meta(help("Reads and writes together.", 2000)).exactOptional(),
    readIops: operations.meta(help("Reads.", 1000)).exactOptional(),
    writeIops: operations.meta(help("Writes.", 500)).exactOptional(),
  })
  .superRefine((limits, context) => {
    const refuse = (path: string[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    for (const unit of ["BytesPerSecond", "Iops"] as const)
      for (const direction of ["read", "write"] as const)
        if (limits[`total${unit}`] !== undefined && limits[`${direction}${unit}`] !== undefined)
          refuse([`total${unit}`], `excludes ${direction}${unit}`);
    if (Object.keys(limits).length === 0) refuse([], "must have a rate; leave limits out for none");
  });
export type DiskLimits = Readonly<z.output<typeof diskLimits>>;
