import { formatOf } from "../../contract/spec-volume-name.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Disk } from "../../libvirt/xml/index.ts";
import { pathOf } from "../hypervisor/define-file.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { deviceName } from "../model/device-names.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import { extraOf, type Snapshots } from "../model/snapshots.ts";
import { poolOf } from "./move-doubt.ts";
import { storedIn } from "./spec-change.ts";
import type { WorkContext } from "./work.ts";

/**
 * Throws `conflict` SWITCH_UNRECORDED if the QEMU of a running guest is not known to write to the files that libvirt shows: libvirt
 * lost a switch, and would change, copy or read a file that the guest does not write to any more. QEMU is asked only if the
 * definition names another file, or a switch of the disk was in doubt: then the definition gets the volume that QEMU writes to.
 */
export async function requireRecorded(context: WorkContext, vmId: string): Promise<void> {
  const { domains } = context;
  if (!isActive(await domains.state(vmId))) return;
  // The definition first: a switch by another client in between shows in the running guest alone.
  const document = await domains.document(vmId);
  const { spec, snapshots } = storedIn(document, vmId);
  const defined: readonly Disk[] = document?.devices.disks ?? [];
  const inDoubt = volumesInDoubt(spec, snapshots);
  const running: readonly Disk[] = (await domains.document(vmId, "running"))?.devices.disks ?? [];
  const suspects = running.flatMap(({ alias, source }) => {
    const disk = deviceName("disk", alias);
    const next = pathOf(defined.find((each) => each.alias === alias)?.source);
    const isOther = next !== undefined && next !== pathOf(source);
    return disk !== undefined && (isOther || inDoubt.some((each) => each.disk === disk))
      ? [{ disk, shown: pathOf(source), next, isOther }]
      : [];
  });
  if (suspects.length === 0) return;
  const inQemu = await domains.layers.filesInQemu(vmId);
  for (const { disk, shown, next, isOther } of suspects) {
    const file = inQemu.get(disk);
    // libvirt passes on no commands: it is as it would be without a doubt.
    if (file === shown || (file === undefined && !isOther)) continue;
    if (file !== undefined && file === next) throw unrecorded(disk);
    for (const { disk: of, ...volume } of inDoubt) {
      if (of !== disk || file === undefined || (await context.volumes.pathOf(volume)) !== file) continue;
      // So that the next start uses it.
      await domains.layers.define(vmId, disk, { path: file, format: formatOf(volume.volume) });
      throw unrecorded(disk);
    }
    throw unknown(vmId, disk, shown);
  }
}

const volumesInDoubt = (spec: VmSpec, snapshots: Snapshots): readonly (VolumeRef & { disk: string })[] => [
  ...snapshots.loose.flatMap(({ disk, volume, inDoubt }) => {
    const pool = poolOf(spec, disk);
    return inDoubt === true && pool !== undefined ? [{ disk, pool, volume }] : [];
  }),
  ...extraOf(snapshots).flatMap(({ disk, pool, volume, inDoubt }) =>
    inDoubt === true ? [{ disk, pool, volume }] : [],
  ),
];

/** Throws what `requireRecorded` throws of another reason. */
export async function isRecorded(context: WorkContext, vmId: string): Promise<boolean> {
  try {
    await requireRecorded(context, vmId);
    return true;
  } catch (thrown) {
    if (toSocleError(thrown).reason !== "SWITCH_UNRECORDED") throw thrown;
    return false;
  }
}

const unknown = (vmId: string, disk: string, shown: string | undefined): SocleError =>
  new SocleError(
    "conflict",
    "SWITCH_UNRECORDED",
    `libvirt shows ${shown ?? "no file"} as disk ${disk} of the running guest, and its QEMU does not show that the guest writes to it. ` +
      `Before the VM stops, find the file (virsh qemu-monitor-command ${vmId} --hmp info block), and name it as the disk's file for the next start (virsh edit ${vmId}). ` +
      "Backups, snapshots, moves and resizes of its disks, and suspensions, are refused before",
    { details: { metadata: { disk } } },
  );

const unrecorded = (disk: string): SocleError =>
  new SocleError(
    "conflict",
    "SWITCH_UNRECORDED",
    `libvirt lost a switch of disk ${disk} to another file, and shows the file that the guest wrote to before: stop the VM and start it (StopVm, StartVm; a reboot does not help), which uses the right one. ` +
      "Backups, snapshots, moves and resizes of its disks, and suspensions, are refused before",
    { details: { metadata: { disk } } },
  );
