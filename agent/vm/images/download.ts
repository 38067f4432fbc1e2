import { lookup as lookupByDns } from "node:dns/promises";
import { Backoff } from "../../kernel/concurrency/backoff.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import { abortReason, type Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isAddress } from "../../kernel/text/ip-ranges.ts";
import { codeOf } from "../../kernel/thrown.ts";
import { request, type Response, type Route } from "./http-request.ts";
import {
  noPublicAddress,
  requireAllowedAddress,
  requireAllowedSource,
  shownUrl,
  type SourceRules,
} from "./source-policy.ts";

/** The bytes of an image, from its server or elsewhere. */
export interface Source {
  /** Exact: fewer or more bytes are an error. */
  readonly sizeBytes: number;
  /** Each piece may be read until the next one is taken. */
  readonly bytes: AsyncIterable<Buffer>;
  /** Ends the connection, also if the bytes are not read. */
  readonly close: () => void;
  /** Throws if the bytes may have changed while they were read. Absent: they cannot, or only their digest shows it. */
  readonly confirm?: () => Promise<void>;
}

export interface DownloadOptions {
  readonly rules: SourceRules;
  /** An HTTP proxy as `http://HOST:PORT`: it resolves the names, so addresses are not checked here. */
  readonly proxy: string | null;
  /** Authorities (PEM) that verify servers beside the well-known ones. */
  readonly authorities: () => Promise<string | undefined>;
  readonly clock: Clock;
  /** Replaces DNS. */
  readonly lookup?: (host: string) => Promise<readonly { readonly address: string }[]>;
}

const MOST_REDIRECTS = 5;
/** Deadline of name resolution, connection and response headers together. */
const ANSWER_MS = 30_000;
/** The longest wait for the next bytes. */
const STALL_MS = 30_000;
/** A server must send this much in each period, so that a slow one does not hold a transfer for days. */
const LEAST_BYTES = 6 * 1024 * 1024;
const PERIOD_MS = 60_000;
/** Interruptions before the first byte, without much progress between them, and in all. */
const MOST_CUTS_AT_FIRST = 3;
const MOST_CUTS_IN_A_ROW = 6;
const MOST_CUTS = 50;
const PROGRESS_BYTES = 4 * 1024 * 1024;
const RETRY = { baseMs: 1000, capMs: 15_000 };

const OK = 200;
const PARTIAL = 206;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** A later request may succeed. */
const transient: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
const transientCodes: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ETIMEDOUT",
  "EPIPE",
  "EAI_AGAIN",
  "ERR_STREAM_PREMATURE_CLOSE",
  "HPE_INVALID_EOF_STATE",
]);

interface Answer {
  readonly response: Response;
  /** Of the whole image. */
  readonly sizeBytes: number;
  /** The position of the response's first byte. */
  readonly startsAt: number;
  /** Identifies the version of the image, for a later range. */
  readonly validator: string | undefined;
}

/** The connection was interrupted: a later attempt may continue. */
class Cut extends Error {
  override readonly name = "Cut";
}

/**
 * Downloads by https, or http where allowed. Each redirect and each resolved address is checked, and the connection is made
 * to a checked address, so that a second resolution cannot lead elsewhere. An interrupted download continues where it was
 * cut; the caller verifies the digest of the whole.
 */
export class Downloads {
  readonly #options: DownloadOptions;

  constructor(options: DownloadOptions) {
    this.#options = options;
  }

  /**
   * `isTenants`: private addresses are denied whatever the rules. Throws `denied` IMAGE_SOURCE_DENIED, `unavailable`
   * IMAGE_SOURCE_FAILED, `invalid` IMAGE_LENGTH_UNKNOWN, or the signal's reason. So does the iteration of the bytes.
   */
  async open(url: URL, isTenants: boolean, signal: AbortSignal): Promise<Source> {
    const download = new Download(this.#options, { ...this.#options.rules, isTenants }, url, signal);
    return await download.open();
  }
}

class Download {
  readonly #options: DownloadOptions;
  readonly #rules: SourceRules;
  readonly #url: URL;
  readonly #signal: AbortSignal;
  readonly #backoff = new Backoff(RETRY);
  #cuts = 0;
  #cutsInARow = 0;
  #progressAt = 0;

  constructor(options: DownloadOptions, rules: SourceRules, url: URL, signal: AbortSignal) {
    this.#options = options;
    this.#rules = rules;
    this.#url = url;
    this.#signal = signal;
  }

