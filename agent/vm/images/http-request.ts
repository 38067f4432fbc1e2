import * as http from "node:http";
import { connect, type OnReadOpts } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, rootCertificates, type ConnectionOptions, type TLSSocket } from "node:tls";
import { defined } from "../../kernel/defined.ts";
import { isAddress } from "../../kernel/text/ip-ranges.ts";
import { SocleError } from "../../kernel/errors.ts";
import { HttpConnection } from "./http-connection.ts";

/** How a request reaches its server: at an address that was checked, or through a proxy. */
export type Route = { readonly address: string } | { readonly proxy: URL };

interface RequestOptions {
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
  /** Authorities (PEM) beside the well-known ones. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
}

/** A response, whose body is read at the pace of its reader. */
export interface Response {
  readonly statusCode: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Ends early if the connection does. Each piece may be read until the next one is taken. */
  readonly body: AsyncIterable<Buffer>;
  /** Ends the connection. */
  readonly destroy: () => void;
}

const OK = 200;

/** A GET without connection reuse. Resolves with the response's head; its body is not read yet. */
export async function request(url: URL, options: RequestOptions): Promise<Response> {
  const { route, headers, signal } = options;
  const host = hostOf(url);
  // The certificate must be that of the URL's host, whatever the connection's address is.
  const secured = defined<ConnectionOptions>({
    servername: isAddress(host) ? undefined : host,
    ca: options.ca === undefined ? undefined : [...rootCertificates, options.ca],
    ALPNProtocols: ["http/1.1"],
  });
  const isPlain = url.protocol === "http:";
  const at =
    "address" in route
      ? { host: route.address, port: portOf(url) }
      : { host: hostOf(route.proxy), port: portOf(route.proxy) };
  const isTunnelled = "proxy" in route && !isPlain;
  const through = isTunnelled
    ? { socket: await tunnel(route.proxy, `${url.hostname}:${portOf(url)}`, signal), host }
    : at;
  const connection = new HttpConnection((onread) =>
    isPlain ? connect({ ...at, onread }) : connectSecured({ ...secured, ...through }, onread),
  );
  const path = `${url.pathname}${url.search}`;
  const { statusCode = 0, headers: answered } = await head(
    http.request({
      method: "GET",
      headers: { host: url.host, ...headers },
      path: "proxy" in route && isPlain ? `http://${url.host}${path}` : path,
      createConnection: () => connection,
      signal,
    }),
  );
  const body = bodyOf(connection, Number(answered["content-length"] ?? Infinity));
  return { statusCode, headers: answered, body, destroy: () => connection.destroy() };
}

/** A socket that reads by `onread`. Node's types do not have that for TLS, and Node ignores it on a socket over another one. */
function connectSecured(options: ConnectionOptions, onread: OnReadOpts): TLSSocket {
  const reading: object = { onread };
  const socket = connectTls({ ...options, ...reading });
  if (options.socket === undefined) return socket;
  return socket.on("data", (chunk: Buffer) => {
    if (!onread.callback(chunk.length, chunk)) socket.pause();
  });
}

async function* bodyOf(
  connection: HttpConnection,
  lengthBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  for (let left = lengthBytes; left > 0;) {
    const piece = (await connection.next())?.subarray(0, left);
    if (piece === undefined) return;
    left -= piece.length;
    yield piece;
  }
}

/** Without the brackets of an IPv6 address. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

const portOf = ({ port, protocol }: URL): number =>
  port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);

const head = (sent: http.ClientRequest): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    sent.once("response", (response) => {
      // Errors after the head arrive with the body.
      response.on("error", () => undefined);
      resolve(response);
    });
    sent.on("error", reject);
    sent.end();
  });

/** A connection through the proxy to `target`. */
const tunnel = (proxy: URL, target: string, signal: AbortSignal): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const asked = http.request({
      method: "CONNECT",
      host: hostOf(proxy),
      port: portOf(proxy),
      path: target,
      headers: { host: target },
      agent: false,
      signal,
    });
    asked.once("connect", ({ statusCode = 0 }, socket) => {
      if (statusCode === OK) resolve(socket);
      else {
        socket.destroy();
        reject(refusedByProxy(statusCode));
      }
    });
    asked.once("response", (response) => {
      response.destroy();
      reject(refusedByProxy(response.statusCode ?? 0));
    });
    asked.on("error", reject);
    asked.end();
  });

/** Without the proxy's address: a tenant may read it. */
const refusedByProxy = (status: number): SocleError =>
  new SocleError(
    "unavailable",
    "IMAGE_SOURCE_FAILED",
    `the host's proxy (images.proxy) refused the connection with status ${status}`,
  );
