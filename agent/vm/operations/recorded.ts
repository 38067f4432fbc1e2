import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Disk } from "../../libvirt/xml/index.ts";
import { pathOf } from "../hypervisor/define-file.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { deviceName } from "../model/device-names.ts";
import { extraOf } from "../model/snapshots.ts";
import { readSpec } from "./spec-change.ts";
import type { WorkContext } from "./work.ts";

/**
 * Throws `conflict` SWITCH_UNRECORDED if the QEMU of a running guest is not known to write to the files that libvirt shows: libvirt
 * lost a switch, and would change, copy or read a file that the guest does not write to any more. QEMU is asked only if the
 * definition names another file, or a switch of the disk was in doubt.
 */
export async function requireRecorded(context: WorkContext, vmId: string): Promise<void> {
  const { domains } = context;
  if (!isActive(await domains.state(vmId))) return;
  const disksOf = async (as: "running" | "defined"): Promise<readonly Disk[]> =>
    (await domains.document(vmId, as))?.devices.disks ?? [];
  const defined = await disksOf("defined");
  const { snapshots } = await readSpec(context, vmId);
  const inDoubt = [...snapshots.loose, ...extraOf(snapshots)].filter((each) => each.inDoubt === true);
  const suspects = (await disksOf("running")).flatMap(({ alias, source }) => {
    const disk = deviceName("disk", alias);
    const next = pathOf(defined.find((each) => each.alias === alias)?.source);
    const isOther = next !== undefined && next !== pathOf(source);
    return disk !== undefined && (isOther || inDoubt.some((each) => each.disk === disk))
      ? [{ disk, path: pathOf(source) }]
      : [];
  });
  if (suspects.length === 0) return;
  const inQemu = await domains.layers.filesInQemu(vmId);
  for (const { disk, path } of suspects) if (inQemu.get(disk) !== path) throw unrecorded(disk);
}

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

const unrecorded = (disk: string): SocleError =>
  new SocleError(
    "conflict",
    "SWITCH_UNRECORDED",
    `libvirt lost a switch of disk ${disk} to another file, and shows the file that the guest wrote to before: stop the VM and start it (StopVm, StartVm; a reboot does not help), which uses the right one. ` +
      "Backups, snapshots, moves and resizes of its disks, and suspensions, are refused before",
    { details: { metadata: { disk } } },
  );
