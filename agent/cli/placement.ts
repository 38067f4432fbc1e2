import type { Placement__Output } from "../gen/socle/v1/Placement.ts";
import type { PlacementRequest } from "../gen/socle/v1/PlacementRequest.ts";
import { formatBytes } from "./format.ts";
import { defined } from "../kernel/defined.ts";
import { rangesOf } from "../kernel/text/cpu-list.ts";

/** The placement flags. */
export interface PlacementFlags {
  readonly dedicatedCpus?: boolean;
  readonly strict?: boolean;
  /** Exactly this cell. */
  readonly cell?: number;
  /** In bytes. */
  readonly pageSize?: number;
  readonly isolateEmulator?: boolean;
  readonly device?: readonly string[];
}

/** The placement request with the flags in place of its own values; undefined where both are empty. */
export function withPlacementFlags(
  request: PlacementRequest | null | undefined,
  { dedicatedCpus, strict, cell, pageSize, isolateEmulator, device }: PlacementFlags,
): PlacementRequest | undefined {
  const isStrict = strict === true || cell !== undefined;
  const flagged: PlacementRequest = defined({
    dedicatedCpus,
    cellPolicy: isStrict ? "CELL_POLICY_STRICT" : undefined,
    cell,
    pageSizeBytes: pageSize,
    isolatedEmulator: isolateEmulator,
    devices: device === undefined ? undefined : [...device],
  });
  return request || Object.keys(flagged).length > 0 ? { ...request, ...flagged } : undefined;
}

/** `cell 0, cpus 2-3, pages 1 GiB, 0000:3b:00.0`: what the VM is bound to, or `anywhere`. */
export function placementText(placement: Placement__Output | null): string {
  if (placement === null) return "-";
  const { cells, vcpuCpus, sharedCpus, pageSizeBytes, devices } = placement;
  const parts = [
    ...(cells.length > 0 ? [`cell ${cells.join(",")}`] : []),
    ...(vcpuCpus.length > 0 ? [`cpus ${rangesOf(vcpuCpus)}`] : []),
    ...(sharedCpus.length > 0 ? [`shares cpus ${rangesOf(sharedCpus)}`] : []),
    ...(pageSizeBytes > 4096 ? [`pages ${formatBytes(pageSizeBytes)}`] : []),
    ...devices,
  ];
  return parts.length > 0 ? parts.join(", ") : "anywhere";
}
