import type { VmRates, VmStats } from "./vm.ts";

/** No counter is compared over more than this: the mean over a gap so long says nothing of now. */
const LONGEST_MS = 300_000;

/**
 * How fast the counters went up between two samplings of a guest. What was not read both times, or went down (the guest
 * began anew), is left out; undefined when that is all.
 */
export function ratesBetween(before: VmStats | undefined, after: VmStats): VmRates | undefined {
  if (before === undefined || after.unresponsive) return undefined;
  const elapsedMs = after.sampledAtMs - before.sampledAtMs;
  if (elapsedMs <= 0 || elapsedMs > LONGEST_MS) return undefined;
  const rate = (from: number | undefined, to: number | undefined): number | undefined =>
    from === undefined || to === undefined || to < from ? undefined : ((to - from) * 1000) / elapsedMs;
  const summed = <Device extends { readonly device: string }>(
    devices: (stats: VmStats) => readonly Device[],
    bytes: (device: Device) => number | undefined,
  ): number | undefined => {
    const [from, to] = [devices(before), devices(after)];
    if (from.length !== to.length || to.length === 0) return undefined;
    let sum = 0;
    for (const [index, device] of to.entries()) {
      const was = from[index];
      const each = was?.device === device.device ? rate(bytes(was), bytes(device)) : undefined;
      if (each === undefined) return undefined;
      sum += each;
    }
    return sum;
  };
  const rates: Partial<Record<keyof VmRates, number | undefined>> = {
    cpuCores: rate(before.cpuSeconds, after.cpuSeconds),
    diskReadBytesPerSecond: summed(
      ({ disks }) => disks,
      ({ readBytes }) => readBytes,
    ),
    diskWriteBytesPerSecond: summed(
      ({ disks }) => disks,
      ({ writeBytes }) => writeBytes,
    ),
    receiveBytesPerSecond: summed(
      ({ nics }) => nics,
      ({ receiveBytes }) => receiveBytes,
    ),
    transmitBytesPerSecond: summed(
      ({ nics }) => nics,
      ({ transmitBytes }) => transmitBytes,
    ),
  };
  const known = Object.entries(rates).filter(([, value]) => value !== undefined);
  return known.length === 0 ? undefined : Object.fromEntries(known);
}
