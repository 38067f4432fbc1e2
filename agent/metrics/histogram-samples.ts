import type { Distribution } from "../kernel/histogram.ts";
import { formatValue, samplePrefix, type Family } from "./family.ts";
import { Samples } from "./samples.ts";

/** For a histogram, the first label value names the part of the sample. */
export function samplesOf(family: Family): Samples {
  if (family.kind !== "histogram") return new Samples(family);
  const { name, labels } = family;
  return new Samples(family, {
    prefixOf: ([part, ...values]) =>
      samplePrefix(`${name}${part ?? ""}`, part === "_bucket" ? [...labels, "le"] : labels, values),
    width: labels.length + 2,
  });
}

export function addDistribution(
  to: Samples,
  value: Distribution | undefined,
  labels: readonly (string | number)[],
): void {
  if (value === undefined) return;
  const { boundsSeconds, counts, sumSeconds } = value;
  let count = 0;
  counts.forEach((inBucket, index) => {
    count += inBucket;
    to.add(count, ["_bucket", ...labels, boundText(boundsSeconds[index] ?? Infinity)]);
  });
  to.add(sumSeconds, ["_sum", ...labels]);
  to.add(count, ["_count", ...labels]);
}

/** A bound as the value of `le`: OpenMetrics requires a float. */
export function boundText(bound: number): string {
  const text = formatValue(bound);
  return /^\d+$/.test(text) ? `${text}.0` : text;
}
