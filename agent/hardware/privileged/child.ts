import { spawn } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SocleError } from "../../kernel/errors.ts";

export interface ChildOptions {
  readonly timeoutMs: number;
  /** Of stdout and stderr each. */
  readonly maxOutputBytes: number;
  readonly signal?: AbortSignal;
  /** Every exit code is an answer, not only 0: some programs say with it what they found. */
  readonly anyExitCode?: boolean;
}

export interface ChildOutput {
  readonly stdout: string;
  readonly stderr: string;
}

export interface Child {
  /**
   * What it wrote, once it exits with 0, or with any code where that was asked for. Rejects with `timeout`, `cancelled`
   * (by the signal), `exhausted` (too much output), `unavailable` (it could not be started) or `internal` (it failed).
   * It settles by the deadline even if the process does not die.
   */
  readonly output: Promise<ChildOutput>;
  /** Resolves when the process is truly gone: one that sits in a dead filesystem outlives its own kill. */
  readonly gone: Promise<void>;
}

/** The caller's environment is not handed down: a child gets what it needs to find programs and to speak English. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** Starts one child per thing, until it is truly gone: what sits in a driver or a dead filesystem is not joined by others. */
export class OneChild {
  /** Wall clock of when the child of a thing was started. */
  readonly #startedMs = new Map<string, number>();

  /** As `start`, but rejects with `timeout` CHILD_STUCK, at once and without a child, while an earlier one lives. */
  of(thing: string, start: () => Child): Child {
    const earlierMs = this.#startedMs.get(thing);
    if (earlierMs !== undefined) {
      const since = new Date(earlierMs).toISOString();
      const message = `an earlier question of ${thing} is still not answered, since ${since}`;
      return {
        output: Promise.reject(new SocleError("timeout", "CHILD_STUCK", message)),
        gone: Promise.resolve(),
      };
    }
    const child = start();
    this.#startedMs.set(thing, Date.now());
    const gone = child.gone.then(() => void this.#startedMs.delete(thing));
    // Of a child that ended it is known by the next turn: whoever has the answer may ask the next question.
    const output = child.output.finally(() => Promise.race([gone, nextTurn()]));
    return { output, gone };
  }
}

let lastTurn: Promise<unknown> = Promise.resolve();

/**
 * Runs a program without a shell, in a process group of its own that is killed whole at the deadline. One is started in
 * a turn of the event loop, however many are wanted: fork() copies the page tables of the whole agent, which takes
 * milliseconds.
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
  const givenUp = (): SocleError => new SocleError("cancelled", "CANCELLED", `${program} was given up`);
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
      // A process that cannot be killed must not keep the agent from ending.
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
      const how = code === null ? `was ended by ${signal ?? "a signal"}` : `exited with ${code}`;
      const said = texts.stderr.trim().slice(0, 500);
      reject(
        new SocleError("internal", "CHILD_FAILED", `${program} ${how}${said === "" ? "" : `: ${said}`}`),
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
    // ESRCH: the whole group is gone, which is what was wanted.
  }
}
