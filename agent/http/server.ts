import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { aborted } from "../kernel/concurrency/deadline.ts";
import { SocleError, toSocleError, type ErrorKind } from "../kernel/errors.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Logger } from "../kernel/log.ts";
import { codeOf } from "../kernel/thrown.ts";
import { limitConnections, oneAtATime } from "./connections.ts";
import { sendText } from "./response.ts";

/** Ends the response, now or later. An exception is answered by its kind. */
export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void>;

interface HttpServerOptions {
  /** `metrics.listen`, ADDRESS:PORT; port 0 takes a free one. */
  readonly listen: string;
  /** The handler of a path's GET and HEAD requests. */
  readonly route: (path: string) => Handler | undefined;
  readonly log: Logger;
  /** Called with the bound address. */
  readonly onListening?: ((address: AddressInfo) => void) | undefined;
}

const statusByKind = new Map<ErrorKind, number>([
  ["invalid", 400],
  ["denied", 403],
  ["not_found", 404],
  ["exhausted", 503],
  ["unavailable", 503],
]);

const notFound = "not found. Available: /metrics, /healthz and /readyz\n";

/** Serves unauthenticated clients, with limits. Its run fails with `unavailable` METRICS_ADDRESS for an unusable address. */
export function httpServer(options: HttpServerOptions): Service {
  const { log } = options;
  return {
    name: "metrics",
    async run(signal, ready) {
      const server = createServer(
        { maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 120_000 },
        oneAtATime((request, response) => {
          request.resume();
          response.setHeader("X-Content-Type-Options", "nosniff");
          answer(options, request, response).catch((cause: unknown) => {
            const { kind, message } = toSocleError(cause);
            if (response.headersSent) {
              response.destroy();
              return;
            }
            if (kind === "internal") log.error({ err: cause }, "a request for metrics failed");
            const status = statusByKind.get(kind) ?? 500;
            void sendText(
              request,
              response,
              status,
              kind === "internal" ? "internal error\n" : `${message}\n`,
            );
          });
        }),
      );
      limitConnections(server);
      server.setTimeout(30_000);
      await listen(server, options);
      const address = server.address() as AddressInfo;
      options.onListening?.(address);
      log.info({ address: address.address, port: address.port }, "metrics are served");
      ready();
      // An error of a later accept (no descriptors left) affects only that connection.
      server.on("error", (cause) => log.warn({ err: cause }, "a connection could not be accepted"));
      await aborted(signal);
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  { route }: HttpServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const target = request.url ?? "";
  const url = URL.canParse(target, "http://agent") ? new URL(target, "http://agent") : undefined;
  const handle = url && route(url.pathname);
  if (url === undefined || handle === undefined) return sendText(request, response, 404, notFound);
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD").setHeader("Connection", "close");
    return sendText(request, response, 405, "method not allowed: use GET or HEAD\n");
  }
  return handle(request, response, url);
}

async function listen(server: Server, { listen: address }: HttpServerOptions): Promise<void> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  server.listen({ host, port: Number(address.slice(colon + 1)) });
  try {
    await once(server, "listening");
  } catch (cause) {
    const why =
      {
        EADDRINUSE: "another program has this port: stop it, or change metrics.listen",
        EACCES: "this port needs a privilege: choose one above 1023 in metrics.listen",
        EADDRNOTAVAIL: "this host has no such address: change metrics.listen",
      }[codeOf(cause) ?? ""] ?? "change metrics.listen";
    const message = `cannot listen on ${address}: ${why}`;
    throw new SocleError("unavailable", "METRICS_ADDRESS", message, { cause });
  }
}
