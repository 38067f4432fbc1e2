import { existsSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { Answers, type Question } from "./answers.ts";
import { childOf, type Child, type ChildOutput } from "./child.ts";

import type { Roots } from "../roots.ts";

/** Longer than the helper's own deadlines. */
const TIMEOUT_MS = 130_000;
const MAX_ANSWER_BYTES = 16 * 1024 ** 2;

const answerSchema = z.union([
  z.strictObject({ answer: z.string() }),
  z.strictObject({ error: z.strictObject({ reason: z.string(), message: z.string(), code: z.string() }) }),
]);

/**
 * Sends privileged queries to the hardware helper (socle-hardware.socket) if it is enabled. Otherwise this process
 * answers them itself, and may be denied. An enabled helper that does not answer is a reported fault, without a
 * fallback.
 */
export class Privileged {
  readonly #socket: string;
  /** The link that `systemctl enable` makes and `systemctl disable` deletes. */
  readonly #enabled: string;
  readonly #answers: Answers;

  constructor(roots: Roots) {
    this.#socket = join(roots.runRoot, "socle-hardware.sock");
    this.#enabled = join(roots.etcRoot, "systemd/system/sockets.target.wants/socle-hardware.socket");
    this.#answers = new Answers(roots);
  }

  /** As `Answers.answer`; `unavailable` HELPER_FAILED if the helper does not answer. */
  ask(question: Question, signal: AbortSignal): Child {
    if (!existsSync(this.#enabled) && !existsSync(this.#socket))
      return this.#answers.answer(question, signal);
    // The helper waits for its own children.
    return childOf(askHelper(this.#socket, question, signal));
  }

  async close(): Promise<void> {
    await this.#answers.close();
  }
}

/** One query per connection: a line of text, answered by a JSON document. Disconnecting cancels it. */
const askHelper = (path: string, question: Question, signal: AbortSignal): Promise<ChildOutput> =>
  new Promise((resolve, reject) => {
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
      if (text.length > MAX_ANSWER_BYTES) failed("sent too large an answer");
    });
    socket.on("error", (cause) => failed(`cannot be reached: ${cause.message}`));
    socket.on("end", () => {
      socket.destroy();
      const parsed = answerSchema.safeParse(parseJson(text));
      if (!parsed.success) failed("sent no valid answer");
      else if ("answer" in parsed.data) resolve({ stdout: parsed.data.answer, stderr: "" });
      else reject(errorOf(parsed.data.error));
    });
  });

/** Keeps the system's error code, which readers check. */
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
