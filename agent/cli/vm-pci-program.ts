import type { Command as Cli } from "commander";
import { addMutationOptions } from "./options.ts";
import type { Bind } from "./session.ts";

const VM = ["<vm>", "Its name or id."] as const;

/** `socle vm pci`. */
export function addVmPciDevices(vm: Cli, bind: Bind): void {
  const devices = vm.command("pci").description("PCI devices of the host in a VM, also while it runs.");
  const load = () => import("./commands/vm-pci.ts");
  const change = (name: string, description: string): Cli =>
    addMutationOptions(devices.command(name).description(description))
      .option("--dry-run", "Show what would happen and change nothing.")
      .argument(...VM);
  change("attach", "Give a VM a PCI device of the host, for it alone.")
    .argument("<device>", "Its PCI address, or an alias of host.deviceAliases.")
    .action(bind(async () => (await load()).attachPciDevice));
  change("detach", "Take a PCI device from a VM; a running guest has to release it.")
    .argument("<device>", "Its PCI address, or its name in the VM.")
    .action(bind(async () => (await load()).detachPciDevice));
}
