import { setMaxListeners } from "node:events";
import { CommanderError, type Command as Cli } from "commander";
import { toSocleError } from "../kernel/errors.ts";
import { exitCodes } from "./errors.ts";
import type { CliIo } from "./io.ts";
import { buildProgram } from "./program.ts";
import { Session, type GlobalOptions } from "./session.ts";

export type { CliIo } from "./io.ts";

/**
 * Runs one command: `argv` is what follows the program's name. Resolves to the exit code (errors.ts); never throws,
 * and prints no stack trace. Ctrl-C ends whatever it waits for.
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const stop = new AbortController();
  // Every call under way listens to it.
  setMaxListeners(0, stop.signal);
  const onInterrupt = (): void => stop.abort();
  // Whoever read our output has gone (socle events | head): that is a normal end.
  let readerGone = false;
  const onOutputError = (): void => {
    readerGone = true;
    stop.abort();
  };
  const program = buildProgram(io.version, (load) => async (...given) => {
    const command = given.at(-1) as Cli;
    const options = command.optsWithGlobals<GlobalOptions & Record<string, unknown>>();
    const session = new Session(io, options, stop.signal);
    // The agent has its own way of stopping.
    if (command.name() !== "agent") process.on("SIGINT", onInterrupt);
    try {
      exitCode = (await (await load())(session, command.processedArgs as string[], options)) ?? exitCodes.ok;
    } catch (thrown) {
      exitCode = readerGone ? exitCodes.ok : session.printError(toSocleError(thrown));
    } finally {
      process.off("SIGINT", onInterrupt);
      await session.close();
    }
  });
  prepare(program, io);
  io.stdout.on("error", onOutputError);
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const json = argv.includes("--json");
    return new Session(io, { json }, stop.signal).printError(toSocleError(thrown));
  } finally {
    io.stdout.off("error", onOutputError);
  }
  return exitCode;
}

/** Words go where main.ts says, and nothing exits. */
function prepare(command: Cli, io: CliIo): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => void io.stderr.write(text),
    outputError: (text, write) => write(text.replace(/^error: /, "socle: ")),
    getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 120),
    getErrHelpWidth: () => Math.min(io.stderr.columns ?? 100, 120),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const inner of command.commands) prepare(inner, io);
}
