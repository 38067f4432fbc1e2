import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { backupSocket } from "../../../../agent/vm/operations/backup-end.ts";
import { keepQemu } from "../../../../agent/vm/operations/backup-qemu.ts";
import { beginBackup } from "../../../../agent/vm/operations/begin-backup.ts";
import { makeScratch } from "../../../../agent/vm/operations/backup-scratch.ts";
import { sourcesOf } from "../../../../agent/vm/operations/backup-request.ts";
import { secretUuid } from "../../../../agent/vm/keys/guest-keys.ts";
import { ownDisks } from "../../../../agent/vm/model/volume-names.ts";
import { NbdPorts } from "../../../../agent/vm/operations/nbd-ports.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import type { VolumeRef } from "../../../../agent/contract/spec.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { handshake, nbdServer } from "../../../support/vm/nbd-server.ts";
import { root, WorkStage } from "../../../support/vm/work-stage.ts";

const ID = "0123456789abcdef";
const scratch = `socle-${WorkStage.id}-root.backup-${ID}.qcow2`;
const intent = {
  ...{ id: ID, quiesce: false, leaseMs: 600_000, scratchBytes: 0 },
  disks: [{ disk: "root", pool: "images", scratch, mostBytes: 2 ** 26 }],
};

async function begun(
  state: "running" | "paused",
  stateReason: string,
  more: {
    readonly asked?: object;
    readonly context?: object;
    readonly failure?: Error;
    readonly servesNothing?: boolean;
  } = {},
): Promise<WorkStage & { servers: unknown[] }> {
  const on = Object.assign(new WorkStage(), { servers: [] as unknown[] });
  Object.assign(on, { state, stateReason });
  Object.assign(on.context, more.context);
  const sockets = await mkdtemp(join(tmpdir(), "socle-nbd-"));
  Object.assign(on.context, { socketDirectory: sockets });
  const qemu = nbdServer(handshake(2 ** 26), () => undefined);
  on.show();
  const { domains } = on.context;
  let isOpen = false;
  Object.assign(domains.devices, {
    disk: () => Promise.resolve({ source: { type: "file", path: "/x" }, target: { device: "vda" } }),
  });
  Object.assign(domains, {
    backups: {
      setLease: () => Promise.resolve(),
      capacityBytes: () => Promise.resolve(2 ** 26),
      isOpen: () => Promise.resolve(isOpen),
      begin: (
        _vm: string,
        _id: string,
        { server, disks }: { server: object; disks: { exportName: string }[] },
      ) => {
        if (more.failure !== undefined) return Promise.reject(more.failure);
        on.servers.push([server, disks.map(({ exportName }) => exportName).join()]);
        isOpen = true;
        return more.servesNothing === true
          ? Promise.resolve()
          : listen(qemu, backupSocket(on.context, WorkStage.id));
      },
      opened: () => Promise.resolve(new Set()),
      end: () => Promise.resolve(),
      forget: () => Promise.resolve([]),
    },
  });
  try {
    await beginBackup.run(on.context, { ...intent, ...more.asked }, on.run());
  } finally {
    qemu.close();
    await rm(sockets, { recursive: true });
  }
  return on;
}

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => void server.once("error", reject).listen(path, resolve));

test("a backup that QEMU does not serve has not begun, as after an end of libvirt in the middle", async () => {
  await assert.rejects(begun("running", "BOOTED", { servesNothing: true }), {
    reason: "INTERRUPTED",
    message: /disk root cannot be read/,
  });
});

const ADDRESS = "10.0.0.5";
const overTls = (on = new WorkStage()) => {
  const { table, clock } = on.context;
  const ports = { first: 10_900, last: 10_900 };
  return {
    asked: { nbdTls: true as const },
    context: { nbdPorts: new NbdPorts({ address: ADDRESS, ports, table, clock }) },
  };
};

test("a backup of a guest that waits for space already notes that, until the guest is resumed", async () => {
  const open = (on: WorkStage) => on.facts.backups?.open;
  for (const [state, reason] of [
    ["running", "BOOTED"],
    ["paused", "USER"],
  ] as const)
    assert.equal(open(await begun(state, reason))?.wasPaused, undefined, reason);
  const starved = await begun("paused", "IOERROR");
  assert.equal(open(starved)?.wasPaused, true);
  starved.show();
  await keepQemu(starved.context, WorkStage.id);
  assert.deepEqual([open(starved)?.id, open(starved)?.wasPaused], [ID, undefined]);
});

test("a backup over TLS is served at its own port, under a name that no other backup has", async () => {
  const on = await begun("running", "BOOTED", overTls());
  assert.deepEqual(on.servers, [[{ address: ADDRESS, port: 10_900, tls: true }, `${ID}-vda`]]);
  assert.deepEqual(on.facts.backups?.open?.nbd, { address: ADDRESS, port: 10_900 });
  const plain = await begun("running", "BOOTED");
  assert.deepEqual(plain.servers, [[{ socket: backupSocket(plain.context, WorkStage.id) }, "vda"]]);
});

