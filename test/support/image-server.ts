import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { eventually } from "./wait.ts";

/** How the server serves one path. */
export interface Served {
  readonly bytes: Buffer;
  /** Cuts each connection after so many bytes of its body, this many times. */
  readonly cuts?: { readonly afterBytes: number; readonly times: number };
  readonly ignoresRanges?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends these bytes, then waits. */
  readonly stopsAfterBytes?: number;
  readonly isChunked?: boolean;
}

export interface Asked {
  readonly url: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

export const sha256Of = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** A web server for images, on loopback. */
export class ImageServer {
  readonly requests: Asked[] = [];
  /** Of connections that the test holds with `stopsAfterBytes`. */
  readonly #held = new Set<ServerResponse>();
  readonly #paths = new Map<string, Served | { readonly to: string }>();
  readonly #cuts = new Map<string, number>();
  readonly #server: Server;
  readonly #scheme: string;

  static async start(tls?: { readonly cert: string; readonly key: string }): Promise<ImageServer> {
    const server = new ImageServer(tls);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  private constructor(tls: { readonly cert: string; readonly key: string } | undefined) {
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answer(request, response);
    this.#server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
    this.#scheme = tls === undefined ? "http" : "https";
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path: string, host = "127.0.0.1"): string {
    return `${this.#scheme}://${host}:${this.port}${path}`;
  }

  serve(path: string, served: Served): string {
    this.#paths.set(path, served);
    this.#cuts.set(path, served.cuts?.times ?? 0);
    return this.url(path);
  }

  redirect(path: string, to: string): string {
    this.#paths.set(path, { to });
    return this.url(path);
  }

  /** Resolves once a connection is held. */
  async untilHeld(): Promise<void> {
    await eventually(() => this.#held.size > 0, { what: "a held connection" });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { url = "", headers } = request;
    const { range, authorization } = headers;
    this.requests.push({ url, range, ifRange: headers["if-range"]?.toString(), authorization });
    const path = url.split("?")[0] ?? "";
    const found = this.#paths.get(path);
    if (found === undefined) response.writeHead(404).end();
    else if ("to" in found) response.writeHead(302, { location: found.to }).end();
    else this.#send(path, found, range, response);
  }

  #send(path: string, served: Served, range: string | undefined, response: ServerResponse): void {
    const { bytes, cuts, headers = {}, ignoresRanges = false, isChunked = false, stopsAfterBytes } = served;
    const from = ignoresRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const length = isChunked ? {} : { "content-length": bytes.length - from };
    const part = from === 0 ? {} : { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(from === 0 ? 200 : 206, { ...length, ...part, ...headers });
    const left = this.#cuts.get(path) ?? 0;
    if (cuts !== undefined && left > 0) {
      this.#cuts.set(path, left - 1);
      response.write(bytes.subarray(from, from + cuts.afterBytes), () => response.destroy());
    } else if (stopsAfterBytes !== undefined) {
      this.#held.add(response);
      response.on("close", () => this.#held.delete(response));
      response.write(bytes.subarray(from, from + stopsAfterBytes));
    } else response.end(bytes.subarray(from));
  }
}
