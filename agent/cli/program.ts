import { Argument, Command as Cli, Option } from "commander";
import { addAudit } from "./audit-program.ts";
import { exitCodeMeanings, exitCodes, usageError } from "./errors.ts";
import { parseBytes, parseDuration } from "./format.ts";
import type { Bind } from "./session.ts";

export const defaultConfigPath = "/etc/socle/agent.yaml";

/** Every command with its words and options; `bind` says what running one means. */
export function buildProgram(version: string, bind: Bind): Cli {
  const program = new Cli("socle")
    .description("Drives the VMs of this host through its Socle agent.")
    .version(version, "-V, --version", "Print the version and exit.")
    .helpOption("-h, --help", "Show what a command does and takes.")
    .helpCommand(false)
    .option("--socket <path>", "The agent's unix socket (also SOCLE_SOCKET; default /run/socle/agent.sock).")
    .option("--address <host:port>", "Reach the agent over TCP instead, as a scheduler does.")
    .addOption(
      new Option(
        "--control-epoch <number>",
        "With --address: command by the authority of the scheduler that has this control epoch.",
      ).argParser(whole("--control-epoch", 1)),
    )
    .option(
      "--person-file <file>",
      "Say who acts: a token that the identity provider signed, in a file. It is sent with each call.",
    )
    .addOption(
      new Option(
        "--ticket <ticket>",
        "Say why: a change or an incident; kept with the operation and in the audit log.",
      ).argParser(shortText("--ticket")),
    )
    .addOption(
      new Option(
        "--break-glass <reason>",
        "In an emergency, at the host's own socket: act without a person's token. Everybody is told.",
      ).argParser(shortText("--break-glass")),
    )
    .option("--json", "Print JSON for programs: one document, or a line each where something is followed.")
    .showSuggestionAfterError()
    .addHelpText("after", exitStatus())
    .configureHelp({ showGlobalOptions: true });

  program
    .command("agent")
    .description("Run the agent in the foreground, as its service does.")
    .addOption(configOption())
    .action(bind(async () => (await import("./commands/agent.ts")).runAgent));
  program
    .command("status")
    .description("The host at a glance: health, capacity, VMs, operations under way.")
    .action(bind(async () => (await import("./commands/status.ts")).status));
  program
    .command("top")
    .description(
      "The host and its VMs as they are, live; keys sort and filter. One look where nobody watches.",
    )
    .addOption(
      new Option("--sort <column>", "The largest first by this; name: in their order.")
        .choices(["cpu", "memory", "disk", "network", "name"])
        .default("cpu"),
    )
    .option("--filter <text>", "Only VMs with this in their name, tenant or state.")
    .addOption(
      new Option("--delay <duration>", "How often to look, e.g. 5s; default 2s.").argParser(
        duration("--delay"),
      ),
    )
    .option("--once", "Print one look and end.")
    .action(bind(async () => (await import("./commands/top.ts")).top));
  addVm(program, bind);
  program
    .command("inventory")
    .description(
      "What the host has: NUMA cells, storage pools, networks, PCI devices, traits, what guests can move among.",
    )
    .action(bind(async () => (await import("./commands/inventory.ts")).inventory));
  const health = program
    .command("health")
    .description("The host's health: each condition with its evidence, and what it means for VMs.")
    .action(bind(async () => (await import("./commands/health.ts")).showHealth));
  health
    .command("ack")
    .description("Say that you have seen why a condition is held: it then ends as it otherwise would.")
    .argument("<condition>", "Its type, e.g. MemoryUncorrected.")
    .option("--request-id <id>", "Repeating a command with the same id does it once; default: a new one.")
    .action(bind(async () => (await import("./commands/health.ts")).acknowledge));
  program
    .command("events")
    .description("Follow what happens: VMs, libvirt, conditions, operations.")
    .addOption(
      new Option("--after <sequence>", "Begin after this event instead of now.").argParser(
        whole("--after", 0),
      ),
    )
    .option("--since-start", "Begin with the agent's own start.")
    .option("--no-follow", "End after what has happened already.")
    .option("--kind <kind>", "Only this kind, e.g. vm_state_changed; may be repeated.", collect)
    .option("--vm <vm>", "Only of this VM.")
    .action(bind(async () => (await import("./commands/events.ts")).events));
  addOperations(program, bind);
  addReservations(program, bind);
  program
    .command("cordon")
    .description("Keep new VMs away from this host; those that run, run on.")
    .requiredOption("--reason <text>", "Why, for whoever looks at it next.")
    .action(bind(async () => (await import("./commands/cordon.ts")).cordon));
  program
    .command("uncordon")
    .description("Let new VMs come again.")
    .action(bind(async () => (await import("./commands/cordon.ts")).uncordon));
  program
    .command("enroll")
    .description(
      "Get this host its certificate: its agent makes a key that never leaves it, and asks the scheduler.",
    )
    .requiredOption("--scheduler <host:port>", "Where the scheduler enrolls hosts.")
    .requiredOption(
      "--token-file <file>",
      "Holds the token that the scheduler made for this host, good once; - is stdin. Never in a command line, which all of the host can read.",
    )
    .action(bind(async () => (await import("./commands/trust.ts")).enroll));
  program
    .command("trust")
    .description("What this host proves itself with, until when, and what is wrong with it.")
    .action(bind(async () => (await import("./commands/trust.ts")).showTrust));
  addAudit(program, bind, configOption);
  program
    .command("doctor")
    .description("Look for what is wrong, and say what to do. Works while the agent is down.")
    .addOption(configOption())
    .action(bind(async () => (await import("./commands/doctor.ts")).doctor));
  const config = program.command("config").description("The agent's configuration.");
  config
    .command("check")
    .description("Check a configuration file; the agent refuses what this refuses.")
    .addArgument(new Argument("[file]", "The file.").default(defaultConfigPath))
    .action(bind(async () => (await import("./commands/config.ts")).checkConfig));
  config
    .command("show")
    .description("Print the configuration in force, every default filled in, secrets left out.")
    .addArgument(new Argument("[file]", "The file.").default(defaultConfigPath))
    .option("--example", "Print a file with every key, its words and its default instead, to begin with.")
    .action(bind(async () => (await import("./commands/config.ts")).showConfig));
  program
    .command("version")
    .description("Print the version of socle, of Node, and of the agent where it runs.")
    .option("--client", "Do not ask the agent.")
    .action(bind(async () => (await import("./commands/version.ts")).version));
  program
    .command("completion")
    .description('Print the completion for a shell: eval "$(socle completion bash)"')
    .addArgument(new Argument("<shell>", "The shell.").choices(["bash"]))
    .action(bind(async () => (await import("./commands/completion.ts")).completionOf(program)));
  return program;
}

