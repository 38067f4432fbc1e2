import assert from "node:assert/strict";
import test from "node:test";
import { pickCpus } from "../../../../agent/host/capacity/cpu-pools.ts";
import { qemuOverheadBytes } from "../../../../agent/host/capacity/demand.ts";
import type { NumaCell } from "../../../../agent/host/host.ts";
import type { HostDevice } from "../../../../agent/host/capacity/device-capacity.ts";
import { Ledger } from "../../../../agent/host/capacity/ledger.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { anywhere, type PlacementRequest } from "../../../../agent/contract/spec.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { FakeRecord } from "../../../support/host/fake-record.ts";

const [MIB, GIB] = [1024 ** 2, 1024 ** 3];

/** Two sockets of four cores with two threads each; the first core of each is shared. */
const cells: readonly NumaCell[] = [0, 1].map((id) => {
  const first = id * 4;
  const cores = [0, 1, 2, 3].map((core) => [first + core, first + core + 8]);
  return {
    id,
    cpus: cores.flat().sort((a, b) => a - b),
    memoryBytes: 32 * GIB,
    pages: [{ sizeBytes: GIB, total: 8 }],
    distances: [],
    siblings: cores,
  };
});
const DEDICATED = [1, 2, 3, 9, 10, 11, 5, 6, 7, 13, 14, 15];

function ledgerOf(dedicatedCpus: readonly number[] = DEDICATED): { ledger: Ledger; clock: FakeClock } {
  const clock = new FakeClock();
  const policy = {
    reservedCpus: 0,
    reservedMemoryBytes: 0,
    cpuOvercommitRatio: 2,
    memoryOvercommitRatio: 1,
    dedicatedCpus,
  };
  const ledger = new Ledger({
    policy,
    scheduling: () => new FakeRecord().scheduling,
    clock,
    changed: () => undefined,
  });
  ledger.setCells(cells);
  ledger.setFootprints([], true);
  return { ledger, clock };
}

const vm = (
  holder: string,
  vcpus: number,
  placementRequest: Partial<PlacementRequest> = {},
  memoryBytes = GIB,
) => ({
  holder,
  vcpus,
  memoryBytes,
  placementRequest: { ...anywhere, ...placementRequest },
});
const dedicated = { dedicatedCpus: true };
const strict = { cellPolicy: "strict" } as const;

function row(ledger: Ledger, cell: number, resource: string) {
  const found = ledger.capacity.cells[cell]?.resources.find((each) => each.resource === resource);
  assert.ok(found, `cell ${cell} has no ${resource}`);
  const { allocated, available } = found;
  assert.ok(allocated !== undefined && available !== undefined, `${resource} of cell ${cell} is unknown`);
  return { ...found, allocated, available };
}

function refusal(act: () => unknown): SocleError {
  try {
    act();
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    return thrown;
  }
  assert.fail("it was accepted");
}

test("shared and dedicated CPUs are separate, and dedicated ones are never overcommitted", () => {
  const { ledger } = ledgerOf();
  assert.deepEqual(
    [row(ledger, 0, "cpu").total, row(ledger, 0, "cpu").available],
    [2, 4],
    "the shared ones are overcommitted twice",
  );
  const alone = row(ledger, 0, "cpu_dedicated");
  assert.deepEqual([alone.total, alone.available, alone.overcommitRatio, alone.max], [6, 6, 1, 6]);
  assert.deepEqual(
    ledger.capacity.dedicatedCpus,
    [...DEDICATED].sort((a, b) => a - b),
  );
  assert.equal(ledgerOf([]).ledger.capacity.cells[0]?.resources.length, 3, "no pool, no row");
});

