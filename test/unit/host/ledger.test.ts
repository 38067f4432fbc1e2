import assert from "node:assert/strict";
import test from "node:test";
import { qemuOverheadBytes, type Footprint } from "../../../agent/host/demand.ts";
import type { NumaCell } from "../../../agent/host/host.ts";
import { Ledger, type ClaimRequest } from "../../../agent/host/ledger.ts";
import { anywhere, unbound } from "../../../agent/state/placement.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { FakeClock } from "./fake-clock.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const policy = {
  reservedCpus: 0,
  reservedMemoryBytes: 0,
  cpuOvercommitRatio: 1,
  memoryOvercommitRatio: 1,
  dedicatedCpus: [] as readonly number[],
};

function cell(id: number, parts: Partial<NumaCell> = {}): NumaCell {
  return { id, cpus: [0, 1, 2, 3], memoryBytes: 32 * GIB, pages: [], distances: [], ...parts };
}

function ledgerOf(cells: readonly NumaCell[], changes: Partial<typeof policy> = {}) {
  const counted = { changes: 0 };
  const clock = new FakeClock();
  const ledger = new Ledger({
    policy: { ...policy, ...changes },
    clock,
    changed: () => {
      counted.changes += 1;
    },
  });
  ledger.setFootprints([], true);
  ledger.setCells(cells);
  return { ledger, counted, clock };
}

function row(ledger: Ledger, cellId: number, resource: string) {
  const found = ledger.capacity.cells
    .find(({ id }) => id === cellId)
    ?.resources.find((candidate) => candidate.resource === resource);
  assert.ok(found !== undefined, `cell ${cellId} has no ${resource}`);
  const { allocated, available } = found;
  assert.ok(allocated !== undefined && available !== undefined, `${resource} of cell ${cellId} is unknown`);
  return { ...found, allocated, available };
}

const small: ClaimRequest = { holder: "vm-a", vcpus: 2, memoryBytes: GIB };
const on = (cell: number): Pick<ClaimRequest, "wish"> => ({
  wish: { ...anywhere, cellPolicy: "strict", cell },
});

function seen({ holder, wish, ...size }: ClaimRequest, active = true): Footprint {
  return { ...size, cells: wish?.cell === undefined ? [] : [wish.cell], id: holder, active };
}

function refusal(claim: () => unknown): SocleError {
  try {
    claim();
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError);
    return thrown;
  }
  assert.fail("the claim was accepted");
}

test("available = (total - reserved) x ratio, and what is reserved is spread by size", () => {
  const cells = [cell(0), cell(1, { cpus: [4, 5], memoryBytes: 16 * GIB })];
  const { ledger } = ledgerOf(cells, {
    reservedCpus: 3,
    reservedMemoryBytes: 3 * GIB,
    cpuOvercommitRatio: 4,
  });
  const [first, second] = [row(ledger, 0, "cpu"), row(ledger, 1, "cpu")];
  assert.deepEqual([first.total, first.reserved, first.available], [4, 2, 8]);
  assert.deepEqual([second.total, second.reserved, second.available], [2, 1, 4]);
  assert.equal(row(ledger, 0, "memory").reserved, 2 * GIB);
  assert.equal(row(ledger, 1, "memory").reserved, GIB);
});

test("memory in huge pages is counted as such, once, and never overcommitted", () => {
  const pages = [
    { sizeBytes: 2 * MIB, total: 1024, free: 0 },
    { sizeBytes: GIB, total: 4 },
  ];
  const { ledger } = ledgerOf([cell(0, { pages })], { memoryOvercommitRatio: 2 });
  assert.equal(row(ledger, 0, "memory").total, 26 * GIB);
  assert.equal(row(ledger, 0, "memory").available, 52 * GIB);
  assert.equal(row(ledger, 0, "memory_2m").available, 2 * GIB);
  ledger.claim({ ...small, memoryBytes: 3 * GIB, wish: { ...anywhere, pageSizeBytes: GIB } });
  assert.equal(row(ledger, 0, "memory_1g").available, GIB);
  assert.equal(row(ledger, 0, "memory").claimed, qemuOverheadBytes({ ...small, hugepageBytes: GIB }));
});