function exitStatus(): string {
  const lines = Object.entries(exitCodes).map(
    ([name, code]) => `  ${String(code).padStart(3)}  ${exitCodeMeanings[name as keyof typeof exitCodes]}`,
  );
  return `\nExit status:\n${lines.join("\n")}`;
}

function addVm(program: Cli, bind: Bind): void {
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
      .option("--name <name>", "Its name, unique on the host.")
      .option("--id <uuid>", "Its id; default: a new one.")
      .addOption(new Option("--vcpus <number>", "Its vCPUs.").argParser(whole("--vcpus", 1)))
      .addOption(new Option("--memory <size>", "Its memory, e.g. 2GiB.").argParser(size("--memory")))
      .option(
        "--disk <disk>",
        "pool/volume, or new:POOL:SIZE[:BASE] for a new one; may be repeated, the first boots.",
        collect,
      )
      .option("--encrypt", "Encrypt its new disks (LUKS); the host needs a volume key.")
      .option("--nic <network>", "A network of libvirt, or bridge:NAME; may be repeated.", collect)
      .option("--kernel <pool/volume>", "Boot this kernel.")
      .option("--initrd <pool/volume>", "Its initial RAM disk.")
      .option("--cmdline <text>", "Its command line.")
      .addOption(
        new Option("--accelerator <kind>", "Default: what the host is configured for.").choices([
          "kvm",
          "tcg",
        ]),
      )
      .addOption(
        new Option("--firmware <kind>", "Default: bios.").choices(["bios", "uefi", "uefi-secure-boot"]),
      )
      .option("--tpm", "A TPM 2.0 of its own; the host needs a volume key.")
      .addOption(
        new Option("--launch-security <kind>", "Memory that the host cannot read.").choices([
          "sev",
          "sev-snp",
          "tdx",
        ]),
      )
      .option("--guest-agent", "A channel for qemu-guest-agent.")
      .option("--autostart", "Start it when the host boots.")
      .option("--label <key=value>", "A label; may be repeated.", collect)
      .option("--tenant <tenant>", "Whose it is.")
      .option("--leave-stopped", "Make it, and do not start it.")
      .option("--dry-run", "Check everything and change nothing.")
      .option("--reservation <id>", "Take the room that was reserved for it."),
  );
  addMutationOptions(create).action(bind(async () => (await import("./commands/vm-create.ts")).createVm));
  const change = (name: string, description: string): Cli =>
    addMutationOptions(vm.command(name).description(description)).argument("<vm>", "Its name or id.");
  const changes = () => import("./commands/vm-change.ts");
  change("start", "Start a VM.").action(bind(async () => (await changes()).startVm));
  change("stop", "Ask the guest to shut down.")
    .addOption(
      new Option("--grace <duration>", "How long the guest may take, e.g. 90s.").argParser(
        duration("--grace"),
      ),
    )
    .option("--force", "Pull the plug if it does not stop in time; with --grace 0 at once.")
    .action(bind(async () => (await changes()).stopVm));
  change("reboot", "Ask the guest to reboot.")
    .option("--force", "Reset it instead of asking.")
    .action(bind(async () => (await changes()).rebootVm));
  change("pause", "Stop a VM's CPUs.").action(bind(async () => (await changes()).pauseVm));
  change("resume", "Let a paused VM run on.").action(bind(async () => (await changes()).resumeVm));
  change("rm", "Delete a VM and the disks that were made for it.")
    .alias("delete")
    .option("--keep-disks", "Leave its disks where they are.")
    .option("--erase", "Make its disks unreadable before; the operation has a signed receipt.")
    .option("--force", "Pull the plug of a running VM first.")
    .option("-y, --yes", "Do not ask.")
    .option("--dry-run", "Show what would be destroyed and change nothing.")
    .action(bind(async () => (await import("./commands/vm-delete.ts")).deleteVm));
  vm.command("console")
    .description("A VM's serial console; Ctrl-] leaves it.")
    .argument("<vm>", "Its name or id.")
    .option("--force", "Take it over from whoever holds it.")
    .action(bind(async () => (await import("./commands/console.ts")).vmConsole));
}

