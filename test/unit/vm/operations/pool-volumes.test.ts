// Volumes that are created, enlarged and deleted beside VMs.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { imageKey, subjectOf } from "../../../../agent/state/operations/subject.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { createVolume } from "../../../../agent/vm/operations/create-volume.ts";
import { deleteVolume } from "../../../../agent/vm/operations/delete-volume.ts";
import { PoolVolumes, type CreateVolumeRequest } from "../../../../agent/vm/operations/pool-volumes.ts";
import { resizeVolume } from "../../../../agent/vm/operations/resize-volume.ts";
import { requireNoUsers } from "../../../../agent/vm/operations/volume-free.ts";
import { sourceDisk } from "../../../../agent/vm/operations/volume-source.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";
import type { Dependents } from "../../../../agent/vm/storage/overlay-search.ts";
import { noOtherNames } from "../../../../agent/vm/storage/storage-names.ts";
import type { Users } from "../../../../agent/vm/storage/volume-users.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { vm } from "../../../support/api/fakes.ts";
import { admission, GIB } from "../../../support/vm/admission-stage.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";
import { anyRawFiles } from "../../../support/vm/raw-files.ts";

const own = "socle-volume-acme+data.qcow2";

/** A pool with volumes of 4 GiB each. */
async function stage(t: TestContext, existing: readonly string[] = [], quotaBytes = 10 * GIB) {
  const admitted = await admission(t, { quota: { diskBytes: quotaBytes } });
  const looked: string[] = [];
  const volumes = {
    activePool: (name: string) => Promise.resolve({ name, uuid: "" }),
    isThere: ({ volume }: { volume: string }) => {
      looked.push(volume);
      return Promise.resolve(existing.includes(volume));
    },
    requireAbsent: () => Promise.resolve(),
    rawFiles: anyRawFiles,
    resolve: ({ volume }: { volume: string }) =>
      Promise.resolve({ path: `/p/${volume}`, format: "qcow2", capacityBytes: 4 * GIB, beneath: [] }),
  };
  const host = { storageRead: () => Promise.resolve() };
  const pools = new PoolVolumes({ vms: admitted.vms, volumes, host });
  let requests = 0;
  const create = (more: Partial<CreateVolumeRequest> = {}, caller = "scheduler") => {
    requests += 1;
    const request = { requestId: `r-${requests}`, pool: "images", name: "data", format: "qcow2" as const };
    return pools.create({ ...request, tenant: "acme", capacityBytes: 4 * GIB, ...more }, caller);
  };
  return { ...admitted, pools, create, looked };
}

const reasonOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );

test("a creation is of its volume, and a repeated request is one operation", async (t) => {
  const { create } = await stage(t);
  const first = await create();
  assert.deepEqual(subjectOf(first), { volume: `images/${own}` });
  assert.equal(first.tenant, "acme");
  assert.equal((await create({ requestId: first.requestId })).id, first.id);
  assert.equal(await reasonOf(create({ requestId: first.requestId, name: "x" })), "REQUEST_ID_REUSED");
});

test("volumes that are being created count in the quota, and a dry run holds nothing", async (t) => {
  const { create, ledger } = await stage(t);
  await create({ validateOnly: true, requestId: "dry" });
  assert.equal(ledger.tenantUse().get("acme"), undefined);
  await create();
  assert.equal(ledger.tenantUse().get("acme")?.diskBytes, 4 * GIB);
  await create({ name: "more" });
  assert.equal(await reasonOf(create({ name: "much" })), "TENANT_QUOTA_EXCEEDED");
  assert.equal(await reasonOf(create({ name: "other", tenant: "evil" })), "none");
});

test("a caller of one tenant changes its own volumes alone, and learns of no other", async (t) => {
  const { pools, looked } = await stage(t, ["socle-volume-evil+data.qcow2", "free.raw"]);
  for (const volume of ["socle-volume-evil+data.qcow2", "free.raw", "socle-volume-evil+none.raw"]) {
    const request = { requestId: "x", pool: "images", volume, onlyTenant: "acme" };
    assert.equal(await reasonOf(pools.delete({ ...request, erase: false }, "c")), "VOLUME_NOT_FOUND");
    assert.equal(await reasonOf(pools.resize({ ...request, capacityBytes: GIB }, "c")), "VOLUME_NOT_FOUND");
  }
  assert.deepEqual(looked, []);
});

test("a volume is not made smaller, and its growth alone counts", async (t) => {
  const { pools, create, ledger } = await stage(t, [own], 9 * GIB);
  await create();
  const resize = (capacityBytes: number, requestId: string) =>
    pools.resize({ requestId, pool: "images", volume: own, capacityBytes }, "c");
  assert.equal(await reasonOf(resize(2 * GIB, "a")), "CAPACITY_TOO_SMALL");
  assert.equal(await reasonOf(resize(10 * GIB, "b")), "TENANT_QUOTA_EXCEEDED");
  assert.equal(await reasonOf(resize(9 * GIB, "c")), "none");
  assert.equal(ledger.tenantUse().get("acme")?.diskBytes, 9 * GIB);
});

