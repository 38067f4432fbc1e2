import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, createGzip, type Gzip } from "node:zlib";
import { acceptsGzip } from "../http/negotiation.ts";

/** Bytes written to a browser and not sent yet; beyond this it is behind. */
const MOST_BUFFERED_BYTES = 512 * 1024;

/** A connected browser: a stream of server-sent events, compressed if accepted. */
export class Listener {
  readonly #response: ServerResponse;
  readonly #packer: Gzip | undefined;
  /** It missed messages, and gets the full state once it has caught up. */
  behind = false;

  constructor(request: IncomingMessage, response: ServerResponse, headers: Readonly<Record<string, string>>) {
    this.#response = response;
    const packed = acceptsGzip(request.headers["accept-encoding"]);
    response.writeHead(200, {
      ...headers,
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      // nginx would buffer it until it ends, and it never does.
      "X-Accel-Buffering": "no",
      Vary: "Accept-Encoding",
      ...(packed ? { "Content-Encoding": "gzip" } : {}),
    });
    if (!packed) return;
    this.#packer = createGzip({ level: constants.Z_BEST_SPEED });
    // The pipe's end is the response's end; its abort is not an error.
    this.#packer.on("error", () => response.destroy());
    this.#packer.pipe(response);
  }

  /** False: too much is unsent to add more. */
  get ready(): boolean {
    return this.#bufferedBytes < MOST_BUFFERED_BYTES;
  }

  send(event: "state" | "patch", json: string): void {
    const frame = `event: ${event}\ndata: ${json}\n\n`;
    if (this.#packer === undefined) this.#response.write(frame);
    else {
      this.#packer.write(frame);
      this.#packer.flush(constants.Z_SYNC_FLUSH);
    }
  }

  end(): void {
    this.#packer?.destroy();
    this.#response.end();
  }

  get #bufferedBytes(): number {
    const { writableLength = 0, readableLength = 0 } = this.#packer ?? {};
    return this.#response.writableLength + writableLength + readableLength;
  }
}
