import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import { backupService } from "../../../../agent/api/services/backup-service.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import type { Backups, NbdServer } from "../../../../agent/vm/model/backups.ts";
import { protos, startApi, vm } from "../../../support/api/harness.ts";

const ID = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";
const OPEN = "00000000000000bb";
const WHOLE = "00000000000000aa";
const disk = { disk: "root", capacityBytes: 2 ** 20, bitmap: true as const };
const whole = { id: WHOLE, createdAtMs: 1_600_000_000_000, disks: [disk] };
const backups: Backups = {
  open: {
    ...{ id: OPEN, createdAtMs: 1_700_000_000_000, base: WHOLE, phase: "open" },
    disks: [{ ...disk, incremental: true, device: "vda", pool: "images", scratch: "s" }],
    ...{ leaseMs: 600_000, scratchBytes: 0 },
  },
  whole,
  stale: [],
};

const list = { vm: "", onlyOpen: false, pageSize: 0, pageToken: "" };

/** A service over a VM of the tenant acme, and the context of a scheduler of a tenant, or of none. */
async function stage(t: Parameters<typeof startApi>[0], nbd?: NbdServer) {
  const { table, dependencies } = await startApi(t);
  const { open } = backups;
  const known = nbd === undefined || open === undefined ? backups : { ...backups, open: { ...open, nbd } };
  table.put({ ...vm(ID, { backups: known, tenant: "acme" }), name: "web" });
  table.put({ ...vm(OTHER, { backups: { whole, stale: [] }, tenant: "evil" }), name: "db" });
  const service = backupService(dependencies, new ErrorEncoder(protos));
  const as = (tenant?: string) => {
    const caller = { name: `spiffe://cloud.example/scheduler/${tenant ?? "all"}`, role: "scheduler" };
    const signal = new AbortController().signal;
    return {
      caller: tenant === undefined ? caller : { ...caller, tenant },
      signal,
      slice: () => new Slice(),
    } as unknown as Parameters<typeof service.ListBackups>[1];
  };
  return { service, as };
}

test("another tenant's backups appear absent, like its VM: none is begun, read, kept or ended", async (t) => {
  const { service, as } = await stage(t);
  const evil = as("evil");
  const plain = { requestId: "1", etag: "", validateOnly: false };
  const read = { backupId: OPEN, disk: "root", offsetBytes: 0 };
  for (const vmName of ["web", ID]) {
    const of = { vm: vmName, backupId: OPEN };
    for (const call of [
      async () =>
        await service.BeginBackup(
          {
            ...{ ...plain, vm: vmName, disks: [], baseBackup: "", quiesce: false },
            ...{ leaseSeconds: 0, scratchBytes: 0, nbdTls: false, allowEncrypted: false },
          },
          evil,
        ),
      async () => await service.GetBackup(of, evil),
      async () => await service.ListBackups({ ...list, vm: vmName }, evil),
      async () => await service.RenewBackup({ ...of, requestId: "1", leaseSeconds: 60 }, evil),
      async () => await service.FinishBackup({ ...of, ...plain, success: false }, evil),
      async () => {
        for await (const _ of service.ListExtents({ vm: vmName, ...read }, evil)) assert.fail("extents");
      },
      async () => {
        for await (const _ of service.ReadExtents({ vm: vmName, ...read }, evil)) assert.fail("bytes");
      },
    ])
      await assert.rejects(call, { reason: "VM_NOT_FOUND" }, call.toString());
  }
});

test("a tenant sees its own backups, without the address of NBD that the provider's callers see", async (t) => {
  const { service, as } = await stage(t);
  const listed = async (tenant?: string) => {
    const { backups: all = [] } = await service.ListBackups({ ...list, vm: "web" }, as(tenant));
    return all.map(({ backupId, state, disks, nbdUri }) => [
      ...[backupId, state, disks?.map(({ incremental }) => incremental).join(), nbdUri],
    ]);
  };
  const complete = [WHOLE, "BACKUP_STATE_COMPLETE", "false", undefined];
  assert.deepEqual(await listed("acme"), [[OPEN, "BACKUP_STATE_OPEN", "true", undefined], complete]);
  assert.deepEqual(await listed(), [
    [OPEN, "BACKUP_STATE_OPEN", "true", `nbd+unix:///?socket=/nonexistent/libvirt-${ID}.nbd`],
    complete,
  ]);
  const overTls = async (address: string) => {
    const { service, as } = await stage(t, { address, port: 10_900 });
    const { backups: [open] = [] } = await service.ListBackups({ ...list, vm: "web" }, as());
    return open?.nbdUri;
  };
  assert.equal(await overTls("10.0.0.5"), "nbds://10.0.0.5:10900/");
  assert.equal(await overTls("fd00::5"), "nbds://[fd00::5]:10900/");
  await assert.rejects(async () => await service.GetBackup({ vm: "web", backupId: "x" }, as("acme")), {
    reason: "BACKUP_NOT_FOUND",
  });
});

test("the backups of all VMs are listed by pages, to a tenant its own, and the open ones alone", async (t) => {
  const { service, as } = await stage(t);
  const found = async (asked: object, tenant?: string) => {
    const { backups: all = [], nextPageToken } = await service.ListBackups({ ...list, ...asked }, as(tenant));
    return { ids: all.map(({ vmId, backupId }) => [vmId, backupId]), nextPageToken };
  };
  const all = [
    [ID, OPEN],
    [ID, WHOLE],
    [OTHER, WHOLE],
  ];
  assert.deepEqual((await found({})).ids, all);
  assert.deepEqual((await found({ onlyOpen: true })).ids, [[ID, OPEN]]);
  assert.deepEqual((await found({}, "evil")).ids, [[OTHER, WHOLE]]);
  const first = await found({ pageSize: 2 });
  assert.deepEqual(first.ids, all.slice(0, 2));
  const second = await found({ pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual([second.ids, second.nextPageToken], [all.slice(2), ""]);
  await assert.rejects(found({ onlyOpen: true, pageToken: first.nextPageToken }), {
    reason: "PAGE_TOKEN_INVALID",
  });
});
