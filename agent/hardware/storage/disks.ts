import { join } from "node:path";
import { readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

/** A disk that may report its health: an NVMe controller, or a SCSI or SATA disk. Never a partition or a virtio disk. */
export interface Disk {
  /** As in /dev: nvme0, sda. */
  readonly name: string;
  readonly model: string;
  /** "" if sysfs has none (SCSI). */
  readonly serial: string;
  readonly firmware: string;
  /** The kernel's state of an NVMe controller: live, resetting, connecting, deleting, dead. */
  readonly state?: string;
  /** Runtime-suspended by the kernel: any query would wake it. */
  readonly asleep: boolean;
}

/** From sysfs only, which wakes no disk and needs no rights. Empty on a machine with only virtual disks. */
export function readDisks(roots: Roots): Promise<Reading<readonly Disk[]>> {
  const nvme = join(roots.sysRoot, "class/nvme");
  const block = join(roots.sysRoot, "block");
  return reading(block, async () => {
    const controllers = (await entriesOf(nvme)).filter((name) => /^nvme\d+$/.test(name));
    const scsi = (await entriesOf(block)).filter((name) => /^sd[a-z]+$/.test(name));
    const disks = await Promise.all([
      ...controllers.map((name) => readController(name, join(nvme, name))),
      ...scsi.map((name) => readScsi(name, join(block, name, "device"))),
    ]);
    return disks.filter((disk) => disk !== undefined);
  });
}

/** Undefined if it disappeared during the read. The same for SCSI. */
async function readController(name: string, directory: string): Promise<Disk | undefined> {
  const text = (file: string): Promise<string | undefined> => readTextIfThere(join(directory, file));
  const [model, serial, firmware, state, power] = await Promise.all(
    ["model", "serial", "firmware_rev", "state", "device/power/runtime_status"].map(text),
  );
  if (model === undefined) return undefined;
  return defined({
    name,
    model,
    serial: serial ?? "",
    firmware: firmware ?? "",
    state,
    asleep: power === "suspended",
  });
}

async function readScsi(name: string, device: string): Promise<Disk | undefined> {
  const text = (file: string): Promise<string | undefined> => readTextIfThere(join(device, file));
  const [vendor, model, firmware, power] = await Promise.all(
    ["vendor", "model", "rev", "power/runtime_status"].map(text),
  );
  if (model === undefined) return undefined;
  // The vendor of a SATA disk is only its bus name.
  const maker = vendor === undefined || vendor === "ATA" ? "" : `${vendor} `;
  return {
    name,
    model: `${maker}${model}`,
    serial: "",
    firmware: firmware ?? "",
    asleep: power === "suspended",
  };
}
