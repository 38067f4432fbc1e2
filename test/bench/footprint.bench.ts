// memory and CPU of the agent at rest with 100 guests
import { setTimeout as pause } from "node:timers/promises";
import { bench } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { cpuMsWithChildren, memory } from "./processes.ts";
import { Reference } from "./reference.ts";
import { startShippedAgent } from "./shipped-agent.ts";

await bench("footprint", async (run) => {
  const guests = run.quick ? 3 : 100;
  const { libvirtd } = await startCrowd(run, guests);
  const agent = await startShippedAgent(run, { libvirt: { uri: libvirtd.uri } });
  run.log("the agent is ready; waiting until it is idle");
  await pause(run.quick ? 1000 : 60_000);

  const reference = new Reference();
  const libvirtdPid = await libvirtd.pid();
  const cpuBeforeMs = await cpuMsWithChildren(agent.pid);
  const libvirtdBeforeMs = await cpuMsWithChildren(libvirtdPid);
  const startMs = performance.now();
  let rssMaxBytes = 0;
  for (let second = 0; second < (run.quick ? 2 : 120); second += 1) {
    await pause(1000);
    if (second % 10 === 0) reference.measure();
    rssMaxBytes = Math.max(rssMaxBytes, (await memory(agent.pid)).rssBytes);
  }
  const elapsedMs = performance.now() - startMs;
  const usedMs = (await cpuMsWithChildren(agent.pid)) - cpuBeforeMs;
  const libvirtdPercent = ((await cpuMsWithChildren(libvirtdPid)) - libvirtdBeforeMs) / elapsedMs / 0.01;
  const { rssBytes, pssBytes, anonymousBytes } = await memory(agent.pid);
  return {
    figures: {
      guests,
      rssMB: rssBytes / 1e6,
      rssMaxMB: rssMaxBytes / 1e6,
      pssMB: pssBytes / 1e6,
      anonymousMB: anonymousBytes / 1e6,
      cpuPercent: usedMs / elapsedMs / 0.01,
      referenceCpuMs: reference.cpuMs,
      // In units of the reference's work per minute.
      referencesPerMinute: (usedMs / elapsedMs) * (60_000 / reference.cpuMs),
      libvirtdCpuPercent: libvirtdPercent,
    },
    bound: { rssMaxMB: { atMost: 100 }, referencesPerMinute: { atMost: 75 } },
  };
});
