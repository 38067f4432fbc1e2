import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { readCpuModel } from "../../../../agent/hardware/cpu/cpu.ts";
import { readCpuTopology } from "../../../../agent/hardware/cpu/cpu-topology.ts";
import { readMemory } from "../../../../agent/hardware/memory/memory.ts";
import { readMounts } from "../../../../agent/hardware/storage/mounts.ts";
import { readNuma } from "../../../../agent/hardware/memory/numa.ts";
import { readOfflineCpus, readPoisonedPages } from "../../../../agent/hardware/memory/out-of-use.ts";
import { readPciFunctions } from "../../../../agent/hardware/pci/pci.ts";
import type { Roots } from "../../../../agent/hardware/roots.ts";
import { hostToProto } from "../../../../agent/api/convert/host.ts";
import { capacityOf } from "../../../../agent/host/capacity/capacity.ts";
import { CpuPools } from "../../../../agent/host/capacity/cpu-pools.ts";
import { DemandTotals } from "../../../../agent/host/capacity/demand-totals.ts";
import { devicesForGuests, devicesWithheld } from "../../../../agent/host/inventory/devices.ts";
import type { PciDevice } from "../../../../agent/host/host.ts";
import {
  assembleInventory,
  emptyInventory,
  type InventorySources,
} from "../../../../agent/host/inventory/inventory.ts";
import { parseCapabilities, parseDomainCapabilities } from "../../../../agent/libvirt/xml/index.ts";
import { unpackHost } from "../../../support/tree.ts";
import { hostSnapshot } from "../../../support/api/harness.ts";

const xml = (name: string): Promise<string> =>
  readFile(join(import.meta.dirname, `../../../fixtures/xml/${name}.xml`), "utf8");

async function sources(roots: Roots, changes: Partial<InventorySources> = {}): Promise<InventorySources> {
  return {
    nodes: await readNuma(roots),
    offlineCpus: await readOfflineCpus(roots),
    poisonedPages: await readPoisonedPages(roots),
    memory: await readMemory(roots),
    cpu: await readCpuModel(roots),
    topology: await readCpuTopology(roots),
    mounts: await readMounts(roots),
    pci: await readPciFunctions(roots),
    names: new Map([["10de:20b5", { vendor: "NVIDIA Corporation", product: "GA100 [A100]" }]]),
    kvm: { kind: "read", value: { nested: true } },
    capabilities: { kind: "read", value: parseCapabilities(await xml("capabilities")) },
    domain: { kind: "read", value: parseDomainCapabilities(await xml("domain-capabilities-confidential")) },
    versions: { libvirt: "11.3.0", hypervisor: "10.0.2" },
    memoryBytes: { kind: "unsupported", reason: "not in this fixture" },
    pools: { kind: "read", value: [] },
    networks: { kind: "read", value: [] },
    spaces: new Map(),
    volumes: new Map(),
    kvmFails: false,
    thinRatio: 1,
    reasons: [],
    ...changes,
  };
}

test("four cells are read, each with its two-thread cores, cache, distances and pages", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const { complete, incompleteReasons, cells } = assembleInventory(await sources(roots), emptyInventory, 1);
  assert.deepEqual([complete, incompleteReasons], [true, []]);
  assert.deepEqual(cells[1], {
    id: 1,
    cpus: [2, 3, 10, 11],
    memoryBytes: 131_870_720 * 1024,
    pages: [
      { sizeBytes: 2 * 1024 ** 2, total: 8192, free: 8000 },
      { sizeBytes: 1024 ** 3, total: 16, free: 10 },
    ],
    distances: [12, 10, 32, 32],
    siblings: [
      [2, 10],
      [3, 11],
    ],
    caches: [{ level: 3, sizeBytes: 32 * 1024 ** 2, cpus: [2, 3, 10, 11] }],
  });
  assert.equal(cells.length, 4);
});

