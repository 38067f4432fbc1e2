import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { ServiceDependencies } from "../../../../agent/api/services/dependencies.ts";
import type { Caller } from "../../../../agent/api/auth/identity.ts";
import { forCaller } from "../../../../agent/api/services/tenancy.ts";
import { watchVms } from "../../../../agent/api/services/vm-watch.ts";
import type { WatchVmsResponse } from "../../../../agent/gen/socle/v1/WatchVmsResponse.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { startApi, vm } from "../../../support/api/harness.ts";

const acme: Caller = {
  name: "spiffe://cloud.example/scheduler/s/tenant/acme",
  role: "scheduler",
  tenant: "acme",
};
const operator: Caller = { name: "unix:0", role: "operator" };
const spoiled: Partial<Vm> = { tenant: "", unreadable: "spec: it is not JSON" };

interface Watcher {
  readonly table: Awaited<ReturnType<typeof startApi>>["table"];
  /** Runs `change`, then takes that many messages. */
  readonly after: (change: () => void, count: number) => Promise<string[]>;
}

async function watch(
  t: TestContext,
  caller: Caller,
  matches: (vm: Vm) => boolean = () => true,
  mayMatch: (vm: Vm) => boolean = () => true,
): Promise<Watcher> {
  const { table } = await startApi(t);
  const end = new AbortController();
  t.after(() => end.abort());
  const { vmView } = forCaller({ vmView: table } as unknown as ServiceDependencies)(caller);
  const messages = watchVms(vmView, { matches, mayMatch }, end.signal);
  return {
    table,
    async after(change, count) {
      change();
      const shown: string[] = [];
      while (shown.length < count) {
        const next = await messages.next();
        if (next.done === true) break;
        shown.push(inWords(next.value));
      }
      return shown;
    },
  };
}

const inWords = ({ kind, vm: of, specUnreadable }: WatchVmsResponse): string =>
  [String(kind).slice("KIND_".length), of?.name?.replace("name-", ""), of?.tenant, specUnreadable]
    .filter((word) => word !== undefined)
    .join(" ");

for (const claimedTenant of ["acme", undefined])
  test(`a tenant's VM whose spec became unreadable is not sent as removed, with the tenant ${claimedTenant ?? "unknown"}`, async (t) => {
    const { table, after } = await watch(t, acme);
    const claim = claimedTenant === undefined ? {} : { claimedTenant };
    const spoil = (): void => table.put(vm("a", { ...spoiled, ...claim }));
    table.put(vm("a", { tenant: "acme" }));
    assert.deepEqual(await after(() => undefined, 2), ["ADDED a acme", "SYNCED 0"]);
    assert.deepEqual(await after(spoil, 1), ["UNREADABLE a"]);
    assert.deepEqual(await after(() => table.markUnknown(), 3), ["RESYNC", "UNREADABLE a", "SYNCED 1"]);
    const repair = (): void => table.put(vm("a", { tenant: "acme", labels: { repaired: "yes" } }));
    assert.deepEqual(await after(repair, 1), ["CHANGED a acme"]);
    assert.deepEqual(await after(spoil, 1), ["UNREADABLE a"]);
    assert.deepEqual(await after(() => table.remove("a"), 1), ["REMOVED a"]);
  });

test("a VM of another instance is not sent to a watcher of the one before", async (t) => {
  const { table, after } = await watch(t, acme);
  table.put(vm("a", { tenant: "acme", instance: "1" }));
  await after(() => undefined, 2);
  const other = vm("a", { ...spoiled, name: "secret", instance: "2" });
  assert.deepEqual(await after(() => table.put(other), 1), ["REMOVED a"]);
});

test("a VM that became another tenant's is sent as removed, without the other's data", async (t) => {
  const { table, after } = await watch(t, acme);
  table.put(vm("a", { tenant: "acme" }));
  table.put(vm("b", { tenant: "acme" }));
  await after(() => undefined, 3);
  assert.deepEqual(await after(() => table.put(vm("a", { tenant: "evil", name: "secret" })), 1), [
    "REMOVED a",
  ]);
  const claimed = vm("b", { ...spoiled, claimedTenant: "evil" });
  assert.deepEqual(await after(() => table.put(claimed), 1), ["REMOVED b"]);
});

test("a VM with an unreadable spec is sent as unreadable, since the filter cannot decide", async (t) => {
  const { table, after } = await watch(t, operator, ({ labels }) => labels["app"] === "web");
  table.put(vm("a", { labels: { app: "web" } }));
  table.put(vm("b", spoiled));
  assert.deepEqual(await after(() => undefined, 2), ["ADDED a ", "SYNCED 1"]);
  assert.deepEqual(await after(() => table.put(vm("a", { ...spoiled, labels: {} })), 1), ["UNREADABLE a"]);
  const other = vm("a", { labels: { app: "db" } });
  assert.deepEqual(await after(() => table.put(other), 1), ["REMOVED a "]);
});

test("a VM with an unreadable spec is removed when its known state does not match the filter", async (t) => {
  const isRunning = ({ state }: Vm): boolean => state === "running";
  const { table, after } = await watch(t, operator, isRunning, isRunning);
  table.put(vm("a"));
  await after(() => undefined, 2);
  assert.deepEqual(await after(() => table.put(vm("a", { ...spoiled, state: "stopped" })), 1), [
    "REMOVED a ",
  ]);
});

test("a VM's new address is sent as a change, once", async (t) => {
  const { table, after } = await watch(t, acme);
  const nic = { network: "front", mac: "52:54:00:00:00:01" };
  const lease = { ...nic, address: "192.0.2.7", prefixLength: 24 };
  await after(() => table.put(vm("a", { tenant: "acme", nics: [nic] })), 2);
  const taken = (): void => {
    table.putLeases([lease]);
    table.putLeases([lease]);
    table.put(vm("b", { tenant: "acme" }));
  };
  assert.deepEqual(await after(taken, 2), ["CHANGED a acme", "ADDED b acme"]);
});
