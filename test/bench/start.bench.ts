// from the start of the agent's process to READY with 100 guests
import { bench } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { startShippedAgent } from "./shipped-agent.ts";
import { median } from "./statistics.ts";

await bench("start", async (run) => {
  const guests = run.quick ? 3 : 100;
  const { libvirtd } = await startCrowd(run, guests);
  const agent = await startShippedAgent(run, { libvirt: { uri: libvirtd.uri } });
  const readyMs: number[] = [];
  const vmsAtReady: number[] = [];
  for (let round = 0; round < (run.quick ? 2 : 7); round += 1) {
    await agent.terminate();
    const { readyMs: ms } = await agent.startAgain();
    // READY does not wait for a libvirt that is slow: a start without its VMs would be no start.
    vmsAtReady.push(Number(agent.log.findLast((line) => line.msg === "ready")?.["vms"]));
    run.say(`round ${round + 1}: ${ms.toFixed(0)} ms`);
    readyMs.push(ms);
  }
  return {
    figures: {
      guests,
      readyMs: median(readyMs),
      slowestReadyMs: Math.max(...readyMs),
      vmsAtReady: median(vmsAtReady),
    },
    bound: { readyMs: { atMost: 1000 }, vmsAtReady: { atLeast: guests } },
  };
});
