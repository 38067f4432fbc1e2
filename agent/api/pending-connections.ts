import type { Socket } from "node:net";
import { SocleError } from "../kernel/errors.ts";

/** The first bytes of every HTTP/2 client. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

interface PendingConnectionsOptions {
  /** Maximum number; one more closes the oldest. */
  readonly most?: number;
  readonly withinMs?: number;
}

/**
 * Connections without an HTTP/2 preface yet. ConnectionLimits does not count them; their number and time have bounds of their
 * own, so that silent connections do not exclude others.
 */
export class PendingConnections {
  readonly #most: number;
  readonly #withinMs: number;
  /** Oldest first, each with the function that ends it. */
  readonly #waiting = new Map<Socket, (problem: SocleError) => void>();

  constructor({ most = 256, withinMs = 10_000 }: PendingConnectionsOptions = {}) {
    this.#most = most;
    this.#withinMs = withinMs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `onPreface` once the preface has arrived, with all bytes still to be read; otherwise `refuse`. */
  receive(socket: Socket, onPreface: () => void, refuse: (problem: SocleError) => void): void {
    let received = Buffer.alloc(0);
    const over = (): void => {
      clearTimeout(timer);
      socket.off("readable", onReadable);
      socket.off("close", over);
      this.#waiting.delete(socket);
    };
    const end = (problem: SocleError): void => {
      over();
      refuse(problem);
    };
    const onReadable = (): void => {
      const bytes = socket.read() as Buffer | null;
      if (bytes === null) return;
      received = Buffer.concat([received, bytes]);
      const length = Math.min(received.length, preface.length);
      if (!received.subarray(0, length).equals(preface.subarray(0, length))) end(notHttp2());
      else if (length === preface.length) {
        over();
        socket.unshift(received);
        onPreface();
      }
    };
    const timer = setTimeout(() => end(silent(`sent nothing for ${this.#withinMs} ms`)), this.#withinMs);
    socket.on("readable", onReadable);
    socket.once("close", over);
    socket.on("error", () => undefined);
    this.#waiting.set(socket, end);
    const [oldest] = this.#waiting.values();
    if (this.#waiting.size > this.#most)
      oldest?.(silent(`was the oldest of ${this.#most} that sent nothing`));
  }

  /** Closes those without a preface. */
  close(): void {
    for (const socket of this.#waiting.keys()) socket.destroy();
  }
}

const silent = (why: string): SocleError =>
  new SocleError("exhausted", "CONNECTION_SILENT", `the connection ${why}`);

const notHttp2 = (): SocleError =>
  new SocleError("invalid", "CONNECTION_NOT_HTTP2", "the connection does not speak HTTP/2");
