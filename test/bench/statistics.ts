export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Interpolated between the two nearest values; 0.5 is the median. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) throw new Error("nothing was measured");
  return low + (high - low) * (at - Math.floor(at));
}

/** The duration of `work`, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
