import type { Command as Cli } from "commander";
import { addMutationOptions, quiesceOption } from "./options.ts";
import type { Bind } from "./session.ts";

const VM = ["<vm>", "Its name or id."] as const;
const SNAPSHOT = ["<snapshot>", "The snapshot's name or id."] as const;

/** `socle vm snapshot`. */
export function addVmSnapshots(vm: Cli, bind: Bind): void {
  const snapshots = vm
    .command("snapshot")
    .description("Snapshots of a VM's disks and memory, also while it runs.");
  const load = () => import("./commands/vm-snapshot.ts");
  const change = (name: string, description: string): Cli =>
    addMutationOptions(snapshots.command(name).description(description))
      .option("--dry-run", "Show what would happen and change nothing.")
      .argument(...VM);
  change("create", "Keep a VM's disks as they are now.")
    .argument("<name>", "The snapshot's name, unique in the VM.")
    .option("--description <text>", "What it is for.")
    .addOption(quiesceOption())
    .option("--memory", "Keep the memory of the running guest too: a revert lets it run on from now.")
    .action(bind(async () => (await load()).createSnapshot));
  snapshots
    .command("ls")
    .alias("list")
    .description("The snapshots of a VM, as a tree.")
    .argument(...VM)
    .action(bind(async () => (await load()).listSnapshots));
  snapshots
    .command("show")
    .description("Everything known about a snapshot.")
    .argument(...VM)
    .argument(...SNAPSHOT)
    .action(bind(async () => (await load()).showSnapshot));
  change("rm", "Delete a snapshot: what was written since is merged into it, also while the guest runs.")
    .alias("delete")
    .argument(...SNAPSHOT)
    .action(bind(async () => (await load()).deleteSnapshot));
  change(
    "revert",
    "Give a VM the disks of a snapshot, and its memory if kept; what was written since the newest one is lost.",
  )
    .argument(...SNAPSHOT)
    .option("--force", "Stop a running guest as a power cut does, and start it again from the snapshot.")
    .option("--discard-memory", "Boot from the disks of a snapshot with memory.")
    .option("-y, --yes", "Do not ask; needed with --json and where stdin is no terminal.")
    .action(bind(async () => (await load()).revertSnapshot));
}
