// from the start of the agent's process to READY with 100 guests, against a start that only prints its version
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { bench } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { shippedAgent, startShippedAgent } from "./shipped-agent.ts";
import { median, timed } from "./statistics.ts";

await bench("start", async (run) => {
  const guests = run.quick ? 3 : 100;
  const { libvirtd } = await startCrowd(run, guests);
  const { bundle = "", nodeOptions = [] } = await shippedAgent(run);
  const agent = await startShippedAgent(run, { libvirt: { uri: libvirtd.uri } }, { bundle });
  const printVersion = (): Promise<unknown> =>
    promisify(execFile)(process.execPath, [...nodeOptions, bundle, "--version"]);
  const readyMs: number[] = [];
  const versionMs: number[] = [];
  const vmsAtReady: number[] = [];
  for (let round = 0; round < (run.quick ? 2 : 7); round += 1) {
    await agent.terminate();
    versionMs.push(await timed(printVersion));
    const { readyMs: ms } = await agent.startAgain();
    // READY does not wait for a slow libvirt, but a start counts only with its VMs.
    vmsAtReady.push(Number(agent.log.findLast((line) => line.msg === "ready")?.["vms"]));
    run.log(`round ${round + 1}: ${ms.toFixed(0)} ms, its version after ${versionMs[round]?.toFixed(0)} ms`);
    readyMs.push(ms);
  }
  return {
    figures: {
      guests,
      readyMs: median(readyMs),
      slowestReadyMs: Math.max(...readyMs),
      versionMs: median(versionMs),
      // Ratios of paired rounds: both load the same bundle into the same Node.
      startRatio: median(readyMs.map((ms, round) => ms / (versionMs[round] ?? NaN))),
      vmsAtReady: median(vmsAtReady),
    },
    bound: { startRatio: { atMost: 6 }, vmsAtReady: { atLeast: guests } },
  };
});
