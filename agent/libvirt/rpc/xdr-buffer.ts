/** VIR_NET_MESSAGE_MAX of libvirt's virnetprotocol.x: a whole frame, its length word not counted. */
export const MESSAGE_MAX_BYTES = 32 * 1024 * 1024;

/** A value that does not fit its codec, or bytes that do not decode. `path` is the path of the field. */
export class XdrError extends Error {
  readonly path: string;
  readonly problem: string;

  constructor(problem: string, path = "") {
    super(path === "" ? problem : `${path}: ${problem}`);
    this.name = "XdrError";
    this.problem = problem;
    this.path = path;
  }

  static within(name: string, thrown: unknown): unknown {
    if (!(thrown instanceof XdrError)) return thrown;
    const separator = thrown.path === "" || thrown.path.startsWith("[") ? "" : ".";
    return new XdrError(thrown.problem, `${name}${separator}${thrown.path}`);
  }
}

/** Small results are copied out of the writer, larger ones handed over with its buffer. */
const COPIED_BYTES = 16 * 1024;

/** Appends to one buffer that grows as needed. */
export class XdrWriter {
  readonly #initialBytes: number;
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 1024) {
    this.#initialBytes = initialBytes;
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Forgets what was written from `length` on. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** What was written, for the caller to keep; the writer is empty afterwards. */
  take(): Buffer {
    const length = this.#length;
    this.#length = 0;
    if (length <= COPIED_BYTES) {
      const out = Buffer.allocUnsafe(length);
      this.#buffer.copy(out, 0, 0, length);
      return out;
    }
    const out = this.#buffer.subarray(0, length);
    this.#buffer = Buffer.allocUnsafeSlow(this.#initialBytes);
    return out;
  }

  uint(value: number): void {
    const at = this.#grow(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  int(value: number): void {
    const at = this.#grow(4);
    this.#buffer.writeInt32BE(value, at);
  }

  uint64(value: bigint): void {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64BE(value, at);
  }

  double(value: number): void {
    const at = this.#grow(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** Raw bytes and the zeros up to the next multiple of four. */
  bytes(value: Uint8Array): void {
    const at = this.#grow(padded(value.byteLength));
    this.#buffer.set(value, at);
    this.#buffer.fill(0, at + value.byteLength, this.#length);
  }

  /** UTF-8 of `text`, which takes `byteLength` bytes, padded. */
  utf8(text: string, byteLength: number): void {
    const at = this.#grow(padded(byteLength));
    this.#buffer.write(text, at, byteLength, "utf8");
    this.#buffer.fill(0, at + byteLength, this.#length);
  }

  /** Overwrites the word at `offset`, e.g. a length that is known only at the end. */
  patchUint(offset: number, value: number): void {
    this.#buffer.writeUInt32BE(value, offset);
  }

  #grow(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#buffer.length) {
      if (needed > MESSAGE_MAX_BYTES + 4) {
        throw new XdrError(`the message would be larger than libvirt's limit of ${MESSAGE_MAX_BYTES} bytes`);
      }
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}

const NAME_MAX_BYTES = 64;
/** A power of two. A name that finds its place taken by another takes it over. */
const KNOWN_NAMES = 1024;
const knownNames: (string | undefined)[] = new Array<string | undefined>(KNOWN_NAMES).fill(undefined);
// oxlint-disable-next-line no-control-regex -- all of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/;

/** Reads one buffer from front to end. Byte fields are copied out; the buffer may be used again afterwards. */
export class XdrReader {
  readonly #buffer: Buffer;
  #at: number;
  readonly #end: number;

  constructor(buffer: Buffer, start = 0, end: number = buffer.length) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  uint(): number {
    return this.#buffer.readUInt32BE(this.#take(4));
  }

  int(): number {
    return this.#buffer.readInt32BE(this.#take(4));
  }

  hyper(): number {
    const at = this.#take(8);
    return this.#buffer.readInt32BE(at) * 4294967296 + this.#buffer.readUInt32BE(at + 4);
  }

  uhyper(): number {
    const at = this.#take(8);
    return this.#buffer.readUInt32BE(at) * 4294967296 + this.#buffer.readUInt32BE(at + 4);
  }

  double(): number {
    return this.#buffer.readDoubleBE(this.#take(8));
  }

  bytes(length: number): Buffer {
    const at = this.#take(padded(length));
    return Buffer.from(this.#buffer.subarray(at, at + length));
  }

  /** A copy of all that is left. */
  rest(): Buffer {
    const start = this.#at;
    this.#at = this.#end;
    return Buffer.from(this.#buffer.subarray(start, this.#end));
  }

  utf8(length: number): string {
    const at = this.#take(padded(length));
    return this.#buffer.toString("utf8", at, at + length);
  }

  /** As utf8(), for text that comes again and again: the string that was made of the same bytes before, where it is known. */
  name(length: number): string {
    if (length > NAME_MAX_BYTES) return this.utf8(length);
    const at = this.#take(padded(length));
    let hash = length;
    for (let i = at; i < at + length; i += 1) hash = (Math.imul(hash, 31) + (this.#buffer[i] ?? 0)) | 0;
    const place = hash & (KNOWN_NAMES - 1);
    const known = knownNames[place];
    if (known?.length === length) {
      let i = 0;
      while (i < length && known.charCodeAt(i) === this.#buffer[at + i]) i += 1;
      if (i === length) return known;
    }
    const name = this.#buffer.toString("utf8", at, at + length);
    // One character a byte: only ASCII is the same in both.
    if (ASCII.test(name)) knownNames[place] = name;
    return name;
  }

  hex(length: number): string {
    const at = this.#take(padded(length));
    return this.#buffer.toString("hex", at, at + length);
  }

  /** Throws when bytes are left over. */
  finish(): void {
    if (this.remaining > 0) throw new XdrError(`${this.remaining} bytes are left over at the end`);
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#end - at) {
      throw new XdrError(`${bytes} bytes are needed and ${this.#end - at} are left`);
    }
    this.#at = at + bytes;
    return at;
  }
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
