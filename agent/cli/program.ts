import { Argument, Command as Cli, Option } from "commander";
import { addAudit } from "./audit-program.ts";
import { addImages } from "./image-program.ts";
import { exitCodeMeanings, exitCodes } from "./errors.ts";
import {
  collect,
  configOption,
  defaultConfigPath,
  duration,
  hostPort,
  requestIdOption,
  shortText,
  timeoutOption,
  whole,
} from "./options.ts";
import type { Bind } from "./session.ts";
import { addStorage } from "./storage-program.ts";
import { addGuest } from "./guest-program.ts";
import { addReservations, addVm } from "./vm-program.ts";

/** Every command with its help and options; `bind` makes its action. */
export function buildProgram(version: string, bind: Bind): Cli {
  const program = new Cli("socle")
    .description("Drives the VMs of this host through its Socle agent.")
    .version(version, "-V, --version", "Print the version and exit.")
    .helpOption("-h, --help", "Show what a command does and takes.")
    .helpCommand(false)
    .option("--socket <path>", "The agent's unix socket (also SOCLE_SOCKET; default /run/socle/agent.sock).")
    .option(
      "--address <host:port>",
      "Reach the agent over TCP instead, as a scheduler does.",
      hostPort("--address"),
    )
    .option(
      "--control-epoch <number>",
      "With --address: command by the authority of the scheduler that has this control epoch.",
      whole("--control-epoch", 1),
    )
    .option(
      "--person-file <file>",
      "Say who acts: a token that the identity provider signed, in a file. It is sent with each call.",
    )
    .option(
      "--ticket <ticket>",
      "Say why: a change or an incident; kept with the operation and in the audit log.",
      shortText("--ticket"),
    )
    .option(
      "--break-glass <reason>",
      "In an emergency, at the host's own socket: act without a person's token. It raises an event and a condition.",
      shortText("--break-glass"),
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
      "The host, its VMs and the copies under way, live; keys sort and filter. Without a terminal, one look.",
    )
    .addOption(
      new Option("--sort <column>", "The largest first by this; name: in their order.")
        .choices(["cpu", "memory", "disk", "network", "name"])
        .default("cpu"),
    )
    .option("--filter <text>", "Only VMs with this in their name, tenant or state.")
    .option("--delay <duration>", "How often to look, e.g. 5s; default 2s.", duration("--delay"))
    .option("--once", "Print one look and end.")
    .action(bind(async () => (await import("./commands/top.ts")).top));
  addVm(program, bind);
  addImages(program, bind);
  addGuest(program, bind);
  program
    .command("inventory")
    .description(
      "What the host has: NUMA cells, storage pools, networks, PCI devices, traits, what guests can move among.",
    )
    .action(bind(async () => (await import("./commands/inventory.ts")).inventory));
  addStorage(program, bind);
  const health = program
    .command("health")
    .description("The host's health: each condition with its evidence, and what it means for VMs.")
    .action(bind(async () => (await import("./commands/health.ts")).showHealth));
  health
    .command("ack")
    .description("Say that you have seen why a condition is held: it then ends as it otherwise would.")
    .argument("<condition>", "Its type, e.g. MemoryUncorrected.")
    .addOption(requestIdOption())
    .action(bind(async () => (await import("./commands/health.ts")).acknowledge));
  program
    .command("events")
    .description("Follow what happens: VMs, libvirt, conditions, operations.")
    .option("--after <sequence>", "Begin after this event instead of now.", whole("--after", 0))
    .option("--since-start", "Begin with the agent's own start.")
    .option("--no-follow", "End after what has happened already.")
    .option("--kind <kind>", "Only this kind, e.g. vm_state_changed; may be repeated.", collect)
    .option("--vm <vm>", "Only of this VM.")
    .action(bind(async () => (await import("./commands/events.ts")).events));
  addOperations(program, bind);
  addReservations(program, bind);
  program
    .command("tenants")
    .description("What tenants have of this host, and their quotas.")
    .action(bind(async () => (await import("./commands/tenants.ts")).listTenants));
  program
    .command("cordon")
    .description("Refuse new VMs on this host; running VMs are not affected.")
    .requiredOption("--reason <text>", "Why, for the next operator.")
    .action(bind(async () => (await import("./commands/cordon.ts")).cordon));
  program
    .command("uncordon")
    .description("Accept new VMs again.")
    .action(bind(async () => (await import("./commands/cordon.ts")).uncordon));
  const host = program
    .command("host")
    .description("What only an administrator on this host may do: stop all guests, and the control epoch.");
  host
    .command("stop-guests")
    .description("Ask all guests to stop, the lowest start priority first, as the host's shutdown does.")
    .option("--timeout <duration>", "The time for all of them; default 5m.", duration("--timeout"))
    .option("--parallel <number>", "Ask at most so many at once; default 16.", whole("--parallel", 1))
    .option("--force", "Cut the power of those that are left at the end of the time.")
    .option("--at-shutdown", "Do nothing unless systemd shuts the host down.")
    .option("-y, --yes", "Needed without --at-shutdown.")
    .option("--dry-run", "Show the order and change nothing.")
    .action(bind(async () => (await import("./commands/stop-guests.ts")).stopGuests));
  const epoch = host
    .command("epoch")
    .description("Print the highest control epoch that this host accepted: older schedulers are refused.")
    .action(bind(async () => (await import("./commands/epoch.ts")).showEpoch));
  epoch
    .command("reset")
    .description(
      "Set it, up or down, after a scheduler raised it wrongly. Only by the agent's unix socket; audited.",
    )
    .requiredOption(
      "--to <number>",
      "The control epoch of the scheduler that is in charge.",
      whole("--to", 0),
    )
    .action(bind(async () => (await import("./commands/epoch.ts")).resetEpoch));
  program
    .command("enroll")
    .description(
      "Get this host its certificate: its agent makes a key that never leaves it, and asks the scheduler.",
    )
    .requiredOption("--scheduler <host:port>", "Where the scheduler enrolls hosts.", hostPort("--scheduler"))
    .requiredOption(
      "--token-file <file>",
      "Holds the token that the scheduler made for this host, good once; - is stdin. Never in a command line, which all of the host can read.",
    )
    .option(
      "--authority-fingerprint <sha256>",
      "The new authority's, in hexadecimal: needed where this host is enrolled already. It replaces whom the host believes.",
    )
    .action(bind(async () => (await import("./commands/trust.ts")).enroll));
  program
    .command("trust")
    .description("What this host proves itself with, until when, and what is wrong with it.")
    .action(bind(async () => (await import("./commands/trust.ts")).showTrust));
  addAudit(program, bind);
  program
    .command("doctor")
    .description("Look for what is wrong, and say what to do. Works while the agent is down.")
    .addOption(configOption())
    .action(bind(async () => (await import("./commands/doctor.ts")).doctor));
  const config = program.command("config").description("The agent's configuration.");
  config
    .command("check")
    .description("Check a configuration file; the agent refuses what this refuses.")
    .addArgument(new Argument("[file]", `The file; default: ${defaultConfigPath}.`))
    .addOption(fileOption())
    .action(bind(async () => (await import("./commands/config.ts")).checkConfig));
  config
    .command("show")
    .description("Print the configuration in force, every default filled in, secrets left out.")
    .addArgument(new Argument("[file]", `The file; default: ${defaultConfigPath}.`))
    .addOption(fileOption())
    .option("--example", "Print a file with every key, its words and its default instead, to begin with.")
    .action(bind(async () => (await import("./commands/config.ts")).showConfig));
  program
    .command("version")
    .description("Print the version of socle, of Node, and of the agent where it runs.")
    .option("--client", "Do not ask the agent.")
    .action(bind(async () => (await import("./commands/version.ts")).version));
  program
    .command("completion")
    .description(
      'Print the completion for bash: eval "$(socle completion bash)"; in zsh after autoload -U +X bashcompinit && bashcompinit.',
    )
    .addArgument(new Argument("<shell>", "The shell.").choices(["bash"]))
    .action(bind(async () => (await import("./commands/completion.ts")).completionOf(program)));
  return program;
}

/** The same option as in other commands. */
const fileOption = (): Option => new Option("--config <file>", "The same, as other commands take it.");

function exitStatus(): string {
  const lines = Object.entries(exitCodes).map(
    ([name, code]) => `  ${String(code).padStart(3)}  ${exitCodeMeanings[name as keyof typeof exitCodes]}`,
  );
  return `\nExit status:\n${lines.join("\n")}`;
}

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
    .option("--limit <number>", "At most so many.", whole("--limit", 1), 50)
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
    .description("Request that it stops; its outcome shows what was rolled back.")
    .argument("<operation>", "Its id.")
    .option("--no-wait", "Do not wait for its end.")
    .addOption(timeoutOption())
    .action(bind(async () => (await load()).cancelOperation));
  operations
    .command("settle")
    .description(
      "End an operation of unknown outcome, so that its VM can be changed again; nothing is executed. " +
        "It is refused while the agent works on the operation: wait until socle operations show has no running step, " +
        "and check the VM (virsh domstate).",
    )
    .argument("<operation>", "Its id.")
    .addOption(
      new Option("--as <outcome>", "Whether its effect happened.")
        .choices(["done", "not-done"])
        .makeOptionMandatory(),
    )
    .action(bind(async () => (await load()).settleOperation));
}