function addReservations(program: Cli, bind: Bind): void {
  const reservations = program
    .command("reservation")
    .description("Room for VMs that are to come, claimed for a time.");
  const load = () => import("./commands/reservations.ts");
  const requestId = (command: Cli): Cli =>
    command.option(
      "--request-id <id>",
      "Repeating a command with the same id does it once; default: a new one.",
    );
  const ttl = (command: Cli, otherwise: string): Cli =>
    requestId(command).addOption(
      new Option("--ttl <duration>", `How long it is held, 1 s to 1 h; default: ${otherwise}.`).argParser(
        duration("--ttl"),
      ),
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
    .addOption(
      new Option("--vcpus <number>", "Its vCPUs.").argParser(whole("--vcpus", 1)).makeOptionMandatory(),
    )
    .addOption(
      new Option("--memory <size>", "Its memory, e.g. 2GiB.")
        .argParser(size("--memory"))
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--accelerator <kind>", "Default: what the host is configured for.").choices(["kvm", "tcg"]),
    )
    .option("--tenant <tenant>", "Whose VM it is to be.");
  ttl(addPlacementOptions(create), "60s").action(bind(async () => (await load()).createReservation));
  ttl(reservations.command("renew").description("Begin its time anew."), "as before")
    .argument("<reservation>", "Its id.")
    .action(bind(async () => (await load()).renewReservation));
  requestId(reservations.command("release").description("Give its room back."))
    .argument("<reservation>", "Its id.")
    .action(bind(async () => (await load()).releaseReservation));
}

const addPlacementOptions = (command: Cli): Cli =>
  command
    .option("--dedicated-cpus", "Each vCPU on a CPU of its own, out of the host's dedicated pool.")
    .option("--isolate-emulator", "With --dedicated-cpus: one more for QEMU's own threads.")
    .option("--strict", "CPUs, memory and devices of one NUMA cell, or not at all.")
    .addOption(
      new Option("--cell <number>", "Of this NUMA cell, or not at all.").argParser(whole("--cell", 0)),
    )
    .addOption(
      new Option(
        "--page-size <size>",
        "Of the pages behind its memory: 4KiB, 2MiB or 1GiB; default: 4KiB.",
      ).argParser(size("--page-size")),
    )
    .option("--device <device>", "A device of the host, by PCI address or alias; may be repeated.", collect);

function addOperations(program: Cli, bind: Bind): void {
  const operations = program
    .command("operations")
    .alias("ops")
    .description("Changes under way and done; kept for 24 hours.");
  const load = () => import("./commands/operations.ts");
  operations
    .command("ls")
    .alias("list")
    .description("List them, the newest first.")
    .option("--running", "Only those under way.")
    .option("--vm <vm>", "Only of this VM.")
    .addOption(new Option("--limit <number>", "At most so many.").default(50).argParser(whole("--limit", 1)))
    .action(bind(async () => (await load()).listOperations));
  operations
    .command("show")
    .description("An operation with its steps.")
    .argument("<operation>", "Its id.")
    .action(bind(async () => (await load()).showOperation));
  operations
    .command("wait")
    .description("Wait for its end; exits as the command that began it would.")
    .argument("<operation>", "Its id.")
    .addOption(timeoutOption())
    .action(bind(async () => (await load()).waitOperation));
  operations
    .command("cancel")
    .description("Ask it to stop; its outcome says what was undone.")
    .argument("<operation>", "Its id.")
    .option("--no-wait", "Do not wait for its end.")
    .addOption(timeoutOption())
    .action(bind(async () => (await load()).cancelOperation));
}

const addMutationOptions = (command: Cli): Cli =>
  command
    .option("--request-id <id>", "Repeating a command with the same id does it once; default: a new one.")
    .option("--no-wait", "Do not wait for the end; print the operation's id.")
    .addOption(timeoutOption());

const timeoutOption = (): Option =>
  new Option("--timeout <duration>", "Wait no longer than this; the operation goes on.").argParser(
    duration("--timeout"),
  );

const configOption = (): Option =>
  new Option("--config <file>", "The configuration file.").default(defaultConfigPath);

const collect = (value: string, before: string[] = []): string[] => [...before, value];

const whole =
  (option: string, least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw usageError(`${option} takes a whole number from ${least}, not '${text}'`);
    }
    return value;
  };

/** What metadata can carry. */
const shortText =
  (option: string) =>
  (text: string): string => {
    if (/^[!-~]([ -~]{0,126}[!-~])?$/.test(text)) return text;
    throw usageError(`${option} takes 1 to 128 characters of printable ASCII`);
  };

const size =
  (option: string) =>
  (text: string): number => {
    const bytes = parseBytes(text);
    if (bytes === undefined) throw usageError(`${option} takes a size like 512MiB or 2GiB, not '${text}'`);
    return bytes;
  };

/** In milliseconds. */
const duration =
  (option: string) =>
  (text: string): number => {
    const ms = parseDuration(text);
    if (ms === undefined) throw usageError(`${option} takes a duration like 90s or 5m, not '${text}'`);
    return ms;
  };
