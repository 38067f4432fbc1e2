import type { DeviceCapacity } from "../host.ts";
import type { Demand } from "./demand.ts";

/** A device of this host that VMs may use. */
export interface HostDevice {
  readonly address: string;
  /** Alias of one device, or of all devices of a kind. */
  readonly alias?: string;
  readonly cell?: number;
  readonly iommuGroup: number;
  /** Addresses of all devices in the group, offered or not: the holder of any device holds the group. */
  readonly group: readonly string[];
  readonly healthy: boolean;
}

/** A device of this host that no VM can have. */
export interface WithheldDevice {
  readonly address: string;
  readonly alias?: string;
  readonly cause: "no_iommu" | "host_driver" | "no_driver" | "shared_group";
  /** Why, and the way out, in words. */
  readonly why: string;
}

export interface HostDevices {
  readonly offered: readonly HostDevice[];
  readonly withheld: readonly WithheldDevice[];
}

interface Holder {
  readonly holder: string;
  readonly demand: Demand;
}

/**
 * The state and the holder of each device. `isComplete`: a device without a holder is free. `to`: the VM that asks; the rest of
 * an IOMMU group that it holds is free to it.
 */
export function deviceCapacities(
  offered: readonly HostDevice[],
  {
    allocated,
    claimed,
    isComplete,
    to,
  }: {
    readonly allocated: readonly Holder[];
    readonly claimed: readonly Holder[];
    readonly isComplete: boolean;
    readonly to?: string | undefined;
  },
): DeviceCapacity[] {
  if (offered.length === 0) return [];
  const holders = new Map<string, Pick<DeviceCapacity, "state" | "holder">>();
  const hold = (state: "allocated" | "claimed", { holder, demand }: Holder): void => {
    for (const address of demand.devices) if (!holders.has(address)) holders.set(address, { state, holder });
  };
  for (const each of allocated) hold("allocated", each);
  for (const each of claimed) hold("claimed", each);
  const free = isComplete ? "free" : "unknown";
  return offered.map(({ healthy, group, ...device }) => {
    const ofGroup = group.map((address) => holders.get(address));
    const other = ofGroup.find((held) => held !== undefined && (to === undefined || held.holder !== to));
    return {
      ...device,
      ...(holders.get(device.address) ?? other ?? { state: healthy ? free : "unhealthy" }),
    };
  });
}
