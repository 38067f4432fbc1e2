import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { clientOf } from "../http/connections.ts";
import { sendLargeBody, sendText } from "../http/response.ts";
import { httpServer, type Handler } from "../http/server.ts";
import { Semaphore } from "../kernel/concurrency/semaphore.ts";
import { SocleError } from "../kernel/errors.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Logger } from "../kernel/log.ts";
import { contentTypes } from "./family.ts";
import { negotiateFormat } from "./negotiate.ts";
import type { Exposition } from "./render.ts";

/** Why the agent is not ready. */
export interface NotReady {
  /** UPPER_SNAKE, for programs. */
  readonly reason: string;
  readonly message: string;
}

interface MetricsServerOptions {
  /** ADDRESS:PORT; port 0 takes a free one. */
  readonly listen: string;
  readonly exposition: Exposition;
  /** Empty: ready. */
  readonly readiness: () => readonly NotReady[];
  readonly log: Logger;
  /** The handlers of the status page's paths; without them browsers get a line of text at `/`. */
  readonly page?: { handler(path: string): Handler | undefined } | undefined;
  /** Called with the bound address. */
  readonly onListening?: (address: AddressInfo) => void;
}

/** Over all scrapers. */
const maxConcurrentScrapes = 16;
const defaultScrapeTimeoutMs = 10_000;
const maxScrapeTimeoutMs = 60_000;
/** Share of the scraper's timeout reserved for sending. */
const sendingMs = 200;

/** Why the agent is not ready: it does not serve, its VM list is unknown, or it refuses all changes. */
export function whyNotReady(seen: {
  readonly serving: boolean;
  readonly listed: boolean;
  /** Why every change is refused. Its message may quote libvirt and name paths, which need a login. */
  readonly refusal: Pick<SocleError, "reason"> | undefined;
  /** The report for schedulers cannot be made. */
  readonly reportFailed?: boolean;
}): readonly NotReady[] {
  if (!seen.serving) return [{ reason: "NOT_READY", message: "the agent is starting or stopping" }];
  if (seen.reportFailed === true) {
    const message = "the report for schedulers cannot be made: they hold an older one. See the agent's log";
    return [{ reason: "REPORT_FAILED", message }];
  }
  const unlisted = "VM list unavailable: libvirt has not reported all VMs; changes are refused until then";
  const refusing = "every change is refused: socle health shows why";
  return [
    ...(seen.listed ? [] : [{ reason: "VMS_NOT_LISTED", message: unlisted }]),
    ...(seen.refusal === undefined ? [] : [{ reason: seen.refusal.reason, message: refusing }]),
  ];
}

/** Serves /metrics, /healthz, /readyz and the page. Fails with `unavailable` when the address cannot be taken. */
export function metricsServer(options: MetricsServerOptions): Service {
  const { listen, log, onListening, page } = options;
  const handlers = new Map<string, Handler>([
    ["/metrics", scrapeHandler(options.exposition)],
    ["/readyz", (request, response) => sendReadiness(options.readiness(), request, response)],
    // The answer itself proves that the event loop turns.
    ["/healthz", (request, response) => sendText(request, response, 200, "alive\n")],
  ]);
  const plainIndex: Handler = (request, response) =>
    sendText(request, response, 200, "Socle agent: /metrics, /healthz, /readyz\n");
  return httpServer({
    listen,
    route: (path) => handlers.get(path) ?? page?.handler(path) ?? (path === "/" ? plainIndex : undefined),
    log,
    onListening,
  });
}

async function sendReadiness(
  reasons: readonly NotReady[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (reasons.length === 0) return sendText(request, response, 200, "ready\n");
  response.setHeader("Content-Type", "application/jsonl");
  return sendText(request, response, 503, reasons.map((reason) => `${JSON.stringify(reason)}\n`).join(""));
}

function scrapeHandler(exposition: Exposition): Handler {
  const scrapes = new Semaphore(maxConcurrentScrapes);
  return async (request, response, url) => {
    const release = scrapes.tryAcquire(clientOf(request));
    if (release === undefined) {
      response.setHeader("Retry-After", "1");
      throw new SocleError("exhausted", "TOO_MANY_SCRAPES", "too many scrapes at once: scrape less often");
    }
    try {
      await scrape(exposition, request, response, url);
    } finally {
      release();
    }
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
  // After its timeout the scraper reads no more, and a slow reader would hold its permit forever.
  const over = setTimeout(() => response.destroy(), timeoutMs ?? maxScrapeTimeoutMs);
  response.once("close", () => clearTimeout(over));
  const pieces = await exposition.render(
    format,
    selection,
    collectingMs(timeoutMs ?? defaultScrapeTimeoutMs),
  );
  response.setHeader("Content-Type", contentTypes[format]).setHeader("Vary", "Accept, Accept-Encoding");
  return sendLargeBody(request, response, pieces);
}

/** The scraper's timeout, if it sends one. */
function scrapeTimeoutMs(request: IncomingMessage): number | undefined {
  const seconds = Number(request.headers["x-prometheus-scrape-timeout-seconds"]);
  return seconds > 0 ? Math.min(seconds * 1000, maxScrapeTimeoutMs) : undefined;
}

/** The timeout less the share for sending. */
const collectingMs = (timeoutMs: number): number => Math.max(timeoutMs - sendingMs, timeoutMs / 2);
