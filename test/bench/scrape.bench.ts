// /metrics with 50 guests, against Debian's prometheus-libvirt-exporter on the same libvirtd
import { setTimeout as pause } from "node:timers/promises";
import type { AgentProcess } from "../support/agent-process.ts";
import { spawnBound } from "../support/bound-child.ts";
import { freePort } from "../support/ports.ts";
import { eventually } from "../support/wait.ts";
import { bench, type Run } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { cpuMs } from "./processes.ts";
import { openScraper, seriesOf, type Scraper } from "./scraper.ts";
import { startShippedAgent } from "./shipped-agent.ts";
import { median } from "./statistics.ts";

/** The agent's default sampling interval, used for both scrapes here. */
const INTERVAL_MS = 10_000;

// CPU at the pace of a production host, once per interval, since back-to-back scrapes are cheaper. The agent samples and is
// scraped separately, so its cost is the difference to an agent that does neither.
await bench("scrape", async (run) => {
  const guests = run.quick ? 3 : 50;
  const intervals = run.quick ? 1 : 15;
  const intervalMs = run.quick ? 3000 : INTERVAL_MS;
  const { libvirtd } = await startCrowd(run, guests);
  const libvirtdPid = await libvirtd.pid();
  const libvirt = { uri: libvirtd.uri };
  const agent = await startShippedAgent(run, { libvirt, vm: { sampleIntervalSeconds: intervalMs / 1000 } });
  const idle = await startShippedAgent(run, { libvirt, vm: { sampleIntervalSeconds: 300 } });
  const exporter = await startExporter(run, libvirtd.uri);
  const ownScraper = openScraper(run, `http://${agent.metricsAddress}/metrics`);
  await eventually(async () => (await ownScraper.scrape()).text.includes("socle_vm_vcpu_seconds_total"), {
    what: "the agent's first sample",
    timeoutMs: 30_000,
  });
  // As after an hour or two of scrapes, when V8's compilation is over.
  for (let warmUp = 0; warmUp < (run.quick ? 3 : 300); warmUp += 1) await ownScraper.scrape();
  for (let warmUp = 0; warmUp < (run.quick ? 3 : 30); warmUp += 1) await exporter.scraper.scrape();
  await pause(run.quick ? intervalMs : 120_000);

  const pacedMs = { own: [] as number[], exporter: [] as number[] };
  const exporterCpuMs: number[] = [];
  const libvirtdPerExporterScrapeMs: number[] = [];
  const before = await usage(agent, idle, libvirtdPid);
  const startMs = performance.now();
  let own = "";
  let other = "";
  for (let interval = 0; interval < intervals; interval += 1) {
    const exporterBeforeMs = await cpuMs(exporter.pid);
    const libvirtdBeforeMs = await cpuMs(libvirtdPid);
    const theirs = await exporter.scraper.scrape();
    exporterCpuMs.push((await cpuMs(exporter.pid)) - exporterBeforeMs);
    libvirtdPerExporterScrapeMs.push((await cpuMs(libvirtdPid)) - libvirtdBeforeMs);
    await pause(intervalMs / 2);
    const ours = await ownScraper.scrape();
    pacedMs.own.push(ours.tookMs);
    pacedMs.exporter.push(theirs.tookMs);
    run.log(
      `scrape ${interval + 1}: socle ${ours.tookMs.toFixed(1)} ms, exporter ${theirs.tookMs.toFixed(1)} ms`,
    );
    own = ours.text;
    other = theirs.text;
    await pause(Math.max(0, startMs + (interval + 1) * intervalMs - performance.now()));
  }
  const after = await usage(agent, idle, libvirtdPid);
  const wallsMs = { own: [] as number[], exporter: [] as number[] };
  for (let pair = 0; pair < (run.quick ? 2 : 30); pair += 1) {
    wallsMs.exporter.push((await exporter.scraper.scrape()).tookMs);
    wallsMs.own.push((await ownScraper.scrape()).tookMs);
  }
  const used = (of: keyof typeof before): number => after[of] - before[of];

  const ownCpuMs = (used("agentMs") - used("idleMs")) / intervals;
  const otherCpuMs = median(exporterCpuMs);
  const libvirtdForExporterMs = libvirtdPerExporterScrapeMs.reduce((sum, ms) => sum + ms, 0);
  const ownSeries = seriesOf(own, "socle_vm_");
  const exporterSeries = seriesOf(other, "libvirt_domain_");
  return {
    figures: {
      guests,
      ownWallMs: median(wallsMs.own),
      exporterWallMs: median(wallsMs.exporter),
      wallRatio: median(wallsMs.exporter) / median(wallsMs.own),
      ownPacedWallMs: median(pacedMs.own),
      exporterPacedWallMs: median(pacedMs.exporter),
      ownCpuMs,
      exporterCpuMs: otherCpuMs,
      cpuRatio: ownCpuMs / otherCpuMs,
      // All work of an interval: probes, the host's sampling, the scrape.
      ownWholeCpuMs: used("agentMs") / intervals,
      libvirtdCpuMsForOwn: (used("libvirtdMs") - libvirtdForExporterMs) / intervals,
      libvirtdCpuMsForExporter: libvirtdForExporterMs / intervals,
      ownSeries,
      exporterSeries,
      seriesRatio: ownSeries / exporterSeries,
    },
    bound: { wallRatio: { atLeast: 20 }, cpuRatio: { atMost: 0.5 }, seriesRatio: { atLeast: 3 } },
  };
});

async function startExporter(run: Run, uri: string): Promise<{ scraper: Scraper; pid: number }> {
  const address = `127.0.0.1:${await freePort()}`;
  const options = ["--libvirt.uri", uri, "--web.listen-address", address];
  const exporter = spawnBound("prometheus-libvirt-exporter", options);
  run.cleanUp(() => exporter.kill());
  let words = "";
  for (const output of [exporter.stdout, exporter.stderr]) {
    output.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)));
  }
  const scraper = openScraper(run, `http://${address}/metrics`);
  try {
    await eventually(async () => (await scraper.scrape()).text.includes("libvirt_domain"), {
      what: "the exporter to show a domain",
      timeoutMs: 60_000,
    });
  } catch (cause) {
    throw new Error(`the exporter printed: ${words}`, { cause });
  }
  if (exporter.pid === undefined) throw new Error("the exporter did not start");
  return { scraper, pid: exporter.pid };
}

async function usage(
  agent: AgentProcess,
  idle: AgentProcess,
  libvirtd: number,
): Promise<{ agentMs: number; idleMs: number; libvirtdMs: number }> {
  const [agentMs, idleMs, libvirtdMs] = await Promise.all([agent.pid, idle.pid, libvirtd].map(cpuMs));
  return { agentMs: agentMs ?? NaN, idleMs: idleMs ?? NaN, libvirtdMs: libvirtdMs ?? NaN };
}
