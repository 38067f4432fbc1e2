import { defined } from "../../kernel/defined.ts";
/** References to other files in a qcow2 image: QEMU opens all of them. */
interface Qcow2Header {
  /** The guest's data is in another file. */
  readonly hasDataFile: boolean;
  /** The backing file as written in the header; `format` is absent if the header has none. */
  readonly backing?: { readonly file: string; readonly format?: string };
}

/** Number of bytes to read: all references of the header are within them. */
export const HEADER_BYTES = 64 * 1024;

const MAGIC = 0x514649fb;
/** Length of the header before version 3, which has no features. */
const v2Bytes = 72;
const incompatibleAt = 72;
const headerLengthAt = 100;
/** Bit 2 of the incompatible features. */
const externalData = 0b100n;
const extension = { end: 0, backingFormat: 0xe2792aca } as const;

/**
 * Parses an image's first bytes, by QEMU's docs/interop/qcow2.txt. Undefined for bytes that QEMU does not accept as
 * qcow2. Throws a RangeError for a header that no program writes: two readers must not interpret one header
 * differently.
 */
export function readQcow2Header(bytes: Buffer): Qcow2Header | undefined {
  if (bytes.length < v2Bytes || bytes.readUInt32BE(0) !== MAGIC) return undefined;
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) return undefined;
  const headerBytes = version === 2 ? v2Bytes : bytes.readUInt32BE(headerLengthAt);
  const nameAt = Number(bytes.readBigUInt64BE(8));
  const nameBytes = bytes.readUInt32BE(16);
  const hasDataFile = version === 3 && (bytes.readBigUInt64BE(incompatibleAt) & externalData) !== 0n;
  if (nameAt === 0) return { hasDataFile };
  const nameEnd = nameAt + nameBytes;
  if (nameAt < headerBytes || nameEnd > bytes.length) throw new RangeError("a name outside of the header");
  const file = bytes.toString("latin1", nameAt, nameEnd);
  const format = backingFormat(bytes.subarray(headerBytes, nameAt));
  return { hasDataFile, backing: defined({ file, format }) };
}

/** Extensions are a type and a length of four bytes each, then the data, padded to a multiple of eight. */
function backingFormat(extensions: Buffer): string | undefined {
  let format: string | undefined;
  for (let at = 0; at + 8 <= extensions.length;) {
    const [type, length] = [extensions.readUInt32BE(at), extensions.readUInt32BE(at + 4)];
    if (type === extension.end) break;
    const [start, end] = [at + 8, at + 8 + length];
    if (end > extensions.length) throw new RangeError("an unterminated extension");
    if (type === extension.backingFormat) {
      if (format !== undefined) throw new RangeError("two formats of one backing file");
      format = extensions.toString("latin1", start, end);
    }
    at = start + Math.ceil(length / 8) * 8;
  }
  return format;
}
