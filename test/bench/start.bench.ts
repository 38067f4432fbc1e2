// from the start of the agent's process to READY with 100 guests, against a start of Node alone
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
  const startNode = (): Promise<unknown> =>
    promisify(execFile)(process.execPath, [...nodeOptions, "--eval", ""]);
  const readyMs: number[] = [];
  const nodeMs: number[] = [];
  const vmsAtReady: number[] = [];
  for (let round = 0; round < (run.quick ? 2 : 7); round += 1) {
    await agent.terminate();
    nodeMs.push(await timed(startNode));
    const { readyMs: ms } = await agent.startAgain();
    // READY does not wait for a slow libvirt, but a start counts only with its VMs.
    vmsAtReady.push(Number(agent.log.findLast((line) => line.msg === "ready")?.["vms"]));
    run.log(`round ${round + 1}: ${ms.toFixed(0)} ms, Node alone ${nodeMs[round]?.toFixed(0)} ms`);
    readyMs.push(ms);
  }
  return {
    figures: {
      guests,
      readyMs: median(readyMs),
      slowestReadyMs: Math.max(...readyMs),
      nodeMs: median(nodeMs),
      // Ratios of paired rounds.
      startRatio: median(readyMs.map((ms, round) => ms / (nodeMs[round] ?? NaN))),
      vmsAtReady: median(vmsAtReady),
    },
    bound: { startRatio: { atMost: 14 }, vmsAtReady: { atLeast: guests } },
  };
});
