import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { clientOf } from "../http/connections.ts";
import { sendBody } from "../http/response.ts";
import type { Handler } from "../http/server.ts";
import type { Clock } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import { Semaphore } from "../kernel/concurrency/semaphore.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { loadAssets, type Asset } from "./assets.ts";
import { Feed } from "./feed.ts";
import { History, type Values } from "./history.ts";
import { checkVisitor } from "./visitor.ts";
import { Listener } from "./listener.ts";
import type { PageSources } from "./sources.ts";

interface StatusPageOptions {
  /** Holds index.html and its files. */
  readonly directory: string;
  readonly sources: PageSources;
  readonly clock: Clock;
}

/** Each costs a stream and, compressed, some 300 kB. */
const MOST_LISTENERS = 16;
/** Each costs some hundred kB, and one of the few threads that also write files. */
const MOST_ASKING_HISTORIES = 8;
const MOST_HISTORIES = 200;
const ROOT = "/page/";
/** Only the page's own files, no frame around it, and foreign text cannot become markup or script. */
const documentHeaders = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
};
const headers = { "Cross-Origin-Resource-Policy": "same-origin" };

/** The status page: its files, an event stream, and the readings of its graphs. */
export class StatusPage implements Service {
  readonly name = "page";
  readonly #options: StatusPageOptions;
  readonly #history = new History();
  readonly #feed: Feed;
  readonly #watching = new Semaphore(MOST_LISTENERS);
  readonly #askingHistories = new Semaphore(MOST_ASKING_HISTORIES);
  #assets: Promise<ReadonlyMap<string, Asset>> | undefined;
  #running = false;

  constructor(options: StatusPageOptions) {
    this.#options = options;
    this.#feed = new Feed(options.sources, this.#history, options.clock);
  }

  /** Records every sampling's readings, with or without a listener. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { vms } = this.#options.sources;
    const rounds = vms.rounds(signal);
    this.#running = true;
    ready();
    for await (const _ of rounds) {
      this.#history.record(vms, vms.lastSample?.atMs ?? 0);
      this.#feed.mark();
    }
    this.#running = false;
    this.#feed.end();
  }

  /** The handler of the page's paths. It throws `denied`, `not_found`, `exhausted`, `unavailable`, `invalid`. */
  handler(path: string): Handler | undefined {
    return path === "/" || path.startsWith(ROOT) ? this.#answer : undefined;
  }

  readonly #answer: Handler = async (request, response, url) => {
    checkVisitor(request);
    const name = url.pathname === "/" ? "index.html" : url.pathname.slice(ROOT.length);
    if (name === "stream") this.#stream(request, response);
    else if (name === "history") await this.#histories(request, response, url);
    else await this.#asset(request, response, name);
  };

  async #asset(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    this.#assets ??= loadAssets(this.#options.directory);
    const assets = await this.#assets.catch((thrown: unknown) => {
      this.#assets = undefined;
      throw thrown;
    });
    const asset = assets.get(name);
    if (asset === undefined) throw new SocleError("not_found", "NO_SUCH_PAGE", "there is no such page");
    const { contentType, etag } = asset;
    const isDocument = contentType.startsWith("text/html");
    const same = { ...headers, ETag: etag, "Cache-Control": "no-cache", "Content-Type": contentType };
    sendBody(request, response, isDocument ? { ...same, ...documentHeaders } : same, asset);
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#running) throw new SocleError("unavailable", "NOT_READY", "the agent is starting or stopping");
    const leave = this.#watching.tryAcquire(clientOf(request));
    if (leave === undefined) {
      const message = "too many browsers watch this host, in total or from your address: close one";
      throw new SocleError("exhausted", "TOO_MANY_WATCHERS", message);
    }
    const listener = new Listener(request, response, headers);
    response.once("close", () => {
      leave();
      this.#feed.remove(listener);
    });
    if (request.method === "HEAD") {
      listener.end();
      return;
    }
    this.#feed.add(listener);
  }

  /** `?keys=1,2`: the histories of these VMs, by key, one value per channel for each of the samplings that ended at `atMs`. */
  async #histories(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const keys = (url.searchParams.get("keys") ?? "").split(",").map(Number);
    if (keys.length > MOST_HISTORIES || !keys.every((key) => Number.isSafeInteger(key) && key > 0))
      throw new SocleError("invalid", "KEYS_INVALID", `keys takes up to ${MOST_HISTORIES} numbers`);
    const leave = this.#askingHistories.tryAcquire(clientOf(request));
    if (leave === undefined)
      throw new SocleError("exhausted", "TOO_MANY_READERS", "too many readers; retry in a moment");
    response.once("close", leave);
    const vms: Record<number, readonly Values[]> = {};
    for (const key of new Set(keys)) {
      const held = this.#history.of(key);
      if (held !== undefined) vms[key] = held;
    }
    const plain = Buffer.from(JSON.stringify({ atMs: this.#history.endedAtMs, vms }));
    const packed = await promisify(gzip)(plain, { level: constants.Z_BEST_SPEED });
    const same = { ...headers, "Content-Type": "application/json", "Cache-Control": "no-store" };
    sendBody(request, response, same, { plain, packed });
  }
}
