import { Bmc } from "../../../hardware/bmc/bmc.ts";
import { memoryErrorsReader } from "../../../hardware/memory/edac.ts";
import { sensorsReader } from "../../../hardware/sensors/hwmon.ts";
import { kernelLogReader, type KernelLogSeen } from "../../../hardware/system/kernel-log.ts";
import { pcieReader } from "../../../hardware/pci/pcie.ts";
import { energyReader } from "../../../hardware/sensors/rapl.ts";
import { throttlingReader } from "../../../hardware/cpu/throttling.ts";
import type { Reading } from "../../../hardware/reading.ts";
import type { Reader } from "./reader.ts";
import type { ReaderContext } from "./reader-context.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Readers of temperatures, fans, power and hardware errors. */
export const sensorReaders = ({ roots, config, clock, memory }: ReaderContext) => {
  const bmc = new Bmc(config.bmc, roots, {
    seen: () => memory.seenLogs.bmc,
    keep: (seen) => memory.keepSeen({ bmc: seen }),
  });
  const kernelLogMemory = {
    seen: () => memory.seenLogs.kernel,
    keep: (seen: KernelLogSeen) => memory.keepSeen({ kernel: seen }),
  };
  const turned = {
    has: (fan: string) => memory.seen.has("fan", fan),
    add: (fan: string) => memory.seen.add("fan", fan),
  };
  const monotonicMs = (): number => clock.monotonicMs();
  return {
    sensors: bySensorLane(10 * SECOND, sensorsReader(roots, monotonicMs, turned)),
    memoryErrors: bySensorLane(MINUTE, memoryErrorsReader(roots, monotonicMs)),
    pcie: bySensorLane(MINUTE, pcieReader(roots, monotonicMs)),
    throttling: bySensorLane(MINUTE, throttlingReader(roots, monotonicMs)),
    // At 500 W, a package's counter wraps after about eight minutes.
    energy: byHelper(30 * SECOND, { read: energyReader(roots) }),
    kernelLog: byHelper(10 * SECOND, kernelLogReader(roots, kernelLogMemory)),
    bmc: byBmc((signal) => bmc.sensors(signal)),
    bmcEvents: byBmc((signal) => bmc.events(signal)),
    bmcPower: byBmc((signal) => bmc.power(signal)),
    bmcChassis: byBmc((signal) => bmc.chassis(signal)),
    bmcFirmware: byBmc((signal) => bmc.firmware(signal), 10 * MINUTE),
  };

  function byBmc<T>(read: (signal: AbortSignal) => Promise<Reading<T>>, everyMs = MINUTE): Reader<T> {
    // A reading takes at most three ipmitool calls.
    const deadlineMs = 3 * config.bmc.timeoutSeconds * SECOND + 5 * SECOND;
    return { everyMs, lane: "bmc", deadlineMs, read };
  }
};

/** A reader over the hardware helper; its deadline includes the helper's start. */
const byHelper = <T>(everyMs: number, look: Pick<Reader<T>, "read" | "close">): Reader<T> => ({
  everyMs,
  lane: "helper",
  deadlineMs: 15 * SECOND,
  ...look,
});

/** A reader in child processes, which broken hardware may block. */
const bySensorLane = <T>(everyMs: number, read: (signal: AbortSignal) => Promise<Reading<T>>): Reader<T> => ({
  everyMs,
  lane: "sensors",
  deadlineMs: 20 * SECOND,
  read,
});
