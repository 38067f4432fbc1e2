// GetVm, and the agent's memory, while two backups are read from it, against both at rest
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { bench } from "./bench.ts";
import { createFullGuest, inMemory, startBenchHost } from "./bench-host.ts";
import { memory } from "./processes.ts";
import { median, quantile, timed } from "./statistics.ts";

const execute = promisify(execFile);
const MIB = 2 ** 20;
/** Of one caller that waits for each answer, as a scheduler that asks now and then. */
const PAUSE_MS = 5;

await bench("beside", async (run) => {
  const mib = run.quick ? 32 : 1024;
  const rounds = run.quick ? 1 : 10;
  const [directory, pool] = [await inMemory(run, 8192), await inMemory(run, 16_384)];
  const bundle = await run.bundle();
  const host = await startBenchHost(run, { bundle, pools: { memory: pool } });
  const guests = ["first", "second"];
  for (const name of guests) await createFullGuest(host, name, { pool: "memory", directory: pool, mib });

  const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
  const backUp = async (name: string): Promise<void> => {
    const line = ["vm", "backup", "create", name, "--full", "--to", `${directory}/${name}`];
    await execute(process.execPath, [bundle, ...line], { env });
    await rm(`${directory}/${name}`, { recursive: true });
  };
  const { vms } = host.client.contract;
  let mostRssBytes = 0;
  /** Times GetVm until `isOver`. */
  const callsUntil = async (isOver: () => boolean): Promise<number[]> => {
    const tookMs: number[] = [];
    while (!isOver()) {
      tookMs.push(await timed(() => host.client.ask(vms.GetVm, { vm: "first" })));
      if (tookMs.length % 10 === 0)
        mostRssBytes = Math.max(mostRssBytes, (await memory(host.agent.pid)).rssBytes);
      await pause(PAUSE_MS);
    }
    return tookMs;
  };
  const whileStreaming = async (): Promise<number[]> => {
    let isOver = false;
    const reading = Promise.all(guests.map(backUp)).finally(() => {
      isOver = true;
    });
    const calls = await callsUntil(() => isOver);
    await reading;
    return calls;
  };

  // Both sides warm: an agent's first streams load code that stays.
  await whileStreaming();
  await callsUntil(after(500));
  const restRssBytes = (await memory(host.agent.pid)).rssBytes;
  mostRssBytes = 0;
  const [atRest, beside] = [[] as number[], [] as number[]];
  for (let round = 0; round < rounds; round += 1) {
    const streaming = await whileStreaming();
    beside.push(...streaming);
    const rest = await callsUntil(after(streaming.length));
    atRest.push(...rest);
    run.log(
      `round ${round + 1}: p99 ${quantile(streaming, 0.99).toFixed(2)} ms, at rest ${quantile(rest, 0.99).toFixed(2)} ms`,
    );
  }
  return {
    figures: {
      mib,
      calls: beside.length,
      p50AtRestMs: median(atRest),
      p50Ms: median(beside),
      p99AtRestMs: quantile(atRest, 0.99),
      p99Ms: quantile(beside, 0.99),
      p99Ratio: quantile(beside, 0.99) / quantile(atRest, 0.99),
      restRssMib: restRssBytes / MIB,
      moreRssMib: (mostRssBytes - restRssBytes) / MIB,
    },
    bound: { p99Ratio: { atMost: 3 }, moreRssMib: { atMost: 32 } },
  };
});

/** Over after so many looks. */
function after(calls: number): () => boolean {
  let made = 0;
  return () => (made += 1) > calls;
}
