import { abortable } from "../../kernel/clock.ts";
import type { SocleError } from "../../kernel/errors.ts";

/** Whether this agent may change its host: only while no part of the agent refuses. */
export class Permit {
  readonly #reasons = new Map<string, SocleError>();
  readonly #waiting = new Set<() => void>();

  /** The reason why every new change is refused. */
  get refusal(): SocleError | undefined {
    return this.#reasons.values().next().value;
  }

  /** `part` refuses until it allows. */
  refuse(part: string, reason: SocleError): void {
    this.#reasons.set(part, reason);
  }

  allow(part: string): void {
    this.#reasons.delete(part);
    if (this.#reasons.size > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** Resolves once changes are allowed, or the signal aborts. */
  async untilAllowed(signal: AbortSignal): Promise<void> {
    if (this.refusal === undefined) return;
    const allowed = abortable(signal, (resolve) => {
      this.#waiting.add(resolve);
      return () => this.#waiting.delete(resolve);
    });
    await allowed.catch(() => undefined);
  }
}