test("a VM gets whole cores of the first cell that fits it, and its QEMU runs on that cell's shared CPUs", () => {
  const { ledger } = ledgerOf();
  const { placement } = ledger.claim(vm("a", 4, dedicated));
  assert.deepEqual(placement.vcpuCpus, [1, 9, 2, 10]);
  assert.deepEqual(placement.emulatorCpus, [0, 8]);
  assert.deepEqual(placement.cells, [0]);
  assert.equal(row(ledger, 0, "cpu_dedicated").claimed, 4);
  const next = ledger.claim(vm("b", 4, dedicated)).placement;
  assert.deepEqual([next.vcpuCpus, next.cells], [[5, 13, 6, 14], [1]]);
});

test("an isolated emulator has a dedicated CPU of its own", () => {
  const { ledger } = ledgerOf();
  const { placement } = ledger.claim(vm("a", 5, { ...dedicated, isolatedEmulator: true }));
  assert.deepEqual([placement.vcpuCpus, placement.emulatorCpus], [[1, 9, 2, 10, 3], [11]]);
  assert.equal(row(ledger, 0, "cpu_dedicated").available, 0);
  assert.equal(
    refusal(() => ledger.claim(vm("b", 6, { ...dedicated, isolatedEmulator: true, ...strict }))).reason,
    "NO_CAPACITY",
  );
});

test("a VM that fits on no single cell is spread where allowed, and else refused with its dimension", () => {
  const { ledger } = ledgerOf();
  const refused = refusal(() => ledger.claim(vm("a", 8, { ...dedicated, ...strict })));
  assert.deepEqual(
    [refused.kind, refused.details.metadata?.["dimension"], refused.details.metadata?.["free_cpu_dedicated"]],
    ["exhausted", "cpu_dedicated", "6"],
  );
  assert.match(refused.message, /not enough cpu_dedicated on any one cell: 8 wanted, 6 available/);
  const large = refusal(() => ledger.claim({ ...vm("b", 1), memoryBytes: 2 ** 50 }));
  assert.match(large.message, /not enough memory: 1\.0 PiB .*wanted .*, [\d.]+ GiB .*available/);
  const { placement } = ledger.claim(vm("a", 8, dedicated));
  assert.deepEqual([placement.vcpuCpus.length, placement.cells], [8, []]);
});

test("a single thread is taken from a partly used core, so that whole cores stay whole", () => {
  const whole = { cpus: [0, 8], free: [0, 8] };
  assert.deepEqual(pickCpus([whole, { cpus: [1, 9], free: [9] }], 1), [9]);
  assert.deepEqual(pickCpus([{ cpus: [1, 9], free: [9] }, whole], 2), [0, 8]);
  assert.deepEqual(pickCpus([{ cpus: [1, 9], free: [9] }, whole], 3), [0, 8, 9]);
  assert.equal(pickCpus([{ cpus: [1, 9], free: [9] }], 2), undefined);
});

test("a core with a shared thread is not a whole core", () => {
  // The first threads of cores 0 and 1 are dedicated, the second ones are not; core 2 is dedicated
  // completely.
  const { ledger } = ledgerOf([0, 1, 2, 10]);
  assert.deepEqual(ledger.claim(vm("a", 2, dedicated)).placement.vcpuCpus, [2, 10]);
  assert.deepEqual(ledger.claim(vm("b", 2, dedicated)).placement.vcpuCpus, [0, 1]);
});

test("no CPU is assigned twice through any sequence of claims and releases", () => {
  const { ledger } = ledgerOf();
  let seed = 11;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  const held = new Map<string, ReturnType<Ledger["claim"]>>();
  for (let turn = 0; turn < 3000; turn += 1) {
    const placementRequest = { dedicatedCpus: random(3) > 0, ...(random(2) === 0 ? strict : {}) };
    const [first] = held;
    if (random(2) === 0 || first === undefined) {
      try {
        held.set(`vm-${turn}`, ledger.claim(vm(`vm-${turn}`, 1 + random(5), placementRequest)));
      } catch (thrown) {
        assert.ok(thrown instanceof SocleError && thrown.reason === "NO_CAPACITY", String(thrown));
      }
    } else {
      ledger.release(first[1]);
      held.delete(first[0]);
    }
    const cpus = [...held.values()].flatMap(({ placement }) => placement.vcpuCpus);
    assert.equal(new Set(cpus).size, cpus.length);
    assert.ok(cpus.every((cpu) => DEDICATED.includes(cpu)));
    assert.ok(
      ledger.capacity.cells.every(({ resources }) => resources.every(({ available = -1 }) => available >= 0)),
    );
  }
});

