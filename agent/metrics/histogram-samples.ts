import type { Distribution } from "../kernel/histogram.ts";
import { formatValue, samplePrefix, type Family } from "./family.ts";
import { Samples } from "./samples.ts";

/** Of a histogram, the first label value of a sample says which of its parts it is. */
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
    // OpenMetrics wants a bound to be a float.
    const bound = formatValue(boundsSeconds[index] ?? Infinity);
    to.add(count, ["_bucket", ...labels, /^\d+$/.test(bound) ? `${bound}.0` : bound]);
  });
  to.add(sumSeconds, ["_sum", ...labels]);
  to.add(count, ["_count", ...labels]);
}
