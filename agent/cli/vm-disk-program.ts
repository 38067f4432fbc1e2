import type { Command as Cli } from "commander";
import { addMutationOptions } from "./options.ts";
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
    .argument("<source>", "pool/volume, or new:POOL:SIZE[:BASE] for a new one.")
    .requiredOption("--name <name>", "The disk's name in the VM; its serial number in the guest.")
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
  change("resize", "Enlarge a disk of a VM.")
    .argument(...DISK)
    .argument("<size>", "The size that it has afterwards, e.g. 40GiB.")
    .action(bind(async () => (await load()).resizeDisk));
}