test("devices are virtual functions with their device and a GPU with its group, no bridges or BMC screens", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const { devices } = assembleInventory(await sources(roots), emptyInventory, 1);
  const shown = devices.map(
    ({ address, kind, driver = "-", iommuGroup, cell = "-", virtualFunctions: of, parent }) =>
      [
        address,
        kind,
        driver,
        iommuGroup,
        cell,
        of === undefined ? (parent ?? "") : `${of.enabled}/${of.max}`,
      ].join(" "),
  );
  assert.deepEqual(shown, [
    "0000:00:14.0 usb xhci_hcd 9 - ",
    "0000:03:00.0 other mgag200 12 0 ",
    "0000:3b:00.0 network mlx5_core 41 1 2/8",
    "0000:3b:00.1 network mlx5_core 42 1 0/8",
    "0000:3b:00.2 network vfio-pci 97 1 0000:3b:00.0",
    "0000:3b:00.3 network mlx5_core 98 1 0000:3b:00.0",
    "0000:5e:00.0 storage nvme 55 0 ",
    "0000:af:00.0 gpu vfio-pci 120 3 ",
    "0000:af:00.1 other - 120 3 ",
  ]);
  assert.deepEqual(
    devicesForGuests(devices, new Set()).map(({ address, healthy }) => [address, healthy]),
    [
      ["0000:3b:00.2", true],
      ["0000:af:00.0", true],
    ],
    "guests get the devices of vfio-pci, and none that the host uses",
  );
  const gpu = (changes: Partial<PciDevice>, at: string) =>
    devicesForGuests(
      devices.map((device) => (device.address === at ? { ...device, ...changes } : device)),
      new Set(),
    ).find(({ address }) => address === "0000:af:00.0");
  assert.deepEqual(gpu({}, "")?.group, ["0000:af:00.0", "0000:af:00.1"]);
  assert.equal(
    gpu({ driver: "snd_hda_intel" }, "0000:af:00.1"),
    undefined,
    "its sound device belongs to the host",
  );
  assert.ok(gpu({ driver: "vfio-pci" }, "0000:af:00.1"));
  const { iommuGroup: _, ...alone } =
    devices.find(({ address }) => address === "0000:af:00.0") ?? assert.fail();
  assert.deepEqual(devicesForGuests([alone], new Set()), [], "without an IOMMU it cannot be assigned");
  const withheld = (changes: Partial<PciDevice>, at: string) => {
    const changed = devices.map((device) => (device.address === at ? { ...device, ...changes } : device));
    const found = devicesWithheld(changed, { nvme: "0000:5e:00.0" });
    assert.equal(found.length + devicesForGuests(changed, new Set()).length, devices.length);
    return found.map(({ address, alias = "-", cause }) => `${address} ${alias} ${cause}`);
  };
  assert.deepEqual(withheld({}, ""), [
    "0000:00:14.0 - host_driver",
    "0000:03:00.0 - host_driver",
    "0000:3b:00.0 - host_driver",
    "0000:3b:00.1 - host_driver",
    "0000:3b:00.3 - host_driver",
    "0000:5e:00.0 nvme host_driver",
    "0000:af:00.1 - no_driver",
  ]);
  const shared = withheld({ driver: "snd_hda_intel" }, "0000:af:00.1").slice(-2);
  assert.deepEqual(shared, ["0000:af:00.0 - shared_group", "0000:af:00.1 - host_driver"]);
  assert.deepEqual(
    devicesWithheld([alone]).map(({ cause, why }) => [cause, /firmware/.test(why)]),
    [["no_iommu", true]],
  );
  const names = { nic: "0000:3b:00.2", "any-gpu": "10de:20b5", gpu0: "0000:af:00.0" };
  const aliases = (by: Record<string, string>) =>
    devicesForGuests(devices, new Set(), by).map(({ alias }) => alias);
  assert.deepEqual(aliases(names), ["nic", "gpu0"], "the address overrides the kind");
  assert.deepEqual(aliases({ "any-gpu": names["any-gpu"] }), [undefined, "any-gpu"]);
  for (const failing of ["0000:3b:00.2", "0000:3b:00.0"])
    assert.deepEqual(
      devicesForGuests(devices, new Set([failing])).map(({ healthy }) => healthy),
      [false, true],
      `${failing} fails: its virtual function does with it`,
    );
  assert.equal(devices.find(({ kind }) => kind === "gpu")?.product, "GA100 [A100]");
});

