import { join } from "node:path";
import { readFilesByChild } from "../privileged/child-files.ts";
import { reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf, notHere, numberOf, rescanned, MonotonicCounters } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

interface SocketThrottles {
  readonly socket: string;
  /** Thermal throttling events since boot, of the package and of its cores. Absent if not reported. */
  readonly package?: number;
  readonly cores?: number;
}

interface Socket {
  readonly packageFile: string;
  /** By core number. */
  readonly coreFiles: ReadonlyMap<string, string>;
}

/** /sys/devices/system/cpu/cpu*\/thermal_throttle: one file per package and one per core, read from any thread. */
export function throttlingReader(
  { sysRoot }: Roots,
  monotonicMs: () => number,
): (signal: AbortSignal) => Promise<Reading<readonly SocketThrottles[]>> {
  const root = join(sysRoot, "devices/system/cpu");
  const sockets = new Map<string, Socket>();
  const counts = new MonotonicCounters();
  const scan = rescanned(monotonicMs, async (signal) => {
    for (const [socket, { packageFile, coreFiles }] of await findSockets(root, signal)) {
      // Keep an offline core and its count.
      const before = sockets.get(socket)?.coreFiles ?? [];
      sockets.set(socket, { packageFile, coreFiles: new Map([...before, ...coreFiles]) });
    }
  });
  return (signal) =>
    reading(`throttling of ${root}`, async () => {
      await scan(signal);
      if (sockets.size === 0) throw notHere("the CPUs do not count throttling");
      const files = [...sockets.values()].flatMap(({ packageFile, coreFiles }) => [
        packageFile,
        ...coreFiles.values(),
      ]);
      const texts = await readFilesByChild(root, files, signal);
      const countOf = (counter: string, file: string): number | undefined =>
        counts.of(counter, numberOf(texts.get(file)));
      return [...sockets].map(([socket, { packageFile, coreFiles }]) => {
        const ofPackage = countOf(socket, packageFile);
        const ofCores = [...coreFiles].map(([core, file]) => countOf(`${socket}/${core}`, file));
        // A core that becomes readable later would look like new events.
        const cores = ofCores.reduce<number | undefined>(
          (sum, count) => (sum === undefined || count === undefined ? undefined : sum + count),
          0,
        );
        return defined({ socket, package: ofPackage, cores });
      });
    });
}

/** Files of online CPUs, by socket. */
async function findSockets(root: string, signal: AbortSignal): Promise<ReadonlyMap<string, Socket>> {
  const cpus = (await entriesOf(root)).filter((entry) => /^cpu\d+$/.test(entry));
  const fileOf = (cpu: string, name: string): string => join(root, cpu, name);
  const names = ["topology/physical_package_id", "topology/core_id", "thermal_throttle/core_throttle_count"];
  const texts = await readFilesByChild(
    root,
    cpus.flatMap((cpu) => names.map((name) => fileOf(cpu, name))),
    signal,
  );
  const sockets = new Map<string, Socket>();
  for (const cpu of cpus) {
    const [socket, core, count] = names.map((name) => texts.get(fileOf(cpu, name)));
    if (socket === undefined || core === undefined || count === undefined) continue;
    const { packageFile, coreFiles } = sockets.get(socket) ?? {
      packageFile: fileOf(cpu, "thermal_throttle/package_throttle_count"),
      coreFiles: new Map<string, string>(),
    };
    const coreFile = coreFiles.get(core) ?? fileOf(cpu, "thermal_throttle/core_throttle_count");
    sockets.set(socket, { packageFile, coreFiles: new Map([...coreFiles, [core, coreFile]]) });
  }
  return sockets;
}
