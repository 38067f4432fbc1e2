import { SocleError } from "../../kernel/errors.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { formatsSeenIn } from "../storage/image-magic.ts";
import { readQcow2Header } from "../storage/qcow2-header.ts";
import { foreignFormats, type ForeignFormat, type ImageFormat } from "./image.ts";

/** Positions in a qcow2 header, by QEMU's docs/interop/qcow2.txt. */
const at = {
  version: 4,
  clusterBits: 20,
  capacity: 24,
  encryption: 32,
  l1Entries: 36,
  snapshots: 60,
  incompatible: 72,
};
const CORRUPT = 0b10n;
/** QEMU's limits: 512 B to 2 MiB, and a first-level table of 32 MiB. */
const CLUSTER_BITS = { least: 9, most: 21 };
const MOST_L1_ENTRIES = (32 * 1024 * 1024) / 8;

/** Of the disk in an image. */
export const MOST_CAPACITY_BYTES = 2 ** 44;
/**
 * Judges an image by its first bytes (`HEADER_BYTES` of them, or all), before any of them reaches a pool: libvirt and QEMU open the
 * files that a header names. Returns the capacity that a qcow2 header declares. Throws `denied` IMAGE_UNSAFE, `invalid`
 * IMAGE_FORMAT_MISMATCH.
 */
export function requireSafeHeader(head: Buffer, format: ImageFormat): number | undefined {
  requireNoOtherFormat(head, format);
  if (format === "raw") return undefined;
  const header = parsed(head);
  if (header === undefined)
    throw mismatch("the image does not begin as a qcow2 image: name its format, or convert it");
  const { hasDataFile, backing } = header;
  if (backing !== undefined)
    throw unsafe("it is an overlay of another file; flatten it first (qemu-img convert)");
  if (hasDataFile) throw unsafe("its data is in another file; convert it first (qemu-img convert)");
  if (head.readUInt32BE(at.encryption) !== 0)
    throw unsafe("it is encrypted; decrypt it first (qemu-img convert)");
  const isLater = head.readUInt32BE(at.version) === 3;
  if (isLater && (head.readBigUInt64BE(at.incompatible) & CORRUPT) !== 0n)
    throw unsafe("its header marks it as corrupt; repair it first (qemu-img check -r all)");
  const clusterBits = head.readUInt32BE(at.clusterBits);
  const capacity = head.readBigUInt64BE(at.capacity);
  if (clusterBits < CLUSTER_BITS.least || clusterBits > CLUSTER_BITS.most)
    throw unsafe(`its header has the cluster size 2^${clusterBits}`);
  if (capacity === 0n || capacity > BigInt(MOST_CAPACITY_BYTES))
    throw unsafe(`its disk has ${capacity} bytes; an image's disk has 1 byte to 16 TiB`);
  if (head.readUInt32BE(at.l1Entries) > MOST_L1_ENTRIES)
    throw unsafe("its header has a table of absurd size");
  if (head.readUInt32BE(at.snapshots) !== 0)
    throw unsafe("it has internal snapshots; convert it first (qemu-img convert)");
  return Number(capacity);
}

/** Throws `invalid` IMAGE_FORMAT_MISMATCH for bytes in which another program may see another format than the named one. */
export function requireNoOtherFormat(head: Buffer, format: ImageFormat | ForeignFormat): void {
  const name = formatsSeenIn(head).find((seen) => seen !== format);
  if (name === undefined) return;
  throw mismatch(
    `the image begins as a ${name} image, not as ${format}: ` +
      (["qcow2", ...foreignFormats].includes(name)
        ? `import it with the format ${name}`
        : "convert it first (qemu-img convert -O qcow2)"),
  );
}

function parsed(head: Buffer): ReturnType<typeof readQcow2Header> {
  try {
    return readQcow2Header(head);
  } catch (cause) {
    if (cause instanceof RangeError) throw unsafe(`it has ${cause.message}`);
    throw cause;
  }
}

export const unsafe = (why: string): SocleError =>
  new SocleError("denied", "IMAGE_UNSAFE", `the image is refused: ${why}`);

/** `why`: what sets the limit. */
export const tooLarge = (sizeBytes: number, mostBytes: number, why = "images.maxBytes"): SocleError =>
  new SocleError(
    "invalid",
    "IMAGE_TOO_LARGE",
    `the image has ${formatExactBytes(sizeBytes)}, and this host imports at most ${formatExactBytes(mostBytes)} (${why})`,
  );

export const mismatch = (message: string): SocleError =>
  new SocleError("invalid", "IMAGE_FORMAT_MISMATCH", message);
