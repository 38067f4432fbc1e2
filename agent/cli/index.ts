import { setMaxListeners } from "node:events";
import { CommanderError, type Command as Cli } from "commander";
import { toSocleError } from "../kernel/errors.ts";
import { exitCodeOf, exitCodes, usageError } from "./errors.ts";
import type { CliIo } from "./io.ts";
import { buildProgram } from "./program.ts";
import { Session, type GlobalOptions } from "./session.ts";

export type { CliIo } from "./io.ts";

/**
 * Runs one command: `argv` follows the program's name. Resolves to the exit code (errors.ts) once the output is
 * flushed; never throws, and prints no stack trace. Ctrl-C ends every wait.
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const stop = new AbortController();
  // Every call in flight observes it.
  setMaxListeners(0, stop.signal);
  const outputs = [io.stdout, io.stderr];
  const lost: NodeJS.ErrnoException[] = [];
  const onOutputError = (error: NodeJS.ErrnoException): void => {
    lost.push(error);
    stop.abort();
  };
  // Never removed: a pipe can report EPIPE after the last write.
  for (const output of outputs) output.on("error", onOutputError);
  const exitCode = await run(argv, io, stop, () => lost.length > 0);
  await Promise.all(outputs.map((output) => new Promise((resolve) => output.write("", resolve))));
  // The reader of the output has gone (socle events | head): a normal end.
  const unwritten = lost.find(({ code }) => code !== "EPIPE" && code !== "ERR_STREAM_DESTROYED");
  if (unwritten === undefined) return exitCode;
  io.stderr.write(`socle: output is incomplete: ${unwritten.message}\n`);
  return exitCodes.failed;
}

async function run(
  argv: readonly string[],
  io: CliIo,
  stop: AbortController,
  isUnheard: () => boolean,
): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const onInterrupt = (): void => stop.abort();
  const program = buildProgram(io.version, (load) => async (...given) => {
    const command = given.at(-1) as Cli;
    const options = command.optsWithGlobals<GlobalOptions & Record<string, unknown>>();
    const session = new Session(io, options, stop.signal);
    // The agent has its own shutdown.
    if (command.name() !== "agent") process.on("SIGINT", onInterrupt);
    try {
      exitCode = (await (await load())(session, command.processedArgs as string[], options)) ?? exitCodes.ok;
    } catch (thrown) {
      const error = toSocleError(thrown);
      exitCode = isUnheard() ? exitCodeOf(error) : session.printError(error);
    } finally {
      process.off("SIGINT", onInterrupt);
      await session.close();
    }
  });
  const json = argv.includes("--json");
  prepare(program, io, json);
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (thrown) {
    const isOfCommander = thrown instanceof CommanderError;
    if (isOfCommander && thrown.exitCode === 0) return exitCodes.ok;
    if (isOfCommander && !json) return exitCodes.usage;
    const error = isOfCommander ? usageError(wordsOf(thrown)) : toSocleError(thrown);
    return new Session(io, { json }, stop.signal).printError(error);
  }
  return exitCode;
}

/** commander's error; where it shows the help instead, a command is missing. */
const wordsOf = ({ code, message }: CommanderError): string =>
  code === "commander.help" ? "a command is missing" : message.replace(/^error: /, "").replaceAll("\n", " ");

/** Redirects commander's output; with --json it prints no text beside the error, and nothing exits. */
function prepare(command: Cli, io: CliIo, json: boolean): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => {
      if (!json) io.stderr.write(text);
    },
    outputError: (text, write) => write(text.replace(/^error: /, "socle: ")),
    getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 120),
    getErrHelpWidth: () => Math.min(io.stderr.columns ?? 100, 120),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const inner of command.commands) prepare(inner, io, json);
}
