import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import * as p from "../../../agent/libvirt/index.ts";
import { eventually } from "../../support/wait.ts";
import { ullong, valueOf, type Proofs, type World } from "./world.ts";

const MIB = 1024 * 1024;
const live = p.DomainModificationImpact.LIVE;

export async function makeDisk(path: string, ...more: readonly string[]): Promise<void> {
  await promisify(execFile)("qemu-img", ["create", "-q", "-f", "qcow2", path, ...more]);
}

export const diskXml = (path: string, target: string): string =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${path}'/>` +
  `<target dev='${target}' bus='virtio'/></disk>`;

/** A running guest whose vdb is an 8 MiB qcow2 on top of another. */
export async function withDisks(
  { on, xml, path }: World,
  use: (dom: p.Domain) => Promise<void>,
): Promise<void> {
  const base = path("socle-proc-base.qcow2");
  const top = path("socle-proc-top.qcow2");
  await makeDisk(base, "8M");
  await makeDisk(top, "-b", base, "-F", "qcow2");
  const description = xml("socle-proc-disks", { devices: diskXml(top, "vdb") });
  const defined = await on.answers(p.domainDefineXmlFlags, { xml: description, flags: 0 });
  const { dom } = await on.answers(p.domainCreateWithFlags, { ...defined, flags: 0 });
  try {
    await use(dom);
  } finally {
    if ((await on.answers(p.domainIsActive, { dom })).active) {
      await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
    }
    const flags = p.flags(
      p.DomainUndefineFlagsValues.SNAPSHOTS_METADATA,
      p.DomainUndefineFlagsValues.CHECKPOINTS_METADATA,
    );
    await on.answers(p.domainUndefineFlags, { dom, flags });
    for (const file of [base, top]) await rm(file);
  }
}

/** Waits until the job of vdb has copied everything and is ready. */
async function ready({ recorder }: World, dom: p.Domain, type: number): Promise<void> {
  await recorder.waitFor(
    p.domainEventBlockJob2,
    (received) =>
      received.dom.uuid === dom.uuid &&
      received.type === type &&
      received.status === p.ConnectDomainEventBlockJobStatus.READY,
  );
}

async function noJob({ on }: World, dom: p.Domain): Promise<void> {
  await eventually(
    async () => !(await on.answers(p.domainGetBlockJobInfo, { dom, path: "vdb", flags: 0 })).found,
    { what: "the block job to end" },
  );
}

