import { randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import type { ServiceDependencies } from "../../../agent/api/services/dependencies.ts";
import { AuditLog } from "../../../agent/audit/index.ts";
import { systemClock as clock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { EventLog } from "../../../agent/state/events/event-log.ts";
import { anywhere } from "../../../agent/contract/spec.ts";
import { dayMs, started } from "../audit/log-of.ts";
import { folder } from "../state/folder.ts";
import { open, request } from "../state/operations-stage.ts";
import { FakeConsole, startApi, vm, type FakeHost } from "./harness.ts";
import { largeHost, largeSize } from "./large-host.ts";

export const kept = {
  operations: 50_000,
  vms: 1000,
  events: 50_000,
  reservations: 1000,
  auditEntries: 20_000,
  tenants: 1000,
  volumesPerPool: 50,
};

const inGroups = async (
  count: number,
  size: number,
  each: (at: number) => Promise<unknown>,
): Promise<void> => {
  for (let from = 0; from < count; from += size) {
    const group = Array.from({ length: Math.min(size, count - from) }, (_, at) => each(from + at));
    await Promise.all(group);
  }
};

/** As if a round had read the large host: in each pool the volumes of some VMs, and others. */
function listVolumes({ listings, ledger, now: { inventory } }: FakeHost): void {
  const { storagePools, networks } = inventory;
  const bytes = (pool: number) =>
    new Map(
      Array.from({ length: kept.volumesPerPool }, (_, at): [string, number] => [
        at % 2 === 0 ? `data-${at}.raw` : `socle-${randomUUID()}-disk-${pool}.qcow2`,
        2 ** 30,
      ]),
    );
  const volumes = new Map(
    storagePools.map(({ name }, at) => [name, { kind: "read", value: { bytes: bytes(at) } } as const]),
  );
  ledger.storage.see({
    pools: new Map(storagePools.map((pool) => [pool.name, pool])),
    volumes,
    startedAtMs: 0,
  });
  const details = storagePools.map(({ name, active, type }) => {
    const value = { type, active, accessible: true, autostart: true, ...noSizes };
    return { name, details: { kind: "read", value } as const };
  });
  listings.see(
    { pools: { kind: "read", value: details }, networks: { kind: "read", value: networks }, volumes },
    inventory,
    clock.now(),
  );
}

const noSizes = { capacityBytes: 0, allocatedBytes: 0, availableBytes: 0 };

/** The dependencies of the API's services, with as much in them as an agent keeps. */
export async function fullAgent(t: TestContext) {
  const api = await startApi(t);
  const operations = await open(await folder(t), {
    maxRetainedPerTenant: Infinity,
    maxRetained: 2 * kept.operations,
  });
  t.after(() => operations.drain(0));
  let doneId = "";
  await inGroups(kept.operations, 5000, async (at) => {
    const more = { vmId: `vm-${at % kept.vms}`, tenant: `tenant-${at % 20}`, caller: `caller-${at % 100}` };
    const { operation } = await operations.begin(request(`request-${at}`, more));
    await operations.settle(operation.id, { state: "succeeded" });
    doneId = operation.id;
  });

  const labels = Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`label-${at}`, "a value"]));
  for (let at = 0; at < kept.vms; at += 1)
    api.table.put(vm(`vm-${at}`, { labels, tenant: `tenant-${at % 20}` }));

  const events = await EventLog.open({
    directory: await folder(t),
    maxEvents: kept.events,
    agentEpoch: 7,
    clock,
    log: silentLog,
  });
  t.after(() => events.flush());
  for (let at = 1; at < kept.events; at += 1) events.append({ kind: "vm_state_changed", vmId: `vm-${at}` });
  events.append({ kind: "resync" });

  let reservationId = "";
  await inGroups(kept.reservations, 4, async (at) => {
    const room = {
      vcpus: 1,
      memoryBytes: 2 ** 20,
      accelerator: "tcg" as const,
      tenant: "",
      placementRequest: anywhere,
    };
    const by = { caller: "caller", fingerprint: "f" };
    const { id } = await api.dependencies.reservations.reserve(
      { requestId: `a-${at}`, ...by },
      () => room,
      3_600_000,
    );
    if (at > 0)
      await api.dependencies.reservations.release({ requestId: `b-${at}`, ...by }, id, {
        caller: "caller",
        mayAll: true,
      });
    else reservationId = id;
  });

  const audit = await AuditLog.open({
    directory: await folder(t),
    clock,
    log: silentLog,
    retentionMs: dayMs,
  });
  t.after(() => audit.close());
  await inGroups(kept.auditEntries, 5000, (at) => audit.record(started(`vm-${at}`)));

  const use = { vms: 2, vcpus: 4, memoryBytes: 2 ** 30, diskBytes: 2 ** 31 };
  const tenants = Array.from({ length: kept.tenants }, (_, at) => ({ tenant: `tenant-${at}`, use }));
  api.host.change(largeHost({ ...largeSize, devices: 1000 }));
  listVolumes(api.host);
  api.vms.openConsole = () => {
    const stream = new FakeConsole();
    stream.end();
    return Promise.resolve(stream);
  };
  const { host } = api;
  const dependencies: ServiceDependencies = {
    ...api.dependencies,
    operations,
    events,
    audit,
    host: {
      snapshot: () => host.snapshot(),
      subscribe: (signal) => host.subscribe(signal),
      usage: () => host.usage(),
      tenants: () => tenants,
      setScheduling: (state, reason) => host.setScheduling(state, reason),
      acknowledge: (condition) => host.acknowledge(condition),
      listings: host.listings,
      ledger: host.ledger,
    },
    trust: { ...api.dependencies.trust, enroll: () => Promise.resolve() },
  };
  return { api, dependencies, audit: api.audit, doneId, reservationId };
}
