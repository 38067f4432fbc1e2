import type { StoredBytes } from "./foreign-disk.ts";
import { unsafe } from "./header-check.ts";

/** A gap that is read over, since a new transfer takes longer. */
const GAP_BYTES = 1024 * 1024;
/** A transfer behind another place is short, and each that continues it is twice as long. */
const PIECE_BYTES = { first: 256 * 1024, most: 64 * 1024 * 1024 };

/** Bytes of a volume from a place on, at the pace of their reader. */
export type Transfer = (at: number, length: number) => AsyncGenerator<Buffer, void, undefined>;

/** Reads a volume in few transfers if its parts are read nearly in order. */
export class VolumeBytes implements StoredBytes {
  readonly sizeBytes: number;
  readonly #open: Transfer;
  #transfer: AsyncGenerator<Buffer, void, undefined> | undefined;
  /** Pieces that were read, one behind the other, from `#at` on. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #at = 0;
  /** Where the transfer ends. */
  #endAt = 0;
  #pieceBytes: number = PIECE_BYTES.first;

  constructor(sizeBytes: number, open: Transfer) {
    this.sizeBytes = sizeBytes;
    this.#open = open;
  }

  async read(at: number, length: number): Promise<Buffer> {
    if (at < 0 || length < 0 || at + length > this.sizeBytes)
      throw new RangeError(`${length} bytes at ${at} of a file of ${this.sizeBytes}`);
    if (at < this.#at || at > this.#heldTo + GAP_BYTES) {
      await this.close();
      [this.#at, this.#endAt, this.#held, this.#heldBytes] = [at, at, [], 0];
      this.#pieceBytes = PIECE_BYTES.first;
    }
    while (this.#heldTo < at + length) await this.#fetch(at);
    this.#drop(at);
    const [first] = this.#held;
    if (first !== undefined && first.length >= length) return first.subarray(0, length);
    return Buffer.concat(this.#held, length);
  }

  get #heldTo(): number {
    return this.#at + this.#heldBytes;
  }

  async #fetch(at: number): Promise<void> {
    this.#drop(at);
    const heldTo = this.#heldTo;
    if (this.#transfer === undefined) {
      const length = Math.min(this.#pieceBytes, this.sizeBytes - heldTo);
      this.#pieceBytes = Math.min(this.#pieceBytes * 2, PIECE_BYTES.most);
      [this.#transfer, this.#endAt] = [this.#open(heldTo, length), heldTo + length];
    }
    const next = await this.#transfer.next();
    if (next.done !== true) {
      this.#held.push(next.value);
      this.#heldBytes += next.value.length;
      return;
    }
    this.#transfer = undefined;
    // The file is shorter than it was when its bytes were written.
    if (heldTo < this.#endAt) throw unsafe("its file was changed while it was read");
  }

  /** Drops the bytes before a place. */
  #drop(at: number): void {
    for (let drop = Math.min(at - this.#at, this.#heldBytes); drop > 0;) {
      const [first] = this.#held;
      if (first === undefined) return;
      const length = Math.min(drop, first.length);
      if (length === first.length) this.#held.shift();
      else this.#held[0] = first.subarray(length);
      this.#heldBytes -= length;
      this.#at += length;
      drop -= length;
    }
  }

  /** Ends the transfer. */
  async close(): Promise<void> {
    const transfer = this.#transfer;
    this.#transfer = undefined;
    await transfer?.return();
  }
}
