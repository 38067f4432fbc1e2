import assert from "node:assert/strict";
import test from "node:test";
import type { Footprint } from "../../../../agent/state/reservations/footprint.ts";
import { unbound } from "../../../../agent/state/reservations/placement.ts";
import {
  cell,
  emptyLedger,
  ledgerOf,
  on,
  refusal,
  row,
  seen,
  small,
} from "../../../support/host/ledger-stage.ts";

test("a VM counts once at every step from claim to observation, in either order", () => {
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

test("a created VM counts before it is observed, until a minute of complete listings without it", () => {
  const { ledger, clock } = ledgerOf([cell(0)]);
  const claim = ledger.claim(small);
  ledger.consume(claim);
  const noVms: Footprint[] = [];
  ledger.setFootprints(noVms, true);
  assert.equal(row(ledger, 0, "cpu").claimed, 2);
  clock.advance(59_999);
  ledger.setFootprints([], false);
  ledger.setFootprints(noVms, true);
  assert.equal(row(ledger, 0, "cpu").claimed, 2);
  // The same list again: only the time differs.
  clock.advance(1);
  ledger.setFootprints(noVms, true);
  assert.equal(row(ledger, 0, "cpu").claimed, 0);
});

test("a claim survives a listing that does not have its VM yet", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.claim(small);
  ledger.setFootprints([], true);
  assert.equal(row(ledger, 0, "cpu").claimed, 2);
});

test("stopped and unmanaged VMs count too; overcommitted capacity is negative", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.setFootprints(
    [seen({ ...small, vcpus: 3 }, false), seen({ ...small, holder: "other", vcpus: 3 })],
    true,
  );
  assert.equal(row(ledger, 0, "cpu").available, -2);
  assert.equal(refusal(() => ledger.claim({ ...small, holder: "vm-b", vcpus: 1 })).reason, "NO_CAPACITY");
});

test("pinned VMs count on their cell; the others fill the remaining capacity, in any order", () => {
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

test("a VM on a cell that the machine lacks counts too", () => {
  const { ledger } = ledgerOf([cell(0)]);
  ledger.setFootprints([seen({ ...small, ...on(7) })], true);
  assert.equal(row(ledger, 0, "cpu").allocated, 2);
});

test("claims of VMs are unknown before the first listing, and stay as last seen while libvirt is unavailable", () => {
  const { ledger } = emptyLedger();
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
  assert.ok(!("allocated" in (cpu() ?? {})), "the field is absent");
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
  assert.match(ledger.capacity.incompleteReasons.join(), /as last seen/);
});

test("a change is published once, and an update without a change is not", () => {
  const { ledger, counted } = ledgerOf([cell(0)]);
  assert.equal(counted.changes, 1);
  ledger.setCells([cell(0, { pages: [], distances: [10] })]);
  ledger.setFootprints([], true);
  assert.equal(counted.changes, 1);
  ledger.claim(small);
  assert.equal(counted.changes, 2);
});
