import { Option, type Command as Cli } from "commander";
import { specEnums } from "../contract/spec-enums.ts";
import type { ChangeMethod } from "./commands/vm-change.ts";
import {
  addMutationOptions,
  addPlacementOptions,
  collect,
  duration,
  requestIdOption,
  size,
  whole,
} from "./options.ts";
import type { Bind } from "./session.ts";
import { addVmDisks } from "./vm-disk-program.ts";
import { addVmSnapshots } from "./vm-snapshot-program.ts";
import { addVmDump } from "./vm-dump-program.ts";
import { addVmSeed } from "./vm-seed-program.ts";
import { addVmRescue } from "./vm-rescue-program.ts";
import { addVmScreens } from "./vm-screen-program.ts";
import { addMachineOptions } from "./vm-machine-options.ts";
import { addVmArchives, addVmBackups, addVmRestore } from "./vm-backup-program.ts";
import { addVmNics } from "./vm-nic-program.ts";
import { addVmPciDevices } from "./vm-pci-program.ts";

export function addVm(program: Cli, bind: Bind): void {
  const vm = program.command("vm").description("Virtual machines.");
  vm.command("ls")
    .alias("list")
    .description("List the VMs of this host, those that Socle did not make too.")
    .option("--tenant <tenant>", "Only of this tenant.")
    .option(
      "--state <state>",
      "Only in this state (running, paused, stopped, ...); may be repeated.",
      collect,
    )
    .option("--label <key=value>", "Only with this label; may be repeated.", collect)
    .option("--name <prefix>", "Only with names that begin so.")
    .option("--managed", "Only those that Socle made.")
    .option("--unmanaged", "Only those that it did not make.")
    .option("-q, --quiet", "Names alone, one a line.")
    .action(bind(async () => (await import("./commands/vm-list.ts")).listVms));
  vm.command("show")
    .description("Everything known about a VM.")
    .argument("<vm>", "Its name or id.")
    .action(bind(async () => (await import("./commands/vm-list.ts")).showVm));
  const create = addPlacementOptions(
    vm
      .command("create")
      .description("Make a VM and start it.")
      .option("-f, --file <file>", "A spec in YAML or JSON, - for stdin; further options win over it.")
      .option("--example", "Print a spec with every field and its description, to start a file with.")
      .option("--name <name>", "Its name, unique on the host.")
      .option("--id <uuid>", "Its id; default: a new one.")
      .option("--vcpus <number>", "Its vCPUs.", whole("--vcpus", 1))
      .option("--max-vcpus <number>", "How many it can get while it runs.", whole("--max-vcpus", 1))
      .option("--memory <size>", "Its memory, e.g. 2GiB.", size("--memory"))
      .option("--max-memory <size>", "How much it can get while it runs.", size("--max-memory"))
      .option(
        "--disk <disk>",
        "pool/volume, or new:POOL:SIZE[:BASE] for a new one; may be repeated, the first boots.",
        collect,
      )
      .option("--image <image>", "A first disk over this image (socle image ls); it boots.")
      .option("--disk-size <size>", "The size of that disk; default: the image's.", size("--disk-size"))
      .option(
        "--cdrom <medium>",
        "A CD-ROM drive with image:NAME or pool/volume, behind the disks; may be repeated. The first boots an empty disk.",
        collect,
      )
      .option("--encrypt", "Encrypt its new disks (LUKS); the host needs a volume key.")
      .option("--nic <network>", "A network of libvirt, or bridge:NAME; may be repeated.", collect)
      .option("--kernel <pool/volume>", "Boot this kernel.")
      .option("--initrd <pool/volume>", "Its initial RAM disk.")
      .option("--cmdline <text>", "Its command line.")
      .addOption(acceleratorOption())
      .addOption(new Option("--firmware <kind>", "Default: bios.").choices(specEnums.firmware.words))
      .option("--tpm", "A TPM 2.0 of its own; the host needs a volume key.")
      .addOption(
        new Option("--launch-security <kind>", "Memory that the host cannot read.").choices(
          specEnums.launchSecurity.words,
        ),
      )
      .option("--hostname <name>", "For cloud-init: the guest's host name; default: the VM's name.")
      .option(
        "--ssh-key <file|key>",
        "For cloud-init: a public key, or a file of them; may be repeated.",
        collect,
      )
      .option(
        "--user-data <file>",
        "For cloud-init: its user data, - for stdin. Secret, so never an argument.",
      )
      .option(
        "--network-config <file>",
        "For cloud-init: its network configuration, - for stdin; default: DHCP on each NIC.",
      )
      .option("--seed-pool <pool>", "For cloud-init: where its seed is; default: with the first new disk.")
      .option("--guest-agent", "A channel for qemu-guest-agent.")
      .option("--autostart", "Start it when the host boots.")
      .addOption(startPriorityOption())
      .addOption(startDelayOption())
      .addOption(crashPolicyOption())
      .option("--label <key=value>", "A label; may be repeated.", collect)
      .option("--tenant <tenant>", "Whose it is.")
      .option("--leave-stopped", "Make it, and do not start it.")
      .option("--dry-run", "Check everything and change nothing.")
      .option("--reservation <id>", "Take the room that was reserved for it."),
  );
  addMachineOptions(create);
  addMutationOptions(create).action(bind(async () => (await import("./commands/vm-create.ts")).createVm));
  const change = (name: string, description: string): Cli =>
    addMutationOptions(vm.command(name).description(description)).argument("<vm>", "Its name or id.");
  const changes = () => import("./commands/vm-change.ts");
  const act = (command: Cli, method: ChangeMethod, fields?: readonly string[]): Cli =>
    command.action(bind(async () => (await changes()).changeVm(method, fields)));
  act(change("start", "Start a VM."), "StartVm");
  change("stop", "Ask the guest to shut down.")
    .option("--grace <duration>", "How long the guest may take, e.g. 90s.", duration("--grace"))
    .option(
      "--force",
      "Pull the plug if it does not stop in time (10 s for a guest that is paused or unresponsive, where --grace does not say); with --grace 0 at once. Nothing else cuts power.",
    )
    .action(bind(async () => (await changes()).stopVm));
  act(
    change("reboot", "Ask the guest to reboot.").option("--force", "Reset it instead of asking."),
    "RebootVm",
    ["force"],
  );
  act(change("pause", "Stop a VM's CPUs."), "PauseVm");
  act(change("resume", "Resume a paused VM."), "ResumeVm");
  addMachineOptions(
    change("update", "Change a VM: its labels, size, CPU model, devices, and what starts it again."),
    "from the next start on",
  )
    .option("--label <key=value>", "Set a label; may be repeated.", collect)
    .option("--remove-label <key>", "Remove a label; may be repeated.", collect)
    .option("--autostart", "Start it when the host boots.")
    .option("--no-autostart", "Do not start it when the host boots.")
    .addOption(startPriorityOption())
    .addOption(startDelayOption())
    .addOption(crashPolicyOption())
    .option("--vcpus <number>", "Its vCPUs; of a running VM at once, up to its maximum.", whole("--vcpus", 1))
    .option(
      "--max-vcpus <number>",
      "How many vCPUs it can get while it runs; 0: as many as it has. From the next start on.",
      whole("--max-vcpus", 0),
    )
    .option(
      "--memory <size>",
      "Its memory, e.g. 2GiB; of a running VM at once, up to what it was started with, or its maximum.",
      size("--memory"),
    )
    .option(
      "--max-memory <size>",
      "How much memory it can get while it runs; 0: as much as it has. From the next start on.",
      size("--max-memory"),
    )
    .addOption(
      new Option("--cpu-mode <mode>", "Its CPU model from the next start on.").choices([
        ...specEnums.cpuMode.words,
        "default",
      ]),
    )
    .option("--cpu-model <name>", "This CPU model, from the next start on.")
    .option(
      "--boot <names>",
      'The disks and NICs to boot from, e.g. "root,front", from the next start on; "": the first disk.',
    )
    .option("--dry-run", "Show when each change would take effect, and change nothing.")
    .action(bind(async () => (await import("./commands/vm-update.ts")).updateVm));
  addVmDisks(vm, bind);
  addVmSnapshots(vm, bind);
  addVmBackups(vm, bind);
  addVmRestore(vm, bind);
  addVmArchives(vm, bind);
  addVmNics(vm, bind);
  addVmPciDevices(vm, bind);
  act(
    change("suspend", "Write a VM's memory to the host's disk and stop it; start continues it."),
    "SuspendVm",
  );
  change("discard-saved-state", "Delete the memory that suspend saved: the next start boots the VM.")
    .option("--dry-run", "Show whether there is a saved state and change nothing.")
    .action(bind(async () => (await changes()).discardSavedState));
  act(change("nmi", "Send a running guest a non-maskable interrupt."), "InjectNmi");
  change("rm", "Delete a VM and the disks that were made for it.")
    .alias("delete")
    .option("--keep-disks", "Leave its disks where they are.")
    .option("--erase", "Make its disks unreadable before; the operation has a signed receipt.")
    .option("--force", "Pull the plug of a running VM first.")
    .option("-y, --yes", "Do not ask; needed with --json and where stdin is no terminal.")
    .option("--dry-run", "Show what would be destroyed and change nothing.")
    .action(bind(async () => (await import("./commands/vm-delete.ts")).deleteVm));
  vm.command("console")
    .description("A VM's serial console; Ctrl-] leaves it.")
    .argument("<vm>", "Its name or id.")
    .option("--force", "Take it over from its current user.")
    .action(bind(async () => (await import("./commands/console.ts")).vmConsole));
  addVmScreens(vm, bind);
  addVmRescue(vm, bind);
  addVmSeed(vm, bind);
  addVmDump(vm, bind);
}

