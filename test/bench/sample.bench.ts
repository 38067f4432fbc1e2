// CPU of a sampling round with 100 guests, and of all readers of a rack server at rest
import { setTimeout as pause } from "node:timers/promises";
import type { AgentProcess } from "../support/agent-process.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import { bench, type Run } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { cpuMs, cpuMsWithChildren } from "./processes.ts";
import { startRackServer } from "./rack-server.ts";
import { Reference } from "./reference.ts";
import { startShippedAgent } from "./shipped-agent.ts";

/** Below the default, which does not change a round's CPU. */
const INTERVAL_MS = 1000;
/** The clock of the agent with readers runs this many times as fast: the slowest reader's interval, 10 minutes, takes one. */
const CLOCK_RATE = 10;

// A round's CPU is the difference between an agent that samples and one that does not. The readers' CPU is that of an agent
// without guests, with its child processes, on recorded files of a two-socket server, since this machine may have no sensors.
await bench("sample", async (run) => {
  const guests = run.quick ? 3 : 100;
  const rounds = run.quick ? 2 : 60;
  const bundle = await run.bundle();
  const [{ libvirtd }, reading] = await Promise.all([startCrowd(run, guests), startReading(run, bundle)]);
  const start = (uri: string, sampleIntervalSeconds: number): Promise<AgentProcess> =>
    startShippedAgent(run, { libvirt: { uri }, vm: { sampleIntervalSeconds } }, { bundle });
  const sampling = await start(libvirtd.uri, INTERVAL_MS / 1000);
  const idle = await start(libvirtd.uri, 300);
  run.log("the agents are ready; waiting until they are idle");
  // After the probes of the start and V8's compilation.
  await pause(run.quick ? 1000 : 20_000);

  const reference = new Reference();
  const libvirtdPid = await libvirtd.pid();
  const used = (): Promise<readonly number[]> =>
    Promise.all([cpuMs(sampling.pid), cpuMs(idle.pid), cpuMs(libvirtdPid)]);
  const readersBeforeMs = await cpuMsWithChildren(reading.pid);
  const before = await used();
  const startMs = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    await pause(INTERVAL_MS);
    reference.measure();
  }
  const after = await used();
  const [samplingMs = NaN, idleMs = NaN, libvirtdMs = NaN] = after.map(
    (ms, index) => ms - (before[index] ?? NaN),
  );
  const readersMs = (await cpuMsWithChildren(reading.pid)) - readersBeforeMs;
  const readersElapsedMs = (performance.now() - startMs) * CLOCK_RATE;
  const { read, sensors } = await whatWasRead(run, reading);
  return {
    figures: {
      guests,
      roundCpuMs: (samplingMs - idleMs) / rounds,
      roundCpuMsPerGuest: (samplingMs - idleMs) / rounds / guests,
      libvirtdRoundCpuMs: libvirtdMs / rounds,
      readersCpuPercent: readersMs / readersElapsedMs / 0.01,
      referenceCpuMs: reference.cpuMs,
      readersReferencesPerMinute: (readersMs / readersElapsedMs) * (60_000 / reference.cpuMs),
      readersThatRead: read,
      sensorsRead: sensors,
    },
    bound: { readersReferencesPerMinute: { atMost: 75 } },
  };
});

async function startReading(run: Run, bundle: string): Promise<AgentProcess> {
  const { uri } = run.keep(await Libvirtd.start());
  const mountsOf = await startRackServer(run);
  const config = { libvirt: { uri }, vm: { sampleIntervalSeconds: 300 } };
  return startShippedAgent(run, config, { bundle, mountsOf, clockRate: CLOCK_RATE });
}

/** From the agent's report: a figure of readers without data would mean nothing. */
async function whatWasRead(
  run: Run,
  { metricsAddress }: AgentProcess,
): Promise<{ read: number; sensors: number }> {
  const response = await fetch(`http://${metricsAddress}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const scraped = await response.text();
  const readersThat = (state: string): string[] =>
    [
      ...scraped.matchAll(new RegExp(`^socle_reader_state\\{reader="(\\w+)",state="${state}"\\} 1$`, "gm")),
    ].map(([, name = ""]) => name);
  for (const state of ["read", "unsupported", "failed"])
    run.log(`${state}: ${readersThat(state).join(", ")}`);
  for (const [line] of scraped.matchAll(/^socle_reader_reason\{.*$/gm)) run.log(line);
  const sensor =
    /^socle_host_(temperature_celsius|fan_speed_rpm|voltage_volts|current_amperes|power_watts|energy_joules_total|memory_corrected_errors_total|disk_wear_ratio)\{/gm;
  return { read: readersThat("read").length, sensors: [...scraped.matchAll(sensor)].length };
}
