import type { Command as Cli } from "commander";
import { moment } from "./moment.ts";
import { configOption, whole } from "./options.ts";
import type { Bind } from "./session.ts";

/** The commands on the audit log. They read its files, so they work while the agent is down, and on a copy. */
export function addAudit(program: Cli, bind: Bind): void {
  const audit = program.command("audit").description("The audit log: who did what on this host.");
  const load = () => import("./commands/audit.ts");
  const command = (name: string, description: string): Cli =>
    audit
      .command(name)
      .description(description)
      .option(
        "--directory <path>",
        "The log's directory; default: audit in the configuration's state directory.",
      )
      .addOption(configOption())
      .option(
        "--key <file>",
        "The host's public audit key, kept elsewhere; default: key.pub beside the log.",
      );
  command("verify", "Check the whole log; name the first entry that was changed, removed or moved.")
    .option("--checkpoint <file>", "A checkpoint kept elsewhere, which the log or the export must match.")
    .option("--export <file>", "Check an export instead.")
    .option(
      "--receipt <file>",
      "Check a receipt of erased disks instead: the operation, as --json prints it.",
    )
    .action(bind(async () => (await load()).verifyAudit));
  filters(command("show", "Show entries, checked as they are read."))
    .option("--tenant <tenant>", "Only entries on VMs and reservations of this tenant.")
    .option("--denied", "Only denied and refused calls.")
    .option("--limit <number>", "At most this many entries, the newest ones.", whole("--limit", 1), 100)
    .action(bind(async () => (await load()).showAudit));
  filters(command("export", "Print one tenant's entries with their proofs, and no other tenant's."))
    .requiredOption("--tenant <tenant>", "Whose.")
    .action(bind(async () => (await load()).exportAudit));
  command("checkpoint", "Print the newest signed checkpoint. Keep it elsewhere.").action(
    bind(async () => (await load()).printCheckpoint),
  );
}

const filters = (command: Cli): Cli =>
  command
    .option(
      "--since <time>",
      "Only since this time: 2026-03-01T12:00:00Z, or an age: 90m.",
      moment("--since"),
    )
    .option("--who <text>", "Only callers whose name contains this text.")
    .option("--vm <vm>", "Only this VM, by its id or the name it was created with.");
