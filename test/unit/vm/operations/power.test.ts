import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { startVm } from "../../../../agent/vm/operations/start.ts";
import { graceOf } from "../../../../agent/vm/operations/stop.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { VmStats } from "../../../../agent/vm/model/vm.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import type { Image } from "../../../../agent/vm/storage/volume-guard.ts";
import { withAdvice } from "../../../../agent/vm/operations/work.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const spec = checkSpec(
  {
    name: "web",
    id: ID,
    vcpus: 1,
    memoryBytes: 2 ** 25,
    kernelBoot: { kernel: { pool: "images", volume: "kernel.img" } },
    disks: [
      { name: "root", source: { kind: "new", pool: "images", baseVolume: "base.qcow2" } },
      { name: "data", source: { kind: "volume", volume: { pool: "images", volume: "data.qcow2" } } },
    ],
  },
  { bridges: [], allowSpoofing: false },
);
const step = steps();
const off = {
  DOMAIN_GET_STATE: [{ state: 5, reason: 1 }],
  DOMAIN_CREATE_WITH_FLAGS: [{}],
  DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: false }],
  STORAGE_POOL_LOOKUP_BY_NAME: [{ pool: { name: "images" } }],
  STORAGE_POOL_IS_ACTIVE: [{ active: true }],
  STORAGE_VOL_GET_XML_DESC: [
    { xml: "<volume><name>x</name><capacity>1</capacity><target><path>/images/x</path></target></volume>" },
  ],
};

/** Starts a VM that is off, with a guard that checks its volumes by `check`. */
async function start(
  check: (name: string, base: string | undefined) => Promise<void>,
  { answers = off, isLate = false } = {},
): Promise<{ started: number; outcome: unknown }> {
  const { calls, called } = answering(answers);
  const clock = {
    ...sleepingClock(),
    // Time passes only where the storage is silent.
    sleep: (_ms: number, signal?: AbortSignal) =>
      isLate
        ? Promise.resolve()
        : new Promise<void>((_, reject) =>
            signal?.addEventListener("abort", () => reject(new Error("aborted"))),
          ),
  };
  const guard = {
    check: async (_pool: unknown, { name }: Image, own: readonly string[] = []) => {
      await check(name, own[0]);
      return [];
    },
  };
  const table = new VmTable();
  const seen = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
  const plain = { tenant: "", labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
  table.put(
    withEtag({ ...seen, ...plain, id: ID, name: "web", state: "running", vcpus: 1, memoryBytes: 1, spec }),
  );
  const context = workContext(calls, clock, table, { guard });
  const { signal } = new AbortController();
  const run = {
    operationId: "0193a0c0-0000-7000-8000-000000000001",
    vmId: ID,
    caller: "caller",
    instance: undefined,
    createdAtMs: 0,
    step,
    signal,
    hasEnded: () => false,
    resumed: false,
    done: new Set<string>(),
  };
  const outcome = await startVm.run(context, { placementEpoch: 0 }, run).catch((thrown: unknown) => thrown);
  return { outcome, started: called.filter((name) => name === "DOMAIN_CREATE_WITH_FLAGS").length };
}

test("a start checks each volume of the spec, and those created for the VM with their bases", async () => {
  const checked: [string, string | undefined][] = [];
  const { started } = await start((name, base) => Promise.resolve(void checked.push([name, base])));
  assert.equal(started, 1);
  assert.deepEqual(checked, [
    ["kernel.img", undefined],
    [`socle-${ID}-root.qcow2`, "base.qcow2"],
    ["data.qcow2", undefined],
  ]);
});

test("a volume replaced while its VM was off prevents the start", async () => {
  for (const bad of ["kernel.img", `socle-${ID}-root.qcow2`, "data.qcow2"]) {
    const refusal = new SocleError("denied", "BACKING_OUTSIDE_POOL", "it is an overlay of /etc/shadow");
    const { started, outcome } = await start((name) =>
      name === bad ? Promise.reject(refusal) : Promise.resolve(),
    );
    assert.equal(outcome, refusal);
    assert.equal(started, 0);
  }
});

test("storage that does not answer prevents the start, with a deadline and a reason", async () => {
  const unseen = { kind: "unavailable", reason: "STORAGE_UNRESPONSIVE" };
  const hung = await start(() => new Promise(() => undefined), { isLate: true });
  const silence = new SocleError("timeout", "LIBVIRT_TIMEOUT", "libvirt did not answer");
  const silent = await start(() => Promise.reject(silence));
  for (const { started, outcome } of [hung, silent]) {
    assert.equal(started, 0);
    assert.ok(outcome instanceof SocleError);
    assert.deepEqual({ kind: outcome.kind, reason: outcome.reason }, unseen);
    assert.match(outcome.message, /VM web could not be checked.*start it again/);
  }
});

test("a forced stop gives an unresponsive guest 10 seconds, and never more than its grace", () => {
  const stats = (unresponsive: boolean): VmStats => ({
    ...{ sampledAtMs: 0, sampledAtMonotonicMs: 0, vcpus: [], nics: [], disks: [] },
    unresponsive,
  });
  assert.equal(graceOf({ state: "running", stats: stats(false) }, 90_000), 90_000);
  assert.equal(graceOf({ state: "running", stats: stats(true) }, 90_000), 10_000);
  assert.equal(graceOf({ state: "paused" }, 90_000), 10_000);
  assert.equal(graceOf({ state: "paused" }, 0), 0);
});

test("an unavailable libvirt is reported with a remedy, and other refusals as they are", () => {
  const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "the connection to /run/x failed", {
    details: { retryAfterMs: 1000 },
  });
  const advised = withAdvice(away);
  assert.equal(`${advised.kind} ${advised.reason}`, "unavailable LIBVIRT_DISCONNECTED");
  assert.match(
    advised.message,
    /^libvirt is not answering, .*; retry \(the connection to \/run\/x failed\)$/,
  );
  assert.equal(advised.details.retryAfterMs, 1000);
  const held = new SocleError(
    "timeout",
    "LIBVIRT_OPERATION_TIMEOUT",
    "cannot lock (held by monitor=init-web)",
  );
  const freed = withAdvice(held);
  assert.equal(`${freed.kind} ${freed.reason}`, "timeout LIBVIRT_OPERATION_TIMEOUT");
  assert.match(freed.message, /\(held by monitor=init-web\): .* restart libvirtd while the VM is off/);
  const other = new SocleError("unavailable", "POOL_INACTIVE", "start it");
  assert.equal(withAdvice(other), other);
});
