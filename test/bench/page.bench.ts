// the status page in Chromium: first paint, time to completeness with 1,000 VMs, bytes over the wire
import { request, type IncomingMessage } from "node:http";
import { Browser, type BrowserPage } from "../support/browser.ts";
import { hostOf, PageStage, vmOf } from "../support/page-stage.ts";
import { bench } from "./bench.ts";
import { median } from "./statistics.ts";

const KIB = 1024;

// An operator's waiting time, often over a tunnel: 60 kB take a second at 0.5 Mbit/s, and below half a second a page feels
// immediate. The VMs arrive compressed over the stream: the bytes of 1,000 VMs are reported separately.
await bench("page", async (run) => {
  const browser = run.keep(await Browser.start());
  const visits = run.quick ? 3 : 15;
  const stage = await PageStage.start();
  run.cleanUp(() => stage.stop());
  stage.snapshot = hostOf({ cells: 8, cpus: 128, used: 0.6 });
  const vms = run.quick ? 100 : 1000;
  for (let index = 0; index < vms; index += 1) stage.table.put(vmOf(index, { cells: [index % 8] }));
  await stage.rounds(60);

  const bareMs: number[] = [];
  const paintMs: number[] = [];
  const completeMs: number[] = [];
  const pageBytes: number[] = [];
  for (let visit = 0; visit < visits; visit += 1) {
    bareMs.push(await barePaintMs(browser));
    const page = await browser.open("about:blank");
    // Each visit has an empty cache.
    await page.send("Network.setCacheDisabled", { cacheDisabled: true });
    await page.send("Page.addScriptToEvaluateOnNewDocument", { source: whenComplete(vms) });
    await page.send("Page.navigate", { url: stage.url });
    await page.until("window.completeAtMs", "all VMs to be shown");
    paintMs.push(await firstPaintMs(page));
    completeMs.push(await page.value<number>("window.completeAtMs"));
    const files = [...page.receivedBytes].filter(([path]) => path !== "/page/history");
    pageBytes.push(files.reduce((sum, [, bytes]) => sum + bytes, 0));
    run.log(
      `visit ${visit + 1}: paint ${paintMs.at(-1)?.toFixed(0) ?? ""} ms, all ${completeMs.at(-1)?.toFixed(0) ?? ""} ms`,
    );
    await page.close();
  }
  const { stateBytes, patchBytes } = await streamed(stage);
  return {
    figures: {
      vms,
      firstPaintMs: median(paintMs),
      completeMs: median(completeMs),
      barePaintMs: median(bareMs),
      paintRatio: median(paintMs) / median(bareMs),
      completeRatio: median(completeMs) / median(bareMs),
      pageKilobytes: median(pageBytes) / 1000,
      stateKibibytes: stateBytes / KIB,
      roundKibibytes: patchBytes / KIB,
    },
    bound: {
      paintRatio: { atMost: 10 },
      completeRatio: { atMost: 40 },
      pageKilobytes: { atMost: 60 },
      stateKibibytes: { atMost: 100 },
    },
  };
});

/** Chromium's time to paint a page of one word. */
async function barePaintMs(browser: Browser): Promise<number> {
  const page = await browser.open("data:text/html,<p>word");
  const ms = await firstPaintMs(page);
  await page.close();
  return ms;
}

async function firstPaintMs(page: BrowserPage): Promise<number> {
  const entries = `performance.getEntriesByName("first-contentful-paint")`;
  await page.until(`${entries}.length`, "a paint");
  return await page.value<number>(`${entries}[0].startTime`);
}

/** Resolves when every VM is placed and the table has its rows. */
function whenComplete(vms: number): string {
  return `
  new MutationObserver(() => {
    if (window.completeAtMs || document.querySelectorAll(".seats .seat").length < ${vms}) return;
    if (document.querySelector("tbody th.of-name")) window.completeAtMs = performance.now();
  }).observe(document, { childList: true, subtree: true });`;
}

/** Bytes for a new browser, and per later round; compressed, as on the wire. */
async function streamed(stage: PageStage): Promise<{ stateBytes: number; patchBytes: number }> {
  const end = new AbortController();
  const headers = { "Accept-Encoding": "gzip" };
  let bytes = 0;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(new URL("/page/stream", stage.url), { headers, signal: end.signal }, resolve)
      .on("error", reject)
      .end();
  });
  response.on("error", () => undefined);
  const stand = async (): Promise<number> => {
    // Silent for longer than changes are coalesced: everything has arrived.
    for (let before = -1; before !== bytes;) {
      before = bytes;
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    return bytes;
  };
  response.on("data", (chunk: Buffer) => (bytes += chunk.length));
  const stateBytes = await stand();
  await stage.rounds(1);
  const patchBytes = (await stand()) - stateBytes;
  end.abort();
  return { stateBytes, patchBytes };
}