test("pinned VMs count on their CPUs, also unmanaged and stopped ones", () => {
  const { ledger } = ledgerOf();
  const seen = { memoryBytes: GIB, cells: [1], active: false };
  ledger.setFootprints(
    [
      { ...seen, id: "pinned", vcpus: 2, vcpuPins: [[5], [6]] },
      // May run on a shared CPU and on a dedicated one: the latter then has no exclusive VM.
      { ...seen, id: "straddling", vcpus: 1, vcpuPins: [[4, 7]] },
      {
        ...seen,
        id: "everywhere",
        vcpus: 1,
        cells: [],
        vcpuPins: [Array.from({ length: 16 }, (_, cpu) => cpu)],
      },
    ],
    true,
  );
  assert.equal(row(ledger, 1, "cpu_dedicated").allocated, 3);
  assert.equal(row(ledger, 0, "cpu_dedicated").allocated, 0);
  assert.equal(row(ledger, 1, "cpu").allocated + row(ledger, 0, "cpu").allocated, 2);
  const { placement } = ledger.claim(vm("a", 3, { ...dedicated, ...strict, cell: 1 }));
  assert.deepEqual(
    [...placement.vcpuCpus].sort((a, b) => a - b),
    [13, 14, 15],
  );
  assert.equal(
    refusal(() => ledger.claim(vm("b", 1, { ...dedicated, ...strict, cell: 1 }))).reason,
    "NO_CAPACITY",
  );
});

test("two VMs on one CPU make the available amount negative", () => {
  const { ledger } = ledgerOf([7]);
  const pinned = { vcpus: 1, memoryBytes: GIB, cells: [], vcpuPins: [[7]], active: true };
  ledger.setFootprints(
    [
      { ...pinned, id: "a" },
      { ...pinned, id: "b" },
    ],
    true,
  );
  assert.equal(row(ledger, 1, "cpu_dedicated").available, -1);
});

test("VMs on shared CPUs avoid the dedicated ones, and stay on one cell if strict", () => {
  const { ledger } = ledgerOf();
  assert.deepEqual(ledger.claim(vm("a", 1)).placement.sharedCpus, [0, 8, 4, 12]);
  const bound = ledger.claim(vm("b", 1, { ...strict, cell: 1 })).placement;
  assert.deepEqual([bound.sharedCpus, bound.cells, bound.strict], [[4, 12], [1], true]);
  assert.deepEqual(
    ledgerOf([]).ledger.claim(vm("a", 1)).placement.sharedCpus,
    [],
    "no pool: they run on any CPU",
  );
});

test("huge pages come whole from one cell, and their lack is named", () => {
  const { ledger } = ledgerOf();
  const huge = { pageSizeBytes: GIB };
  const { placement } = ledger.claim(vm("a", 1, huge, 6 * GIB));
  assert.deepEqual([placement.hugepageBytes, placement.cells], [GIB, [0]]);
  assert.equal(row(ledger, 0, "memory_1g").available, 2 * GIB);
  assert.equal(
    row(ledger, 0, "memory").claimed,
    qemuOverheadBytes({ vcpus: 1, memoryBytes: 6 * GIB, hugepageBytes: GIB }),
  );
  assert.deepEqual(ledger.claim(vm("b", 1, huge, 6 * GIB)).placement.cells, [1]);
  const refused = refusal(() => ledger.claim(vm("c", 1, { ...huge, ...strict }, 3 * GIB)));
  assert.equal(refused.details.metadata?.["dimension"], "memory_1g");
  assert.equal(
    refusal(() => ledger.claim(vm("d", 1, { pageSizeBytes: 2 * MIB }))).details.metadata?.["dimension"],
    "memory_2m",
  );
});

