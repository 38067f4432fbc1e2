// CPU of a sampling round with 100 guests, and of all readers of the machine at rest
import { setTimeout as pause } from "node:timers/promises";
import type { AgentProcess } from "../lab/agent-process.ts";
import { Libvirtd } from "../lab/libvirtd.ts";
import { bench } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { cpuMs, cpuMsWithChildren } from "./processes.ts";
import { startShippedAgent } from "./shipped-agent.ts";

/** The agent's default. */
const INTERVAL_MS = 10_000;

// A round is what an agent that samples uses more than one beside it that does not; the readers are all that an agent
// on a libvirt without guests does, its child processes with it.
await bench("sample", async (run) => {
  const guests = run.quick ? 3 : 100;
  const intervalMs = run.quick ? 1000 : INTERVAL_MS;
  const rounds = run.quick ? 2 : 30;
  const { libvirtd } = await startCrowd(run, guests);
  const empty = run.keep(await Libvirtd.start());
  const start = (uri: string, sampleIntervalSeconds: number): Promise<AgentProcess> =>
    startShippedAgent(run, { libvirt: { uri }, vm: { sampleIntervalSeconds } });
  const sampling = await start(libvirtd.uri, intervalMs / 1000);
  const idle = await start(libvirtd.uri, 300);
  const reading = await start(empty.uri, 300);
  run.say("the agents are ready; letting them settle");
  // The probes of the start are over, and V8 has compiled what is run here.
  await pause(run.quick ? 1000 : 120_000);

  const libvirtdPid = await libvirtd.pid();
  const used = async (): Promise<readonly number[]> =>
    await Promise.all([
      cpuMs(sampling.pid),
      cpuMs(idle.pid),
      cpuMsWithChildren(reading.pid),
      cpuMs(libvirtdPid),
    ]);
  const before = await used();
  const startMs = performance.now();
  await pause(rounds * intervalMs);
  const elapsedMs = performance.now() - startMs;
  const after = await used();
  const [samplingMs = NaN, idleMs = NaN, readingMs = NaN, libvirtdMs = NaN] = after.map(
    (ms, index) => ms - (before[index] ?? NaN),
  );
  return {
    figures: {
      guests,
      roundCpuMs: (samplingMs - idleMs) / rounds,
      roundCpuMsPerGuest: (samplingMs - idleMs) / rounds / guests,
      libvirtdRoundCpuMs: libvirtdMs / rounds,
      readersCpuPercent: readingMs / elapsedMs / 0.01,
    },
    bound: { readersCpuPercent: { atMost: 1 } },
  };
});
