import type { Command as Cli } from "commander";
import { addMutationOptions, size, whole } from "./options.ts";
import type { Bind } from "./session.ts";

const VM = ["<vm>", "Its name or id."] as const;
const DISK = ["<disk>", "The disk's name in the VM."] as const;

/** `socle vm disk`. */
export function addVmDisks(vm: Cli, bind: Bind): void {
  const disks = vm.command("disk").description("Disks of a VM, also while it runs.");
  const load = () => import("./commands/vm-disk.ts");
  const change = (name: string, description: string): Cli =>
    addMutationOptions(disks.command(name).description(description))
      .option("--dry-run", "Show what would happen and change nothing.")
      .argument(...VM);
  change("attach", "Add a disk to a VM.")
    .argument(
      "<source>",
      "pool/volume, new:POOL:SIZE[:BASE] for a new one, or cdrom[:MEDIUM] for a CD-ROM drive.",
    )
    .requiredOption("--name <name>", "The disk's name in the VM; its serial number in the guest.")
    .option("--image <image>", "A new disk over this image (socle image ls), with new:POOL[:SIZE].")
    .option("--read-only", "The guest cannot write to it.")
    .option("--encrypt", "Encrypt a new disk (LUKS); the host needs a volume key.")
    .action(bind(async () => (await load()).attachDisk));
  change("detach", "Take a disk from a VM; a running guest has to release it.")
    .argument(...DISK)
    .option("--delete-volume", "Delete the volume that was made for it, too.")
    .option(
      "-y, --yes",
      "Do not ask before a volume is deleted; needed with --json and where stdin is no terminal.",
    )
    .action(bind(async () => (await load()).detachDisk));
  change("update", "Limit the input and output of a disk of a VM.")
    .argument(...DISK)
    .option("--total-rate <size>", "The bytes that it reads and writes in a second.", size("--total-rate"))
    .option("--read-rate <size>", "The bytes that it reads in a second.", size("--read-rate"))
    .option("--write-rate <size>", "The bytes that it writes in a second.", size("--write-rate"))
    .option("--total-iops <number>", "Its reads and writes in a second.", whole("--total-iops", 1))
    .option("--read-iops <number>", "Its reads in a second.", whole("--read-iops", 1))
    .option("--write-iops <number>", "Its writes in a second.", whole("--write-iops", 1))
    .option("--total-burst-rate <size>", "The --total-rate during a burst.", size("--total-burst-rate"))
    .option("--read-burst-rate <size>", "The --read-rate during a burst.", size("--read-burst-rate"))
    .option("--write-burst-rate <size>", "The --write-rate during a burst.", size("--write-burst-rate"))
    .option("--total-burst-iops <number>", "The --total-iops during a burst.", whole("--total-burst-iops", 1))
    .option("--read-burst-iops <number>", "The --read-iops during a burst.", whole("--read-burst-iops", 1))
    .option("--write-burst-iops <number>", "The --write-iops during a burst.", whole("--write-burst-iops", 1))
    .option(
      "--burst-seconds <number>",
      "How long a burst may last in seconds; default: 1.",
      whole("--burst-seconds", 1),
    )
    .option("--no-limits", "No limits; a limit replaces all limits.")
    .action(bind(async () => (await load()).updateDisk));
  change("insert", "Put a medium into a CD-ROM drive of a VM.")
    .argument(...DISK)
    .argument("<medium>", "image:NAME, or pool/volume.")
    .option("--force", "Also if the guest locks the tray: it may have read errors.")
    .action(bind(async () => (await load()).insertMedium));
  change("eject", "Take the medium from a CD-ROM drive of a VM.")
    .argument(...DISK)
    .option("--force", "Also if the guest locks the tray: it may have read errors.")
    .action(bind(async () => (await load()).ejectMedium));
  change("move", "Move a disk of a VM into another pool, also while it runs.")
    .argument(...DISK)
    .argument("<pool>", "The pool that it is in afterwards.")
    .action(bind(async () => (await load()).moveDisk));
  change("resize", "Enlarge a disk of a VM.")
    .argument(...DISK)
    .argument("<size>", "The size that it has afterwards, e.g. 40GiB.")
    .action(bind(async () => (await load()).resizeDisk));
}
