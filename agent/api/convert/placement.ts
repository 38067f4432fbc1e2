import type { Placement as ProtoPlacement } from "../../gen/socle/v1/Placement.ts";
import type {
  PlacementRequest as ProtoPlacementRequest,
  PlacementRequest__Output,
} from "../../gen/socle/v1/PlacementRequest.ts";
import type { PlacementRequest } from "../../contract/spec.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { PLAIN_PAGE_BYTES } from "../../contract/spec-values.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import { defined } from "../../kernel/defined.ts";

const cellPolicies = specEnums.cellPolicy;

/** The caller's placement request, unchecked. `field`: its path in the request. */
export function placementRequestFromProto(
  field: string,
  request: PlacementRequest__Output,
): Readonly<Record<string, unknown>> {
  const { cell, cellPolicy, pageSizeBytes, dedicatedCpus, isolatedEmulator, devices } = request;
  const policy = cellPolicies.fromProto(`${field}.cellPolicy`, cellPolicy);
  return defined({
    dedicatedCpus,
    isolatedEmulator,
    devices,
    cellPolicy: policy,
    cell,
    pageSizeBytes: pageSizeBytes === 0 ? undefined : pageSizeBytes,
  });
}

export const placementRequestToProto = ({
  cellPolicy,
  devices,
  ...same
}: PlacementRequest): ProtoPlacementRequest => ({
  ...same,
  cellPolicy: cellPolicies.toProto(cellPolicy),
  devices: [...devices],
});

export const placementToProto = (placement: Placement): ProtoPlacement => ({
  cells: [...placement.cells],
  vcpuCpus: [...placement.vcpuCpus],
  sharedCpus: [...placement.sharedCpus],
  emulatorCpus: [...placement.emulatorCpus],
  pageSizeBytes: placement.hugepageBytes ?? PLAIN_PAGE_BYTES,
  devices: [...placement.devices],
});
