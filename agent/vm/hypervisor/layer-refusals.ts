import { SocleError, toSocleError } from "../../kernel/errors.ts";

export const replaced = (disk: string): SocleError =>
  new SocleError(
    "conflict",
    "DISKS_REPLACED",
    `disk ${disk} uses other files than its snapshots name, as after a snapshot by another client: remove that one (virsh blockcommit --active --pivot)`,
    { details: { metadata: { disk } } },
  );

export const off = (): SocleError =>
  new SocleError("conflict", "VM_STATE_CONFLICT", "the guest has stopped during the merge of its disks");

export const noFile = (disk: string): SocleError =>
  new SocleError(
    "conflict",
    "DISKS_REPLACED",
    `the domain has no disk ${disk} that is a file; detach and attach the disk again, or look at it (virsh dumpxml)`,
    { details: { metadata: { disk } } },
  );

export const usedBefore = (paths: readonly string[]): SocleError =>
  new SocleError(
    "conflict",
    "SWITCH_IN_DOUBT",
    `the guest stopped while libvirt was lost in the switch of its disks, and another client started it again from the files below: before it stopped it may have written to ${paths.join(", ")}, ` +
      "which stay until the VM is deleted, and are not used: the files below have changed since. If the guest lacks data, look at a copy of both",
    { details: { metadata: { volumes: paths.join(",") } } },
  );

export const inDoubt = (paths: readonly string[], cause: SocleError): SocleError =>
  new SocleError(
    "conflict",
    "SWITCH_IN_DOUBT",
    `libvirt was lost while it switched the disks, and does not show the switch: the guest may write to ${paths.join(", ")}, ` +
      "which stay until the VM is deleted. Before the VM stops, look which files its QEMU writes to (virsh qemu-monitor-command VM --hmp info block); if these, copy the guest's data from inside it",
    { cause, details: { metadata: { volumes: paths.join(",") } } },
  );

/** QEMU shows which files the guest writes to, once it is asked. */
const notShown = (paths: readonly string[], cause: SocleError): SocleError =>
  new SocleError(
    "outcome_unknown",
    "SWITCH_NOT_SHOWN",
    `the guest may write to ${paths.join(", ")}, and neither libvirt nor its QEMU shows it now (${cause.message}): the operation goes on once one does. ` +
      "Do not settle it, and do not start the VM, before. Of a QEMU that hangs, virsh destroy ends the guest",
    { cause, details: { metadata: { volumes: paths.join(",") } } },
  );

export const throwNotShown =
  (paths: readonly string[]) =>
  (thrown: unknown): never => {
    throw notShown(paths, toSocleError(thrown));
  };

export const mergeFailed = (disk: string): SocleError =>
  new SocleError(
    "conflict",
    "MERGE_FAILED",
    `the merge of a layer of disk ${disk} ended without its effect, as when its pool is full; the guest's data is whole. ` +
      "Make room in the pool, then delete the snapshot again",
    { details: { metadata: { disk } } },
  );

export const copyFailed = (disk: string): SocleError =>
  new SocleError(
    "conflict",
    "MOVE_FAILED",
    `the copy of disk ${disk} ended before it was complete, as when the new pool is full; the disk is where it was. ` +
      "Make room in that pool, or move the disk into another one",
    { details: { metadata: { disk } } },
  );

export const busy = (disk: string, path: string): SocleError =>
  new SocleError(
    "conflict",
    "DISK_BUSY",
    `another client copies disk ${disk} to ${path}: wait for its end, or abort it (virsh blockjob --abort)`,
    { details: { metadata: { disk } } },
  );
