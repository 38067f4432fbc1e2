import assert from "node:assert/strict";
import test from "node:test";
import { readCpuModel } from "../../../../agent/hardware/cpu/cpu.ts";
import { readMemory } from "../../../../agent/hardware/memory/memory.ts";
import { readNuma } from "../../../../agent/hardware/memory/numa.ts";
import type { Reading } from "../../../../agent/hardware/reading.ts";
import { capacityOf } from "../../../../agent/host/capacity/capacity.ts";
import { CpuPools } from "../../../../agent/host/capacity/cpu-pools.ts";
import { DemandTotals } from "../../../../agent/host/capacity/demand-totals.ts";
import {
  assembleInventory,
  emptyInventory,
  changeKey,
  type InventorySources,
} from "../../../../agent/host/inventory/inventory.ts";
import type { PoolFacts } from "../../../../agent/host/inventory/libvirt-facts.ts";
import type { VolumeCapacities } from "../../../../agent/host/capacity/storage-ledger.ts";
import { parseCapabilities } from "../../../../agent/libvirt/xml/index.ts";
import { GIB, machine, MIB } from "../../../support/hardware/fixture.ts";

const server = await machine("two-sockets");
const vm = await machine("small-vm");

const away = { kind: "failed", reason: "libvirt is not connected" } as const;
const capabilities = parseCapabilities(`
  <capabilities>
    <host>
      <cpu><arch>x86_64</arch></cpu>
      <topology><cells num='1'><cell id='0'>
        <memory unit='KiB'>1048576</memory>
        <pages unit='KiB' size='4'>200000</pages>
        <pages unit='KiB' size='2048'>64</pages>
        <distances><sibling id='0' value='10'/></distances>
        <cpus num='2'><cpu id='0' siblings='0'/><cpu id='1' siblings='1'/></cpus>
      </cell></cells></topology>
    </host>
    <guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest>
    <guest><os_type>hvm</os_type><arch name='aarch64'><domain type='qemu'/></arch></guest>
  </capabilities>`);

const unsupported = { kind: "unsupported", reason: "not in this fixture" } as const;

async function sources(changes: Partial<InventorySources> = {}): Promise<InventorySources> {
  return {
    nodes: await readNuma(server),
    offlineCpus: unsupported,
    poisonedPages: unsupported,
    memory: await readMemory(server),
    cpu: await readCpuModel(server),
    topology: unsupported,
    mounts: unsupported,
    pci: unsupported,
    names: new Map(),
    domain: unsupported,
    versions: undefined,
    thinRatio: 1,
    kvm: { kind: "read", value: { nested: true } },
    capabilities: { kind: "read", value: capabilities },
    memoryBytes: { kind: "unsupported", reason: "the test driver has none" },
    pools: { kind: "read", value: [] },
    networks: { kind: "read", value: [] },
    spaces: new Map(),
    volumes: new Map(),
    kvmFails: false,
    reasons: [],
    ...changes,
  };
}

function pool(name: string, active: boolean): PoolFacts {
  const sizes = active
    ? { capacityBytes: 100, allocatedBytes: 40, availableBytes: 60 }
    : { capacityBytes: 0, allocatedBytes: 0, availableBytes: 0 };
  return {
    name,
    details: {
      kind: "read",
      value: { type: "dir", active, accessible: true, autostart: false, path: `/pools/${name}`, ...sizes },
    },
  };
}

const unreadable: Reading<never> = { kind: "failed", reason: "timed out" };

test("a two-socket server has four cells, each with separate memory and huge pages", async () => {
  const inventory = assembleInventory(await sources(), emptyInventory, 1);
  assert.deepEqual([inventory.complete, inventory.incompleteReasons], [true, []]);
  assert.deepEqual(inventory.traits, ["hugepages-1g", "hugepages-2m", "kvm", "nested", "tcg"]);
  assert.deepEqual(
    inventory.cells.map(({ id, cpus }) => [id, cpus.length]),
    [0, 1, 2, 3].map((id) => [id, 4]),
  );
  const policy = {
    reservedCpus: 4,
    reservedMemoryBytes: 8 * GIB,
    cpuOvercommitRatio: 4,
    memoryOvercommitRatio: 1,
    dedicatedCpus: [],
  };
  const [first, , third] = capacityOf(
    inventory.cells,
    new CpuPools(inventory.cells, []),
    policy,
    new DemandTotals(),
    new DemandTotals(),
  );
  const available = (cell: typeof first) =>
    Object.fromEntries((cell?.resources ?? []).map(({ resource, available }) => [resource, available]));
  assert.equal(available(first)["cpu"], 12);
  assert.equal(available(first)["memory_2m"], 16 * GIB);
  assert.equal(available(first)["memory_1g"], 4 * GIB);
  assert.equal(available(third)["memory_1g"], 0);
  const reservedBytes = first?.resources.find(({ resource }) => resource === "memory")?.reserved ?? 0;
  assert.equal(available(first)["memory"], 65_673_216 * 1024 - 20 * GIB - reservedBytes);
});

