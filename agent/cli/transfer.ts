import type { Operation__Output } from "../gen/socle/v1/Operation.ts";
import { formatBytes, formatDuration } from "./format.ts";

/** "1.5 GiB of 3 GiB, 85 MiB/s, 18s left"; empty for an operation that copies nothing now. */
export function transferText({ transfer }: Pick<Operation__Output, "transfer">): string {
  if (transfer === null) return "";
  const { doneBytes, totalBytes, bytesPerSecond } = transfer;
  const done = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  if (bytesPerSecond < 1) return done;
  const leftMs = (Math.max(0, totalBytes - doneBytes) / bytesPerSecond) * 1000;
  return `${done}, ${formatBytes(Math.round(bytesPerSecond))}/s, ${formatDuration(leftMs)} left`;
}
