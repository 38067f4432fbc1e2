import type { VmRates, VmStats } from "../model/vm.ts";

/** Counters further apart are not compared: a mean over such a gap does not describe the present. */
const LONGEST_MS = 300_000;

/**
 * Rates of the counters between two samplings of a guest. A counter that was not read both times, or went down (the
 * guest restarted), has no rate. Undefined if there is no rate at all.
 */
export function ratesBetween(before: VmStats | undefined, after: VmStats): VmRates | undefined {
  if (before === undefined || after.unresponsive) return undefined;
  const elapsedMs = after.sampledAtMonotonicMs - before.sampledAtMonotonicMs;
  if (elapsedMs <= 0 || elapsedMs > LONGEST_MS) return undefined;
  // Computed on access.
  const { disks: disksBefore, nics: nicsBefore } = before;
  const { disks: disksAfter, nics: nicsAfter } = after;
  const disks = (bytes: "readBytes" | "writeBytes"): number | undefined =>
    summed(disksBefore, disksAfter, (disk) => disk[bytes], elapsedMs);
  const nics = (bytes: "receiveBytes" | "transmitBytes"): number | undefined =>
    summed(nicsBefore, nicsAfter, (nic) => nic[bytes], elapsedMs);
  const rates = {
    cpuCores: rate(before.cpuSeconds, after.cpuSeconds, elapsedMs),
    diskReadBytesPerSecond: disks("readBytes"),
    diskWriteBytesPerSecond: disks("writeBytes"),
    receiveBytesPerSecond: nics("receiveBytes"),
    transmitBytesPerSecond: nics("transmitBytes"),
  };
  return Object.values(rates).every((value) => value === undefined) ? undefined : rates;
}

const rate = (from: number | undefined, to: number | undefined, elapsedMs: number): number | undefined =>
  from === undefined || to === undefined || to < from ? undefined : ((to - from) * 1000) / elapsedMs;

/** Sum over all devices; undefined unless each has a value and the devices are the same. */
function summed<Device extends { readonly device: string }>(
  before: readonly Device[],
  after: readonly Device[],
  bytes: (device: Device) => number | undefined,
  elapsedMs: number,
): number | undefined {
  if (before.length !== after.length || after.length === 0) return undefined;
  let sum = 0;
  for (const [index, device] of after.entries()) {
    const was = before[index];
    const each = was?.device === device.device ? rate(bytes(was), bytes(device), elapsedMs) : undefined;
    if (each === undefined) return undefined;
    sum += each;
  }
  return sum;
}
