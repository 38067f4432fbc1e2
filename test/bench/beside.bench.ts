// GetVm, and the agent's memory, while two disks are backed up, against both at rest and beside virsh and nbdcopy
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { bench } from "./bench.ts";
import { createFullGuest, inMemory, startBenchHost, succeeded } from "./bench-host.ts";
import { peerBackup } from "./peer-backup.ts";
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
  for (const name of guests) {
    await createFullGuest(host, name, { pool: "memory", directory: pool, mib });
    await succeeded(
      host,
      host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm: name }),
    );
  }

  const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
  const backUp = async (name: string): Promise<void> => {
    const line = ["vm", "backup", "create", name, "--full", "--to", `${directory}/${name}`];
    await execute(process.execPath, [bundle, ...line], { env });
    await rm(`${directory}/${name}`, { recursive: true });
  };
  const copies = guests.map((name) => `${directory}/${name}.raw`);
  const peers = await Promise.all(
    guests.map((name, index) => peerBackup(host, name, { pool, copy: copies[index] ?? "" })),
  );
  const copy = async (index: number): Promise<void> => {
    await peers[index]?.();
    await rm(copies[index] ?? "");
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
  const beside = async (work: readonly Promise<void>[]): Promise<number[]> => {
    let isOver = false;
    const working = Promise.all(work).finally(() => {
      isOver = true;
    });
    const calls = await callsUntil(() => isOver);
    await working;
    return calls;
  };
  const besideBackups = () => beside(guests.map(backUp));
  const besideCopies = () => beside(guests.map((_, index) => copy(index)));

  // Both sides warm: an agent's first streams load code that stays.
  await besideBackups();
  await besideCopies();
  await callsUntil(after(500));
  const restRssBytes = (await memory(host.agent.pid)).rssBytes;
  mostRssBytes = 0;
  const [atRest, backups, nbdcopies] = [[] as number[], [] as number[], [] as number[]];
  for (let round = 0; round < rounds; round += 1) {
    const reading = await besideBackups();
    backups.push(...reading);
    const copying = await besideCopies();
    nbdcopies.push(...copying);
    const rest = await callsUntil(after(reading.length));
    atRest.push(...rest);
    run.log(
      `round ${round + 1}: p99 ${[reading, copying, rest].map((each) => p99(each).toFixed(2)).join(", ")} ms`,
    );
  }
  return {
    figures: {
      mib,
      calls: backups.length,
      p50AtRestMs: median(atRest),
      p50Ms: median(backups),
      p99AtRestMs: p99(atRest),
      p99Ms: p99(backups),
      p99BesideNbdcopyMs: p99(nbdcopies),
      p99Ratio: p99(backups) / p99(atRest),
      // The part that the host's processors cost, and not the agent.
      p99RatioBesideNbdcopy: p99(nbdcopies) / p99(atRest),
      restRssMib: restRssBytes / MIB,
      moreRssMib: (mostRssBytes - restRssBytes) / MIB,
    },
    bound: { p99Ratio: { atMost: 3 }, moreRssMib: { atMost: 32 } },
  };
});

function p99(tookMs: readonly number[]): number {
  return quantile(tookMs, 0.99);
}

/** Over after so many looks. */
function after(calls: number): () => boolean {
  let made = 0;
  return () => (made += 1) > calls;
}
