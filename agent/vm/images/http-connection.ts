import { maxHeaderSize } from "node:http";
import type { OnReadOpts, Socket } from "node:net";
import { Duplex } from "node:stream";

/** The most that the socket reads at once. */
const READ_BYTES = 256 * 1024;
/** With this much unread the socket is paused. A TLS socket still passes on what it has decrypted. */
const UNREAD_BYTES = 512 * 1024;
const BUFFER_BYTES = 2 * UNREAD_BYTES;
const HEAD_END = "\r\n\r\n";
const [CR, LF] = Buffer.from("\r\n");

/**
 * A connection to a web server. Node's HTTP client reads the heads of responses from it; `next` reads the body that follows,
 * into buffers that are used again: for each 32 MiB or so of new ones, V8 would mark the agent's whole heap.
 */
export class HttpConnection extends Duplex {
  readonly #socket: Socket;
  #filling = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #lent = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #unreadBytes = 0;
  #headBytes = 0;
  #isInBody = false;
  #isOver = false;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  /** `open` connects a socket that reads by `onread`. */
  constructor(open: (onread: OnReadOpts) => Socket) {
    super();
    this.#socket = open({
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (count, { buffer, byteOffset }) => this.#take(Buffer.from(buffer, byteOffset, count)),
    });
    // The readers of the head and the body report it.
    this.on("error", () => undefined);
    this.#socket.on("error", (failure) => this.#end(failure));
    this.#socket.on("close", () => this.#end());
  }

  /** The next bytes of the body, which may be read until the next call. undefined: the connection has ended. */
  async next(): Promise<Buffer | undefined> {
    while (this.#unreadBytes === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const bytes = this.#filling.subarray(0, this.#unreadBytes);
    [this.#filling, this.#lent] = [this.#lent, this.#filling];
    this.#unreadBytes = 0;
    this.#socket.resume();
    return bytes;
  }

  override _read(): void {
    // A head is passed on when it has arrived.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (failure?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _destroy(failure: Error | null, done: (failure: Error | null) => void): void {
    this.#end();
    this.#socket.destroy();
    done(failure);
  }

  /** Whether the socket may read on. */
  #take(bytes: Buffer): boolean {
    if (this.#isOver) return false;
    if (this.#unreadBytes + bytes.length > BUFFER_BYTES) return this.#refuse("ENOBUFS");
    this.#unreadBytes += bytes.copy(this.#filling, this.#unreadBytes);
    if (!this.#isInBody && !this.#passHeads()) return !this.#isOver;
    this.#wake();
    return this.#unreadBytes < UNREAD_BYTES;
  }

  /** Passes on whole heads. Whether the body begins: a server may send interim ones without end (RFC 9110, 15.2). */
  #passHeads(): boolean {
    const unread = this.#filling.subarray(0, this.#unreadBytes);
    let at = 0;
    let isLast = false;
    while (!isLast) {
      // Node's parser, too, passes over empty lines before a head.
      for (; unread[at] === CR || unread[at] === LF; at += 1) this.#headBytes += 1;
      const found = unread.indexOf(HEAD_END, at);
      const end = found < 0 ? unread.length : found + HEAD_END.length;
      if (this.#headBytes + end - at > maxHeaderSize) return this.#refuse("HPE_HEADER_OVERFLOW");
      if (found < 0) break;
      const head = Buffer.from(unread.subarray(at, end));
      const [, kind] = /^HTTP\/1\.\d (\d)/.exec(head.toString("latin1", 0, 10)) ?? [];
      if (kind === undefined) return this.#refuse("HPE_INVALID_CONSTANT");
      isLast = kind !== "1";
      this.#headBytes += head.length;
      at = end;
      this.push(head);
    }
    this.#filling.copyWithin(0, at, this.#unreadBytes);
    this.#unreadBytes -= at;
    this.#isInBody = isLast;
    return isLast;
  }

  #refuse(code: string): false {
    this.#end(Object.assign(new Error("the server's response is not as HTTP requires"), { code }));
    return false;
  }

  #end(failure?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#wake();
    if (failure === undefined) this.push(null);
    else this.destroy(failure);
  }
}
