import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { noDevices } from "../../../../agent/libvirt/xml/index.ts";
import { DomainBackups } from "../../../../agent/vm/hypervisor/domain-backups.ts";
import { DomainLayers } from "../../../../agent/vm/hypervisor/domain-layers.ts";
import { DomainMedia } from "../../../../agent/vm/hypervisor/domain-media.ts";
import type { DomainReads } from "../../../../agent/vm/hypervisor/domain-reads.ts";
import { MemorySnapshots } from "../../../../agent/vm/hypervisor/memory-snapshots.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const [BEFORE, AFTER] = ["/pool/before", "/pool/after"];

/** A running guest whose QEMU has nodes of the names that libvirt chooses first: it says so late, to the first `adding`. */
function stage(adding: { readonly name: string }, device: "disk" | "cdrom" = "disk") {
  let asks = 0;
  const refusal = "Duplicate nodes with node-name='libvirt-5-format'";
  const late = Promise.resolve<libvirt.LateReply>({
    kind: "refused",
    error: new libvirt.LibvirtError("internal", "LIBVIRT_INTERNAL_ERROR", refusal),
  });
  const why = new libvirt.LibvirtError("timeout", "LIBVIRT_TIMEOUT", "no answer");
  const call = ({ name }: { readonly name: string }): object => {
    switch (name) {
      case adding.name:
        asks += 1;
        if (asks === 1) throw new libvirt.OutcomeUnknown(name, why, late);
        return {};
      case libvirt.domainBackupGetXmlDesc.name:
        throw new SocleError("not_found", "LIBVIRT_NO_DOMAIN_BACKUP", "no backup");
      case libvirt.domainGetJobStats.name:
        throw new SocleError("conflict", "LIBVIRT_OPERATION_INVALID", "no job");
      case libvirt.domainGetJobInfo.name:
        return { type: libvirt.DomainJobType.NONE };
      default:
        return { found: false };
    }
  };
  const calls = {
    call: <A, R>(procedure: libvirt.Procedure<A, R>): Promise<R> =>
      new Promise((resolve) => {
        resolve(call(procedure) as R);
      }),
    ...silent(),
  };
  const disk = () => ({
    device,
    alias: "ua-disk-root",
    source: { type: "file", path: asks > 1 ? AFTER : BEFORE },
    target: { device: "sda", bus: "scsi" },
  });
  const document = () => ({ devices: { ...noDevices, disks: [disk()] } }) as unknown as VmDomain;
  const reads: DomainReads = {
    state: () => Promise.resolve({ state: "running" }),
    document: () => Promise.resolve(document()),
  };
  return { asks: () => asks, on: [calls, sleepingClock(), reads] as const };
}

test("a request that adds nodes to QEMU is repeated if libvirt says late that QEMU has their names", async () => {
  const aborted = new AbortController().signal;
  const watch = { report: () => undefined, aborted };

  const backup = stage(libvirt.domainBackupBegin);
  const source = { device: "sda", exportName: "root", scratch: "/pool/scratch", bitmap: false };
  await new DomainBackups(...backup.on).begin(ID, "b", { server: { socket: "/s" }, disks: [source] });

  const copy = stage(libvirt.domainBlockCopy);
  await new DomainLayers(...copy.on).copy(ID, "root", { path: AFTER, format: "raw" }, watch);

  const medium = stage(libvirt.domainUpdateDeviceFlags, "cdrom");
  await new DomainMedia(...medium.on).change(ID, "ua-disk-root", AFTER, false);

  const memory = stage(libvirt.domainSnapshotCreateXml);
  const isSwitched = () => Promise.resolve(false);
  const taking = { overlays: [], path: "/pool/memory", memoryBytes: 1, isSwitched, ...watch };
  await new MemorySnapshots(...memory.on).take(ID, taking);

  for (const { asks } of [backup, copy, medium, memory]) assert.equal(asks(), 2);
});

test("a lost look into a drive leaves no change in doubt", async () => {
  const look = stage(libvirt.domainMonitorCommand, "cdrom");
  const change = new DomainMedia(...look.on).change(ID, "ua-disk-root", BEFORE, false);
  await assert.rejects(change, { kind: "timeout", reason: "LIBVIRT_TIMEOUT" });
});