test("offline CPUs and poisoned memory belong to their cell, are unhealthy, and are not available", async (context) => {
  const node = (id: number): string => `sys/devices/system/node/node${id}`;
  const poisoned = (kiB: number) => ({
    "proc/meminfo": `MemTotal: 527482880 kB\nMemAvailable: 400000000 kB\nHardwareCorrupted: ${kiB} kB\n`,
  });
  const changes = {
    "sys/devices/system/cpu/present": "0-15\n",
    "sys/devices/system/cpu/online": "0-1,3-8,10-15\n",
    [`${node(0)}/cpulist`]: "0-1,8\n",
    [`${node(0)}/cpu9/online`]: "0\n",
    [`${node(1)}/cpulist`]: "3,10-11\n",
    [`${node(1)}/cpu2/online`]: "0\n",
    ...poisoned(12),
    ...Object.fromEntries(
      [0, 1, 2, 3].map((id) => [`${node(id)}/memory_failure/total`, id === 2 ? "3\n" : "0\n"]),
    ),
  };
  const roots = await unpackHost(context, "four-cells", changes);
  const inventory = assembleInventory(await sources(roots), emptyInventory, 1);
  const { cells } = inventory;
  assert.deepEqual(
    cells.map(({ offlineCpus = [], poisonedBytes = 0 }) => [offlineCpus, poisonedBytes]),
    [
      [[9], 0],
      [[2], 0],
      [[], 12 * 1024],
      [[], 0],
    ],
  );
  const policy = {
    reservedCpus: 0,
    reservedMemoryBytes: 0,
    cpuOvercommitRatio: 2,
    memoryOvercommitRatio: 1,
    dedicatedCpus: [2, 3],
  };
  const capacity = capacityOf(
    cells,
    new CpuPools(cells, policy.dedicatedCpus),
    policy,
    new DemandTotals(),
    new DemandTotals(),
  );
  const row = (cell: number, resource: string) => {
    const found = capacity[cell]?.resources.find((one) => one.resource === resource);
    return [found?.total, found?.unhealthy, found?.available];
  };
  assert.deepEqual(row(0, "cpu"), [4, 1, 6]);
  assert.deepEqual(row(1, "cpu"), [2, 0, 4]);
  assert.deepEqual(row(1, "cpu_dedicated"), [2, 1, 1]);
  const [total = 0, lost = 0, available = 0] = row(2, "memory");
  assert.deepEqual([lost, available], [12 * 1024, total - 12 * 1024]);

  // If no node reports lost pages, all cells share the loss.
  const old = await unpackHost(context, "four-cells", poisoned(16));
  const spread = assembleInventory(await sources(old), emptyInventory, 1);
  assert.deepEqual(
    spread.cells.map(({ poisonedBytes }) => poisonedBytes),
    [4096, 4096, 4096, 4096],
  );

  const unread = { kind: "failed", reason: "EIO" } as const;
  const later = assembleInventory(
    await sources(roots, { offlineCpus: unread, memory: unread }),
    inventory,
    2,
  );
  assert.deepEqual([later.cells[0]?.offlineCpus, later.cells[2]?.poisonedBytes], [[9], 12 * 1024]);
  assert.match(later.incompleteReasons.join("\n"), /offline CPUs: EIO/);
});

test("two cells of a real kernel are read, of which one lost a CPU and a page", async (context) => {
  const roots = await unpackHost(context, "two-cell-guest");
  const { cells } = assembleInventory(await sources(roots), emptyInventory, 1);
  assert.deepEqual(
    cells.map(({ id, cpus, offlineCpus, poisonedBytes, distances }) => ({
      id,
      cpus,
      offlineCpus,
      poisonedBytes,
      distances,
    })),
    [
      { id: 0, cpus: [0, 1], offlineCpus: undefined, poisonedBytes: undefined, distances: [10, 21] },
      { id: 1, cpus: [2], offlineCpus: [3], poisonedBytes: 4096, distances: [21, 10] },
    ],
  );
  const policy = {
    reservedCpus: 0,
    reservedMemoryBytes: 0,
    cpuOvercommitRatio: 1,
    memoryOvercommitRatio: 1,
    dedicatedCpus: [],
  };
  const [, second] = capacityOf(
    cells,
    new CpuPools(cells, []),
    policy,
    new DemandTotals(),
    new DemandTotals(),
  );
  const broken = second?.resources.map(({ resource, unhealthy }) => [resource, unhealthy]);
  assert.deepEqual(broken, [
    ["cpu", 1],
    ["memory", 4096],
    ["memory_2m", 0],
    ["memory_1g", 0],
  ]);
});

test("threads that a machine runs without are not among its CPUs", async (context) => {
  const changes = {
    "sys/devices/system/cpu/present": "0-15\n",
    "sys/devices/system/cpu/online": "0-7\n",
    "sys/devices/system/cpu/smt/control": "off\n",
  };
  const roots = await unpackHost(context, "four-cells", changes);
  assert.deepEqual(await readOfflineCpus(roots), { kind: "read", value: new Map() });
});

