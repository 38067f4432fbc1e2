import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import type { Run } from "./bench.ts";

export interface Scraped {
  readonly text: string;
  /** The compressed bytes. */
  readonly bytes: number;
  /** The time to the first byte, which is the rendering. */
  readonly firstByteMs: number;
  readonly tookMs: number;
}

export interface Scraper {
  scrape(options?: { gzip?: boolean; query?: string }): Promise<Scraped>;
}

/** Scrapes like Prometheus, over a persistent connection. Decompression is the scraper's own time. */
export function openScraper(run: Run, url: string): Scraper {
  const agent = new Agent({ keepAlive: true });
  run.cleanUp(() => agent.destroy());
  return {
    async scrape({ gzip = true, query = "" } = {}) {
      const headers = {
        Accept: "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        "Accept-Encoding": gzip ? "gzip" : "identity",
      };
      const startMs = performance.now();
      const request = get(`${url}${query}`, { headers, agent, timeout: 10_000 });
      request.on("timeout", () => request.destroy(new Error(`${url} did not answer within 10 s`)));
      const [response] = (await once(request, "response")) as [IncomingMessage];
      const firstByteMs = performance.now() - startMs;
      const body = await buffer(response);
      const tookMs = performance.now() - startMs;
      const text = response.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
      if (response.statusCode !== 200)
        throw new Error(`${url}: ${response.statusCode ?? ""} ${text.toString()}`);
      return { text: text.toString(), bytes: body.length, firstByteMs, tookMs };
    },
  };
}

/** The number of series with `prefix`. */
export function seriesOf(exposition: string, prefix: string): number {
  return exposition
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#") && line.startsWith(prefix)).length;
}
