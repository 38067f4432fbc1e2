import { readActivity } from "../../../hardware/system/activity.ts";
import { readCpuFrequency } from "../../../hardware/cpu/cpu-frequency.ts";
import { cpuActivityReader } from "../../../hardware/cpu/cpu.ts";
import { readDiskIo } from "../../../hardware/storage/diskstats.ts";
import type { FilesystemProbe, FilesystemSpace } from "../../../hardware/storage/filesystem.ts";
import { readKvm } from "../../../hardware/cpu/kvm.ts";
import { readMemory } from "../../../hardware/memory/memory.ts";
import { networkStackReader } from "../../../hardware/network/network-stack.ts";
import { readNetworkInterfaces } from "../../../hardware/network/network.ts";
import { readNuma } from "../../../hardware/memory/numa.ts";
import { readPressures } from "../../../hardware/system/pressure.ts";
import type { Reading } from "../../../hardware/reading.ts";
import { eventLoopLag } from "./event-loop.ts";
import { journalFailures } from "./journals.ts";
import { inLane, reader } from "./reader.ts";
import type { ReaderContext } from "./reader-context.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Readers of kernel counters, and of resources that the agent needs. */
export const kernelReaders = ({
  roots,
  filesystems,
  journals,
  certificate,
  watchedPaths,
}: ReaderContext) => ({
  memory: reader(10 * SECOND, () => readMemory(roots)),
  cells: reader(10 * SECOND, () => readNuma(roots)),
  cpu: reader(10 * SECOND, cpuActivityReader(roots)),
  cpuFrequency: reader(MINUTE, () => readCpuFrequency(roots)),
  activity: reader(10 * SECOND, () => readActivity(roots)),
  diskIo: reader(10 * SECOND, () => readDiskIo(roots)),
  pressure: reader(10 * SECOND, () => readPressures(roots)),
  interfaces: reader(10 * SECOND, () => readNetworkInterfaces(roots)),
  networkStack: reader(10 * SECOND, networkStackReader(roots)),
  kvm: reader(10 * SECOND, () => readKvm(roots)),
  eventLoopLag: eventLoopLag(10 * SECOND),
  journals: journalFailures(journals, 10 * SECOND),
  certificate: reader(MINUTE, () => Promise.resolve(certificate())),
  filesystems: spaces(filesystems, watchedPaths),
});

/** Space by path, read sequentially: each filesystem takes a child process. */
const spaces = (filesystems: FilesystemProbe, paths: () => Iterable<string>) =>
  // Each path has its own, much shorter deadline.
  inLane("filesystems", 30 * SECOND, 60 * SECOND, async (signal) => {
    const value = new Map<string, Reading<FilesystemSpace>>();
    for (const path of new Set(paths())) if (!signal.aborted) value.set(path, await filesystems.read(path));
    return { kind: "read", value };
  });
