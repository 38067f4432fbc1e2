import type { Command as Cli } from "commander";
import { addMutationOptions, collect } from "./options.ts";
import type { Bind } from "./session.ts";

/** `socle vm seed`. */
export function addVmSeed(vm: Cli, bind: Bind): void {
  addMutationOptions(
    vm
      .command("seed")
      .description("Change what cloud-init gets at a VM's next start; parts that no option names stay."),
  )
    .argument("<vm>", "Its name or id.")
    .option("--hostname <name>", "The guest's host name; \"\": the VM's name.")
    .option(
      "--ssh-key <file|key>",
      "A public key, or a file of them, in the place of all present ones; may be repeated.",
      collect,
    )
    .option("--no-ssh-keys", "No public keys.")
    .option("--user-data <file>", "Its user data, - for stdin. Secret, so never an argument.")
    .option("--no-user-data", "No user data.")
    .option("--network-config <file>", "Its network configuration, - for stdin.")
    .option("--no-network-config", "DHCP on each NIC that the VM has now.")
    .option("--seed-pool <pool>", "Of a VM without a seed: where it is; default: with the first new disk.")
    .option("--run-again", "cloud-init does at the next boot all that it does on a new machine.")
    .option("--dry-run", "Show what would change and change nothing.")
    .action(bind(async () => (await import("./commands/vm-seed.ts")).changeSeed));
}
