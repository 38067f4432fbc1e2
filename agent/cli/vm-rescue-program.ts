import type { Command as Cli } from "commander";
import { addMutationOptions, duration } from "./options.ts";
import type { Bind } from "./session.ts";

/** `socle vm rescue` and `socle vm unrescue`. */
export function addVmRescue(vm: Cli, bind: Bind): void {
  const load = () => import("./commands/vm-rescue.ts");
  const change = (name: string, description: string): Cli =>
    addMutationOptions(vm.command(name).description(description))
      .argument("<vm>", "Its name or id.")
      .option("--grace <duration>", "How long a guest may take to shut down, e.g. 90s.", duration("--grace"))
      .option("--dry-run", "Show what would happen and change nothing.");
  change("rescue", "Boot another system beside a VM's disks, to repair them.")
    .option("--image <image>", "The image to boot (socle image ls).")
    .option("--volume <pool/volume>", "The volume to boot, in the place of an image.")
    .option("--force", "Stop a running VM first; pull the plug if it does not stop in time.")
    .action(bind(async () => (await load()).rescueVm));
  change("unrescue", "End the rescue system of a VM, and start the VM if it ran before.")
    .option("--force", "Pull the plug of the rescue system if it does not stop in time.")
    .action(bind(async () => (await load()).unrescueVm));
}