test("with one cell the machine's memory is the cell's, whatever its own file states", async () => {
  const oneCell = { nodes: await readNuma(vm), memory: await readMemory(vm) };
  const machineBytes: Reading<number> = { kind: "read", value: 24 * GIB };
  const inventory = assembleInventory(
    await sources({ ...oneCell, memoryBytes: machineBytes }),
    emptyInventory,
    1,
  );
  assert.equal(inventory.cells[0]?.memoryBytes, 24 * GIB);
});

test("cells that do not add up to the machine are kept, and reported", async () => {
  const machineBytes: Reading<number> = { kind: "read", value: 512 * GIB };
  const inventory = assembleInventory(await sources({ memoryBytes: machineBytes }), emptyInventory, 1);
  assert.equal(inventory.cells[0]?.memoryBytes, 65_673_216 * 1024);
  assert.equal(inventory.complete, false);
  assert.match(inventory.incompleteReasons.join(), /adds up to/);
});

test("without libvirt the machine is still read, and the cause for the rest is reported once", async () => {
  const gone = { capabilities: away, memoryBytes: away, pools: away, networks: away };
  const inventory = assembleInventory(await sources(gone), emptyInventory, 1);
  assert.equal(inventory.cells.length, 4);
  assert.deepEqual(inventory.incompleteReasons, [
    "capabilities, node memory, storage pools, networks: libvirt is not connected",
  ]);
});

test("without libvirt its networks are unknown, and as last seen", async () => {
  const networks = { kind: "read", value: [{ name: "default", bridge: "virbr0", active: true }] } as const;
  const seen = assembleInventory(await sources({ networks }), emptyInventory, 1);
  const [before] = seen.networks;
  assert.deepEqual([before?.presence, before?.observedAtMs], ["present", 1]);
  const [after] = assembleInventory(await sources({ networks: away }), seen, 2).networks;
  assert.deepEqual([after?.presence, after?.active, after?.observedAtMs], ["unknown", true, 1]);
});

test("a network with unreadable XML affects only itself, and keeps its last bridge", async () => {
  const [a, b] = ["a", "b"].map((name) => ({ name, bridge: `virbr-${name}`, active: true }));
  const read = (...value: object[]) => sources({ networks: { kind: "read", value: value as never } });
  const seen = assembleInventory(await read(a ?? {}, b ?? {}), emptyInventory, 1);
  const refused = { ...a, bridge: "", problem: "libvirt XML has too many attributes" };
  const { networks, complete, incompleteReasons } = assembleInventory(await read(refused, b ?? {}), seen, 2);
  assert.deepEqual(
    networks.map(({ name, bridge, presence, observedAtMs }) => [name, bridge, presence, observedAtMs]),
    [
      ["a", "virbr-a", "present", 2],
      ["b", "virbr-b", "present", 2],
    ],
  );
  assert.ok(!("problem" in (networks[0] ?? {})));
  assert.ok(!complete && incompleteReasons.includes("network a: libvirt XML has too many attributes"));
});

test("a network that does not answer is unknown, and costs no other", async () => {
  const [a, b] = ["a", "b"].map((name) => ({ name, bridge: `virbr-${name}`, active: true, dhcp: true }));
  const read = (...value: object[]) => sources({ networks: { kind: "read", value: value as never } });
  const seen = assembleInventory(await read(a ?? {}, b ?? {}), emptyInventory, 1);
  const silent = { name: "a", bridge: "", active: false, problem: "no answer", silent: true };
  const { networks, incompleteReasons } = assembleInventory(await read(silent, b ?? {}), seen, 2);
  assert.deepEqual(networks, [
    { ...a, presence: "unknown", observedAtMs: 1 },
    { ...b, presence: "present", observedAtMs: 2 },
  ]);
  assert.ok(incompleteReasons.includes("network a: no answer"));
});

test("without sysfs libvirt's cells are used, without plain pages", async () => {
  const inventory = assembleInventory(
    await sources({ nodes: unreadable, memory: unreadable }),
    emptyInventory,
    1,
  );
  const [cell, ...more] = inventory.cells;
  assert.equal(more.length, 0);
  assert.deepEqual(cell, {
    id: 0,
    cpus: [0, 1],
    memoryBytes: GIB,
    pages: [{ sizeBytes: 2 * MIB, total: 64 }],
    distances: [10],
    siblings: [[0], [1]],
    caches: [],
  });
  const { complete, incompleteReasons } = assembleInventory(
    await sources({ nodes: unreadable }),
    emptyInventory,
    1,
  );
  assert.deepEqual([complete, incompleteReasons[0]], [false, "NUMA cells are from libvirt: timed out"]);
});

