import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Writable } from "node:stream";
import { constants, createGzip } from "node:zlib";
import { acceptsGzip } from "../http/accept.ts";
import { SocleError, toSocleError, type ErrorKind } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { Semaphore } from "../kernel/concurrency/semaphore.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { Slice } from "../kernel/concurrency/slice.ts";
import { contentTypes } from "./family.ts";
import { negotiateFormat } from "./negotiate.ts";
import type { Exposition } from "./render.ts";
import { inTurn, keepPlaces } from "../http/visitors.ts";
import { codeOf } from "../kernel/thrown.ts";
import { aborted } from "../kernel/concurrency/deadline.ts";

/** Why the agent is not ready. */
export interface NotReady {
  /** UPPER_SNAKE, for programs. */
  readonly reason: string;
  readonly message: string;
}

export interface MetricsServerOptions {
  /** ADDRESS:PORT; port 0 takes a free one. */
  readonly listen: string;
  readonly exposition: Exposition;
  /** Empty: ready. */
  readonly readiness: () => readonly NotReady[];
  readonly log: Logger;
  /** Shown to browsers at `/`; without it there is a line of text. */
  readonly page?: WebPage | undefined;
  /** Called with the bound address. */
  readonly onListening?: (address: AddressInfo) => void;
}

/** Paths served by another module: only GET and HEAD. */
export interface WebPage {
  serves(path: string): boolean;
  /** Ends the response, now or later. An exception is answered by its kind. */
  answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void>;
}

/** Over all scrapers. */
const maxConcurrentScrapes = 16;
const defaultScrapeTimeoutMs = 10_000;
const maxScrapeTimeoutMs = 60_000;
/** Share of the scraper's timeout reserved for sending. */
const sendingMs = 200;
/** Bytes of an exposition that are copied, compressed or written at once: well below a millisecond of work. */
const chunkBytes = 256 * 1024;
/** For a scraper that reads slowly, or not at all. */
const mostUnsentBytes = 1024 * 1024;
/** Level 1: a third larger than the default level's, in a fifth of its time. A chunk holds about a hundred VMs. */
const packing = { level: constants.Z_BEST_SPEED, chunkSize: 64 * 1024 } as const;

const statusByKind = new Map<ErrorKind, number>([
  ["invalid", 400],
  ["denied", 403],
  ["not_found", 404],
  ["exhausted", 503],
  ["unavailable", 503],
]);

/** Why the agent is not ready: it does not serve, or its VM list is unknown, so it refuses changes. */
export function whyNotReady(seen: {
  readonly serving: boolean;
  readonly listed: boolean;
  /** The report for schedulers cannot be made. */
  readonly reportFailed?: boolean;
}): readonly NotReady[] {
  if (!seen.serving) return [{ reason: "NOT_READY", message: "the agent is starting or stopping" }];
  if (seen.reportFailed === true) {
    const message = "the report for schedulers cannot be made: they hold an older one. See the agent's log";
    return [{ reason: "REPORT_FAILED", message }];
  }
  if (seen.listed) return [];
  const message = "VM list unavailable: libvirt has not reported all VMs; changes are refused until then";
  return [{ reason: "VMS_NOT_LISTED", message }];
}

/** Serves /metrics, /healthz, /readyz and the page. Fails with `unavailable` when the address cannot be taken. */
export function metricsServer(options: MetricsServerOptions): Service {
  return {
    name: "metrics",
    async run(signal, ready) {
      const server = createServer(
        { maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 120_000 },
        inTurn(handler(options)),
      );
      keepPlaces(server);
      server.setTimeout(30_000);
      await listen(server, options.listen);
      const address = server.address() as AddressInfo;
      options.onListening?.(address);
      options.log.info({ address: address.address, port: address.port }, "metrics are served");
      ready();
      // An error of a later accept (no descriptors left) affects only that connection.
      server.on("error", (cause) => options.log.warn({ err: cause }, "a connection could not be accepted"));
      await aborted(signal);
      server.close();
      server.closeAllConnections();
    },
  };
}

function handler(
  options: MetricsServerOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const scrapes = new Semaphore(maxConcurrentScrapes);
  const metrics = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    const leave = scrapes.tryAcquire(request.socket.remoteAddress ?? "");
    if (leave === undefined) {
      response.setHeader("Retry-After", "1");
      throw new SocleError("exhausted", "TOO_MANY_SCRAPES", "too many scrapes at once: scrape less often");
    }
    try {
      await scrape(options.exposition, request, response, url);
    } finally {
      leave();
    }
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = parseUrl(request.url);
    const path = url?.pathname ?? "";
    const page = options.page?.serves(path) === true ? options.page : undefined;
    if (
      url === undefined ||
      !(page !== undefined || ["/", "/metrics", "/healthz", "/readyz"].includes(path))
    ) {
      return send(request, response, 404, "not found. Available: /metrics, /healthz and /readyz\n");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD").setHeader("Connection", "close");
      return send(request, response, 405, "method not allowed: use GET or HEAD\n");
    }
    if (path === "/metrics") return metrics(request, response, url);
    if (path === "/readyz") {
      const reasons = options.readiness();
      if (reasons.length === 0) return send(request, response, 200, "ready\n");
      response.setHeader("Content-Type", "application/jsonl");
      return send(request, response, 503, reasons.map((reason) => `${JSON.stringify(reason)}\n`).join(""));
    }
    // The answer itself proves that the event loop turns.
    if (path === "/healthz") return send(request, response, 200, "alive\n");
    if (page !== undefined) return page.answer(request, response, url);
    return send(request, response, 200, "Socle agent: /metrics, /healthz, /readyz\n");
  };
  return (request, response) => {
    request.resume();
    response.setHeader("X-Content-Type-Options", "nosniff");
    answer(request, response).catch((cause: unknown) => {
      const { kind, message } = toSocleError(cause);
      if (response.headersSent) {
        response.destroy();
        return;
      }
      if (kind === "internal") options.log.error({ err: cause }, "a request for metrics failed");
      const status = statusByKind.get(kind) ?? 500;
      void send(request, response, status, kind === "internal" ? "internal error\n" : `${message}\n`);
    });
  };
}

