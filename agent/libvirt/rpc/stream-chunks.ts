/** VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX: the most stream data that every daemon sends or takes in one message. */
export const STREAM_MESSAGE_MAX_BYTES = 262120;

const SLAB_BYTES = 1024 * 1024;
/** Least free space for a read. */
const READ_BYTES = 128 * 1024;
/** Smaller chunks are copied: a few bytes of a console must not keep a slab in memory. */
const COPIED_BYTES = 8 * 1024;
/** Parts up to this size are moved behind their chunk. */
const MOVED_BYTES = 4 * 1024;

/**
 * Makes chunks of a stream's data without a copy: the socket reads into slabs, and a chunk is the part of a slab with the
 * data of a message. Memory of a slab is reused only where it is not part of a chunk.
 *
 * A message of full length is followed by another one, so its chunk may wait for that: libvirtd reads volumes in
 * 262,144 bytes and sends each in a message of full length and one of 24 bytes, which become one chunk.
 */
export class StreamChunks {
  readonly #onChunk: (chunk: Buffer) => void;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Behind the last chunk of the slab that was handed over. */
  #keptEnd = 0;
  #chunk: Buffer | undefined;
  #messageBytes = 0;

  /** The receiver owns the chunks. */
  constructor(onChunk: (chunk: Buffer) => void) {
    this.#onChunk = onChunk;
  }

  /** Buffer for the socket's next read. */
  next(): Buffer {
    const at = this.#chunk === undefined ? this.#keptEnd : this.#endOf(this.#chunk);
    if (SLAB_BYTES - at >= READ_BYTES) return this.#slab.subarray(at);
    this.flush();
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#keptEnd = 0;
    return this.#slab;
  }

  /** Adds data of the last read; `leftBytes` of its message follow. */
  add(part: Buffer, leftBytes: number): void {
    if (!this.#join(part)) {
      this.flush();
      this.#chunk = part;
    }
    this.#messageBytes += part.length;
    if (leftBytes > 0) return;
    if (this.#messageBytes < STREAM_MESSAGE_MAX_BYTES) this.flush();
    this.#messageBytes = 0;
  }

  /** Passes the pending chunk on: another kind of message follows, or none. */
  flush(): void {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    this.#chunk = undefined;
    if (chunk.length >= COPIED_BYTES) this.#keptEnd = this.#endOf(chunk);
    this.#onChunk(chunk.length < COPIED_BYTES ? Buffer.from(chunk) : chunk);
  }

  /** Whether the part now is part of the chunk. */
  #join(part: Buffer): boolean {
    const chunk = this.#chunk;
    if (chunk === undefined) return false;
    const start = chunk.byteOffset;
    const end = start + chunk.length;
    if (part.byteOffset !== end) {
      if (part.length > MOVED_BYTES) return false;
      this.#slab.copyWithin(end, part.byteOffset, part.byteOffset + part.length);
    }
    this.#chunk = this.#slab.subarray(start, end + part.length);
    return true;
  }

  /** A slab begins at its ArrayBuffer. */
  #endOf(chunk: Buffer): number {
    return chunk.byteOffset + chunk.length;
  }
}