const device = (address: string, parts: Partial<HostDevice> = {}): HostDevice => ({
  address,
  iommuGroup: 1,
  group: [address],
  healthy: true,
  ...parts,
});

test("an IOMMU group goes to one VM that claims any of its devices, offered or not", () => {
  const { ledger } = ledgerOf();
  const group = ["0000:3b:00.0", "0000:3b:00.1", "0000:3b:00.2"];
  ledger.setDevices([
    device("0000:3b:00.0", { group }),
    device("0000:3b:00.1", { group }),
    device("0000:af:00.0", { iommuGroup: 2 }),
  ]);
  const states = () => ledger.capacity.devices.map(({ state, holder = "" }) => `${state} ${holder}`);
  const both = ledger.claim(vm("a", 1, { devices: ["0000:3b:00.0", "0000:3b:00.1"] }));
  ledger.release(both);
  const one = ledger.claim(vm("a", 1, { devices: ["0000:3b:00.1"] }));
  assert.deepEqual(states(), ["claimed a", "claimed a", "free "]);
  const refused = refusal(() => ledger.claim(vm("b", 1, { devices: ["0000:3b:00.0"] })));
  assert.deepEqual([refused.reason, refused.details.metadata?.["wanted"]], ["NO_CAPACITY", "0000:3b:00.0"]);
  ledger.release(one);
  assert.deepEqual(states(), ["free ", "free ", "free "]);
  const foreign = { id: "u", vcpus: 1, memoryBytes: GIB, cells: [], devices: ["0000:3b:00.2"], active: true };
  ledger.setFootprints([foreign], true);
  assert.deepEqual(states(), ["allocated u", "allocated u", "free "]);
  assert.deepEqual(
    ledger.capacity.devices.map((each) => [each.iommuGroup, "group" in each]),
    [
      [1, false],
      [1, false],
      [2, false],
    ],
  );
});

test("an alias of a kind gives as many free devices as named, close to the VM", () => {
  const { ledger } = ledgerOf();
  const a100 = (bus: string, cell: number, parts: Partial<HostDevice> = {}) =>
    device(`0000:${bus}:00.0`, { alias: "a100", cell, ...parts });
  ledger.setDevices([
    a100("01", 0, { healthy: false }),
    a100("02", 0),
    a100("81", 1),
    a100("82", 1),
    a100("83", 1),
  ]);
  const given = (holder: string, placementRequest: Partial<PlacementRequest>) =>
    ledger.claim(vm(holder, 1, placementRequest)).placement.devices.map((address) => address.slice(5, 7));
  const two = ["a100", "a100"];
  assert.deepEqual(given("a", { devices: two, ...strict }), ["81", "82"]);
  const refused = refusal(() => ledger.claim(vm("b", 1, { devices: two, ...strict })));
  assert.deepEqual(
    [refused.reason, refused.details.metadata?.["dimension"], refused.details.metadata?.["wanted"]],
    ["NO_CAPACITY", "device", "a100"],
  );
  assert.deepEqual(given("b", { devices: ["a100", "0000:02:00.0"] }), ["83", "02"]);
  assert.match(refusal(() => ledger.claim(vm("c", 1, { devices: ["a100"] }))).message, /a100 is not free/);
});

