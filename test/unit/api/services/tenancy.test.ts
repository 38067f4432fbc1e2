// Callers of one tenant: what they see, and what they can do to others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { forCaller } from "../../../../agent/api/services/tenancy.ts";
import type { ServiceDependencies } from "../../../../agent/api/services/dependencies.ts";
import type { Caller } from "../../../../agent/api/auth/identity.ts";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { operationKinds } from "../../../../agent/vm/operations/registry.ts";
import { startApi, vm } from "../../../support/api/harness.ts";

const caller: Caller = {
  name: "spiffe://cloud.example/scheduler/s/tenant/acme",
  role: "scheduler",
  tenant: "acme",
};
const ownId = "11111111-1111-4111-8111-111111111111";
const otherId = "22222222-2222-4222-8222-222222222222";

test("a tenant sees its own VMs and operations, and reaches no others", async (t) => {
  const { table, operations, vms, requests, events, host, position } = await startApi(t);
  const dependencies = {
    vmView: table,
    vms,
    operations,
    events,
    host,
    position: () => position,
  } as unknown as ServiceDependencies;
  const acme = forCaller(dependencies)(caller);
  const put = (id: string, change: Partial<Vm>): void => table.put({ ...vm(id, change), name: `name-${id}` });
  put(ownId, { tenant: "acme" });
  put(otherId, { tenant: "evil" });
  put("33333333-3333-4333-8333-333333333333", { managed: false, tenant: "" });

  assert.deepEqual(
    acme.vmView.all().map(({ id }) => id),
    [ownId],
  );
  assert.equal(acme.vmView.get(`name-${otherId}`), undefined);
  const reasonOf = async (act: () => unknown): Promise<string> => {
    try {
      await act();
      return "done";
    } catch (thrown) {
      return (thrown as SocleError).reason;
    }
  };
  const others = { requestId: "r", vm: otherId, placementEpoch: 0, force: true, keepDisks: false };
  const kinds = operationKinds.filter((kind) => kind !== "CREATE_VM");
  for (const kind of kinds) {
    assert.equal(await reasonOf(() => acme.vms.begin(kind, others, caller.name)), "VM_NOT_FOUND", kind);
  }
  const signal = new AbortController().signal;
  assert.equal(await reasonOf(() => acme.vms.openConsole(otherId, { force: true }, signal)), "VM_NOT_FOUND");
  assert.equal(await reasonOf(() => acme.vms.guest(otherId)), "VM_NOT_FOUND");
  assert.equal(requests.length, 0);

  const create = (spec: Record<string, unknown>, requestId: string) =>
    acme.vms.create(
      { requestId, spec, leaveStopped: false, validateOnly: false, placementEpoch: 0 },
      caller.name,
    );
  assert.equal(await reasonOf(() => create({ name: "x", tenant: "evil" }, "a")), "TENANT_DENIED");
  assert.equal(await reasonOf(() => create({ name: "y" }, "d")), "done");
  const made = requests.at(-1)?.[1] as { spec: { tenant: string }; tenantOnly?: boolean } | undefined;
  assert.deepEqual([made?.spec.tenant, made?.tenantOnly], ["acme", true]);

  const intent = {};
  const others1 = await operations.begin({
    requestId: "o",
    caller: "boss",
    kind: "STOP_VM",
    vmId: otherId,
    tenant: "other",
    fingerprint: "f",
    intent,
  });
  const mine = await operations.begin({
    requestId: "m",
    caller: "boss",
    kind: "STOP_VM",
    vmId: ownId,
    tenant: "acme",
    fingerprint: "f",
    intent,
  });
  assert.equal(await reasonOf(() => acme.operations.get(others1.operation.id)), "OPERATION_NOT_FOUND");
  assert.equal(
    await reasonOf(() => acme.operations.cancel(others1.operation.id, "me")),
    "OPERATION_NOT_FOUND",
  );
  assert.equal(acme.operations.get(mine.operation.id).id, mine.operation.id);
  const listed = acme.operations.list({ onlyRunning: false, limit: 10 });
  assert.ok(listed.some(({ id }) => id === mine.operation.id));
  assert.ok(!listed.some(({ id }) => id === others1.operation.id));
});

test("a tenant cancels the operations of its own callers, and not the provider's on its VM", async (t) => {
  const { table, operations, vms } = await startApi(t);
  const acme = forCaller({ vmView: table, vms, operations })(caller);
  table.put({ ...vm(ownId, { tenant: "acme" }), name: "own" });
  let count = 0;
  const runs = async (by: string): Promise<string> => {
    count += 1;
    const { operation } = await operations.begin({
      ...{
        requestId: `r${count}`,
        caller: by,
        kind: "STOP_VM",
        vmId: ownId,
        fingerprint: "f",
        intent: {},
      },
    });
    operations.run(
      operation,
      (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("cancelled")), { once: true });
        }),
    );
    return operation.id;
  };
  for (const provider of [
    "unix:operator",
    "spiffe://cloud.example/scheduler/s",
    "spiffe://cloud.example/scheduler/s/tenant/evil",
  ]) {
    const id = await runs(provider);
    assert.equal(acme.operations.get(id).id, id, "it is visible");
    assert.throws(() => acme.operations.cancel(id, caller.name), {
      kind: "denied",
      reason: "OPERATION_DENIED",
    });
    assert.equal(operations.get(id).cancelledBy, undefined);
    operations.cancel(id, "unix:operator");
  }
  for (const own of [caller.name, "spiffe://cloud.example/operator/o/tenant/acme"])
    assert.equal(acme.operations.cancel(await runs(own), caller.name).cancelledBy, caller.name);
});

test("a VM with an unreadable spec belongs to no tenant, and the tenant that it names learns why", async (t) => {
  const { table, operations, vms, requests } = await startApi(t);
  const servicesOf = (tenant: string) => forCaller({ vmView: table, vms, operations })({ ...caller, tenant });
  const unreadable = { unreadable: "spec: spec.disks[0] is not valid", tenant: "" } as const;
  table.put(vm(ownId, { ...unreadable, claimedTenant: "acme" }));
  table.put(vm(otherId, unreadable));
  const [acme, evil] = [servicesOf("acme"), servicesOf("evil")];
  for (const { vmView } of [acme, evil]) assert.deepEqual(vmView.all(), []);
  // The second may belong to any tenant.
  assert.deepEqual([acme.vmView.specUnreadable, evil.vmView.specUnreadable, table.specUnreadable], [2, 1, 2]);
  assert.deepEqual(
    [acme, evil].map(({ vmView }) => [ownId, otherId].map((id) => vmView.hidden?.(id)?.id)),
    [
      [ownId, undefined],
      [undefined, undefined],
    ],
  );
  const stop = { requestId: "r", vm: ownId, force: true };
  await assert.rejects(acme.vms.begin("STOP_VM", stop, caller.name), { reason: "SPEC_UNREADABLE" });
  await assert.rejects(evil.vms.begin("STOP_VM", stop, caller.name), { reason: "VM_NOT_FOUND" });
  assert.equal(requests.length, 0);
});
