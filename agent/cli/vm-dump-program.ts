import { Option, type Command as Cli } from "commander";
import { dumpFormats } from "../contract/spec-enums.ts";
import { addMutationOptions } from "./options.ts";
import type { Bind } from "./session.ts";

/** `socle vm dump`. */
export function addVmDump(vm: Cli, bind: Bind): void {
  addMutationOptions(
    vm
      .command("dump")
      .description(
        "Write a VM's memory into a file on the host, or into a new volume, for a post-mortem. The guest stands still meanwhile.",
      ),
  )
    .argument("<vm>", "Its name or id.")
    .addOption(
      new Option("--format <format>", "Default: elf. kdump-zlib is smaller and slower.").choices(
        dumpFormats.words,
      ),
    )
    .option(
      "--volume <name>",
      "Into a new volume of this name, of the VM's tenant: for another VM of the tenant. Default: a file on the host.",
    )
    .option("--pool <pool>", "The storage pool of the volume, one of files. Default: default.")
    .option("--allow-encrypted", "Also of a VM with encrypted disks or a TPM, whose secrets it then has.")
    .option("--dry-run", "Show where and how much it would write, and change nothing.")
    .action(bind(async () => (await import("./commands/vm-dump.ts")).dumpMemory));
}
