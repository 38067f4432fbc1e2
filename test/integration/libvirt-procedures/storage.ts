import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as p from "../../../agent/libvirt/index.ts";
import { lines, names, printed, type Proofs, type World } from "./world.ts";

const MIB = 1024 * 1024;
const poolXml = (name: string, path: string): string =>
  `<pool type='dir'><name>${name}</name><target><path>${path}</path></target></pool>`;
const volXml = (name: string, bytes: number, format = "raw"): string =>
  `<volume><name>${name}</name><capacity>${bytes}</capacity><target><format type='${format}'/></target></volume>`;

/** A running pool for one proof; emptied and removed afterwards. */
async function withPool(
  { on, path }: World,
  use: (pool: p.StoragePool, directory: string) => Promise<void>,
): Promise<void> {
  const directory = path("socle-proc-pool");
  await mkdir(directory);
  const xml = poolXml("socle-proc-pool", directory);
  const { pool } = await on.answers(p.storagePoolCreateXml, { xml, flags: 0 });
  try {
    await use(pool, directory);
  } finally {
    await on.answers(p.storagePoolDestroy, { pool });
    await rm(directory, { recursive: true });
  }
}

export const storage: Proofs = {
  "a pool from its definition to its removal": async ({ on, path, virsh, recorder }) => {
    const directory = path("socle-proc-life");
    const name = "socle-proc-life";
    const { pool } = await on.answers(p.storagePoolDefineXml, { xml: poolXml(name, directory), flags: 0 });
    await on.answers(p.storagePoolBuild, { pool, flags: p.StoragePoolBuildFlags.NEW });
    assert.ok((await stat(directory)).isDirectory());
    assert.deepEqual(await on.answers(p.storagePoolIsActive, { pool }), { active: false });
    await on.answers(p.storagePoolCreate, { pool, flags: 0 });
    assert.deepEqual(await on.answers(p.storagePoolIsActive, { pool }), { active: true });
    assert.deepEqual(await on.answers(p.storagePoolIsPersistent, { pool }), { persistent: true });
    await on.answers(p.storagePoolSetAutostart, { pool, autostart: true });
    assert.deepEqual(await on.answers(p.storagePoolGetAutostart, { pool }), { autostart: true });

    const shown = await virsh("pool-info", name, "--bytes");
    const info = await on.answers(p.storagePoolGetInfo, { pool });
    assert.equal(info.state, p.StoragePoolState.RUNNING);
    assert.equal(String(info.capacity), printed(shown, "Capacity"));
    assert.equal(printed(shown, "State"), "running");
    assert.equal(printed(shown, "Autostart"), "yes");
    const { xml } = await on.answers(p.storagePoolGetXmlDesc, { pool, flags: p.StorageXMLFlags.INACTIVE });
    assert.equal(xml.trim(), await virsh("pool-dumpxml", "--inactive", name));

    assert.deepEqual(await on.answers(p.storagePoolLookupByName, { name }), { pool });
    assert.deepEqual(await on.answers(p.storagePoolLookupByUuid, { uuid: pool.uuid }), { pool });
    assert.deepEqual(await on.answers(p.storagePoolLookupByTargetPath, { path: directory }), { pool });
    const listed = await on.answers(p.connectListAllStoragePools, { needResults: true, flags: 0 });
    assert.deepEqual(names(listed.pools), lines(await virsh("pool-list", "--all", "--name")));

    await on.answers(p.storagePoolDestroy, { pool });
    await on.answers(p.storagePoolDelete, { pool, flags: p.StoragePoolDeleteFlags.NORMAL });
    await assert.rejects(stat(directory));
    await on.answers(p.storagePoolUndefine, { pool });
    await on.refuses(p.storagePoolLookupByName, { name }, "LIBVIRT_NO_STORAGE_POOL");
    for (const event of ["DEFINED", "STARTED", "STOPPED", "DELETED", "UNDEFINED"] as const) {
      const isIt = (received: { pool: p.StoragePool; event: number }): boolean =>
        received.pool.uuid === pool.uuid && received.event === p.StoragePoolEventLifecycleType[event];
      await recorder.waitFor(p.storagePoolEventLifecycle, isIt);
    }
  },

  "volumes are created, listed, read and deleted": (world) =>
    withPool(world, async (pool, directory) => {
      const { on, virsh, recorder } = world;
      const { vol } = await on.answers(p.storageVolCreateXml, { pool, xml: volXml("a.raw", MIB), flags: 0 });
      const path = join(directory, "a.raw");
      assert.deepEqual(vol, { pool: pool.name, name: "a.raw", key: path });
      const cloneXml = volXml("b.qcow2", MIB, "qcow2");
      const cloned = await on.answers(p.storageVolCreateXmlFrom, {
        pool,
        xml: cloneXml,
        clonevol: vol,
        flags: 0,
      });
      await on.answers(p.storageVolResize, { vol: cloned.vol, capacity: 4 * MIB, flags: 0 });
      const info = await on.answers(p.storageVolGetInfo, { vol: cloned.vol });
      assert.equal(info.type, p.StorageVolType.FILE);
      assert.equal(info.capacity, 4 * MIB);
      const shown = await virsh("vol-info", "b.qcow2", "--pool", pool.name, "--bytes");
      assert.equal(`${info.allocation} bytes`, printed(shown, "Allocation"));
      const physical = await on.answers(p.storageVolGetInfoFlags, {
        vol: cloned.vol,
        flags: p.StorageVolInfoFlags.GET_PHYSICAL,
      });
      assert.equal(physical.allocation, (await stat(join(directory, "b.qcow2"))).size);

      assert.deepEqual(await on.answers(p.storageVolGetPath, { vol }), { name: path });
      const { xml } = await on.answers(p.storageVolGetXmlDesc, { vol, flags: 0 });
      assert.equal(xml.trim(), await virsh("vol-dumpxml", path));
      assert.deepEqual(await on.answers(p.storageVolLookupByName, { pool, name: "a.raw" }), { vol });
      assert.deepEqual(await on.answers(p.storageVolLookupByKey, { key: vol.key }), { vol });
      assert.deepEqual(await on.answers(p.storageVolLookupByPath, { path }), { vol });
      assert.deepEqual(await on.answers(p.storagePoolLookupByVolume, { vol }), { pool });

      await writeFile(join(directory, "late.raw"), "found by a refresh");
      await on.answers(p.storagePoolRefresh, { pool, flags: 0 });
      await recorder.waitFor(p.storagePoolEventRefresh, (received) => received.pool.uuid === pool.uuid);
      const listed = await on.answers(p.storagePoolListAllVolumes, { pool, needResults: true, flags: 0 });
      assert.deepEqual(names(listed.vols), ["a.raw", "b.qcow2", "late.raw"]);
      assert.equal(listed.ret, 3);
      await on.answers(p.storageVolDelete, { vol, flags: p.StorageVolDeleteFlags.NORMAL });
      await on.refuses(p.storageVolLookupByName, { pool, name: "a.raw" }, "LIBVIRT_NO_STORAGE_VOL");
    }),

  "data is uploaded, downloaded unchanged, and wiped": (world) =>
    withPool(world, async (pool, directory) => {
      const { on, libvirt, ledger } = world;
      const content = randomBytes(3 * MIB + 17);
      const xml = volXml("data.raw", content.length);
      const { vol } = await on.answers(p.storageVolCreateXml, { pool, xml, flags: 0 });
      const whole = { vol, offset: 0, length: 0, flags: 0 };
      const up = await libvirt.openStream(p.storageVolUpload, whole);
      await up.write(content);
      await up.finish();
      ledger.answered(p.storageVolUpload);
      assert.ok(content.equals(await readFile(join(directory, "data.raw"))));

      const down = await libvirt.openStream(p.storageVolDownload, whole);
      const pieces: Buffer[] = [];
      for await (const piece of down) pieces.push(piece);
      ledger.answered(p.storageVolDownload);
      assert.ok(content.equals(Buffer.concat(pieces)));
      const part = await libvirt.openStream(p.storageVolDownload, { ...whole, offset: 5, length: 7 });
      const some: Buffer[] = [];
      for await (const piece of part) some.push(piece);
      assert.ok(content.subarray(5, 12).equals(Buffer.concat(some)));

      await on.answers(p.storageVolWipe, { vol, flags: 0 });
      assert.ok((await readFile(join(directory, "data.raw"))).every((byte) => byte === 0));
      const algorithm = p.StorageVolWipeAlgorithm.ZERO;
      await on.answers(p.storageVolWipePattern, { vol, algorithm, flags: 0 });
    }),

  "sources of pools, from the test driver": async ({ onTestDriver, on }) => {
    const srcSpec = "<source><host name='socle-proc-host'/></source>";
    const found = await onTestDriver.answers(p.connectFindStoragePoolSources, {
      type: "netfs",
      srcSpec,
      flags: 0,
    });
    assert.match(found.xml, /<sources>[^]*<host name='socle-proc-host'\/>/);
    const nothing = { type: "netfs", srcSpec: null, flags: 0 };
    await on.refuses(p.connectFindStoragePoolSources, nothing, "LIBVIRT_INVALID_ARG");
  },
};
