import { MIB } from "../../contract/spec-values.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { bootBytesOf, growthDevice, type MemoryPlace } from "./memory-growth.ts";
import type { VmDomain } from "./vm-domain.ts";

export const TCG_CACHE_BYTES = 32 * MIB;

type Size = Pick<VmSpec, "memoryBytes" | "maxMemoryBytes" | "vcpus" | "maxVcpus">;

/**
 * Page tables take 1/512 of the memory they map, and may exist twice; each vCPU has a stack and buffers. QEMU's bitmaps cover the
 * memory that the guest can be given, too.
 */
export function hardLimit(size: Size, headroomBytes: number): number {
  const { memoryBytes, maxMemoryBytes = memoryBytes, vcpus, maxVcpus = vcpus } = size;
  const bitmapBytes = maxMemoryBytes > memoryBytes ? maxMemoryBytes / 8192 : 0;
  const known = memoryBytes + memoryBytes / 256 + bitmapBytes + maxVcpus * 8 * MIB + TCG_CACHE_BYTES;
  return Math.ceil((known + headroomBytes) / MIB) * MIB;
}

/**
 * A limit of QEMU's memory for another size, with the headroom of the definition; undefined: none. A VM from before the host's
 * headroom gets the limit with a maximum of its memory: without it, its guest could take all of that.
 */
export function memoryLimitOf(
  defn: Pick<VmDomain, "vcpus" | "memoryBytes" | "memoryHardLimitBytes" | "devices">,
  size: Size,
  { memoryHeadroomBytes }: Pick<MemoryPlace, "memoryHeadroomBytes">,
): number | undefined {
  const { memoryHardLimitBytes: limit, memoryBytes: maxMemoryBytes } = defn;
  if (limit === undefined) {
    const isGrowing = growthDevice(defn) !== undefined || (size.maxMemoryBytes ?? 0) > size.memoryBytes;
    return isGrowing && memoryHeadroomBytes !== undefined ? hardLimit(size, memoryHeadroomBytes) : undefined;
  }
  const { max: maxVcpus, current: vcpus } = defn.vcpus;
  const known = hardLimit({ memoryBytes: bootBytesOf(defn), maxMemoryBytes, vcpus, maxVcpus }, 0);
  return hardLimit(size, Math.max(0, limit - known));
}
