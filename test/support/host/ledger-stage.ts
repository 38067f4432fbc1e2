import assert from "node:assert/strict";
import type { NumaCell } from "../../../agent/host/host.ts";
import { Ledger } from "../../../agent/host/capacity/ledger.ts";
import type { ClaimRequest, Footprint } from "../../../agent/state/reservations/footprint.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { anywhere } from "../../../agent/contract/spec.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRecord } from "./fake-record.ts";

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
const policy = {
  reservedCpus: 0,
  reservedMemoryBytes: 0,
  cpuOvercommitRatio: 1,
  memoryOvercommitRatio: 1,
  dedicatedCpus: [] as readonly number[],
};

export function cell(id: number, parts: Partial<NumaCell> = {}): NumaCell {
  return { id, cpus: [0, 1, 2, 3], memoryBytes: 32 * GIB, pages: [], distances: [], ...parts };
}

export /** A ledger without cells, devices and VMs. */
function emptyLedger(changes: Partial<typeof policy> = {}) {
  const counted = { changes: 0 };
  const clock = new FakeClock();
  const record = new FakeRecord();
  const ledger = new Ledger({
    policy: { ...policy, ...changes },
    scheduling: () => record.scheduling,
    clock,
    changed: () => {
      counted.changes += 1;
    },
  });
  return { ledger, counted, clock, record };
}

export function ledgerOf(cells: readonly NumaCell[], changes: Partial<typeof policy> = {}) {
  const stage = emptyLedger(changes);
  stage.ledger.setFootprints([], true);
  stage.ledger.setCells(cells);
  return stage;
}

export function row(ledger: Ledger, cellId: number, resource: string) {
  const found = ledger.capacity.cells
    .find(({ id }) => id === cellId)
    ?.resources.find((candidate) => candidate.resource === resource);
  assert.ok(found !== undefined, `cell ${cellId} has no ${resource}`);
  const { allocated, available } = found;
  assert.ok(allocated !== undefined && available !== undefined, `${resource} of cell ${cellId} is unknown`);
  return { ...found, allocated, available };
}

export const small: ClaimRequest = { holder: "vm-a", vcpus: 2, memoryBytes: GIB };
export const on = (cell: number): Pick<ClaimRequest, "placementRequest"> => ({
  placementRequest: { ...anywhere, cellPolicy: "strict", cell },
});

export function seen({ holder, placementRequest, ...size }: ClaimRequest, active = true): Footprint {
  return {
    ...size,
    cells: placementRequest?.cell === undefined ? [] : [placementRequest.cell],
    id: holder,
    active,
  };
}

export function refusal(claim: () => unknown): SocleError {
  try {
    claim();
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError);
    return thrown;
  }
  assert.fail("the claim was accepted");
}
