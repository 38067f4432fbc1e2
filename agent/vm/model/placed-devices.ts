import { isDeepStrictEqual } from "node:util";
import { defined } from "../../kernel/defined.ts";
import { anywhere, type VmSpec } from "../../contract/spec.ts";
import type { Placement } from "../../state/reservations/placement.ts";

/** A device of the host that a VM has: by the name in its spec, and by its PCI address. */
export interface PlacedDevice {
  readonly name: string;
  readonly address: string;
}

/** The devices of a VM. The ledger placed them in the order of the spec's names. */
export const placedDevices = (
  spec: Pick<VmSpec, "placement"> | undefined,
  addresses: readonly string[] = [],
): PlacedDevice[] =>
  addresses.map((address, index) => ({ name: spec?.placement?.devices[index] ?? address, address }));

/** The spec with these devices. A spec that asks for nothing has no placement. */
export function specWith(
  { placement = anywhere, ...spec }: VmSpec,
  devices: readonly PlacedDevice[],
): VmSpec {
  const asked = { ...placement, devices: devices.map(({ name }) => name) };
  return defined({ ...spec, placement: isDeepStrictEqual(asked, anywhere) ? undefined : asked });
}

export const placementWith = (placement: Placement, devices: readonly PlacedDevice[]): Placement => ({
  ...placement,
  devices: devices.map(({ address }) => address),
});
