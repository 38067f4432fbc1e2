import type { HostSnapshot } from "../../../agent/host/host.ts";

/** The host as its agent reports it before libvirt has listed the VMs. */
export function unlisted(host: HostSnapshot): HostSnapshot {
  const cells = host.capacity.cells.map(({ id, resources }) => ({
    id,
    resources: resources.map(({ allocated: _, available: __, ...known }) => known),
  }));
  const incompleteReasons = ["libvirt has not listed the VMs yet"];
  return { ...host, capacity: { ...host.capacity, cells, complete: false, incompleteReasons } };
}
