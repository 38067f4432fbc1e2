import { connect, type Socket } from "node:net";
import { abortReason } from "../clock.ts";
import { SocleError } from "../errors.ts";
import {
  broken,
  bytesAnswer,
  disconnectRequest,
  MOST_STATUS_BYTES,
  negotiate,
  readChunk,
  readRequest,
  runsAnswer,
  statusRequest,
  type Answer,
  type BlockRuns,
  type Bytes,
  type ByteSource,
  type Export,
  type Range,
} from "./nbd-wire.ts";

/** How long the server may take for its next bytes while an answer is due. */
const ANSWER_WITHIN_MS = 30_000;
/** Reads in flight: the next ones while the caller takes the last. */
const READS_AHEAD = 4;
/** Of the buffer for what is short, as the heads of answers. */
const SHORT_BYTES = 32 * 1024;

/** A range of a disk that a backup has. `zero`: all its bytes are zeros. */
export interface Extent extends Range {
  readonly zero: boolean;
}

/** The bytes of a range, which are valid until the next piece is asked for; `bytes` undefined: all are zeros. */
export interface Piece extends Range {
  readonly bytes: Bytes;
}

interface Where {
  readonly socket: string;
  readonly exportName: string;
  /** The bitmap of changes: only they are extents. Absent: all that has data is. */
  readonly changes?: string | undefined;
  /** The most bytes of a piece, up to MOST_READ_BYTES: with large ones QEMU and the reader wait less for each other. */
  readonly pieceBytes: number;
}

/** One connection to the export of a disk. */
export class NbdReader {
  readonly #source: SocketBytes;
  readonly #answers = new Map<number, Answer>();
  readonly #export: Export;
  readonly #pieceBytes: number;
  /** Buffers of past pieces: new ones for each would keep the garbage collector busy. */
  readonly #spare: Buffer[] = [];
  #cookie = 0;
  #failure: SocleError | undefined;

  private constructor(source: SocketBytes, found: Export, pieceBytes: number) {
    this.#source = source;
    this.#export = found;
    this.#pieceBytes = pieceBytes;
    void this.#follow();
  }

  /** Throws `unavailable` BACKUP_READ_FAILED, and the signal's reason. */
  static async open(
    { socket: path, exportName, changes, pieceBytes }: Where,
    signal: AbortSignal,
  ): Promise<NbdReader> {
    const source = new SocketBytes(path, signal);
    try {
      const found = await negotiate(source, (bytes) => source.send(bytes), { name: exportName, changes });
      return new NbdReader(source, found, pieceBytes);
    } catch (thrown) {
      source.close();
      throw thrown;
    }
  }

  get sizeBytes(): number {
    return this.#export.sizeBytes;
  }

  close(): void {
    this.#source.send(disconnectRequest());
    this.#source.close();
  }

  /** The extents from an offset on, by offset, neighbours merged. */
  async *extents(offsetBytes: number): AsyncGenerator<Extent, void, undefined> {
    let last: Extent | undefined;
    for (let at = offsetBytes; at < this.sizeBytes;) {
      const lengthBytes = Math.min(MOST_STATUS_BYTES, this.sizeBytes - at);
      const { zero, changed } = await this.#runs({ offsetBytes: at, lengthBytes });
      for (const { lengthBytes: length, isZero, isPart } of zipped(zero, changed)) {
        if (isPart) {
          const isNext = last?.zero === isZero && last.offsetBytes + last.lengthBytes === at;
          if (last !== undefined && isNext && last.lengthBytes < MOST_STATUS_BYTES)
            last = { ...last, lengthBytes: last.lengthBytes + length };
          else {
            if (last !== undefined) yield last;
            last = { offsetBytes: at, lengthBytes: length, zero: isZero };
          }
        }
        at += length;
      }
    }
    if (last !== undefined) yield last;
  }

  /** The bytes of the extents, read some ahead. */
  async *pieces(offsetBytes: number): AsyncGenerator<Piece, void, undefined> {
    const ahead: { readonly range: Range; readonly buffer: Buffer; readonly bytes: Promise<Bytes> }[] = [];
    const spare = this.#spare;
    const next = async function* (): AsyncGenerator<Piece, void, undefined> {
      const first = ahead.shift();
      if (first === undefined) return;
      yield { ...first.range, bytes: await first.bytes };
      spare.push(first.buffer);
    };
    for await (const extent of this.extents(offsetBytes)) {
      if (extent.zero) {
        while (ahead.length > 0) yield* next();
        yield { offsetBytes: extent.offsetBytes, lengthBytes: extent.lengthBytes, bytes: undefined };
        continue;
      }
      for (const range of split(extent, this.#pieceBytes)) {
        const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(this.#pieceBytes);
        const bytes = this.#read(range, buffer.subarray(0, range.lengthBytes));
        // It is awaited later.
        bytes.catch(() => undefined);
        ahead.push({ range, buffer, bytes });
        if (ahead.length >= READS_AHEAD) yield* next();
      }
    }
    while (ahead.length > 0) yield* next();
  }

  async #runs(range: Range): Promise<BlockRuns> {
    return await this.#ask<BlockRuns>(
      (cookie) => statusRequest(cookie, range),
      (resolve, reject) => runsAnswer(range, this.#export, resolve, reject),
    );
  }

  async #read(range: Range, into: Buffer): Promise<Bytes> {
    return await this.#ask<Bytes>(
      (cookie) => readRequest(cookie, range),
      (resolve, reject) => bytesAnswer(range, into, resolve, reject),
    );
  }

  #ask<T>(
    requestOf: (cookie: number) => Buffer,
    answerOf: (resolve: (value: T) => void, reject: (error: Error) => void) => Answer,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#cookie += 1;
      this.#answers.set(this.#cookie, answerOf(resolve, reject));
      this.#source.send(requestOf(this.#cookie));
      this.#source.wake();
    });
  }

  async #follow(): Promise<void> {
    try {
      for (;;) {
        await this.#source.until(() => this.#answers.size > 0);
        await readChunk(this.#source, this.#answers);
      }
    } catch (thrown) {
      this.#failure = thrown instanceof SocleError ? thrown : broken("the connection ended", thrown);
      this.#source.close();
      for (const answer of this.#answers.values()) answer.fail(this.#failure);
      this.#answers.clear();
    }
  }
}

