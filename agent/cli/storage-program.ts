import type { Command as Cli } from "commander";
import type { Bind } from "./session.ts";

/** The commands that show pools, volumes and networks. */
export function addStorage(program: Cli, bind: Bind): void {
  const load = () => import("./commands/storage.ts");
  program
    .command("pool")
    .description("Storage pools.")
    .command("ls")
    .alias("list")
    .description("List the storage pools of this host, and the size that new volumes may have in each.")
    .action(bind(async () => (await load()).listPools));
  program
    .command("volume")
    .description("Volumes in storage pools.")
    .command("ls")
    .alias("list")
    .description("List the volumes, how each is used, and the VMs that use it.")
    .option("--pool <pool>", "Only of this pool.")
    .action(bind(async () => (await load()).listVolumes));
  program
    .command("network")
    .description("Networks of libvirt.")
    .command("ls")
    .alias("list")
    .description("List the networks of this host.")
    .action(bind(async () => (await import("./commands/networks.ts")).listNetworks));
}
