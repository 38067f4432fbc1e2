/** The images of a host from independent sources, once no operation is under way. */
export interface ImagesSeen {
  /** ListImages: the digest by volume. */
  readonly published: ReadonlyMap<string, string>;
  /** The digests of the data volumes in the pool's directory, by volume. */
  readonly files: ReadonlyMap<string, string>;
  /** The manifests in the pool's directory. */
  readonly manifests: readonly string[];
  /** The base of each VM's disk, as qemu-img reads it. */
  readonly bases: ReadonlyMap<string, string>;
  /** The digests that publishers named for safe bytes. */
  readonly verified: ReadonlySet<string>;
}

/** The broken promises; none if all is well. */
export function broken({ published, files, manifests, bases, verified }: ImagesSeen): string[] {
  const found: string[] = [];
  for (const [volume, sha256] of published) {
    const file = files.get(volume);
    if (file === undefined) found.push(`image ${volume} is listed and has no file`);
    else if (file !== sha256) found.push(`image ${volume} is listed with ${sha256}, its file has ${file}`);
    if (!verified.has(sha256)) found.push(`image ${volume} is listed, and its digest is of no safe image`);
  }
  for (const [disk, base] of bases) {
    const file = files.get(base);
    if (file === undefined) found.push(`disk ${disk} is over ${base}, which is deleted`);
    else if (!verified.has(file)) found.push(`disk ${disk} is over ${base}, which was not verified`);
  }
  const left = [...files.keys(), ...manifests].filter((name) => !published.has(dataOf(name, published)));
  if (left.length > 0) found.push(`left over: ${left.sort().join(" ")}`);
  return found;
}

/** The published data volume that a file belongs to: a manifest has the name of its image. */
function dataOf(name: string, published: ReadonlyMap<string, string>): string {
  if (!name.endsWith(".json")) return name;
  const stem = name.slice(0, -".json".length);
  return [...published.keys()].find((volume) => volume.startsWith(`${stem}.`)) ?? name;
}
