import assert from "node:assert/strict";
import test from "node:test";
import { qemuOverheadBytes } from "../../../../agent/host/capacity/demand.ts";
import type { ClaimRequest } from "../../../../agent/state/reservations/footprint.ts";
import { unbound } from "../../../../agent/state/reservations/placement.ts";
import { anywhere } from "../../../../agent/contract/spec.ts";
import {
  MIB,
  GIB,
  cell,
  emptyLedger,
  ledgerOf,
  on,
  refusal,
  row,
  small,
} from "../../../support/host/ledger-stage.ts";

test("available = (total - reserved) x ratio, and the reserve is spread by size", () => {
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

test("memory in huge pages counts once, as huge pages, and is never overcommitted", () => {
  const pages = [
    { sizeBytes: 2 * MIB, total: 1024, free: 0 },
    { sizeBytes: GIB, total: 4 },
  ];
  const { ledger } = ledgerOf([cell(0, { pages })], { memoryOvercommitRatio: 2 });
  assert.equal(row(ledger, 0, "memory").total, 26 * GIB);
  assert.equal(row(ledger, 0, "memory").available, 52 * GIB);
  assert.equal(row(ledger, 0, "memory_2m").available, 2 * GIB);
  ledger.claim({ ...small, memoryBytes: 3 * GIB, placementRequest: { ...anywhere, pageSizeBytes: GIB } });
  assert.equal(row(ledger, 0, "memory_1g").available, GIB);
  assert.equal(row(ledger, 0, "memory").claimed, qemuOverheadBytes({ ...small, hugepageBytes: GIB }));
});

test("a claim that does not fit is refused with the resource and its free amount", () => {
  const { ledger } = ledgerOf([cell(0), cell(1)]);
  ledger.claim({ ...small, vcpus: 3, ...on(1) });
  const refused = refusal(() => ledger.claim({ ...small, holder: "vm-b", vcpus: 2, ...on(1) }));
  assert.deepEqual([refused.kind, refused.reason], ["exhausted", "NO_CAPACITY"]);
  assert.equal(refused.details.metadata?.["dimension"], "cpu");
  assert.equal(refused.details.metadata["free_cpu"], "1");
  assert.equal(refused.details.metadata["cells"], "1");
  // It left nothing behind, and other cells have capacity.
  ledger.claim({ ...small, holder: "vm-b", vcpus: 4, ...on(0) });
});

test("QEMU's bitmaps of the memory that a guest can be given count, and that memory does not", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.claim({ ...small, maxMemoryBytes: 900 * GIB });
  const plain = small.memoryBytes + qemuOverheadBytes(small);
  assert.equal(row(ledger, 0, "memory").claimed, plain + (900 * GIB) / 8192);
});

test("a claim may take the last byte, and not one more", () => {
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

test("a release returns the whole claim, and a second one is harmless", () => {
  const { ledger } = ledgerOf([cell(0)]);
  const before = JSON.stringify(ledger.capacity.cells);
  const claim = ledger.claim(small);
  ledger.release(claim);
  ledger.release(claim);
  assert.equal(JSON.stringify(ledger.capacity.cells), before);
});

test("a VM whose disks do not fit gets no CPU either, and its release frees its disks too", () => {
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

test("a claim from before a restart counts once, also without capacity for it", () => {
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

test("a VM without a cell may use the capacity of several", () => {
  const { ledger } = ledgerOf([cell(0), cell(1)]);
  ledger.claim({ ...small, vcpus: 6 });
  assert.equal(row(ledger, 0, "cpu").available + row(ledger, 1, "cpu").available, 2);
  assert.equal(refusal(() => ledger.claim({ ...small, holder: "vm-b", vcpus: 3 })).reason, "NO_CAPACITY");
});

test("a claim that cannot be decided is refused with its cause", () => {
  const { ledger: empty } = emptyLedger();
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

test("a cordoned host refuses new VMs with its reason, and keeps existing claims", () => {
  const { ledger, record } = ledgerOf([cell(0)]);
  const reserved = ledger.claim(small);
  record.scheduling = { state: "cordoned", reason: "new fans" };
  const refused = refusal(() => ledger.claim({ ...small, holder: "vm-b" }));
  assert.equal(refused.reason, "HOST_CORDONED");
  assert.match(refused.message, /new fans/);
  ledger.reclaim({ ...small, vcpus: 1, holder: "vm-c", placement: unbound });
  ledger.transfer(reserved, "vm-d");
  assert.equal(row(ledger, 0, "cpu").claimed, 3);
});
