// libvirt's scaled integers (virScaleInteger in virutil.c): "b"/"bytes", then K, M, G, T, P, E alone or with "iB" are
// powers of 1024, with "B" powers of 1000. Case does not matter.
const powers = "kmgtpe";

/** How many bytes one of `unit` is; undefined for a unit that libvirt does not know. */
export function bytesPerUnit(unit: string): number | undefined {
  const lower = unit.toLowerCase();
  if (lower === "b" || lower === "byte" || lower === "bytes" || lower === "") return 1;
  const power = powers.indexOf(lower.charAt(0)) + 1;
  if (power === 0) return undefined;
  const suffix = lower.slice(1);
  if (suffix === "" || suffix === "ib") return 1024 ** power;
  if (suffix === "b") return 1000 ** power;
  return undefined;
}
