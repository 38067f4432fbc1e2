import { Option, type Command as Cli } from "commander";
import { nicLinks } from "../contract/spec-enums.ts";
import { addMutationOptions, collect, size } from "./options.ts";
import type { Bind } from "./session.ts";

const VM = ["<vm>", "Its name or id."] as const;
const NIC = ["<nic>", "The NIC's name in the VM."] as const;

/** `socle vm nic`. */
export function addVmNics(vm: Cli, bind: Bind): void {
  const nics = vm.command("nic").description("Network interfaces of a VM, also while it runs.");
  const load = () => import("./commands/vm-nic.ts");
  const change = (name: string, description: string): Cli =>
    addMutationOptions(nics.command(name).description(description))
      .option("--dry-run", "Show what would happen and change nothing.")
      .argument(...VM);
  change("attach", "Add a NIC to a VM.")
    .argument("<source>", "A libvirt network, or bridge:BRIDGE.")
    .requiredOption("--name <name>", "The NIC's name in the VM.")
    .option("--mac <address>", "Its MAC address; by default derived from the VM's id and the NIC's name.")
    .option("--allowed-address <ip>", "An IP address that the guest may use; may be repeated.", collect)
    .option("--allow-spoofing", "No filter against spoofing; the host must allow it.")
    .option("--link-down", "The guest sees no link, as with an unplugged cable.")
    .action(bind(async () => (await load()).attachNic));
  change("detach", "Take a NIC from a VM; a running guest has to release it.")
    .argument(...NIC)
    .action(bind(async () => (await load()).detachNic));
  change("update", "Change a NIC of a VM.")
    .argument(...NIC)
    .addOption(
      new Option("--link <state>", "Plug or unplug its cable, as the guest sees it.").choices(nicLinks.words),
    )
    .option("--inbound-rate <size>", "The bytes that the guest receives in a second.", size("--inbound-rate"))
    .option("--outbound-rate <size>", "The bytes that the guest sends in a second.", size("--outbound-rate"))
    .option("--inbound-burst <size>", "What it receives at once above the rate.", size("--inbound-burst"))
    .option("--outbound-burst <size>", "What it sends at once above the rate.", size("--outbound-burst"))
    .option("--no-limits", "No limits; a rate replaces all limits.")
    .action(bind(async () => (await load()).updateNic));
}
