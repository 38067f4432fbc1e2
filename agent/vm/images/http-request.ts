import * as http from "node:http";
import * as https from "node:https";
import type { Duplex } from "node:stream";
import { connect as connectTls, rootCertificates, type ConnectionOptions, type TLSSocket } from "node:tls";
import { defined } from "../../kernel/defined.ts";
import { isAddress } from "../../kernel/text/ip-ranges.ts";
import { SocleError } from "../../kernel/errors.ts";

/** How a request reaches its server: at an address that was checked, or through a proxy. */
export type Route = { readonly address: string } | { readonly proxy: URL };

interface RequestOptions {
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
  /** Authorities (PEM) beside the well-known ones. */
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}

const OK = 200;
/** What a socket holds for its reader, who gets it in one piece: each piece costs time on its way. */
const reading = { highWaterMark: 512 * 1024 };

/** A GET without connection reuse. Resolves with the response's headers; its body is not read yet. */
export async function request(url: URL, options: RequestOptions): Promise<http.IncomingMessage> {
  const { route, headers, signal } = options;
  const asked = { method: "GET", headers: { host: url.host, ...headers } } as const;
  const common = { ...asked, ...reading, agent: false, signal } as const;
  const path = `${url.pathname}${url.search}`;
  const host = hostOf(url);
  // The certificate must be that of the URL's host, whatever the connection's address is.
  const secured = defined<ConnectionOptions>({
    servername: isAddress(host) ? undefined : host,
    ca: options.ca === undefined ? undefined : [...rootCertificates, options.ca],
  });
  if ("address" in route) {
    const at = { ...common, host: route.address, port: portOf(url), path };
    return await answered(url.protocol === "http:" ? http.request(at) : https.request({ ...at, ...secured }));
  }
  const { proxy } = route;
  if (url.protocol === "http:") {
    const target = `http://${url.host}${path}`;
    return await answered(
      http.request({ ...common, host: hostOf(proxy), port: portOf(proxy), path: target }),
    );
  }
  const socket = await tunnel(proxy, `${url.hostname}:${portOf(url)}`, signal);
  const createConnection = (): TLSSocket => connectTls({ ...secured, ...reading, socket, host });
  // With an agent, Node would ignore `createConnection` and connect to this host.
  return await answered(https.request({ ...common, agent: undefined, path, createConnection }));
}

/** Without the brackets of an IPv6 address. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

const portOf = ({ port, protocol }: URL): number =>
  port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);

const answered = (sent: http.ClientRequest): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    sent.once("response", (response) => {
      // Errors after the headers arrive by the body's iteration.
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
        reject(refusedByProxy(proxy, statusCode));
      }
    });
    asked.once("response", (response) => {
      response.destroy();
      reject(refusedByProxy(proxy, response.statusCode ?? 0));
    });
    asked.on("error", reject);
    asked.end();
  });

const refusedByProxy = (proxy: URL, status: number): SocleError =>
  new SocleError(
    "unavailable",
    "IMAGE_SOURCE_FAILED",
    `the proxy ${proxy.host} (images.proxy) refused the connection with status ${status}`,
  );
