import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import * as p from "../../../agent/libvirt/index.ts";
import { diskXml, makeDisk, withDisks } from "./device.ts";
import { names, text, ullong, valueOf, type Proofs, type World } from "./world.ts";

const most = { maxnames: 1000 };
const everything = { needResults: true, flags: 0 };

/** A running, persistent guest for one proof. */
async function withGuest(
  { on, xml }: World,
  devices: string,
  use: (dom: p.Domain) => Promise<void>,
): Promise<void> {
  const { dom: defined } = await on.answers(p.domainDefineXml, { xml: xml("socle-proc-old", { devices }) });
  await on.answers(p.domainCreate, { dom: defined });
  const { dom } = await on.answers(p.domainLookupByUuid, { uuid: defined.uuid });
  try {
    await use(dom);
  } finally {
    if ((await on.answers(p.domainIsActive, { dom })).active) await on.answers(p.domainDestroy, { dom });
    await on.answers(p.domainUndefine, { dom });
  }
}

// Procedures that a later one with flags replaced. libvirt keeps them, and so does the generated protocol.
export const older: Proofs = {
  "domains are counted and listed in two calls": (world) =>
    withGuest(world, "", async (dom) => {
      const { on } = world;
      const { num } = await on.answers(p.connectNumOfDomains, {});
      const { ids } = await on.answers(p.connectListDomains, { maxids: 1000 });
      assert.equal(ids.length, num);
      assert.ok(ids.includes(dom.id));
      await on.answers(p.domainShutdown, { dom });
      await on.answers(p.domainDestroy, { dom });
      const defined = await on.answers(p.connectListDefinedDomains, most);
      assert.ok(defined.names.includes(dom.name));
      assert.equal((await on.answers(p.connectNumOfDefinedDomains, {})).num, defined.names.length);
      await on.answers(p.domainCreate, { dom });
    }),

  "networks, pools, filters, secrets and devices are counted and listed in two calls": async ({
    on,
    path,
  }) => {
    const networks = await on.answers(p.connectListAllNetworks, everything);
    const active = await on.answers(p.connectListNetworks, most);
    const inactive = await on.answers(p.connectListDefinedNetworks, most);
    assert.deepEqual([...active.names, ...inactive.names].sort(), names(networks.nets));
    assert.equal((await on.answers(p.connectNumOfNetworks, {})).num, active.names.length);
    assert.equal((await on.answers(p.connectNumOfDefinedNetworks, {})).num, inactive.names.length);

    const target = `<target><path>${path("")}</path></target>`;
    const xml = `<pool type='dir'><name>socle-proc-old</name>${target}</pool>`;
    const { pool } = await on.answers(p.storagePoolCreateXml, { xml, flags: 0 });
    const pools = await on.answers(p.connectListStoragePools, most);
    assert.ok(pools.names.includes(pool.name));
    assert.equal((await on.answers(p.connectNumOfStoragePools, {})).num, pools.names.length);
    const defined = await on.answers(p.connectListDefinedStoragePools, most);
    assert.equal((await on.answers(p.connectNumOfDefinedStoragePools, {})).num, defined.names.length);
    const volumes = await on.answers(p.storagePoolListVolumes, { pool, ...most });
    assert.equal((await on.answers(p.storagePoolNumOfVolumes, { pool })).num, volumes.names.length);
    const listed = await on.answers(p.storagePoolListAllVolumes, { pool, ...everything });
    assert.deepEqual([...volumes.names].sort(), names(listed.vols));
    await on.answers(p.storagePoolDestroy, { pool });

    const filters = await on.answers(p.connectListNwfilters, most);
    assert.equal((await on.answers(p.connectNumOfNwfilters, {})).num, filters.names.length);
    const secrets = await on.answers(p.connectListSecrets, { maxuuids: 1000 });
    assert.equal((await on.answers(p.connectNumOfSecrets, {})).num, secrets.uuids.length);

    const devices = await on.answers(p.nodeListDevices, { cap: "net", ...most, flags: 0 });
    assert.equal((await on.answers(p.nodeNumOfDevices, { cap: "net", flags: 0 })).num, devices.names.length);
    assert.deepEqual(await on.answers(p.nodeDeviceNumOfCaps, { name: "computer" }), { num: 1 });
    assert.deepEqual(await on.answers(p.nodeDeviceIsActive, { name: "computer" }), { active: true });
    assert.deepEqual(await on.answers(p.nodeDeviceIsPersistent, { name: "computer" }), { persistent: true });
    assert.deepEqual(await on.answers(p.nodeDeviceGetAutostart, { name: "computer" }), { autostart: true });
  },

  "processors, memory and devices of a guest change without flags": (world) =>
    withGuest(world, "<memballoon model='virtio'/>", async (dom) => {
      const { on, path } = world;
      assert.deepEqual(await on.answers(p.domainGetMaxVcpus, { dom }), { num: 1 });
      await on.answers(p.domainSetVcpus, { dom, nvcpus: 1 });
      await on.answers(p.domainPinVcpu, { dom, vcpu: 0, cpumap: Uint8Array.of(1) });
      await on.answers(p.domainSetMemory, { dom, memory: 31 * 1024 });

      const file = path("socle-proc-old.qcow2");
      await makeDisk(file, "1M");
      await on.answers(p.domainAttachDevice, { dom, xml: diskXml(file, "vdc") });
      const { errs } = await on.answers(p.domainBlockStats, { dom, path: "vdc" });
      assert.equal(errs, -1);
      await on.answers(p.domainDetachDevice, { dom, xml: diskXml(file, "vdc") });

      await on.answers(p.domainDestroy, { dom });
      await on.answers(p.domainSetMaxMemory, { dom, memory: 48 * 1024 });
      assert.deepEqual(await on.answers(p.domainGetMaxMemory, { dom }), { memory: 48 * 1024 });
      const shares = ullong(p.VIR_DOMAIN_SCHEDULER_CPU_SHARES, 1500);
      await on.answers(p.domainSetSchedulerParameters, { dom, params: [shares] });
      const { params } = await on.answers(p.domainGetSchedulerParameters, { dom, nparams: 16 });
      assert.equal(valueOf(params, p.VIR_DOMAIN_SCHEDULER_CPU_SHARES), 1500);
      await on.answers(p.domainSetAutostartOnce, { dom, autostart: true });
      assert.deepEqual(await on.answers(p.domainGetAutostartOnce, { dom }), { autostart: true });
      await on.answers(p.domainSetAutostartOnce, { dom, autostart: false });
      await rm(file);
    }),

  "a guest is saved, its saved definition changes, and it comes back": (world) =>
    withGuest(world, "", async (dom) => {
      const { on, path } = world;
      const to = path("socle-proc-old.save");
      await on.answers(p.domainSave, { dom, to });
      const { xml } = await on.answers(p.domainSaveImageGetXmlDesc, { file: to, flags: 0 });
      const restarts = xml.replace(/<on_crash>\w+</, "<on_crash>restart<");
      await on.answers(p.domainSaveImageDefineXml, { file: to, dxml: restarts, flags: 0 });
      const changed = await on.answers(p.domainSaveImageGetXmlDesc, { file: to, flags: 0 });
      assert.match(changed.xml, /<on_crash>restart</);
      await on.answers(p.domainRestore, { from: to });
      await rm(to);

      const params = [text(p.VIR_DOMAIN_SAVE_PARAM_FILE, to)];
      await on.answers(p.domainSaveParams, { dom, params, flags: 0 });
      await on.answers(p.domainRestoreParams, { params, flags: 0 });
      await rm(to);

      await on.answers(p.domainManagedSave, { dom, flags: 0 });
      await on.answers(p.domainManagedSaveDefineXml, { dom, dxml: restarts, flags: 0 });
      const managed = await on.answers(p.domainManagedSaveGetXmlDesc, { dom, flags: 0 });
      assert.match(managed.xml, /<on_crash>restart</);
      await on.answers(p.domainManagedSaveRemove, { dom, flags: 0 });
    }),

  "a guest's disk and memory are read, and its memory is dumped": (world) =>
    withGuest(world, "", async (dom) => {
      const { on, path, files } = world;
      const sector = (await readFile(files.bootSector)).subarray(0, 512);
      const peek = { dom, path: "vda", offset: 0, size: 512, flags: 0 };
      assert.ok(sector.equals((await on.answers(p.domainBlockPeek, peek)).buffer));
      const memory = { dom, offset: 0, size: 16, flags: p.DomainMemoryFlags.PHYSICAL };
      assert.equal((await on.answers(p.domainMemoryPeek, memory)).buffer.byteLength, 16);

      const to = path("socle-proc-old.core");
      const dump = { dom, to, flags: p.DomainCoreDumpFlags.MEMORY_ONLY };
      await on.answers(p.domainCoreDump, dump);
      assert.equal((await readFile(to)).subarray(1, 4).toString(), "ELF");
      await rm(to);
      await on.answers(p.domainCoreDumpWithFormat, { ...dump, dumpformat: p.DomainCoreDumpFormat.RAW });
      assert.equal((await readFile(to)).subarray(1, 4).toString(), "ELF");
      await rm(to);
    }),

  "snapshots and checkpoints are counted and listed by name": (world) =>
    withDisks(world, async (dom) => {
      const { on, path } = world;
      const make = async (name: string): Promise<p.DomainSnapshot> => {
        const file = path(`socle-proc-${name}.qcow2`);
        const disk = `<disk name='vdb' snapshot='external'><source file='${file}'/></disk>`;
        const xmlDesc = `<domainsnapshot><name>${name}</name><disks><disk name='vda' snapshot='no'/>${disk}</disks></domainsnapshot>`;
        const flags = p.DomainSnapshotCreateFlags.DISK_ONLY;
        return (await on.answers(p.domainSnapshotCreateXml, { dom, xmlDesc, flags })).snap;
      };
      const one = await make("one");
      await make("two");
      assert.deepEqual(await on.answers(p.domainSnapshotNum, { dom, flags: 0 }), { num: 2 });
      const all = await on.answers(p.domainSnapshotListNames, { dom, ...most, flags: 0 });
      assert.deepEqual([...all.names].sort(), ["one", "two"]);
      assert.deepEqual(await on.answers(p.domainSnapshotNumChildren, { snap: one, flags: 0 }), { num: 1 });
      const children = { snap: one, ...most, flags: 0 };
      assert.deepEqual(await on.answers(p.domainSnapshotListChildrenNames, children), { names: ["two"] });
      const has = await on.answers(p.domainSnapshotHasMetadata, { snap: one, flags: 0 });
      assert.deepEqual(has, { metadata: true });
      for (const name of ["one", "two"]) await rm(path(`socle-proc-${name}.qcow2`));
    }),

  "events are registered for the whole connection": async ({ on }) => {
    await on.answers(p.connectDomainEventRegister, {});
    assert.deepEqual(await on.answers(p.connectDomainEventDeregister, {}), { cbRegistered: 0 });
    const eventId = p.domainEvents.reboot.eventId;
    await on.answers(p.connectDomainEventRegisterAny, { eventId });
    await on.answers(p.connectDomainEventDeregisterAny, { eventId });
  },

  "interfaces of the test driver are defined, started and changed as a whole": async ({
    onTestDriver: on,
  }) => {
    assert.deepEqual(await on.answers(p.connectListInterfaces, most), { names: ["eth1"] });
    assert.deepEqual(await on.answers(p.connectNumOfInterfaces, {}), { num: 1 });
    await on.answers(p.interfaceChangeBegin, { flags: 0 });
    const mac = "aa:bb:cc:dd:ee:01";
    const xml = `<interface type='ethernet' name='eth7'><start mode='onboot'/><mac address='${mac}'/><mtu size='1492'/><protocol family='ipv4'><dhcp/></protocol></interface>`;
    const { iface } = await on.answers(p.interfaceDefineXml, { xml, flags: 0 });
    assert.deepEqual(iface, { name: "eth7", mac });
    assert.deepEqual(await on.answers(p.connectListDefinedInterfaces, most), { names: ["eth7"] });
    assert.deepEqual(await on.answers(p.connectNumOfDefinedInterfaces, {}), { num: 1 });
    await on.answers(p.interfaceCreate, { iface, flags: 0 });
    await on.answers(p.interfaceDestroy, { iface, flags: 0 });
    await on.answers(p.interfaceUndefine, { iface });
    await on.answers(p.interfaceChangeRollback, { flags: 0 });
    await on.answers(p.interfaceChangeBegin, { flags: 0 });
    await on.answers(p.interfaceChangeCommit, { flags: 0 });
  },
};