test("a tenant has a bounded number of volumes", async (t) => {
  const { create, ledger } = await stage(t);
  const seen = { active: true, presence: "present", observedAtMs: 1, capacityBytes: 1000 * GIB } as const;
  const names = Array.from({ length: 256 }, (_, index) => `socle-volume-acme+v${index}.raw`);
  ledger.setStorage({
    pools: new Map([["images", { ...seen, name: "images", type: "dir" }]]),
    volumes: new Map([
      ["images", { kind: "read", value: { bytes: new Map(names.map((name) => [name, 1])) } }],
    ]),
    startedAtMs: 1,
  });
  assert.equal(ledger.tenantUse().get("acme")?.diskBytes, 256);
  assert.equal(await reasonOf(create({ capacityBytes: 512 })), "TOO_MANY_VOLUMES");
  assert.equal(await reasonOf(create({ capacityBytes: 512, tenant: "evil" })), "none");
});

const silent = {
  call: () => new Promise<never>(() => undefined),
  openStream: () => new Promise<never>(() => undefined),
  events: new Topic<never>(),
};

/** The calls of a run by which the volume was changed, and its outcome. */
async function ran(
  kind: "create" | "resize" | "delete",
  {
    dependents = {},
    isThere = true,
    cutOff,
  }: { dependents?: Partial<Dependents>; isThere?: boolean; cutOff?: string } = {},
): Promise<{ outcome: string; calls: string[] }> {
  const table = new VmTable();
  table.completed(1);
  const volumes = new Volumes(silent, systemClock);
  const calls: string[] = [];
  volumes.dependents = () => Promise.resolve({ paths: [], overlays: [], backings: [], ...dependents });
  volumes.names.of = () => Promise.resolve(noOtherNames);
  volumes.isThere = () => Promise.resolve(isThere);
  volumes.requireAbsent = () => Promise.resolve(void calls.push("absent"));
  volumes.make = (_volume, mayBeThere) => {
    calls.push(mayBeThere ? "make or adopt" : "make");
    return Promise.resolve({ path: "/p", format: "qcow2", capacityBytes: 1 });
  };
  volumes.grow = () => Promise.resolve(void calls.push("grow"));
  volumes.remove = () => Promise.resolve(calls.push("remove") > 0);
  const context = { ...workContext(silent, systemClock, table), volumes };
  const run = {
    ...{ vmId: "", operationId: "o", step: steps(), resumed: cutOff !== undefined },
    ...{ done: new Set(), cutOff: new Set(cutOff === undefined ? [] : [cutOff]) },
    signal: new AbortController().signal,
  } as unknown as WorkRun;
  const volume = { pool: "images", volume: own };
  const work = {
    create: () => createVolume.run(context, { volume, format: "qcow2", capacityBytes: 1 }, run),
    resize: () => resizeVolume.run(context, { volume, capacityBytes: 1 }, run),
    delete: () => deleteVolume.run(context, { volume }, run),
  }[kind];
  return { outcome: await reasonOf(work()), calls };
}

test("a volume with an overlay, or with overlays that are not known, is neither enlarged nor deleted", async () => {
  const overlays = [{ pool: "images", volume: "over.qcow2" }];
  for (const kind of ["resize", "delete"] as const) {
    assert.deepEqual(await ran(kind, { dependents: { overlays } }), { outcome: "VOLUME_IN_USE", calls: [] });
    const unsearched = ["images"];
    assert.equal((await ran(kind, { dependents: { unsearched } })).outcome, "VOLUME_UNREADABLE");
    assert.deepEqual(await ran(kind, { isThere: false }), { outcome: "VOLUME_NOT_FOUND", calls: [] });
  }
});

test("a run that was interrupted in its effect goes on, and adopts what it made", async () => {
  assert.deepEqual((await ran("create")).calls, ["absent", "make"]);
  assert.deepEqual((await ran("create", { cutOff: "create" })).calls, ["make or adopt"]);
  assert.deepEqual((await ran("resize", { cutOff: "resize" })).calls, ["grow"]);
  assert.deepEqual(await ran("delete", { cutOff: "delete", isThere: false }), {
    outcome: "none",
    calls: ["remove"],
  });
  // A volume that is still there may have got users since.
  const overlays = [{ pool: "images", volume: "over.qcow2" }];
  for (const cutOff of ["check users", "delete"])
    assert.deepEqual(await ran("delete", { cutOff, dependents: { overlays } }), {
      outcome: "VOLUME_IN_USE",
      calls: [],
    });
  assert.deepEqual((await ran("delete", { cutOff: "delete" })).calls, ["remove"]);
});

test("a tenant's caller learns the names of its own VMs alone", () => {
  const disk = { device: "vda", path: "/p", volume: { pool: "images", volume: own } };
  const users: Users = {
    vms: [vm("mine", { tenant: "acme", disks: [disk] }), vm("secret", { tenant: "", disks: [disk] })],
    creations: [],
  };
  const told = (only: string | undefined, of = users): string => {
    try {
      requireNoUsers({ volume: { pool: "images", volume: own }, change: "delete", onlyTenant: only }, of);
      return "none";
    } catch (thrown) {
      const { message, details } = toSocleError(thrown);
      return `${message} ${JSON.stringify(details)}`;
    }
  };
  assert.match(told("acme"), /mine/);
  assert.doesNotMatch(told("acme"), /secret|22222222/);
  assert.match(told(undefined), /mine.*secret/);
  const provider = told("acme", { ...users, vms: users.vms.slice(1) });
  assert.match(provider, /in use by the provider/);
  assert.doesNotMatch(provider, /secret|22222222/);
  // The key of an import is internal.
  const source = { pool: "images", volume: own };
  const claim = { id: imageKey("1"), name: "1", tenant: "acme", nics: [], disks: [sourceDisk(source)] };
  const beside = told("acme", { ...users, creations: [claim] });
  assert.match(beside, /mine; an import, which reads it/);
  assert.doesNotMatch(beside, /image\//);
});
