import { Option, type Command as Cli } from "commander";
import { moment } from "./moment.ts";
import { configOption, whole } from "./options.ts";
import type { Bind } from "./session.ts";

/** The commands about the audit log. They read its files, so they work while the agent is down, and on a copy. */
export function addAudit(program: Cli, bind: Bind): void {
  const audit = program.command("audit").description("Who did what on this host: the audit log.");
  const load = () => import("./commands/audit.ts");
  const command = (name: string, description: string): Cli =>
    audit
      .command(name)
      .description(description)
      .option(
        "--directory <path>",
        "Where the log is; default: audit in the configuration's state directory.",
      )
      .addOption(configOption())
      .option(
        "--key <file>",
        "The host's public audit key, kept elsewhere; default: key.pub beside the log.",
      );
  command("verify", "Check the whole log, and name the first entry that was changed, removed or moved.")
    .option(
      "--checkpoint <file>",
      "A checkpoint that was kept elsewhere, which the log or the export must fit.",
    )
    .option("--export <file>", "Check an export instead.")
    .option(
      "--receipt <file>",
      "Check a receipt of erased disks instead: the operation, as --json prints it.",
    )
    .action(bind(async () => (await load()).verifyAudit));
  filters(command("show", "Show entries, checked as they are read."))
    .option("--tenant <tenant>", "Only about VMs and reservations of this tenant.")
    .option("--denied", "Only what was denied or refused.")
    .addOption(
      new Option("--limit <number>", "At most so many, the newest.")
        .default(100)
        .argParser(whole("--limit", 1)),
    )
    .action(bind(async () => (await load()).showAudit));
  filters(command("export", "Print one tenant's entries with what proves them, and nothing of others."))
    .requiredOption("--tenant <tenant>", "Whose.")
    .action(bind(async () => (await load()).exportAudit));
  command("checkpoint", "Print the newest signed checkpoint, to be kept elsewhere.").action(
    bind(async () => (await load()).printCheckpoint),
  );
}

const filters = (command: Cli): Cli =>
  command
    .addOption(
      new Option("--since <time>", "Only from then on: 2026-03-01T12:00:00Z, or so long ago: 90m.").argParser(
        moment("--since"),
      ),
    )
    .option("--who <text>", "Only of callers with this in their name.")
    .option("--vm <vm>", "Only about this VM, by its id, or the name that it was made with.");
