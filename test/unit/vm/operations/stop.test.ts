import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import type { Step } from "../../../../agent/state/operations/operations.ts";
import type { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { stopVm } from "../../../../agent/vm/operations/stop.ts";
import type { Standing, Stamps } from "../../../../agent/vm/hypervisor/stamps.ts";
import type { Cut, StopEscalation } from "../../../../agent/vm/operations/stop-escalation.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { VmState } from "../../../../agent/vm/model/vm.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import type { RunContext, WorkRun } from "../../../../agent/vm/operations/work.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { steps } from "../../../support/vm/steps.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const OPERATION = "01J000000000000000000000AB";
const marked: Standing = {
  isManaged: true,
  live: { operation: OPERATION, phase: "run" },
  runNumber: 7,
};
/** Another client started it again: the mark of this operation is gone with the run. */
const another: Standing = { isManaged: true, runNumber: 8 };

const uncut: Cut = { signal: new AbortController().signal, isWanted: () => false };

/** Stops a VM: libvirt reports `standing` after the request, while the table shows `seen`. */
async function stop(
  { seen, standing, force }: { seen: VmState; standing: Standing; force: boolean },
  graceMs = 1000,
  { cut = uncut, step = steps() }: { cut?: Cut; step?: Step } = {},
): Promise<{ outcome: unknown; destroyed: number; requested: number }> {
  let destroyed = 0;
  let requested = 0;
  const table = new VmTable();
  const show = (state: VmState): void => {
    const facts = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
    const plain = { tenant: "", labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
    table.put(withEtag({ ...facts, ...plain, id: ID, name: "web", state, vcpus: 1, memoryBytes: 1 }));
  };
  show(seen);
  let isOff = false;
  const state = () => Promise.resolve({ state: isOff ? "stopped" : "running", stateReason: "" } as const);
  const stamps: Pick<Stamps, "runNumber" | "mark" | "complete" | "standing"> = {
    runNumber: () => Promise.resolve(7),
    mark: () => Promise.resolve(),
    complete: () => Promise.resolve(),
    standing: () => Promise.resolve(standing),
  };
  const domains: Pick<Domains, "state" | "steadyState" | "shutdown" | "destroy"> & { stamps: typeof stamps } =
    {
      state,
      steadyState: state,
      shutdown: () => {
        requested += 1;
        return Promise.resolve();
      },
      destroy: () => {
        destroyed += 1;
        isOff = true;
        show("stopped");
        return Promise.resolve();
      },
      stamps,
    };
  const escalation: Pick<StopEscalation, "during"> = { during: (_vm, _caller, stop) => stop(cut) };
  const context = {
    domains,
    table,
    clock: sleepingClock(),
    log: silentLog,
    escalation,
  } as unknown as RunContext;
  const run: WorkRun = {
    operationId: OPERATION,
    vmId: ID,
    caller: "caller",
    instance: "i",
    createdAtMs: 0,
    step,
    signal: new AbortController().signal,
    hasEnded: () => false,
    resumed: false,
    done: new Set(),
  };
  const intent = { gracefulTimeoutMs: graceMs, force };
  const outcome = await stopVm.run(context, intent, run).catch((thrown: unknown) => thrown);
  return { outcome, destroyed, requested };
}

test("a table behind libvirt does not end a stop: the guest that still runs is stopped by force only", async () => {
  const patient = await stop({ seen: "stopped", standing: marked, force: false });
  assert.equal((patient.outcome as { reason?: string }).reason, "GUEST_DID_NOT_STOP");
  assert.equal(patient.destroyed, 0);
  const forced = await stop({ seen: "stopped", standing: marked, force: true });
  assert.deepEqual(forced.outcome, { state: "stopped", stopped_by: "force" });
  assert.equal(forced.destroyed, 1);
});

test("a guest gets one shutdown request in ten seconds, also while the table is behind libvirt", async () => {
  const { requested } = await stop({ seen: "stopped", standing: marked, force: true }, 25_000);
  assert.equal(requested, 3);
});

test("a guest that stopped during the wait and was started by another client keeps running", async () => {
  for (const seen of ["running", "stopped"] as const) {
    const { outcome, destroyed } = await stop({ seen, standing: another, force: true });
    assert.equal((outcome as { state?: string }).state, "stopped", seen);
    assert.equal(destroyed, 0, seen);
  }
});

test("a stop that was cut short destroys the guest while the forced stop is wanted, and reports its wait", async () => {
  for (const isWanted of [true, false]) {
    const cut = { signal: AbortSignal.abort(), isWanted: () => isWanted };
    const guest = { seen: "running", standing: marked, force: false } as const;
    const { outcome, destroyed } = await stop(guest, 60_000, { cut });
    assert.equal(destroyed, isWanted ? 1 : 0);
    if (!isWanted) assert.match((outcome as Error).message, /did not stop within 10 s/);
  }
});

test("a stop that may not go on sends no second shutdown request", async () => {
  let looks = 0;
  const requireOpen = (): void => {
    if ((looks += 1) > 2) throw new SocleError("outcome_unknown", "HYPERVISOR_IN_USE", "another agent");
  };
  const guest = { seen: "running", standing: marked, force: true } as const;
  const { outcome, requested, destroyed } = await stop(guest, 600_000, {
    step: Object.assign(steps(), { requireOpen }),
  });
  assert.deepEqual([requested, destroyed], [2, 0]);
  assert.equal((outcome as SocleError).reason, "HYPERVISOR_IN_USE");
});
