import type { FileHandle } from "node:fs/promises";

const PIECE_BYTES = 1024 * 1024;
const MOST_PIECES = 4;

interface Passed {
  readonly buffer: Buffer;
  readonly done: Promise<unknown>;
}

/** Writes a file from its start: gathers what is added, and writes some pieces while the next is gathered. */
export class PieceWriter {
  readonly #handle: FileHandle;
  readonly #alsoRead: (piece: Buffer) => Promise<void>;
  /** In their order. */
  readonly #passed: Passed[] = [];
  #gathered = newPiece();
  #length = 0;
  #position = 0;

  /** `alsoRead` gets each piece, in shared memory, and may read it until it resolves. */
  constructor(handle: FileHandle, alsoRead: (piece: Buffer) => Promise<void> = () => Promise.resolve()) {
    this.#handle = handle;
    this.#alsoRead = alsoRead;
  }

  get sizeBytes(): number {
    return this.#position + this.#length;
  }

  /** Resolves once no write is under way, whatever its outcome. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#passed.map(({ done }) => done));
  }

  /** The chunk may change once it resolves. Throws the error of an earlier write. */
  async add(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const count = chunk.copy(this.#gathered, this.#length, at);
      at += count;
      this.#length += count;
      if (this.#length < PIECE_BYTES) return;
      this.#pass();
      this.#gathered = this.#passed.length < MOST_PIECES ? newPiece() : await this.#first();
    }
  }

  /** Resolves once all is written. */
  async end(): Promise<void> {
    this.#pass();
    while (this.#passed.length > 0) await this.#first();
  }

  #pass(): void {
    const piece = this.#gathered.subarray(0, this.#length);
    const done = Promise.all([this.#write(piece, this.#position), this.#alsoRead(piece)]);
    // It is awaited later.
    done.catch(() => undefined);
    this.#passed.push({ buffer: this.#gathered, done });
    this.#position += this.#length;
    this.#length = 0;
  }

  /** The first of the pieces that were passed on, once it can be filled again. */
  async #first(): Promise<Buffer> {
    const [first] = this.#passed;
    if (first === undefined) return newPiece();
    await first.done;
    this.#passed.shift();
    return first.buffer;
  }

  async #write(piece: Buffer, position: number): Promise<void> {
    for (let at = 0; at < piece.length;)
      at += (await this.#handle.write(piece, at, piece.length - at, position + at)).bytesWritten;
  }
}

const newPiece = (): Buffer => Buffer.from(new SharedArrayBuffer(PIECE_BYTES));
