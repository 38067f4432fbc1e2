import { existsSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import * as z from "zod";
import { SocleError } from "../../kernel/errors.ts";
import { Answers, type Question } from "./answers.ts";
import type { Child, ChildOutput } from "./child.ts";

import type { Roots } from "../roots.ts";

/** Longer than the helper gives any question. */
const TIMEOUT_MS = 130_000;
const MAX_ANSWER_BYTES = 16 * 1024 ** 2;

const answerSchema = z.union([
  z.strictObject({ answer: z.string() }),
  z.strictObject({ error: z.strictObject({ reason: z.string(), message: z.string(), code: z.string() }) }),
]);

/**
 * Asks what needs more rights than the agent has: the hardware helper (socle-hardware.socket) where it is enabled, this
 * process itself elsewhere, which may then be denied. To disable it is the operator's decision; a helper that is enabled
 * and gone is a fault to be told, and nothing is asked past it.
 */
export class Privileged {
  readonly #socket: string;
  /** What `systemctl enable` makes and `systemctl disable` deletes. */
  readonly #enabled: string;
  readonly #answers: Answers;

  constructor(roots: Roots) {
    this.#socket = join(roots.runRoot, "socle-hardware.sock");
    this.#enabled = join(roots.etcRoot, "systemd/system/sockets.target.wants/socle-hardware.socket");
    this.#answers = new Answers(roots);
  }

  /** As `Answers.answer`; `unavailable` HELPER_FAILED where the helper does not answer. */
  ask(question: Question, signal: AbortSignal): Child {
    if (!existsSync(this.#enabled) && !existsSync(this.#socket))
      return this.#answers.answer(question, signal);
    const output = askHelper(this.#socket, question, signal);
    // What the helper started is the helper's to wait for.
    const gone = output.then(
      () => undefined,
      () => undefined,
    );
    return { output, gone };
  }

  async close(): Promise<void> {
    await this.#answers.close();
  }
}

/** One question a connection: a line there, a document of JSON back. To leave is to give it up. */
function askHelper(path: string, question: Question, signal: AbortSignal): Promise<ChildOutput> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => {
      socket.destroy();
      const message = `the hardware helper ${why}; see: systemctl status socle-hardware.socket socle-hardware`;
      reject(new SocleError("unavailable", "HELPER_FAILED", message));
    };
    let text = "";
    const socket = createConnection({ path, signal });
    socket.setTimeout(TIMEOUT_MS, () => failed("does not answer"));
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${question}\n`));
    socket.on("data", (piece: string) => {
      text += piece;
      if (text.length > MAX_ANSWER_BYTES) failed("says too much");
    });
    socket.on("error", (cause) => failed(`cannot be asked: ${cause.message}`));
    socket.on("end", () => {
      socket.destroy();
      const parsed = answerSchema.safeParse(parseJson(text));
      if (!parsed.success) failed("gave no answer");
      else if ("answer" in parsed.data) resolve({ stdout: parsed.data.answer, stderr: "" });
      else reject(errorOf(parsed.data.error));
    });
  });
}

/** The system's code, where it has one, is what readers go by. */
function errorOf({ reason, message, code }: { reason: string; message: string; code: string }): Error {
  const error = new SocleError("internal", reason, message);
  return code === "" ? error : Object.assign(error, { code });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