test("a claim that does not fit names what is short and what there is", () => {
  const { ledger } = ledgerOf([cell(0), cell(1)]);
  ledger.claim({ ...small, vcpus: 3, ...on(1) });
  const refused = refusal(() => ledger.claim({ ...small, holder: "vm-b", vcpus: 2, ...on(1) }));
  assert.deepEqual([refused.kind, refused.reason], ["exhausted", "NO_CAPACITY"]);
  assert.equal(refused.details.metadata?.["dimension"], "cpu");
  assert.equal(refused.details.metadata["free_cpu"], "1");
  assert.equal(refused.details.metadata["cells"], "1");
  // It left nothing behind, and other cells have room.
  ledger.claim({ ...small, holder: "vm-b", vcpus: 4, ...on(0) });
});

test("the last byte can be claimed, and not one more", () => {
  const { ledger } = ledgerOf([cell(0)]);
  const overheadOf = (memoryBytes: number) => qemuOverheadBytes({ vcpus: 1, memoryBytes });
  let memoryBytes = 31 * GIB;
  while (memoryBytes + 4096 + overheadOf(memoryBytes + 4096) <= 32 * GIB) memoryBytes += 4096;
  const request = { ...small, vcpus: 1, memoryBytes };
  const tooMuch = refusal(() => ledger.claim({ ...request, memoryBytes: memoryBytes + 4096 }));
  assert.equal(tooMuch.details.metadata?.["dimension"], "memory");
  ledger.claim(request);
  assert.ok(row(ledger, 0, "memory").available >= 0);
});

test("from claim to seen VM it is counted once at every step, in either order", () => {
  for (const consumeFirst of [true, false]) {
    const { ledger } = ledgerOf([cell(0)]);
    const taken = () => {
      const { allocated, claimed } = row(ledger, 0, "cpu");
      return { allocated, claimed };
    };
    const claim = ledger.claim(small);
    assert.deepEqual(taken(), { allocated: 0, claimed: 2 });
    const see = (): void => ledger.setFootprints([seen(small)], true);
    const consume = (): void => ledger.consume(claim);
    const [first, second] = consumeFirst ? [consume, see] : [see, consume];
    first();
    assert.equal(taken().allocated + taken().claimed, 2);
    second();
    assert.deepEqual(taken(), { allocated: 2, claimed: 0 });
    ledger.setFootprints([], true);
    assert.deepEqual(taken(), { allocated: 0, claimed: 0 });
  }
});

test("a release gives all of it back, and twice is no harm", () => {
  const { ledger } = ledgerOf([cell(0)]);
  const before = JSON.stringify(ledger.capacity.cells);
  const claim = ledger.claim(small);
  ledger.release(claim);
  ledger.release(claim);
  assert.equal(JSON.stringify(ledger.capacity.cells), before);
});

test("a VM whose disks do not fit gets no CPU either, and what a VM gives back its disks give back too", () => {
  const { ledger } = ledgerOf([cell(0)]);
  const pool = { name: "images", type: "dir", active: true, presence: "present", observedAtMs: 0 } as const;
  ledger.setStorage({
    pools: new Map([["images", { ...pool, capacityBytes: 10 * GIB }]]),
    volumes: new Map([["images", { kind: "read", value: { bytes: new Map() } }]]),
    startedAtMs: 0,
  });
  const withDisk = (holder: string): ClaimRequest => ({
    ...small,
    vcpus: 1,
    holder,
    volumes: [{ pool: "images", volume: holder, capacityBytes: 6 * GIB }],
  });
  const dimension = (claim: () => unknown) => refusal(claim).details.metadata?.["dimension"];
  const first = ledger.claim(withDisk("vm-a"));
  assert.equal(
    dimension(() => ledger.claim(withDisk("vm-b"))),
    "storage",
  );
  assert.equal(row(ledger, 0, "cpu").claimed, 1);
  const reserved = ledger.claim({ ...small, vcpus: 1, holder: "reservation" });
  assert.equal(
    dimension(() => ledger.transfer(reserved, "vm-b", withDisk("vm-b").volumes)),
    "storage",
  );
  ledger.release(first);
  const moved = ledger.transfer(reserved, "vm-b", withDisk("vm-b").volumes);
  assert.equal(
    dimension(() => ledger.claim(withDisk("vm-c"))),
    "storage",
  );
  ledger.transfer(moved, "reservation");
  const last = ledger.claim(withDisk("vm-c"));
  ledger.consume(last);
  assert.equal(
    dimension(() => ledger.claim(withDisk("vm-d"))),
    "storage",
  );
  ledger.deleted([{ pool: "images", volume: "vm-c" }]);
  ledger.release(moved);
  ledger.claim(withDisk("vm-d"));
});