export const device: Proofs = {
  "a disk is plugged, changed and pulled": (world) =>
    withDisks(world, async (dom) => {
      const { on, virsh, path, recorder } = world;
      const extra = path("socle-proc-extra.qcow2");
      await makeDisk(extra, "8M");
      const both = p.flags(p.DomainDeviceModifyFlags.LIVE, p.DomainDeviceModifyFlags.CONFIG);
      const disk = { dom, xml: diskXml(extra, "vdc") };
      await on.answers(p.domainAttachDeviceFlags, { ...disk, flags: both });
      assert.match(await virsh("domblklist", dom.name), /vdc\s+\S+extra\.qcow2/);
      const { devAlias } = await recorder.waitFor(
        p.domainEventCallbackDeviceAdded,
        (received) => received.dom.uuid === dom.uuid,
      );
      const changed = { dom, xml: disk.xml.replace("<source", "<serial>PROC</serial><source") };
      await on.answers(p.domainUpdateDeviceFlags, { ...changed, flags: p.DomainDeviceModifyFlags.CONFIG });
      assert.match(await virsh("dumpxml", "--inactive", dom.name), /<serial>PROC<\/serial>/);
      await on.answers(p.domainDetachDeviceFlags, { ...disk, flags: p.DomainDeviceModifyFlags.CONFIG });
      assert.doesNotMatch(await virsh("domblklist", "--inactive", dom.name), /vdc/);
      // The guest's firmware never releases it; only libvirt's acceptance of the request is visible.
      await on.answers(p.domainDetachDeviceAlias, { dom, alias: devAlias, flags: live });
    }),

  "a disk is measured, limited and resized": (world) =>
    withDisks(world, async (dom) => {
      const { on, virsh } = world;
      const info = await on.answers(p.domainGetBlockInfo, { dom, path: "vdb", flags: 0 });
      assert.equal(info.capacity, 8 * MIB);
      const stats = { dom, path: "vda", flags: 0 };
      const { nparams } = await on.answers(p.domainBlockStatsFlags, { ...stats, nparams: 0 });
      const readOperations = async (): Promise<unknown> => {
        const { params } = await on.answers(p.domainBlockStatsFlags, { ...stats, nparams });
        return valueOf(params, "rd_operations");
      };
      await eventually(async () => Number(await readOperations()) > 0, {
        what: "the boot sector to be read",
      });
      const theirs = /rd_req (\d+)/.exec(await virsh("domblkstat", dom.name, "vda"))?.[1];
      assert.equal(String(await readOperations()), theirs);

      const size = { dom, disk: "vdb", size: 16 * MIB, flags: p.DomainBlockResizeFlags.BYTES };
      await on.answers(p.domainBlockResize, size);
      assert.match(await virsh("domblkinfo", dom.name, "vdb"), new RegExp(`Capacity:\\s+${16 * MIB}$`, "m"));

      const limit = [ullong("total_iops_sec", 500)];
      await on.answers(p.domainSetBlockIoTune, { dom, disk: "vdb", params: limit, flags: live });
      const ask = { dom, disk: "vdb", flags: p.flags(live, p.TypedParameterFlags.PARAM_STRING_OKAY) };
      const count = await on.answers(p.domainGetBlockIoTune, { ...ask, nparams: 0 });
      const tune = await on.answers(p.domainGetBlockIoTune, { ...ask, nparams: count.nparams });
      assert.equal(valueOf(tune.params, "total_iops_sec"), 500);
      assert.match(String(valueOf(tune.params, "group_name")), /virtio-disk1/);
      assert.match(await virsh("blkdeviotune", dom.name, "vdb"), /total_iops_sec\s*: 500$/m);

      await on.answers(p.domainSetBlockThreshold, { dom, dev: "vdb", threshold: MIB, flags: 0 });
      const all = await on.answers(p.connectGetAllDomainStats, {
        doms: [dom],
        stats: p.DomainStatsTypes.BLOCK,
        flags: 0,
      });
      assert.equal(valueOf(all.retStats[0]?.params ?? [], "block.1.threshold"), MIB);
      const errors = await on.answers(p.domainGetDiskErrors, { dom, maxerrors: 8, flags: 0 });
      assert.deepEqual(errors, { errors: [], nerrors: 0 });
    }),

  "a disk is copied, pulled and committed while the guest runs": (world) =>
    withDisks(world, async (dom) => {
      const { on, path, virsh } = world;
      const disk = { dom, path: "vdb" };
      const copy = path("socle-proc-copy.qcow2");
      await on.answers(p.domainBlockCopy, {
        ...disk,
        destxml: `<disk type='file'><source file='${copy}'/><driver type='qcow2'/></disk>`,
        params: [ullong("bandwidth", 100 * MIB)],
        flags: p.DomainBlockCopyFlags.TRANSIENT_JOB,
      });
      await ready(world, dom, p.DomainBlockJobType.COPY);
      const job = await on.answers(p.domainGetBlockJobInfo, {
        ...disk,
        flags: p.DomainBlockJobInfoFlags.BANDWIDTH_BYTES,
      });
      assert.deepEqual([job.found, job.type, job.bandwidth], [true, p.DomainBlockJobType.COPY, 100 * MIB]);
      await on.answers(p.domainBlockJobSetSpeed, { ...disk, bandwidth: 50, flags: 0 });
      assert.match(await virsh("blockjob", dom.name, "vdb"), /50\.000 MiB\/s/);
      await on.answers(p.domainBlockJobAbort, { ...disk, flags: p.DomainBlockJobAbortFlags.PIVOT });
      assert.match(await virsh("domblklist", dom.name), /vdb\s+\S+copy\.qcow2/);

      await on.answers(p.domainSnapshotCreateXml, {
        dom,
        xmlDesc: `<domainsnapshot><disks><disk name='vda' snapshot='no'/><disk name='vdb' snapshot='external'><source file='${path("socle-proc-over.qcow2")}'/></disk></disks></domainsnapshot>`,
        flags: p.flags(p.DomainSnapshotCreateFlags.DISK_ONLY, p.DomainSnapshotCreateFlags.NO_METADATA),
      });
      const commit = { dom, disk: "vdb", base: null, top: null, bandwidth: 0 };
      await on.answers(p.domainBlockCommit, { ...commit, flags: p.DomainBlockCommitFlags.ACTIVE });
      await ready(world, dom, p.DomainBlockJobType.ACTIVE_COMMIT);
      await on.answers(p.domainBlockJobAbort, { ...disk, flags: p.DomainBlockJobAbortFlags.PIVOT });
      assert.match(await virsh("domblklist", dom.name), /vdb\s+\S+copy\.qcow2/);

      const pull = { ...disk, bandwidth: 0, flags: 0 };
      await on.answers(p.domainBlockPull, pull);
      await noJob(world, dom);
      assert.doesNotMatch(await virsh("dumpxml", dom.name), /<backingStore type=/);
      await on.answers(p.domainBlockRebase, { ...pull, base: null });
      await noJob(world, dom);
      for (const name of ["copy", "over"]) await rm(path(`socle-proc-${name}.qcow2`));
    }),

  "a guest starts without an optional disc": async ({ on, xml, path, recorder }) => {
    const source = path("socle-proc-missing.iso");
    const devices = `<disk type='file' device='cdrom'><source file='${source}' startupPolicy='optional'/><target dev='hda' bus='ide'/></disk>`;
    const xmlDesc = xml("socle-proc-disc", { devices });
    const { dom } = await on.answers(p.domainCreateXml, { xmlDesc, flags: p.DomainCreateFlags.START_PAUSED });
    const missing = await recorder.waitFor(
      p.domainEventCallbackDiskChange,
      (received) => received.dom.uuid === dom.uuid,
    );
    assert.deepEqual(missing, {
      callbackId: missing.callbackId,
      dom: { ...dom, id: missing.dom.id },
      oldSrcPath: source,
      newSrcPath: null,
      devAlias: "ide0-0-0",
      reason: p.ConnectDomainEventDiskChangeReason.CHANGE_MISSING_ON_START,
    });
    await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
  },
};
