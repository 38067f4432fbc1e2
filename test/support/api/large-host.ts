import { configSchema } from "../../../agent/config/schema.ts";
import { hostConditions } from "../../../agent/host/health/conditions/table.ts";
import type { HostSnapshot, PciDevice } from "../../../agent/host/host.ts";
import { hostSnapshot } from "./fakes.ts";

export interface HostSize {
  readonly cells: number;
  readonly cpusPerCell: number;
  readonly devices: number;
  readonly pools: number;
  readonly networks: number;
  /** Subjects of each condition. */
  readonly subjects: number;
}

/** 512 CPUs in 8 NUMA cells, 200 disks, 64 devices for guests. */
export const largeSize: HostSize = {
  cells: 8,
  cpusPerCell: 64,
  devices: 64,
  pools: 200,
  networks: 64,
  subjects: 200,
};

const listOf = <Item>(count: number, item: (at: number) => Item): Item[] =>
  Array.from({ length: count }, (_, at) => item(at));

/** A host with much hardware, all conditions true of many parts, and the longest labels. */
export function largeHost(size: HostSize = largeSize): HostSnapshot {
  const { cpusPerCell } = size;
  const cells = listOf(size.cells, (id) => {
    const cpus = listOf(cpusPerCell, (at) => id * cpusPerCell + at);
    return {
      id,
      cpus,
      memoryBytes: 2 ** 39,
      pages: [2 ** 21, 2 ** 30].map((sizeBytes) => ({ sizeBytes, total: 1000, free: 10 })),
      distances: listOf(size.cells, () => 21),
      siblings: listOf(cpusPerCell / 2, (at) => cpus.slice(2 * at, 2 * at + 2)),
      caches: listOf(cpusPerCell / 8, (at) => ({
        level: 3,
        sizeBytes: 2 ** 25,
        cpus: cpus.slice(8 * at, 8 * at + 8),
      })),
    };
  });
  const devices = listOf(size.devices, (at): PciDevice => ({
    address: `0000:${at.toString(16).padStart(4, "0")}:00.0`,
    kind: "network",
    classCode: 0x020000,
    vendorId: 0x8086,
    productId: 0x1889,
    vendor: "Intel Corporation",
    product: "Ethernet Adaptive Virtual Function",
    driver: "vfio-pci",
    iommuGroup: at,
    cell: at % size.cells,
    parent: "0000:3b:00.0",
  }));
  const [resource] = hostSnapshot.capacity.cells.flatMap(({ resources }) => resources);
  const evidence = listOf(100, (at) => `disk ${at} has pending sectors`).join("; ");
  const types = Object.keys(hostConditions({ config: configSchema.parse({}), offersKvm: () => undefined }));
  return {
    ...hostSnapshot,
    identity: {
      ...hostSnapshot.identity,
      labels: Object.fromEntries(listOf(64, (at) => [`label-${at}`, "漢".repeat(255)])),
    },
    inventory: {
      ...hostSnapshot.inventory,
      cells,
      devices,
      storagePools: listOf(size.pools, (at) => ({
        name: `pool-${at}`,
        type: "dir",
        active: true,
        presence: "present",
        observedAtMs: 1_700_000_000_000,
        capacityBytes: 2 ** 42,
        allocatedBytes: 2 ** 40,
        availableBytes: 2 ** 41,
        provisionedBytes: 2 ** 41,
        sharedId: `local:/dev/disk/by-id/scsi-${at}`,
        thinRatio: 1,
      })),
      networks: listOf(size.networks, (at) => ({
        name: `network-${at}`,
        bridge: `br${at}`,
        active: true,
        presence: "present",
        observedAtMs: 1_700_000_000_000,
      })),
    },
    capacity: {
      ...hostSnapshot.capacity,
      dedicatedCpus: cells.flatMap(({ cpus }) => cpus),
      cells: cells.map(({ id }) => ({
        id,
        resources: listOf(5, () => resource).flatMap((row) => row ?? []),
      })),
      devices: devices.map(({ address, cell = 0, iommuGroup = 0 }) => ({
        address,
        cell,
        iommuGroup,
        state: "allocated",
        holder: "11111111-2222-4333-8444-555555555555",
      })),
    },
    health: {
      ...hostSnapshot.health,
      conditions: types.map((type) => ({
        type,
        status: "true",
        effect: "degraded",
        reason: "Failing",
        evidence,
        subjects: listOf(size.subjects, (at) => `/dev/disk/by-id/scsi-${at}`),
        sinceMs: 1_700_000_000_000,
        lastProbeMs: 1_700_000_000_000,
        latched: false,
        acknowledged: false,
        untilReboot: false,
      })),
    },
  };
}