test("what was promised before a restart is counted, also where there is no room for it, and once", () => {
  const { ledger } = ledgerOf([cell(0)]);
  const free = row(ledger, 0, "cpu").available;
  const promised = { ...small, vcpus: free + 1, placement: unbound };
  const claim = ledger.reclaim(promised);
  assert.equal(row(ledger, 0, "cpu").available, -1);
  ledger.consume(claim);
  assert.equal(ledger.reclaim(promised), claim);
  assert.equal(row(ledger, 0, "cpu").available, -1);
  ledger.release(claim);
  assert.equal(row(ledger, 0, "cpu").available, free);
});

test("a VM that is made and not seen yet stays counted, until a minute of complete listings says that it is not there", () => {
  const { ledger, clock } = ledgerOf([cell(0)]);
  const claim = ledger.claim(small);
  ledger.consume(claim);
  const nobody: Footprint[] = [];
  ledger.setFootprints(nobody, true);
  assert.equal(row(ledger, 0, "cpu").claimed, 2);
  clock.advance(59_999);
  ledger.setFootprints([], false);
  ledger.setFootprints(nobody, true);
  assert.equal(row(ledger, 0, "cpu").claimed, 2);
  // The very same list again: nothing else changes than the time.
  clock.advance(1);
  ledger.setFootprints(nobody, true);
  assert.equal(row(ledger, 0, "cpu").claimed, 0);
});

test("a claim survives a listing that does not have its VM yet", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.claim(small);
  ledger.setFootprints([], true);
  assert.equal(row(ledger, 0, "cpu").claimed, 2);
});

test("stopped and unmanaged VMs count as well; more than there is shows as negative", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.setFootprints(
    [seen({ ...small, vcpus: 3 }, false), seen({ ...small, holder: "other", vcpus: 3 })],
    true,
  );
  assert.equal(row(ledger, 0, "cpu").available, -2);
  assert.equal(refusal(() => ledger.claim({ ...small, holder: "vm-b", vcpus: 1 })).reason, "NO_CAPACITY");
});

test("bound VMs are counted where they are; the others lie where room is left, whatever their order", () => {
  const bound = { ...small, holder: "bound", vcpus: 4, ...on(0) };
  const free = [1, 2, 3].map((index) => ({ ...small, holder: `free-${index}`, vcpus: 1 }));
  const { ledger } = ledgerOf([cell(0), cell(1)]);
  ledger.setFootprints([...free.map((request) => seen(request)), seen(bound)], true);
  assert.equal(row(ledger, 0, "cpu").allocated, 4);
  assert.equal(row(ledger, 1, "cpu").allocated, 3);
  const capacity = JSON.stringify(ledger.capacity.cells);
  ledger.setFootprints([seen(bound), ...free.reverse().map((request) => seen(request))], true);
  assert.equal(JSON.stringify(ledger.capacity.cells), capacity);
});