const startPriorityOption = (): Option =>
  new Option(
    "--start-priority <number>",
    "With autostart: a higher one starts first, and stops last with the host; 0 to 1000.",
  ).argParser(whole("--start-priority", 0));

const startDelayOption = (): Option =>
  new Option(
    "--start-delay <duration>",
    "With autostart: how long to wait after the start before it, e.g. 10s.",
  ).argParser(duration("--start-delay"));

const crashPolicyOption = (): Option =>
  new Option("--crash-policy <policy>", "Whether the agent starts it again after a crash.").choices(
    specEnums.crashPolicy.words,
  );

const acceleratorOption = (): Option =>
  new Option("--accelerator <kind>", "Default: what the host is configured for.").choices(
    specEnums.accelerator.words,
  );

export function addReservations(program: Cli, bind: Bind): void {
  const reservations = program
    .command("reservation")
    .description("Room for VMs that are to come, claimed for a time.");
  const load = () => import("./commands/reservations.ts");
  const ttl = (command: Cli, otherwise: string): Cli =>
    command
      .addOption(requestIdOption())
      .option(
        "--ttl <duration>",
        `How long it is held, 1 s to 1 h; default: ${otherwise}.`,
        duration("--ttl"),
      );
  reservations
    .command("ls")
    .alias("list")
    .description("List those that are held.")
    .option("-a, --all", "Those that have ended as well, for 24 hours.")
    .action(bind(async () => (await load()).listReservations));
  const create = reservations
    .command("create")
    .description("Claim room for a VM; socle vm create --reservation takes it.")
    .requiredOption("--vcpus <number>", "Its vCPUs.", whole("--vcpus", 1))
    .requiredOption("--memory <size>", "Its memory, e.g. 2GiB.", size("--memory"))
    .addOption(acceleratorOption())
    .option("--tenant <tenant>", "Whose VM it is to be.");
  ttl(addPlacementOptions(create), "60s").action(bind(async () => (await load()).createReservation));
  ttl(reservations.command("renew").description("Begin its time anew."), "as before")
    .argument("<reservation>", "Its id.")
    .action(bind(async () => (await load()).renewReservation));
  reservations
    .command("release")
    .description("Give its room back.")
    .addOption(requestIdOption())
    .argument("<reservation>", "Its id.")
    .action(bind(async () => (await load()).releaseReservation));
}