test("a VM goes to the cell of its devices if it fits; otherwise its CPUs stay together", () => {
  const { ledger } = ledgerOf();
  ledger.setDevices([
    device("0000:81:00.0", { cell: 1 }),
    device("0000:82:00.0", { iommuGroup: 2, cell: 1 }),
    device("0000:83:00.0", { iommuGroup: 3, cell: 1 }),
  ]);
  const cellsOf = (holder: string, vcpus: number, placementRequest: Partial<PlacementRequest>) =>
    ledger.claim(vm(holder, vcpus, placementRequest)).placement.cells;
  assert.deepEqual(cellsOf("a", 6, { ...dedicated, devices: ["0000:81:00.0"] }), [1]);
  assert.deepEqual(cellsOf("b", 2, { ...dedicated, devices: ["0000:82:00.0"] }), [0], "cell 1 has none left");
  assert.deepEqual(cellsOf("c", 1, { devices: ["0000:83:00.0"] }), [1], "also on shared CPUs");
  ledger.setDevices([device("0000:84:00.0", { iommuGroup: 4 })]);
  assert.deepEqual(
    cellsOf("d", 1, { devices: ["0000:84:00.0"] }),
    [],
    "the firmware does not state its cell",
  );
});

test("a device goes to one VM only, by its address or its alias", () => {
  const { ledger } = ledgerOf();
  ledger.setDevices([
    device("0000:3b:00.0", { alias: "gpu0", cell: 1 }),
    device("0000:3c:00.0", { healthy: false }),
  ]);
  const placementRequest = { devices: ["gpu0"], ...strict };
  const claim = ledger.claim(vm("a", 1, placementRequest));
  assert.deepEqual([claim.placement.devices, claim.placement.cells], [["0000:3b:00.0"], [1]]);
  assert.deepEqual(
    ledger.capacity.devices.map(({ state, holder }) => [state, holder]),
    [
      ["claimed", "a"],
      ["unhealthy", undefined],
    ],
  );
  const again = refusal(() => ledger.claim(vm("b", 1, { devices: ["0000:3b:00.0"] })));
  assert.deepEqual([again.reason, again.details.metadata?.["dimension"]], ["NO_CAPACITY", "device"]);
  assert.equal(refusal(() => ledger.claim(vm("b", 1, { devices: ["0000:3c:00.0"] }))).reason, "NO_CAPACITY");
  assert.equal(refusal(() => ledger.claim(vm("b", 1, { devices: ["tape0"] }))).reason, "NO_SUCH_DEVICE");
  ledger.release(claim);
  const unmanaged = {
    id: "u",
    vcpus: 1,
    memoryBytes: GIB,
    cells: [],
    devices: ["0000:3b:00.0"],
    active: true,
  };
  ledger.setFootprints([unmanaged], true);
  assert.equal(ledger.capacity.devices[0]?.state, "allocated");
});

test("after a crash the same CPUs are claimed again, and no other VM gets them", () => {
  const { ledger } = ledgerOf();
  const { placement } = ledgerOf().ledger.claim(vm("a", 2, dedicated));
  // Before the cells have been read: claims are kept.
  ledger.reclaim({ holder: "a", vcpus: 2, memoryBytes: GIB, placement });
  const other = ledger.claim(vm("b", 4, dedicated)).placement;
  assert.deepEqual(
    other.vcpuCpus.filter((cpu) => placement.vcpuCpus.includes(cpu)),
    [],
  );
});

test("a reservation's claim passes to the VM unchanged", () => {
  const { ledger } = ledgerOf();
  const claim = ledger.claim(vm("reservation", 2, dedicated));
  const before = JSON.stringify(ledger.capacity);
  const moved = ledger.transfer(claim, "a");
  assert.equal(JSON.stringify(ledger.capacity), before);
  assert.deepEqual(moved.placement, claim.placement);
  ledger.consume(moved);
  const pins = moved.placement.vcpuCpus.map((cpu) => [cpu]);
  ledger.setFootprints(
    [{ id: "a", vcpus: 2, memoryBytes: GIB, cells: [0], vcpuPins: pins, active: true }],
    true,
  );
  assert.deepEqual(
    [row(ledger, 0, "cpu_dedicated").allocated, row(ledger, 0, "cpu_dedicated").claimed],
    [2, 0],
  );
});
