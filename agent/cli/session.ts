import { readFile } from "node:fs/promises";
import { connect, type Agent, type Target } from "./client.ts";
import { systemClock } from "../kernel/clock.ts";
import type { SocleError } from "../kernel/errors.ts";
import { exitCodeOf, hintsFor, usageError, withOptions, type ExitCode } from "./errors.ts";
import { printable, printableJson } from "./format.ts";
import { painter, type CliIo, type Paint } from "./io.ts";
import { toJson } from "./json.ts";
import { messageOf } from "../kernel/thrown.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  readonly socket?: string;
  readonly address?: string;
  readonly json?: boolean;
  readonly controlEpoch?: number;
  readonly personFile?: string;
  readonly ticket?: string;
  readonly breakGlass?: string;
}

const defaultSocket = "/run/socle/agent.sock";

/** One run of a command: its output, its connection to the agent, and its interrupt. */
export class Session {
  readonly io: CliIo;
  readonly json: boolean;
  /** For stdout. */
  readonly paint: Paint;
  /** For stderr. */
  readonly paintNote: Paint;
  readonly interrupt: AbortSignal;
  readonly target: Target;
  readonly #options: GlobalOptions;
  #agent: Promise<Agent> | undefined;

  constructor(io: CliIo, options: GlobalOptions, interrupt: AbortSignal) {
    this.io = io;
    this.json = options.json ?? false;
    this.paint = painter(io);
    this.paintNote = painter({ env: io.env, isTTY: io.stderr.isTTY === true });
    this.interrupt = interrupt;
    this.#options = options;
    this.target =
      options.address === undefined
        ? { kind: "socket", path: options.socket ?? (io.env.SOCLE_SOCKET || defaultSocket) }
        : { kind: "tcp", address: options.address };
  }

  /** The agent; connects at the first call. */
  agent(): Promise<Agent> {
    this.#agent ??= this.#connect();
    return this.#agent;
  }

  async #connect(): Promise<Agent> {
    const { personFile, controlEpoch, ticket, breakGlass } = this.#options;
    const person = personFile === undefined ? undefined : await readPerson(personFile);
    const callMetadata = { controlEpoch, person, ticket, breakGlass };
    return await connect(this.target, this.io.protoDirectory, this.interrupt, callMetadata);
  }

  /** The same with another interrupt and a connection of its own: for work after this one's interrupt. */
  aside(interrupt: AbortSignal): Session {
    return new Session(this.io, this.#options, interrupt);
  }

  /** Ends the connection; the next call of `agent` makes another. */
  async close(): Promise<void> {
    const agent = await this.#agent?.catch(() => undefined);
    this.#agent = undefined;
    agent?.close();
  }

  nowMs(): number {
    return (this.io.clock ?? systemClock).now();
  }

  print(text: string): void {
    this.io.stdout.write(text);
  }

  /** One JSON document; with `compact`, one line of several. */
  printJson(value: unknown, compact = false): void {
    this.print(`${printableJson(toJson(value), compact ? undefined : 2)}\n`);
  }

  /** Prints the result of a command: as JSON with --json, else as text. */
  show(result: unknown, text: () => string): void {
    if (this.json) this.printJson(result);
    else this.print(text());
  }

  note(text: string): void {
    this.io.stderr.write(`${text}\n`);
  }

  /** The error and advice, on stderr; with --json as one line of JSON. */
  printError(error: SocleError): ExitCode {
    const { kind, reason, message } = error;
    const exitCode = exitCodeOf(error);
    if (this.json) {
      const { fields = {}, metadata = {}, retryAfterMs = null } = error.details;
      const report = { kind, reason, message, fields, metadata, retryAfterMs, exitCode };
      this.note(printableJson({ error: report }));
      return exitCode;
    }
    const lines = [...message.split("\n"), ...hintsFor(error).map((hint) => `  ${hint}`)]
      .map(withOptions)
      .map(printable);
    this.note(`${this.paintNote("red", "socle:")} ${lines.join("\n")}`);
    return exitCode;
  }
}

/** A token from a file: other users can read a command line. */
async function readPerson(path: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (thrown) {
    const why = messageOf(thrown);
    throw usageError(`--person-file ${path} cannot be read: ${why}`);
  }
  if (/^[\w.-]+$/.test(text)) return text;
  throw usageError(`--person-file ${path} holds no token: one line of the form HEADER.CLAIMS.SIGNATURE`);
}

/** A command. Resolves to the exit code, or to nothing for 0; throws a SocleError. */
export type Command<Options = Record<string, unknown>> = (
  session: Session,
  args: readonly string[],
  options: Options,
) => Promise<ExitCode | undefined>;

/** Makes a commander action of a command. It is loaded when it runs: most need gRPC, which loads slowly. */
export type Bind = (load: () => Promise<Command>) => (...args: unknown[]) => Promise<void>;