test("a VM without a cell may use the room of several", () => {
  const { ledger } = ledgerOf([cell(0), cell(1)]);
  ledger.claim({ ...small, vcpus: 6 });
  assert.equal(row(ledger, 0, "cpu").available + row(ledger, 1, "cpu").available, 2);
  assert.equal(refusal(() => ledger.claim({ ...small, holder: "vm-b", vcpus: 3 })).reason, "NO_CAPACITY");
});

test("a seen VM on a cell that this machine does not have is counted all the same", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.setFootprints([seen({ ...small, ...on(7) })], true);
  assert.equal(row(ledger, 0, "cpu").allocated, 2);
});

test("what cannot be answered is refused by its kind", () => {
  const empty = new Ledger({ policy, clock: new FakeClock(), changed: () => undefined });
  assert.deepEqual(
    [refusal(() => empty.claim(small)).kind, refusal(() => empty.claim(small)).reason],
    ["unavailable", "CAPACITY_UNKNOWN"],
  );
  empty.setCells([cell(0)]);
  assert.equal(refusal(() => empty.claim(small)).reason, "CAPACITY_UNKNOWN", "the VMs are not known");
  const { ledger } = ledgerOf([cell(0)]);
  assert.equal(refusal(() => ledger.claim({ ...small, ...on(3) })).reason, "NO_SUCH_CELL");
  ledger.claim(small);
  assert.equal(refusal(() => ledger.claim(small)).reason, "CLAIM_EXISTS");
});

test("what VMs take is not known before they were listed, and told as it was seen last when they cannot be", () => {
  const ledger = new Ledger({ policy, clock: new FakeClock(), changed: () => undefined });
  const cpu = () => ledger.capacity.cells[0]?.resources.find(({ resource }) => resource === "cpu");
  assert.equal(ledger.capacity.complete, false);
  ledger.setCells([cell(0)]);
  ledger.setDevices([
    { address: "0000:01:00.0", iommuGroup: 1, group: ["0000:01:00.0"], healthy: true },
    { address: "0000:02:00.0", iommuGroup: 2, group: ["0000:02:00.0"], healthy: false },
  ]);
  ledger.reclaim({ ...small, placement: unbound });
  ledger.setFootprints([seen({ ...small, holder: "vm-b" })], false);
  assert.deepEqual(
    [cpu()?.total, cpu()?.claimed, cpu()?.allocated, cpu()?.available],
    [4, 2, undefined, undefined],
  );
  assert.ok(!("allocated" in (cpu() ?? {})), "it is left out");
  const states = () => ledger.capacity.devices.map(({ state }) => state);
  assert.deepEqual(states(), ["unknown", "unhealthy"]);
  assert.equal(ledger.capacity.complete, false);
  assert.match(ledger.capacity.incompleteReasons.join(), /has not listed the VMs yet/);

  ledger.setFootprints([seen({ ...small, holder: "vm-b" })], true);
  assert.deepEqual([cpu()?.allocated, cpu()?.available], [2, 0]);
  assert.deepEqual(states(), ["free", "unhealthy"]);
  assert.deepEqual([ledger.capacity.complete, ledger.capacity.incompleteReasons], [true, []]);

  ledger.setFootprints([seen({ ...small, holder: "vm-b" })], false);
  assert.deepEqual([cpu()?.allocated, cpu()?.available], [2, 0]);
  assert.equal(ledger.capacity.complete, false);
  assert.match(ledger.capacity.incompleteReasons.join(), /as it was seen last/);
});

test("a change is told once, and what changes nothing is not", () => {
  const { ledger, counted } = ledgerOf([cell(0)]);
  assert.equal(counted.changes, 1);
  ledger.setCells([cell(0, { pages: [], distances: [10] })]);
  ledger.setFootprints([], true);
  assert.equal(counted.changes, 1);
  ledger.claim(small);
  assert.equal(counted.changes, 2);
});

