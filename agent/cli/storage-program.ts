import { Option, type Command as Cli } from "commander";
import { specEnums } from "../contract/spec-enums.ts";
import { addMutationOptions, size } from "./options.ts";
import type { Bind } from "./session.ts";

const VOLUME = ["<volume>", "POOL/VOLUME, as socle volume ls has it."] as const;

/** The commands that change volumes that exist beside VMs. */
function addVolumeChanges(volumes: Cli, bind: Bind): void {
  const load = () => import("./commands/volume-change.ts");
  const change = (name: string, description: string): Cli =>
    addMutationOptions(volumes.command(name).description(description)).option(
      "--dry-run",
      "Check everything and change nothing.",
    );
  change("create", "Create an empty volume; socle vm disk attach gives it to a VM.")
    .argument("<name>", "Its name; in the pool it also has a mark of the tenant and the format.")
    .requiredOption("--pool <pool>", "The storage pool.")
    .requiredOption("--size <size>", "The size that it may grow to, e.g. 20GiB.", size("--size"))
    .addOption(
      new Option("--format <format>", "The format of its file.")
        .choices(specEnums.diskFormat.words)
        .default("qcow2"),
    )
    .option("--tenant <tenant>", "Whose it is; default: the provider's.")
    .action(bind(async () => (await load()).createVolume));
  change("resize", "Enlarge a volume that no VM uses; socle vm disk resize enlarges one that a VM uses.")
    .argument(...VOLUME)
    .argument("<size>", "The size that it has afterwards, e.g. 40GiB.")
    .action(bind(async () => (await load()).resizeVolume));
  change("rm", "Delete a volume that nothing uses, and its data.")
    .alias("delete")
    .argument(...VOLUME)
    .option("--erase", "Overwrite it with zeros before.")
    .option("-y, --yes", "Do not ask; needed with --json and where stdin is no terminal.")
    .action(bind(async () => (await load()).deleteVolume));
}

/** The commands for pools, volumes and networks. */
export function addStorage(program: Cli, bind: Bind): void {
  const load = () => import("./commands/storage.ts");
  program
    .command("pool")
    .description("Storage pools.")
    .command("ls")
    .alias("list")
    .description("List the storage pools of this host, and the size that new volumes may have in each.")
    .action(bind(async () => (await load()).listPools));
  const volumes = program.command("volume").description("Volumes in storage pools.");
  volumes
    .command("ls")
    .alias("list")
    .description("List the volumes, how each is used, and the VMs that use it.")
    .option("--pool <pool>", "Only of this pool.")
    .option("-q, --quiet", "POOL/VOLUME alone, one a line.")
    .action(bind(async () => (await load()).listVolumes));
  addVolumeChanges(volumes, bind);
  program
    .command("network")
    .description("Networks of libvirt.")
    .command("ls")
    .alias("list")
    .description("List the networks of this host.")
    .action(bind(async () => (await import("./commands/networks.ts")).listNetworks));
}