  async open(): Promise<Source> {
    const first = await this.#retried(0, undefined);
    return { sizeBytes: first.sizeBytes, bytes: this.#bytes(first), close: () => first.response.destroy() };
  }

  async *#bytes(first: Answer): AsyncGenerator<Buffer, void, undefined> {
    const { sizeBytes, validator } = first;
    let at = 0;
    for (let answer = first; ; answer = await this.#retried(at, validator)) {
      if (answer.sizeBytes !== sizeBytes)
        throw failed(this.#url, "its length changed during the download; import it again");
      try {
        // A server that ignores the range sends all bytes again.
        let skip = at - answer.startsAt;
        for await (const chunk of this.#chunks(answer.response)) {
          const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
          skip -= chunk.length - fresh.length;
          if (at + fresh.length > sizeBytes)
            throw failed(this.#url, `it has more than the ${sizeBytes} bytes that the server reported`);
          at += fresh.length;
          if (fresh.length > 0) yield fresh;
        }
        if (at === sizeBytes) return;
        throw new Cut(`the server closed the connection after ${at} of ${sizeBytes} bytes`);
      } catch (thrown) {
        await this.#afterCut(thrown, at);
      } finally {
        answer.response.destroy();
      }
    }
  }

  async #retried(at: number, validator: string | undefined): Promise<Answer> {
    for (;;) {
      try {
        return await this.#answer(at, validator);
      } catch (thrown) {
        await this.#afterCut(thrown, at);
      }
    }
  }

  /** Waits before the next attempt, or throws the final error. */
  async #afterCut(thrown: unknown, at: number): Promise<void> {
    if (this.#signal.aborted) throw abortReason(this.#signal);
    if (!isTransient(thrown))
      throw thrown instanceof SocleError ? thrown : failed(this.#url, why(thrown), thrown);
    this.#cuts += 1;
    if (at - this.#progressAt >= PROGRESS_BYTES) {
      this.#progressAt = at;
      this.#cutsInARow = 0;
      this.#backoff.reset();
    }
    this.#cutsInARow += 1;
    const most = at === 0 ? MOST_CUTS_AT_FIRST : MOST_CUTS_IN_A_ROW;
    if (this.#cutsInARow > most || this.#cuts > MOST_CUTS)
      throw failed(this.#url, `${why(thrown)}, after ${this.#cuts} attempts`, thrown);
    await this.#options.clock.sleep(this.#backoff.nextMs(), this.#signal);
  }

  async #answer(at: number, validator: string | undefined): Promise<Answer> {
    let url = this.#url;
    for (let hops = 0; ; hops += 1) {
      const response = await this.#request(url, at, validator);
      const { statusCode: status, headers } = response;
      if (status === OK || (status === PARTIAL && at > 0)) return answerOf(url, response, at);
      response.destroy();
      if (!redirects.has(status) || headers.location === undefined) {
        if (transient.has(status)) throw new Cut(`the server answers with status ${status}`);
        throw failed(url, `the server answers with status ${status}`);
      }
      if (hops >= MOST_REDIRECTS) throw failed(this.#url, `it redirects more than ${MOST_REDIRECTS} times`);
      url = redirected(url, headers.location);
    }
  }

  /** Resolves with the response's headers. */
  async #request(url: URL, at: number, validator: string | undefined): Promise<Response> {
    requireAllowedSource(url, this.#rules);
    const over = new AbortController();
    const onAbort = (): void => over.abort(abortReason(this.#signal));
    this.#signal.addEventListener("abort", onAbort, { once: true });
    try {
      const asked = this.#route(url).then(async (route) =>
        request(url, {
          route,
          headers: headersOf(url, at, validator),
          ca: await this.#options.authorities(),
          signal: over.signal,
        }),
      );
      const response = await within(this.#options.clock, ANSWER_MS, asked, this.#signal);
      if (response !== LATE) return response;
      // A late response is dropped.
      void asked.then((late) => late.destroy()).catch(() => undefined);
      over.abort(new Cut("aborted"));
      this.#signal.throwIfAborted();
      throw new Cut(
        `the server did not answer within ${ANSWER_MS / 1000} s; the agent's unit allows private networks only: ` +
          "set images.proxy, or allow the address (Networks in the operator's manual)",
      );
    } finally {
      this.#signal.removeEventListener("abort", onAbort);
    }
  }

  async #route(url: URL): Promise<Route> {
    const { proxy } = this.#options;
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    if (isAddress(host)) requireAllowedAddress(url, host, this.#rules);
    if (proxy !== null) return { proxy: new URL(proxy) };
    if (isAddress(host)) return { address: host };
    const lookup = this.#options.lookup ?? ((name: string) => lookupByDns(name, { all: true }));
    const found = await lookup(host).catch((thrown: unknown) => {
      throw this.#rules.isTenants === true && codeOf(thrown) !== "EAI_AGAIN" ? noPublicAddress(url) : thrown;
    });
    // All of them: a name with one private address is not a public server.
    for (const { address } of found) requireAllowedAddress(url, address, this.#rules);
    // Another one after an interruption.
    const chosen = found[this.#cuts % found.length];
    if (chosen === undefined) throw noPublicAddress(url);
    return { address: chosen.address };
  }

  /** The body. Throws Cut if no bytes arrive in time while they are awaited, or too few. */
  async *#chunks(response: Response): AsyncGenerator<Buffer, void, undefined> {
    const { clock } = this.#options;
    const iterator: AsyncIterator<Buffer> = response.body[Symbol.asyncIterator]();
    let [periodBytes, waitedMs] = [0, 0];
    for (;;) {
      const sinceMs = clock.monotonicMs();
      const next = await within(clock, STALL_MS, iterator.next(), this.#signal);
      this.#signal.throwIfAborted();
      if (next === LATE) {
        response.destroy();
        throw new Cut(`the server sent nothing for ${STALL_MS / 1000} s`);
      }
      if (next.done === true) return;
      periodBytes += next.value.length;
      // Only the server's time counts, not the time that the pool takes to write.
      waitedMs += clock.monotonicMs() - sinceMs;
      if (waitedMs >= PERIOD_MS) {
        if (periodBytes < LEAST_BYTES)
          throw new Cut(`the server sends less than ${LEAST_BYTES} bytes a minute`);
        [periodBytes, waitedMs] = [0, 0];
      }
      yield next.value;
    }
  }
}

function headersOf(url: URL, at: number, validator: string | undefined): Record<string, string> {
  // The length and a range must be those of the image's own bytes.
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "socle" };
  if (url.username !== "" || url.password !== "") {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers["authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
  }
  if (at === 0) return headers;
  headers["range"] = `bytes=${at}-`;
  if (validator !== undefined) headers["if-range"] = validator;
  return headers;
}

function answerOf(url: URL, response: Response, at: number): Answer {
  const { statusCode, headers } = response;
  const refuse = (error: SocleError): SocleError => {
    response.destroy();
    return error;
  };
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") throw refuse(failed(url, `the server sends it encoded (${encoding})`));
  const isChunked = headers["transfer-encoding"] !== undefined;
  const etag = headers.etag;
  const validator = etag === undefined || etag.startsWith("W/") ? headers["last-modified"] : etag;
  if (statusCode === PARTIAL) {
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers["content-range"] ?? "");
    if (range === null || Number(range[1]) !== at)
      throw refuse(failed(url, "the server sends another range than requested"));
    if (isChunked) throw refuse(failed(url, "the server sends a range in chunks, without its length"));
    return { response, sizeBytes: Number(range[3]), startsAt: at, validator };
  }
  const length = headers["content-length"];
  if (isChunked || length === undefined || !/^\d{1,15}$/.test(length)) {
    const message = `the server of ${shownUrl(url)} does not report the image's length (Content-Length); use another server`;
    throw refuse(new SocleError("invalid", "IMAGE_LENGTH_UNKNOWN", message));
  }
  return { response, sizeBytes: Number(length), startsAt: 0, validator };
}

/** The target of a redirect. Credentials stay with their origin. */
function redirected(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) throw failed(from, "it redirects to a text that is no URL");
  const to = new URL(location, from.href);
  if (to.origin === from.origin && to.username === "")
    [to.username, to.password] = [from.username, from.password];
  return to;
}

function isTransient(thrown: unknown): boolean {
  if (thrown instanceof Cut) return true;
  if (thrown instanceof SocleError) return false;
  return transientCodes.has(codeOf(thrown) ?? "");
}

/** Without the text of Node's errors, which may have parts of the URL. */
function why(thrown: unknown): string {
  if (thrown instanceof Cut) return thrown.message;
  return `the connection failed (${codeOf(thrown) ?? toSocleError(thrown).reason})`;
}

const failed = (url: URL, reason: string, cause?: unknown): SocleError =>
  new SocleError("unavailable", "IMAGE_SOURCE_FAILED", `${shownUrl(url)} cannot be downloaded: ${reason}`, {
    // The cause may have the URL in its text.
    ...(cause instanceof Cut ? { cause } : {}),
  });
