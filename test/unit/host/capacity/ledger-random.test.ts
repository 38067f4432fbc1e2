import assert from "node:assert/strict";
import test from "node:test";
import { qemuOverheadBytes } from "../../../../agent/host/capacity/demand.ts";
import type { Ledger } from "../../../../agent/host/capacity/ledger.ts";
import type { ClaimRequest, Footprint } from "../../../../agent/state/reservations/footprint.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { MIB, GIB, cell, ledgerOf, on, row, seen } from "../../../support/host/ledger-stage.ts";

test("random claims, releases and listings never lose or double count capacity", () => {
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

test("a ledger that observes VMs one by one counts the same as one that lists them at once", () => {
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