test("a cell without known memory is left out, not shown as empty", async () => {
  const all = await sources({ capabilities: away });
  assert.ok(all.nodes.kind === "read");
  const nodes = all.nodes.value.map((node) => (node.id === 2 ? { ...node, memory: unreadable } : node));
  const inventory = assembleInventory({ ...all, nodes: { kind: "read", value: nodes } }, emptyInventory, 1);
  assert.deepEqual(
    inventory.cells.map(({ id }) => id),
    [0, 1, 3],
  );
  assert.match(inventory.incompleteReasons.join(), /memory of NUMA cell 2: timed out/);
  const known = assembleInventory(await sources(), emptyInventory, 1);
  const again = assembleInventory({ ...all, nodes: { kind: "read", value: nodes } }, known, 2);
  assert.equal(again.cells[2]?.memoryBytes, 66_059_264 * 1024);
  assert.equal(again.complete, false);
});

/** Volumes of these sizes. */
function holding(...sizes: readonly number[]): Reading<VolumeCapacities> {
  const bytes = new Map(sizes.map((each, index) => [`volume-${index}`, each]));
  return { kind: "read", value: { bytes } };
}

test("pools have the filesystem's space, no sizes while inactive, and are unknown while unreadable", async () => {
  const space = { sizeBytes: 1000, usedBytes: 900, availableBytes: 50, availableRatio: 50 / 950 };
  const pools = { kind: "read", value: [pool("a", true), pool("b", false)] } as const;
  const spaces = new Map([["/pools/a", { kind: "read", value: space } as const]]);
  const volumes = new Map([
    ["a", holding(2000, 3000)],
    ["b", holding()],
  ]);
  const first = assembleInventory(await sources({ pools, spaces, volumes }), emptyInventory, 1);
  assert.deepEqual(first.storagePools[0], {
    name: "a",
    type: "dir",
    active: true,
    presence: "present",
    observedAtMs: 1,
    path: "/pools/a",
    thinRatio: 1,
    capacityBytes: 1000,
    allocatedBytes: 900,
    availableBytes: 50,
    provisionedBytes: 5000,
  });
  const inactive = first.storagePools[1] ?? {};
  assert.deepEqual(["capacityBytes" in inactive, "provisionedBytes" in inactive], [false, false]);

  const broken = { kind: "read", value: [{ name: "a", details: unreadable }, pool("b", false)] } as const;
  const second = assembleInventory(await sources({ pools: broken }), first, 2);
  const [a] = second.storagePools;
  assert.deepEqual([a?.presence, a?.observedAtMs, a?.capacityBytes], ["unknown", 1, 1000]);
  assert.deepEqual(second.incompleteReasons, ["storage pool a: timed out"]);

  const third = assembleInventory(await sources({ pools: unreadable }), second, 3);
  assert.deepEqual(
    third.storagePools.map(({ name, presence }) => [name, presence]),
    [
      ["a", "unknown"],
      ["b", "unknown"],
    ],
  );
});

test("a pool with unreadable volumes has no provisioned bytes, and the cause is reported", async () => {
  const pools = { kind: "read", value: [pool("a", true), pool("b", true)] } as const;
  const volumes = new Map([
    ["a", unreadable],
    ["b", holding()],
  ]);
  const inventory = assembleInventory(await sources({ pools, volumes }), emptyInventory, 1);
  assert.deepEqual(inventory.incompleteReasons, ["volumes of storage pool a: timed out"]);
  const [a, b] = inventory.storagePools;
  assert.deepEqual([a?.capacityBytes, a?.provisionedBytes, b?.provisionedBytes], [100, undefined, 0]);

  const some: Reading<VolumeCapacities> = {
    kind: "read",
    value: { bytes: new Map(), missing: "1 is broken" },
  };
  const partly = { pools, volumes: new Map([["a", some]]) };
  const assembled = assembleInventory(await sources(partly), emptyInventory, 1);
  assert.deepEqual(assembled.incompleteReasons, ["volumes of storage pool a: 1 is broken"]);
  assert.equal(assembled.storagePools[0]?.provisionedBytes, undefined);
});

test("a new volume is a change, the growth of another is not", async () => {
  const pools = { kind: "read", value: [pool("a", true)] } as const;
  const sold = async (value: number) => {
    const volumes = new Map([["a", holding(value)]]);
    return changeKey(assembleInventory(await sources({ pools, volumes }), emptyInventory, 1));
  };
  assert.notEqual(await sold(1), await sold(2));
});

test("KVM is no trait while guests fail on it", async () => {
  const inventory = assembleInventory(await sources({ kvmFails: true }), emptyInventory, 1);
  assert.ok(inventory.traits.includes("tcg"));
  assert.ok(!inventory.traits.includes("kvm") && !inventory.traits.includes("nested"));
});

test("varying readings are no change", async () => {
  const all = await sources({ pools: { kind: "read", value: [pool("a", true)] } });
  const before = assembleInventory(all, emptyInventory, 1);
  const after = {
    ...before,
    storagePools: before.storagePools.map((found) => ({ ...found, availableBytes: 1, observedAtMs: 9 })),
    cells: before.cells.map((cell) => ({ ...cell, pages: cell.pages.map((page) => ({ ...page, free: 0 })) })),
  };
  assert.equal(changeKey(after), changeKey(before));
  const inactive = before.storagePools.map((found) => ({ ...found, active: false }));
  assert.notEqual(changeKey({ ...before, storagePools: inactive }), changeKey(before));
});