test("random claims, releases and listings never lose or double anything", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  const cells = [cell(0), cell(1), cell(2, { cpus: [8] }), cell(3, { memoryBytes: 8 * GIB })];
  const { ledger } = ledgerOf(cells, { cpuOvercommitRatio: 2.5 });
  const claims = new Map<string, { claim: ReturnType<Ledger["claim"]>; request: ClaimRequest }>();
  let vms: ClaimRequest[] = [];
  for (let turn = 0; turn < 2000; turn += 1) {
    const request = {
      holder: `vm-${turn}`,
      vcpus: 1 + random(3),
      memoryBytes: (1 + random(2048)) * MIB,
      ...([{}, on(0), on(1), on(2), on(3)][random(5)] ?? {}),
    };
    const choice = random(4);
    const [first] = claims.values();
    if (choice <= 1) {
      try {
        claims.set(request.holder, { claim: ledger.claim(request), request });
      } catch (thrown) {
        assert.ok(thrown instanceof SocleError && thrown.reason === "NO_CAPACITY");
      }
    } else if (choice === 2 && first !== undefined) {
      vms = [...vms, first.request];
      ledger.setFootprints(
        vms.map((vm) => seen(vm)),
        true,
      );
      ledger.consume(first.claim);
      claims.delete(first.request.holder);
    } else if (first !== undefined) {
      ledger.release(first.claim);
      claims.delete(first.request.holder);
      vms = vms.slice(1);
      ledger.setFootprints(
        vms.map((vm) => seen(vm)),
        true,
      );
    }
    const wanted = [...vms, ...[...claims.values()].map((held) => held.request)];
    const sum = (pick: (vm: ClaimRequest) => number) => wanted.reduce((total, vm) => total + pick(vm), 0);
    const held = (resource: string) =>
      ledger.capacity.cells
        .map(({ id }) => row(ledger, id, resource))
        .reduce((total, { allocated, claimed }) => total + allocated + claimed, 0);
    assert.equal(
      held("cpu"),
      sum((vm) => vm.vcpus),
    );
    assert.equal(
      held("memory"),
      sum((vm) => vm.memoryBytes + qemuOverheadBytes(vm)),
    );
  }
});

test("a ledger that saw VMs come, change and go one by one counts what one that sees them all at once counts", () => {
  let seed = 11;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const cells = [
    cell(0, { cpus: [0, 1, 2, 3], pages: [{ sizeBytes: 2 * MIB, total: 4096 }] }),
    cell(1, { cpus: [4, 5, 6, 7] }),
  ];
  const devices = ["0000:00:00.0", "0000:01:00.0", "0000:02:00.0"].map((address, iommuGroup) => ({
    address,
    iommuGroup,
    group: [address],
    healthy: true,
  }));
  const pins: readonly (readonly (readonly number[])[])[] = [
    [],
    [[2], [3]],
    [[6, 7]],
    [
      [0, 1],
      [2, 6],
    ],
    [[5]],
  ];
  const make = (id: string): Footprint => ({
    id,
    vcpus: 1 + random(4),
    memoryBytes: (1 + random(2048)) * MIB,
    cells: [[], [0], [1], [0, 1]][random(4)] ?? [],
    ...(random(3) === 0 ? { hugepageBytes: 2 * MIB } : {}),
    vcpuPins: pins[random(pins.length)] ?? [],
    devices: random(3) === 0 ? [`0000:0${random(3)}:00.0`] : [],
    active: random(2) === 0,
  });
  const fresh = (): Ledger => {
    const { ledger } = ledgerOf(cells, { dedicatedCpus: [2, 3, 6, 7] });
    ledger.setDevices(devices);
    return ledger;
  };
  const followed = fresh();
  const vms = new Map<string, Footprint>();
  for (let turn = 0; turn < 500; turn += 1) {
    const id = `vm-${random(40)}`;
    if (random(3) === 0) vms.delete(id);
    else vms.set(id, make(id));
    followed.setFootprints([...vms.values()], true);
    if (turn % 50 === 0) followed.setCells(cells.map((each) => ({ ...each })));
    const atOnce = fresh();
    atOnce.setFootprints([...vms.values()], true);
    assert.deepEqual(followed.capacity, atOnce.capacity);
  }
});
