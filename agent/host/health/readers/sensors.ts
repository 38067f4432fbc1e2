import { Bmc } from "../../../hardware/bmc/bmc.ts";
import { memoryErrorsReader } from "../../../hardware/memory/edac.ts";
import { sensorsReader } from "../../../hardware/sensors/hwmon.ts";
import { kernelLogReader } from "../../../hardware/system/kernel-log.ts";
import { pcieReader } from "../../../hardware/pci/pcie.ts";
import { energyReader } from "../../../hardware/sensors/rapl.ts";
import { throttlingReader } from "../../../hardware/cpu/throttling.ts";
import { inLane } from "./reader.ts";
import type { ReaderContext } from "./reader-context.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
/** Deadlines: children may be slow on broken hardware, and the helper may have to start. */
const SENSORS_MS = 20 * SECOND;
const HELPER_MS = 15 * SECOND;

/** Readers of temperatures, fans, power and hardware errors. */
export const sensorReaders = ({ roots, config, clock, memory }: ReaderContext) => {
  const bmc = new Bmc(config.bmc, roots, {
    seen: () => memory.seenLogs.bmc,
    keep: (seen) => memory.keepSeen({ bmc: seen }),
  });
  const kernelLog = kernelLogReader(roots, {
    seen: () => memory.seenLogs.kernel,
    keep: (seen) => memory.keepSeen({ kernel: seen }),
  });
  const turned = {
    has: (fan: string) => memory.seen.has("fan", fan),
    add: (fan: string) => memory.seen.add("fan", fan),
  };
  const monotonicMs = (): number => clock.monotonicMs();
  // A reading takes at most three ipmitool calls.
  const bmcMs = 3 * config.bmc.timeoutSeconds * SECOND + 5 * SECOND;
  return {
    sensors: inLane("sensors", 10 * SECOND, SENSORS_MS, sensorsReader(roots, monotonicMs, turned)),
    memoryErrors: inLane("sensors", MINUTE, SENSORS_MS, memoryErrorsReader(roots, monotonicMs)),
    pcie: inLane("sensors", MINUTE, SENSORS_MS, pcieReader(roots, monotonicMs)),
    throttling: inLane("sensors", MINUTE, SENSORS_MS, throttlingReader(roots, monotonicMs)),
    // At 500 W, a package's counter wraps after about eight minutes.
    energy: inLane("helper", 30 * SECOND, HELPER_MS, energyReader(roots)),
    kernelLog: { everyMs: 10 * SECOND, lane: "helper", deadlineMs: HELPER_MS, ...kernelLog },
    bmc: inLane("bmc", MINUTE, bmcMs, (signal) => bmc.sensors(signal)),
    bmcEvents: inLane("bmc", MINUTE, bmcMs, (signal) => bmc.events(signal)),
    bmcPower: inLane("bmc", MINUTE, bmcMs, (signal) => bmc.power(signal)),
    bmcChassis: inLane("bmc", MINUTE, bmcMs, (signal) => bmc.chassis(signal)),
    bmcFirmware: inLane("bmc", 10 * MINUTE, bmcMs, (signal) => bmc.firmware(signal)),
  };
};
