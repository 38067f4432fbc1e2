import { formatOf } from "./spec-volume-name.ts";

/** As libvirt describes it. */
interface DescribedVolume {
  readonly name: string;
  /** file, block, ... */
  readonly type?: string;
  /** As libvirt probed it. */
  readonly format?: string;
  readonly capacityBytes: number;
  readonly physicalBytes?: number;
  readonly backing?: { readonly path: string };
}

/** What libvirt may find in a file whose name means another format, without that it is suspicious. */
const plain: Readonly<Record<ReturnType<typeof formatOf>, ReadonlySet<string>>> = {
  // An ISO image is raw bytes, and libvirt knows no reference in it.
  raw: new Set(["raw", "iso"]),
  // A creation that was interrupted leaves a file without a header.
  qcow2: new Set(["qcow2", "raw"]),
};

/** A volume as its name allows to read it. */
export interface NamedVolume {
  readonly capacityBytes: number;
  /** The path of its backing image. */
  readonly backing: string | undefined;
  /** The format that libvirt found in place of the one that the name means. */
  readonly suspicious: string | undefined;
  /** libvirt found what the name means. */
  readonly isAsNamed: boolean;
}

/**
 * libvirt probes the first bytes of each file, and a guest or the author of an image writes those. So libvirt is believed
 * where the name means the format that it found; else the file is so many bytes, and no overlay of anything.
 */
export function asNamed({
  name,
  type,
  format,
  capacityBytes,
  physicalBytes,
  backing,
}: DescribedVolume): NamedVolume {
  const named = formatOf(name);
  // Block devices have a size of their own, and libvirt probes no image format on them.
  const isFile = type === undefined || type === "file";
  const isOverlayFormat = named === "qcow2" && format === "qcow2";
  // No guest writes to a file with the name of such a format, and an import reads it as that.
  const isForeign = named === "raw" && name.endsWith(`.${format}`);
  const isSuspicious = isFile && format !== undefined && !isForeign && !plain[named].has(format);
  return {
    capacityBytes: isFile && !isOverlayFormat ? (physicalBytes ?? capacityBytes) : capacityBytes,
    backing: isOverlayFormat ? backing?.path : undefined,
    suspicious: isSuspicious ? format : undefined,
    isAsNamed: named === "raw" ? !isSuspicious : isOverlayFormat,
  };
}
