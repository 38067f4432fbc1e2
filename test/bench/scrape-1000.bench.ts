// /metrics with 1,000 VMs with recorded statistics: render time, stalls of the event loop, size
import { once } from "node:events";
import { connect } from "node:net";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { AgentProcess } from "../support/agent-process.ts";
import { eventually } from "../support/wait.ts";
import { bench } from "./bench.ts";
import { startCrowdDaemon } from "./crowd-daemon.ts";
import { cpuMs } from "./processes.ts";
import { Reference } from "./reference.ts";
import { openScraper, seriesOf } from "./scraper.ts";
import { shippedAgent } from "./shipped-agent.ts";
import { median } from "./statistics.ts";

const oneCollector = { query: "?collect[]=vm_observation" };

// The shipped agent with a probe of its event loop; everything from the socket on is its own.
await bench("scrape-1000", async (run) => {
  const vms = run.quick ? 50 : 1000;
  const rounds = run.quick ? 2 : 20;
  const intervalSeconds = run.quick ? 1 : 5;
  const daemon = await startCrowdDaemon({ after: (cleanup) => run.cleanUp(cleanup) }, vms);
  const shipped = await shippedAgent(run);
  const probeSocket = `${daemon.socketPath}-probe`;
  const probe = join(import.meta.dirname, "event-loop-probe.mjs");
  const agent = run.keep(
    await AgentProcess.start({
      ...shipped,
      nodeOptions: [...(shipped.nodeOptions ?? []), "--import", probe],
      environment: { ...shipped.environment, PROBE_SOCKET: probeSocket },
      config: { libvirt: { uri: daemon.uri }, vm: { sampleIntervalSeconds: intervalSeconds } },
    }),
  );
  // The measured process has priority on the CPUs.
  setPriority(constants.priority.PRIORITY_LOW);
  const scraper = openScraper(run, `http://${agent.metricsAddress}/metrics`);
  await eventually(
    async () => seriesOf((await scraper.scrape()).text, "socle_vm_cpu_seconds_total") === vms,
    {
      what: "the agent's first sample",
      timeoutMs: 60_000,
    },
  );
  // Until V8 has compiled this code, and each kind of garbage collection ran once.
  for (let warmUp = 0; warmUp < (run.quick ? 2 : 40); warmUp += 1) await scraper.scrape();
  await pause(intervalSeconds * (run.quick ? 1000 : 4000));

  const reference = new Reference();
  const samplingStalls: Stall[] = [];
  const scrapeStalls: Stall[] = [];
  const renderMs: number[] = [];
  const gzippedMs: number[] = [];
  const scrapeCpuMs: number[] = [];
  let last = await scraper.scrape({ gzip: false });
  let packedBytes = 0;
  for (let round = 0; round < rounds; round += 1) {
    reference.measure();
    // A scrape of each kind after a sampling, with all new values, and no other work meanwhile.
    daemon.prepare();
    await heldUp(probeSocket);
    const sampledAt = sampleTime(last.text);
    await daemon.delivered();
    await eventually(async () => sampleTime((await scraper.scrape(oneCollector)).text) > sampledAt, {
      what: "the end of the sampling",
      timeoutMs: intervalSeconds * 1000,
      intervalMs: 50,
    });
    samplingStalls.push(await heldUp(probeSocket));
    const cpuBeforeMs = await cpuMs(agent.pid);
    const whole = await scraper.scrape({ gzip: round % 2 === 0 });
    scrapeCpuMs.push((await cpuMs(agent.pid)) - cpuBeforeMs);
    scrapeStalls.push(await heldUp(probeSocket));
    last = whole;
    if (round % 2 === 0) {
      gzippedMs.push(whole.tookMs);
      packedBytes = whole.bytes;
    } else renderMs.push(whole.firstByteMs);
    run.log(
      `round ${round + 1}: held up ${inWords(samplingStalls.at(-1))} by sampling, ${inWords(scrapeStalls.at(-1))} by a scrape of ${whole.tookMs.toFixed(1)} ms`,
    );
  }
  const series = seriesOf(last.text, "socle_vm_");
  const stalls = [...samplingStalls, ...scrapeStalls];
  const longest = stalls.reduce((most, stall) => (stall.wallMs > most.wallMs ? stall : most));
  // The agent's own part of a stall, without other processes' load.
  const ownStallMs = Math.max(...stalls.map(({ wallMs, waitedMs }) => wallMs - waitedMs));
  return {
    figures: {
      vms,
      series: seriesOf(last.text, ""),
      seriesPerVm: series / vms,
      bytes: Buffer.byteLength(last.text),
      gzipBytes: packedBytes,
      renderMs: median(renderMs),
      slowestRenderMs: Math.max(...renderMs),
      gzippedScrapeMs: median(gzippedMs),
      scrapeCpuMs: median(scrapeCpuMs),
      stallMs: longest.wallMs,
      ownStallMs,
      stallWithoutCpuMs: longest.waitedMs,
      samplingStallCpuMs: Math.max(...samplingStalls.map(({ cpuMs }) => cpuMs)),
      scrapeStallCpuMs: Math.max(...scrapeStalls.map(({ cpuMs }) => cpuMs)),
      longestCollectionMs: Math.max(...stalls.map(({ collectionMs }) => collectionMs)),
      medianSamplingStallCpuMs: median(samplingStalls.map(({ cpuMs }) => cpuMs)),
      medianScrapeStallCpuMs: median(scrapeStalls.map(({ cpuMs }) => cpuMs)),
      referenceWallMs: reference.wallMs,
      referenceCpuMs: reference.cpuMs,
      stallRatio: ownStallMs / reference.cpuMs,
      renderRatio: median(renderMs) / reference.wallMs,
    },
    bound: { stallRatio: { atMost: 1.25 }, renderRatio: { atMost: 7.5 }, seriesPerVm: { atLeast: 50 } },
  };
});

interface Stall {
  readonly wallMs: number;
  /** The part of it in which the thread waited for a CPU. */
  readonly waitedMs: number;
  readonly cpuMs: number;
  /** The longest garbage collection. */
  readonly collectionMs: number;
}

/** The longest stall since the previous request. */
async function heldUp(probeSocket: string): Promise<Stall> {
  const socket = connect(probeSocket);
  await once(socket, "connect");
  return (await json(socket)) as Stall;
}

function inWords(stall: Stall | undefined): string {
  return `${stall?.wallMs.toFixed(1)} ms (${stall?.waitedMs.toFixed(1)} without a CPU, ${stall?.cpuMs.toFixed(1)} of CPU, ${stall?.collectionMs.toFixed(1)} by one collection)`;
}

function sampleTime(text: string): number {
  return Number(/^socle_vm_sample_timestamp_seconds (\S+)$/m.exec(text)?.[1] ?? 0);
}
