import type { Command } from "commander";
import { buildProgram } from "../../../agent/cli/program.ts";

/** Rejects when socle does not accept this command line. Runs nothing. */
export async function parseCommandLine(words: readonly string[]): Promise<void> {
  const program = buildProgram("", () => () => Promise.resolve());
  makeThrow(program);
  await program.parseAsync(words, { from: "user" });
}

function makeThrow(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  command.commands.forEach(makeThrow);
}
