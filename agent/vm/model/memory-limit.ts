import { MIB } from "../../contract/spec-values.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { bootBytesOf } from "./memory-growth.ts";
import type { VmDomain } from "./vm-domain.ts";

export const TCG_CACHE_BYTES = 32 * MIB;

type Size = Pick<VmSpec, "memoryBytes" | "vcpus" | "maxVcpus">;

/** Page tables take 1/512 of the memory they map, and may exist twice; each vCPU has a stack and buffers. */
export function hardLimit({ memoryBytes, vcpus, maxVcpus = vcpus }: Size, headroomBytes: number): number {
  const known = memoryBytes + memoryBytes / 256 + maxVcpus * 8 * MIB + TCG_CACHE_BYTES;
  return Math.ceil((known + headroomBytes) / MIB) * MIB;
}

/** A limit of QEMU's memory for another size, with the headroom of the definition. */
export function memoryLimitOf(
  defn: Pick<VmDomain, "vcpus" | "memoryBytes" | "memoryHardLimitBytes" | "devices">,
  size: Size,
): number {
  const { max: maxVcpus, current: vcpus } = defn.vcpus;
  const known = hardLimit({ memoryBytes: bootBytesOf(defn), vcpus, maxVcpus }, 0);
  return hardLimit(size, Math.max(0, (defn.memoryHardLimitBytes ?? known) - known));
}