test("traits need proof", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const { traits } = assembleInventory(await sources(roots), emptyInventory, 1);
  for (const trait of ["kvm", "nested", "smt", "hugepages-1g", "hugepages-2m", "iommu", "sriov", "gpu"])
    assert.ok(traits.includes(trait), trait);
  assert.ok(traits.includes("sev-snp") || traits.includes("sev") || traits.includes("tdx"), traits.join());
  const bare = await sources(roots, {
    pci: { kind: "unsupported", reason: "no PCI" },
    domain: { kind: "failed", reason: "timed out" },
    kvmFails: true,
  });
  const without = assembleInventory(bare, emptyInventory, 1);
  for (const trait of ["kvm", "nested", "iommu", "sriov", "gpu", "uefi", "vtpm", "sev"])
    assert.ok(!without.traits.includes(trait), trait);
});

test("an unreadable part is named and stays as last known; other devices are not affected", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const before = assembleInventory(await sources(roots), emptyInventory, 1);
  const failed = { kind: "failed", reason: "EIO" } as const;
  const after = assembleInventory(
    await sources(roots, { pci: failed, topology: failed, domain: failed, capabilities: failed }),
    before,
    2,
  );
  assert.equal(after.complete, false);
  assert.match(after.incompleteReasons.join("\n"), /CPU topology.*EIO/);
  assert.match(after.incompleteReasons.join("\n"), /PCI devices: EIO/);
  assert.deepEqual([after.devices, after.cells], [before.devices, before.cells]);
  assert.equal(after.compatibility?.digest, before.compatibility?.digest);

  const broken = await unpackHost(context, "four-cells", {
    "sys/bus/pci/devices/0000:5e:00.0/class": "rubbish",
    "sys/bus/pci/devices/0000:af:00.0/numa_node": "",
  });
  const rest = assembleInventory(await sources(broken), emptyInventory, 1);
  assert.deepEqual([rest.complete, rest.devices.length], [false, before.devices.length - 1]);
  assert.match(rest.incompleteReasons.join("\n"), /class of PCI device 0000:5e:00\.0/);
  assert.match(rest.incompleteReasons.join("\n"), /numa_node of PCI device 0000:af:00\.0/);
  assert.equal(rest.devices.find(({ address }) => address === "0000:af:00.0")?.cell, undefined);
});

test("the digest does not depend on the order, and changes with every fact that a guest would notice", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const of = async (changes: Partial<InventorySources> = {}): Promise<string | undefined> =>
    assembleInventory(await sources(roots, changes), emptyInventory, 1).compatibility?.digest;
  const digest = await of();
  assert.match(digest ?? "", /^[0-9a-f]{64}$/);
  const [capabilities, domain] = [
    parseCapabilities(await xml("capabilities")),
    parseDomainCapabilities(await xml("domain-capabilities-confidential")),
  ];
  const { hostModel } = domain.cpu;
  assert.ok(hostModel !== undefined);
  const withModel = (model: typeof hostModel) =>
    ({ domain: { kind: "read", value: { ...domain, cpu: { ...domain.cpu, hostModel: model } } } }) as const;
  assert.equal(await of(withModel({ ...hostModel, features: [...hostModel.features].reverse() })), digest);
  assert.equal(
    await of({
      capabilities: { kind: "read", value: { ...capabilities, guests: [...capabilities.guests].reverse() } },
    }),
    digest,
  );
  const others = [
    withModel({ ...hostModel, model: "EPYC-Rome" }),
    withModel({ ...hostModel, features: hostModel.features.slice(1) }),
    { versions: { libvirt: "11.4.0", hypervisor: "10.0.2" } },
    { versions: { libvirt: "11.3.0", hypervisor: "10.1.0" } },
    { capabilities: { kind: "read", value: { ...capabilities, guests: [] } } } as const,
  ];
  const digests = await Promise.all(others.map(of));
  assert.equal(new Set([digest, ...digests]).size, others.length + 1);
});

test("varying readings change neither the generation's digest nor the etag", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const etag = async (changes: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const now = await unpackHost(context, "four-cells", changes);
    const inventory = assembleInventory(await sources(now), emptyInventory, Math.random() * 1e6);
    return hostToProto({ ...hostSnapshot, inventory }, [], true).etag;
  };
  const node = "sys/devices/system/node/node0";
  const first = await etag({});
  assert.equal(await etag({ [`${node}/hugepages/hugepages-2048kB/free_hugepages`]: "17" }), first);
  assert.notEqual(await etag({ [`${node}/hugepages/hugepages-2048kB/nr_hugepages`]: "8193" }), first);
  assert.ok(roots.root !== "");
});