async function scrape(
  exposition: Exposition,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const format = negotiateFormat(request.headers.accept);
  const selection = {
    collect: url.searchParams.getAll("collect[]"),
    exclude: url.searchParams.getAll("exclude[]"),
  };
  const timeoutMs = scrapeTimeoutMs(request);
  // After its timeout the scraper reads no more, and a slow reader would hold its place forever.
  const over = setTimeout(() => response.destroy(), timeoutMs ?? maxScrapeTimeoutMs);
  response.once("close", () => clearTimeout(over));
  const pieces = await exposition.render(
    format,
    selection,
    collectingMs(timeoutMs ?? defaultScrapeTimeoutMs),
  );
  response.setHeader("Content-Type", contentTypes[format]).setHeader("Vary", "Accept, Accept-Encoding");
  if (!acceptsGzip(request.headers["accept-encoding"])) return sendPieces(request, response, pieces);
  const packer = createGzip(packing);
  const packed: Buffer[] = [];
  packer.on("data", (part: Buffer) => packed.push(part));
  const end = once(packer, "end");
  await feed(packer, pieces, Infinity);
  await end;
  response.setHeader("Content-Encoding", "gzip");
  return sendPieces(request, response, packed);
}

async function sendPieces(
  request: IncomingMessage,
  response: ServerResponse,
  pieces: readonly Buffer[],
): Promise<void> {
  if (response.destroyed) return;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  response.writeHead(200, { "Content-Length": length });
  const closed = new Promise<void>((resolve) => {
    response.once("close", resolve);
  });
  await feed(response, request.method === "HEAD" ? [] : pieces, mostUnsentBytes);
  await closed;
}

/**
 * Expositions of a thousand VMs are megabytes: copied and written at once, they would block the event loop. At most about
 * `mostBytes` wait in the stream for a slow reader: waiting after every chunk would cost as much as the rest of a scrape.
 */
async function feed(stream: Writable, pieces: readonly Buffer[], mostBytes: number): Promise<void> {
  const slice = new Slice();
  for (const chunk of inChunks(pieces)) {
    if (stream.destroyed) return;
    stream.write(chunk);
    if (stream.writableLength > mostBytes) await drained(stream);
    if (slice.over) await slice.rest();
  }
  stream.end();
}

/** Resolves when the stream accepts more, or is closed. */
async function drained(stream: Writable): Promise<void> {
  const done = new AbortController();
  const { signal } = done;
  await Promise.race([once(stream, "drain", { signal }), once(stream, "close", { signal })]);
  done.abort();
}

/** The same bytes, in pieces of about one chunk each. */
function* inChunks(pieces: readonly Buffer[]): Generator<Buffer, void, undefined> {
  let chunk: Buffer[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    chunk.push(piece);
    bytes += piece.length;
    if (bytes < chunkBytes) continue;
    yield Buffer.concat(chunk, bytes);
    [chunk, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.concat(chunk, bytes);
}

/** The scraper's timeout, if it sends one. */
function scrapeTimeoutMs(request: IncomingMessage): number | undefined {
  const seconds = Number(request.headers["x-prometheus-scrape-timeout-seconds"]);
  return seconds > 0 ? Math.min(seconds * 1000, maxScrapeTimeoutMs) : undefined;
}

/** The timeout less the share for sending. */
const collectingMs = (timeoutMs: number): number => Math.max(timeoutMs - sendingMs, timeoutMs / 2);

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
): Promise<void> {
  if (!response.hasHeader("Content-Type")) {
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
  }
  if (response.destroyed) return;
  const body = Buffer.from(text);
  response.writeHead(status, { "Content-Length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
  });
}

function parseUrl(target: string | undefined): URL | undefined {
  return URL.canParse(target ?? "", "http://agent") ? new URL(target ?? "", "http://agent") : undefined;
}

async function listen(server: Server, address: string): Promise<void> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  server.listen({ host, port: Number(address.slice(colon + 1)) });
  try {
    await once(server, "listening");
  } catch (cause) {
    const code = codeOf(cause) ?? "";
    const why =
      {
        EADDRINUSE: "another program has this port: stop it, or change metrics.listen",
        EACCES: "this port needs a privilege: choose one above 1023 in metrics.listen",
        EADDRNOTAVAIL: "this host has no such address: change metrics.listen",
      }[code] ?? "change metrics.listen";
    throw new SocleError("unavailable", "METRICS_ADDRESS", `cannot listen on ${address}: ${why}`, { cause });
  }
}
