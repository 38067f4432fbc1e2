import { join } from "node:path";
import { readFilesByChild } from "./child-files.ts";
import { reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";
import { entriesOf, notHere, numberOf, rescanned } from "./walk.ts";

export interface SocketThrottles {
  readonly socket: string;
  /** Times since boot that the whole package, and that its cores, were slowed down for heat. Absent: not told. */
  readonly package?: number;
  readonly cores?: number;
}

interface Socket {
  readonly packageFile: string;
  readonly coreFiles: readonly string[];
}

/** /sys/devices/system/cpu/cpu*\/thermal_throttle: one file a package and one a core, whichever of its threads. */
export function throttlingReader(
  { sysRoot }: Roots,
  monotonicMs: () => number,
): (signal: AbortSignal) => Promise<Reading<readonly SocketThrottles[]>> {
  const root = join(sysRoot, "devices/system/cpu");
  const socketsOf = rescanned(monotonicMs, (signal) => findSockets(root, signal));
  return (signal) =>
    reading(`throttling of ${root}`, async () => {
      const sockets = await socketsOf(signal);
      if (sockets.size === 0) throw notHere("the CPUs do not count their throttling");
      const files = [...sockets.values()].flatMap(({ packageFile, coreFiles }) => [
        packageFile,
        ...coreFiles,
      ]);
      const texts = await readFilesByChild(root, files, signal);
      return [...sockets].map(([socket, { packageFile, coreFiles }]) => {
        const ofPackage = numberOf(texts.get(packageFile));
        const ofCores = coreFiles.map((file) => numberOf(texts.get(file)));
        // A sum without one of its cores would look like a counter that was reset.
        const cores = ofCores.reduce<number | undefined>(
          (sum, count) => (sum === undefined || count === undefined ? undefined : sum + count),
          0,
        );
        return {
          socket,
          ...(ofPackage === undefined ? {} : { package: ofPackage }),
          ...(cores === undefined ? {} : { cores }),
        };
      });
    });
}

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
  const cores = new Set<string>();
  for (const cpu of cpus) {
    const [socket, core, count] = names.map((name) => texts.get(fileOf(cpu, name)));
    if (socket === undefined || core === undefined || count === undefined) continue;
    if (cores.has(`${socket}/${core}`)) continue;
    cores.add(`${socket}/${core}`);
    const { packageFile, coreFiles } = sockets.get(socket) ?? {
      packageFile: fileOf(cpu, "thermal_throttle/package_throttle_count"),
      coreFiles: [],
    };
    const coreFile = fileOf(cpu, "thermal_throttle/core_throttle_count");
    sockets.set(socket, { packageFile, coreFiles: [...coreFiles, coreFile] });
  }
  return sockets;
}
