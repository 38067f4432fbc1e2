import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { TenantPermissions } from "../../../../agent/vm/model/tenant-policy.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { discardSavedState } from "../../../../agent/vm/operations/discard-saved-state.ts";
import { suspendVm } from "../../../../agent/vm/operations/suspend.ts";
import { admission } from "../../../support/vm/admission-stage.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";

function vmOf(spec: Record<string, unknown> = {}, changes: Partial<Vm> = {}): Vm {
  const disks = [{ name: "root", source: { kind: "new", pool: "images", capacityBytes: 2 ** 20 } }];
  const whole = { name: "web", id: ID, tenant: "acme", vcpus: 1, memoryBytes: 2 ** 30, disks, ...spec };
  return withEtag({
    ...{ id: ID, name: "web", presence: "present", observedAtMs: 1, state: "running", stateReason: "" },
    ...{ managed: true, vcpus: 1, memoryBytes: 2 ** 30, cells: [], labels: {}, placementEpoch: 0 },
    ...{ tenant: "acme", spec: checkSpec(whole, { bridges: [], allowSpoofing: false }), disks: [], nics: [] },
    ...changes,
  });
}

const provider = "spiffe://cloud.example/scheduler/s";
const tenant = `${provider}/tenant/acme`;

async function asked(
  t: TestContext,
  vm: Vm,
  { caller = provider, permissions = {} }: { caller?: string; permissions?: Partial<TenantPermissions> } = {},
): Promise<string> {
  const { vms, table } = await admission(t, { permissions });
  table.put(vm);
  try {
    await vms.begin("SUSPEND_VM", { requestId: "r", vm: ID }, caller);
    return "begun";
  } catch (thrown) {
    const { kind, reason } = toSocleError(thrown);
    return `${kind} ${reason}`;
  }
}

test("memory that holds keys, and the state of host devices, are never saved", async (t) => {
  const encrypted = {
    name: "root",
    source: { kind: "new", pool: "images", capacityBytes: 2 ** 20, encryption: "luks" },
  };
  const refused = "conflict SAVED_STATE_NOT_ENCRYPTED";
  assert.equal(await asked(t, vmOf({ disks: [encrypted] })), refused);
  assert.equal(await asked(t, vmOf({ tpm: true })), refused);
  assert.equal(await asked(t, vmOf({ firmware: "uefi", launchSecurity: "sev" })), refused);
  assert.equal(await asked(t, vmOf({}, { devices: ["0000:3b:00.0"] })), "conflict VM_HAS_HOST_DEVICES");
  assert.equal(await asked(t, vmOf()), "begun");
});

test("a tenant's callers fill the host's disk with saved memory only with permission", async (t) => {
  assert.equal(await asked(t, vmOf(), { caller: tenant }), "denied SUSPEND_NOT_ALLOWED");
  assert.equal(await asked(t, vmOf(), { caller: tenant, permissions: { suspend: true } }), "begun");
});

/** Runs an operation that an earlier run of the agent may have begun. */
async function resumed(
  definition: typeof suspendVm | typeof discardSavedState,
  answers: Readonly<Record<string, readonly unknown[]>>,
) {
  const { calls, called } = answering({ DOMAIN_GET_PERF_EVENTS: [{}], ...answers });
  const context = workContext(calls, sleepingClock(), new VmTable());
  const run = {
    operationId: "0193a0c0-0000-7000-8000-000000000001",
    ...{ vmId: ID, caller: "caller", instance: undefined, createdAtMs: 0 },
    ...{ step: steps(), signal: new AbortController().signal, hasEnded: () => false },
    ...{ resumed: true, done: new Set<string>() },
  };
  const end = await definition
    .run(
      { ...context, table: Object.assign(context.table, { until: () => Promise.resolve(undefined) }) },
      {},
      run,
    )
    .catch((thrown: unknown) => toSocleError(thrown));
  return { end, called };
}

const off = [{ state: 5, reason: 6 }];
const running = [{ state: 1, reason: 1 }];
const saving = [{ state: 3, reason: 3 }];
const partial = new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "save image is incomplete");

test("an interrupted suspension succeeds by its whole image alone", async () => {
  const whole = {
    DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: true }],
    DOMAIN_MANAGED_SAVE_GET_XML_DESC: [{ xml: "" }],
  };
  const { end, called } = await resumed(suspendVm, { DOMAIN_GET_STATE: off, ...whole });
  assert.deepEqual(end, { state: "stopped", was: "stopped" });
  assert.ok(!called.includes("DOMAIN_MANAGED_SAVE"));
  for (const state of [off, running]) {
    const { end: failed, called: then } = await resumed(suspendVm, {
      DOMAIN_GET_STATE: state,
      DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: true }],
      DOMAIN_MANAGED_SAVE_GET_XML_DESC: [partial],
      DOMAIN_MANAGED_SAVE_REMOVE: [{}],
    });
    assert.equal(failed instanceof SocleError && failed.reason, "INTERRUPTED");
    assert.ok(then.includes("DOMAIN_MANAGED_SAVE_REMOVE"), "a part of the memory must not stay");
  }
});

test("an interrupted suspension stays open, and its image untouched, while libvirt saves", async () => {
  const { end, called } = await resumed(suspendVm, {
    DOMAIN_GET_STATE: saving,
    DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: true }],
    DOMAIN_MANAGED_SAVE_GET_XML_DESC: [partial],
  });
  assert.equal(end instanceof SocleError && end.kind, "outcome_unknown");
  assert.ok(!called.includes("DOMAIN_MANAGED_SAVE_REMOVE"));
});

test("a saved state is never discarded under a VM that runs", async () => {
  const { end, called } = await resumed(discardSavedState, {
    DOMAIN_GET_STATE: running,
    DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: true }],
  });
  assert.equal(end instanceof SocleError && end.reason, "VM_STATE_CONFLICT");
  assert.ok(!called.includes("DOMAIN_MANAGED_SAVE_REMOVE"));
});

test("the disks of a saved VM are not changed under its memory", async (t) => {
  const { vms, table } = await admission(t);
  table.put(vmOf({}, { state: "stopped", savedState: true }));
  const request = { requestId: "r", vm: ID, disk: "root", validateOnly: false, deleteVolume: true };
  await assert.rejects(vms.begin("DETACH_DISK", request, provider), {
    kind: "conflict",
    reason: "VM_HAS_SAVED_STATE",
    message: /discard-saved-state web/,
  });
});
