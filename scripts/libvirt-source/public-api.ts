/**
 * The release that brought each public function, by `keyOf` its name without "vir", from libvirt's symbol files
 * (libvirt_public.syms, libvirt_qemu.syms).
 */
export function releasesOfFunctions(symbols: string): Map<string, string> {
  const releases = new Map<string, string>();
  for (const [, release = "", body = ""] of symbols.matchAll(
    /^LIBVIRT_(?:[A-Z]+_)?(\d+\.\d+\.\d+) \{([^}]*)\}/gm,
  )) {
    for (const [, name = ""] of body.matchAll(/\bvir(\w+);/g)) {
      releases.set(keyOf(name.replace("Qemu", "")), release);
    }
  }
  return releases;
}

/** The same for `DOMAIN_CREATE_XML` and `DomainCreateXML`. */
export function keyOf(name: string): string {
  return name.replaceAll("_", "").toUpperCase();
}

/** Negative if `a` is the older release. */
export function compareReleases(a: string, b: string): number {
  const [left, right] = [a, b].map((release) => release.split(".").map(Number));
  const difference = left?.map((part, i) => part - (right?.[i] ?? 0)).find((part) => part !== 0);
  return difference ?? 0;
}
