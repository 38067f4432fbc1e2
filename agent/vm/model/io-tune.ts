import { DEFAULT_BURST_SECONDS, type DiskLimits } from "../../contract/spec-disk-limits.ts";
import { defined } from "../../kernel/defined.ts";
import type { IoTune } from "../../libvirt/xml/index.ts";

/** A disk's limits as libvirt has them. Each burst has its own length there, which is always named: QEMU adds a default. */
export function ioTuneOf(limits: DiskLimits): IoTune {
  const { burstSeconds = DEFAULT_BURST_SECONDS } = limits;
  const secondsOf = (burst: number | undefined) => (burst === undefined ? undefined : burstSeconds);
  return defined({
    totalBytesPerSecond: limits.totalBytesPerSecond,
    readBytesPerSecond: limits.readBytesPerSecond,
    writeBytesPerSecond: limits.writeBytesPerSecond,
    totalOpsPerSecond: limits.totalIops,
    readOpsPerSecond: limits.readIops,
    writeOpsPerSecond: limits.writeIops,
    totalMaxBytesPerSecond: limits.totalBurstBytesPerSecond,
    readMaxBytesPerSecond: limits.readBurstBytesPerSecond,
    writeMaxBytesPerSecond: limits.writeBurstBytesPerSecond,
    totalMaxOpsPerSecond: limits.totalBurstIops,
    readMaxOpsPerSecond: limits.readBurstIops,
    writeMaxOpsPerSecond: limits.writeBurstIops,
    totalMaxBytesSeconds: secondsOf(limits.totalBurstBytesPerSecond),
    readMaxBytesSeconds: secondsOf(limits.readBurstBytesPerSecond),
    writeMaxBytesSeconds: secondsOf(limits.writeBurstBytesPerSecond),
    totalMaxOpsSeconds: secondsOf(limits.totalBurstIops),
    readMaxOpsSeconds: secondsOf(limits.readBurstIops),
    writeMaxOpsSeconds: secondsOf(limits.writeBurstIops),
  });
}