test("what keeps QEMU from serving over TLS stays in the log, and nothing is left", async () => {
  const text = "10.0.0.5:10900: Address already in use";
  const failure = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", text);
  const more = { ...overTls(), failure };
  await assert.rejects(begun("running", "BOOTED", more), (thrown: SocleError) => {
    assert.equal(thrown.reason, "NBD_TLS_FAILED");
    assert.doesNotMatch(thrown.message, /10900/);
    return true;
  });
});

test("a backup of an encrypted disk needs consent, also if the disk was encrypted since the request", async () => {
  const sealed = { ...root, source: { ...root.source, encryption: "luks" } };
  const on = new WorkStage([sealed]);
  const vm = on.table.get(WorkStage.id);
  assert.ok(vm !== undefined);
  const refusal = { kind: "conflict", reason: "BACKUP_NOT_ENCRYPTED", message: /--passphrase-file/ };
  assert.throws(() => sourcesOf(vm, [], false), refusal);
  assert.deepEqual(
    sourcesOf(vm, [], true).map(({ disk }) => disk),
    ["root"],
  );
  Object.assign(on.context.domains, { backups: { isOpen: () => Promise.resolve(false) } });
  await assert.rejects(beginBackup.run(on.context, intent, on.run()), refusal);
  assert.deepEqual(on.did, []);
});

test("the scratch volume of an encrypted disk is encrypted, and is not made again under its QEMU", async () => {
  const sealed = { ...root, source: { ...root.source, encryption: "luks" } };
  const { signal } = new AbortController();
  let freeBytes = 0;
  for (const isOpen of [false, true]) {
    const on = new WorkStage([sealed, { ...root, name: "log" }]);
    const asked: unknown[] = [];
    Object.assign(on.context.domains, {
      backups: { hasBegun: () => Promise.resolve(isOpen), capacityBytes: () => Promise.resolve(2 ** 26) },
    });
    Object.assign(on.context.domains.devices, {
      disk: () => Promise.resolve({ source: { type: "file", path: "/x" }, target: { device: "vda" } }),
    });
    on.note({ keys: { "disk/root": "sealed" } });
    Object.assign(on.context, {
      keys: { passphrase: () => Promise.resolve("the passphrase") },
      images: {
        volumes: {
          requireRoom: (pool: string, bytes: number) =>
            bytes <= freeBytes
              ? Promise.resolve()
              : Promise.reject(new SocleError("exhausted", "POOL_FULL", pool)),
          fill: async (
            { volume }: VolumeRef,
            bytes: number,
            chunks: AsyncIterable<Buffer>,
            settings: { signal: AbortSignal },
          ) => {
            assert.equal(settings.signal, signal);
            const parts: Buffer[] = [];
            for await (const chunk of chunks) parts.push(chunk);
            const image = Buffer.concat(parts);
            on.volumes.set(`images/${volume}`, bytes);
            // Of an encrypted qcow2 image.
            asked.push([volume, image.length === bytes, image.readUInt32BE(32)]);
          },
        },
      },
    });
    on.volumes.set("images/root.qcow2", 2 ** 26);
    const { spec } = on;
    const own = ownDisks(spec).map((disk) => ({ ...disk, pool: "images", scratch: `${disk.disk}.qcow2` }));
    const make = () => makeScratch(on.context, WorkStage.id, own, { id: ID, mayBeThere: true, signal });
    freeBytes = 2 ** 21;
    if (!isOpen) await assert.rejects(make(), { reason: "POOL_FULL" });
    freeBytes = 2 ** 30;
    const made = await make();
    const uuid = secretUuid(WorkStage.id, "disk/root");
    assert.deepEqual(
      made.map((each) => each.secretUuid),
      [uuid, undefined],
    );
    assert.deepEqual(asked, isOpen ? [] : [["root.qcow2", true, 2]]);
    assert.ok(on.did.includes("make images/log.qcow2"));
  }
});

test("NBD over TLS is for callers that are not of one tenant, where the host serves it", () => {
  const on = new WorkStage();
  const vm = on.table.get(WorkStage.id);
  assert.ok(vm !== undefined && beginBackup.admit !== undefined);
  const asked = {
    ...{ disks: [], baseBackup: "", quiesce: false, leaseSeconds: 0, scratchBytes: 0 },
    nbdTls: true,
    allowEncrypted: false,
  };
  const admit = (byTenant: boolean, servesNbd: boolean) =>
    beginBackup.admit?.({ ...asked, servesNbd }, vm, { byTenant } as Admission);
  for (const servesNbd of [true, false])
    assert.throws(() => admit(true, servesNbd), { kind: "denied", reason: "NBD_TLS_NOT_ALLOWED" });
  assert.throws(() => admit(false, false), { reason: "NBD_TLS_NOT_CONFIGURED" });
  assert.equal(admit(false, true)?.nbdTls, true);
});
