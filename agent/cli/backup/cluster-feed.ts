import { SocleError } from "../../kernel/errors.ts";
import { CLUSTER_BYTES } from "../../kernel/qcow2/cluster-map.ts";

/** A part of a disk, until the next one is asked for: bytes, or so many zeros. */
export interface Piece {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Absent: zeros. */
  readonly bytes?: Buffer | undefined;
}

/**
 * Whole clusters of a disk, from pieces in ascending order. What no piece covers is read from the image below, or is zero.
 * Throws `internal` EXTENTS_INVALID for pieces that overlap, or with data in a cluster that is not asked for.
 */
export class ClusterFeed {
  readonly #pieces: AsyncIterator<Piece>;
  readonly #below: ((offsetBytes: number, lengthBytes: number) => Promise<Buffer>) | undefined;
  #piece: Piece | undefined;
  #end = 0;
  /** The data below was asked for. */
  #taken = 0;

  constructor(pieces: AsyncIterable<Piece>, below?: (offset: number, length: number) => Promise<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#below = below;
  }

  async cluster(index: number): Promise<Buffer> {
    const from = index * CLUSTER_BYTES;
    const to = from + CLUSTER_BYTES;
    let made: Buffer | undefined;
    let at = from;
    let hasPiece = false;
    const gap = async (until: number): Promise<void> => {
      if (until > at && this.#below !== undefined) {
        made ??= Buffer.alloc(CLUSTER_BYTES);
        (await this.#below(at, until - at)).copy(made, at - from);
      }
      at = until;
    };
    for (;;) {
      const piece = await this.#after(from);
      if (piece === undefined || piece.offsetBytes >= to) break;
      hasPiece = true;
      const start = Math.max(piece.offsetBytes, from);
      const end = Math.min(piece.offsetBytes + piece.lengthBytes, to);
      const bytes = piece.bytes?.subarray(start - piece.offsetBytes, end - piece.offsetBytes);
      if (bytes?.length === CLUSTER_BYTES) {
        this.#taken = to;
        return bytes;
      }
      await gap(start);
      if (bytes !== undefined) {
        made ??= Buffer.alloc(CLUSTER_BYTES);
        bytes.copy(made, start - from);
      }
      at = end;
      if (end === to) break;
      this.#piece = undefined;
    }
    if (!hasPiece) throw invalid(`no bytes at ${from}, which an extent announced`);
    await gap(to);
    this.#taken = to;
    return made ?? Buffer.alloc(CLUSTER_BYTES);
  }

  /** Reads the rest, which must be zeros. */
  async finish(): Promise<void> {
    while ((await this.#after(Number.MAX_SAFE_INTEGER)) !== undefined) this.#piece = undefined;
  }

  /** Ends the pieces before they are all read. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** The first piece that ends after this offset. */
  async #after(offset: number): Promise<Piece | undefined> {
    for (;;) {
      const piece = (this.#piece ??= await this.#next());
      if (piece === undefined) return undefined;
      const end = piece.offsetBytes + piece.lengthBytes;
      const isLeftOut = Math.max(piece.offsetBytes, this.#taken) < Math.min(end, offset);
      if (piece.bytes !== undefined && isLeftOut)
        throw invalid(`data at ${piece.offsetBytes} that no extent announced`);
      if (end > offset) return piece;
      this.#piece = undefined;
    }
  }

  async #next(): Promise<Piece | undefined> {
    const next = await this.#pieces.next();
    if (next.done === true) return undefined;
    const { offsetBytes, lengthBytes } = next.value;
    if (offsetBytes < this.#end || lengthBytes <= 0)
      throw invalid(`a part at ${offsetBytes} that overlaps another`);
    this.#end = offsetBytes + lengthBytes;
    return next.value;
  }
}

const invalid = (what: string): SocleError =>
  new SocleError(
    "internal",
    "EXTENTS_INVALID",
    `the host sent ${what}: report this, and back up again with --full`,
  );
