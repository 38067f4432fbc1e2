import { readBonds } from "../../../hardware/network/bonding.ts";
import { readDisks } from "../../../hardware/storage/disks.ts";
import { readMappedDevices } from "../../../hardware/storage/diskstats.ts";
import { readFirmware } from "../../../hardware/system/firmware.ts";
import { GpuProbe } from "../../../hardware/pci/gpu.ts";
import { readKsm } from "../../../hardware/memory/ksm.ts";
import { MountWatch } from "../../../hardware/storage/mount-watch.ts";
import { readRaid } from "../../../hardware/storage/raid.ts";
import { SmartProbe } from "../../../hardware/storage/smart.ts";
import { readSriov } from "../../../hardware/pci/sriov.ts";
import { readTimeSync } from "../../../hardware/system/time-sync.ts";
import { readWatchdogs } from "../../../hardware/system/watchdog.ts";
import { inLane, reader } from "./reader.ts";
import type { ReaderContext } from "./reader-context.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Readers of disks, links and other devices. */
export const deviceReaders = ({ roots, watchedPaths, vmPaths }: ReaderContext) => {
  const smart = new SmartProbe(roots);
  const mounts = new MountWatch(roots);
  const gpus = new GpuProbe();
  return {
    disks: reader(MINUTE, () => readDisks(roots)),
    mappedDevices: reader(MINUTE, () => readMappedDevices(roots)),
    // Each disk has its own, much shorter deadline.
    diskHealth: inLane("smart", 10 * MINUTE, 5 * MINUTE, (signal) => smart.read(signal)),
    raid: reader(10 * SECOND, () => readRaid(roots)),
    mounts: inLane("mounts", 10 * SECOND, 8 * SECOND, () => mounts.read(watchedPaths(), vmPaths())),
    bonds: reader(10 * SECOND, () => readBonds(roots)),
    sriov: reader(MINUTE, () => readSriov(roots)),
    ksm: reader(10 * SECOND, () => readKsm(roots)),
    clock: inLane("clock", MINUTE, 25 * SECOND, (signal) => readTimeSync(signal)),
    watchdogs: reader(MINUTE, () => readWatchdogs(roots)),
    firmware: reader(10 * MINUTE, () => readFirmware(roots)),
    // nvidia-smi takes a CPU second if nothing else keeps the driver loaded.
    gpus: inLane("gpu", 5 * MINUTE, 30 * SECOND, (signal) => gpus.read(signal)),
  };
};