interface Wanted {
  readonly into: Buffer;
  at: number;
}

/**
 * A socket's bytes on demand: what is not taken stays with the sender. Long ones are read into their place, short ones into
 * two buffers in turns: the socket has the one while the other has bytes.
 */
class SocketBytes implements ByteSource {
  readonly #socket: Socket;
  readonly #short = [Buffer.allocUnsafeSlow(SHORT_BYTES), Buffer.allocUnsafeSlow(SHORT_BYTES)] as const;
  #turn: 0 | 1 = 0;
  /** Read, and not taken yet. */
  #left = Buffer.alloc(0);
  #wanted: Wanted | undefined;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(path: string, signal: AbortSignal) {
    const onread = {
      buffer: () => this.#place(),
      callback: (count: number, buffer: Uint8Array) => this.#arrived(count, buffer),
    };
    this.#socket = connect({ path, onread });
    const end = (error: Error): void => {
      this.#failure ??= error;
      this.#wake();
    };
    this.#socket.on("error", (error) => end(broken(error.message, error)));
    this.#socket.on("close", () => {
      signal.removeEventListener("abort", onAbort);
      end(broken("the connection was closed"));
    });
    const onAbort = (): void => {
      end(abortReason(signal));
      this.#socket.destroy();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  }

  send(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  wake(): void {
    this.#wake();
  }

  async until(is: () => boolean): Promise<void> {
    while (!is()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async take(count: number, into = Buffer.allocUnsafe(count)): Promise<Buffer> {
    const wanted = { into, at: 0 };
    this.#wanted = wanted;
    this.#pass();
    if (wanted.at === count) return into;
    const timer = setTimeout(() => {
      this.#failure ??= broken(`it has not answered within ${ANSWER_WITHIN_MS / 1000} s`);
      this.#wake();
    }, ANSWER_WITHIN_MS);
    this.#socket.resume();
    try {
      await this.until(() => wanted.at === count);
      return into;
    } finally {
      clearTimeout(timer);
      this.#wanted = undefined;
    }
  }

  /** Where the socket reads next. */
  #place(): Buffer {
    const wanted = this.#wanted;
    if (wanted !== undefined && wanted.into.length - wanted.at >= SHORT_BYTES)
      return wanted.into.subarray(wanted.at);
    this.#turn = this.#turn === 0 ? 1 : 0;
    return this.#short[this.#turn];
  }

  /** Whether the socket may go on. */
  #arrived(count: number, buffer: Uint8Array): boolean {
    if (buffer.buffer === this.#short[this.#turn].buffer) {
      this.#left = this.#short[this.#turn].subarray(0, count);
      this.#pass();
    } else this.#got(count);
    return this.#wanted !== undefined;
  }

  #pass(): void {
    if (this.#wanted === undefined) return;
    const count = this.#left.copy(this.#wanted.into, this.#wanted.at);
    this.#left = this.#left.subarray(count);
    this.#got(count);
  }

  #got(count: number): void {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    wanted.at += count;
    if (wanted.at < wanted.into.length) return;
    this.#wanted = undefined;
    this.#wake();
  }
}

function* split({ offsetBytes, lengthBytes }: Range, pieceBytes: number): Generator<Range, void, undefined> {
  for (let done = 0; done < lengthBytes; done += pieceBytes)
    yield { offsetBytes: offsetBytes + done, lengthBytes: Math.min(pieceBytes, lengthBytes - done) };
}

interface Stretch {
  readonly lengthBytes: number;
  readonly isZero: boolean;
  /** It belongs to the backup. */
  readonly isPart: boolean;
}

/** Both lists cut at all their borders, as far as both go. Without changes, all that has data belongs to the backup. */
function* zipped(
  zero: BlockRuns["zero"],
  changed: BlockRuns["changed"],
): Generator<Stretch, void, undefined> {
  if (changed === undefined) {
    for (const { lengthBytes, is } of zero) yield { lengthBytes, isZero: is, isPart: !is };
    return;
  }
  let [z, c] = [0, 0];
  let [zLeft, cLeft] = [zero[0]?.lengthBytes ?? 0, changed[0]?.lengthBytes ?? 0];
  for (;;) {
    const [zRun, cRun] = [zero[z], changed[c]];
    if (zRun === undefined || cRun === undefined) return;
    const lengthBytes = Math.min(zLeft, cLeft);
    yield { lengthBytes, isZero: zRun.is, isPart: cRun.is };
    zLeft -= lengthBytes;
    cLeft -= lengthBytes;
    if (zLeft === 0) zLeft = zero[(z += 1)]?.lengthBytes ?? 0;
    if (cLeft === 0) cLeft = changed[(c += 1)]?.lengthBytes ?? 0;
  }
}
