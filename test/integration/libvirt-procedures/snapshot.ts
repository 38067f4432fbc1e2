import assert from "node:assert/strict";
import { rm, stat } from "node:fs/promises";
import * as p from "../../../agent/libvirt/index.ts";
import { withDisks } from "./device.ts";
import { lines, names, valueOf, type Proofs } from "./world.ts";

const snapshotXml = (name: string, file: string): string =>
  `<domainsnapshot><name>${name}</name><disks><disk name='vda' snapshot='no'/>` +
  `<disk name='vdb' snapshot='external'><source file='${file}'/></disk></disks></domainsnapshot>`;
const checkpointXml = (name: string): string =>
  `<domaincheckpoint><name>${name}</name><disks><disk name='vda' checkpoint='no'/>` +
  `<disk name='vdb' checkpoint='bitmap'/></disks></domaincheckpoint>`;

export const snapshot: Proofs = {
  "snapshots are created, listed, restored and deleted": (world) =>
    withDisks(world, async (dom) => {
      const { on, virsh, path } = world;
      const make = async (name: string): Promise<p.DomainSnapshot> => {
        const xmlDesc = snapshotXml(name, path(`socle-proc-${name}.qcow2`));
        const flags = p.DomainSnapshotCreateFlags.DISK_ONLY;
        return (await on.answers(p.domainSnapshotCreateXml, { dom, xmlDesc, flags })).snap;
      };
      assert.deepEqual(await on.answers(p.domainHasCurrentSnapshot, { dom, flags: 0 }), { result: false });
      const one = await make("one");
      const two = await make("two");
      assert.deepEqual(one, { name: "one", dom });
      const listed = await on.answers(p.domainListAllSnapshots, { dom, needResults: true, flags: 0 });
      assert.equal(listed.ret, 2);
      assert.deepEqual(names(listed.snapshots), lines(await virsh("snapshot-list", dom.name, "--name")));
      const { xml } = await on.answers(p.domainSnapshotGetXmlDesc, { snap: one, flags: 0 });
      assert.equal(xml.trim(), await virsh("snapshot-dumpxml", dom.name, "one"));
      const byName = await on.answers(p.domainSnapshotLookupByName, { dom, name: "two", flags: 0 });
      assert.deepEqual(byName, { snap: two });
      assert.deepEqual(await on.answers(p.domainHasCurrentSnapshot, { dom, flags: 0 }), { result: true });
      assert.deepEqual(await on.answers(p.domainSnapshotCurrent, { dom, flags: 0 }), { snap: two });
      assert.deepEqual(await on.answers(p.domainSnapshotIsCurrent, { snap: two, flags: 0 }), {
        current: true,
      });
      assert.deepEqual(await on.answers(p.domainSnapshotGetParent, { snap: two, flags: 0 }), { snap: one });
      const children = { snapshot: one, needResults: true, flags: 0 };
      assert.deepEqual(await on.answers(p.domainSnapshotListAllChildren, children), {
        snapshots: [two],
        ret: 1,
      });
      await on.answers(p.domainRevertToSnapshot, { snap: one, flags: p.DomainSnapshotRevertFlags.FORCE });
      assert.equal(await virsh("domstate", dom.name, "--reason"), "shut off (from snapshot)");
      const forget = p.DomainSnapshotDeleteFlags.METADATA_ONLY;
      for (const snap of [two, one]) await on.answers(p.domainSnapshotDelete, { snap, flags: forget });
      await on.refuses(p.domainSnapshotCurrent, { dom, flags: 0 }, "LIBVIRT_NO_DOMAIN_SNAPSHOT");
      await on.refuses(
        p.domainSnapshotLookupByName,
        { dom, name: "one", flags: 0 },
        "LIBVIRT_NO_DOMAIN_SNAPSHOT",
      );
      for (const name of ["one", "two"]) await rm(path(`socle-proc-${name}.qcow2`), { force: true });
    }),

  "checkpoints, and a backup that pushes and one that is pulled": (world) =>
    withDisks(world, async (dom) => {
      const { on, virsh, path, recorder } = world;
      const make = async (name: string): Promise<p.DomainCheckpoint> =>
        (await on.answers(p.domainCheckpointCreateXml, { dom, xmlDesc: checkpointXml(name), flags: 0 }))
          .checkpoint;
      const one = await make("one");
      const two = await make("two");
      const listed = await on.answers(p.domainListAllCheckpoints, { dom, needResults: true, flags: 0 });
      assert.equal(listed.ret, 2);
      assert.deepEqual(names(listed.checkpoints), lines(await virsh("checkpoint-list", dom.name, "--name")));
      const flags = p.DomainCheckpointXMLFlags.NO_DOMAIN;
      const { xml } = await on.answers(p.domainCheckpointGetXmlDesc, { checkpoint: one, flags });
      assert.equal(xml.trim(), await virsh("checkpoint-dumpxml", "--no-domain", dom.name, "one"));
      const byName = await on.answers(p.domainCheckpointLookupByName, { dom, name: "one", flags: 0 });
      assert.deepEqual(byName, { checkpoint: one });
      const parent = await on.answers(p.domainCheckpointGetParent, { checkpoint: two, flags: 0 });
      assert.deepEqual(parent, { parent: one });
      const children = { checkpoint: one, needResults: true, flags: 0 };
      assert.deepEqual(await on.answers(p.domainCheckpointListAllChildren, children), {
        checkpoints: [two],
        ret: 1,
      });

      const target = path("socle-proc-backup.qcow2");
      const push = `<domainbackup mode='push'><disks><disk name='vda' backup='no'/><disk name='vdb' type='file'><target file='${target}'/><driver type='qcow2'/></disk></disks></domainbackup>`;
      await on.answers(p.domainBackupBegin, { dom, backupXml: push, checkpointXml: null, flags: 0 });
      const completed = await recorder.waitFor(
        p.domainEventCallbackJobCompleted,
        (received) => received.dom.uuid === dom.uuid,
      );
      assert.equal(valueOf(completed.params, "operation"), p.DomainJobOperation.BACKUP);
      assert.ok((await stat(target)).size > 0);
      const done = await on.answers(p.domainGetJobStats, { dom, flags: p.DomainGetJobStatsFlags.COMPLETED });
      assert.equal(done.type, p.DomainJobType.COMPLETED);
      assert.equal(valueOf(done.params, "disk_total"), 8 * 1024 * 1024);
      await on.refuses(p.domainBackupGetXmlDesc, { dom, flags: 0 }, "LIBVIRT_NO_DOMAIN_BACKUP");

      const pull = `<domainbackup mode='pull'><server transport='unix' socket='${path("socle-proc.nbd")}'/><disks><disk name='vda' backup='no'/><disk name='vdb' type='file'><scratch file='${path("socle-proc-scratch.qcow2")}'/></disk></disks></domainbackup>`;
      const begin = { dom, backupXml: pull, checkpointXml: null, flags: 0 };
      await on.answers(p.domainBackupBegin, begin);
      const shown = await on.answers(p.domainBackupGetXmlDesc, { dom, flags: 0 });
      assert.equal(shown.xml.trim(), await virsh("backup-dumpxml", dom.name));
      assert.equal((await on.answers(p.domainGetJobInfo, { dom })).type, p.DomainJobType.UNBOUNDED);
      assert.match(await virsh("domjobinfo", dom.name), /Operation:\s+Backup/);
      await on.answers(p.domainAbortJob, { dom });
      // libvirt still reports success.
      await recorder.waitFor(
        p.domainEventCallbackJobCompleted,
        (received) =>
          received.dom.uuid === dom.uuid && valueOf(received.params, "errmsg") === "Operation canceled",
      );
      await on.answers(p.domainBackupBegin, begin);
      await on.answers(p.domainAbortJobFlags, { dom, flags: 0 });

      await on.answers(p.domainCheckpointDelete, { checkpoint: one, flags: 0 });
      await on.refuses(
        p.domainCheckpointLookupByName,
        { dom, name: "one", flags: 0 },
        "LIBVIRT_NO_DOMAIN_CHECKPOINT",
      );
      for (const name of ["backup", "scratch"]) {
        await rm(path(`socle-proc-${name}.qcow2`), { force: true });
      }
    }),
};
