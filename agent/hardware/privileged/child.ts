import { spawn } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SocleError } from "../../kernel/errors.ts";

export interface ChildOptions {
  readonly timeoutMs: number;
  /** Limit for stdout and stderr each. */
  readonly maxOutputBytes: number;
  readonly signal?: AbortSignal;
  /** Accepts every exit code: some programs encode results in it. */
  readonly anyExitCode?: boolean;
}

export interface ChildOutput {
  readonly stdout: string;
  readonly stderr: string;
}

export interface Child {
  /**
   * The output after exit code 0 (or any code with `anyExitCode`). Rejects with `timeout`, `cancelled`
   * (by the signal), `exhausted` (too much output), `unavailable` (not started) or `internal` (failed).
   * Settles by the deadline even if the process does not die.
   */
  readonly output: Promise<ChildOutput>;
  /** Resolves when the process has exited: a process stuck in a dead filesystem survives SIGKILL. */
  readonly gone: Promise<void>;
}

/** A child that is gone once its output is there or has failed. */
export const childOf = (output: Promise<ChildOutput>): Child => ({
  output,
  gone: output.then(
    () => undefined,
    () => undefined,
  ),
});

/** Children do not inherit the agent's environment, only a PATH and English output. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** Runs at most one child per subject until it exits, so that stuck children do not accumulate. */
export class OneChild {
  /** Start time (wall clock) of a subject's child. */
  readonly #startedMs = new Map<string, number>();

  /** As `start`, but rejects at once with `timeout` CHILD_STUCK while an earlier child lives. */
  of(thing: string, start: () => Child): Child {
    const earlierMs = this.#startedMs.get(thing);
    if (earlierMs !== undefined) {
      const since = new Date(earlierMs).toISOString();
      const message = `an earlier child for ${thing} still runs, since ${since}`;
      return {
        output: Promise.reject(new SocleError("timeout", "CHILD_STUCK", message)),
        gone: Promise.resolve(),
      };
    }
    const child = start();
    this.#startedMs.set(thing, Date.now());
    const gone = child.gone.then(() => void this.#startedMs.delete(thing));
    return { output: outputThenExit(child.output, gone), gone };
  }
}

/** The exit arrives by the turn after the output: a caller that has the output may start the next child. */
async function outputThenExit<T>(output: Promise<T>, gone: Promise<void>): Promise<T> {
  try {
    return await output;
  } finally {
    await Promise.race([gone, nextTurn()]);
  }
}

let lastTurn: Promise<unknown> = Promise.resolve();

/**
 * Runs a program without a shell, in its own process group, which is killed at the deadline. At most one child starts
 * per turn of the event loop: fork() copies the page tables of the whole agent, which takes milliseconds.
 */
export function runChild(argv: readonly [string, ...string[]], options: ChildOptions): Child {
  const turn = lastTurn.then(() => nextTurn());
  lastTurn = turn;
  const child = turn.then(() => start(argv, options));
  return {
    output: child.then(({ output }) => output),
    gone: child.then(({ gone }) => gone).catch(() => undefined),
  };
}

function start(argv: readonly [string, ...string[]], options: ChildOptions): Child {
  const [program, ...args] = argv;
  const givenUp = (): SocleError => new SocleError("cancelled", "CANCELLED", `${program} was cancelled`);
  if (options.signal?.aborted === true) throw givenUp();
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: ENVIRONMENT,
  });
  const gone = new Promise<void>((resolve) => {
    child.on("exit", () => resolve());
    child.on("error", () => resolve());
  });
  const output = new Promise<ChildOutput>((resolve, reject) => {
    const texts = { stdout: "", stderr: "" };
    const settle = (): void => {
      clearTimeout(deadline);
      options.signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (error: SocleError): void => {
      settle();
      killGroup(child.pid);
      // An unkillable process must not keep the agent from exiting.
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      reject(error);
    };
    const deadline = setTimeout(() => {
      const message = `${program} did not end within ${options.timeoutMs} ms`;
      giveUp(new SocleError("timeout", "CHILD_TIMEOUT", message));
    }, options.timeoutMs);
    const onAbort = (): void => giveUp(givenUp());
    options.signal?.addEventListener("abort", onAbort, { once: true });
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        texts[name] += text;
        if (texts[name].length <= options.maxOutputBytes) return;
        const message = `${program} wrote more than ${options.maxOutputBytes} bytes`;
        giveUp(new SocleError("exhausted", "CHILD_OUTPUT_TOO_LONG", message));
      });
    }
    child.on("error", (cause) => {
      giveUp(new SocleError("unavailable", "CHILD_NOT_STARTED", cause.message, { cause }));
    });
    child.on("close", (code, signal) => {
      settle();
      if (code === 0 || (code !== null && options.anyExitCode === true)) {
        resolve(texts);
        return;
      }
      const how = code === null ? `was killed by ${signal ?? "a signal"}` : `exited with ${code}`;
      const stderr = texts.stderr.trim().slice(0, 500);
      reject(
        new SocleError("internal", "CHILD_FAILED", `${program} ${how}${stderr === "" ? "" : `: ${stderr}`}`),
      );
    });
  });
  return { output, gone };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: the whole group has exited already.
  }
}
