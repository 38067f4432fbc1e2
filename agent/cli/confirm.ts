import { createInterface } from "node:readline/promises";
import { SocleError } from "../kernel/errors.ts";
import { interrupted } from "./errors.ts";
import type { Session } from "./session.ts";

/** Asks on the terminal. Throws `conflict` NOT_CONFIRMED with `otherwise` unless the answer is yes. */
export async function confirm(
  session: Session,
  question: string,
  otherwise = "nothing was deleted",
): Promise<void> {
  const lines = createInterface({ input: session.io.stdin, output: session.io.stderr });
  // readline takes Ctrl-C for itself.
  lines.on("SIGINT", () => lines.close());
  try {
    const answer = await Promise.race([
      lines.question(question, { signal: session.interrupt }),
      new Promise<undefined>((resolve) => {
        lines.once("close", () => resolve(undefined));
      }),
    ]);
    if (answer === undefined) throw interrupted();
    if (!/^y(es)?$/i.test(answer.trim())) {
      throw new SocleError("conflict", "NOT_CONFIRMED", otherwise);
    }
  } catch (thrown) {
    if (session.interrupt.aborted) throw interrupted();
    throw thrown;
  } finally {
    lines.close();
  }
}
